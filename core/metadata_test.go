package core_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A registration that the provider's metadata contradicts is found before a user
// is sent there.
func TestDiscoverChecksTheSigningAlg(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		announced any
		good      bool
	}{{[]string{"RS256", "ES256"}, true}, {[]string{"ES256"}, true}, {nil, true}, {[]string{}, true}, {[]string{"RS256"}, false}, {[]string{"none", "HS256"}, false}} {
		g := newRig(t, signingAlg("ES256"))
		g.provider.Misbehave(logintest.Faults{
			Discovery: func(m map[string]any) { m["id_token_signing_alg_values_supported"] = test.announced },
			IDToken:   func(header, _ map[string]any) { header["alg"] = "ES256" },
		})
		if test.good {
			g.login()
			continue
		}
		err := g.auth.Discover(t.Context())
		page := g.visit(origin + "/auth/login")
		if !strings.Contains(fmt.Sprint(err), `Checks.SigningAlg is "ES256"`) || page.Status != http.StatusBadGateway || g.provider.Count(logintest.Authorization) != 0 {
			t.Errorf("%v: got %v, and %d", test.announced, err, page.Status)
		}
	}
}

func TestDiscoverChecksTheMetadata(t *testing.T) {
	t.Parallel()
	set := func(name string, value any) func(map[string]any) {
		return func(m map[string]any) {
			if m[name] = value; value == nil {
				delete(m, name)
			}
		}
	}
	for _, test := range []struct {
		name     string
		metadata func(map[string]any)
		want     string // in the error; "": accepted
	}{
		{"nothing unusual", func(map[string]any) {}, ""},
		{"PKCE not announced", set("code_challenge_methods_supported", nil), ""},
		{"no logout", set("end_session_endpoint", nil), ""},
		{"no UserInfo", set("userinfo_endpoint", nil), ""},
		{"client_secret_post only", set("token_endpoint_auth_methods_supported", []string{"client_secret_post"}), ""},
		{"no authentication methods", set("token_endpoint_auth_methods_supported", nil), ""},
		{"rule 16: authorization endpoint with a query", set("authorization_endpoint", issuer+"/authorize?tenant=a"), ""},

		{"rule 77: issuer of another", set("issuer", issuer+"INVALID"), "must be equal"},
		{"rule 77: issuer with a slash", set("issuer", issuer+"/"), "must be equal"},
		{"rule 77: issuer missing", set("issuer", nil), "must be equal"},
		{"rule 6: plain PKCE only", set("code_challenge_methods_supported", []string{"plain"}), "S256 is needed"},
		{"no authorization endpoint", set("authorization_endpoint", nil), "authorization_endpoint is missing"},
		{"no token endpoint", set("token_endpoint", nil), "token_endpoint is missing"},
		{"no keys", set("jwks_uri", nil), "jwks_uri is missing"},
		{"rule 50: http token endpoint", set("token_endpoint", "http://id.example.test/token"), "token_endpoint is not https"},
		{"rule 50: http on loopback, though the issuer is not", set("token_endpoint", "http://127.0.0.1/token"), "token_endpoint is not https"},
		{"rule 50: javascript", set("end_session_endpoint", "javascript:alert(1)"), "end_session_endpoint is not"},
		{"host that is not ASCII", set("token_endpoint", "https://\u0142.example.test/token"), "token_endpoint has a host that is not ASCII"},
		{"host confusion", set("userinfo_endpoint", "https://id.example.test@evil.example.test/"), "userinfo_endpoint has a user name"},
		{"relative endpoint", set("jwks_uri", "/jwks"), "jwks_uri is not an absolute URL"},
		{"fragment", set("authorization_endpoint", issuer+"/a#b"), "authorization_endpoint has a fragment"},
		{"rule 15: endpoint that sets a state", set("authorization_endpoint", issuer+"/a?state=x"), "a parameter \"state\" of its own"},
		{"rule 46: authentication methods of others", set("token_endpoint_auth_methods_supported", []string{"private_key_jwt"}), "private_key_jwt"},
		{"rule 51: an endpoint of 4 KB", set("authorization_endpoint", issuer+"/"+strings.Repeat("a", 4096-len(issuer)-1)), ""},
		{"rule 51: an endpoint that is longer", set("authorization_endpoint", issuer+"/"+strings.Repeat("a", 4096-len(issuer))), "authorization_endpoint is longer than 4096 bytes"},
		{"rule 51: keys at an address that is longer", set("jwks_uri", issuer+"/"+strings.Repeat("a", 4096)), "jwks_uri is longer than 4096 bytes"},
		{"rule 51: a list of a hundred", set("id_token_signing_alg_values_supported", append(slices.Repeat([]string{"x"}, 99), "RS256")), ""},
		{"rule 51: a list of more algorithms", set("id_token_signing_alg_values_supported", slices.Repeat([]string{"RS256"}, 101)), "id_token_signing_alg_values_supported has 101 values"},
		{"rule 51: a list of more methods", set("token_endpoint_auth_methods_supported", slices.Repeat([]string{"client_secret_basic"}, 101)), "token_endpoint_auth_methods_supported has 101 values"},
		{"rule 51: a list of more challenges", set("code_challenge_methods_supported", slices.Repeat([]string{"S256"}, 101)), "code_challenge_methods_supported has 101 values"},
		{"rule 51: a list of more algorithms of UserInfo", set("userinfo_signing_alg_values_supported", slices.Repeat([]string{"RS256"}, 101)), "userinfo_signing_alg_values_supported has 101 values"},
		{"wrong type", set("token_endpoint", 7), "not the expected JSON"},
		{"members that are null", func(m map[string]any) {
			for _, name := range []string{"code_challenge_methods_supported", "token_endpoint_auth_methods_supported", "id_token_signing_alg_values_supported",
				"end_session_endpoint", "userinfo_endpoint", "revocation_endpoint", "authorization_response_iss_parameter_supported"} {
				m[name] = nil
			}
		}, ""},
		{"jwks_uri null", func(m map[string]any) { m["jwks_uri"] = nil }, "jwks_uri is missing"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			g.provider.Misbehave(logintest.Faults{Discovery: test.metadata})
			err := g.auth.Discover(t.Context())
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if !strings.HasPrefix(test.name, "rule 16") && !strings.HasPrefix(test.name, "rule 51") {
					g.login()
				}
				return
			}
			if !errors.Is(err, core.ErrUntrusted) || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %q in it", err, test.want)
			}
			page := g.visit(origin + "/me")
			if page.Status != http.StatusBadGateway || len(g.browser.Cookies(origin)) != 0 {
				t.Errorf("login: got %d and %d cookies", page.Status, len(g.browser.Cookies(origin)))
			}
		})
	}
}

// Kept, refreshed on use, and the last good copy stays.
func TestMetadataIsKept(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	var logins sync.WaitGroup
	for range 20 {
		logins.Go(func() {
			if _, err := g.browser.Visit(origin + "/auth/login"); err != nil {
				t.Error(err)
			}
		})
	}
	logins.Wait()
	if got := g.provider.Count(logintest.Discovery); got != 1 {
		t.Errorf("%d discoveries for 20 logins at once, want 1", got)
	}
	g.advance(2 * time.Hour)
	g.visit(origin + "/auth/login")
	if got := g.provider.Count(logintest.Discovery); got != 2 {
		t.Errorf("%d discoveries, want 2: stale metadata was not refreshed", got)
	}
	down := logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
		if e == logintest.Discovery {
			w.WriteHeader(http.StatusInternalServerError)
		}
		return e == logintest.Discovery
	}}
	g.provider.Misbehave(down)
	g.advance(2 * time.Hour)
	for range 10 {
		if page := g.visit(origin + "/auth/login"); page.Status != http.StatusSeeOther {
			t.Fatalf("got %d while a refresh fails", page.Status)
		}
	}
	if got := g.provider.Count(logintest.Discovery); got != 3 {
		t.Errorf("%d discoveries, want 3: a failed refresh is repeated at once", got)
	}

	// A process that has never seen the provider.
	second := g.newAuth()
	before := g.provider.Count(logintest.Discovery)
	for range 10 {
		if err := second.Discover(t.Context()); !errors.Is(err, core.ErrUnavailable) {
			t.Fatalf("got %v", err)
		}
	}
	if got := g.provider.Count(logintest.Discovery) - before; got != 1 {
		t.Errorf("%d requests to a provider that is down, want 1", got)
	}
	g.provider.Misbehave(logintest.Faults{})
	g.advance(3 * time.Second)
	if err := second.Discover(t.Context()); err != nil {
		t.Errorf("when it is back: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	third := g.newAuth()
	if err := third.Discover(cancelled); !errors.Is(err, core.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if err := third.Discover(t.Context()); err != nil {
		t.Errorf("a caller who went away spoils it for the next: %v", err)
	}
}

func TestIssuersWithPathAndSlash(t *testing.T) {
	t.Parallel()
	for name, issuer := range map[string]string{
		"rule 79: a host and a slash":        "https://id.example.test/",
		"rule 79: a path":                    "https://id.example.test/realms/a",
		"rule 79: a path with a final slash": "https://id.example.test/realms/a/",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			provider := logintest.NewProvider(issuer, logintest.Client{ID: "app", RedirectURIs: []string{callbackURL}})
			g := &rig{t: t, provider: provider, browser: logintest.NewBrowser()}
			g.browser.Serve("https://id.example.test", provider)
			g.auth = g.newAuth(func(c *core.Config) { c.Providers = []core.Provider{{Issuer: issuer, ClientID: "app"}} })
			g.browser.Serve(origin, g.app(g.auth))
			g.login()
		})
	}
}

// Nothing but the issuer is configured, and the metadata may change.
func TestEndpointsComeFromTheMetadata(t *testing.T) {
	t.Parallel()
	t.Run("rule 78: endpoints move with the metadata", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.login()
		g.provider.Misbehave(logintest.Faults{
			Discovery: func(m map[string]any) {
				for _, name := range []string{"authorization_endpoint", "token_endpoint", "jwks_uri", "end_session_endpoint"} {
					m[name] = m[name].(string) + "?moved=yes"
				}
			},
			Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
				old := e != logintest.Discovery && r.URL.Query().Get("moved") == ""
				if old {
					w.WriteHeader(http.StatusGone)
				}
				return old
			},
		})
		g.advance(2 * time.Hour)
		g.browser.Forget("", "")
		g.login()
		if _, err := g.browser.Post(origin+"/auth/logout", nil); err != nil {
			t.Fatal(err)
		}
		for _, e := range []logintest.Endpoint{logintest.Authorization, logintest.Token, logintest.JWKS, logintest.EndSession} {
			requests := g.provider.Requests()
			i := slices.IndexFunc(requests, func(r logintest.Request) bool { return r.Endpoint == e && r.Query.Has("moved") })
			if i < 0 {
				t.Errorf("%s was not asked where it is now", e)
			}
		}
	})
}

// A place that is not there is a mistake of the configuration, not an outage.
func TestAWrongIssuerIsNoOutage(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]error{
		301: core.ErrUntrusted, 404: core.ErrUntrusted, 403: core.ErrUntrusted,
		408: core.ErrUnavailable, 429: core.ErrUnavailable, 500: core.ErrUnavailable, 503: core.ErrUnavailable,
	} {
		g := newRig(t)
		g.provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(status)
			return true
		}})
		if err := g.auth.Discover(t.Context()); !errors.Is(err, want) {
			t.Errorf("%d: got %v", status, err)
		}
	}
}
