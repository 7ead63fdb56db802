package logintest

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// backChannelAttacks post logout tokens that the provider did not send, or that
// are not for this session (OpenID Connect Back-Channel Logout section 2.6).
func backChannelAttacks() []attack {
	var attacks []attack
	for _, fault := range logoutFaults {
		attacks = append(attacks, attack{fault.name, fault.must, func(s *siege) {
			b, user := s.signedIn()
			s.tell(s.provider.LogoutToken(s.target.ClientID, user, fault.edit))
			s.expect(b, called(s.ada), "a "+fault.name)
		}})
	}
	return append(attacks,
		attack{"logout token signed with another key",
			"verify the logout token's signature with the keys of the provider's jwks_uri", logoutByOtherKey},
		attack{"ID token as a logout token",
			"require the logout event in a logout token, which no ID token has, and reject a nonce", logoutByIDToken},
		attack{"logout token about another user",
			"end only the sessions of the logout token's sid or sub", logoutOfOthers},
		attack{"logout token about a user",
			"end all sessions of the user when a logout token has a sub and no sid (section 2.7)", logoutOfAll},
		attack{"logout token that comes again",
			"remember a logout token's jti until the token expires, and reject a token that comes again", logoutAgain},
	)
}

var logoutFaults = []struct {
	name, must string
	edit       func(header, claims map[string]any)
}{
	{"logout token without a signature", "verify the logout token's signature, and reject alg none",
		func(header, _ map[string]any) { header["alg"] = "none" }},
	{"logout token with an HMAC of the public key", "accept asymmetric algorithms only, whatever the logout token's header says (RFC 8725 section 3.1)",
		func(header, _ map[string]any) { header["alg"] = "HS256" }},
	{"logout token of another issuer", "compare the logout token's iss with its provider's issuer",
		func(_, claims map[string]any) { claims["iss"] = evilOrigin }},
	{"logout token for another client", "require its own client_id in the logout token's aud",
		func(_, claims map[string]any) { claims["aud"] = "another-client" }},
	{"logout token that has expired", "reject a logout token whose exp has passed",
		func(_, claims map[string]any) { claims["exp"] = claims["iat"].(int64) - int64(time.Hour/time.Second) }},
	{"logout token without iat", "require iat in the logout token",
		func(_, claims map[string]any) { delete(claims, "iat") }},
	{"logout token without its event", "require the member " + logoutEvent + " in the logout token's events",
		func(_, claims map[string]any) {
			claims["events"] = map[string]any{"https://schemas.example.test/another": map[string]any{}}
		}},
	{"logout token with a nonce", "reject a logout token that has a nonce, because it could be an ID token",
		func(_, claims map[string]any) { claims["nonce"] = "a-nonce" }},
}

// signedIn logs in Ada, with a known session ID at the provider.
func (s *siege) signedIn() (*Browser, User) {
	b, user := s.newBrowser(), s.ada
	user.SessionID = rand.Text()
	s.signIn(b, user)
	return b, user
}

// tell posts a logout token without cookies.
func (s *siege) tell(token string) *Page {
	body := url.Values{"logout_token": {token}}.Encode()
	r, err := http.NewRequest(http.MethodPost, s.at(s.target.BackChannelLogout, nil), strings.NewReader(body))
	if err != nil {
		found("Target.BackChannelLogout is not a path (%v)", err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return s.send(s.newBrowser(), r)
}

// toldHonestly sends a valid logout token, which must end Ada's session.
func (s *siege) toldHonestly() {
	if s.target.BackChannelLogout == "" || s.plain {
		return
	}
	b, user := s.signedIn()
	page := s.tell(s.provider.LogoutToken(s.target.ClientID, user, nil))
	if who := s.visitor(b); who != nobody {
		found("a valid logout token at %s got status %d, and %s still shows %s", s.target.BackChannelLogout, page.Status, s.target.Private, who)
	}
}

func logoutByOtherKey(s *siege) {
	b, user := s.signedIn()
	forger := NewProvider(s.target.Issuer)
	for forger.signingKeys().rsa.Equal(s.provider.signingKeys().rsa) { // both use the same pool
		forger.RotateKeys()
	}
	var header, claims map[string]any
	s.provider.LogoutToken(s.target.ClientID, user, func(h, c map[string]any) { header, claims = h, c })
	s.tell(forger.Sign(header, claims))
	s.expect(b, called(s.ada), "a logout token signed with another key")
}

func logoutByIDToken(s *siege) {
	var idToken string
	s.misbehave(Faults{SignedIDToken: func(token string) string { idToken = token; return token }})
	b, _ := s.signedIn()
	s.tell(idToken)
	s.expect(b, called(s.ada), "an ID token, posted as a logout token,")
}

func logoutOfOthers(s *siege) {
	b, _ := s.signedIn()
	for _, about := range []User{{SessionID: rand.Text()}, {Subject: s.mallory.Subject}, {Subject: s.mallory.Subject, SessionID: rand.Text()}} {
		s.tell(s.provider.LogoutToken(s.target.ClientID, about, nil))
		s.expect(b, called(s.ada), "a logout token about another user")
	}
}

// logoutOfAll uses another user with Ada's name, because ending all of Ada's
// sessions would affect later attacks.
func logoutOfAll(s *siege) {
	user := s.ada
	user.Subject += "-" + rand.Text()
	one, two := s.newBrowser(), s.newBrowser()
	s.signIn(one, user)
	s.signIn(two, user)
	s.tell(s.provider.LogoutToken(s.target.ClientID, User{Subject: user.Subject}, nil))
	for _, b := range []*Browser{one, two} {
		if who := s.visitor(b); who != nobody {
			found("a logout token about all sessions of %s left one that shows %s", called(user), who)
		}
	}
}

// logoutAgain sends a token a second time, after Ada has logged in again. An
// application that compares whole seconds may still reject that login; it is
// not attacked.
func logoutAgain(s *siege) {
	b, user := s.signedIn()
	token := s.provider.LogoutToken(s.target.ClientID, user, nil)
	s.tell(token)
	s.finish(s.begin(b, user))
	if s.visitor(b) == nobody {
		return
	}
	s.tell(token)
	s.expect(b, called(s.ada), "a logout token that came a second time, after a new login,")
}

// Attacks that open the page for the provider's logout frame (OpenID Connect
// Front-Channel Logout section 2).
var frontChannelAttacks = []attack{
	{"front-channel logout with another sid",
		"require iss and sid in a front-channel logout, and compare both with the session's",
		framedWithAnother},
	{"front-channel logout by another site",
		"end no session by a front-channel logout without the session's sid, because another site can put its URL into a link or an image",
		framedByOthers},
}

// frame opens the front-channel page in a frame of a page of the same site.
// Browsers send all cookies to such a frame.
func (s *siege) frame(b *Browser, query url.Values) *Page {
	r, err := b.navigation(http.MethodGet, s.at(s.target.FrontChannelLogout, query), nil, "same-site")
	if err != nil {
		found("Target.FrontChannelLogout is not a path (%v)", err)
	}
	r.Header.Set("Sec-Fetch-Dest", "iframe")
	r.Header.Del("Sec-Fetch-User")
	return s.send(b, r)
}

// framedHonestly opens a frame that must end Ada's session.
func (s *siege) framedHonestly() {
	if s.target.FrontChannelLogout == "" || s.plain {
		return
	}
	b, user := s.signedIn()
	page := s.frame(b, url.Values{"iss": {s.target.Issuer}, "sid": {user.SessionID}})
	if who := s.visitor(b); who != nobody {
		found("%s, opened with iss and sid, got status %d, and %s still shows %s", s.target.FrontChannelLogout, page.Status, s.target.Private, who)
	}
}

// wrong returns parameters that an attacker can send without the sid.
func (s *siege) wrong(user User) []url.Values {
	iss, other := []string{s.target.Issuer}, []string{rand.Text()}
	return []url.Values{
		nil, {"iss": iss}, {"iss": iss, "sid": {""}}, {"iss": iss, "sid": other}, {"sid": other},
		{"iss": iss, "sid": {user.SessionID[:len(user.SessionID)-1]}}, {"iss": iss, "sid": {strings.ToLower(user.SessionID)}},
	}
}

func framedWithAnother(s *siege) {
	b, user := s.signedIn()
	sid := []string{user.SessionID}
	for _, query := range append(s.wrong(user), url.Values{"sid": sid}, url.Values{"iss": {evilOrigin}, "sid": sid}) {
		s.frame(b, query)
		s.expect(b, called(s.ada), "a front-channel logout without iss and sid of the session")
	}
}

func framedByOthers(s *siege) {
	b, user := s.signedIn()
	for _, query := range s.wrong(user) {
		address := s.at(s.target.FrontChannelLogout, query)
		s.get(b, address, "cross-site")
		s.expect(b, called(s.ada), "a link to the front-channel logout on another site")
		r, err := b.navigation(http.MethodGet, address, nil, "cross-site")
		if err != nil {
			found("Target.FrontChannelLogout is not a path (%v)", err)
		}
		r.Header.Set("Sec-Fetch-Dest", "image")
		r.Header.Set("Sec-Fetch-Mode", "no-cors")
		r.Header.Del("Sec-Fetch-User")
		s.sendWith(func(r *http.Request) (*Page, error) { return b.send(r, true) }, r)
		s.expect(b, called(s.ada), "an image on another site with the URL of the front-channel logout")
	}
}
