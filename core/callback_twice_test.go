package core_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/sessions"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// again is a request for a page with the cookies that the browser has now: it is
// under way when what follows changes them.
func (g *rig) again(u string) func(auth *core.Authenticator) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", u, nil)
	r.Header.Set("Accept", "text/html")
	for _, c := range g.browser.Cookies(u) {
		r.AddCookie(c)
	}
	return func(auth *core.Authenticator) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		g.app(auth).ServeHTTP(w, r.Clone(r.Context()))
		return w
	}
}

// apply has the browser take an answer's cookies.
func (g *rig) apply(w *httptest.ResponseRecorder) {
	for _, c := range w.Result().Cookies() {
		g.browser.SetCookie(origin, c)
	}
}

// A double click at the provider: the second callback comes when the first has been
// answered, with the cookies from before.
func TestCallbackTwice(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name    string
		change  func(*core.Config)
		onLogin error
		faults  logintest.Faults
		later   time.Duration // after the first
		between func(g *rig)  // first and second
		code    string        // of the second one's page; "": it logs in
		first   string        // of the first one's page, if it is another
		redeems int           // zero: 1
	}{
		{name: "rules 22, 48: at once"},
		{name: "rules 22, 48: a little less than a minute later", later: 59 * time.Second},
		{name: "rules 22, 48: the session may be idle for less than that", later: 50 * time.Second, change: func(c *core.Config) {
			c.Sessions.Idle = 40 * time.Second
		}},
		{name: "rules 22, 48: with kept tokens", change: func(c *core.Config) { c.Tokens.Keep = true }},
		{name: "rules 22, 48: with a Store", change: func(c *core.Config) { c.Sessions.Store = newMemoryStore() }},
		{name: "rules 22, 48: with Revocations, and kept tokens", change: func(c *core.Config) {
			c.Logout.Revocations, c.Tokens.Keep = new(core.MemoryRevocations), true
		}},
		{name: "rules 22, 48: OnLogin refuses", onLogin: errors.New("no"), code: "login_refused"},
		{name: "rules 22, 48: the provider's answer is of no use", code: "token_response_untrusted",
			faults: logintest.Faults{Token: func(answer map[string]any) { answer["token_type"] = "mac" }}},
		{name: "rules 22, 48: after a logout", between: func(g *rig) { g.fetch("POST", origin+"/auth/logout") }, code: "attempt_unknown", first: "-"},
		{name: "when the outcome is forgotten, the provider decides", later: time.Minute, code: "code_refused", first: "-", redeems: 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, func(c *core.Config) {
				if row.change != nil {
					row.change(c)
				}
				asked := c.OnLogin
				c.OnLogin = func(ctx context.Context, login *core.Login) error {
					return errors.Join(row.onLogin, asked(ctx, login))
				}
			})
			g.provider.Misbehave(row.faults)
			callback := g.toCallback().String()
			second := g.again(callback)
			first := g.again(callback)(g.auth)
			attempt := g.cookiesNamed("__Host-pixy-login-")[0]
			g.apply(first)
			g.browser.SetCookie(origin, &http.Cookie{Name: attempt.Name, Value: attempt.Value, Path: "/", Secure: true})
			third := g.again(callback) // of a browser that has the session already
			g.browser.Forget(origin, attempt.Name)
			if failed := row.code != "" && row.first == ""; failed == setsSession(first.Header()) {
				t.Fatalf("the first gets %d: %s", first.Code, first.Body)
			}
			g.advance(row.later)
			if row.between != nil {
				row.between(g)
			}
			w := second(g.auth)
			if row.code != "" {
				if setsSession(w.Header()) || !strings.Contains(w.Body.String(), "<code>"+row.code+"</code>") {
					t.Errorf("the second gets %d to %q: %s", w.Code, w.Header().Get("Location"), w.Body)
				}
			} else {
				if w.Code != 303 || w.Header().Get("Location") != "/me" || !setsSession(w.Header()) {
					t.Errorf("the second gets %d to %q: %s", w.Code, w.Header().Get("Location"), w.Body)
				}
				g.browser.Forget(origin, "")
				g.apply(w) // what the second sets is enough
				if got := g.whoAmI(); got != "I am ada" {
					t.Errorf("%q is logged in by the second", got)
				}
				w = third(g.auth)
				if g.apply(w); !setsSession(w.Header()) || w.Header().Get("Location") != "/me" {
					t.Errorf("the third gets %d to %q: %s", w.Code, w.Header().Get("Location"), w.Body)
				}
				if got := g.whoAmI(); got != "I am ada" {
					t.Errorf("%q is logged in by the third", got)
				}
			}
			if got, want := g.provider.Count(logintest.Token), max(1, row.redeems); got != want {
				t.Errorf("sent the code %d times, want %d", got, want)
			}
			if got := g.logins.Load(); got > 1 {
				t.Errorf("called OnLogin %d times", got)
			}
		})
	}
}

func TestThreeCallbacksAtOnce(t *testing.T) {
	t.Parallel()
	t.Run("rules 22, 48: three callbacks of one login at once, and a fourth of the same login", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		callback := g.toCallback().String()
		open := g.again(callback)
		var wait sync.WaitGroup
		for range 3 {
			wait.Go(func() {
				if w := open(g.auth); w.Code != 303 || w.Header().Get("Location") != "/me" || !setsSession(w.Header()) {
					t.Errorf("got %d to %q: %s", w.Code, w.Header().Get("Location"), w.Body)
				}
			})
		}
		wait.Wait()
		if w := open(g.auth); w.Header().Get("Location") != "/me" || !setsSession(w.Header()) {
			t.Errorf("the fourth gets %d to %q: %s", w.Code, w.Header().Get("Location"), w.Body)
		}
		if got := g.provider.Count(logintest.Token) + int(g.logins.Load()); got != 2 {
			t.Errorf("%d token requests and calls of OnLogin, want one each", got)
		}
	})
}

// The URL of a callback is no secret for long: it is in histories and logs. Who opens
// it in another browser has none of the outcome, not even where it ended.
func TestALeakedCallbackGivesNothingOfTheOutcome(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]sessions.Store{"cookies": nil, "a Store": newMemoryStore()} {
		t.Run("rules 20, 22: "+name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, func(c *core.Config) { c.Sessions.Store = store })
			callback := g.toCallback().String()
			g.get(callback)
			other := logintest.NewBrowser()
			other.Serve(issuer, g.provider)
			other.Serve(origin, g.app(g.auth))
			page, err := other.Visit(callback)
			if err != nil {
				t.Fatal(err)
			}
			if setsSession(page.Header) || !strings.HasPrefix(page.Header.Get("Location"), issuer+"/authorize?") || g.provider.Count(logintest.Token) != 1 {
				t.Errorf("another browser gets %d to %q", page.Status, page.Header.Get("Location"))
			}
			g.provider.User = logintest.User{Subject: "mallory"}
			if page, err := other.Get(origin + "/me"); err != nil || string(page.Body) != "I am mallory" {
				t.Fatalf("got %v, %v", page, err)
			}
			if page, err = other.Visit(callback); err != nil {
				t.Fatal(err)
			}
			if setsSession(page.Header) || page.Header.Get("Location") != "/" {
				t.Errorf("another user's browser gets %d to %q", page.Status, page.Header.Get("Location"))
			}
			if page, err := other.Get(origin + "/me"); err != nil || string(page.Body) != "I am mallory" {
				t.Errorf("got %v, %v", page, err)
			}
		})
	}
}

// An error that does not come of the code is not remembered: the code is as good.
func TestCallbackTwiceAroundAnOutage(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	callback := g.toCallback().String()
	fresh := g.newAuth() // which has not seen the metadata yet
	second := g.again(callback)
	g.provider.Misbehave(logintest.Faults{Intercept: func(_ logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}})
	if w := second(fresh); w.Code != 503 || g.provider.Count(logintest.Token) != 0 {
		t.Fatalf("got %d: %s", w.Code, w.Body)
	}
	g.provider.Misbehave(logintest.Faults{})
	g.advance(30 * time.Second)
	if w := second(fresh); w.Header().Get("Location") != "/me" || !setsSession(w.Header()) {
		t.Errorf("then it gets %d: %s", w.Code, w.Body)
	}
}

// A user whose second login failed reopens its callback. There is nothing to come
// back to: the session goes on, and the user ends at home.
func TestACallbackOfALoginThatFailedIsReopened(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.login()
	callback := g.toCallback().String()
	g.provider.Misbehave(logintest.Faults{Token: func(answer map[string]any) { delete(answer, "id_token") }})
	if page := g.get(callback); page.Status != http.StatusBadGateway {
		t.Fatalf("the login that fails gets %d: %s", page.Status, page.Body)
	}
	g.provider.Misbehave(logintest.Faults{})
	if page := g.visit(callback); page.Status != http.StatusSeeOther || page.Header.Get("Location") != "/" {
		t.Errorf("reopened, it gets %d to %q", page.Status, page.Header.Get("Location"))
	}
	if got := g.provider.Count(logintest.Token); got != 2 {
		t.Errorf("%d token requests, want 2", got)
	}
	g.login()
}
