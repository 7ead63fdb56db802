package provider

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/internal/hostile"
)

// answering returns a client that gets body as every response.
func answering(body []byte) *http.Client {
	return NewClient(&http.Client{Transport: hostile.RoundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: http.StatusOK, Request: r, Header: make(http.Header), Body: io.NopCloser(bytes.NewReader(body)),
		}, nil
	})})
}

// Accepted metadata sends the browser to the endpoint that it names, with each parameter
// of this library once. The client secret is sent over https only.
func FuzzMetadata(f *testing.F) {
	const issuer = "https://id.example.test"
	for _, seed := range []string{`{}`, `null`, `[]`, `{"issuer":"https://id.example.test"}`} {
		f.Add([]byte(seed))
	}
	for _, change := range [][2]string{
		{"issuer", `"https://id.example.test"`}, {"issuer", `"https://id.example.test/"`}, {"authorization_endpoint", `"https://a/b?x=1"`},
		{"authorization_endpoint", `"https://a/b?state=1"`}, {"authorization_endpoint", `"https://a/b?state=%zz;b"`}, {"authorization_endpoint", `"https://a/?"`},
		{"authorization_endpoint", `"https://a/#b"`}, {"authorization_endpoint", `"https://a\\@b/"`}, {"token_endpoint", `"http://127.0.0.1/"`}, {"token_endpoint", `"https://a@b/"`},
		{"jwks_uri", `"https:///j"`}, {"userinfo_endpoint", `"javascript:1"`}, {"end_session_endpoint", `"https://a/?id_token_hint=1"`},
		{"code_challenge_methods_supported", `["plain"]`}, {"token_endpoint_auth_methods_supported", `["client_secret_post"]`},
		{"token_endpoint_auth_methods_supported", `["private_key_jwt"]`}, {"token_endpoint_auth_methods_supported", `["tls_client_auth","none"]`},
		{"mtls_endpoint_aliases", `{"token_endpoint":"https://mtls.example.test/t","userinfo_endpoint":""}`}, {"mtls_endpoint_aliases", `{"token_endpoint":"http://a/"}`}, {"mtls_endpoint_aliases", `[]`}, {"id_token_signing_alg_values_supported", `["none","HS256","ES256"]`},
	} {
		seed := map[string]json.RawMessage{
			"issuer": []byte(`"https://id.example.test"`), "authorization_endpoint": []byte(`"https://id.example.test/a"`),
			"token_endpoint": []byte(`"https://id.example.test/t"`), "jwks_uri": []byte(`"https://id.example.test/j"`),
		}
		seed[change[0]] = []byte(change[1])
		encoded, err := json.Marshal(seed)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encoded)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p := newOIDCProvider(Config{
			Issuer: issuer, ClientID: "app", Secret: func(context.Context) (string, error) { return "secret", nil }, Scopes: []string{"openid"},
			RedirectURL: "https://app.example.test/callback", Client: answering(body), Now: time.Now,
		})
		m, err := p.metadata.get(t.Context())
		if err != nil {
			return
		}
		for _, endpoint := range []string{m.AuthorizationEndpoint, m.TokenEndpoint, m.JWKSURI, m.UserInfoEndpoint, m.EndSessionEndpoint} {
			if u, err := url.Parse(endpoint); endpoint != "" && (err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.Fragment != "") {
				t.Fatalf("endpoint %q is accepted", endpoint)
			}
		}
		if m.authMethod != authSecretBasic && m.authMethod != authSecretPost {
			t.Fatalf("the client would authenticate by %q", m.authMethod)
		}
		algs := p.config.algorithms(m.SigningAlgs)
		for _, alg := range algs {
			if !slices.Contains(Asymmetric, alg) {
				t.Fatalf("algorithm %q is accepted", alg)
			}
		}
		if m.Issuer != issuer || len(algs) == 0 {
			t.Fatalf("issuer %q, algorithms %q", m.Issuer, algs)
		}
		checkAuthorizationURL(t, p, m)
		checkInternal(t, p.config)
		checkCertified(t, p.config)
	})
}

// checkInternal checks that accepted metadata of a provider with an InternalURL sends the
// browser elsewhere, and the application to no other place at the issuer's origin.
func checkInternal(t *testing.T, config Config) {
	t.Helper()
	config.InternalURL = "https://id.internal:8443"
	m, err := newOIDCProvider(config).metadata.get(t.Context())
	if err != nil {
		return
	}
	for _, endpoint := range []string{m.AuthorizationEndpoint, m.EndSessionEndpoint} {
		if originIn(endpoint) == config.InternalURL {
			t.Fatalf("the browser is sent to %q", endpoint)
		}
	}
	for _, endpoint := range []string{m.TokenEndpoint, m.JWKSURI, m.UserInfoEndpoint, m.RevocationEndpoint} {
		if err := CheckEndpoint(endpoint, NoPlainHTTP); endpoint != "" && (err != nil || originIn(endpoint) == originIn(config.Issuer)) {
			t.Fatalf("the application asks at %q: %v", endpoint, err)
		}
	}
}

// checkCertified checks that a client with a certificate does not use endpoints, or ways
// to authenticate, that it could not have without one.
func checkCertified(t *testing.T, config Config) {
	t.Helper()
	config.Certificate, config.Secret = noCert, nil
	m, err := newOIDCProvider(config).metadata.get(t.Context())
	if err != nil {
		return
	}
	for _, endpoint := range []string{m.TokenEndpoint, m.RevocationEndpoint, m.PAREndpoint, m.UserInfoEndpoint} {
		if err := CheckEndpoint(endpoint, NoPlainHTTP); endpoint != "" && err != nil {
			t.Fatalf("the certificate is presented at %q: %v", endpoint, err)
		}
	}
	if !slices.Contains([]string{authTLS, authSelfSignedTLS, authNone}, m.authMethod) || m.authMethod == authNone && !slices.Contains(m.AuthMethods, authNone) {
		t.Fatalf("the client would authenticate by %q, of %q", m.authMethod, m.AuthMethods)
	}
}

func checkAuthorizationURL(t *testing.T, p *oidcProvider, m *metadata) {
	t.Helper()
	a := Request{State: "state", Nonce: "nonce", Verifier: "verifier"}
	to, err := p.AuthorizationURL(t.Context(), a, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := url.Parse(to)
	if err != nil {
		t.Fatalf("%q: %v", to, err)
	}
	endpoint, err := url.Parse(m.AuthorizationEndpoint)
	if err != nil || got.Scheme != "https" || got.Host != endpoint.Host || got.EscapedPath() != endpoint.EscapedPath() || got.Fragment != "" {
		t.Fatalf("%q leads to %q", m.AuthorizationEndpoint, to)
	}
	query := got.Query()
	for name, want := range map[string]string{
		"response_type": "code", "client_id": "app", "redirect_uri": "https://app.example.test/callback", "scope": "openid",
		"state": a.State, "nonce": a.Nonce, "code_challenge": a.Challenge(), "code_challenge_method": "S256",
	} {
		if !slices.Equal(query[name], []string{want}) {
			t.Fatalf("%q has %s=%q", to, name, query[name])
		}
	}
}
