package adapters_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
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

const (
	issuer = "https://id.example.test"
	origin = "https://app.example.test"
)

// Gin's mode is a global variable, so it is set once, before tests run in parallel.
func init() { gin.SetMode(gin.TestMode) }

// An app has /private behind RequireUser, /vault behind RequireUser and need, /maybe
// behind LoadUser, and the login's routes. Ran and opened count the calls of the private
// handlers, which write page and the subject. If own is set, it gets all errors through
// the framework.
type app struct {
	ran    atomic.Int32
	opened atomic.Int32
	page   string
	own    func(error)
	need   *core.Requirement   // of /vault, if not the usual one
	seen   func(*http.Request) // is called by /vault
}

// need is the usual Requirement of /vault.
var need = core.Requirement{MaxAge: time.Hour, ACR: []string{"gold"}}

func (a *app) needed() core.Requirement {
	if a.need != nil {
		return *a.need
	}
	return need
}

func (a *app) open(r *http.Request) {
	a.opened.Add(1)
	if a.seen != nil {
		a.seen(r)
	}
}

// frameworks builds the same application in each framework. Both handlers answer with
// the subject. If own is set, ErrorHandler reports the error and answers 418.
var frameworks = map[string]func(*app, *core.Authenticator) http.Handler{
	"httplogin": func(a *app, auth *core.Authenticator) http.Handler {
		login := httplogin.New(auth)
		if a.own != nil {
			login.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err error) {
				a.own(err)
				w.WriteHeader(http.StatusTeapot)
			}
		}
		mux := http.NewServeMux()
		login.Mount(mux)
		mux.Handle("/private", login.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a.ran.Add(1)
			fmt.Fprint(w, a.page, httplogin.User(r).Subject)
		})))
		mux.Handle("/vault", login.Require(a.needed())(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a.open(r)
			fmt.Fprint(w, a.page, httplogin.User(r).Subject)
		})))
		mux.Handle("/maybe", login.LoadUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, subject(httplogin.User(r)))
		})))
		return mux
	},
	"ginlogin": func(a *app, auth *core.Authenticator) http.Handler {
		login := ginlogin.New(auth)
		if a.own != nil {
			login.ErrorHandler = func(c *gin.Context, err error) {
				if !c.IsAborted() || c.Errors.Last() == nil {
					err = errors.New("not aborted, or Gin does not know the error")
				}
				a.own(err)
				c.Status(http.StatusTeapot)
			}
		}
		router := gin.New()
		login.Mount(router)
		private := router.Group("/", login.RequireUser)
		private.Any("/private", func(c *gin.Context) {
			a.ran.Add(1)
			c.String(200, a.page+ginlogin.User(c).Subject)
		})
		private.Any("/vault", login.Require(a.needed()), func(c *gin.Context) { // behind both guards
			a.open(c.Request)
			c.String(200, a.page+ginlogin.User(c).Subject)
		})
		router.Any("/maybe", login.LoadUser, func(c *gin.Context) { c.String(200, subject(ginlogin.User(c))) })
		return router
	},
	"echologin": func(a *app, auth *core.Authenticator) http.Handler {
		login := echologin.New(auth)
		router := echo4.New()
		if a.own != nil {
			login.ErrorHandler = func(_ echo4.Context, err error) error { return err }
			router.HTTPErrorHandler = func(err error, c echo4.Context) {
				var converted *echo4.HTTPError
				if !errors.As(err, &converted) {
					err = errors.New("Echo does not know the status")
				}
				a.own(err)
				_ = c.NoContent(http.StatusTeapot)
			}
		}
		login.Mount(router)
		router.Any("/private", func(c echo4.Context) error {
			a.ran.Add(1)
			return c.String(200, a.page+echologin.User(c).Subject)
		}, login.RequireUser)
		router.Any("/vault", func(c echo4.Context) error {
			a.open(c.Request())
			return c.String(200, a.page+echologin.User(c).Subject)
		}, login.Require(a.needed()))
		router.Any("/maybe", func(c echo4.Context) error { return c.String(200, subject(echologin.User(c))) }, login.LoadUser)
		return router
	},
	"echo5login": func(a *app, auth *core.Authenticator) http.Handler {
		login := echo5login.New(auth)
		router := echo5.New()
		if a.own != nil {
			login.ErrorHandler = func(_ *echo5.Context, err error) error { return err }
			router.HTTPErrorHandler = func(c *echo5.Context, err error) {
				a.own(err)
				_ = c.NoContent(http.StatusTeapot)
			}
		}
		login.Mount(router)
		router.Any("/private", func(c *echo5.Context) error {
			a.ran.Add(1)
			return c.String(200, a.page+echo5login.User(c).Subject)
		}, login.RequireUser)
		router.Any("/vault", func(c *echo5.Context) error {
			a.open(c.Request())
			return c.String(200, a.page+echo5login.User(c).Subject)
		}, login.Require(a.needed()))
		router.Any("/maybe", func(c *echo5.Context) error { return c.String(200, subject(echo5login.User(c))) }, login.LoadUser)
		return router
	},
}

func subject(user *core.User) string {
	if user == nil {
		return "anonymous"
	}
	return user.Subject
}

// stage is the application in one framework, with its provider and a browser.
type stage struct {
	t        *testing.T
	app      *app
	provider *logintest.Provider
	browser  *logintest.Browser
	auth     *core.Authenticator
	handler  http.Handler
	log      bytes.Buffer
}

func everywhere(t *testing.T, story func(t *testing.T, start func(...func(*core.Config)) *stage)) {
	for name, build := range frameworks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story(t, func(change ...func(*core.Config)) *stage { return newStage(t, new(app), build, change...) })
		})
	}
}

func newStage(t *testing.T, a *app, build func(*app, *core.Authenticator) http.Handler, change ...func(*core.Config)) *stage {
	t.Helper()
	return newStageOf(t, func(*logintest.Client) {}, a, build, change...)
}

// newStageOf is newStage with another registration at the provider.
func newStageOf(t *testing.T, register func(*logintest.Client), a *app, build func(*app, *core.Authenticator) http.Handler, change ...func(*core.Config)) *stage {
	t.Helper()
	s := &stage{t: t, app: a, browser: logintest.NewBrowser()}
	client := logintest.Client{
		ID: "app", Secret: "secret",
		RedirectURIs:           []string{origin + "/auth/callback", origin + "/staff/auth/callback", origin + "/reader/auth/callback", origin + "/reader/auth/callback/one"},
		PostLogoutRedirectURIs: []string{origin + "/maybe", origin + "/reader/maybe", origin + "/auth/logout"},
	}
	register(&client)
	s.provider = logintest.NewProvider(issuer, client)
	s.browser.Serve(issuer, s.provider)
	s.auth = s.newAuth(change...)
	s.handler = build(a, s.auth)
	s.browser.Serve(origin, s.handler)
	return s
}

// newAuth returns another login of the application.
func (s *stage) newAuth(change ...func(*core.Config)) *core.Authenticator {
	s.t.Helper()
	config := core.Config{
		Providers:   []core.Provider{{Issuer: issuer, ClientID: "app", ClientSecret: "secret"}},
		RedirectURL: origin + "/auth/callback",
		SessionKey:  []byte("0123456789abcdef0123456789abcdef"),
		Logout:      core.LogoutConfig{After: "/maybe"},
		HTTPClient:  s.provider.HTTPClient(),
		Logger:      slog.New(slog.NewTextHandler(&s.log, nil)),
	}
	for _, f := range change {
		f(&config)
	}
	auth, err := core.New(config)
	if err != nil {
		s.t.Fatal(err)
	}
	return auth
}

func (s *stage) page(page *logintest.Page, err error) *logintest.Page {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	return page
}

// do sends a request by a script, or another request if headers are set.
func (s *stage) do(method, path string, header http.Header) *logintest.Page {
	s.t.Helper()
	r, err := http.NewRequest(method, origin+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header = header
	return s.page(s.browser.Do(r))
}

var script = http.Header{"Sec-Fetch-Mode": {"cors"}, "Accept": {"application/json"}}
