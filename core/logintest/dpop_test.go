package logintest_test

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core/logintest"
)

const api = "https://api.example.test/accounts"

func dpopClient(change func(*logintest.Client)) logintest.Client {
	return keyClient(func(c *logintest.Client) {
		if c.DPoP = true; change != nil {
			change(c)
		}
	})
}

// serveAPI mounts a resource server beside the provider.
func (s *strongBench) serveAPI() {
	s.http.Transport = logintest.InMemory(map[string]http.Handler{
		issuer: s.provider,
		"https://api.example.test": s.provider.Protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Write([]byte(`{"sub":"the API"}`))
		})),
	}).Transport
}

// resource sends a request with an access token.
func (s *strongBench) resource(at, scheme, access string, proofs ...string) answer {
	s.t.Helper()
	r, err := http.NewRequest("GET", at, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", scheme+" "+access)
	for _, proof := range proofs {
		r.Header.Add("DPoP", proof)
	}
	return s.do(r)
}

func TestDPoPLogin(t *testing.T) {
	t.Parallel()
	for name, client := range map[string]logintest.Client{
		"confidential":           dpopClient(nil),
		"public":                 {DPoP: true},
		"nonces":                 dpopClient(func(c *logintest.Client) { c.DPoPNonces = true }),
		"nonces, public, pushed": {DPoP: true, DPoPNonces: true, RequirePAR: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStrongBench(t, client)
			s.serveAPI()
			tokens := s.login()
			again := s.send(logintest.Token, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens["refresh_token"].(string)}})
			if again.status != http.StatusOK {
				t.Fatalf("refresh: got %d %v", again.status, again.body)
			}
			for _, tokens := range []map[string]any{tokens, again.body} {
				access := tokens["access_token"].(string)
				if tokens["token_type"] != "DPoP" {
					t.Errorf("got %v", tokens)
				}
				for _, at := range []string{issuer + "/userinfo", api} {
					got := s.resource(at, "DPoP", access, s.proof("GET", at, access))
					if client.DPoPNonces && got.status == http.StatusUnauthorized { // once for each server
						if challenge := got.header.Get("WWW-Authenticate"); !strings.HasPrefix(challenge, `DPoP error="use_dpop_nonce"`) {
							t.Errorf("got %s", challenge)
						}
						got = s.resource(at, "dpop", access, s.proof("GET", at, access))
					}
					if got.body["sub"] == nil {
						t.Errorf("%s: got %d %v", at, got.status, got.header)
					}
					s.notFor(at, "Bearer", access)
					s.notFor(at, "Bearer", access, s.proof("GET", at, access))
					s.notFor(at, "DPoP", access)
				}
			}
		})
	}
}

func (s *strongBench) notFor(at, scheme, access string, proofs ...string) {
	s.t.Helper()
	got := s.resource(at, scheme, access, proofs...)
	if got.status != http.StatusUnauthorized || got.body != nil || !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "DPoP error=") {
		s.t.Errorf("%s with %s: got %d %v", at, scheme, got.status, got.header)
	}
}

// Each rule of proofs holds at the token endpoint, at the PAR endpoint and at
// resources. A proof that breaks it uses nothing up.
func TestProofRules(t *testing.T) {
	t.Parallel()
	drop := func(name string) edit { return func(_, c map[string]any) { delete(c, name) } }
	claim := func(name string, value any) edit { return func(_, c map[string]any) { c[name] = value } }
	later := func(d time.Duration) edit {
		return func(_, c map[string]any) { c["iat"] = c["iat"].(int64) + int64(d/time.Second) }
	}
	for _, test := range []struct {
		name string
		edit edit
	}{
		{"typ JWT", func(h, _ map[string]any) { h["typ"] = "JWT" }},
		{"no typ", func(h, _ map[string]any) { delete(h, "typ") }},
		{"no jwk", func(h, _ map[string]any) { delete(h, "jwk") }},
		{"jwk is private", func(h, _ map[string]any) { h["jwk"] = jose.JSONWebKey{Key: strongKeys()["ES256"]} }},
		{"jwk is another key", func(h, _ map[string]any) { h["key"] = "other" }},
		{"not signed", func(h, _ map[string]any) { h["alg"] = "none" }},
		{"signed with a secret", func(h, _ map[string]any) { h["alg"], h["secret"] = "HS256", "x" }},
		{"another method", claim("htm", "PUT")},
		{"method in lower case", func(_, c map[string]any) { c["htm"] = strings.ToLower(c["htm"].(string)) }},
		{"no method", drop("htm")},
		{"another URL", claim("htu", issuer+"/revoke")},
		{"URL with a query", func(_, c map[string]any) { c["htu"] = c["htu"].(string) + "?x=1" }},
		{"no URL", drop("htu")},
		{"no jti", drop("jti")},
		{"no iat", drop("iat")},
		{"too old", later(-61 * time.Second)},
		{"in the future", later(61 * time.Second)},
		{"ath of another token, or needless", claim("ath", "x")},
		{"jti used", claim("jti", "used")},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newStrongBench(t, dpopClient(nil))
			s.serveAPI()
			access := s.login()["access_token"].(string)
			code := s.newCode()
			edit := test.edit
			s.post(logintest.PAR, s.authenticated(s.request()), s.proof("POST", issuer+"/par", "", claim("jti", "used")))
			s.post(logintest.Token, s.authenticated(s.form(code)), s.proof("POST", issuer+"/token", "", edit)).refused(t, 400, "invalid_dpop_proof")
			s.post(logintest.PAR, s.authenticated(s.request()), s.proof("POST", issuer+"/par", "", edit)).refused(t, 400, "invalid_dpop_proof")
			for _, at := range []string{issuer + "/userinfo", api} {
				s.notFor(at, "DPoP", access, s.proof("GET", at, access, edit))
			}
			s.mustRedeem(code)
		})
	}
}

func TestProofsAreDemanded(t *testing.T) {
	t.Parallel()
	s := newStrongBench(t, dpopClient(nil))
	code := s.newCode()
	proof := func() string { return s.proof("POST", issuer+"/token", "") }
	s.post(logintest.Token, s.authenticated(s.form(code))).refused(t, 400, "invalid_dpop_proof")
	s.post(logintest.Token, s.authenticated(s.form(code)), proof(), proof()).refused(t, 400, "invalid_dpop_proof")
	s.post(logintest.Token, s.authenticated(s.form(code)), proof()+", "+proof()).refused(t, 400, "invalid_dpop_proof")
	s.post(logintest.Token, s.authenticated(s.form(code)), "").refused(t, 400, "invalid_dpop_proof")
	tokens := s.mustRedeem(code)
	refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens["refresh_token"].(string)}}
	s.post(logintest.Token, s.authenticated(refresh)).refused(t, 400, "invalid_dpop_proof")
	if s.provider.Refreshes() != 0 || s.provider.Reused() != 0 {
		t.Error("used up")
	}
}

// A resource's proof needs ath, and a token of a client without DPoP is no DPoP
// token.
func TestProofsForOtherTokens(t *testing.T) {
	t.Parallel()
	s := newStrongBench(t, dpopClient(nil))
	access, other := s.login()["access_token"].(string), s.login()["access_token"].(string)
	at := issuer + "/userinfo"
	s.notFor(at, "DPoP", access, s.proof("GET", at, ""))
	s.notFor(at, "DPoP", access, s.proof("GET", at, other))
	another := func(h, _ map[string]any) {
		h["jwk"], h["key"] = jose.JSONWebKey{Key: strongKeys()["other"].Public()}, "other"
	}
	s.notFor(at, "DPoP", access, s.proof("GET", at, access, another))
	bearer := newStrongBench(t, keyClient(nil))
	access = bearer.login()["access_token"].(string)
	bearer.notFor(at, "DPoP", access, bearer.proof("GET", at, access))
	if got := bearer.resource(at, "Bearer", access); got.status != http.StatusOK {
		t.Errorf("got %d", got.status)
	}
}

// Codes, and the refresh tokens of public clients, are bound to a key.
func TestKeysAreBound(t *testing.T) {
	t.Parallel()
	another := func(h, _ map[string]any) {
		h["jwk"], h["key"] = jose.JSONWebKey{Key: strongKeys()["other"].Public()}, "other"
	}
	at := issuer + "/token"
	for name, begin := range map[string]func(s *strongBench) url.Values{
		"dpop_jkt": func(s *strongBench) url.Values {
			request := s.request()
			request.Set("dpop_jkt", thumbprint("ES256"))
			return request
		},
		"pushed dpop_jkt": func(s *strongBench) url.Values {
			request := s.authenticated(s.request())
			request.Set("dpop_jkt", thumbprint("ES256"))
			return url.Values{"client_id": {"app"}, "request_uri": {s.post(logintest.PAR, request).body["request_uri"].(string)}}
		},
		"pushed with a proof": func(s *strongBench) url.Values { return s.push(s.request()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStrongBench(t, dpopClient(nil))
			_, query := s.authorize(begin(s))
			s.post(logintest.Token, s.authenticated(s.form(query.Get("code"))), s.proof("POST", at, "", another)).refused(t, 400, "invalid_grant")
			_, query = s.authorize(begin(s))
			s.mustRedeem(query.Get("code"))
		})
	}
	t.Run("dpop_jkt of another key than the proof's", func(t *testing.T) {
		t.Parallel()
		s := newStrongBench(t, dpopClient(nil))
		request := s.request()
		request.Set("dpop_jkt", thumbprint("other"))
		s.send(logintest.PAR, request).refused(t, 400, "invalid_dpop_proof")
	})
	for name, client := range map[string]logintest.Client{"public": {DPoP: true}, "confidential": dpopClient(nil)} {
		t.Run("refresh token, "+name, func(t *testing.T) {
			t.Parallel()
			s := newStrongBench(t, client)
			form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {s.login()["refresh_token"].(string)}}
			got := s.post(logintest.Token, s.authenticated(form), s.proof("POST", at, "", another))
			if name == "confidential" {
				if got.status != http.StatusOK {
					t.Errorf("got %d %v", got.status, got.body)
				}
				return
			}
			got.refused(t, 400, "invalid_grant")
			if got := s.send(logintest.Token, form); got.status != http.StatusOK {
				t.Errorf("with the right key: got %d %v", got.status, got.body)
			}
		})
	}
}

// Each server has its own nonces, which change and expire.
func TestNonces(t *testing.T) {
	t.Parallel()
	s := newStrongBench(t, dpopClient(func(c *logintest.Client) { c.DPoPNonces = true }))
	s.serveAPI()
	access := s.login()["access_token"].(string)
	first := maps.Clone(s.nonces)
	for _, at := range []string{issuer + "/userinfo", api} {
		s.nonces[at] = first[issuer+"/token"]
		s.notFor(at, "DPoP", access, s.proof("GET", at, access))
		if got := s.resource(at, "DPoP", access, s.proof("GET", at, access)); got.status != http.StatusOK {
			t.Errorf("got %d", got.status)
		}
	}
	if s.nonces[api] == s.nonces[issuer+"/userinfo"] || s.nonces[api] == first[issuer+"/token"] {
		t.Error("servers share nonces")
	}
	code := s.newCode()
	form := func() url.Values { return s.authenticated(s.form(code)) }
	for name, nonce := range map[string]string{"none": "", "of another server": s.nonces[api], "made up": "x"} {
		s.nonces[issuer+"/token"] = nonce
		got := s.post(logintest.Token, form(), s.proof("POST", issuer+"/token", ""))
		if got.refused(t, 400, "use_dpop_nonce"); got.header.Get("DPoP-Nonce") != first[issuer+"/token"] {
			t.Errorf("%s: got %v", name, got.header)
		}
	}
	s.mustRedeem(code)
	old := s.nonces[issuer+"/token"]
	s.now = s.now.Add(time.Minute)
	code = s.newCode()
	if got := s.send(logintest.Token, s.form(code)); got.status != http.StatusOK || s.nonces[issuer+"/token"] == old {
		t.Errorf("the next minute: got %d and the nonce %q", got.status, s.nonces[issuer+"/token"])
	}
	s.now = s.now.Add(time.Minute)
	code, s.nonces[issuer+"/token"] = s.newCode(), old
	s.post(logintest.Token, form(), s.proof("POST", issuer+"/token", "")).refused(t, 400, "use_dpop_nonce")
	s.mustRedeem(code)
}

// A proof that nobody demands is still checked, and binds.
func TestProofsAreOptional(t *testing.T) {
	t.Parallel()
	s := newStrongBench(t, logintest.Client{})
	got := s.post(logintest.Token, s.form(s.newCode()), s.proof("POST", issuer+"/token", ""))
	if got.body["token_type"] != "DPoP" {
		t.Errorf("got %v", got.body)
	}
	s.post(logintest.Token, s.form(s.newCode()), s.proof("POST", issuer+"/token", "", func(_, c map[string]any) { c["nonce"] = "x" })).refused(t, 400, "use_dpop_nonce")
}
