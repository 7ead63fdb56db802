package adapters_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// Each provider has its own callback, at a path of the application's choosing, in each
// framework. A login that begins at one provider cannot end at the callback of another.
func TestOwnCallbacks(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
		callbacks := map[string]string{
			"id.example.test": origin + "/auth/callback", // has no name
			"Work":            origin + "/auth/callback/Work",
			"Old":             origin + "/oauth2/old/done",
		}
		providers := map[string]*logintest.Provider{
			"Work": logintest.NewProvider("https://work.example.test", logintest.Client{ID: "app", RedirectURIs: []string{callbacks["Work"]}}),
			"Old":  logintest.NewProvider("https://old.example.test", logintest.Client{ID: "app", RedirectURIs: []string{callbacks["Old"]}}),
		}
		s := start(func(c *core.Config) {
			c.Providers = append(c.Providers,
				core.Provider{Name: "Work", Issuer: "https://work.example.test", ClientID: "app"},
				core.Provider{Name: "Old", Issuer: "https://old.example.test", ClientID: "app", RedirectURL: callbacks["Old"]},
				core.Provider{Name: "Faulty", ClientID: "app"})
			c.SkipFaultyProviders = true
			c.HTTPClient = &http.Client{Transport: byHost{
				"id.example.test":   c.HTTPClient.Transport,
				"work.example.test": providers["Work"].HTTPClient().Transport,
				"old.example.test":  providers["Old"].HTTPClient().Transport,
			}}
		})
		providers["id.example.test"] = s.provider
		requests := func() (n int) {
			for _, p := range providers {
				n += p.Count(logintest.Token)
			}
			return n
		}
		begin := func(name string) (callback string) {
			s.browser.Serve(providers[name].Issuer(), providers[name])
			begun := s.page(s.browser.Visit(origin + "/auth/login?provider=" + name + "&return_to=/private"))
			return s.page(s.browser.Visit(begun.Header.Get("Location"))).Header.Get("Location")
		}
		for name, own := range callbacks {
			for other, theirs := range callbacks {
				if other == name {
					continue
				}
				at := strings.Replace(begin(name), own, theirs, 1)
				if page := s.page(s.browser.Get(at)); page.Status != 400 || !strings.Contains(string(page.Body), "callback_untrusted") {
					t.Errorf("%s at the callback of %s: got %d %s", name, other, page.Status, page.Body)
				}
			}
			if page := s.do("GET", "/private", script); page.Status != 401 || requests() != 0 || s.app.ran.Load() != 0 {
				t.Fatalf("after callbacks of others, /private answers %d after %d token requests", page.Status, requests())
			}
		}
		for i, name := range []string{"Old", "id.example.test", "Work"} {
			callback := begin(name)
			if !strings.HasPrefix(callback, callbacks[name]+"?") {
				t.Errorf("%s redirects to %s", name, callback)
			}
			page := s.page(s.browser.Get(callback))
			if page.Status != 200 || page.URL != origin+"/private" || string(page.Body) != "ada" || requests() != i+1 {
				t.Errorf("%s: the login ends with %d at %s after %d token requests: %s", name, page.Status, page.URL, requests(), page.Body)
			}
		}
		for _, at := range []string{"/auth/callback/Old", "/auth/callback/Faulty"} {
			if page := s.page(s.browser.Visit(origin + at + "?code=x&state=y")); page.Status != 404 {
				t.Errorf("%s, which is no callback, answers %d", at, page.Status)
			}
		}
		if page := s.page(s.browser.Visit(origin + "/auth/login?provider=Faulty")); page.Status != 404 || !strings.Contains(string(page.Body), "provider_unknown") {
			t.Errorf("the provider that was left out: got %d %s", page.Status, page.Body)
		}
	})
}

// Without a provider, an application runs: no user can log in, and no private handler runs.
func TestNoProvider(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
		s := start(func(c *core.Config) { c.Providers, c.SkipFaultyProviders = nil, true })
		for _, path := range []string{"/auth/login", "/private", "/vault"} {
			page := s.page(s.browser.Get(origin + path))
			if page.Status != 503 || !strings.Contains(string(page.Body), "provider_missing") || page.URL != origin+path || page.Header.Get("Set-Cookie") != "" {
				t.Errorf("%s: got %d at %s, %v: %s", path, page.Status, page.URL, page.Header, page.Body)
			}
		}
		if page := s.do("GET", "/private", script); page.Status != 401 || !strings.Contains(string(page.Body), "login_required") {
			t.Errorf("a script gets %d %s", page.Status, page.Body)
		}
		if page := s.page(s.browser.Get(origin + "/maybe")); page.Status != 200 || string(page.Body) != "anonymous" {
			t.Errorf("/maybe answers %d %s", page.Status, page.Body)
		}
		if out := s.page(s.browser.Post(origin+"/auth/logout", nil)); out.Status != 200 || out.URL != origin+"/maybe" {
			t.Errorf("logout ends with %d at %s", out.Status, out.URL)
		}
		if got := s.app.ran.Load() + s.app.opened.Load(); got != 0 {
			t.Errorf("private handlers ran %d times", got)
		}
	})
}

// byHost reaches several providers in memory.
type byHost map[string]http.RoundTripper

func (h byHost) RoundTrip(r *http.Request) (*http.Response, error) { return h[r.URL.Host].RoundTrip(r) }
