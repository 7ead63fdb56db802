package core_test

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A tlsRig is an application that reaches its provider over TLS, at id.example.test and,
// with aliases, at mtls.example.test.
type tlsRig struct {
	*tokenRig
	transport *http.Transport
	api       http.HandlerFunc // at api.example.test

	mu        sync.Mutex
	presented map[string]string // by host and path: the name in the certificate, or "-"
}

func newTLSRig(t testing.TB, aliases bool, register func(*logintest.Client), change ...func(*core.Config)) *tlsRig {
	t.Helper()
	g := &tlsRig{presented: make(map[string]string)}
	note := func(r *http.Request) {
		name := "-"
		if peers := r.TLS.PeerCertificates; len(peers) > 0 {
			name = peers[0].Subject.CommonName
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		g.presented[r.Host+r.URL.Path] = name
	}
	provider := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { note(r); g.provider.ServeHTTP(w, r) })
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { note(r); g.api(w, r) })
	g.transport = overTLS(t, map[string]http.Handler{"id.example.test": provider, "mtls.example.test": provider, "api.example.test": api, "other.example.test": api})
	g.tokenRig = newTokenRigOf(t, register, append([]func(*core.Config){func(c *core.Config) {
		c.HTTPClient = &http.Client{Transport: g.transport}
		c.Providers[0].ClientSecret, c.Providers[0].Requests.UserInfo = "", true
	}}, change...)...)
	if aliases {
		g.provider.MTLSOrigin = "https://mtls.example.test"
	}
	return g
}

// byCertificate registers a client certificate, and binds tokens to it.
func byCertificate(method string, certificate tls.Certificate) func(*logintest.Client) {
	return func(c *logintest.Client) {
		c.Secret, c.AuthMethod, c.Certificates, c.CertificateBound = "", method, []*x509.Certificate{certificate.Leaf}, true
	}
}

func presenting(certificate tls.Certificate) func(*core.Config) {
	return func(c *core.Config) {
		c.Providers[0].Client.Certificate = func() (*tls.Certificate, error) { return &certificate, nil }
	}
}

func (g *tlsRig) logout() {
	g.t.Helper()
	r, _ := http.NewRequest("POST", origin+"/auth/logout", nil)
	r.Header.Set("Origin", origin)
	if page, err := g.browser.Do(r); err != nil || page.Status != http.StatusSeeOther {
		g.t.Fatalf("the logout: %v %v", page, err)
	}
}

// A client with a certificate presents it where the provider expects it, and nowhere
// else: at the token, UserInfo and revocation endpoint, or at their aliases.
func TestClientsWithACertificate(t *testing.T) {
	t.Parallel()
	certificate := newCertificate(t, "the client")
	for _, test := range []struct {
		name    string
		method  string
		aliases bool
		change  func(*core.Config)
	}{
		{"rules 46, 131: tls_client_auth", "tls_client_auth", false, func(*core.Config) {}},
		{"rules 46, 131, 132: tls_client_auth with aliases", "tls_client_auth", true, func(*core.Config) {}},
		{"rules 46, 131: self_signed_tls_client_auth with aliases, by name", "self_signed_tls_client_auth", true, func(c *core.Config) {
			c.Providers[0].Client.AuthMethod, c.Providers[0].Requests.PAR = "self_signed_tls_client_auth", true
		}},
		{"private_key_jwt, and tokens that are bound to the certificate", "private_key_jwt", true, func(c *core.Config) {
			c.Providers[0].Client.SigningKeys = []core.SigningKey{{Signer: clientKey}}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			register := byCertificate(test.method, certificate)
			if test.method == "private_key_jwt" {
				register = func(c *logintest.Client) { byKey(t)(c); c.CertificateBound = true }
			}
			g := newTLSRig(t, test.aliases, register, presenting(certificate), test.change)
			g.login()
			first := g.token()
			g.advance(time.Hour)
			if got := g.token(); got == first || g.provider.Count(logintest.Token) != 2 {
				t.Errorf("got the token %q after %q: %s", got, first, g.log.String())
			}
			g.logout()
			at, not := "id.example.test", "mtls.example.test"
			if test.aliases {
				at, not = not, at
			}
			paths := []string{"/token", "/userinfo", "/revoke"}
			if g.provider.Count(logintest.PAR) > 0 {
				paths = append(paths, "/par")
			} else if strings.HasPrefix(test.method, "self_signed") {
				t.Error("nothing was pushed")
			}
			for _, path := range paths {
				if got := g.presented[at+path]; got != "the client" {
					t.Errorf("%s got the certificate %q", at+path, got)
				}
				if got, ok := g.presented[not+path]; ok {
					t.Errorf("%s was asked, with the certificate %q", not+path, got)
				}
			}
			for _, path := range []string{"/.well-known/openid-configuration", "/jwks"} {
				if got := g.presented["id.example.test"+path]; got != "-" {
					t.Errorf("%s got the certificate %q", path, got)
				}
			}
			for _, request := range g.provider.Requests() {
				if request.Endpoint == logintest.Token && (request.Form.Get("client_id") != "app" || request.Form.Has("client_secret") || request.Header.Get("Authorization") != "" || request.Form.Has("client_assertion") != (test.method == "private_key_jwt")) {
					t.Errorf("sent %v %v", request.Form, request.Header)
				}
			}
		})
	}
}

// A certificate is asked for at each connection, so a renewed one needs no restart.
func TestACertificateIsRenewed(t *testing.T) {
	t.Parallel()
	old, next := newCertificate(t, "old"), newCertificate(t, "next")
	var renewed atomic.Bool
	g := newTLSRig(t, false, func(c *logintest.Client) {
		byCertificate("tls_client_auth", old)(c)
		c.Certificates = append(c.Certificates, next.Leaf)
	}, func(c *core.Config) {
		c.Providers[0].Client.Certificate = func() (*tls.Certificate, error) {
			if renewed.Load() {
				return &next, nil
			}
			return &old, nil
		}
	})
	g.login()
	renewed.Store(true)
	g.browser.Forget("", "")
	g.login()
	if got := g.presented["id.example.test/token"]; got != "next" {
		t.Errorf("got %q", got)
	}
}

// A certificate that cannot be had is an outage. Nothing is sent without it, and a session
// goes on.
func TestCertificatesThatFail(t *testing.T) {
	t.Parallel()
	certificate := newCertificate(t, "the client")
	panics := certificate
	panics.PrivateKey = panickingKey{certificate.PrivateKey.(crypto.Signer)}
	for _, test := range []struct {
		name, code, says string
		get              func() (*tls.Certificate, error)
	}{
		{"an error", "client_credential_unavailable", "Client.Certificate: the vault is sealed", func() (*tls.Certificate, error) { return nil, errors.New("the vault is sealed") }},
		{"nil", "client_credential_unavailable", "Client.Certificate returned no certificate", func() (*tls.Certificate, error) { return nil, nil }},
		{"empty", "client_credential_unavailable", "Client.Certificate returned no certificate", func() (*tls.Certificate, error) { return new(tls.Certificate), nil }},
		{"without a key", "client_credential_unavailable", "without a private key", func() (*tls.Certificate, error) { return &tls.Certificate{Certificate: certificate.Certificate}, nil }},
		{"a panic", "client_credential_unavailable", "Client.Certificate panicked", func() (*tls.Certificate, error) { panic("canary") }},
		{"a key that panics", "provider_unavailable", "the private key of Client.Certificate panicked", func() (*tls.Certificate, error) { return &panics, nil }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var failing atomic.Bool
			g := newTLSRig(t, true, byCertificate("tls_client_auth", certificate), func(c *core.Config) {
				c.Providers[0].Client.Certificate = func() (*tls.Certificate, error) {
					if failing.Load() {
						return test.get()
					}
					return &certificate, nil
				}
			})
			g.login()
			who := g.whoAmI()
			failing.Store(true)
			requests := g.provider.Count(logintest.Token)
			g.advance(time.Hour + time.Minute)
			if got := g.token(); got != test.code || g.whoAmI() != who {
				t.Errorf("a refresh: got %q, and then %q", got, g.whoAmI())
			}
			page := g.visit(g.toCallback().String())
			if page.Status != http.StatusServiceUnavailable || !strings.Contains(string(page.Body), test.code) || g.provider.Count(logintest.Token) != requests || g.whoAmI() != who {
				t.Errorf("a login: got %d %s, %d requests", page.Status, page.Body, g.provider.Count(logintest.Token)-requests)
			}
			if logged := g.log.String(); !strings.Contains(logged, test.says) || strings.Contains(logged, "canary") {
				t.Errorf("logged as %s", logged)
			}
		})
	}
}

type panickingKey struct{ crypto.Signer }

func (panickingKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { panic("canary") }

// A provider that does not know the certificate refuses the client, and the log says what
// to check.
func TestAnUnknownCertificate(t *testing.T) {
	t.Parallel()
	g := newTLSRig(t, false, byCertificate("tls_client_auth", newCertificate(t, "registered")), presenting(newCertificate(t, "another")))
	if page := g.get(origin + "/me"); page.Status != http.StatusBadGateway || !strings.Contains(string(page.Body), "client_refused") || g.whoAmI() != "" {
		t.Errorf("got %d: %s", page.Status, page.Body)
	}
	if logged := g.log.String(); !strings.Contains(logged, "tls_client_auth: check that the provider knows the certificate") {
		t.Errorf("logged as %s", logged)
	}
}

// Aliases are checked as other endpoints are, and only for clients that use them.
func TestFaultyAliases(t *testing.T) {
	t.Parallel()
	certificate := newCertificate(t, "the client")
	for _, test := range []struct {
		name    string
		aliases any
		says    string // "": the login works
	}{
		{"none", nil, ""},
		{"a text", "null", "mtls_endpoint_aliases is not an object"},
		{"of no endpoint", map[string]any{"introspection_endpoint": "x"}, ""},
		{"a list", []string{"https://mtls.example.test"}, "mtls_endpoint_aliases is not an object"},
		{"rule 131: http", map[string]any{"token_endpoint": "http://mtls.example.test/token"}, "mtls_endpoint_aliases: token_endpoint is not https"},
		{"a path", map[string]any{"revocation_endpoint": "/revoke"}, "mtls_endpoint_aliases: revocation_endpoint is not an absolute URL"},
		{"with a password", map[string]any{"userinfo_endpoint": "https://a:b@mtls.example.test/"}, "mtls_endpoint_aliases: userinfo_endpoint has a user name"},
		{"with a fragment", map[string]any{"pushed_authorization_request_endpoint": "https://mtls.example.test/#x"}, "mtls_endpoint_aliases: pushed_authorization_request_endpoint has a fragment"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			edit := logintest.Faults{Discovery: func(m map[string]any) { m["mtls_endpoint_aliases"] = test.aliases }}
			g := newTLSRig(t, false, byCertificate("tls_client_auth", certificate), presenting(certificate))
			g.provider.Misbehave(edit)
			page := g.get(origin + "/me")
			if test.says == "" {
				if page.Status != http.StatusOK {
					t.Errorf("got %d %s", page.Status, g.log.String())
				}
				return
			}
			if page.Status != http.StatusBadGateway || !strings.Contains(string(page.Body), "provider_metadata_invalid") || !strings.Contains(g.log.String(), test.says) || g.provider.Count(logintest.Authorization) != 0 {
				t.Errorf("got %d %s, logged as %s", page.Status, page.Body, g.log.String())
			}
			without := newRig(t)
			without.provider.Misbehave(edit)
			without.login()
		})
	}
}

// A configured endpoint replaces an alias as well.
func TestAConfiguredEndpointInPlaceOfItsAlias(t *testing.T) {
	t.Parallel()
	certificate := newCertificate(t, "the client")
	g := newTLSRig(t, true, byCertificate("tls_client_auth", certificate), presenting(certificate), func(c *core.Config) {
		c.Providers[0].Endpoints.RevocationURL = issuer + "/revoke"
	})
	g.login()
	g.logout()
	if g.presented["mtls.example.test/token"] != "the client" || g.presented["id.example.test/revoke"] != "the client" || g.presented["mtls.example.test/revoke"] != "" {
		t.Errorf("got %v", g.presented)
	}
}

// Client presents the certificate to the APIs that the tokens are for, and to no other.
func TestAPIsGetTheCertificate(t *testing.T) {
	t.Parallel()
	certificate := newCertificate(t, "the client")
	g := newTLSRig(t, true, byCertificate("tls_client_auth", certificate), presenting(certificate))
	g.api = func(w http.ResponseWriter, r *http.Request) {
		if r.Host == "api.example.test" && r.URL.Path == "/away" {
			http.Redirect(w, r, "https://other.example.test/", http.StatusFound)
		}
	}
	call := func(change func(context.Context) context.Context, url string) error {
		answer, err := core.Client(change(g.pass().Context()), "api.example.test").Get(url)
		if err == nil {
			answer.Body.Close()
		}
		return err
	}
	same := func(ctx context.Context) context.Context { return ctx }
	g.login()
	for range 2 {
		if err := call(same, "https://api.example.test/"); err != nil || g.presented["api.example.test/"] != "the client" {
			t.Errorf("got %v, with the certificate %q", err, g.presented["api.example.test/"])
		}
	}
	if err := call(same, "https://api.example.test/away"); err == nil || g.presented["other.example.test/"] != "" {
		t.Errorf("a redirect to another host: got %v, with the certificate %q", err, g.presented["other.example.test/"])
	}
	grant := g.auth.GrantClient(t.Context(), core.Grant{Provider: "id.example.test", Issuer: issuer, Subject: "ada", Token: oauth2.Token{AccessToken: "x"}}, func(context.Context, core.Grant) error { return nil }, "api.example.test")
	answer, err := grant.Get("https://api.example.test/grant")
	if err == nil {
		answer.Body.Close()
	}
	if err != nil || g.presented["api.example.test/grant"] != "the client" {
		t.Errorf("with a grant: got %v, with the certificate %q", err, g.presented["api.example.test/grant"])
	}
	theirs := func(ctx context.Context) context.Context {
		return context.WithValue(ctx, oauth2.HTTPClient, &http.Client{Transport: g.transport.Clone()})
	}
	if err := call(theirs, "https://api.example.test/theirs"); err != nil || g.presented["api.example.test/theirs"] != "-" {
		t.Errorf("with a client of the caller's: got %v, with the certificate %q", err, g.presented["api.example.test/theirs"])
	}
}

// Without OpenID Connect, FetchUser asks for the user with the certificate, and a key
// authenticates the client as well.
func TestFetchUserWithACertificate(t *testing.T) {
	t.Parallel()
	certificate := newCertificate(t, "the client")
	for name, client := range map[string]struct {
		register func(*logintest.Client)
		change   func(*core.ClientConfig)
	}{
		"tls_client_auth": {byCertificate("tls_client_auth", certificate), func(c *core.ClientConfig) { c.AuthMethod = "tls_client_auth" }},
		"private_key_jwt": {byKey(t), func(c *core.ClientConfig) { c.SigningKeys = []core.SigningKey{{Signer: clientKey}} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newTLSRig(t, false, client.register, presenting(certificate), func(c *core.Config) {
				p := &c.Providers[0]
				client.change(&p.Client)
				p.Name, p.RedirectURL, p.Requests.UserInfo, p.Scopes = "plain", callbackURL, false, []string{"openid"}
				p.Endpoints = core.EndpointConfig{AuthURL: issuer + "/authorize", TokenURL: issuer + "/token"}
				p.FetchUser = func(ctx context.Context, client *http.Client) (map[string]any, error) {
					answer, err := client.Get("https://api.example.test/user")
					if err != nil {
						return nil, err
					}
					return map[string]any{"sub": "ada"}, answer.Body.Close()
				}
			})
			g.api = func(http.ResponseWriter, *http.Request) {}
			g.login()
			for _, at := range []string{"id.example.test/token", "api.example.test/user"} {
				if got := g.presented[at]; got != "the client" {
					t.Errorf("%s got the certificate %q", at, got)
				}
			}
		})
	}
}
