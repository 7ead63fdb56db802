package core_test

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// moves has a document redirect so often, each time to where to says.
func moves(document logintest.Endpoint, status, times int, to func(r *http.Request) string) logintest.Faults {
	var moved atomic.Int32
	return logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
		if e != document || int(moved.Add(1)) > times {
			return false
		}
		w.Header().Set("Location", to(r))
		w.WriteHeader(status)
		return true
	}}
}

// Metadata and keys carry no secret, so they may move: within their own origin,
// three times.
func TestDocumentsMoveWithinTheirOrigin(t *testing.T) {
	t.Parallel()
	here := func(r *http.Request) string { return r.URL.Path + "?moved" }
	to := func(u string) func(*http.Request) string { return func(*http.Request) string { return u } }
	for _, test := range []struct {
		name          string
		status, times int
		to            func(*http.Request) string
		want          string // in the log; "": followed
	}{
		{"rule 49: to another path", 301, 1, here, ""},
		{"rule 49: found", 302, 1, here, ""},
		{"rule 49: see other", 303, 1, here, ""},
		{"rule 49: temporary", 307, 1, here, ""},
		{"rule 49: permanent", 308, 1, here, ""},
		{"rule 49: the whole address", 301, 1, func(r *http.Request) string { return issuer + r.URL.Path }, ""},
		{"rule 49: with the port that it has anyhow", 301, 1, func(r *http.Request) string { return issuer + ":443" + r.URL.Path }, ""},
		{"rule 49: the host in capitals", 301, 1, func(r *http.Request) string { return "https://ID.example.test" + r.URL.Path }, ""},
		{"rule 49: three times", 301, 3, here, ""},

		{"rule 49: four times", 301, 4, here, "redirects more than 3 times"},
		{"rule 49: to another host", 301, 1, to("https://elsewhere.example.test/canary"), `redirects to \"https://elsewhere.example.test:443\"`},
		{"rule 49: to a host below it", 301, 1, to("https://a.id.example.test/canary"), `redirects to \"https://a.id.example.test:443\"`},
		{"rule 49: to another port", 301, 1, to("https://id.example.test:8443/canary"), `redirects to \"https://id.example.test:8443\"`},
		{"rule 49: to plain http", 301, 1, to("http://id.example.test/canary"), `redirects to \"http://id.example.test:80\"`},
		{"rule 49: to plain http on the port of https", 301, 1, to("http://id.example.test:443/canary"), `redirects to \"http://id.example.test:443\"`},
		{"rule 49: with a password", 301, 1, to("https://canary:canary@id.example.test/x"), "within its own origin only"},
		{"rule 49: without a scheme", 301, 1, to("//elsewhere.example.test/canary"), `redirects to \"https://elsewhere.example.test:443\"`},
		{"rule 49: away at the second step", 301, 2, func(r *http.Request) string {
			if r.URL.RawQuery == "" {
				return r.URL.Path + "?moved"
			}
			return "https://elsewhere.example.test/canary"
		}, `redirects to \"https://elsewhere.example.test:443\"`},
		{"rule 49: to nowhere", 301, 1, to("https://[canary"), "it answered 301"},
		{"rule 49: to nothing", 301, 1, to(""), "it answered 301"},
		{"rule 49: to what is no page", 301, 1, to("javascript:canary"), "within its own origin only"},
	} {
		for _, document := range []logintest.Endpoint{logintest.Discovery, logintest.JWKS} {
			t.Run(test.name+", of "+string(document), func(t *testing.T) {
				t.Parallel()
				g := newRig(t)
				transport := &foreigners{base: g.provider.HTTPClient().Transport}
				g.auth = g.newAuth(func(c *core.Config) { c.HTTPClient = &http.Client{Transport: transport} })
				g.browser.Serve(origin, g.app(g.auth))
				g.provider.Misbehave(moves(document, test.status, test.times, test.to))
				page := g.get(origin + "/me")
				if in := page.Status == http.StatusOK; in != (test.want == "") {
					t.Fatalf("got %d: %s\n%s", page.Status, page.Body, g.log.String())
				}
				if transport.asked.Load() != 0 {
					t.Error("a request went elsewhere")
				}
				if test.want == "" {
					return
				}
				if page.Status != http.StatusBadGateway || g.logins.Load() != 0 || setsSession(page.Header) {
					t.Errorf("got %d: %s", page.Status, page.Body)
				}
				if log := g.log.String(); !strings.Contains(log, test.want) || strings.Contains(log, "canary") {
					t.Errorf("logged as %s", log)
				}
			})
		}
	}
}

// foreigners counts the requests to other origins than the provider's.
type foreigners struct {
	base  http.RoundTripper
	asked atomic.Int32
}

func (s *foreigners) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" || !strings.EqualFold(r.URL.Hostname(), "id.example.test") || r.URL.Port() != "" && r.URL.Port() != "443" {
		s.asked.Add(1)
	}
	if r.URL.Host != "id.example.test" { // as the network would, which asks for no spelling
		r = r.Clone(r.Context())
		r.URL.Host = "id.example.test"
	}
	return s.base.RoundTrip(r)
}

// Where a code, a secret or a token goes along, not even within the origin.
func TestRequestsWithSecretsDoNotMove(t *testing.T) {
	t.Parallel()
	here := func(r *http.Request) string { return r.URL.Path + "?moved" }
	for _, endpoint := range []logintest.Endpoint{logintest.Token, logintest.UserInfo, logintest.Revocation} {
		for _, status := range []int{301, 302, 303, 307, 308} {
			g := newTokenRig(t, askUserInfo)
			if endpoint == logintest.Revocation {
				g.login()
			}
			g.provider.Misbehave(moves(endpoint, status, 9, here))
			before := g.provider.Count(endpoint)
			if endpoint == logintest.Revocation {
				if _, err := g.browser.Post(origin+"/auth/logout", nil); err != nil {
					t.Fatal(err)
				}
			} else if page := g.get(origin + "/me"); page.Status != http.StatusBadGateway || g.logins.Load() != 0 {
				t.Errorf("%s, %d: got %d", endpoint, status, page.Status)
			}
			if got := g.provider.Count(endpoint) - before; got != 1 {
				t.Errorf("%s, %d: %d requests, want 1", endpoint, status, got)
			}
		}
	}
}

// A provider of OAuth 2.0 that is found by its metadata: while that is down or wrong,
// no login begins; then it is back.
func TestMetadataOfOAuth2(t *testing.T) {
	t.Parallel()
	set := func(name string, value any) logintest.Faults {
		return logintest.Faults{Discovery: func(m map[string]any) { m[name] = value }}
	}
	for _, test := range []struct {
		name   string
		faults logintest.Faults
		want   error
		says   string
		status int
	}{
		{"down", logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusBadGateway)
			return true
		}}, core.ErrUnavailable, "answered 502", http.StatusServiceUnavailable},
		{"rule 77: of another issuer", set("issuer", issuer+"/other"), core.ErrUntrusted, "must be equal", http.StatusBadGateway},
		{"rule 6: without S256", set("code_challenge_methods_supported", []string{"plain"}), core.ErrUntrusted, "S256 is needed", http.StatusBadGateway},
		{"rule 46: without a method that this library has", set("token_endpoint_auth_methods_supported", []string{"private_key_jwt"}), core.ErrUntrusted, "private_key_jwt", http.StatusBadGateway},
		{"without a token endpoint", set("token_endpoint", ""), core.ErrUntrusted, "token_endpoint is missing", http.StatusBadGateway},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, plainOAuth2, func(c *core.Config) { c.Providers[0].Endpoints.AuthURL, c.Providers[0].Endpoints.TokenURL = "", "" })
			g.provider.Misbehave(test.faults)
			if err := g.auth.Discover(t.Context()); !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
				t.Fatalf("got %v, want %q in it", err, test.says)
			}
			if page := g.get(origin + "/me"); page.Status != test.status || len(g.browser.Cookies(origin)) != 0 {
				t.Errorf("login: got %d and %d cookies", page.Status, len(g.browser.Cookies(origin)))
			}
			page, err := g.browser.Post(origin+"/auth/logout", nil)
			if err != nil || page.Status != http.StatusOK {
				t.Errorf("logout: got %v %v", page, err)
			}
			if log := g.log.String(); !strings.Contains(log, test.says) {
				t.Errorf("logged as %s", log)
			}
			g.provider.Misbehave(logintest.Faults{})
			g.advance(3 * time.Second)
			if err := g.auth.Discover(t.Context()); err != nil {
				t.Fatalf("when it is back: %v", err)
			}
			g.login()
		})
	}
}
