package adapters_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
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

// The login's paths are absolute. Mount works for a group whose prefix they have, and
// panics for any other. Without that, the callback would be a 404 after the user has
// logged in.
func TestMountOnAGroup(t *testing.T) {
	t.Parallel()
	s := newStage(t, new(app), frameworks["httplogin"])
	shared := s.newAuth(underReader)
	underAuth := s.newAuth(func(c *core.Config) {
		c.BasePath, c.RedirectURL, c.Logout.After = "/auth", origin+"/auth/auth/callback", ""
	})
	apart := s.newAuth(func(c *core.Config) { c.Pages.LoginPath = "/login" })
	groups := map[string]func(auth *core.Authenticator, prefix string) http.Handler{
		"ginlogin": func(auth *core.Authenticator, prefix string) http.Handler {
			router := gin.New()
			ginlogin.New(auth).Mount(router.Group(prefix))
			return router
		},
		"echologin": func(auth *core.Authenticator, prefix string) http.Handler {
			router := echo4.New()
			echologin.New(auth).Mount(router.Group(prefix))
			return router
		},
		"echo5login": func(auth *core.Authenticator, prefix string) http.Handler {
			router := echo5.New()
			echo5login.New(auth).Mount(router.Group(prefix))
			return router
		},
	}
	const gins, all = "ginlogin", "ginlogin echologin echo5login"
	for _, test := range []struct {
		auth   *core.Authenticator
		prefix string
		works  string // in which adapters
		at     string // paths of the login, where it works
	}{
		{s.auth, "", all, "/auth/login"},
		{s.auth, "/auth", gins, "/auth/login"},
		{s.auth, "/auth/", gins, "/auth/login"},
		{s.auth, "/au", "", ""},
		{s.auth, "/auth/login", "", ""},
		{s.auth, "/app", "", ""},
		{s.auth, "/app/:tenant", "", ""},
		{apart, "/auth", "", ""},
		{apart, "", all, "/login"},
		{shared, "", all, "/reader/auth/login /auth/login"},
		{shared, "/reader", all, "/reader/auth/login"},
		{shared, "/reader/auth", gins, "/reader/auth/login"},
		{shared, "/auth", gins, "/auth/login"},
		{shared, "/app", "", ""},
		{shared, "/reader/reader", "", ""},
		{underAuth, "/auth", all, "/auth/auth/login"},
		{underAuth, "/auth/auth", gins, "/auth/auth/login"},
	} {
		for name, mount := range groups {
			t.Run(name+" "+test.prefix, func(t *testing.T) {
				var router http.Handler
				text := panics(func() { router = mount(test.auth, test.prefix) })
				if !strings.Contains(test.works, name) {
					if !strings.HasPrefix(text, name+": Mount") || !strings.Contains(text, strings.TrimSuffix(test.prefix, "/")) || !strings.Contains(text, "RedirectURL with the full path") {
						t.Errorf("got %q", text)
					}
					return
				}
				if text != "" {
					t.Fatalf("panics: %s", text)
				}
				for path := range strings.SplitSeq(test.at, " ") {
					for method, want := range map[string]int{"GET": 303, "POST": 303} {
						r := httptest.NewRequest(method, origin+path, nil)
						r.Header.Set("Accept", "text/html")
						w := httptest.NewRecorder()
						if router.ServeHTTP(w, r); w.Code != want {
							t.Errorf("%s %s: got %d %s", method, path, w.Code, w.Body)
						}
					}
					r := httptest.NewRequest("POST", origin+strings.TrimSuffix(path, "in")+"out", nil)
					w := httptest.NewRecorder()
					if router.ServeHTTP(w, r); w.Code != 303 && path != "/login" {
						t.Errorf("the logout beside %s: got %d", path, w.Code)
					}
				}
			})
		}
	}
}

// underReader is the application at /reader of its host.
func underReader(c *core.Config) {
	c.BasePath, c.RedirectURL, c.Logout.After = "/reader", origin+"/reader/auth/callback", "/reader/maybe"
}

// behind are the ways in which requests reach an application at /reader whose pages have
// no prefix.
var behind = map[string]func(*testing.T, http.Handler) http.Handler{
	"a proxy that removes the prefix": func(t *testing.T, h http.Handler) http.Handler {
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		to, err := url.Parse(server.URL)
		if err != nil {
			t.Fatal(err)
		}
		proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Path = strings.TrimPrefix(r.Out.URL.Path, "/reader")
			r.SetURL(to)
		}}
		mux := http.NewServeMux()
		mux.Handle("/reader/", proxy)
		return mux
	},
	"StripPrefix": func(_ *testing.T, h http.Handler) http.Handler { return http.StripPrefix("/reader", h) },
}

// An application at /reader, which sees requests without that prefix: login, guard,
// step-up, error page, cookies and logout are those of the browser's URLs.
func TestBasePathWithoutThePrefix(t *testing.T) {
	t.Parallel()
	for way, topology := range behind {
		for name, build := range frameworks {
			t.Run(name+" behind "+way, func(t *testing.T) {
				t.Parallel()
				s := newStage(t, new(app), func(a *app, auth *core.Authenticator) http.Handler { return topology(t, build(a, auth)) }, underReader)
				basePathStory(t, s)
			})
		}
	}
}

// The same application, whose routes have the prefix.
func TestBasePathWithThePrefix(t *testing.T) {
	t.Parallel()
	for name, build := range inGroup {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			basePathStory(t, newStage(t, new(app), build, underReader))
		})
	}
}

func basePathStory(t *testing.T, s *stage) {
	asked := s.page(s.browser.Visit(origin + "/reader/private?tab=1"))
	if to := asked.Header.Get("Location"); asked.Status != 303 || !strings.Contains(to, url.QueryEscape(origin+"/reader/auth/callback")) {
		t.Fatalf("got %d to %q: %s", asked.Status, to, asked.Body)
	}
	refused := s.do("GET", "/reader/private", http.Header{"Accept": {"application/json"}, "Referer": {origin + "/reader/list"}})
	if refused.Status != 401 || !strings.Contains(string(refused.Body), `"login_url":"/reader/auth/login?return_to=%2Freader%2Flist"`) {
		t.Errorf("a script gets %d %s", refused.Status, refused.Body)
	}
	page := s.page(s.browser.Get(origin + "/reader/private?tab=1"))
	if page.Status != 200 || string(page.Body) != "ada" || page.URL != origin+"/reader/private?tab=1" {
		t.Fatalf("got %d at %s: %s", page.Status, page.URL, page.Body)
	}
	for _, c := range s.browser.Cookies(origin + "/reader/auth/logout") {
		if !strings.HasPrefix(c.Name, "__Host-pixy_reader-") && c.Name != "__Secure-pixy_reader-logout" {
			t.Errorf("a cookie is called %s", c.Name)
		}
	}
	s.provider.User.ACR = []string{"silver", "gold"}
	if page := s.page(s.browser.Get(origin + "/reader/vault?tab=2")); string(page.Body) != "ada" || page.URL != origin+"/reader/vault?tab=2" {
		t.Errorf("a step-up: got %d at %s: %s", page.Status, page.URL, page.Body)
	}
	if page := s.do("GET", "/reader/auth/login?provider=x", http.Header{"Accept": {"text/html"}}); page.Status != 404 || !strings.Contains(string(page.Body), `<a href="/reader/">Home</a>`) || strings.Contains(string(page.Body), `href="/a`) {
		t.Errorf("an error page: got %d %s", page.Status, page.Body)
	}
	if page := s.page(s.browser.Visit(origin + "/reader/auth/callback?code=x&state=y")); page.Status != 303 || page.Header.Get("Location") != "/reader/" {
		t.Errorf("a callback once more: got %d to %q", page.Status, page.Header.Get("Location"))
	}
	out := s.page(s.browser.Post(origin+"/reader/auth/logout", nil))
	if out.Status != 200 || string(out.Body) != "anonymous" || out.URL != origin+"/reader/maybe" || len(out.Hops) != 5 {
		t.Errorf("logout ends with %d at %s after %d hops: %s", out.Status, out.URL, len(out.Hops), out.Body)
	}
	for _, c := range s.browser.Cookies(origin + "/reader/auth/logout") {
		if !strings.HasPrefix(c.Name, "__Host-pixy_reader-login-") { // of the login that was only begun
			t.Errorf("%s is left", c.Name)
		}
	}
	if got := s.app.ran.Load(); got != 1 || s.app.opened.Load() != 1 {
		t.Errorf("the private handlers ran %d and %d times", got, s.app.opened.Load())
	}
}

// With several providers, the guard, the choice and the callbacks stay below the prefix.
func TestChoiceUnderABasePath(t *testing.T) {
	t.Parallel()
	for name, build := range frameworks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, new(app), func(a *app, auth *core.Authenticator) http.Handler {
				return behind["a proxy that removes the prefix"](t, build(a, auth))
			}, underReader, func(c *core.Config) {
				c.Providers[0].Name = "one"
				two := c.Providers[0]
				two.Name, two.Issuer = "two", "https://two.example.test"
				c.Providers = append(c.Providers, two)
			})
			choice := s.page(s.browser.Get(origin + "/reader/private?tab=1"))
			if choice.Status != 200 || !strings.Contains(string(choice.Body), `href="/reader/auth/login?provider=one&amp;return_to=%2Freader%2Fprivate%3Ftab%3D1"`) {
				t.Fatalf("got %d at %s: %s", choice.Status, choice.URL, choice.Body)
			}
			if page := s.page(s.browser.Get(origin + "/reader/auth/login?provider=one&return_to=/reader/private?tab=1")); string(page.Body) != "ada" || page.URL != origin+"/reader/private?tab=1" {
				t.Errorf("got %d at %s: %s", page.Status, page.URL, page.Body)
			}
		})
	}
}

// inGroup builds the application of frameworks with /reader in its routes: /private,
// /vault and /maybe, and the login, are in a group or subrouter.
var inGroup = map[string]func(*app, *core.Authenticator) http.Handler{
	"httplogin": func(a *app, auth *core.Authenticator) http.Handler {
		inner, mux := frameworks["httplogin"](a, auth), http.NewServeMux()
		httplogin.New(auth).Mount(mux)
		mux.Handle("/reader/", http.StripPrefix("/reader", inner))
		return mux
	},
	"ginlogin": func(a *app, auth *core.Authenticator) http.Handler {
		login, router := ginlogin.New(auth), gin.New()
		group := router.Group("/reader")
		login.Mount(group)
		group.GET("/private", login.RequireUser, func(c *gin.Context) { a.ran.Add(1); c.String(200, ginlogin.User(c).Subject) })
		group.GET("/vault", login.Require(need), func(c *gin.Context) { a.opened.Add(1); c.String(200, ginlogin.User(c).Subject) })
		group.GET("/maybe", login.LoadUser, func(c *gin.Context) { c.String(200, subject(ginlogin.User(c))) })
		return router
	},
	"echologin": func(a *app, auth *core.Authenticator) http.Handler {
		login, router := echologin.New(auth), echo4.New()
		group := router.Group("/reader")
		login.Mount(group)
		group.GET("/private", func(c echo4.Context) error { a.ran.Add(1); return c.String(200, echologin.User(c).Subject) }, login.RequireUser)
		group.GET("/vault", func(c echo4.Context) error { a.opened.Add(1); return c.String(200, echologin.User(c).Subject) }, login.Require(need))
		group.GET("/maybe", func(c echo4.Context) error { return c.String(200, subject(echologin.User(c))) }, login.LoadUser)
		return router
	},
	"echo5login": func(a *app, auth *core.Authenticator) http.Handler {
		login, router := echo5login.New(auth), echo5.New()
		group := router.Group("/reader")
		login.Mount(group)
		group.GET("/private", func(c *echo5.Context) error { a.ran.Add(1); return c.String(200, echo5login.User(c).Subject) }, login.RequireUser)
		group.GET("/vault", func(c *echo5.Context) error { a.opened.Add(1); return c.String(200, echo5login.User(c).Subject) }, login.Require(need))
		group.GET("/maybe", func(c *echo5.Context) error { return c.String(200, subject(echo5login.User(c))) }, login.LoadUser)
		return router
	},
}

func panics(f func()) (text string) {
	defer func() {
		if found := recover(); found != nil {
			text = fmt.Sprint(found)
		}
	}()
	f()
	return ""
}

// net/http's routers do not reveal a prefix, so the login itself detects it.
func TestALoginUnderAPrefixSaysSo(t *testing.T) {
	t.Parallel()
	for name, under := range map[string]func(http.Handler) http.Handler{
		"StripPrefix": func(h http.Handler) http.Handler { return http.StripPrefix("/app", h) },
		"a router that leaves the path whole": func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for _, route := range routesOf(h) {
					if r.Method == route.Method && r.URL.Path == "/app"+route.Path {
						if err := route.Handle(w, r); err != nil {
							http.Error(w, err.Error(), err.(*core.Error).Status)
						}
						return
					}
				}
				http.NotFound(w, r)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, new(app), func(_ *app, auth *core.Authenticator) http.Handler {
				mux := http.NewServeMux()
				httplogin.New(auth).Mount(mux)
				return under(withRoutes{mux, auth.Routes()})
			})
			r, _ := http.NewRequest("GET", origin+"/app/auth/login", nil)
			page := s.page(s.browser.Do(r))
			if page.Status != http.StatusInternalServerError || !strings.Contains(s.log.String(), "under the prefix") || strings.Count(s.log.String(), "\n") != 1 {
				t.Errorf("got %d, logged %s", page.Status, s.log.String())
			}
			if got := s.provider.Count(logintest.Authorization); got != 0 || page.Header.Get("Set-Cookie") != "" {
				t.Errorf("a login was begun: %v", page.Header)
			}
		})
	}
}

type withRoutes struct {
	http.Handler
	routes []core.Route
}

func routesOf(h http.Handler) []core.Route { return h.(withRoutes).routes }

// For a form that is posted after the session has ended, the page says that it was not
// processed, in every framework.
func TestAFormAfterTheSessionIsNotLostInSilence(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
		s := start()
		const notSaved = "What you entered was not saved."
		page := s.page(s.browser.Post(origin+"/private", nil))
		if page.Status != 401 || !strings.Contains(string(page.Body), notSaved) || !strings.Contains(string(page.Body), `>Log in</a>`) {
			t.Errorf("got %d %s", page.Status, page.Body)
		}
		for name, page := range map[string]*logintest.Page{
			"a script": s.do("POST", "/private", script),
			"a page":   s.do("HEAD", "/private", http.Header{"Sec-Fetch-Mode": {"cors"}, "Accept": {"text/html"}}),
			"htmx":     s.do("POST", "/private", http.Header{"Hx-Request": {"true"}, "Accept": {"text/html"}}),
		} {
			if page.Status != 401 || strings.Contains(string(page.Body), notSaved) {
				t.Errorf("%s: got %d %s", name, page.Status, page.Body)
			}
		}
		s.provider.User.ACR = []string{"silver"}
		s.page(s.browser.Get(origin + "/private"))
		if page := s.page(s.browser.Post(origin+"/vault", nil)); page.Status != 401 || !strings.Contains(string(page.Body), notSaved) || !strings.Contains(string(page.Body), "stronger") {
			t.Errorf("a step-up: got %d %s", page.Status, page.Body)
		}
		if got := s.app.opened.Load(); got != 0 {
			t.Errorf("the vault was opened %d times", got)
		}
	})
}
