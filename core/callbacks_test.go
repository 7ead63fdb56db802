package core_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// callbacksOf returns the paths of the callbacks, in the order of the providers.
func callbacksOf(auth *core.Authenticator) (paths []string) {
	for _, route := range auth.Routes() {
		if !strings.HasSuffix(route.Path, "/login") && !strings.HasSuffix(route.Path, "/logout") {
			paths = append(paths, route.Path)
		}
	}
	return paths
}

// A callback depends on its provider alone: not on how many others there are, and not on
// their order.
func TestCallbacksStay(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	nameless := core.Provider{Issuer: "https://a.example.test", ClientID: "app"}
	named := core.Provider{Name: "Work", Issuer: "https://b.example.test", ClientID: "app"}
	own := core.Provider{Name: "Own", RedirectURL: origin + "/sign-in/done", Issuer: "https://c.example.test", ClientID: "app"}
	first := core.Provider{Name: "First", RedirectURL: callbackURL, Issuer: "https://d.example.test", ClientID: "app"}
	other := core.Provider{Name: "Other", Issuer: "https://e.example.test", ClientID: "app"}
	want := map[string]string{
		"": "/auth/callback", "Work": "/auth/callback/Work", "Own": "/sign-in/done", "First": "/auth/callback", "Other": "/auth/callback/Other",
	}
	for _, providers := range [][]core.Provider{
		{nameless}, {named}, {own}, {first},
		{nameless, named}, {named, nameless}, {named, other}, {other, named},
		{own, first}, {nameless, own, named, other}, {other, named, own, first},
	} {
		auth := g.newAuth(func(c *core.Config) { c.Providers = providers })
		var wanted []string
		for _, p := range providers {
			wanted = append(wanted, want[p.Name])
		}
		if got := callbacksOf(auth); !slices.Equal(got, wanted) {
			t.Errorf("got %q, want %q", got, wanted)
		}
	}
}

// A name that Config does not give is the issuer's host, and works as a name.
func TestOneProviderOfSeveralMayHaveNoName(t *testing.T) {
	t.Parallel()
	g := newDuo(t, func(c *core.Config) { c.Providers[0].Name, c.Providers[0].RedirectURL = "", callbackURL+"/one" })
	chooser := g.get(origin + "/me")
	if !strings.Contains(string(chooser.Body), "provider=id.example.test&amp;") || !strings.Contains(string(chooser.Body), "provider=two&amp;") {
		t.Errorf("the chooser is %s", chooser.Body)
	}
	if page := g.get(origin + "/auth/login?provider=id.example.test&return_to=/me"); string(page.Body) != "I am ada" {
		t.Errorf("got %d: %s", page.Status, page.Body)
	}
}

// ownCallbacks are callbacks that are not made of the providers' names.
var ownCallbacks = map[string]string{"one": callbackURL, "two": callbackURL + "-of-two/done"}

func withOwnCallbacks(c *core.Config) {
	for i := range c.Providers {
		c.Providers[i].RedirectURL = ownCallbacks[c.Providers[i].Name]
	}
}

// With callbacks of their own, a login that begins at one provider still cannot end at the
// callback of another.
func TestMixUpWithOwnCallbacks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name       string
		begun, end string // at which provider
		path       string // of the callback; empty: as the provider's
		accepted   bool
	}{
		{name: "one", begun: "one", end: "one", accepted: true},
		{name: "two", begun: "two", end: "two", accepted: true},
		{name: "one at two's callback", begun: "one", end: "two"},
		{name: "two at one's callback", begun: "two", end: "one"},
		{name: "one at the callback that its name would give", begun: "one", end: "one", path: "/auth/callback/one"},
		{name: "two, where a router has removed a prefix", begun: "two", end: "two", path: "/done", accepted: true},
		{name: "one, where a router has removed two's prefix", begun: "one", end: "two", path: "/done"},
		{name: "one, with a letter removed", begun: "one", end: "one", path: "uth/callback"},
		{name: "one, with a prefix", begun: "one", end: "one", path: "/x/auth/callback"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newDuo(t, withOwnCallbacks)
			returned := g.at(test.begun)
			if want := ownCallbacks[test.begun]; !strings.HasPrefix(returned.String(), want+"?") {
				t.Fatalf("the provider redirects to %s, want %s", returned, want)
			}
			callback, err := url.Parse(ownCallbacks[test.end])
			if err != nil {
				t.Fatal(err)
			}
			mux := http.NewServeMux()
			mux.Handle("/", g.app(g.auth))
			mux.HandleFunc(callback.Path, func(w http.ResponseWriter, r *http.Request) {
				if test.path != "" {
					r.URL.Path = test.path
				}
				if err := g.auth.Callback(w, r); err != nil {
					g.auth.ServeError(w, r, err)
				}
			})
			g.browser.Serve(origin, mux)
			callback.RawQuery = returned.RawQuery
			page := g.get(callback.String())
			if test.accepted {
				if string(page.Body) != "I am ada" {
					t.Errorf("got %d at %s: %s", page.Status, page.URL, page.Body)
				}
				return
			}
			if page.Status != 400 || !strings.Contains(string(page.Body), "callback_untrusted") || g.whoAmI() != "" {
				t.Errorf("got %d: %s", page.Status, page.Body)
			}
			if got := g.provider.Count(logintest.Token) + g.two.Count(logintest.Token) + int(g.logins.Load()); got != 0 {
				t.Errorf("%d token requests and logins", got)
			}
		})
	}
}

// The rest of a path, which a router has left, must be that of one callback only.
func TestCallbacksThatEndAlike(t *testing.T) {
	t.Parallel()
	g := newDuo(t, func(c *core.Config) {
		withOwnCallbacks(c)
		c.Providers[0].RedirectURL = origin + "/one/done"
	})
	returned := g.at("two")
	r := httptest.NewRequest("GET", returned.String(), nil)
	for _, cookie := range g.browser.Cookies(origin) {
		r.AddCookie(cookie)
	}
	r.URL.Path = "/done"
	err := g.auth.Callback(httptest.NewRecorder(), r)
	if failure := new(core.Error); !errors.As(err, &failure) || failure.Code != "callback_untrusted" || g.two.Count(logintest.Token) != 0 {
		t.Errorf("got %v after %d token requests", err, g.two.Count(logintest.Token))
	}
}

// A callback may be the end of another.
func TestACallbackThatIsTheEndOfAnother(t *testing.T) {
	t.Parallel()
	g := newDuo(t, func(c *core.Config) {
		withOwnCallbacks(c)
		c.Providers[0].RedirectURL = origin + "/x/auth/callback-of-two/done"
	})
	if page := g.get(g.at("two").String()); string(page.Body) != "I am ada" {
		t.Errorf("got %d at %s: %s", page.Status, page.URL, page.Body)
	}
}

// An only provider may be called back anywhere.
func TestTheCallbackOfAnOnlyProviderMayBeAnywhere(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	returned := g.toCallback()
	g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := g.auth.Callback(w, r); err != nil {
			g.auth.ServeError(w, r, err)
		}
	}))
	returned.Path = "/elsewhere"
	if page := g.visit(returned.String()); page.Status != 303 || page.Header.Get("Location") != "/me" || g.logins.Load() != 1 {
		t.Errorf("got %d: %s", page.Status, page.Body)
	}
}

// A process with other providers takes over, while logins at a provider that both know are
// in progress. These logins end well, and sessions go on.
func TestLoginsSurviveOtherProviders(t *testing.T) {
	t.Parallel()
	third := core.Provider{Name: "three", Issuer: "https://three.example.test", ClientID: "app"}
	faulty := core.Provider{Name: "four", Issuer: "http://four.example.test", ClientID: "app"}
	for _, test := range []struct {
		name          string
		before, after func(*core.Config)
	}{
		{"added after it", nil, func(c *core.Config) { c.Providers = append(c.Providers, third) }},
		{"added before it", nil, func(c *core.Config) { c.Providers = append([]core.Provider{third}, c.Providers...) }},
		{"without a name, added", nil, func(c *core.Config) {
			c.Providers = append([]core.Provider{{Issuer: third.Issuer, ClientID: "app"}}, c.Providers...)
		}},
		{"removed", nil, func(c *core.Config) { c.Providers = c.Providers[1:] }},
		{"reordered", nil, func(c *core.Config) { slices.Reverse(c.Providers) }},
		{"faulty and left out", nil, func(c *core.Config) {
			c.Providers, c.SkipFaultyProviders = append([]core.Provider{faulty}, c.Providers...), true
		}},
		{"all others at fault", nil, func(c *core.Config) { c.Providers[0].ClientID, c.SkipFaultyProviders = "", true }},
		{"added to an only one", func(c *core.Config) { c.Providers = c.Providers[1:] }, nil},
		{"with own callbacks, reordered", withOwnCallbacks, func(c *core.Config) { withOwnCallbacks(c); slices.Reverse(c.Providers) }},
		{"with own callbacks, removed", withOwnCallbacks, func(c *core.Config) { withOwnCallbacks(c); c.Providers = c.Providers[1:] }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			nothing := func(*core.Config) {}
			if test.before == nil {
				test.before = nothing
			}
			if test.after == nil {
				test.after = nothing
			}
			g := newDuo(t, test.before)
			g.get(g.at("two").String())
			inFlight := g.at("two")
			g.browser.Serve(origin, g.app(g.newAuth(g.both, test.after)))
			if got := g.whoAmI(); got != "I am ada" {
				t.Errorf("the session of before is one of %q", got)
			}
			g.browser.Forget(origin+"/", "__Host-pixy-session")
			if page := g.get(inFlight.String()); string(page.Body) != "I am ada" || page.URL != origin+"/me" {
				t.Errorf("the login of before ends with %d at %s: %s", page.Status, page.URL, page.Body)
			}
			if got := g.whoAmI(); got != "I am ada" || g.logins.Load() != 2 {
				t.Errorf("got %q after %d logins", got, g.logins.Load())
			}
		})
	}
}
