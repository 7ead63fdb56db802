package adapters_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

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

func hello(w http.ResponseWriter, r *http.Request) {
	fmt.Fprint(w, "hello, ", core.UserFromContext(r.Context()).Subject)
}

// Applications that guard everything. Mount is before or behind the guard, or left out:
// the guard serves the login's routes itself.
var wholes = map[string]func(*core.Authenticator) http.Handler{
	"httplogin, mounted outside": func(auth *core.Authenticator) http.Handler {
		login, inner, outer := httplogin.New(auth), http.NewServeMux(), http.NewServeMux()
		inner.HandleFunc("/{$}", hello)
		login.Mount(outer)
		outer.Handle("/", login.RequireUser(inner))
		return outer
	},
	"httplogin, mounted inside": func(auth *core.Authenticator) http.Handler {
		login, mux := httplogin.New(auth), http.NewServeMux()
		mux.HandleFunc("/{$}", hello)
		login.Mount(mux)
		return login.RequireUser(mux)
	},
	"httplogin, not mounted": func(auth *core.Authenticator) http.Handler {
		mux := http.NewServeMux()
		mux.HandleFunc("/{$}", hello)
		return httplogin.New(auth).RequireUser(mux)
	},
	"httplogin, Require": func(auth *core.Authenticator) http.Handler {
		mux := http.NewServeMux()
		mux.HandleFunc("/{$}", hello)
		return httplogin.New(auth).Require(core.Requirement{MaxAge: time.Hour})(mux)
	},
	"ginlogin, mounted before Use": func(auth *core.Authenticator) http.Handler {
		login, router := ginlogin.New(auth), gin.New()
		login.Mount(router)
		router.Use(login.RequireUser)
		router.GET("/", ginHello)
		return router
	},
	"ginlogin, mounted after Use": func(auth *core.Authenticator) http.Handler {
		login, router := ginlogin.New(auth), gin.New()
		router.HandleMethodNotAllowed = true
		router.Use(login.RequireUser)
		login.Mount(router)
		router.GET("/", ginHello)
		return router
	},
	"ginlogin, not mounted": func(auth *core.Authenticator) http.Handler { // Gin runs Use for NoRoute, with status 404
		login, router := ginlogin.New(auth), gin.New()
		router.Use(login.RequireUser)
		router.GET("/", ginHello)
		return router
	},
	"ginlogin, Require, and a NoRoute": func(auth *core.Authenticator) http.Handler {
		login, router := ginlogin.New(auth), gin.New()
		router.Use(login.Require(core.Requirement{MaxAge: time.Hour}))
		router.GET("/", ginHello)
		router.NoRoute(func(c *gin.Context) { c.String(404, "no such page") })
		return router
	},
	"echologin, mounted": func(auth *core.Authenticator) http.Handler {
		login, router := echologin.New(auth), echo4.New()
		login.Mount(router)
		router.Use(login.RequireUser)
		router.GET("/", echoHello)
		return router
	},
	"echologin, not mounted": func(auth *core.Authenticator) http.Handler {
		login, router := echologin.New(auth), echo4.New()
		router.Use(login.RequireUser)
		router.GET("/", echoHello)
		return router
	},
	"echologin, Pre": func(auth *core.Authenticator) http.Handler {
		login, router := echologin.New(auth), echo4.New()
		router.Pre(login.RequireUser)
		router.GET("/", echoHello)
		return router
	},
	"echologin, a group without a prefix": func(auth *core.Authenticator) http.Handler {
		login, router := echologin.New(auth), echo4.New()
		router.Group("", login.RequireUser).GET("/", echoHello)
		return router
	},
	"echologin, Require, in a mounted group": func(auth *core.Authenticator) http.Handler {
		login, router := echologin.New(auth), echo4.New()
		group := router.Group("", login.Require(core.Requirement{MaxAge: time.Hour}))
		group.GET("/", echoHello)
		login.Mount(group)
		return router
	},
	"echo5login, mounted": func(auth *core.Authenticator) http.Handler {
		login, router := echo5login.New(auth), echo5.New()
		login.Mount(router)
		router.Use(login.RequireUser)
		router.GET("/", echo5Hello)
		return router
	},
	"echo5login, not mounted": func(auth *core.Authenticator) http.Handler {
		login, router := echo5login.New(auth), echo5.New()
		router.Use(login.RequireUser)
		router.GET("/", echo5Hello)
		return router
	},
	"echo5login, a group without a prefix": func(auth *core.Authenticator) http.Handler {
		login, router := echo5login.New(auth), echo5.New()
		router.Group("", login.RequireUser).GET("/", echo5Hello)
		return router
	},
	"echo5login, Require, in a mounted group": func(auth *core.Authenticator) http.Handler {
		login, router := echo5login.New(auth), echo5.New()
		group := router.Group("", login.Require(core.Requirement{MaxAge: time.Hour}))
		group.GET("/", echo5Hello)
		login.Mount(group)
		return router
	},
}

func ginHello(c *gin.Context) { hello(c.Writer, c.Request) }

func echoHello(c echo4.Context) error { hello(c.Response(), c.Request()); return nil }

func echo5Hello(c *echo5.Context) error { hello(c.Response(), c.Request()); return nil }

// An application that guards everything works, wherever the login is mounted: logins,
// forms from the provider, logouts, and what is refused.
func TestGuardAroundEverything(t *testing.T) {
	t.Parallel()
	for name, build := range wholes {
		for way, change := range map[string]func(*core.Config){
			"by GET":  func(*core.Config) {},
			"by form": func(c *core.Config) { c.Providers[0].Requests.FormPost = true },
		} {
			t.Run(name+" "+way, func(t *testing.T) {
				t.Parallel()
				s := newStage(t, new(app), func(_ *app, auth *core.Authenticator) http.Handler { return build(auth) }, change, func(c *core.Config) {
					c.Logout.After, c.Logout.Revocations = "/", new(core.MemoryRevocations)
				})
				everythingStory(t, s)
			})
		}
	}
}

func everythingStory(t *testing.T, s *stage) {
	if page := s.do("GET", "/", script); page.Status != 401 {
		t.Errorf("an anonymous script gets %d: %s", page.Status, page.Body)
	}
	if page := s.do("GET", "/auth/login", script); page.Status != 403 || !strings.Contains(string(page.Body), "not_a_navigation") {
		t.Errorf("a login by a script gets %d: %s", page.Status, page.Body)
	}
	if page := s.do("GET", "/auth/callback?code=x", script); page.Status != 400 || !strings.Contains(string(page.Body), "attempt_unknown") {
		t.Errorf("a callback without an attempt gets %d: %s", page.Status, page.Body)
	}
	if page := s.do("GET", "/auth/login?provider=x", http.Header{"Accept": {"text/html"}}); page.Status != 404 || !strings.Contains(string(page.Body), "provider_unknown") {
		t.Errorf("an unknown provider gets %d: %s", page.Status, page.Body)
	}
	if page := s.do("POST", "/auth/backchannel-logout", script); page.Status != 400 {
		t.Errorf("a bad logout token gets %d: %s", page.Status, page.Body)
	}
	if page := s.do("GET", "/auth/frontchannel-logout", script); page.Status != 200 || !strings.Contains(string(page.Body), "<title>Logout</title>") {
		t.Errorf("a logout in a frame gets %d: %s", page.Status, page.Body)
	}
	for _, request := range []string{"PUT /auth/login", "PUT /auth/logout", "DELETE /auth/callback"} { // the router may answer first
		method, path, _ := strings.Cut(request, " ")
		if page := s.do(method, path, script); page.Status != 405 && page.Status != 404 {
			t.Errorf("%s gets %d: %s", request, page.Status, page.Body)
		}
	}
	page := s.page(s.browser.Get(origin + "/?tab=1"))
	if page.Status != http.StatusOK || string(page.Body) != "hello, ada" || page.URL != origin+"/?tab=1" {
		t.Fatalf("got %d at %s: %s", page.Status, page.URL, page.Body)
	}
	if page := s.page(s.browser.Get(origin + "/nowhere")); page.Status != 404 {
		t.Errorf("an unknown page gets %d: %s", page.Status, page.Body)
	}
	if page := s.page(s.browser.Get(origin + "/auth/login?return_to=/?tab=2")); string(page.Body) != "hello, ada" || page.URL != origin+"/?tab=2" {
		t.Errorf("another login ends with %d at %s: %s", page.Status, page.URL, page.Body)
	}
	if page := s.do("POST", "/auth/logout", http.Header{"Sec-Fetch-Site": {"cross-site"}}); page.Status != 403 {
		t.Errorf("a cross-site logout gets %d", page.Status)
	}
	out := s.page(s.browser.Post(origin+"/auth/logout", nil))
	if len(out.Hops) == 0 || out.Hops[0].Status != 303 {
		t.Errorf("a logout gets %d %s", out.Status, out.Body)
	}
	if page := s.do("GET", "/nowhere", script); page.Status == 200 {
		t.Errorf("an unknown page gets %d: %s", page.Status, page.Body)
	}
	if strings.Contains(s.log.String(), "login_guarded") {
		t.Errorf("logged as %s", s.log.String())
	}
}

// If ErrorHandler is set, a guard uses it for failures of the login's routes.
func TestAGuardsErrorHandler(t *testing.T) {
	t.Parallel()
	for name, build := range map[string]func(*core.Authenticator) http.Handler{
		"httplogin": func(auth *core.Authenticator) http.Handler {
			login := httplogin.New(auth)
			login.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err error) {
				http.Error(w, "own: "+err.Error(), http.StatusTeapot)
			}
			return login.RequireUser(http.NotFoundHandler())
		},
		"ginlogin": func(auth *core.Authenticator) http.Handler {
			login, router := ginlogin.New(auth), gin.New()
			login.ErrorHandler = func(c *gin.Context, err error) { c.String(418, "own: "+err.Error()) }
			router.Use(login.RequireUser)
			return router
		},
		"echologin": func(auth *core.Authenticator) http.Handler {
			login, router := echologin.New(auth), echo4.New()
			login.ErrorHandler = func(c echo4.Context, err error) error {
				failure := new(core.Error)
				errors.As(err, &failure)
				return c.String(418, "own: "+failure.Public)
			}
			router.Use(login.RequireUser)
			return router
		},
		"echo5login": func(auth *core.Authenticator) http.Handler {
			login, router := echo5login.New(auth), echo5.New()
			login.ErrorHandler = func(c *echo5.Context, err error) error { return c.String(418, "own: "+err.Error()) }
			router.Use(login.RequireUser)
			return router
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, new(app), func(_ *app, auth *core.Authenticator) http.Handler { return build(auth) })
			for _, path := range []string{"/auth/callback?code=x", "/auth/login?provider=x", "/"} {
				if page := s.do("GET", path, script); page.Status != 418 || !strings.HasPrefix(string(page.Body), "own: ") || strings.Contains(string(page.Body), "pixy:") {
					t.Errorf("%s gets %d: %s", path, page.Status, page.Body)
				}
			}
			if page := s.do("PUT", "/auth/login", script); page.Status != 418 || page.Header.Get("Allow") != "GET, POST" {
				t.Errorf("another method gets %d, %v: %s", page.Status, page.Header, page.Body)
			}
		})
	}
}

// Of two logins, a guard serves its own routes only. Those of the other are pages that it
// guards.
func TestAGuardServesItsOwnLoginOnly(t *testing.T) {
	t.Parallel()
	for name, build := range map[string]func(outer, inner *core.Authenticator) http.Handler{
		"httplogin": func(outer, inner *core.Authenticator) http.Handler {
			return httplogin.New(outer).RequireUser(httplogin.New(inner).RequireUser(http.HandlerFunc(hello)))
		},
		"ginlogin": func(outer, inner *core.Authenticator) http.Handler {
			router := gin.New()
			router.Use(ginlogin.New(outer).RequireUser, ginlogin.New(inner).RequireUser)
			router.GET("/", ginHello)
			return router
		},
		"echologin": func(outer, inner *core.Authenticator) http.Handler {
			router := echo4.New()
			router.Use(echologin.New(outer).RequireUser, echologin.New(inner).RequireUser)
			router.GET("/", echoHello)
			return router
		},
		"echo5login": func(outer, inner *core.Authenticator) http.Handler {
			router := echo5.New()
			router.Use(echo5login.New(outer).RequireUser, echo5login.New(inner).RequireUser)
			router.GET("/", echo5Hello)
			return router
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, new(app), frameworks["httplogin"])
			staff := s.newAuth(func(c *core.Config) {
				c.RedirectURL, c.Sessions.CookieName = origin+"/staff/auth/callback", "staff"
			})
			s.browser.Serve(origin, build(s.auth, staff))
			for path, want := range map[string]int{"/auth/callback?code=x": 400, "/staff/auth/callback?code=x": 401} {
				if page := s.do("GET", path, script); page.Status != want {
					t.Errorf("%s gets %d, want %d: %s", path, page.Status, want, page.Body)
				}
			}
			page := s.page(s.browser.Get(origin + "/"))
			if page.Status != 200 || string(page.Body) != "hello, ada" || s.provider.Count(logintest.Token) != 2 {
				t.Errorf("got %d after %d logins: %s", page.Status, s.provider.Count(logintest.Token), page.Body)
			}
		})
	}
}
