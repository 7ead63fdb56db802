package logintest_test

import (
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
)

const shortSecret = "short"

// methods are a client for each method of authentication.
func methods() map[string]logintest.Client {
	return map[string]logintest.Client{
		"private_key_jwt":     keyClient(nil),
		"client_secret_jwt":   {AuthMethod: "client_secret_jwt", Secret: shortSecret},
		"client_secret_post":  {AuthMethod: "client_secret_post", Secret: shortSecret},
		"client_secret_basic": {AuthMethod: "client_secret_basic", Secret: shortSecret},
		"none":                {AuthMethod: "none"},
	}
}

// Each client can use its method, and no other, at each endpoint.
func TestTheRegisteredMethodOnly(t *testing.T) {
	t.Parallel()
	for registered, client := range methods() {
		for used := range methods() {
			t.Run(registered+" registered, "+used+" used", func(t *testing.T) {
				t.Parallel()
				s := newStrongBench(t, client)
				_, query := s.authorize(s.request())
				for endpoint, form := range map[logintest.Endpoint]url.Values{
					logintest.PAR: s.request(), logintest.Revocation: {"token": {"x"}}, logintest.Token: s.form(query.Get("code")),
				} {
					form.Set("client_id", "app")
					r, err := http.NewRequest("POST", issuer+string(endpoint), nil)
					if err != nil {
						t.Fatal(err)
					}
					r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
					user := *s
					user.bench = &bench{client: methods()[used]}
					if used == "client_secret_basic" {
						r.SetBasicAuth("app", shortSecret)
					} else {
						form = user.authenticated(form)
					}
					r.Body = io.NopCloser(strings.NewReader(form.Encode()))
					got := s.do(r)
					if registered != used {
						got.refused(t, 401, "invalid_client")
					} else if got.status >= 300 {
						t.Errorf("%s: got %d %v", endpoint, got.status, got.body)
					}
				}
			})
		}
	}
}

// An assertion that breaks one rule authenticates no client, and uses nothing up.
func TestAssertionRules(t *testing.T) {
	t.Parallel()
	claim := func(name string, value any) edit {
		return func(_, claims map[string]any) {
			if claims[name] = value; value == nil {
				delete(claims, name)
			}
		}
	}
	in := func(s *strongBench, d time.Duration) int64 { return s.now.Add(d).Unix() }
	for _, test := range []struct {
		name string
		edit func(s *strongBench) edit
	}{
		{"iss of another client", func(*strongBench) edit { return claim("iss", "other") }},
		{"no iss", func(*strongBench) edit { return claim("iss", nil) }},
		{"sub of another client", func(*strongBench) edit { return claim("sub", "other") }},
		{"no sub", func(*strongBench) edit { return claim("sub", nil) }},
		{"aud is the token endpoint", func(*strongBench) edit { return claim("aud", issuer+"/token") }},
		{"aud is an array", func(*strongBench) edit { return claim("aud", []string{issuer}) }},
		{"aud with a slash", func(*strongBench) edit { return claim("aud", issuer+"/") }},
		{"no aud", func(*strongBench) edit { return claim("aud", nil) }},
		{"no exp", func(*strongBench) edit { return claim("exp", nil) }},
		{"exp is a string", func(s *strongBench) edit { return claim("exp", fmt.Sprint(in(s, time.Minute))) }},
		{"exp is over", func(s *strongBench) edit { return claim("exp", in(s, 0)) }},
		{"exp in an hour", func(s *strongBench) edit { return claim("exp", in(s, time.Hour)) }},
		{"no iat", func(*strongBench) edit { return claim("iat", nil) }},
		{"iat in the future", func(s *strongBench) edit { return claim("iat", in(s, 2*time.Minute)) }},
		{"iat long ago", func(s *strongBench) edit { return claim("iat", in(s, -time.Hour)) }},
		{"nbf in the future", func(s *strongBench) edit { return claim("nbf", in(s, 2*time.Minute)) }},
		{"nbf is no number", func(*strongBench) edit { return claim("nbf", "now") }},
		{"no jti", func(*strongBench) edit { return claim("jti", nil) }},
		{"jti is no string", func(*strongBench) edit { return claim("jti", 1) }},
		{"another key", func(*strongBench) edit { return func(h, _ map[string]any) { h["key"] = "other" } }},
		{"another key, no kid", func(*strongBench) edit {
			return func(h, _ map[string]any) { h["key"] = "other"; delete(h, "kid") }
		}},
		{"unknown kid", func(*strongBench) edit { return func(h, _ map[string]any) { h["kid"] = "x" } }},
		{"kid of another key", func(*strongBench) edit { return func(h, _ map[string]any) { h["kid"] = "key-PS256" } }},
		{"an algorithm that the key is not for", func(*strongBench) edit {
			return func(h, _ map[string]any) { h["alg"], h["kid"] = "RS256", "key-PS256" }
		}},
		{"not signed", func(*strongBench) edit { return func(h, _ map[string]any) { h["alg"] = "none" } }},
		{"signed with a public key as secret", func(*strongBench) edit {
			return func(h, _ map[string]any) { h["alg"], h["secret"] = "HS256", string(jwks("ES256")) }
		}},
		{"the typ of a DPoP proof", func(*strongBench) edit { return func(h, _ map[string]any) { h["typ"] = "dpop+jwt" } }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStrongBench(t, keyClient(nil))
			code := s.newCode()
			for endpoint, form := range map[logintest.Endpoint]url.Values{
				logintest.PAR: s.request(), logintest.Revocation: {"token": {"x"}}, logintest.Token: s.form(code),
			} {
				form := s.authenticated(form)
				form.Set("client_assertion", s.assertion("ES256", test.edit(s)))
				s.post(endpoint, form).refused(t, 401, "invalid_client")
			}
			s.mustRedeem(code)
		})
	}
}

func TestAssertionFormRules(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(url.Values){
		"another type":                func(f url.Values) { f.Set("client_assertion_type", "x") },
		"no type":                     func(f url.Values) { f.Del("client_assertion_type") },
		"a type only":                 func(f url.Values) { f.Del("client_assertion") },
		"client_id of another client": func(f url.Values) { f.Set("client_id", "other") },
		"with a secret":               func(f url.Values) { f.Set("client_secret", "") },
		"broken":                      func(f url.Values) { f.Set("client_assertion", f.Get("client_assertion")+"x") },
		"no assertion at all":         func(f url.Values) { f.Del("client_assertion"); f.Del("client_assertion_type") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStrongBench(t, keyClient(nil))
			code := s.newCode()
			form := s.authenticated(s.form(code))
			spoil(form)
			s.post(logintest.Token, form).refused(t, 401, "invalid_client")
			s.mustRedeem(code)
		})
	}
}

func TestAssertionsThatAreAccepted(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]edit{
		"PS256":             func(h, _ map[string]any) { h["alg"], h["kid"] = "PS256", "key-PS256" },
		"EdDSA":             func(h, _ map[string]any) { h["alg"], h["kid"] = "EdDSA", "key-EdDSA" },
		"no kid":            func(h, _ map[string]any) { delete(h, "kid") },
		"typ JWT":           func(h, _ map[string]any) { h["typ"] = "JWT" },
		"a typ of its own":  func(h, _ map[string]any) { h["typ"] = "client-authentication+jwt" },
		"exp in 5 minutes":  func(_, c map[string]any) { c["exp"] = c["iat"].(int64) + 300 },
		"a clock in future": func(_, c map[string]any) { c["iat"] = c["iat"].(int64) + 59; c["nbf"] = c["iat"] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStrongBench(t, keyClient(nil))
			form := s.authenticated(s.form(s.newCode()))
			form.Set("client_assertion", s.assertion("ES256", edit))
			form.Del("client_id")
			if got := s.post(logintest.Token, form); got.status != 200 {
				t.Errorf("got %d %v", got.status, got.body)
			}
		})
	}
}

// An assertion is for one request, also if that was refused.
func TestAssertionsAreUsedOnce(t *testing.T) {
	t.Parallel()
	s := newStrongBench(t, keyClient(func(c *logintest.Client) { c.DPoPNonces, c.DPoP = true, true }))
	code := s.newCode()
	form := s.authenticated(s.form(code))
	s.post(logintest.Token, form, s.proof("POST", issuer+"/token", "")).refused(t, 400, "use_dpop_nonce")
	s.post(logintest.Token, form, s.proof("POST", issuer+"/token", "")).refused(t, 401, "invalid_client")
	s.now = s.now.Add(59 * time.Second)
	s.post(logintest.Token, form, s.proof("POST", issuer+"/token", "")).refused(t, 401, "invalid_client")
	s.mustRedeem(code)
}

// The provider reads a JWKS each time, so that keys can be rotated.
func TestKeysURI(t *testing.T) {
	t.Parallel()
	client := keyClient(func(c *logintest.Client) { c.Keys, c.KeysURI = nil, "https://app.example.test/jwks" })
	s := newStrongBench(t, client)
	published := jwks("PS256")
	s.provider.Outbound = logintest.InMemory(map[string]http.Handler{"https://app.example.test": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if published == nil {
			w.WriteHeader(http.StatusInternalServerError)
		}
		w.Write(published)
	})})
	code := s.newCode()
	s.send(logintest.Token, s.form(code)).refused(t, 401, "invalid_client")
	published = nil
	s.send(logintest.Token, s.form(code)).refused(t, 401, "invalid_client")
	published = jwks("PS256", "ES256")
	s.mustRedeem(code)
	s.provider.Outbound = nil
	s.send(logintest.Token, s.form(code)).refused(t, 401, "invalid_client")
}

func TestClientsThatCannotBe(t *testing.T) {
	t.Parallel()
	private := []byte(`{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`)
	for name, client := range map[string]logintest.Client{
		"unknown method":         {AuthMethod: "password"},
		"a secret and a method":  {AuthMethod: "private_key_jwt", Keys: jwks("ES256"), Secret: "x"},
		"no secret":              {AuthMethod: "client_secret_basic"},
		"no keys":                {AuthMethod: "private_key_jwt"},
		"keys that are no JSON":  {Keys: []byte("x")},
		"keys that are none":     {Keys: []byte(`{"keys":[]}`)},
		"keys that are secret":   {Keys: private},
		"a public client's word": {AuthMethod: "none", Secret: "x"},
		"signed with a secret":   {SigningAlg: "HS256"},
		"no certificate":         {AuthMethod: "tls_client_auth"},
		"a useless certificate":  {Certificates: []*x509.Certificate{{}}},
		"FAPI2 with a secret":    {FAPI2: true, AuthMethod: "client_secret_basic", Secret: "x"},
		"FAPI2 in public":        {FAPI2: true},
		"FAPI2 with RS256":       {FAPI2: true, AuthMethod: "private_key_jwt", Keys: jwks("ES256"), SigningAlg: "RS256"},
		"RSA1_5":                 {EncryptIDToken: logintest.Encryption{Alg: "RSA1_5", Enc: "A256GCM"}},
		"no enc":                 {EncryptUserInfo: logintest.Encryption{Alg: "ECDH-ES"}},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("accepted")
				}
			}()
			logintest.NewProvider(issuer, client)
		})
	}
}

// No assertion is accepted that the client's key has not signed for this issuer.
func FuzzAssertion(f *testing.F) {
	s := newStrongBench(&testing.T{}, keyClient(nil))
	f.Add(s.assertion("ES256", func(_, c map[string]any) { c["aud"] = "https://other.example.test" }))
	f.Add(s.assertion("ES256", func(h, _ map[string]any) { h["key"] = "other" }))
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, assertion string) {
		s := newStrongBench(t, keyClient(nil))
		form := s.authenticated(s.request())
		form.Set("client_assertion", assertion)
		s.post(logintest.PAR, form).refused(t, 401, "invalid_client")
	})
}

// A registered key without a kid verifies whatever kid a token names.
func TestKeysWithoutKid(t *testing.T) {
	t.Parallel()
	s := newStrongBench(t, keyClient(func(c *logintest.Client) { c.Keys = []byte(`{"keys":[` + publicKey("ES256", "", "") + `]}`) }))
	s.login()
}
