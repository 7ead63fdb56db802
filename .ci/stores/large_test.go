package stores_test

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

// If a session is too large for the store, the login fails with session_too_large. If the
// limit can be removed, the login succeeds.
func TestLargeSessions(t *testing.T) {
	t.Parallel()
	for name, newBackend := range backends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBackend(t)
			store, closeStore := b.store(t)
			t.Cleanup(closeStore)
			g := newRig(t, store)
			random := make([]byte, 12<<10) // does not get smaller by compression
			rand.Read(random)
			g.provider.User = logintest.User{Subject: ada.Subject, Claims: map[string]any{"groups": base64.RawURLEncoding.EncodeToString(random)}}

			page := g.get(g.toCallback())
			if page.Status != http.StatusInternalServerError || !strings.Contains(string(page.Body), "session_too_large") || g.session() != "" {
				t.Errorf("got %d, cookie %q: %s", page.Status, g.session(), page.Body)
			}
			if log := g.log.String(); !strings.Contains(log, "Sessions.Claims") {
				t.Errorf("the log names no remedy: %s", log)
			}
			b.holds(t, 0, "after a login that was refused")
			if b.unlimited == nil {
				return
			}
			b.unlimited(store)
			g.login()
			g.is(http.StatusOK, "with room")
			b.holds(t, 2, "with room: the session, and the hint of a logout")
			g.logout()
			b.holds(t, 0, "with room, and after the logout")
		})
	}
}
