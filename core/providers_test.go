package core_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

const otherIssuer = "https://other.example.test"

// duo is a rig with two live providers, one and two, at each of which
// somebody has the same subject.
type duo struct {
	*rig
	two *logintest.Provider
}

func newDuo(t *testing.T, change ...func(*core.Config)) *duo {
	t.Helper()
	g := &duo{rig: &rig{t: t, browser: logintest.NewBrowser()}}
	provide := func(issuer, name string) *logintest.Provider {
		provider := logintest.NewProvider(issuer, logintest.Client{
			ID: "app", RedirectURIs: []string{callbackURL + "/" + name, ownCallbacks[name]}, PostLogoutRedirectURIs: []string{origin + "/"},
		})
		provider.Now = g.now
		g.browser.Serve(issuer, provider)
		return provider
	}
	g.provider, g.two = provide(issuer, "one"), provide(otherIssuer, "two")
	g.auth = g.newAuth(append([]func(*core.Config){g.both}, change...)...)
	g.browser.Serve(origin, g.app(g.auth))
	return g
}

// both configures both providers.
func (g *duo) both(c *core.Config) {
	c.Providers = []core.Provider{
		{Name: "one", Issuer: issuer, ClientID: "app"},
		{Name: "two", Issuer: otherIssuer, ClientID: "app"},
	}
	c.HTTPClient = &http.Client{Transport: byHost{
		"id.example.test": g.provider.HTTPClient().Transport, "other.example.test": g.two.HTTPClient().Transport,
	}}
}

// byHost reaches several providers in memory.
type byHost map[string]http.RoundTripper

func (h byHost) RoundTrip(r *http.Request) (*http.Response, error) { return h[r.URL.Host].RoundTrip(r) }

// at begins a login at a provider and returns the callback's URL.
func (g *duo) at(name string) *url.URL {
	g.t.Helper()
	return follow(g.t, g.browser, origin+"/auth/login?return_to=/me&provider="+name)
}

// Users see labels, which may be any text, and links have names.
func TestTheChooserShowsLabels(t *testing.T) {
	t.Parallel()
	g := newDuo(t, func(c *core.Config) {
		c.Providers[0].Label = `Müller & "Söhne" <b>GmbH</b>`
		c.Providers = append(c.Providers, core.Provider{Issuer: "https://third.example.test", ClientID: "app"})
	})
	body := string(g.get(origin + "/auth/login").Body)
	for _, want := range []string{
		`?provider=one">Müller &amp; &#34;Söhne&#34; &lt;b&gt;GmbH&lt;/b&gt;</a>`, `?provider=two">two</a>`, `?provider=third.example.test">third.example.test</a>`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("lacks %s:\n%s", want, body)
		}
	}
}

func TestThePersonChoosesAProvider(t *testing.T) {
	t.Parallel()
	g := newDuo(t)
	guarded := g.visit(origin + "/me?tab=1")
	if got := guarded.Header.Get("Location"); guarded.Status != 303 || got != "/auth/login?return_to=%2Fme%3Ftab%3D1" {
		t.Fatalf("the guard leads to %q", got)
	}
	chooser := g.get(origin + "/me?tab=1")
	if chooser.Status != 200 || len(g.browser.Cookies(origin)) != 0 {
		t.Fatalf("got %d, and %d cookies before anything is chosen", chooser.Status, len(g.browser.Cookies(origin)))
	}
	for _, name := range []string{"one", "two"} {
		link := `href="/auth/login?provider=` + name + `&amp;return_to=%2Fme%3Ftab%3D1">` + name + `</a>`
		if !strings.Contains(string(chooser.Body), link) {
			t.Errorf("no link to %s: %s", name, chooser.Body)
		}
	}
	if got := chooser.Header.Get("Content-Security-Policy"); !strings.Contains(got, "default-src 'none'") || chooser.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %v", chooser.Header)
	}
	for name, provider := range map[string]*logintest.Provider{"one": g.provider, "two": g.two} {
		provider.User = logintest.User{Subject: "ada"}
		page := g.get(origin + "/auth/login?provider=" + name + "&return_to=%2Fme%3Ftab%3D1")
		if page.URL != origin+"/me?tab=1" || string(page.Body) != "I am ada" {
			t.Errorf("%s: ends with %d at %s: %s", name, page.Status, page.URL, page.Body)
		}
	}
	page := g.get(origin + "/auth/login?provider=three&return_to=/me")
	if page.Status != 404 || !strings.Contains(string(page.Body), `href="/auth/login?return_to=%2Fme"`) {
		t.Errorf("a provider that there is not: got %d %s", page.Status, page.Body)
	}
}

// The same subject at two providers is two users.
func TestUsersOfTwoProvidersAreTwoUsers(t *testing.T) {
	t.Parallel()
	t.Run("rule 88: two providers, one subject", func(t *testing.T) {
		t.Parallel()
		var seen []string
		g := newDuo(t, func(c *core.Config) { c.OnLogin = remember(&seen) })
		g.get(g.at("one").String())
		g.get(g.at("two").String())
		if len(seen) != 2 || seen[0] == seen[1] || !strings.HasPrefix(seen[0], issuer) || !strings.HasPrefix(seen[1], otherIssuer) {
			t.Errorf("got %q", seen)
		}
	})
}

// An answer of one provider for a login at another is refused
// in both directions, and no code goes anywhere.
func TestMixUpIsRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name       string
		begun, end string // at which provider
		mix        func(mine, theirs *url.URL) string
	}{
		{"rules 25, 47: the other's callback for this one's login", "one", "two", func(mine, theirs *url.URL) string {
			return strings.Replace(mine.String(), "/callback/one", "/callback/two", 1)
		}},
		{"rules 25, 47: the same, the other way round", "two", "one", func(mine, theirs *url.URL) string {
			return strings.Replace(mine.String(), "/callback/two", "/callback/one", 1)
		}},
		{"rules 25, 47: the other's whole answer with this one's state", "one", "two", func(mine, theirs *url.URL) string {
			return swap(theirs, "state", mine)
		}},
		{"rules 25, 47: the same answer, the other way round", "two", "one", func(mine, theirs *url.URL) string {
			return swap(theirs, "state", mine)
		}},
		{"rules 25, 47: the other's code and iss at this one's callback", "one", "two", func(mine, theirs *url.URL) string {
			return swap(mine, "code", theirs, "iss")
		}},
		{"rules 25, 47: a callback of neither", "one", "two", func(mine, _ *url.URL) string {
			return strings.Replace(mine.String(), "/callback/one", "/callback/three", 1)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newDuo(t)
			mux := http.NewServeMux()
			mux.Handle("/", g.app(g.auth))
			mux.HandleFunc("/auth/callback/three", func(w http.ResponseWriter, r *http.Request) {
				g.auth.ServeError(w, r, g.auth.Callback(w, r))
			})
			g.browser.Serve(origin, mux)
			mine, theirs := g.at(test.begun), g.at(test.end)
			page := g.get(test.mix(mine, theirs))
			if page.Status != 400 || !strings.Contains(string(page.Body), "callback_untrusted") || g.whoAmI() != "" {
				t.Errorf("got %d: %s", page.Status, page.Body)
			}
			if got := g.provider.Count(logintest.Token) + g.two.Count(logintest.Token) + int(g.logins.Load()); got != 0 {
				t.Errorf("%d token requests and logins", got)
			}
		})
	}
	t.Run("rule 26: a copied authorization endpoint gets no code", func(t *testing.T) {
		t.Parallel()
		aCopiedEndpointGetsNoCode(newDuo(t))
	})
}

// A provider that names another's authorization endpoint as its own gets the
// other's answers, and no code of theirs.
func aCopiedEndpointGetsNoCode(g *duo) {
	g.t.Helper()
	g.two.Misbehave(logintest.Faults{Discovery: func(m map[string]any) { m["authorization_endpoint"] = issuer + "/authorize" }})
	begun := g.visit(origin + "/auth/login?provider=two")
	// The honest provider does not know the callback; suppose that it did.
	to, err := url.Parse(begun.Header.Get("Location"))
	if err != nil {
		g.t.Fatal(err)
	}
	query := to.Query()
	query.Set("redirect_uri", callbackURL+"/one")
	to.RawQuery = query.Encode()
	answered := follow(g.t, g.browser, to.String())
	for _, callback := range []string{answered.String(), strings.Replace(answered.String(), "/callback/one", "/callback/two", 1)} {
		if page := g.get(callback); page.Status == 200 && string(page.Body) == "I am ada" {
			g.t.Errorf("%s logs in", callback)
		}
	}
	if got := g.two.Count(logintest.Token) + g.provider.Count(logintest.Token); got != 0 {
		g.t.Errorf("%d token requests", got)
	}
}

// swap returns the URL to with parameters of from.
func swap(to *url.URL, name string, from *url.URL, names ...string) string {
	changed, query := *to, to.Query()
	for _, name := range append(names, name) {
		query.Set(name, from.Query().Get(name))
	}
	changed.RawQuery = query.Encode()
	return changed.String()
}

// After login, everything follows the user's own provider.
func TestLogoutGoesToTheUsersProvider(t *testing.T) {
	t.Parallel()
	g := newDuo(t)
	for name, provider := range map[string]*logintest.Provider{"one": g.provider, "two": g.two} {
		g.get(g.at(name).String())
		out, err := g.browser.Post(origin+"/auth/logout", nil)
		if err != nil {
			t.Fatal(err)
		}
		if to := out.Hops[2].Header.Get("Location"); !strings.HasPrefix(to, provider.Issuer()+"/end-session?") || !strings.Contains(to, "id_token_hint") {
			t.Errorf("%s: logout leads to %s", name, to)
		}
		if out.Status != 200 || g.whoAmI() != "" {
			t.Errorf("%s: logout ends with %d at %s", name, out.Status, out.URL)
		}
	}
}

// A provider that is down, or gone from the configuration, concerns its own
// users only.
func TestProvidersDoNotConcernEachOther(t *testing.T) {
	t.Parallel()
	g := newDuo(t)
	g.get(g.at("one").String())
	without := g.newAuth(func(c *core.Config) {
		c.Providers = []core.Provider{{Name: "two", Issuer: otherIssuer, ClientID: "app"}}
	})
	g.browser.Serve(origin, g.app(without))
	if got := g.whoAmI(); got != "" {
		t.Errorf("the user of a former provider is %q", got)
	}
	g.browser.Serve(origin, g.app(g.auth))
	if got := g.whoAmI(); got != "I am ada" {
		t.Errorf("got %q", got)
	}
	g.two.Misbehave(logintest.Faults{Intercept: func(logintest.Endpoint, http.ResponseWriter, *http.Request) bool {
		panic(http.ErrAbortHandler)
	}})
	page := g.get(origin + "/auth/login?provider=two&return_to=/me")
	if page.Status != 503 || !strings.Contains(string(page.Body), "/auth/login?provider=two&amp;return_to=%2Fme") {
		t.Errorf("got %d %s", page.Status, page.Body)
	}
	if !strings.Contains(g.log.String(), `"provider":"two"`) {
		t.Errorf("logged as %s", g.log.String())
	}
	if err := g.auth.Discover(t.Context()); err == nil {
		t.Error("Discover does not tell")
	}
	g.get(g.at("one").String())
	if got := g.whoAmI(); got != "I am ada" {
		t.Errorf("got %q", got)
	}
}

func TestALostCallbackOfOneProviderBeginsThereAgain(t *testing.T) {
	t.Parallel()
	g := newDuo(t)
	callback := g.at("two")
	g.browser.Forget("", "")
	if to := g.visit(callback.String()).Header.Get("Location"); !strings.HasPrefix(to, otherIssuer+"/authorize?") {
		t.Errorf("leads to %q", to)
	}
}

// An application may mount the callback itself, and where it likes.
func TestACallbackOfNoProvider(t *testing.T) {
	t.Parallel()
	g := newDuo(t)
	for _, path := range []string{"/auth/callback", "/auth/callback/ONE", "/"} {
		w := httptest.NewRecorder()
		err := g.auth.Callback(w, httptest.NewRequest("GET", origin+path+"?code=x&state="+strings.Repeat("A", 43), nil))
		if err != nil || w.Code != http.StatusSeeOther || w.Header().Get("Location") != "/auth/login" || g.log.String() != "" {
			t.Errorf("%s: got %v, %d to %q, and logged as %s", path, err, w.Code, w.Header().Get("Location"), g.log.String())
		}
	}
}
