package logintest_test

import (
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core/logintest"
)

func fapiClient(change func(*logintest.Client)) logintest.Client {
	return keyClient(func(c *logintest.Client) {
		c.FAPI2, c.DPoP, c.DPoPNonces, c.RequirePAR = true, true, true, true // the last are for the bench
		if change != nil {
			change(c)
		}
	})
}

// A client that follows the profile logs in.
func TestProfile(t *testing.T) {
	t.Parallel()
	certificate := newCertificate(t, "app").Leaf
	details := `[{"type":"payment","amount":"1.00"}]`
	for _, alg := range []jose.SignatureAlgorithm{"", "PS256", "ES256", "EdDSA"} {
		for name, client := range map[string]logintest.Client{
			"private_key_jwt, DPoP": fapiClient(nil),
			"private_key_jwt, mTLS": fapiClient(func(c *logintest.Client) { c.DPoP, c.CertificateBound = false, true }),
			"mTLS, DPoP": fapiClient(func(c *logintest.Client) {
				c.AuthMethod, c.Certificates = "tls_client_auth", []*x509.Certificate{certificate}
			}),
			"signed messages": fapiClient(func(c *logintest.Client) { c.RequireSignedRequest, c.RequireSignedResponse = true, true }),
			"details":         fapiClient(func(c *logintest.Client) { c.AuthorizationDetailsTypes = []string{"payment"} }),
		} {
			t.Run(name+" "+string(alg), func(t *testing.T) {
				t.Parallel()
				client.SigningAlg = string(alg)
				client.Scope = "openid profile email offline_access"
				s := newStrongBench(t, client)
				s.present(certificate)
				want := alg
				if alg == "" {
					want = jose.ES256
				}
				request := s.request()
				if name == "details" {
					request.Set("authorization_details", details)
				}
				if client.RequireSignedResponse {
					request.Set("response_mode", "jwt")
					request = url.Values{"request": {s.object(request)}}
				}
				_, query := s.authorize(s.push(request))
				code := query.Get("code")
				if client.RequireSignedResponse {
					code, _ = s.verified(query.Get("response"), want)["code"].(string)
				} else if query.Get("iss") != issuer {
					t.Errorf("got %v", query)
				}
				tokens := s.mustRedeem(code)
				s.verified(tokens["id_token"].(string), want)
				if got, _ := json.Marshal(tokens["authorization_details"]); name == "details" && string(got) != `[{"amount":"1.00","type":"payment"}]` {
					t.Errorf("got %s", got)
				}
				refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens["refresh_token"].(string)}}
				for range 2 {
					if got := s.send(logintest.Token, refresh); got.status != http.StatusOK || got.body["refresh_token"] != nil {
						t.Errorf("refresh: got %d %v", got.status, got.body)
					}
				}
			})
		}
	}
}

// Each part of the profile is demanded by FAPI2 alone.
func TestProfileRules(t *testing.T) {
	t.Parallel()
	rs256 := func(h, _ map[string]any) { h["alg"] = "RS256"; delete(h, "kid") }
	profile := keyClient(func(c *logintest.Client) { c.FAPI2, c.Keys = true, jwks("ES256", "RS256") })
	s := newStrongBench(t, profile)
	if status, got := s.authorize(s.request()); status != http.StatusBadRequest || len(got) != 0 {
		t.Errorf("not pushed: got %d %v", status, got)
	}
	code := func() string {
		_, query := s.authorize(s.push(s.request()))
		return query.Get("code")
	}
	form := func() url.Values { return s.authenticated(s.form(code())) }
	at := issuer + "/token"
	s.post(logintest.Token, form()).refused(t, 400, "invalid_dpop_proof")
	s.post(logintest.Token, form(), s.proof("POST", at, "", func(h, _ map[string]any) {
		h["alg"], h["jwk"] = "RS256", jose.JSONWebKey{Key: strongKeys()["RS256"].Public()}
	})).refused(t, 400, "invalid_dpop_proof")
	weak := form()
	weak.Set("client_assertion", s.assertion("ES256", rs256))
	s.post(logintest.Token, weak, s.proof("POST", at, "")).refused(t, 401, "invalid_client")
	long := func(_, c map[string]any) { c["exp"] = s.now.Add(time.Hour + time.Second).Unix() }
	for name, edit := range map[string]edit{
		"RS256": rs256, "no nbf": func(_, c map[string]any) { delete(c, "nbf") }, "valid for more than an hour": long,
	} {
		got := s.send(logintest.PAR, url.Values{"request": {s.object(s.request(), edit)}})
		if got.refused(t, 400, "invalid_request_object"); t.Failed() {
			t.Fatal(name)
		}
	}
	s.push(url.Values{"request": {s.object(s.request())}})
	if got := s.post(logintest.Token, form(), s.proof("POST", at, "")); got.status != http.StatusOK {
		t.Errorf("got %d %v", got.status, got.body)
	}
	bound := newStrongBench(t, keyClient(func(c *logintest.Client) { c.FAPI2, c.CertificateBound = true, true }))
	_, query := bound.authorize(bound.push(bound.request()))
	bound.send(logintest.Token, bound.form(query.Get("code"))).refused(t, 400, "invalid_request")
	// The same are accepted of a client that is not under the profile.
	s = newStrongBench(t, keyClient(func(c *logintest.Client) { c.Keys = jwks("ES256", "RS256") }))
	weak = s.authenticated(url.Values{"request": {s.object(s.request(), rs256, func(_, c map[string]any) { delete(c, "nbf") }, long)}})
	weak.Set("client_assertion", s.assertion("ES256", rs256))
	if got := s.post(logintest.PAR, weak); got.status != http.StatusCreated {
		t.Errorf("without FAPI2: got %d %v", got.status, got.body)
	}
}

// Each kid is also that of a key of another type.
func TestDecoys(t *testing.T) {
	t.Parallel()
	s := newStrongBench(t, fapiClient(nil))
	response, err := s.http.Get(issuer + string(logintest.JWKS))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var set struct {
		Keys []struct{ Kid, Kty, Alg string } `json:"keys"`
	}
	if err := json.NewDecoder(response.Body).Decode(&set); err != nil {
		t.Fatal(err)
	}
	types := make(map[string]map[string]bool)
	for _, key := range set.Keys {
		if types[key.Kid] == nil {
			types[key.Kid] = make(map[string]bool)
		}
		types[key.Kid][key.Kty] = true
	}
	for kid, kinds := range types {
		if len(kinds) != 2 {
			t.Errorf("%s: got %v", kid, kinds)
		}
	}
}

func TestProfileMetadata(t *testing.T) {
	t.Parallel()
	s := newStrongBench(t, fapiClient(func(c *logintest.Client) { c.AuthorizationDetailsTypes = []string{"payment"} }))
	s.client.ID = "app"
	s.provider = logintest.NewProvider(issuer, s.client)
	s.http.Transport = s.provider.HTTPClient().Transport
	got := s.metadata()
	const algs = "[PS256 ES256 EdDSA]"
	for name, want := range map[string]string{
		"token_endpoint_auth_signing_alg_values_supported": algs, "dpop_signing_alg_values_supported": algs,
		"id_token_signing_alg_values_supported": algs, "request_object_signing_alg_values_supported": algs, "authorization_signing_alg_values_supported": algs,
		"require_pushed_authorization_requests": "true", "tls_client_certificate_bound_access_tokens": "false",
		"authorization_details_types_supported": "[payment]", "code_challenge_methods_supported": "[S256]", "authorization_response_iss_parameter_supported": "true",
	} {
		if got := fmt.Sprint(got[name]); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	aliases, _ := got["mtls_endpoint_aliases"].(map[string]any)
	if aliases["token_endpoint"] != issuer+"/token" {
		t.Errorf("got %v", aliases)
	}
}

func TestAuthorizationDetailsRules(t *testing.T) {
	t.Parallel()
	for name, details := range map[string]string{
		"another type": `[{"type":"x"}]`, "one of another type": `[{"type":"payment"},{"type":"x"}]`, "no type": `[{}]`,
		"no array": `{"type":"payment"}`, "empty": `[]`, "null": `null`, "nothing": ``, "no JSON": `[`,
	} {
		s := newStrongBench(t, keyClient(func(c *logintest.Client) { c.AuthorizationDetailsTypes = []string{"payment"} }))
		request := s.request()
		request.Set("authorization_details", details)
		if _, got := s.authorize(request); got.Get("error") != "invalid_authorization_details" || got.Has("code") {
			t.Errorf("%s: got %v", name, got)
		}
		s.send(logintest.PAR, request).refused(t, 400, "invalid_authorization_details")
	}
}

func TestScopeRule(t *testing.T) {
	t.Parallel()
	s := newStrongBench(t, keyClient(func(c *logintest.Client) { c.Scope = "openid email" }))
	for _, scope := range []string{"openid", "email openid", "openid email profile", ""} {
		request := s.request()
		request.Set("scope", scope)
		if _, got := s.authorize(request); got.Get("error") != "invalid_scope" || got.Has("code") {
			t.Errorf("%q: got %v", scope, got)
		}
	}
	request := s.request()
	request.Set("scope", "openid email")
	if _, got := s.authorize(request); !got.Has("code") {
		t.Errorf("got %v", got)
	}
}

// Faults.Header reaches the responses of all servers.
func TestHeaderIsEdited(t *testing.T) {
	t.Parallel()
	s := newStrongBench(t, dpopClient(func(c *logintest.Client) { c.DPoPNonces = true }))
	s.serveAPI()
	access := s.login()["access_token"].(string)
	s.provider.Misbehave(logintest.Faults{Header: func(e logintest.Endpoint, status int, header http.Header) {
		header.Set("Seen", fmt.Sprintf("%s %d", e, status))
		header.Del("DPoP-Nonce")
		if status == http.StatusUnauthorized {
			header.Set("WWW-Authenticate", `dPoP error="use_dpop_nonce"`)
		}
	}})
	clear(s.nonces)
	for at, want := range map[string]string{issuer + "/userinfo": "/userinfo 401", api: " 401"} {
		got := s.resource(at, "DPoP", access, s.proof("GET", at, access))
		if got.header.Get("Seen") != want || got.header.Get("DPoP-Nonce") != "" || got.header.Get("WWW-Authenticate") != `dPoP error="use_dpop_nonce"` {
			t.Errorf("%s: got %v", at, got.header)
		}
	}
	got := s.post(logintest.Token, s.authenticated(s.form(s.newCode())), s.proof("POST", issuer+"/token", ""))
	if got.refused(t, 400, "use_dpop_nonce"); got.header.Get("Seen") != "/token 400" || got.header.Get("DPoP-Nonce") != "" {
		t.Errorf("got %v", got.header)
	}
}
