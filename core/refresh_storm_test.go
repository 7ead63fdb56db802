package core_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// Whatever comes together: no refresh token comes twice, and after a logout the
// former session is nobody's.
func TestRefreshRenewalAndLogoutAtOnce(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		g := newTokenRig(t, vault, func(c *core.Config) {
			c.Sessions.Idle = 8 * time.Hour
			c.Logout.Revocations = new(core.MemoryRevocations)
		})
		// A refresh token that a logout has had revoked would count as used.
		g.provider.Misbehave(logintest.Faults{Discovery: func(m map[string]any) { delete(m, "revocation_endpoint") }})
		g.login()
		g.advance(3 * time.Hour) // to be refreshed, and renewed
		cookies := g.browser.Cookies(origin + "/token")
		var all sync.WaitGroup
		for i := range 200 {
			all.Go(func() {
				if i == 100 {
					if _, err := g.browser.Post(origin+"/auth/logout", nil); err != nil {
						t.Error(err)
					}
					g.login()
				} else if w := ask(g.app, cookies); w.Code != http.StatusOK && w.Code != http.StatusUnauthorized {
					t.Errorf("got %d: %s", w.Code, w.Body)
				}
			})
		}
		all.Wait()
		if w := ask(g.app, cookies); w.Code != http.StatusUnauthorized {
			t.Errorf("the former session goes on: %d", w.Code)
		}
		if token := g.token(); len(token) < 20 || g.whoAmI() != "I am ada" {
			t.Errorf("the new session: got %q", token)
		}
		if g.provider.Reused() != 0 {
			t.Errorf("%d tokens used again", g.provider.Reused())
		}
	})
}
