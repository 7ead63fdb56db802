// Package adapters_test runs the same tests on every adapter: the same requests
// get the same responses in every framework, and guarded handlers do not run.
package adapters_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	"github.com/gorilla/sessions"
	echo4 "github.com/labstack/echo/v4"
	echo5 "github.com/labstack/echo/v5"

	"github.com/pixyauth/pixy/adapters/echo5login"
	"github.com/pixyauth/pixy/adapters/echologin"
	"github.com/pixyauth/pixy/adapters/ginlogin"
	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

func TestAWholeLogin(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
		s := start()
		first := s.page(s.browser.Visit(origin + "/private?tab=1"))
		if first.Status != 303 || !strings.HasPrefix(first.Header.Get("Location"), issuer+"/authorize?") || len(first.Body) != 0 {
			t.Fatalf("got %d to %q: %s", first.Status, first.Header.Get("Location"), first.Body)
		}
		if got := s.app.ran.Load(); got != 0 {
			t.Fatalf("the private handler ran %d times for an anonymous request", got)
		}
		page := s.page(s.browser.Get(origin + "/private?tab=1"))
		if page.Status != 200 || string(page.Body) != "ada" || page.URL != origin+"/private?tab=1" {
			t.Fatalf("got %d at %s: %s", page.Status, page.URL, page.Body)
		}
		if got := s.app.ran.Load(); got != 1 {
			t.Errorf("the private handler ran %d times, want once", got)
		}
		if page.Header.Get("Cache-Control") != "private" || page.Header.Get("Vary") != "Cookie" {
			t.Errorf("got %v", page.Header)
		}
		if page := s.do("POST", "/private", script); page.Status != 200 || string(page.Body) != "ada" {
			t.Errorf("a script of the user's gets %d: %s", page.Status, page.Body)
		}
		if page := s.do("GET", "/maybe", script); string(page.Body) != "ada" {
			t.Errorf("LoadUser: got %s", page.Body)
		}

		if page := s.do("POST", "/auth/logout", http.Header{"Sec-Fetch-Site": {"cross-site"}}); page.Status != 403 {
			t.Errorf("a cross-site logout gets %d", page.Status)
		}
		if page := s.do("GET", "/private", script); page.Status != 200 {
			t.Errorf("after it: %d", page.Status)
		}
		out := s.page(s.browser.Post(origin+"/auth/logout", nil))
		if out.Status != 200 || string(out.Body) != "anonymous" || len(out.Hops) != 5 {
			t.Errorf("logout ends with %d at %s after %d hops: %s", out.Status, out.URL, len(out.Hops), out.Body)
		}
		ran := s.app.ran.Load()
		if page := s.do("GET", "/private", script); page.Status != 401 {
			t.Errorf("after logout: %d", page.Status)
		}
		if got := s.app.ran.Load(); got != ran {
			t.Error("the private handler ran after logout")
		}
	})
}

// The provider posts its response as a form from its own site, without cookies.
func TestALoginByForm(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
		s := start(func(c *core.Config) { c.Providers[0].Requests.FormPost = true })
		page := s.page(s.browser.Get(origin + "/private?tab=1"))
		if page.Status != 200 || string(page.Body) != "ada" || page.URL != origin+"/private?tab=1" || len(page.Hops) != 5 {
			t.Fatalf("got %d at %s after %d hops: %s", page.Status, page.URL, len(page.Hops), page.Body)
		}
		form, callback := page.Hops[2], page.Hops[3]
		if form.Method != "POST" || form.URL != origin+"/auth/callback" || form.Status != 200 ||
			len(form.RequestHeader["Cookie"])+len(form.Header["Set-Cookie"]) != 0 || !strings.Contains(string(form.Body), "Continue</a>") {
			t.Errorf("the form: got %+v", form)
		}
		if callback.Method != "GET" || callback.Status != 303 || callback.Header.Get("Location") != "/private?tab=1" || len(callback.Header["Set-Cookie"]) == 0 {
			t.Errorf("the callback: got %+v", callback)
		}
		if got := s.app.ran.Load(); got != 1 {
			t.Errorf("the private handler ran %d times, want once", got)
		}
		if page := s.do("POST", "/auth/callback", http.Header{"Accept": {"text/html"}}); page.Status != 400 || !strings.Contains(string(page.Body), "callback_untrusted") {
			t.Errorf("a POST of no form gets %d %s", page.Status, page.Body)
		}
		if page := start().do("POST", "/auth/callback", script); page.Status != 405 && page.Status != 404 {
			t.Errorf("a POST without Requests.FormPost gets %d", page.Status)
		}
	})
}

// After a double click at the provider, a prefetch, or a reload, the code is sent only
// once, and the user ends on the page each time.
func TestACallbackThatComesAgain(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
		s := start()
		login := s.page(s.browser.Visit(origin + "/private?tab=1"))
		callback := s.page(s.browser.Visit(login.Header.Get("Location"))).Header.Get("Location")
		path := strings.TrimPrefix(callback, origin)
		prefetch := s.do("GET", path, http.Header{"Accept": {"text/html"}, "Sec-Purpose": {"prefetch"}})
		if prefetch.Status != 503 || len(prefetch.Header["Set-Cookie"])+len(prefetch.Body) != 0 || prefetch.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("a prefetch gets %d %v: %s", prefetch.Status, prefetch.Header, prefetch.Body)
		}
		var before []string
		for _, c := range s.browser.Cookies(callback) {
			before = append(before, c.Name+"="+c.Value)
		}
		first := s.page(s.browser.Visit(callback))
		double := s.do("GET", path, http.Header{"Accept": {"text/html"}, "Cookie": {strings.Join(before, "; ")}})
		reload := s.page(s.browser.Visit(callback))
		for i, page := range []*logintest.Page{first, double, reload} {
			session := slices.ContainsFunc(page.Header["Set-Cookie"], func(line string) bool { return strings.HasPrefix(line, "__Host-pixy-session=") })
			if page.Status != 303 || page.Header.Get("Location") != "/private?tab=1" || session != (i < 2) {
				t.Errorf("callback %d gets %d to %q, %v", i+1, page.Status, page.Header.Get("Location"), page.Header)
			}
		}
		if got := s.provider.Count(logintest.Token); got != 1 {
			t.Errorf("sent the code %d times", got)
		}
		if page := s.page(s.browser.Get(origin + "/private?tab=1")); string(page.Body) != "ada" || s.app.ran.Load() != 1 {
			t.Errorf("ends with %d: %s", page.Status, page.Body)
		}
	})
}

// All frameworks send exactly the same responses, and the private handler does not run.
func TestRefusals(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
		s := start()
		page := s.do("GET", "/private", script)
		want := `{"title":"Unauthorized","status":401,"detail":"Please log in to continue.","code":"login_required","login_url":"/auth/login"}` + "\n"
		if page.Status != 401 || string(page.Body) != want || page.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("a script gets %d %s", page.Status, page.Body)
		}
		if page := s.do("POST", "/private", http.Header{"Accept": {"text/html"}}); page.Status != 401 || !strings.Contains(string(page.Body), "Please log in") {
			t.Errorf("a form gets %d %s", page.Status, page.Body)
		}
		if page := s.do("GET", "/private", http.Header{"Cookie": {"__Host-pixy-session=1forged"}}); page.Status != 401 {
			t.Errorf("a forged cookie gets %d", page.Status)
		}
		if page := s.do("GET", "/maybe", script); page.Status != 200 || string(page.Body) != "anonymous" {
			t.Errorf("LoadUser: got %d %s", page.Status, page.Body)
		}
		if page := s.do("GET", "/auth/login", http.Header{"Sec-Purpose": {"prefetch"}}); page.Status != 403 {
			t.Errorf("a prefetch gets %d", page.Status)
		}
		if page := s.do("GET", "/auth/callback?code=x&state=y", script); page.Status != 400 {
			t.Errorf("a callback with an unknown state gets %d", page.Status)
		}
		if page := s.do("PUT", "/auth/logout", script); page.Status != 405 && page.Status != 404 {
			t.Errorf("a logout by PUT gets %d", page.Status)
		}
		s.provider.Misbehave(logintest.Faults{IDToken: func(_, claims map[string]any) { claims["nonce"] = "x" }})
		bad := s.page(s.browser.Get(origin + "/private"))
		if bad.Status != 502 || !strings.Contains(string(bad.Body), "id_token_untrusted") || !strings.HasPrefix(bad.Header.Get("Content-Type"), "text/html") {
			t.Errorf("a bad ID token gets %d %s", bad.Status, bad.Body)
		}
		if got := strings.Count(s.log.String(), "\n"); got != 3 {
			t.Errorf("%d log lines, want 3:\n%s", got, s.log.String())
		}
		if got := s.app.ran.Load(); got != 0 {
			t.Errorf("the private handler ran %d times", got)
		}
	})
}

// A page with a Requirement: all frameworks send exactly the same responses, and the
// handler runs only if the Requirement is met.
func TestStepUp(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
		s := start()
		s.provider.User.ACR = []string{"silver"}
		s.page(s.browser.Get(origin + "/private"))
		asked := s.do("POST", "/vault", script)
		before, after, _ := strings.Cut(string(asked.Body), "with=")
		const wantBefore = `{"title":"Unauthorized","status":401,"detail":"This page needs a login that is more recent or stronger than yours. Please log in once more.",` +
			`"code":"step_up_required","login_url":"/auth/login?`
		if asked.Status != 401 || before != wantBefore || !strings.HasSuffix(after, `","max_age":3600,"acr_values":"gold"}`+"\n") {
			t.Errorf("a script gets %d %s", asked.Status, asked.Body)
		}
		weak := s.page(s.browser.Get(origin + "/vault"))
		if weak.Status != 403 || !strings.Contains(string(weak.Body), "step_up_failed") || len(weak.Hops) != 3 {
			t.Errorf("a login that stays weak gets %d after %d hops: %s", weak.Status, len(weak.Hops), weak.Body)
		}
		if page := s.do("GET", "/private", script); page.Status != 200 {
			t.Errorf("the session is gone: %d", page.Status)
		}
		if got := s.app.opened.Load(); got != 0 {
			t.Fatalf("the vault was opened %d times", got)
		}
		s.provider.User.ACR = []string{"silver", "gold"}
		sent := s.page(s.browser.Visit(origin + "/vault?tab=1"))
		if to := sent.Header.Get("Location"); sent.Status != 303 || !strings.HasPrefix(to, issuer+"/authorize?") || !strings.Contains(to, "acr_values=gold") || len(sent.Body) != 0 {
			t.Errorf("got %d to %q: %s", sent.Status, to, sent.Body)
		}
		if got := s.app.opened.Load(); got != 0 {
			t.Fatalf("the vault was opened %d times", got)
		}
		page := s.page(s.browser.Get(origin + "/vault?tab=1"))
		if page.Status != 200 || string(page.Body) != "ada" || page.URL != origin+"/vault?tab=1" || s.app.opened.Load() != 1 {
			t.Errorf("got %d at %s: %s", page.Status, page.URL, page.Body)
		}
		if got := strings.Count(s.log.String(), "\n"); got != 1 {
			t.Errorf("%d log lines, want 1:\n%s", got, s.log.String())
		}
	})
}

func TestAStoreThatIsDown(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
		s := start(func(c *core.Config) { c.Sessions.Store = downStore{} })
		s.browser.SetCookie(origin, &http.Cookie{Name: "__Host-pixy-session", Value: "x", Path: "/", Secure: true})
		for _, path := range []string{"/private", "/maybe"} {
			page := s.page(s.browser.Visit(origin + path))
			if page.Status != 503 || page.Header.Get("Retry-After") == "" || !strings.Contains(string(page.Body), "store_unavailable") {
				t.Errorf("%s: got %d %s", path, page.Status, page.Body)
			}
		}
		if got := s.app.ran.Load(); got != 0 {
			t.Errorf("the private handler ran %d times", got)
		}
	})
}

type downStore struct{}

func (downStore) Get(*http.Request, string) (*sessions.Session, error) { return nil, io.EOF }

func (downStore) New(*http.Request, string) (*sessions.Session, error) { return nil, io.EOF }

func (downStore) Save(*http.Request, http.ResponseWriter, *sessions.Session) error {
	return io.EOF
}

// With ErrorHandler set, every error reaches the framework with its type, and the
// private handler does not run.
func TestErrorHandler(t *testing.T) {
	t.Parallel()
	for name, build := range frameworks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			a := &app{own: func(err error) {
				failure := new(core.Error)
				if !errors.As(err, &failure) {
					t.Errorf("got %T: %v", err, err)
					return
				}
				got = append(got, failure.Code)
			}}
			s := newStage(t, a, build, func(c *core.Config) {
				c.OnLogin = func(context.Context, *core.Login) error { return errors.New("no") }
			})
			for _, page := range []*logintest.Page{
				s.do("GET", "/private", script),
				s.do("GET", "/auth/callback?code=x", script),
				s.do("POST", "/auth/logout", http.Header{"Sec-Fetch-Site": {"cross-site"}}),
				s.page(s.browser.Get(origin + "/private")),
			} {
				if page.Status != http.StatusTeapot {
					t.Errorf("%s: got %d: %s", page.URL, page.Status, page.Body)
				}
			}
			if want := "login_required attempt_unknown cross_origin_logout login_refused"; strings.Join(got, " ") != want {
				t.Errorf("got %v, want %s", got, want)
			}
			if got := a.ran.Load(); got != 0 {
				t.Errorf("the private handler ran %d times", got)
			}
		})
	}
}

// Echo's own error handlers answer with the error's status and public text only.
func TestEchosDefaultErrorHandlers(t *testing.T) {
	t.Parallel()
	for name, build := range map[string]func(*app, *core.Authenticator) http.Handler{
		"echologin": func(_ *app, auth *core.Authenticator) http.Handler {
			login := echologin.New(auth)
			login.ErrorHandler = func(_ echo4.Context, err error) error { return err }
			router := echo4.New()
			router.GET("/private", func(echo4.Context) error { return nil }, login.RequireUser)
			return router
		},
		"echo5login": func(_ *app, auth *core.Authenticator) http.Handler {
			login := echo5login.New(auth)
			login.ErrorHandler = func(_ *echo5.Context, err error) error { return err }
			router := echo5.New()
			router.GET("/private", func(*echo5.Context) error { return nil }, login.RequireUser)
			return router
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, new(app), build)
			page := s.do("GET", "/private", script)
			if page.Status != 401 || !strings.Contains(string(page.Body), `"code":"login_required"`) || strings.Contains(string(page.Body), "pixy:") {
				t.Errorf("got %d %s", page.Status, page.Body)
			}
		})
	}
}

// SignedIn signs a user in without a provider, in every framework.
func TestSignedIn(t *testing.T) {
	t.Parallel()
	for name, build := range frameworks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := new(app)
			s := newStage(t, a, func(a *app, auth *core.Authenticator) http.Handler {
				return logintest.SignedIn(build(a, auth), logintest.User{Subject: "grace"})
			})
			for _, path := range []string{"/private", "/vault", "/maybe"} {
				if page := s.do("POST", path, script); page.Status != 200 || string(page.Body) != "grace" {
					t.Errorf("%s: got %d %s", path, page.Status, page.Body)
				}
			}
			if got := s.provider.Count(logintest.Discovery); got != 0 || a.ran.Load() != 1 {
				t.Errorf("the provider was asked %d times, the private handler ran %d times", got, a.ran.Load())
			}
		})
	}
}

// Gin's own logger logs neither errors that core has logged nor anonymous requests.
func TestGinsLoggerStaysQuiet(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := newStage(t, new(app), func(_ *app, auth *core.Authenticator) http.Handler {
		router := gin.New()
		router.Use(gin.LoggerWithWriter(&log))
		router.GET("/private", ginlogin.New(auth).RequireUser)
		return router
	})
	if page := s.do("GET", "/private", script); page.Status != 401 {
		t.Errorf("got %d", page.Status)
	}
	if !strings.Contains(log.String(), "401") || strings.Contains(log.String(), "pixy:") {
		t.Errorf("logged as %s", log.String())
	}
}
