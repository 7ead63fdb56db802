package adapters_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
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

// again calls the API, and calls it again with a new token after a 401.
func again(client *http.Client, refresh func() error) string {
	answer := callAPI(client)
	if !strings.HasPrefix(answer, "401 ") {
		return answer
	}
	if err := refresh(); err != nil {
		failure := new(core.Error)
		if !errors.As(err, &failure) {
			return err.Error()
		}
		return failure.Code
	}
	return callAPI(client)
}

// demanding builds the same application in each framework. Its /again refreshes on
// demand.
var demanding = map[string]func(*app, *core.Authenticator) http.Handler{
	"httplogin": func(a *app, auth *core.Authenticator) http.Handler {
		login := httplogin.New(auth)
		mux := http.NewServeMux()
		login.Mount(mux)
		mux.Handle("/maybe", login.LoadUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, subject(httplogin.User(r)))
		})))
		mux.Handle("/again", login.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a.ran.Add(1)
			io.WriteString(w, again(httplogin.Client(r, apiHost), func() error { return login.Refresh(w, r) }))
		})))
		return mux
	},
	"ginlogin": func(a *app, auth *core.Authenticator) http.Handler {
		login := ginlogin.New(auth)
		router := gin.New()
		login.Mount(router)
		router.GET("/maybe", login.LoadUser, func(c *gin.Context) { c.String(200, subject(ginlogin.User(c))) })
		router.GET("/again", login.RequireUser, func(c *gin.Context) {
			a.ran.Add(1)
			c.String(200, again(ginlogin.Client(c, apiHost), func() error { return login.Refresh(c) }))
		})
		return router
	},
	"echologin": func(a *app, auth *core.Authenticator) http.Handler {
		login := echologin.New(auth)
		router := echo4.New()
		login.Mount(router)
		router.GET("/maybe", func(c echo4.Context) error { return c.String(200, subject(echologin.User(c))) }, login.LoadUser)
		router.GET("/again", func(c echo4.Context) error {
			a.ran.Add(1)
			return c.String(200, again(echologin.Client(c, apiHost), func() error { return login.Refresh(c) }))
		}, login.RequireUser)
		return router
	},
	"echo5login": func(a *app, auth *core.Authenticator) http.Handler {
		login := echo5login.New(auth)
		router := echo5.New()
		login.Mount(router)
		router.GET("/maybe", func(c *echo5.Context) error { return c.String(200, subject(echo5login.User(c))) }, login.LoadUser)
		router.GET("/again", func(c *echo5.Context) error {
			a.ran.Add(1)
			return c.String(200, again(echo5login.Client(c, apiHost), func() error { return login.Refresh(c) }))
		}, login.RequireUser)
		return router
	},
}

// demandingly runs a test of refreshes on demand with every adapter. The provider sends
// no expires_in.
func demandingly(t *testing.T, story func(t *testing.T, s *stage)) {
	for name, build := range demanding {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t, new(app), build, keepTokens)
				s.provider.AccessTokenLifetime = time.Minute
				s.misbehave(logintest.Faults{})
				s.logIn()
				story(t, s)
			})
		})
	}
}

// misbehave sets faults, and makes the provider leave out expires_in.
func (s *stage) misbehave(faults logintest.Faults) {
	faults.Token = func(response map[string]any) { delete(response, "expires_in") }
	s.provider.Misbehave(faults)
}

// A handler refreshes the tokens after its API has answered 401, and continues.
func TestHandlersRefreshOnDemand(t *testing.T) {
	t.Parallel()
	demandingly(t, func(t *testing.T, s *stage) {
		if page := s.calls("/again"); setsTokens(page.Header) || s.provider.Refreshes() != 0 {
			t.Errorf("refreshed without need: %d times", s.provider.Refreshes())
		}
		for round := 1; round <= 3; round++ {
			time.Sleep(2 * time.Minute) // the API's limit has passed, the assumed lifetime has not
			if page := s.calls("/again"); !setsTokens(page.Header) || s.provider.Refreshes() != round {
				t.Errorf("round %d: %d refreshes, and cookies %q", round, s.provider.Refreshes(), page.Header["Set-Cookie"])
			}
			s.calls("/again")
			if s.provider.Refreshes() != round || s.provider.Reused() != 0 {
				t.Errorf("round %d: %d refreshes, %d tokens used again", round, s.provider.Refreshes(), s.provider.Reused())
			}
		}
		if s.log.String() != "" {
			t.Errorf("logged as %s", s.log.String())
		}
	})
}

// The handler gets the error of a failed refresh on demand. If the provider has ended
// the login, the session has ended.
func TestHandlersRefreshInVain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		faults logintest.Faults
		code   string
		stays  bool
	}{
		"refused": {logintest.Faults{RefreshError: "invalid_grant"}, "login_required", false},
		"down": {logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
			if e == logintest.Token {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return e == logintest.Token
		}}, "provider_unavailable", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			demandingly(t, func(t *testing.T, s *stage) {
				time.Sleep(2 * time.Minute)
				s.misbehave(test.faults)
				if page := s.do("GET", "/again", script); page.Status != 200 || string(page.Body) != test.code || s.app.ran.Load() != 1 {
					t.Errorf("got %d %s", page.Status, page.Body)
				}
				s.misbehave(logintest.Faults{})
				page := s.do("GET", "/again", script)
				if stays := page.Status == 200; stays != test.stays || !stays && s.app.ran.Load() != 1 {
					t.Errorf("then: got %d %s, and the handler ran %d times", page.Status, page.Body, s.app.ran.Load())
				}
				if who := s.do("GET", "/maybe", script); (string(who.Body) == "ada") != test.stays {
					t.Errorf("then: got %s", who.Body)
				}
			})
		})
	}
}
