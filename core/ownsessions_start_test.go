package core_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

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

// What OnLogin changes besides its decision has no effect on Start, and the limit of
// Lifetime counts there, too.
func TestStartGetsOnLoginsDecisionOnly(t *testing.T) {
	t.Parallel()
	var kept *core.Login
	a := newOwnApp(t, func(c *core.Config) {
		c.Sessions.Lifetime = time.Hour
		c.OnLogin = func(_ context.Context, login *core.Login) error {
			login.User.Subject, login.Grant.Subject = "mallory", "mallory"
			*login = core.Login{Provider: "x", SID: "x", Payload: "x", ReturnTo: "/welcome", Data: "account 1", Lifetime: 2 * time.Hour, EndsWithBrowser: true}
			kept = login
			return nil
		}
	})
	if to := a.visit(a.toCallback().String()).Header.Get("Location"); to != "/welcome" {
		t.Errorf("the login ends at %q", to)
	}
	got := a.live["session-1"]
	if got.User == nil || got.User.Subject != "ada" || got.Grant.Subject != "ada" || got.Grant.Token.AccessToken == "" ||
		got.Provider != "id.example.test" || got.SID == "x" || got.Payload != "" {
		t.Errorf("Start gets %v of %v at %q", got, got.User, got.Provider)
	}
	if got.Data != "account 1" || got.Lifetime != time.Hour || !got.EndsWithBrowser || got.ReturnTo != "/welcome" {
		t.Errorf("Start gets %q for %s, and ends at %s", got.Data, got.Lifetime, got.ReturnTo)
	}
	if kept.Lifetime != 2*time.Hour {
		t.Errorf("what OnLogin has kept is changed to %s", kept.Lifetime)
	}
}
