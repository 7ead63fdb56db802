package logintest_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
)

func signingClient() logintest.Client {
	return keyClient(func(c *logintest.Client) { c.RequireSignedRequest = true })
}

// object returns a request object with the parameters of a request.
func (s *strongBench) object(request url.Values, edits ...edit) string {
	claims := map[string]any{"iss": "app", "aud": issuer, "exp": s.now.Add(time.Minute).Unix(), "nbf": s.now.Unix(), "iat": s.now.Unix()}
	for name := range request {
		claims[name] = request.Get(name)
	}
	return sign("ES256", map[string]any{"kid": "key-ES256", "typ": "oauth-authz-req+jwt"}, claims, edits...)
}

// The parameters of a request object count, and no others.
func TestSignedRequest(t *testing.T) {
	t.Parallel()
	s := newStrongBench(t, signingClient())
	number := func(_, c map[string]any) {
		c["max_age"] = 60
		c["claims"] = map[string]any{"userinfo": map[string]any{}}
	}
	for name, edit := range map[string]edit{
		"as it should be": func(_, _ map[string]any) {},
		"aud in an array": func(_, c map[string]any) { c["aud"] = []string{issuer} },
		"typ JWT":         func(h, _ map[string]any) { h["typ"] = "JWT" },
		"no typ, no nbf":  func(h, c map[string]any) { delete(h, "typ"); delete(c, "nbf") },
		"PS256":           func(h, _ map[string]any) { h["alg"], h["kid"] = "PS256", "key-PS256" },
		"not all strings": number,
	} {
		object := s.object(s.request(), edit)
		outside := url.Values{"client_id": {"app"}, "request": {object}, "state": {"forged"}, "scope": {"email"}, "redirect_uri": {"https://evil.example.test/"}}
		_, query := s.authorize(outside)
		if query.Get("state") != "the-state" || payload(t, s.mustRedeem(query.Get("code"))["id_token"])["nonce"] != "the-nonce" {
			t.Errorf("%s: got %v", name, query)
		}
		_, query = s.authorize(s.push(url.Values{"request": {object}}))
		if query.Get("state") != "the-state" {
			t.Errorf("%s, pushed: got %v", name, query)
		}
		s.mustRedeem(query.Get("code"))
	}
	_, query := s.authorize(url.Values{"client_id": {"app"}, "request": {s.object(s.request(), func(_, c map[string]any) { delete(c, "state"); c["max_age"] = "x" })}, "state": {"the-state"}})
	if query.Get("error") != "invalid_request" || query.Has("state") {
		t.Errorf("an invalid request: got %v", query)
	}
}

// A request object that breaks one rule fails, at either endpoint.
func TestRequestObjectRules(t *testing.T) {
	t.Parallel()
	claim := func(name string, value any) edit {
		return func(_, c map[string]any) {
			if c[name] = value; value == nil {
				delete(c, name)
			}
		}
	}
	later := func(name string, d time.Duration) edit {
		return func(_, c map[string]any) { c[name] = c["iat"].(int64) + int64(d/time.Second) }
	}
	for name, edit := range map[string]edit{
		"iss of another client":       claim("iss", "other"),
		"no iss":                      claim("iss", nil),
		"client_id of another client": claim("client_id", "other"),
		"no client_id":                claim("client_id", nil),
		"aud is another issuer":       claim("aud", issuer+"/"),
		"aud has another issuer":      claim("aud", []string{issuer, "https://other.example.test"}),
		"no aud":                      claim("aud", nil),
		"no exp":                      claim("exp", nil),
		"exp is over":                 later("exp", 0),
		"nbf is old":                  later("nbf", -time.Hour-time.Second),
		"nbf in the future":           later("nbf", 61*time.Second),
		"nbf is a string":             claim("nbf", "1"),
		"another request inside":      claim("request", "x"),
		"another address inside":      claim("request_uri", "urn:x"),
		"another key":                 func(h, _ map[string]any) { h["key"] = "other" },
		"kid of another key":          func(h, _ map[string]any) { h["kid"] = "key-PS256" },
		"not signed":                  func(h, _ map[string]any) { h["alg"] = "none" },
		"signed with a secret":        func(h, _ map[string]any) { h["alg"], h["secret"] = "HS256", "x" },
		"the typ of an assertion":     func(h, _ map[string]any) { h["typ"] = "client-authentication+jwt" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStrongBench(t, signingClient())
			object := s.object(s.request(), edit)
			if status, got := s.authorize(url.Values{"client_id": {"app"}, "request": {object}}); status != http.StatusBadRequest || len(got) != 0 {
				t.Errorf("got %d %v", status, got)
			}
			s.send(logintest.PAR, url.Values{"request": {object}}).refused(t, 400, "invalid_request_object")
		})
	}
}

func TestSignedRequestsAreDemanded(t *testing.T) {
	t.Parallel()
	s := newStrongBench(t, signingClient())
	object := s.object(s.request())
	twice := url.Values{"client_id": {"app"}, "request": {object, object}}
	outside := s.object(s.request(), func(_, c map[string]any) { c["redirect_uri"] = callback + "/" })
	for name, request := range map[string]url.Values{
		"plain": s.request(), "twice": twice, "another redirect_uri": {"client_id": {"app"}, "request": {outside}},
		"another client's": {"client_id": {"other"}, "request": {object}},
	} {
		if status, got := s.authorize(request); status != http.StatusBadRequest || len(got) != 0 {
			t.Errorf("%s: got %d %v", name, status, got)
		}
	}
	s.send(logintest.PAR, s.request()).refused(t, 400, "invalid_request")
	s.send(logintest.PAR, url.Values{"request": {object}, "state": {"the-state"}}).refused(t, 400, "invalid_request")
	s.send(logintest.PAR, url.Values{"request": {outside}}).refused(t, 400, "invalid_request")
}

// No request object is accepted that the client's key has not signed for this
// issuer.
func FuzzRequestObject(f *testing.F) {
	s := newStrongBench(&testing.T{}, signingClient())
	f.Add(s.object(s.request(), func(_, c map[string]any) { c["aud"] = "https://other.example.test" }))
	f.Add(s.object(s.request(), func(h, _ map[string]any) { h["key"] = "other" }))
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, object string) {
		s := newStrongBench(t, signingClient())
		if status, got := s.authorize(url.Values{"client_id": {"app"}, "request": {object}}); status != http.StatusBadRequest {
			t.Errorf("got %d %v", status, got)
		}
	})
}
