package core_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// clientele is an application with looked-up providers, each of which has its own keys.
type clientele struct {
	*rig
	providers map[string]*logintest.Provider
}

// newClientele is an application whose customers have these names.
func newClientele(t testing.TB, names []string, change ...func(*core.Config)) *clientele {
	t.Helper()
	g := &clientele{rig: &rig{t: t, browser: logintest.NewBrowser()}, providers: map[string]*logintest.Provider{}}
	table, handlers := map[string]*core.Provider{}, map[string]http.Handler{}
	for _, name := range names {
		at := "https://" + name + ".example.test"
		g.provider = logintest.NewProvider(at, logintest.Client{ID: "app", Secret: "secret", RedirectURIs: []string{callbackURL + "/" + name}})
		g.provider.Now = g.now
		g.provider.Misbehave(strongKeys)
		g.providers[name], handlers[at] = g.provider, g.provider
		table[name] = &core.Provider{Issuer: at, ClientID: "app", ClientSecret: "secret"}
	}
	g.auth = g.newAuth(append([]func(*core.Config){func(c *core.Config) {
		c.Providers, c.HTTPClient, c.Logger = nil, logintest.InMemory(handlers), slog.New(slog.DiscardHandler)
		c.Lookup = core.LookupConfig{AnyAddress: true, Find: func(_ context.Context, name string) (*core.Provider, error) { return table[name], nil }}
	}}, change...)...)
	return g
}

// strongKeys spares the processor RSA signatures.
var strongKeys = logintest.Faults{IDToken: func(header, _ map[string]any) { header["alg"] = "ES256" }}

// employee is a browser in front of the application.
func (g *clientele) employee() *rig {
	of := &rig{t: g.t, auth: g.auth, browser: logintest.NewBrowser()}
	for _, provider := range g.providers {
		of.browser.Serve(provider.Issuer(), provider)
	}
	of.browser.Serve(origin, g.app(g.auth))
	return of
}

func (g *clientele) loginAt(name string) *logintest.Page {
	return g.employee().get(origin + "/auth/login?provider=" + name + "&return_to=/me")
}

// hostileProviders are what a customer's provider may do to the application.
var hostileProviders = map[string]logintest.Faults{
	"hangs at the metadata": on(logintest.Discovery, stall),
	"hangs at the keys":     on(logintest.JWKS, stall),
	"hangs at the token":    on(logintest.Token, stall),
	"drips":                 on(logintest.Discovery, drip),
	"is down": {Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
		w.WriteHeader(http.StatusBadGateway)
		return true
	}},
	"has endless metadata": on(logintest.Discovery, endless),
	"has endless keys":     on(logintest.JWKS, endless),
	"has endless tokens":   on(logintest.Token, endless),
	"has many keys": {JWKS: func(set map[string]any) {
		set["keys"] = append(make([]any, 5000), set["keys"])
		for i := range 5000 {
			set["keys"].([]any)[i] = map[string]any{"kty": "EC", "crv": "P-256", "kid": fmt.Sprint(i), "x": strings.Repeat("A", 43), "y": strings.Repeat("A", 43)}
		}
	}},
	"is another":          {Discovery: func(m map[string]any) { m["issuer"] = "https://good0.example.test" }},
	"has large claims":    {IDToken: func(_, c map[string]any) { c["large"] = strings.Repeat("x", 1<<18) }},
	"redirects to itself": on(logintest.Discovery, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }),
}

func endless(w http.ResponseWriter, _ *http.Request) {
	for {
		if _, err := w.Write(make([]byte, 64<<10)); err != nil {
			return
		}
	}
}

// While one customer's provider is slow, hostile or down, and its users log in again and
// again, a thousand logins at others wait for nothing: in the bubble no time passes, unless
// someone waits. Nothing of the others is fetched twice.
func TestOneCustomersProviderHarmsNoOther(t *testing.T) {
	t.Parallel()
	for name, faults := range hostileProviders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			logins := 50
			if name == "hangs at the metadata" {
				logins = 1000 / crowds
			}
			bubble(t, func(t *testing.T) {
				names := []string{"bad"}
				for i := range 10 {
					names = append(names, fmt.Sprint("good", i))
				}
				g := newClientele(t, names, func(c *core.Config) { c.Lookup.MaxKept = len(names) })
				g.providers["bad"].Misbehave(faults)
				var atBad sync.WaitGroup
				var over atomic.Bool
				for range 5 {
					atBad.Go(func() {
						for done := false; !done; done = over.Load() {
							page := g.loginAt("bad")
							if page.Status != http.StatusBadGateway && page.Status != http.StatusServiceUnavailable {
								t.Errorf("at the hostile provider: got %d %.200s", page.Status, page.Body)
							}
							time.Sleep(time.Second)
						}
					})
				}
				begun := time.Now()
				time.Sleep(2500 * time.Millisecond) // requests wait for it by now
				var all sync.WaitGroup
				for i := range 10 {
					all.Go(func() {
						for j := range logins / 10 {
							start := time.Now()
							page := g.loginAt(fmt.Sprint("good", (i+j)%10))
							if took := time.Since(start); string(page.Body) != "I am ada" || took != 0 {
								t.Errorf("login %d: got %d after %s: %.200s", j, page.Status, took, page.Body)
							}
						}
					})
				}
				all.Wait()
				if took := time.Since(begun); took != 2500*time.Millisecond {
					t.Errorf("all logins took %s", took)
				}
				over.Store(true)
				atBad.Wait()
				for _, name := range names[1:] {
					for _, endpoint := range []logintest.Endpoint{logintest.Discovery, logintest.JWKS} {
						if got := g.providers[name].Count(endpoint); got != 1 {
							t.Errorf("%s of %s was fetched %d times", endpoint, name, got)
						}
					}
				}
			})
		})
	}
}

// A login goes on although its provider was dropped from memory meanwhile: the metadata
// and keys are fetched again.
func TestAProviderIsDroppedDuringALogin(t *testing.T) {
	t.Parallel()
	g := newClientele(t, []string{"acme", "globex"}, func(c *core.Config) { c.Lookup.MaxKept = 1 })
	for round := 1; round <= 3; round++ {
		person := g.employee()
		callback := follow(t, person.browser, origin+"/auth/login?provider=acme&return_to=/me")
		if page := g.loginAt("globex"); string(page.Body) != "I am ada" {
			t.Fatalf("got %d %s", page.Status, page.Body)
		}
		if page := person.get(callback.String()); string(page.Body) != "I am ada" || page.URL != origin+"/me" {
			t.Fatalf("got %d at %s: %s", page.Status, page.URL, page.Body)
		}
		if got := g.providers["acme"].Count(logintest.Discovery); got > 2*round {
			t.Errorf("the metadata was fetched %d times in %d logins", got, round)
		}
	}
}
