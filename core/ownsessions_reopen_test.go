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
