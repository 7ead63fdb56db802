package adapters_test

import (
	"fmt"
	"log/slog"
	"net/http"
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

func hello(w http.ResponseWriter, r *http.Request) {
	fmt.Fprint(w, "hello, ", core.UserFromContext(r.Context()).Subject)
}

// Applications that guard everything: outside has the login outside the guard, as the
// README says, and around has the login behind the guard.
var wholes = map[string]struct {
	outside, around func(*core.Authenticator) http.Handler
}{
	"httplogin": {
		outside: func(auth *core.Authenticator) http.Handler {
			login, inner, outer := httplogin.New(auth), http.NewServeMux(), http.NewServeMux()
			inner.HandleFunc("/", hello)
			login.Mount(outer)
			outer.Handle("/", login.RequireUser(inner))
			return outer
		},
		around: func(auth *core.Authenticator) http.Handler {
			login, mux := httplogin.New(auth), http.NewServeMux()
			mux.HandleFunc("/", hello)
			login.Mount(mux)
			return login.RequireUser(mux)
		},
	},
	"ginlogin": {
		outside: func(auth *core.Authenticator) http.Handler {
			login, router := ginlogin.New(auth), gin.New()
			login.Mount(router)
			router.Use(login.RequireUser)
			router.GET("/", func(c *gin.Context) { hello(c.Writer, c.Request) })
			return router
		},
		around: func(auth *core.Authenticator) http.Handler {
			login, router := ginlogin.New(auth), gin.New()
			router.Use(login.RequireUser)
			login.Mount(router)
			router.GET("/", func(c *gin.Context) { hello(c.Writer, c.Request) })
			return router
		},
	},
	"echologin": {
		outside: func(auth *core.Authenticator) http.Handler {
			login, router := echologin.New(auth), echo4.New()
			login.Mount(router)
			router.Group("", login.RequireUser).GET("/", func(c echo4.Context) error { hello(c.Response(), c.Request()); return nil })
			return router
		},
		around: func(auth *core.Authenticator) http.Handler {
			login, router := echologin.New(auth), echo4.New()
			login.Mount(router)
			router.Use(login.RequireUser)
			router.GET("/", func(c echo4.Context) error { hello(c.Response(), c.Request()); return nil })
			return router
		},
	},
	"echo5login": {
		outside: func(auth *core.Authenticator) http.Handler {
			login, router := echo5login.New(auth), echo5.New()
			login.Mount(router)
			router.Group("", login.RequireUser).GET("/", func(c *echo5.Context) error { hello(c.Response(), c.Request()); return nil })
			return router
		},
		around: func(auth *core.Authenticator) http.Handler {
			login, router := echo5login.New(auth), echo5.New()
			login.Mount(router)
			router.Use(login.RequireUser)
			router.GET("/", func(c *echo5.Context) error { hello(c.Response(), c.Request()); return nil })
			return router
		},
	},
}

// An application that guards everything gets a working login or an error that names the
// mistake, and never a redirect loop.
func TestGuardAroundEverything(t *testing.T) {
	t.Parallel()
	for name, whole := range wholes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			provider := logintest.NewProvider(issuer, logintest.Client{ID: "app", RedirectURIs: []string{origin + "/auth/callback"}})
			var log strings.Builder
			auth, err := core.New(core.Config{
				Providers:   []core.Provider{{Issuer: issuer, ClientID: "app"}},
				RedirectURL: origin + "/auth/callback",
				SessionKey:  []byte("0123456789abcdef0123456789abcdef"),
				HTTPClient:  provider.HTTPClient(),
				Logger:      slog.New(slog.NewTextHandler(&log, nil)),
			})
			if err != nil {
				t.Fatal(err)
			}
			browser := logintest.NewBrowser()
			browser.Serve(issuer, provider)
			browser.Serve(origin, whole.around(auth))
			page, err := browser.Get(origin + "/")
			if err != nil || page.Status != http.StatusInternalServerError || !strings.Contains(string(page.Body), "login_guarded") {
				t.Fatalf("around the login: got %v, %v", page, err)
			}
			if !strings.Contains(log.String(), "mount the login's routes outside of the guard") || provider.Count(logintest.Token) != 0 {
				t.Errorf("%d token requests, and logged as %s", provider.Count(logintest.Token), log.String())
			}
			browser.Serve(origin, whole.outside(auth))
			page, err = browser.Get(origin + "/")
			if err != nil || page.Status != http.StatusOK || string(page.Body) != "hello, ada" {
				t.Fatalf("outside of it: got %v, %v", page, err)
			}
		})
	}
}
