package core_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A callback whose attempt is gone: after a reload or the back button. Only the browser
// that has completed the login, and only within a minute, gets another session of it.
func TestACallbackOfOwnSessionsIsReopened(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name  string
		given func(a *ownApp, callback *url.URL) *url.URL // what happens after the login, and what is opened then
		ends  string                                      // where the callback redirects; "": to the provider
		again bool                                        // Start is called again
		code  string                                      // of an error page
	}{
		{name: "a reload", given: asOpened, ends: "/me", again: true},
		{name: "a reload a little less than a minute later", ends: "/me", again: true, given: func(a *ownApp, c *url.URL) *url.URL {
			a.advance(59 * time.Second)
			return c
		}},
		{name: "a reload a minute later begins one new login", given: func(a *ownApp, c *url.URL) *url.URL {
			a.advance(time.Minute + time.Second)
			return c
		}},
		{name: "the outcome is unknown to this process", ends: "/", given: func(a *ownApp, c *url.URL) *url.URL {
			a.auth = a.newAuth(a.own)
			return c
		}},
		{name: "another login has ended since", ends: "/", given: func(a *ownApp, c *url.URL) *url.URL {
			a.get(a.toCallback().String())
			return c
		}},
		{name: "after a logout", given: func(a *ownApp, c *url.URL) *url.URL {
			a.fetch("POST", origin+"/auth/logout")
			return c
		}},
		{name: "after a logout of the application's own", given: func(a *ownApp, c *url.URL) *url.URL {
			a.fetch("POST", origin+"/auth/logout/mine")
			return c
		}},
		{name: "after a logout by the provider", code: "attempt_unknown", given: func(a *ownApp, c *url.URL) *url.URL {
			a.ended(a.provider.LogoutToken("app", logintest.User{Subject: "ada"}, nil))
			return c
		}},
		{name: "after a logout of another user by the provider", ends: "/me", again: true, given: func(a *ownApp, c *url.URL) *url.URL {
			a.ended(a.provider.LogoutToken("app", logintest.User{Subject: "grace"}, nil))
			return c
		}},
		{name: "after a logout of another session by the provider", ends: "/me", again: true, given: func(a *ownApp, c *url.URL) *url.URL {
			a.ended(a.provider.LogoutToken("app", logintest.User{Subject: "ada", SessionID: "other"}, nil))
			return c
		}},
		{name: "after a logout in another browser", ends: "/me", again: true, given: func(a *ownApp, c *url.URL) *url.URL {
			other := a.person()
			other.browser.Serve(origin, a.handler(a.auth))
			other.login()
			other.fetch("POST", origin+"/auth/logout/mine")
			return c
		}},
		{name: "of another login that was silent, and ended without a user", given: func(a *ownApp, c *url.URL) *url.URL {
			a.browser.Forget(origin, "")
			a.provider.Misbehave(logintest.Faults{Authorization: func(answer url.Values) { answer.Del("code"); answer.Set("error", "login_required") }})
			a.auth = a.newAuth(a.own, silently)
			a.browser.Serve(origin, a.handler(a.auth))
			if page := a.visit(a.toCallback().String()); page.Header.Get("Location") != "/me" {
				a.t.Errorf("the silent login gets %d to %q", page.Status, page.Header.Get("Location"))
			}
			a.provider.Misbehave(logintest.Faults{})
			a.auth = a.newAuth(a.own)
			return c
		}},
		{name: "of a login that is to link an account, in a browser with another login", code: "attempt_unknown", given: func(a *ownApp, _ *url.URL) *url.URL {
			w := httptest.NewRecorder()
			if err := a.auth.LoginWith(w, httptest.NewRequest("GET", origin+"/link", nil), core.LoginOptions{Payload: "link"}); err != nil {
				a.t.Fatal(err)
			}
			return follow(a.t, a.browser, w.Header().Get("Location")) // without its cookie
		}},
		{name: "without a state", ends: "/", given: func(_ *ownApp, c *url.URL) *url.URL {
			return &url.URL{Scheme: c.Scheme, Host: c.Host, Path: c.Path}
		}},
		{name: "in another browser", given: func(a *ownApp, c *url.URL) *url.URL {
			a.browser.Forget(origin, "")
			return c
		}},
		{name: "in another browser, where another user has logged in", ends: "/", given: func(a *ownApp, c *url.URL) *url.URL {
			a.browser.Forget("", "")
			a.provider.User = logintest.User{Subject: "mallory"}
			a.get(a.toCallback().String())
			return c
		}},
		{name: "a prefetch", ends: "-", given: func(a *ownApp, c *url.URL) *url.URL {
			handler := a.handler(a.auth)
			a.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Header.Set("Sec-Purpose", "prefetch")
				handler.ServeHTTP(w, r)
			}))
			return c
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			a := newOwnApp(t)
			a.provider.User = logintest.User{Subject: "ada", SessionID: "first"}
			callback := a.toCallback()
			a.get(callback.String())
			opened := row.given(a, callback)
			if row.name != "a prefetch" {
				a.browser.Serve(origin, a.handler(a.auth))
			}
			started, redeemed, logins := a.started, a.provider.Count(logintest.Token), a.logins.Load()
			page := a.visit(opened.String())
			to := page.Header.Get("Location")
			switch {
			case row.code != "":
				if to != "" || !strings.Contains(string(page.Body), "<code>"+row.code+"</code>") {
					t.Errorf("got %d to %q: %s", page.Status, to, page.Body)
				}
			case row.ends == "-":
				if page.Status != http.StatusServiceUnavailable {
					t.Errorf("got %d to %q", page.Status, to)
				}
			case row.ends == "" && !strings.HasPrefix(to, issuer+"/authorize?"), row.ends != "" && to != row.ends:
				t.Errorf("got %d to %q, want %q: %s", page.Status, to, row.ends, page.Body)
			}
			if again := a.started > started; again != row.again || again != startsOwn(page.Header) {
				t.Errorf("Start was called %d times", a.started-started)
			}
			if a.provider.Count(logintest.Token) != redeemed || a.logins.Load() != logins {
				t.Error("the code was sent again, or OnLogin called")
			}
			a.noCookiesOfOurs()
			if row.ends == "" && row.code == "" { // one new login, and no circle
				if page := a.get(opened.String()); page.Status != 200 || a.whoAmI() != "I am ada" {
					t.Errorf("then it ends with %d at %s: %s", page.Status, page.URL, page.Body)
				}
			}
		})
	}
}

func asOpened(_ *ownApp, callback *url.URL) *url.URL { return callback }

// If Start fails, the browser keeps what it had, and a reload tries again.
func TestStartFails(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		err    error
		status int
		code   string
		text   string
	}{
		{"refused", errors.New("secret cause"), 403, "login_refused", "You are not allowed"},
		{"down", core.ErrUnavailable, 503, "login_unavailable", "try again in a minute"},
		{"by an error of its own", &core.Error{Status: 402, Code: "unpaid", Public: "Pay first."}, 402, "unpaid", "Pay first."},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			a := newOwnApp(t)
			a.provider.User = logintest.User{Subject: "ada"}
			a.login()
			before := a.browser.Cookies(origin + "/auth/logout")
			a.provider.User = logintest.User{Subject: "grace"}
			a.fails = row.err
			callback := a.toCallback().String()
			inFlight := a.again(callback)
			for range 5 { // reloads: none of them is taken for a circle
				page := a.visit(callback)
				if page.Status != row.status || !strings.Contains(string(page.Body), "<code>"+row.code+"</code>") || !strings.Contains(string(page.Body), row.text) || strings.Contains(string(page.Body), "secret cause") {
					t.Fatalf("got %d: %s", page.Status, page.Body)
				}
				if startsOwn(page.Header) {
					t.Errorf("the browser gets a cookie: %q", page.Header["Set-Cookie"])
				}
			}
			if got := a.whoAmI(); got != "I am ada" {
				t.Errorf("%q is logged in", got)
			}
			for _, c := range before {
				if now := a.cookiesNamed(c.Name); !strings.Contains(c.Name, "-landed-") && (len(now) != 1 || now[0].Value != c.Value) {
					t.Errorf("%s has changed", c.Name)
				}
			}
			if log := a.log.String(); !strings.Contains(log, "Sessions.Own.Start: ") {
				t.Errorf("the log does not name Start: %s", log)
			}
			a.fails = nil
			if w := inFlight(); w.Code != 303 || !startsOwn(w.Header()) {
				t.Errorf("another callback of the login gets %d: %s", w.Code, w.Body)
			}
			page := a.get(callback)
			if page.Hops[0].Header.Get("Location") != "/me" || string(page.Body) != "I am grace" {
				t.Errorf("then a reload ends with %d at %s: %s", page.Status, page.URL, page.Body)
			}
			if a.provider.Count(logintest.Token) != 2 || a.logins.Load() != 2 {
				t.Errorf("%d token requests and %d calls of OnLogin, want 2 each", a.provider.Count(logintest.Token), a.logins.Load())
			}
		})
	}
	t.Run("and the outcome is forgotten: a reload begins one new login", func(t *testing.T) {
		t.Parallel()
		a := newOwnApp(t)
		a.fails = errors.New("no")
		callback := a.toCallback().String()
		a.visit(callback)
		a.auth, a.fails = a.newAuth(a.own), nil
		a.browser.Serve(origin, a.handler(a.auth))
		if page := a.get(callback); page.Status != 200 || page.URL != origin+"/" || a.whoAmI() != "I am ada" {
			t.Errorf("ends with %d at %s: %s", page.Status, page.URL, page.Body)
		}
	})
}

// What Start gets, and what it may do.
func TestStartGetsItsOwnLogin(t *testing.T) {
	t.Parallel()
	a := newOwnApp(t)
	a.provider.User = logintest.User{Subject: "ada", SessionID: "first", Claims: map[string]any{"name": "Ada"}}
	open := a.again(a.toCallback().String())
	for range 2 { // the first changes its login
		if w := open(); w.Header().Get("Location") != "/me" {
			t.Errorf("got %d to %q", w.Code, w.Header().Get("Location"))
		}
	}
	for id, login := range a.live {
		if login.User.Subject != "ada" || login.User.Issuer != issuer || login.SID != "first" || login.Provider != "id.example.test" || login.Grant.Token.AccessToken == "" {
			t.Errorf("%s: got %v", id, login)
		}
	}
	if a.live["session-1"].User == a.live["session-2"].User {
		t.Error("two calls share one user")
	}
	a.answers = true
	w := open()
	if w.Code != http.StatusFound || w.Header().Get("Location") != "/answered" || len(w.Header()["Location"]) != 1 {
		t.Errorf("an answer of Start's comes as %d to %q", w.Code, w.Header()["Location"])
	}
	landed, hint := false, false
	for _, c := range w.Result().Cookies() {
		landed = landed || strings.HasPrefix(c.Name, "__Host-pixy-landed-")
		hint = hint || c.Name == "__Secure-pixy-logout" && c.MaxAge > 0
	}
	if !landed || !hint {
		t.Errorf("an answer of Start's lacks cookies: %q", w.Header()["Set-Cookie"])
	}
}

// An application that has used sessions of pixy before: they count for nothing, and go.
func TestOwnSessionsReplaceThoseOfPixy(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		before func(*core.Config)
		end    func(a *ownApp)
	}{
		{"cookies, at login", func(c *core.Config) { c.Tokens.Keep = true }, func(a *ownApp) { a.login() }},
		{"cookies, at logout", func(c *core.Config) { c.Tokens.Keep = true }, func(a *ownApp) { a.fetch("POST", origin+"/auth/logout") }},
		{"cookies, at a logout of the application's own", func(*core.Config) {}, func(a *ownApp) { a.fetch("POST", origin+"/auth/logout/mine") }},
		{"a Store, at login", func(c *core.Config) { c.Sessions.Store, c.Tokens.Keep = newMemoryStore(), true }, func(a *ownApp) { a.login() }},
		{"a Store, at logout", func(c *core.Config) { c.Sessions.Store = newMemoryStore() }, func(a *ownApp) { a.fetch("POST", origin+"/auth/logout") }},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			a := newOwnApp(t)
			if strings.HasPrefix(row.name, "a Store") { // a hint that is in the Store
				a.provider.Misbehave(manyIDGroups)
			}
			a.browser.Serve(origin, a.app(a.newAuth(row.before, keepNoClaims)))
			a.get(origin + "/me")
			if !setsSession(http.Header{"Set-Cookie": {a.cookiesNamed("__Host-pixy-session")[0].String()}}) {
				t.Fatal("there was no session before")
			}
			a.provider.Misbehave(logintest.Faults{})
			a.browser.Serve(origin, a.handler(a.auth))
			if got := a.whoAmI(); got != "" {
				t.Errorf("the former session is %q", got)
			}
			a.advance(2 * time.Minute)
			callback := a.toCallback()
			a.forgetAttempt(callback)
			if to := a.visit(callback.String()).Header.Get("Location"); !strings.HasPrefix(to, issuer) {
				t.Errorf("a callback without its attempt goes to %q, as if there were a session", to)
			}
			row.end(a)
			a.noCookiesOfOurs()
		})
	}
}

// Guards of pixy have nothing to check.
func TestGuardsOfPixyRejectOwnSessions(t *testing.T) {
	t.Parallel()
	a := newOwnApp(t)
	a.login()
	if page := a.get(origin + "/guarded"); page.Status != 500 || len(page.Hops) != 1 || !strings.Contains(string(page.Body), "<code>internal_error</code>") || strings.Contains(string(page.Body), "Try again") {
		t.Errorf("a guard answers %d after %d hops: %s", page.Status, len(page.Hops), page.Body)
	}
	if log := a.log.String(); !strings.Contains(log, "guard pages with the application's own sessions, and call Challenge") {
		t.Errorf("logged %s", log)
	}
	r := httptest.NewRequest("GET", origin+"/me", nil)
	if got, err := a.auth.LoadUser(httptest.NewRecorder(), r); err == nil || got != r {
		t.Errorf("LoadUser returns %v", err)
	}
	var failure *core.Error
	if err := a.auth.LogoutEverywhere(t.Context(), issuer, "ada"); !errors.As(err, &failure) || failure.Status != 500 || !strings.Contains(err.Error(), "Sessions.Own is set") {
		t.Errorf("LogoutEverywhere returns %v", err)
	}
	r.Header.Set("Sec-Fetch-Mode", "cors")
	r.Header.Set("Referer", origin+"/page")
	if err := a.auth.Challenge(httptest.NewRecorder(), r, core.ErrNoSession); !errors.As(err, &failure) || failure.LoginURL() != "/auth/login?return_to=%2Fpage" {
		t.Errorf("Challenge returns %v, with the login at %q", err, failure.LoginURL())
	}
	a.advance(2 * time.Minute)
	a.browser.Forget(origin, ownCookie)
	page := a.fetch("GET", origin+"/me")
	if page.Status != 401 || !strings.Contains(string(page.Body), `"login_url":"/auth/login"`) {
		t.Errorf("Challenge answers a script with %d: %s", page.Status, page.Body)
	}
}
