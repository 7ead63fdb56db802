package core_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// An ownApp is an application with sessions of its own: a cookie and a map. Its page /me
// has a guard of its own, and /leave is its own logout handler.
type ownApp struct {
	*rig
	mu      sync.Mutex
	live    map[string]core.Login // by the cookie's value
	started int                   // calls of Start
	byThem  []string              // calls of EndByProvider
	endedAt string                // the provider of the last one
	fails   error                 // of Start, End and EndByProvider
	answers bool                  // Start answers itself
	loses   bool                  // the session is lost at once
	left    string                // URL that EndSession returned last
}

const ownCookie = "__Host-app"

func newOwnApp(t *testing.T, change ...func(*core.Config)) *ownApp {
	t.Helper()
	a := &ownApp{live: make(map[string]core.Login)}
	var own *core.OwnSessions
	change = append(append([]func(*core.Config){a.own}, change...), func(c *core.Config) { own = c.Sessions.Own })
	a.rig = newRig(t, change...)
	*own = core.OwnSessions{} // New has copied it
	a.browser.Serve(origin, a.handler(a.auth))
	return a
}

func (a *ownApp) own(c *core.Config) {
	c.Sessions.Own = &core.OwnSessions{Start: a.start, End: a.end, EndByProvider: a.endByProvider}
}

func (a *ownApp) start(w http.ResponseWriter, r *http.Request, login *core.Login) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.started++
	id := fmt.Sprint("session-", a.started)
	http.SetCookie(w, &http.Cookie{Name: ownCookie, Value: id, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	if a.fails != nil {
		return false, a.fails
	}
	if !a.loses {
		a.live[id] = *login
	}
	login.User.Name, login.ReturnTo = "changed", "/changed" // of this callback only
	if a.answers {
		http.Redirect(w, r, "/answered", http.StatusFound)
	}
	return a.answers, nil
}

func (a *ownApp) end(w http.ResponseWriter, r *http.Request) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: ownCookie, Path: "/", MaxAge: -1, Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
	if a.fails != nil {
		return a.fails
	}
	if c, err := r.Cookie(ownCookie); err == nil {
		delete(a.live, c.Value)
	}
	return nil
}

func (a *ownApp) endByProvider(_ context.Context, provider, issuer, subject, sid string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.byThem = append(a.byThem, issuer+" "+subject+" "+sid)
	a.endedAt = provider
	if a.fails != nil {
		return a.fails
	}
	for id, login := range a.live {
		if login.User.Issuer == issuer && (sid != "" && login.SID == sid || sid == "" && login.User.Subject == subject) {
			delete(a.live, id)
		}
	}
	return nil
}

func (a *ownApp) user(r *http.Request) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	c, err := r.Cookie(ownCookie)
	if err != nil || a.live[c.Value].User == nil {
		return ""
	}
	return a.live[c.Value].User.Subject
}

func (a *ownApp) handler(auth *core.Authenticator) http.Handler {
	app := a.app(auth)
	mux := http.NewServeMux()
	mux.Handle("/", app)
	mux.HandleFunc("/me", func(w http.ResponseWriter, r *http.Request) {
		if user := a.user(r); user != "" {
			fmt.Fprint(w, "I am ", user)
		} else if err := auth.Challenge(w, r, core.ErrNoSession); err != nil {
			auth.ServeError(w, r, err)
		}
	})
	mux.HandleFunc("/guarded", func(w http.ResponseWriter, r *http.Request) {
		if _, err := auth.Authenticate(w, r); err != nil {
			if err := auth.Challenge(w, r, err); err != nil {
				auth.ServeError(w, r, err)
			}
		}
	})
	mux.HandleFunc("/auth/logout/mine", func(w http.ResponseWriter, r *http.Request) {
		to, err := auth.EndSession(w, r)
		if err != nil {
			auth.ServeError(w, r, err)
			return
		}
		_ = a.end(w, r)
		a.left = to
		http.Redirect(w, r, to, http.StatusSeeOther)
	})
	return mux
}

// again is a request with the cookies that the browser has now, for later.
func (a *ownApp) again(u string) func() *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", u, nil)
	r.Header.Set("Accept", "text/html")
	for _, c := range a.browser.Cookies(u) {
		r.AddCookie(c)
	}
	return func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		a.handler(a.auth).ServeHTTP(w, r.Clone(r.Context()))
		return w
	}
}

func startsOwn(header http.Header) bool {
	for _, c := range (&http.Response{Header: header}).Cookies() {
		if c.Name == ownCookie && c.MaxAge >= 0 {
			return true
		}
	}
	return false
}

// noCookiesOfOurs checks that pixy has left no session behind.
func (a *ownApp) noCookiesOfOurs() {
	a.t.Helper()
	for _, c := range a.browser.Cookies(origin + "/auth/logout") {
		for _, kind := range []string{"session", "tokens", "hint"} {
			if strings.Contains(c.Name, "pixy-"+kind) {
				a.t.Errorf("the browser has %s", c.Name)
			}
		}
	}
}

func TestOwnSessionsStartForEachCallback(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name    string
		later   time.Duration
		between func(*ownApp)
		onLogin error
		code    string // of the second one's page; "": it starts a session
		ends    string // where the second ends without a session; "": see code
		redeems int    // zero: 1
	}{
		{name: "a double click"},
		{name: "a little less than a minute later", later: 59 * time.Second},
		{name: "OnLogin refuses", onLogin: errors.New("no"), code: "login_refused"},
		{name: "after a logout", code: "attempt_unknown", between: func(a *ownApp) { a.fetch("POST", origin+"/auth/logout") }},
		{name: "after a logout of the application's own", code: "attempt_unknown", between: func(a *ownApp) { a.fetch("POST", origin+"/auth/logout/mine") }},
		{name: "after a logout by the provider", code: "attempt_unknown", between: func(a *ownApp) { a.ended(a.provider.LogoutToken("app", logintest.User{Subject: "ada"}, nil)) }},
		{name: "when the outcome is forgotten, the provider decides", later: time.Minute, code: "code_refused", redeems: 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			a := newOwnApp(t, func(c *core.Config) {
				asked := c.OnLogin
				c.OnLogin = func(ctx context.Context, login *core.Login) error {
					return errors.Join(row.onLogin, asked(ctx, login))
				}
			})
			callback := a.toCallback().String()
			second := a.again(callback)
			first := a.again(callback)()
			a.apply(first)
			if row.onLogin == nil && !startsOwn(first.Header()) {
				t.Fatalf("the first gets %d to %q: %s", first.Code, first.Header().Get("Location"), first.Body)
			}
			a.advance(row.later)
			if row.between != nil {
				row.between(a)
			}
			w := second()
			if row.code != "" {
				if startsOwn(w.Header()) || !strings.Contains(w.Body.String(), "<code>"+row.code+"</code>") {
					t.Errorf("the second gets %d to %q: %s", w.Code, w.Header().Get("Location"), w.Body)
				}
			} else {
				if w.Code != 303 || w.Header().Get("Location") != "/me" || !startsOwn(w.Header()) {
					t.Errorf("the second gets %d to %q: %s", w.Code, w.Header().Get("Location"), w.Body)
				}
				a.browser.Forget(origin, "")
				a.apply(w)
				if got := a.whoAmI(); got != "I am ada" {
					t.Errorf("%q is logged in by the second", got)
				}
			}
			if got, want := a.provider.Count(logintest.Token), max(1, row.redeems); got != want {
				t.Errorf("sent the code %d times, want %d", got, want)
			}
			if got := a.logins.Load(); got > 1 {
				t.Errorf("called OnLogin %d times", got)
			}
			a.noCookiesOfOurs()
		})
	}
}
