package core_test

import (
	"testing"
	"time"

	"github.com/gorilla/sessions"

	"github.com/pixyauth/pixy/core"
)

// Some Stores are in the browser: there, what one request has kept no other sees.
func TestAStoreInTheBrowserGetsRefreshedTokens(t *testing.T) {
	t.Parallel()
	g := newTokenRig(t, func(c *core.Config) { c.Store = sessions.NewCookieStore([]byte("gorilla-auth-key")) })
	g.login()
	for range 3 {
		g.advance(time.Hour)
		token := g.token()
		g.advance(10 * time.Minute) // no outcome is remembered for so long
		if again := g.token(); len(token) < 20 || again != token {
			t.Fatalf("got %q, then %q", token, again)
		}
	}
	if g.provider.Refreshes() != 3 || g.provider.Reused() != 0 {
		t.Errorf("%d refreshes, %d tokens used again", g.provider.Refreshes(), g.provider.Reused())
	}
}
