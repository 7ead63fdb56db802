package adapters_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
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

// apiHost is the provider's host. Its UserInfo is the API that handlers call.
const apiHost = "id.example.test"

// callers builds the same application in each framework. /call returns its user and the
// API's response to the adapter's Client. /stream begins its response before it calls the
// API. /maybe is public.
var callers = map[string]func(*app, *core.Authenticator) http.Handler{
	"httplogin": func(a *app, auth *core.Authenticator) http.Handler {
		login := httplogin.New(auth)
		mux := http.NewServeMux()
		login.Mount(mux)
		mux.Handle("/call", login.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a.ran.Add(1)
			fmt.Fprint(w, a.page, httplogin.User(r).Subject, " ", callAPI(httplogin.Client(r, apiHost)))
		})))
		mux.Handle("/stream", login.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			begin(w)
			fmt.Fprint(w, callAPI(httplogin.Client(r, apiHost)))
		})))
		mux.Handle("/maybe", login.LoadUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, subject(httplogin.User(r)))
		})))
		return mux
	},
	"ginlogin": func(a *app, auth *core.Authenticator) http.Handler {
		login := ginlogin.New(auth)
		router := gin.New()
		login.Mount(router)
		router.GET("/call", login.RequireUser, func(c *gin.Context) {
			a.ran.Add(1)
			c.String(200, a.page+ginlogin.User(c).Subject+" "+callAPI(ginlogin.Client(c, apiHost)))
		})
		router.GET("/stream", login.RequireUser, func(c *gin.Context) {
			begin(c.Writer)
			c.Writer.WriteString(callAPI(ginlogin.Client(c, apiHost)))
		})
		router.GET("/maybe", login.LoadUser, func(c *gin.Context) { c.String(200, subject(ginlogin.User(c))) })
		return router
	},
	"echologin": func(a *app, auth *core.Authenticator) http.Handler {
		login := echologin.New(auth)
		router := echo4.New()
		login.Mount(router)
		router.GET("/call", func(c echo4.Context) error {
			a.ran.Add(1)
			return c.String(200, a.page+echologin.User(c).Subject+" "+callAPI(echologin.Client(c, apiHost)))
		}, login.RequireUser)
		router.GET("/stream", func(c echo4.Context) error {
			begin(c.Response())
			_, err := io.WriteString(c.Response(), callAPI(echologin.Client(c, apiHost)))
			return err
		}, login.RequireUser)
		router.GET("/maybe", func(c echo4.Context) error { return c.String(200, subject(echologin.User(c))) }, login.LoadUser)
		return router
	},
	"echo5login": func(a *app, auth *core.Authenticator) http.Handler {
		login := echo5login.New(auth)
		router := echo5.New()
		login.Mount(router)
		router.GET("/call", func(c *echo5.Context) error {
			a.ran.Add(1)
			return c.String(200, a.page+echo5login.User(c).Subject+" "+callAPI(echo5login.Client(c, apiHost)))
		}, login.RequireUser)
		router.GET("/stream", func(c *echo5.Context) error {
			begin(c.Response())
			_, err := io.WriteString(c.Response(), callAPI(echo5login.Client(c, apiHost)))
			return err
		}, login.RequireUser)
		router.GET("/maybe", func(c *echo5.Context) error { return c.String(200, subject(echo5login.User(c))) }, login.LoadUser)
		return router
	},
}

// begin sends the header and the beginning of a response.
func begin(w http.ResponseWriter) {
	io.WriteString(w, "begun ")
	w.(http.Flusher).Flush()
}

// callAPI returns the API's response, or the code of the error.
func callAPI(client *http.Client) string {
	response, err := client.Get(issuer + "/userinfo")
	if failure := new(core.Error); errors.As(err, &failure) {
		return failure.Code
	}
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return fmt.Sprint(response.StatusCode, " ", string(body), err)
}

// lastingly runs a test of sessions with tokens with every adapter. It uses the fake clock
// of testing/synctest, so hours pass at once.
func lastingly(t *testing.T, story func(t *testing.T, start func(...func(*core.Config)) *stage)) {
	for name, build := range callers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				story(t, func(change ...func(*core.Config)) *stage {
					return newStage(t, new(app), build, append(change, keepTokens)...)
				})
			})
		})
	}
}

func keepTokens(c *core.Config) {
	c.Tokens.Keep = true
	c.Providers[0].Scopes = []string{"openid", "profile", "offline_access"}
}

// logIn logs Ada in.
func (s *stage) logIn() {
	s.t.Helper()
	if page := s.page(s.browser.Get(origin + "/auth/login?return_to=/maybe")); string(page.Body) != "ada" {
		s.t.Fatalf("got %d at %s: %s", page.Status, page.URL, page.Body)
	}
}

// calls requires that a page has the API's response about Ada.
func (s *stage) calls(path string) *logintest.Page {
	s.t.Helper()
	page := s.do("GET", path, script)
	if page.Status != 200 || !strings.Contains(string(page.Body), `200 {`) || !strings.Contains(string(page.Body), `"sub":"ada"`) {
		s.t.Errorf("%s: got %d %s", path, page.Status, page.Body)
	}
	return page
}

// setsTokens reports whether a response has both cookies of a refresh.
func setsTokens(header http.Header) bool {
	all := strings.Join(header["Set-Cookie"], "\n")
	return strings.Contains(all, "__Host-pixy-tokens=1") && strings.Contains(all, "__Host-pixy-session=1")
}

func TestHandlersCallAPIs(t *testing.T) {
	t.Parallel()
	lastingly(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
		s := start()
		s.logIn()
		for range 2 {
			if page := s.calls("/call"); setsTokens(page.Header) {
				t.Error("cookies are set without need")
			}
			s.calls("/stream")
		}
		for i, path := range []string{"/call", "/stream", "/call"} {
			time.Sleep(2 * time.Hour)
			if page := s.calls(path); !setsTokens(page.Header) {
				t.Errorf("%s: got %q", path, page.Header["Set-Cookie"])
			}
			s.calls("/call")
			s.calls("/stream")
			if s.provider.Refreshes() != i+1 || s.provider.Reused() != 0 {
				t.Fatalf("%d refreshes, %d tokens used again, want %d and none", s.provider.Refreshes(), s.provider.Reused(), i+1)
			}
		}
		if got := strings.Count(s.log.String(), "\n"); got != 0 {
			t.Errorf("%d log lines:\n%s", got, s.log.String())
		}
	})
}

// Of many concurrent requests with an expired token, only one refreshes it.
func TestRequestsThatComeTogetherRefreshOnce(t *testing.T) {
	t.Parallel()
	lastingly(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
		s := start()
		s.logIn()
		time.Sleep(2 * time.Hour)
		s.provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, _ http.ResponseWriter, _ *http.Request) bool {
			if e == logintest.Token {
				time.Sleep(time.Second) // all other requests wait by then
			}
			return false
		}})
		const requests = 50
		cookies := s.browser.Cookies(origin + "/call")
		var all sync.WaitGroup
		for range requests {
			all.Go(func() {
				r, w := httptest.NewRequest("GET", origin+"/call", nil), httptest.NewRecorder()
				for _, c := range cookies {
					r.AddCookie(c)
				}
				s.handler.ServeHTTP(w, r)
				if !strings.Contains(w.Body.String(), `"sub":"ada"`) || !setsTokens(w.Header()) {
					t.Errorf("got %d %s", w.Code, w.Body)
				}
			})
		}
		all.Wait()
		if s.app.ran.Load() != requests || s.provider.Refreshes() != 1 || s.provider.Reused() != 0 {
			t.Errorf("%d handlers, %d refreshes, %d tokens used again", s.app.ran.Load(), s.provider.Refreshes(), s.provider.Reused())
		}
	})
}

// After a rejected refresh the request is anonymous, and the guarded handler does not
// run.
func TestARefusedRefreshTurnsAway(t *testing.T) {
	t.Parallel()
	for who, ask := range map[string]func(*stage) *logintest.Page{
		"a person": func(s *stage) *logintest.Page {
			page := s.page(s.browser.Visit(origin + "/call"))
			if page.Status != 303 || !strings.HasPrefix(page.Header.Get("Location"), issuer+"/authorize?") || len(page.Body) != 0 {
				s.t.Errorf("got %d to %q: %s", page.Status, page.Header.Get("Location"), page.Body)
			}
			return page
		},
		"a script": func(s *stage) *logintest.Page {
			page := s.do("GET", "/call", script)
			if page.Status != 401 || !strings.Contains(string(page.Body), `"code":"login_required","login_url":"/auth/login"`) {
				s.t.Errorf("got %d %s", page.Status, page.Body)
			}
			return page
		},
		"somebody where everybody may be": func(s *stage) *logintest.Page {
			page := s.do("GET", "/maybe", script)
			if page.Status != 200 || string(page.Body) != "anonymous" {
				s.t.Errorf("got %d %s", page.Status, page.Body)
			}
			return page
		},
	} {
		t.Run(who, func(t *testing.T) {
			t.Parallel()
			lastingly(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
				s := start()
				s.logIn()
				time.Sleep(2 * time.Hour)
				s.provider.Misbehave(logintest.Faults{RefreshError: "invalid_grant"})
				page := ask(s)
				if setsTokens(page.Header) || s.app.ran.Load() != 0 {
					t.Errorf("got %q, and the handler ran %d times", page.Header["Set-Cookie"], s.app.ran.Load())
				}
				if page := s.do("GET", "/stream", script); page.Status != 401 || s.app.ran.Load() != 0 {
					t.Errorf("then: got %d, and the handler ran %d times", page.Status, s.app.ran.Load())
				}
				if got := strings.Count(s.log.String(), "code=refresh_refused"); got != 1 {
					t.Errorf("%d log lines:\n%s", got, s.log.String())
				}
			})
		})
	}
}

// While the provider is down, sessions continue. Handlers run, and those that need a token
// get an error.
func TestAnOutageLetsHandlersRun(t *testing.T) {
	t.Parallel()
	lastingly(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
		s := start()
		s.logIn()
		s.provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
			if e == logintest.Token {
				w.WriteHeader(http.StatusBadGateway)
			}
			return e == logintest.Token
		}})
		time.Sleep(time.Hour - 30*time.Second)
		s.calls("/call") // the token is valid for another 30 seconds
		time.Sleep(time.Minute)
		if page := s.do("GET", "/call", script); page.Status != 200 || string(page.Body) != "ada provider_unavailable" {
			t.Errorf("got %d %s", page.Status, page.Body)
		}
		if page := s.do("GET", "/stream", script); page.Status != 200 || string(page.Body) != "begun provider_unavailable" {
			t.Errorf("got %d %s", page.Status, page.Body)
		}
		if page := s.do("GET", "/maybe", script); string(page.Body) != "ada" {
			t.Errorf("got %s", page.Body)
		}
		if s.app.ran.Load() != 2 || s.provider.Refreshes() != 0 {
			t.Errorf("the handler ran %d times, and %d refreshes", s.app.ran.Load(), s.provider.Refreshes())
		}
		s.provider.Misbehave(logintest.Faults{})
		time.Sleep(time.Minute)
		s.calls("/call")
	})
}

func TestLogoutRevokesTokens(t *testing.T) {
	t.Parallel()
	lastingly(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
		s := start()
		var access string
		s.provider.Misbehave(logintest.Faults{Token: func(response map[string]any) { access = response["access_token"].(string) }})
		s.logIn()
		api := func() int {
			r, err := http.NewRequest("GET", issuer+"/userinfo", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", "Bearer "+access)
			return s.page(s.browser.Do(r)).Status
		}
		if got := api(); got != 200 {
			t.Fatalf("got %d", got)
		}
		if page := s.page(s.browser.Post(origin+"/auth/logout", nil)); string(page.Body) != "anonymous" {
			t.Errorf("logout ends with %d at %s: %s", page.Status, page.URL, page.Body)
		}
		if got := api(); got != 401 || s.provider.Count(logintest.Revocation) != 1 {
			t.Errorf("after logout: got %d, and %d revocations", got, s.provider.Count(logintest.Revocation))
		}
		if page := s.do("GET", "/call", script); page.Status != 401 || s.app.ran.Load() != 0 {
			t.Errorf("after logout: got %d, and the handler ran %d times", page.Status, s.app.ran.Load())
		}
		for _, c := range s.browser.Cookies(origin + "/auth/logout") {
			t.Errorf("cookie %s is left", c.Name)
		}
	})
}
