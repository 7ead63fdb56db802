package core_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

func isProviderError(err error) bool { return errors.As(err, new(*core.ProviderError)) }

func isUnknownAttempt(err error) bool { return errors.Is(err, core.ErrUnknownAttempt) }

// underReader is an application that shares its host with others.
func underReader(c *core.Config) {
	c.RedirectURL = origin + "/reader/auth/callback"
	c.Pages.Home, c.Logout.After = "/reader", ""
}

// Under a base path, nothing leads to the host's own "/", which is another's.
func TestHomeIsTheApplications(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(g *rig) string{
		"a login that goes nowhere":   func(*rig) string { return "/reader/auth/login" },
		"a return-to that leads away": func(*rig) string { return "/reader/auth/login?return_to=//evil.example" },
		"a return-to that is a route": func(*rig) string { return "/reader/auth/login?return_to=/reader/auth/login" },
		"a third party's login":       func(*rig) string { return "/reader/auth/login?iss=" + url.QueryEscape(issuer) },
		"a third party's target of another": func(*rig) string {
			return "/reader/auth/login?target_link_uri=https://x.test/&iss=" + url.QueryEscape(issuer)
		},
		"a callback that is opened once more": func(g *rig) string {
			g.get(origin + "/reader/auth/login")
			return "/reader/auth/callback?code=x&state=y"
		},
		"a login that is begun once more": func(*rig) string { return "/reader/auth/callback?code=x&state=" + strings.Repeat("A", 43) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRigUnderReader(t)
			page := g.get(origin + open(g))
			if page.URL != origin+"/reader" || page.Status != http.StatusOK {
				t.Errorf("ends with %d at %s", page.Status, page.URL)
			}
		})
	}
	for name, open := range map[string]func(g *rig) string{
		"of a refusal": func(*rig) string { return "/reader/auth/callback?error=x" },
		"of a choice that is none": func(*rig) string {
			return "/reader/auth/login?provider=x"
		},
	} {
		t.Run("the page "+name, func(t *testing.T) {
			t.Parallel()
			g := newRigUnderReader(t)
			page := g.get(origin + open(g))
			if page.Status < 400 || !strings.Contains(string(page.Body), `<a href="/reader">Home</a>`) || strings.Contains(string(page.Body), `href="/"`) {
				t.Errorf("got %d: %s", page.Status, page.Body)
			}
			if strings.Contains(string(page.Body), "return_to") {
				t.Errorf("home is said though it is where a login ends anyway: %s", page.Body)
			}
		})
	}
	t.Run("the page on which a provider is chosen", func(t *testing.T) {
		t.Parallel()
		g := newRigUnderReader(t)
		auth := g.newAuth(underReader, func(c *core.Config) {
			c.Providers[0].Name = "one"
			two := c.Providers[0]
			two.Name, two.Issuer = "two", "https://two.example.test"
			c.Providers = append(c.Providers, two)
		})
		g.browser.Serve(origin, g.app(auth))
		page := g.get(origin + "/reader/auth/login")
		if !strings.Contains(string(page.Body), `<a href="/reader">Home</a>`) || !strings.Contains(string(page.Body), `href="/reader/auth/login?provider=two"`) {
			t.Errorf("got %s", page.Body)
		}
	})
	t.Run("a logout", func(t *testing.T) {
		t.Parallel()
		g := newRigUnderReader(t)
		r := httptest.NewRequest("POST", origin+"/reader/auth/logout", nil)
		w := httptest.NewRecorder()
		if err := g.auth.Logout(w, r); err != nil || w.Header().Get("Location") != "/reader/auth/logout" {
			t.Errorf("got %v, to %q", err, w.Header().Get("Location"))
		}
	})
	t.Run("a script that does not say where it is", func(t *testing.T) {
		t.Parallel()
		g := newRigUnderReader(t)
		r := httptest.NewRequest("GET", origin+"/me", nil)
		r.Header.Set("HX-Request", "true")
		w := httptest.NewRecorder()
		_, err := g.auth.Authenticate(w, r)
		g.auth.Challenge(w, r, err)
		if got := w.Header().Get("HX-Redirect"); got != "/reader/auth/login" {
			t.Errorf("got %q", got)
		}
	})
}

// The host's "/" can still be asked for.
func TestTheHostsRootIsNotHome(t *testing.T) {
	t.Parallel()
	g := newRigUnderReader(t)
	if page := g.get(origin + "/reader/auth/login?return_to=/"); page.URL != origin+"/" {
		t.Errorf("ends at %s", page.URL)
	}
}

func newRigUnderReader(t *testing.T) *rig {
	t.Helper()
	g := newRig(t)
	g.provider = logintest.NewProvider(issuer, logintest.Client{
		ID: "app", Secret: "canary-client-secret", RedirectURIs: []string{origin + "/reader/auth/callback"},
	})
	g.provider.Now = g.now
	g.browser.Serve(issuer, g.provider)
	g.auth = g.newAuth(underReader)
	g.browser.Serve(origin, g.app(g.auth))
	return g
}

func TestHomeIsChecked(t *testing.T) {
	t.Parallel()
	for home, fine := range map[string]bool{
		"/reader": true, "/reader/": true, "/?tab=1": true, "": true,
		"reader": false, "//evil.example": false, "https://evil.example": false, `/\evil`: false, "/a\nb": false,
		"/auth/login": false, "/auth/callback?x": false, "/auth/logout": false,
	} {
		_, err := core.New(core.Config{
			Providers:   []core.Provider{{Issuer: issuer, ClientID: "app"}},
			RedirectURL: callbackURL, SessionKey: sessionKey, Pages: core.PageConfig{Home: home},
		})
		if (err == nil) != fine || err != nil && !strings.Contains(err.Error(), "Config.Pages.Home is not a page of this application") {
			t.Errorf("%q: got %v", home, err)
		}
	}
}

// The log names the provider.
func TestTheProviderThatIsUnknownIsNamedInTheLog(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"provider=gogle%0a":                    `provider \"gogle\\n\"`,
		"iss=https://x.example.test":           `iss \"https://x.example.test\"`,
		"provider=" + strings.Repeat("x", 999): "…",
	} {
		g := newRig(t)
		page := g.get(origin + "/auth/login?" + query)
		if page.Status != http.StatusNotFound || strings.Contains(string(page.Body), "gogle") {
			t.Errorf("got %d: %s", page.Status, page.Body)
		}
		if !strings.Contains(g.log.String(), want) || len(g.log.String()) > 900 {
			t.Errorf("got %s, want %s", g.log.String(), want)
		}
	}
}
