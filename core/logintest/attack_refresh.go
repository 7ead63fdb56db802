package logintest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// refreshAttacks returns the attacks on how an application uses tokens after
// the login (RFC 9700 section 4.14.2, OpenID Connect Core section 12.2). There
// are none if it keeps no tokens, and none by ID tokens if it requests none.
func (s *siege) refreshAttacks() []attack {
	if !s.target.KeepsTokens {
		return nil
	}
	attacks := slices.Clone(keptTokenAttacks)
	for _, fault := range refreshedTokenFaults {
		if s.plain {
			break
		}
		must := "compare " + fault.claim + " of a refreshed ID token with that of the login, and end the session if it differs (OpenID Connect Core section 12.2)"
		attacks = append(attacks, attack{fault.name, must, func(s *siege) { s.badRefresh("a "+fault.name, Faults{RefreshedIDToken: fault.edit(s)}) }})
	}
	// This attack is last: an application may pause requests to a provider that was down.
	return append(attacks, attack{"refresh while the provider is down",
		"keep the session while the provider is down, because only invalid_grant means that the login has ended",
		refreshedInVain})
}

var keptTokenAttacks = []attack{
	{"refresh token used twice",
		"refresh once for all concurrent requests of a session, and share the result with late ones, because a refresh token that is used twice counts as stolen and ends the login (RFC 9700 section 4.14.2)",
		refreshedTwice},
	{"refresh that is refused",
		"end the session when a refresh fails with invalid_grant, because that is how a provider ends a login (RFC 6749 section 5.2)",
		func(s *siege) {
			s.badRefresh("a refresh that failed with invalid_grant", Faults{RefreshError: "invalid_grant"})
		}},
	{"kept tokens within reach of the browser",
		"keep access and refresh tokens on the server, or encrypt them in cookies",
		tokensReadable},
	{"tokens left out",
		"end the session when a refresh is due and the tokens are missing, because a provider cannot end a session that is never refreshed",
		tokensLeftOut},
	{"tokens of another session",
		"bind tokens to the session of their login, for example by sealing them with the session's id",
		tokensPlanted},
}

var refreshedTokenFaults = []struct {
	name, claim string
	edit        func(*siege) func(header, claims map[string]any)
}{
	{"refreshed ID token of another user", "sub", func(s *siege) func(_, _ map[string]any) {
		return func(_, claims map[string]any) {
			claims["sub"], claims["name"], claims["email"] = s.mallory.Subject, called(s.mallory), s.mallory.Claims["email"]
		}
	}},
	{"refreshed ID token of another issuer", "iss", claimed("iss", evilOrigin)},
	{"refreshed ID token for another client", "aud", claimed("aud", "another-client")},
	{"refreshed ID token with another nonce", "the nonce, if there is one,", claimed("nonce", "another-nonce")},
}

func claimed(name string, value any) func(*siege) func(header, claims map[string]any) {
	return func(*siege) func(header, claims map[string]any) {
		return func(_, claims map[string]any) { claims[name] = value }
	}
}

// refreshPatience is the time within which an application must refresh a token
// that expires after one second.
const refreshPatience = 3 * time.Second

// signInBriefly logs user in with an access token that expires after one
// second. The API rejects it at once.
func (s *siege) signInBriefly(b *Browser, user User) []Hop {
	s.misbehave(Faults{Token: brief})
	hops := s.signIn(b, user)
	s.provider.expireAccess()
	s.misbehave(Faults{})
	return hops
}

func brief(response map[string]any) { response["expires_in"] = 1 }

// refresh opens the private page until the application makes a token request,
// and returns the page.
func (s *siege) refresh(b *Browser) *Page {
	var page *Page
	s.refreshBy(func() { page = s.private(b) })
	return page
}

// refreshBy calls use until the application makes a token request.
func (s *siege) refreshBy(use func()) {
	before, begun := s.provider.Count(Token), time.Now()
	for last := false; !last; time.Sleep(20 * time.Millisecond) {
		last = time.Since(begun) > refreshPatience
		if use(); s.provider.Count(Token) != before {
			return
		}
	}
	found("Target.KeepsTokens is set, but %s led to no refresh within %s after a login whose access token expires after one second (the provider issues a refresh token for scope offline_access)", s.target.Private, refreshPatience)
}

// refreshedHonestly requires that the application refreshes tokens.
func (s *siege) refreshedHonestly() {
	if !s.target.KeepsTokens {
		return
	}
	b := s.newBrowser()
	s.signInBriefly(b, s.ada)
	before := s.provider.Refreshes()
	s.refresh(b)
	s.expect(b, called(s.ada), "a refresh")
	if s.provider.Refreshes() == before {
		found("Target.KeepsTokens is set, but no refresh succeeded")
	}
}

// refreshedTwice sends many requests with an expired access token. The provider
// holds the first token request until a second one arrives, or for 200 ms.
func refreshedTwice(s *siege) {
	const requests = 20
	b := s.newBrowser()
	s.signInBriefly(b, s.ada)
	cookies := b.Cookies(s.at(s.target.Private, nil))
	var arrived atomic.Int32
	s.misbehave(Faults{Intercept: func(e Endpoint, _ http.ResponseWriter, _ *http.Request) bool {
		if e == Token {
			arrived.Add(1)
			for begun := time.Now(); arrived.Load() < 2 && time.Since(begun) < 200*time.Millisecond; {
				time.Sleep(time.Millisecond)
			}
		}
		return false
	}})
	time.Sleep(time.Second)
	before := s.provider.Reused()
	s.refreshBy(func() {
		var all sync.WaitGroup
		for range requests {
			b, r := s.newBrowser(), s.carrying(cookies)
			all.Go(func() { _, _ = b.Do(r) }) // the provider records the result
		}
		all.Wait()
	})
	if s.provider.Reused() != before {
		found("%d concurrent requests with an expired access token used a refresh token twice", requests)
	}
}

// badRefresh performs a refresh that must end the session.
func (s *siege) badRefresh(cause string, faults Faults) {
	b := s.newBrowser()
	s.signInBriefly(b, s.ada)
	s.misbehave(faults)
	s.refresh(b)
	s.misbehave(Faults{})
	switch who := s.visitor(b); who {
	case nobody:
	case called(s.ada):
		found("%s left the session of %s in place", cause, who)
	default:
		found("%s made %s show %s", cause, s.target.Private, who)
	}
}

// refreshedInVain allows the page to fail while the provider is down. The
// session must not end.
func refreshedInVain(s *siege) {
	b := s.newBrowser()
	s.signInBriefly(b, s.ada)
	s.misbehave(Faults{Intercept: func(e Endpoint, w http.ResponseWriter, _ *http.Request) bool {
		if e == Token {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return e == Token
	}})
	const cause = "a refresh while the provider was down"
	if page := s.refresh(b); page.Status < 500 && s.identify(page) == nobody {
		found("%s ended the session of %s", cause, called(s.ada))
	}
	s.misbehave(Faults{})
	s.expect(b, called(s.ada), cause)
}

// tokensReadable searches everything that a browser receives for tokens, from
// the login through a refresh to the logout.
func tokensReadable(s *siege) {
	var mu sync.Mutex
	var access, refresh []string
	b := s.newBrowser()
	s.misbehave(Faults{Token: func(response map[string]any) {
		mu.Lock()
		defer mu.Unlock()
		access = append(access, fmt.Sprint(response["access_token"]))
		if token, ok := response["refresh_token"].(string); ok {
			refresh = append(refresh, token)
		}
		brief(response)
	}})
	hops := s.signIn(b, s.ada)
	hops = append(hops, s.refresh(b).Hops...)
	hops = append(hops, s.private(b).Hops...)
	hops = append(hops, s.logOut(b).Hop)
	mu.Lock()
	defer mu.Unlock()
	for _, hop := range hops {
		for _, token := range refresh {
			s.searchHop(hop, "refresh token", token)
		}
		for _, token := range access {
			s.searchHop(hop, "access token", token)
		}
	}
}

// tokensPlanted adds Mallory's cookies to those that carry Ada's session, and
// uses them when a refresh is due.
func tokensPlanted(s *siege) {
	ada, mallory := s.newBrowser(), s.newBrowser()
	s.signInBriefly(ada, s.ada)
	s.signInBriefly(mallory, s.mallory)
	time.Sleep(time.Second)
	s.misbehave(Faults{NoRotation: true}) // so that each try has the same tokens
	private := s.at(s.target.Private, nil)
	for _, set := range s.carriers(ada.Cookies(private)) {
		planted := slices.DeleteFunc(mallory.Cookies(private), func(c *http.Cookie) bool { return hasName(set, c.Name) })
		s.provider.forget()
		const cause = "cookies of Mallory's login, planted beside those of Ada's session,"
		if who := s.visitorWith(slices.Concat(set, planted)); strings.Contains(who, called(s.mallory)) {
			found("%s made %s show %s", cause, s.target.Private, who)
		}
		if s.tokensUsed(s.mallory) {
			found("%s made the application use Mallory's tokens for Ada", cause)
		}
	}
}

// tokensLeftOut uses Ada's session without one of its cookies when a refresh is
// due. Without an irrelevant cookie, such as one for the language, the
// application must still refresh. Without a relevant one, the request must be
// anonymous.
func tokensLeftOut(s *siege) {
	b := s.newBrowser()
	s.signInBriefly(b, s.ada)
	for _, left := range b.Cookies(s.at(s.target.Private, nil)) {
		b := s.newBrowser()
		s.signInBriefly(b, s.ada)
		without := slices.DeleteFunc(b.Cookies(s.at(s.target.Private, nil)), func(c *http.Cookie) bool { return c.Name == left.Name })
		before, begun := s.provider.Count(Token), time.Now()
		for s.visitorWith(without) == called(s.ada) && s.provider.Count(Token) == before {
			if time.Since(begun) > refreshPatience {
				found("without cookie %s, a browser stays logged in as %s and the tokens are not refreshed", left.Name, called(s.ada))
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// tokensUsed reports whether the provider received tokens of user.
func (s *siege) tokensUsed(user User) bool {
	return slices.ContainsFunc(s.provider.Requests(), func(r Request) bool {
		bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		return s.provider.isOf(bearer, user) || s.provider.isOf(r.Form.Get("refresh_token"), user)
	})
}

// expireAccess ends all access tokens.
func (p *Provider) expireAccess() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.tokens {
		if !t.refresh {
			t.revoked = true
		}
	}
}

// isOf reports whether a token was issued for user.
func (p *Provider) isOf(value string, user User) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, ok := p.tokens[value]
	return ok && t.grant.user.Subject == user.Subject
}
