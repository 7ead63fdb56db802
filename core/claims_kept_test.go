package core_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/gorilla/sessions"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// group is a claim of who is logged in, as a handler sees it.
func (g *rig) group(auth *core.Authenticator) string {
	g.t.Helper()
	g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		authenticated, err := auth.Authenticate(w, r)
		if err != nil {
			auth.ServeError(w, r, err)
			return
		}
		var claims struct{ Group string }
		if err := core.UserFromContext(authenticated.Context()).Claims(&claims); err != nil {
			g.t.Error(err)
		}
		fmt.Fprint(w, claims.Group)
	}))
	return string(g.fetch("GET", origin+"/group").Body)
}

// A session is written anew when it has been idle for a while, when its tokens
// are refreshed, and with another key when that has changed. Its claims come
// along each time.
func TestClaimsOutliveRenewals(t *testing.T) {
	t.Parallel()
	newKey := []byte("another key of thirty-two bytes!")
	rotating := func(c *core.Config) { c.SessionKey, c.Sessions.OldKeys = newKey, [][]byte{sessionKey} }
	rotated := func(c *core.Config) { c.SessionKey = newKey }
	for name, store := range map[string]func() sessions.Store{
		"cookies":           func() sessions.Store { return nil },
		"a store":           func() sessions.Store { return newMemoryStore() },
		"gorilla's cookies": func() sessions.Store { return sessions.NewCookieStore([]byte("gorilla-auth-key")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for renewal, change := range map[string]func(*core.Config){
				"idle":    func(c *core.Config) { c.Sessions.Idle = 4 * time.Hour },
				"refresh": keepTokens,
			} {
				kept := store()
				change := func(c *core.Config) { change(c); c.Sessions.Store = kept }
				g := newRig(t, change)
				g.provider.User = logintest.User{Subject: "ada", Claims: map[string]any{"group": "engineers"}}
				g.login()
				for _, keys := range []func(*core.Config){func(*core.Config) {}, rotating, rotated} {
					g.advance(2 * time.Hour)
					if got := g.group(g.newAuth(change, keys)); got != "engineers" {
						t.Fatalf("%s: got %q", renewal, got)
					}
				}
				if got := g.provider.Count(logintest.Token); renewal == "refresh" && got != 4 {
					t.Errorf("%d token requests, want one for the login and three refreshes", got)
				}
			}
		})
	}
}
