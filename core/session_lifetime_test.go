package core_test

import (
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
)

// What an application shortens, it shortens for sessions that exist. A longer
// limit is for new logins.
func TestShorterLimitsReachSessionsThatExist(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		for name, test := range map[string]struct {
			former, latter func(*core.Config)
			last           time.Duration // that the session is there
			idle           bool          // to look is to use
		}{
			"a shorter lifetime": {lifetime(12 * time.Hour), lifetime(time.Hour), time.Hour, false},
			"a longer lifetime":  {lifetime(time.Hour), lifetime(12 * time.Hour), time.Hour, false},
			"the same lifetime":  {lifetime(2 * time.Hour), lifetime(2 * time.Hour), 2 * time.Hour, false},
			"a shorter idle":     {idle(4 * time.Hour), idle(time.Hour), time.Hour, true},
			"an idle at last":    {idle(0), idle(time.Hour), time.Hour, true},
		} {
			t.Run(name, func(t *testing.T) {
				g := newRig(t, vault, test.former)
				g.login()
				g.browser.Serve(origin, g.app(g.newAuth(vault, test.latter)))
				g.advance(test.last - 10*time.Second)
				if !test.idle && g.whoAmI() != "I am ada" {
					t.Error("ended before its time")
				}
				g.advance(20 * time.Second)
				if got := g.whoAmI(); got != "" {
					t.Errorf("got %q", got)
				}
			})
		}
	})
}

func lifetime(d time.Duration) func(*core.Config) {
	return func(c *core.Config) { c.Sessions.Lifetime = d }
}

func idle(d time.Duration) func(*core.Config) { return func(c *core.Config) { c.Sessions.Idle = d } }
