package logintest

import (
	"context"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// strongAttacks returns the attacks on what Target.Client demands.
func (s *siege) strongAttacks() []attack {
	var attacks []attack
	client := s.target.Client
	if client.RequirePAR || client.FAPI2 {
		attacks = append(attacks, pushAttacks...)
	}
	if client.DPoP || client.FAPI2 && !client.CertificateBound {
		attacks = append(attacks, attack{"DPoP stripped from the answer",
			"reject a token response whose token_type is not DPoP, if it has sent a proof (RFC 9449 section 5)", proofStripped})
	}
	if client.RequireSignedResponse {
		attacks = append(attacks, responseAttacks()...)
	}
	if alg := s.provider.clients[s.target.ClientID].signingAlg(); alg != "RS256" {
		attacks = append(attacks, attack{"ID token with another algorithm",
			"accept only the algorithm of ID tokens that it has registered (OpenID Connect Core section 3.1.3.7)",
			func(s *siege) {
				badToken(s, "a login with an ID token by another algorithm", func(header, _ map[string]any) { header["alg"] = "RS256" })
			}})
	}
	return attacks
}

// pushAttacks are on pushed authorization requests (RFC 9126).
var pushAttacks = []attack{
	{"pushed requests that fail",
		"end a login whose authorization request could not be pushed, and never send its parameters by the browser instead", pushFails},
	{"request_uri of another login",
		"reject a response whose state belongs to no login of this browser, before any token request (RFC 9126 section 7.3)", requestSwapped},
}

// pushFails makes the PAR endpoint fail in several ways.
func pushFails(s *siege) {
	for _, answer := range []struct {
		status int
		body   string
	}{
		{http.StatusNotFound, "not found"}, {http.StatusServiceUnavailable, ""}, {http.StatusBadRequest, `{"error":"invalid_request"}`},
		{http.StatusCreated, `{"expires_in":60}`}, {http.StatusCreated, "<html>"},
	} {
		s.misbehave(Faults{Intercept: func(e Endpoint, w http.ResponseWriter, _ *http.Request) bool {
			if e == PAR {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(answer.status)
				w.Write([]byte(answer.body))
			}
			return e == PAR
		}})
		before := s.provider.Count(Authorization)
		s.try(s.newBrowser(), s.ada, nil)
		if s.provider.Count(Authorization) != before {
			found("a login whose request was not pushed (status %d) went on to the provider", answer.status)
		}
	}
}

// requestSwapped makes Ada's browser answer the request of a login that Mallory
// has begun.
func requestSwapped(s *siege) {
	begin := typed(s.at(s.target.LoginPath, nil))
	atProvider := func(next *url.URL) bool {
		return strings.HasPrefix(next.String(), s.provider.url(Authorization)+"?")
	}
	_, theirs := s.walk(s.newBrowser(), begin, atProvider)
	if theirs == nil {
		found("a login, begun at %s, did not reach the provider", s.target.LoginPath)
	}
	s.provider.User = s.ada
	b := s.newBrowser()
	_, mine := s.walk(b, begin, atProvider)
	before := s.provider.Count(Token)
	_, callback := s.walk(b, step{method: http.MethodGet, address: theirs.String(), site: "cross-site"}, s.leaves)
	if mine == nil || callback == nil || !s.isCallback(callback) {
		return // the provider refused it
	}
	s.open(b, callback.String())
	s.expect(b, nobody, "the response to a request that Mallory has pushed")
	s.expectNoTokenRequest(before, "the response to a request that Mallory has pushed")
}

func proofStripped(s *siege) {
	for _, kind := range []any{"Bearer", "bearer", nil, 1} {
		s.misbehave(Faults{Token: func(response map[string]any) { response["token_type"] = kind }})
		l := s.begin(s.newBrowser(), s.ada)
		s.finish(l)
		s.expect(l.browser, nobody, "a login whose access token was not bound to its key")
	}
}

// responseAttacks are on signed authorization responses (JARM section 2.4).
func responseAttacks() []attack {
	attacks := []attack{{"authorization response that is not signed",
		"reject a callback without a signed response before any token request, if its logins ask for one", notSigned}}
	for _, fault := range responseFaults {
		attacks = append(attacks, attack{fault.name, fault.must, func(s *siege) {
			s.misbehave(Faults{SignedAuthorization: fault.edit})
			s.expectRefusal("a callback with an " + fault.name)
		}})
	}
	return append(attacks, attack{"authorization response signed with another key",
		"verify the response's signature with the keys of the provider's jwks_uri before any token request", responseForged})
}

var responseFaults = []struct {
	name, must string
	edit       func(header, claims map[string]any)
}{
	{"authorization response with alg none", "verify the response's signature before any token request, and reject alg none",
		func(header, _ map[string]any) { header["alg"] = "none" }},
	{"authorization response of another issuer", "compare the response's iss with the issuer of this login before any token request",
		func(_, claims map[string]any) { claims["iss"] = evilOrigin }},
	{"authorization response for another client", "require its own client_id in the response's aud before any token request",
		func(_, claims map[string]any) { claims["aud"] = "another-client" }},
	{"authorization response that has expired", "reject a response whose exp has passed before any token request",
		func(_, claims map[string]any) { claims["exp"] = time.Now().Add(-time.Hour).Unix() }},
	{"authorization response without exp", "require exp in the response before any token request",
		func(_, claims map[string]any) { delete(claims, "exp") }},
}

// expectRefusal requires that a login with the current faults ends at its
// callback, without a token request.
func (s *siege) expectRefusal(cause string) {
	l := s.begin(s.newBrowser(), s.ada)
	before := s.provider.Count(Token)
	s.finish(l)
	s.expect(l.browser, nobody, cause)
	s.expectNoTokenRequest(before, cause)
}

func notSigned(s *siege) {
	for _, form := range []bool{false, true} {
		l := s.begin(s.newBrowser(), s.ada)
		before := s.provider.Count(Token)
		plain := l.altered(func(url.Values) {})
		if u, err := url.Parse(plain); form && err == nil {
			s.within(l.browser, s.asForm(u, "cross-site"))
		} else {
			s.open(l.browser, plain)
		}
		s.expect(l.browser, nobody, "a callback without a signature")
		s.expectNoTokenRequest(before, "a callback without a signature")
	}
}

// responseForged signs with a forged key that has the key id of the provider's.
func responseForged(s *siege) {
	forger := NewProvider(s.target.Issuer)
	for forger.signingKeys().rsa.Equal(s.provider.signingKeys().rsa) { // both use the same pool
		forger.RotateKeys()
	}
	var header, claims map[string]any
	s.misbehave(Faults{
		SignedAuthorization: func(h, c map[string]any) { header, claims = h, c },
		Authorization:       func(query url.Values) { query.Set("response", forger.Sign(header, claims)) },
	})
	s.expectRefusal("a callback with a response signed with another key")
}

// response returns the parameters of a login's response, also if it is signed.
func (l *login) response() url.Values {
	query := l.callback.Query()
	parts := strings.Split(query.Get("response"), ".")
	if len(parts) != 3 {
		return query
	}
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	c, err := parseClaims(payload)
	if err != nil {
		return query
	}
	plain := make(url.Values)
	for name := range c {
		if name != "aud" && name != "exp" {
			plain.Set(name, c.text(name))
		}
	}
	return plain
}

// asked returns the parameters of an authorization request, also if it was
// pushed or is signed.
func (p *Provider) asked(query url.Values) url.Values {
	if token := query.Get("request"); token != "" {
		if parameters, why := p.requestObject(context.Background(), p.clients[query.Get("client_id")], token); why == nil {
			return parameters
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if a := p.pushed[query.Get("request_uri")]; a != nil {
		return cloneValues(a.parameters)
	}
	return query
}
