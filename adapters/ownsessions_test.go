package adapters_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
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

// An ownApp has sessions of its own: a cookie and a map. Its page is behind a guard of
// its own, and /auth/logout/mine is its own logout handler.
type ownApp struct {
	mu      sync.Mutex
	live    map[string]core.Login // by the cookie's value
	started int
	fails   error // of Start and End
	loses   bool  // sessions are lost at once
	auth    *core.Authenticator

	// sessions returns the app as the framework's context has it, or nil.
	sessions func(r *http.Request) *ownApp
}

const ownCookie = "__Host-app"

// ownID returns the id of the request's session. Of two cookies, one may be planted.
func ownID(r *http.Request) string {
	if cookies := r.CookiesNamed(ownCookie); len(cookies) == 1 {
		return cookies[0].Value
	}
	return ""
}

func (a *ownApp) config(c *core.Config) {
	c.Sessions.Own = &core.OwnSessions{Start: a.start, End: a.end, EndByProvider: a.endByProvider}
}

func (a *ownApp) start(w http.ResponseWriter, r *http.Request, login *core.Login) (bool, error) {
	if a.sessions(r) != a {
		return false, errors.New("Start cannot see the framework's context")
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.started++
	id := fmt.Sprint("session-", a.started)
	http.SetCookie(w, &http.Cookie{Name: ownCookie, Value: id, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	if !a.loses && a.fails == nil {
		a.live[id] = *login
	}
	return false, a.fails
}

func (a *ownApp) end(w http.ResponseWriter, r *http.Request) error {
	if a.sessions(r) != a {
		return errors.New("End cannot see the framework's context")
	}
	if a.fails != nil {
		return a.fails
	}
	a.endHere(w, r)
	return nil
}

func (a *ownApp) endHere(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.live, ownID(r))
	http.SetCookie(w, &http.Cookie{Name: ownCookie, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true})
}

func (a *ownApp) endByProvider(_ context.Context, _, issuer, subject, sid string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, login := range a.live {
		if login.User.Issuer == issuer && (login.SID == sid || sid == "" && login.User.Subject == subject) {
			delete(a.live, id)
		}
	}
	return nil
}

// user returns the subject of the request's session, or "".
func (a *ownApp) user(r *http.Request) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	user := a.live[ownID(r)].User
	if user == nil {
		return ""
	}
	return user.Subject
}

// page is the guarded page. It returns false if it has answered itself.
func (a *ownApp) page(w http.ResponseWriter, r *http.Request) (user string, ok bool) {
	if user = a.user(r); user != "" {
		return user, true
	}
	if err := a.auth.Challenge(w, r, core.ErrNoSession); err != nil {
		a.auth.ServeError(w, r, err)
	}
	return "", false
}

// logout is the application's own logout handler.
func (a *ownApp) logout(w http.ResponseWriter, r *http.Request) {
	to, err := a.auth.EndSession(w, r)
	if err != nil {
		a.auth.ServeError(w, r, err)
		return
	}
	a.endHere(w, r)
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// ownFrameworks builds the application in each framework. /private is behind the
// application's guard, /theirs behind RequireUser.
var ownFrameworks = map[string]func(*ownApp) http.Handler{
	"httplogin": func(a *ownApp) http.Handler {
		a.sessions = func(*http.Request) *ownApp { return a } // net/http has no context of its own
		login, mux := httplogin.New(a.auth), http.NewServeMux()
		login.Mount(mux)
		mux.HandleFunc("/private", func(w http.ResponseWriter, r *http.Request) {
			if user, ok := a.page(w, r); ok {
				fmt.Fprint(w, user)
			}
		})
		mux.HandleFunc("POST /auth/logout/mine", a.logout)
		mux.Handle("/theirs", login.RequireUser(http.NotFoundHandler()))
		mux.HandleFunc("/maybe", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "home ", a.user(r)) })
		return mux
	},
	"ginlogin": func(a *ownApp) http.Handler {
		a.sessions = func(r *http.Request) *ownApp { return ginlogin.Context(r).MustGet("sessions").(*ownApp) }
		login, router := ginlogin.New(a.auth), gin.New()
		router.Use(func(c *gin.Context) { c.Set("sessions", a) })
		login.Mount(router)
		router.Any("/private", func(c *gin.Context) {
			if user, ok := a.page(c.Writer, c.Request); ok {
				c.String(200, user)
			}
		})
		router.POST("/auth/logout/mine", func(c *gin.Context) { a.logout(c.Writer, c.Request) })
		router.Any("/theirs", login.RequireUser)
		router.Any("/maybe", func(c *gin.Context) {
			if ginlogin.Context(c.Request) != nil {
				c.String(500, "another route has the context")
			}
			c.String(200, "home "+a.user(c.Request))
		})
		return router
	},
	"echologin": func(a *ownApp) http.Handler {
		a.sessions = func(r *http.Request) *ownApp { return echologin.Context(r).Get("sessions").(*ownApp) }
		login, router := echologin.New(a.auth), echo4.New()
		router.Use(func(next echo4.HandlerFunc) echo4.HandlerFunc {
			return func(c echo4.Context) error { c.Set("sessions", a); return next(c) }
		})
		login.Mount(router)
		router.Any("/private", func(c echo4.Context) error {
			if user, ok := a.page(c.Response(), c.Request()); ok {
				return c.String(200, user)
			}
			return nil
		})
		router.POST("/auth/logout/mine", func(c echo4.Context) error { a.logout(c.Response(), c.Request()); return nil })
		router.Any("/theirs", func(echo4.Context) error { return nil }, login.RequireUser)
		router.Any("/maybe", func(c echo4.Context) error {
			if echologin.Context(c.Request()) != nil {
				return errors.New("another route has the context")
			}
			return c.String(200, "home "+a.user(c.Request()))
		})
		return router
	},
	"echo5login": func(a *ownApp) http.Handler {
		a.sessions = func(r *http.Request) *ownApp { return echo5login.Context(r).Get("sessions").(*ownApp) }
		login, router := echo5login.New(a.auth), echo5.New()
		router.Use(func(next echo5.HandlerFunc) echo5.HandlerFunc {
			return func(c *echo5.Context) error { c.Set("sessions", a); return next(c) }
		})
		login.Mount(router)
		router.Any("/private", func(c *echo5.Context) error {
			if user, ok := a.page(c.Response(), c.Request()); ok {
				return c.String(200, user)
			}
			return nil
		})
		router.POST("/auth/logout/mine", func(c *echo5.Context) error { a.logout(c.Response(), c.Request()); return nil })
		router.Any("/theirs", func(*echo5.Context) error { return nil }, login.RequireUser)
		router.Any("/maybe", func(c *echo5.Context) error {
			if echo5login.Context(c.Request()) != nil {
				return errors.New("another route has the context")
			}
			return c.String(200, "home "+a.user(c.Request()))
		})
		return router
	},
}

// An ownStage is a stage whose application has sessions of its own.
type ownStage struct {
	*stage
	own *ownApp
}

func everywhereOwn(t *testing.T, story func(t *testing.T, start func(...func(*core.Config)) *ownStage)) {
	for name, build := range ownFrameworks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story(t, func(change ...func(*core.Config)) *ownStage {
				own := &ownApp{live: make(map[string]core.Login)}
				s := newStage(t, new(app), func(_ *app, auth *core.Authenticator) http.Handler {
					own.auth = auth
					return build(own)
				}, append([]func(*core.Config){own.config}, change...)...)
				return &ownStage{s, own}
			})
		})
	}
}

// who returns the subject that the browser is logged in as, or "".
func (s *ownStage) who() string {
	s.t.Helper()
	return strings.TrimPrefix(string(s.page(s.browser.Get(origin+"/maybe")).Body), "home ")
}

func (s *ownStage) logIn() {
	s.t.Helper()
	if page := s.page(s.browser.Get(origin + "/private")); page.Status != 200 || string(page.Body) != "ada" {
		s.t.Fatalf("got %d: %s", page.Status, page.Body)
	}
}

// callback begins a login, and returns the callback's URL.
func (s *ownStage) callback() string {
	s.t.Helper()
	to := origin + "/auth/login?return_to=/private"
	for range 2 {
		to = s.page(s.browser.Visit(to)).Header.Get("Location")
	}
	return to
}

// open sends a request with the cookies that the browser has now.
func (s *ownStage) open(address string) func() *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", address, nil)
	for _, c := range s.browser.Cookies(address) {
		r.AddCookie(c)
	}
	return func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r.Clone(r.Context()))
		return w
	}
}

func (s *ownStage) noSessionOfPixy() {
	s.t.Helper()
	for _, c := range s.browser.Cookies(origin + "/auth/logout") {
		if strings.HasPrefix(c.Name, "__Host-pixy-session") || strings.HasPrefix(c.Name, "__Host-pixy-tokens") {
			s.t.Errorf("the browser has %s", c.Name)
		}
	}
}

func TestOwnSessionsStart(t *testing.T) {
	t.Parallel()
	everywhereOwn(t, func(t *testing.T, start func(...func(*core.Config)) *ownStage) {
		s := start()
		if page := s.do("GET", "/private", script); page.Status != 401 || !strings.Contains(string(page.Body), `"login_url":"/auth/login"`) {
			t.Errorf("a script gets %d: %s", page.Status, page.Body)
		}
		callback := s.callback()
		second := s.open(callback)
		var wait sync.WaitGroup
		answers := make([]*httptest.ResponseRecorder, 3)
		for i := range answers {
			wait.Go(func() { answers[i] = second() })
		}
		wait.Wait()
		sessions := make(map[string]bool)
		for _, w := range append(answers, second()) { // and a double click
			sessions[w.Header().Get("Set-Cookie")] = true
			i := slices.IndexFunc(w.Result().Cookies(), func(c *http.Cookie) bool { return c.Name == ownCookie })
			if w.Code != 303 || w.Header().Get("Location") != "/private" || i < 0 {
				t.Fatalf("got %d to %q with %q: %s", w.Code, w.Header().Get("Location"), w.Header()["Set-Cookie"], w.Body)
			}
			if user := s.own.live[w.Result().Cookies()[i].Value].User; user == nil || user.Subject != "ada" {
				t.Errorf("the cookie is for %v", user)
			}
		}
		for _, c := range answers[0].Result().Cookies() {
			s.browser.SetCookie(origin, c)
		}
		s.logIn()
		page := s.page(s.browser.Get(callback)) // a reload
		if page.Status != 200 || string(page.Body) != "ada" || page.Hops[0].Header.Get("Location") != "/private" || s.own.started != 5 {
			t.Errorf("a reload gets %d: %s, and Start has been called %d times", page.Status, page.Body, s.own.started)
		}
		if got := s.provider.Count(logintest.Token); got != 1 {
			t.Errorf("%d token requests, want 1", got)
		}
		s.provider.Misbehave(logintest.Faults{Token: func(answer map[string]any) { delete(answer, "id_token") }})
		if page := s.page(s.browser.Get(s.callback())); page.Status != 502 || s.who() != "ada" {
			t.Errorf("a login that fails gets %d, and leaves %q", page.Status, s.who())
		}
		s.provider.Misbehave(logintest.Faults{})
		s.own.fails = errors.New("no room")
		if page := s.page(s.browser.Get(s.callback())); page.Status != 403 || s.who() != "ada" {
			t.Errorf("a Start that fails gets %d, and leaves %q", page.Status, s.who())
		}
		s.noSessionOfPixy()
		if page := s.page(s.browser.Get(origin + "/theirs")); page.Status != 500 || len(page.Hops) != 1 {
			t.Errorf("RequireUser answers %d after %d hops", page.Status, len(page.Hops))
		}
	})
}

func TestOwnSessionsEnd(t *testing.T) {
	t.Parallel()
	everywhereOwn(t, func(t *testing.T, start func(...func(*core.Config)) *ownStage) {
		s := start()
		for _, path := range []string{"/auth/logout", "/auth/logout/mine"} {
			s.logIn()
			if page := s.do("POST", path, http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {issuer}}); page.Status != 403 || s.who() != "ada" {
				t.Errorf("%s from another site gets %d, and leaves %q", path, page.Status, s.who())
			}
			page := s.page(s.browser.Post(origin+path, nil))
			leads := len(page.Hops) - 3 // the hop that leads to the provider
			if leads < 0 || page.URL != origin+"/maybe" || s.who() != "" {
				t.Fatalf("%s ends at %s after %d hops, and leaves %q", path, page.URL, len(page.Hops), s.who())
			}
			at, err := url.Parse(page.Hops[leads].Header.Get("Location"))
			if err != nil || !strings.HasPrefix(at.String(), issuer) || at.Query().Get("id_token_hint") == "" {
				t.Errorf("%s goes to %s, %v", path, at, err)
			}
			s.noSessionOfPixy()
		}

		s.logIn()
		s.own.fails = core.ErrUnavailable
		page := s.do("POST", "/auth/logout", script)
		s.own.fails = nil
		if page.Status != 503 || s.who() != "ada" {
			t.Errorf("a logout while the sessions are down gets %d, and leaves %q", page.Status, s.who())
		}
		client := logintest.InMemory(map[string]http.Handler{origin: s.handler})
		token := s.provider.LogoutToken("app", logintest.User{Subject: "ada"}, nil)
		if answer, err := logintest.PostLogoutToken(t.Context(), client, origin+"/auth/backchannel-logout", token); err != nil || answer.Status != 200 || s.who() != "" {
			t.Errorf("a logout token gets %v, %v, and leaves %q", answer, err, s.who())
		}

		s = start(func(c *core.Config) { c.Logout.Local = true })
		s.logIn()
		if page := s.page(s.browser.Post(origin+"/auth/logout", nil)); len(page.Hops) != 2 || page.URL != origin+"/maybe" || s.who() != "" {
			t.Errorf("a local logout ends at %s after %d hops, and leaves %q", page.URL, len(page.Hops), s.who())
		}

		s = start(func(c *core.Config) { c.Sessions.Own.End, c.Sessions.Own.EndByProvider = nil, nil })
		s.logIn()
		for _, path := range []string{"/auth/logout", "/auth/backchannel-logout"} {
			if page := s.do("POST", path, script); page.Status != 404 {
				t.Errorf("%s is there: %d", path, page.Status)
			}
		}
	})
}

func TestOwnSessionsThatDoNotLast(t *testing.T) {
	t.Parallel()
	everywhereOwn(t, func(t *testing.T, start func(...func(*core.Config)) *ownStage) {
		s := start()
		s.own.loses = true
		page := s.page(s.browser.Get(origin + "/private"))
		if page.Status != 500 || !strings.Contains(string(page.Body), "<code>session_lost</code>") {
			t.Errorf("got %d after %d hops: %s", page.Status, len(page.Hops), page.Body)
		}
		if got := s.provider.Count(logintest.Authorization); got != 2 {
			t.Errorf("the provider was asked %d times, want 2", got)
		}
		if log := s.log.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, "Sessions.Own.Start") {
			t.Errorf("want one line with the likely causes:\n%s", log)
		}
		s.own.loses = false
		s.logIn()
	})
}
