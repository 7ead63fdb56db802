package core_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

const warned = "pixy: InsecureHTTP: "

// A whole login over http, in browsers that send no Sec-Fetch headers there. Only what
// makes a difference is in the log at start.
func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	both := func(c *core.Config) { c.InsecureHTTP, c.Providers[0].InsecureHTTP = true, true }
	for _, test := range []struct {
		name        string
		application string // its origin
		provider    string // its issuer
		change      func(*core.Config)
		warnings    []string
	}{
		{"names below localhost", "http://app.localhost:3000", "http://id.app.localhost:8080", func(*core.Config) {}, nil},
		{"localhost, and a name below it", "http://localhost:3000", "http://id.localhost", func(*core.Config) {}, nil},
		{"InsecureHTTP on loopback, where nothing needs it", "http://app.localhost", "http://127.0.0.1:8080", both, nil},
		{"InsecureHTTP on https, where nothing needs it", origin, issuer, both, nil},
		{"an application in a private network", "http://app.lan", issuer, func(c *core.Config) { c.InsecureHTTP = true }, []string{"the application is on plain http"}},
		{"an application there, and a provider on loopback", "http://app.lan", "http://localhost:8080", func(c *core.Config) { c.InsecureHTTP = true }, []string{"the application is on plain http"}},
		{"a provider in a private network", origin, "http://id.lan:8080/realms/one", func(c *core.Config) { c.Providers[0].InsecureHTTP = true }, []string{"the provider is on plain http"}},
		{"a provider on loopback, for an application on https", origin, "http://localhost:8080", func(c *core.Config) { c.Providers[0].InsecureHTTP = true }, []string{"the provider is on plain http"}},
		{"both in a private network", "http://10.0.0.1:3000", "http://10.0.0.2:8080", both, []string{"the application is on plain http", "the provider is on plain http"}},
		{"a provider inside only", origin, issuer, func(c *core.Config) {
			c.Providers[0].InsecureHTTP, c.Providers[0].Endpoints.InternalURL = true, insideTLS
		}, []string{"the provider is on plain http"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newPlainRig(t, test.application, test.provider, test.change)
			if got := strings.Count(g.log.String(), warned); got != len(test.warnings) {
				t.Errorf("%d warnings: %s", got, g.log.String())
			}
			for _, warning := range test.warnings {
				if !strings.Contains(g.log.String(), `"level":"WARN","msg":"`+warned+warning) {
					t.Errorf("no %q in %s", warning, g.log.String())
				}
			}
			page := g.get(test.application + "/me")
			if page.Status != http.StatusOK || string(page.Body) != "I am ada" {
				t.Fatalf("got %d at %s: %s", page.Status, page.URL, page.Body)
			}
			secure := strings.HasPrefix(test.application, "https:")
			for _, hop := range page.Hops {
				for _, cookie := range (&http.Response{Header: hop.Header}).Cookies() {
					if cookie.Secure != secure || strings.HasPrefix(cookie.Name, "__") != secure {
						t.Errorf("got %v", cookie)
					}
				}
			}
			page, err := g.browser.Post(test.application+"/auth/logout", nil)
			if err != nil || page.URL != test.application+"/" || g.get(test.application + "/me").Hops[0].Status == http.StatusOK {
				t.Errorf("logout: %v %v", err, page)
			}
			if strings.Contains(g.log.String(), "request failed") {
				t.Errorf("logged %s", g.log.String())
			}
		})
	}
}

// newPlainRig is a rig whose browser sends Sec-Fetch headers on https and loopback only.
func newPlainRig(t *testing.T, application, provider string, change func(*core.Config)) *rig {
	t.Helper()
	g := &rig{t: t, browser: logintest.NewBrowser()}
	g.provider = logintest.NewProvider(provider, logintest.Client{
		ID: "app", Secret: "canary-client-secret", RedirectURIs: []string{application + "/auth/callback"}, PostLogoutRedirectURIs: []string{application + "/"},
	})
	g.provider.Now = g.now
	u, err := url.Parse(provider)
	if err != nil {
		t.Fatal(err)
	}
	g.browser.Serve(u.Scheme+"://"+u.Host, g.provider)
	g.auth = g.newAuth(func(c *core.Config) {
		c.RedirectURL, c.Providers[0].Issuer = application+"/auth/callback", provider
		if change(c); c.Providers[0].Endpoints.InternalURL != "" {
			c.HTTPClient = reaching(g.provider, c.Providers[0].Endpoints.InternalURL)
		}
	})
	app := g.app(g.auth)
	g.browser.Serve(application, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(application, "http:") && !strings.Contains(application, "localhost") {
			for name := range r.Header {
				if strings.HasPrefix(name, "Sec-") {
					r.Header.Del(name)
				}
			}
		}
		app.ServeHTTP(w, r)
	}))
	return g
}

// Another site cannot log a user out, though an http application gets no Sec-Fetch
// headers: the browser sends Origin.
func TestPlainHTTPKeepsOtherSitesOut(t *testing.T) {
	t.Parallel()
	const application = "http://app.lan"
	g := newPlainRig(t, application, issuer, func(c *core.Config) { c.InsecureHTTP = true })
	g.get(application + "/me")
	r, err := http.NewRequest(http.MethodPost, application+"/auth/logout", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Origin", "http://other.lan")
	page, err := g.browser.Do(r)
	if err != nil || page.Status != http.StatusForbidden || string(g.get(application + "/me").Hops[0].Body) != "I am ada" {
		t.Errorf("got %v, %v", err, page)
	}
}

// The client that New makes reaches names below localhost on this machine, whatever the
// resolver knows.
func TestTheDefaultClientReachesLocalhost(t *testing.T) {
	t.Parallel()
	var provider *logintest.Provider
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { provider.ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	_, port, _ := strings.Cut(server.Listener.Addr().String(), ":")
	at := "http://id.pixy-test.localhost:" + port
	provider = logintest.NewProvider(at, logintest.Client{ID: "app"})
	auth, err := core.New(core.Config{
		Providers:   []core.Provider{{Issuer: at, ClientID: "app"}},
		RedirectURL: "http://app.localhost:3000/auth/callback", SessionKey: sessionKey,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := auth.Discover(t.Context()); err != nil {
		t.Errorf("got %v", err)
	}
	server.Close()
}

// Access tokens never leave over plain http, also with InsecureHTTP.
func TestClientNeedsHTTPSAlsoWithInsecureHTTP(t *testing.T) {
	t.Parallel()
	for _, host := range []string{"api.lan", "api.localhost"} {
		g := newTokenRig(t)
		asked := false
		auth := g.newAuth(keepTokens, func(c *core.Config) {
			c.InsecureHTTP, c.Providers[0].InsecureHTTP = true, true
			c.OnLogin = func(ctx context.Context, _ *core.Login) error {
				response, err := core.Client(ctx, host+":80").Get("http://" + host + "/")
				if asked = true; err == nil {
					response.Body.Close()
				}
				if err == nil || !strings.Contains(err.Error(), "https") {
					t.Errorf("%s: got %v", host, err)
				}
				return nil
			}
		})
		g.browser.Serve(origin, g.tokenApp(auth))
		if g.get(origin + "/me"); !asked {
			t.Error("OnLogin did not run")
		}
	}
}
