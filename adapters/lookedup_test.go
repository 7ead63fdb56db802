package adapters_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	echo4 "github.com/labstack/echo/v4"
	echo5 "github.com/labstack/echo/v5"

	"github.com/pixyauth/pixy/adapters/echo5login"
	"github.com/pixyauth/pixy/adapters/echologin"
	"github.com/pixyauth/pixy/adapters/ginlogin"
	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// customer is the name of a looked-up provider, and customersURL its callback.
const (
	customer     = "acme-2.example_org"
	customersURL = origin + "/auth/callback/" + customer
)

// atCustomer registers callbacks of a looked-up provider.
func atCustomer(client *logintest.Client) {
	client.RedirectURIs = []string{customersURL, origin + "/reader/auth/callback/" + customer}
}

// lookUp looks the provider up, in place of listing it.
func lookUp(c *core.Config) {
	found := c.Providers[0]
	c.Providers, c.Lookup.AnyAddress = nil, true // providers in memory
	c.Lookup.Find = func(_ context.Context, name string) (*core.Provider, error) {
		if name == customer {
			return &found, nil
		}
		return nil, nil
	}
}

// A looked-up provider has its callback in each framework, behind Mount and behind a guard
// that serves the login's routes itself.
func TestALookedUpProvider(t *testing.T) {
	t.Parallel()
	apps := map[string]func(*app, *core.Authenticator) http.Handler{}
	for name, build := range frameworks {
		apps[name] = build
	}
	for name, build := range behindGuard {
		apps[name+" without Mount"] = build
	}
	for name, build := range apps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStageOf(t, atCustomer, new(app), build, lookUp, func(c *core.Config) {
				c.KeysPath, c.Logout.Revocations = "/auth/jwks", new(core.MemoryRevocations)
			})
			if page := s.page(s.browser.Get(origin + "/auth/login?provider=" + customer + "&return_to=/private?a=1")); page.Status != 200 || string(page.Body) != "ada" || page.URL != origin+"/private?a=1" {
				t.Errorf("got %d at %s: %s", page.Status, page.URL, page.Body)
			}
			for _, no := range []string{"nobody", "a/b", "", "..", "%61cme-2.example_org"} {
				other := logintest.NewBrowser()
				other.Serve(origin, s.handler)
				if page := s.page(other.Visit(origin + "/auth/callback/" + no + "?code=x&state=y")); page.Status == 200 || page.Status == 500 {
					t.Errorf("the callback of %q answers %d", no, page.Status)
				}
			}
			if got := s.provider.Count(logintest.Token); got != 1 {
				t.Errorf("%d token requests", got)
			}
			if page := s.do("GET", "/auth/jwks/"+customer, script); page.Status != 200 || string(page.Body) != `{"keys":[]}` {
				t.Errorf("the keys: got %d %s", page.Status, page.Body)
			}
			token := s.provider.LogoutToken("app", logintest.User{Subject: "ada"}, nil)
			for _, at := range []struct {
				path         string
				status, left int
			}{{"/nobody", 400, 200}, {"", 400, 200}, {"/" + customer, 200, 401}} {
				r := httptest.NewRequest("POST", origin+"/auth/backchannel-logout"+at.path, strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				w := httptest.NewRecorder()
				if s.handler.ServeHTTP(w, r); w.Code != at.status {
					t.Errorf("a logout token at %q: got %d %s", at.path, w.Code, w.Body)
				}
				if page := s.do("GET", "/private", script); page.Status != at.left {
					t.Errorf("after a logout token at %q, /private gets %d", at.path, page.Status)
				}
			}
		})
	}
}

// The same below a prefix that requests have or have not, and in a group.
func TestALookedUpProviderUnderABasePath(t *testing.T) {
	t.Parallel()
	apps := map[string]func(*testing.T, *app, *core.Authenticator) http.Handler{}
	for way, topology := range behind {
		for name, build := range frameworks {
			apps[name+" behind "+way] = func(t *testing.T, a *app, auth *core.Authenticator) http.Handler { return topology(t, build(a, auth)) }
		}
	}
	for name, build := range inGroup {
		apps[name+" in a group"] = func(_ *testing.T, a *app, auth *core.Authenticator) http.Handler { return build(a, auth) }
	}
	for name, build := range apps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStageOf(t, atCustomer, new(app), func(a *app, auth *core.Authenticator) http.Handler { return build(t, a, auth) }, underReader, lookUp)
			if page := s.page(s.browser.Get(origin + "/reader/auth/login?provider=" + customer + "&return_to=/reader/private")); string(page.Body) != "ada" || page.URL != origin+"/reader/private" {
				t.Errorf("got %d at %s: %s", page.Status, page.URL, page.Body)
			}
		})
	}
}

// In each router, the callback of a listed provider is found beside the one for all
// looked-up providers, whose path matches it as well.
func TestAListedCallbackBesideTheOneOfLookedUpProviders(t *testing.T) {
	t.Parallel()
	for name, build := range frameworks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStageOf(t, func(client *logintest.Client) {
				client.RedirectURIs = []string{customersURL, origin + "/auth/callback/staff"}
			}, new(app), build, lookUp, func(c *core.Config) {
				found, _ := c.Lookup.Find(context.Background(), customer)
				staff := *found
				staff.Name, staff.Requests.FormPost = "staff", true
				c.Providers = []core.Provider{staff}
			})
			for _, name := range []string{"staff", customer} {
				if page := s.page(s.browser.Get(origin + "/auth/login?provider=" + name + "&return_to=/private")); string(page.Body) != "ada" {
					t.Errorf("%s: got %d at %s: %s", name, page.Status, page.URL, page.Body)
				}
			}
			if page := s.page(s.browser.Post(origin+"/auth/callback/staff", url.Values{"error": {"x"}})); page.URL != origin+"/" || len(page.Hops) != 3 {
				t.Errorf("a form of the listed provider: got %d at %s", page.Status, page.URL)
			}
		})
	}
}

// behindGuard builds an application whose guard is in front of everything, and serves the
// login's routes.
var behindGuard = map[string]func(*app, *core.Authenticator) http.Handler{
	"httplogin": func(a *app, auth *core.Authenticator) http.Handler {
		return httplogin.New(auth).Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(httplogin.User(r).Subject))
		}))
	},
	"ginlogin": func(a *app, auth *core.Authenticator) http.Handler {
		router := gin.New()
		router.Use(ginlogin.New(auth).RequireUser)
		router.NoRoute(func(c *gin.Context) { c.String(200, ginlogin.User(c).Subject) })
		return router
	},
	"echologin": func(a *app, auth *core.Authenticator) http.Handler {
		router := echo4.New()
		router.Use(echologin.New(auth).RequireUser)
		router.Any("/*", func(c echo4.Context) error { return c.String(200, echologin.User(c).Subject) })
		return router
	},
	"echo5login": func(a *app, auth *core.Authenticator) http.Handler {
		router := echo5.New()
		router.Use(echo5login.New(auth).RequireUser)
		router.Any("/*", func(c *echo5.Context) error { return c.String(200, echo5login.User(c).Subject) })
		return router
	},
}
