package core_test

import (
	"cmp"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// Logins of one user in several tabs are one session. So a request that is under way in one
// tab while the login of another tab ends is that of a user, and one logout ends all. Any
// other login ends the session before.
func TestLoginsInSeveralTabs(t *testing.T) {
	t.Parallel()
	ada := logintest.User{Subject: "ada", SessionID: "first"}
	for _, test := range []struct {
		name   string
		second string       // opens the second tab; empty: the login page
		user   string       // of the second login
		sid    string       // of the second login
		late   bool         // the second login begins after the first has ended
		before func(g *rig) // just before the second callback
		united bool
	}{
		{name: "the same user", united: true},
		{name: "the same user in another session at the provider", sid: "second", united: true},
		{name: "another user", user: "grace"},
		{name: "a login that begins later", late: true},
		{name: "a step-up", second: "/vault"},
		{name: "a logout in between", before: func(g *rig) {
			if _, err := g.browser.Post(origin+"/auth/logout", nil); err != nil {
				g.t.Fatal(err)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			everyVault(t, func(t *testing.T, vault func(*core.Config)) {
				var store *memoryStore
				g := newTokenRig(t, vault, func(c *core.Config) {
					c.Logout.Revocations = new(core.MemoryRevocations)
					store, _ = c.Sessions.Store.(*memoryStore)
				})
				app := withVault(g)
				g.browser.Serve(origin, app)
				second := func() string {
					g.provider.User = ada
					g.provider.User.Subject, g.provider.User.SessionID = cmp.Or(test.user, "ada"), cmp.Or(test.sid, "first")
					return follow(t, g.browser, origin+cmp.Or(test.second, "/auth/login?return_to=/me")).String()
				}
				g.provider.User = ada
				callbacks := []string{g.toCallback().String(), ""}
				if !test.late {
					callbacks[1] = second()
				}
				g.advance(time.Second)
				g.visit(callbacks[0])
				first := g.browser.Cookies(origin)
				if got := ask(app, first); got.Code != http.StatusOK {
					t.Fatalf("the first login: %d %s", got.Code, got.Body)
				}
				g.advance(time.Second)
				if test.late {
					callbacks[1] = second()
				}
				if test.before != nil {
					test.before(g.rig)
				}
				g.visit(callbacks[1])
				if got, want := g.whoAmI(), "I am "+cmp.Or(test.user, "ada"); got != want {
					t.Errorf("the second login: %q, want %q", got, want)
				}
				if got := ask(app, first).Code; got == http.StatusOK != test.united {
					t.Errorf("a request with the first session gets %d", got)
				}
				last := g.browser.Cookies(origin)
				if _, err := g.browser.Post(origin+"/auth/logout", nil); err != nil {
					t.Fatal(err)
				}
				if store != nil && len(store.values) > 0 {
					t.Errorf("after the logout, the Store keeps %d records", len(store.values))
				}
				for i, cookies := range [][]*http.Cookie{first, last} {
					if got := ask(app, cookies).Code; got != http.StatusUnauthorized {
						t.Errorf("after the logout, session %d gets %d", i+1, got)
					}
				}
				for i, callback := range callbacks {
					if g.visit(callback); g.whoAmI() != "" {
						t.Errorf("after the logout, a reload of callback %d logs in", i+1)
					}
				}
			})
		})
	}
}

// withVault serves the application of g with a page that needs a recent login.
func withVault(g *tokenRig) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/vault" {
			g.app.ServeHTTP(w, r)
			return
		}
		if _, err := g.auth.AuthenticateFor(w, r, recent); err != nil {
			if err := g.auth.Challenge(w, r, err); err != nil {
				g.auth.ServeError(w, r, err)
			}
			return
		}
		fmt.Fprint(w, "the vault")
	})
}
