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

// refreshAttacks are those on what an application does with tokens after the
// login (RFC 9700 section 4.14.2, OpenID Connect Core section 12.2): none if it
// keeps none, and none by ID tokens if it asks for none.
func (s *siege) refreshAttacks() []attack {
	if !s.target.KeepsTokens {
		return nil
	}
	attacks := slices.Clone(keptTokenAttacks)
	for _, fault := range refreshedTokenFaults {
		if s.plain {
			break
		}
		must := "compare " + fault.claim + " of a refreshed ID token with that of the login, and end the session if it is another (OpenID Connect Core section 12.2)"
		attacks = append(attacks, attack{fault.name, must, func(s *siege) { s.badRefresh("a "+fault.name, Faults{RefreshedIDToken: fault.edit(s)}) }})
	}
	// The last one: an application may leave a provider alone that was down.
	return append(attacks, attack{"refresh while the provider is down",
		"keep the session while the provider is down, because only invalid_grant says that the login has ended",
		refreshedInVain})
}

var keptTokenAttacks = []attack{
	{"refresh token used twice",
		"refresh once for all requests of a session that come together, and give those that come late what came of it, because a refresh token that is used twice counts as stolen, and ends the login (RFC 9700 section 4.14.2)",
		refreshedTwice},
	{"refresh that is refused",
		"end the session when a refresh is refused with invalid_grant, because that is how a provider ends it (RFC 6749 section 5.2)",
		func(s *siege) {
			s.badRefresh("a refresh that was refused with invalid_grant", Faults{RefreshError: "invalid_grant"})
		}},
	{"kept tokens within reach of the browser",
		"keep access and refresh tokens on the server, or encrypt them before a cookie holds them",
		tokensReadable},
	{"tokens left out",
		"end the session when a refresh is due and its tokens are not there, because the provider's refusal never reaches a session that is not refreshed",
		tokensLeftOut},
	{"tokens of another session",
		"bind tokens to the session that they came with, for example by sealing them under its id",
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

// What an application may take until it refreshes a token that lives for a second.
const refreshPatience = 3 * time.Second

// signInBriefly logs user in with an access token that lives for a second, and
// that the API does not take any more at once.
func (s *siege) signInBriefly(b *Browser, user User) []Hop {
	s.misbehave(Faults{Token: brief})
	hops := s.signIn(b, user)
	s.provider.expireAccess()
	s.misbehave(Faults{})
	return hops
}

func brief(response map[string]any) { response["expires_in"] = 1 }

// refresh opens the private page until the application makes a token request,
// and returns what it has shown then.
func (s *siege) refresh(b *Browser) *Page {
	var page *Page
	s.refreshBy(func() { page = s.private(b) })
	return page
}

// refreshBy uses the application until it makes a token request.
func (s *siege) refreshBy(use func()) {
	before, begun := s.provider.Count(Token), time.Now()
	for last := false; !last; time.Sleep(20 * time.Millisecond) {
		last = time.Since(begun) > refreshPatience
		if use(); s.provider.Count(Token) != before {
			return
		}
	}
	found("Target.KeepsTokens is set, and nothing was refreshed by %s for %s after a login whose access token lives for a second (a refresh token is given for scope offline_access)", s.target.Private, refreshPatience)
}

// refreshedHonestly demands that there is something to attack.
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
		found("Target.KeepsTokens is set, and the provider has granted no refresh")
	}
}

// refreshedTwice has many requests come with an access token that has expired.
// They meet at the provider, if there is more than one of them that gets there.
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
			all.Go(func() { _, _ = b.Do(r) }) // what comes of it, the provider sees
		}
		all.Wait()
	})
	if s.provider.Reused() != before {
		found("%d requests that came together with an expired access token used a refresh token twice", requests)
	}
}

// badRefresh is a refresh after which the session must be over.
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
		found("%s had %s show %s", cause, s.target.Private, who)
	}
}

// refreshedInVain lets the page fail for as long as the provider does, but not
// forget who was logged in.
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

// tokensReadable searches what a browser gets to see of all tokens, until they
// have been refreshed and the session is over.
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

// tokensPlanted puts Mallory's cookies beside those that carry Ada's session, and
// uses them when a refresh is due.
func tokensPlanted(s *siege) {
	ada, mallory := s.newBrowser(), s.newBrowser()
	s.signInBriefly(ada, s.ada)
	s.signInBriefly(mallory, s.mallory)
	time.Sleep(time.Second)
	s.misbehave(Faults{NoRotation: true}) // each try has the same tokens
	private := s.at(s.target.Private, nil)
	for _, set := range s.carriers(ada.Cookies(private)) {
		planted := slices.DeleteFunc(mallory.Cookies(private), func(c *http.Cookie) bool { return hasName(set, c.Name) })
		s.provider.forget()
		const cause = "cookies of Mallory's login, planted beside those of Ada's session,"
		if who := s.visitorWith(slices.Concat(set, planted)); strings.Contains(who, called(s.mallory)) {
			found("%s had %s show %s", cause, s.target.Private, who)
		}
		if s.tokensUsed(s.mallory) {
			found("%s had Mallory's tokens used for Ada", cause)
		}
	}
}

// tokensLeftOut uses the session of Ada without one of its cookies, when a refresh
// is due. Without some, such as one for a language, the application refreshes all
// the same; without others, it knows nobody.
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
				found("a browser that leaves cookie %s out stays logged in as %s, and nothing is refreshed", left.Name, called(s.ada))
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// tokensUsed reports whether the provider has been shown tokens of a user's.
func (s *siege) tokensUsed(user User) bool {
	return slices.ContainsFunc(s.provider.Requests(), func(r Request) bool {
		bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		return s.provider.isOf(bearer, user) || s.provider.isOf(r.Form.Get("refresh_token"), user)
	})
}

// expireAccess ends all access tokens that there are.
func (p *Provider) expireAccess() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.tokens {
		if !t.refresh {
			t.revoked = true
		}
	}
}

// isOf reports whether a token was issued in the name of a user.
func (p *Provider) isOf(value string, user User) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	t, ok := p.tokens[value]
	return ok && t.grant.user.Subject == user.Subject
}
