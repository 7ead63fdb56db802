package core_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
)

// Nobody goes in circles, and nobody is taken to do so who does not.
func TestOwnSessionsAndCircles(t *testing.T) {
	t.Parallel()
	lost := func(t *testing.T, page *logintest.Page) {
		t.Helper()
		if page.Status != 500 || !strings.Contains(string(page.Body), "<code>session_lost</code>") {
			t.Errorf("got %d at %s: %s", page.Status, page.URL, page.Body)
		}
	}
	t.Run("by Challenge", func(t *testing.T) {
		t.Parallel()
		a := newOwnApp(t)
		a.loses = true
		lost(t, a.get(origin+"/me"))
		if a.logins.Load() != 2 || !strings.Contains(a.log.String(), "Sessions.Own.Start has started: its cookie is for another path") {
			t.Errorf("%d logins: %s", a.logins.Load(), a.log.String())
		}
		a.loses = false
		a.login()
	})
	t.Run("by redirects of the application's own", func(t *testing.T) {
		t.Parallel()
		a := newOwnApp(t)
		page := new(logintest.Page)
		for range 7 { // each is anonymous again at /me, which redirects to the login
			if page = a.visit(a.toCallback().String()); page.Status == 500 {
				break
			}
		}
		if lost(t, page); a.logins.Load() != 5 {
			t.Errorf("%d logins, want 5", a.logins.Load())
		}
	})
	t.Run("tabs that are restored together, and a reload of each", func(t *testing.T) {
		t.Parallel()
		a := newOwnApp(t)
		var callbacks []string
		for range 4 {
			callbacks = append(callbacks, follow(t, a.browser, origin+"/me").String())
		}
		a.advance(time.Second)
		for range 2 {
			for _, callback := range callbacks {
				if page := a.get(callback); page.Status != 200 {
					t.Errorf("got %d at %s: %s", page.Status, page.URL, page.Body)
				}
			}
			a.advance(time.Minute + time.Second)
		}
	})
	t.Run("a user who logs out and in again", func(t *testing.T) {
		t.Parallel()
		a := newOwnApp(t)
		for i := range 6 {
			a.login()
			a.leave([]string{"/auth/logout", "/auth/logout/mine"}[i%2])
		}
	})
	t.Run("a user whom the provider logs out again and again, by the front channel", func(t *testing.T) {
		t.Parallel()
		a := newOwnApp(t)
		a.provider.User = logintest.User{Subject: "ada", SessionID: "first"}
		for range 4 {
			a.login()
			if page := a.visit(origin + "/auth/frontchannel-logout?sid=first&iss=" + issuer); page.Status != 200 || a.whoAmI() != "" {
				t.Errorf("got %d, and %q is logged in", page.Status, a.whoAmI())
			}
		}
	})
	t.Run("a Start that fails again and again", func(t *testing.T) {
		t.Parallel()
		a := newOwnApp(t)
		a.fails = errors.New("no")
		for _, path := range []string{"/me", "/auth/login?return_to=/me"} {
			for range 7 {
				page := a.get(origin + path)
				if page.Status != 403 || !strings.Contains(string(page.Body), "<code>login_refused</code>") {
					t.Fatalf("got %d: %s", page.Status, page.Body)
				}
			}
		}
	})
	t.Run("a callback that is opened again and again", func(t *testing.T) {
		t.Parallel()
		a := newOwnApp(t)
		callback := a.toCallback().String()
		for range 4 {
			a.visit(callback)
		}
		if lost(t, a.visit(callback)); a.provider.Count(logintest.Token) != 1 || !strings.Contains(a.log.String(), "Sessions.Own.Start") {
			t.Errorf("the code was sent again, or the log has another cause: %s", a.log.String())
		}
	})
}
