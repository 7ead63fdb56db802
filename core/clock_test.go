package core_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// replica is one more process of g's application, whose clock is ahead of it.
func (g *rig) replica(ahead time.Duration, change ...func(*core.Config)) *core.Authenticator {
	g.t.Helper()
	config := g.config()
	for _, f := range change {
		f(&config)
	}
	auth, err := core.NewAt(config, func() time.Time { return g.now().Add(ahead) })
	if err != nil {
		g.t.Fatal(err)
	}
	return auth
}

// served has g's browser meet auth from now on, as behind a load balancer.
func (g *rig) served(auth *core.Authenticator) *rig {
	g.browser.Serve(origin, g.app(auth))
	return g
}

// CHECKLIST 65, 66: clocks differ. A provider's may be five minutes ahead, for
// iat and for nbf; behind, it may be as far as its tokens last, which is five
// minutes here: exp is taken at its word.
func TestTheProvidersClockDiffers(t *testing.T) {
	t.Parallel()
	const tolerated, more = 5*time.Minute - 10*time.Second, 5*time.Minute + 10*time.Second
	for _, test := range []struct {
		name  string
		ahead time.Duration
		nbf   bool
		in    bool
	}{
		{"not at all", 0, true, true},
		{"ahead", tolerated, false, true},
		{"ahead, with nbf", tolerated, true, true},
		{"too far ahead", more, false, false},
		{"too far ahead, with nbf", more, true, false},
		{"behind", -tolerated, true, true},
		{"too far behind", -more, false, false},
		{"a day ahead", 24 * time.Hour, false, false},
		{"a day behind", -24 * time.Hour, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			g.provider.Now = func() time.Time { return g.now().Add(test.ahead) }
			faults := logintest.Faults{}
			if test.nbf {
				faults.IDToken = func(_, claims map[string]any) { claims["nbf"] = claims["iat"] }
			}
			g.provider.Misbehave(faults)
			page := g.visit(g.toCallback().String())
			if in := page.Status == http.StatusSeeOther && setsSession(page.Header); in != test.in {
				t.Errorf("logged in: %v: %d %s", in, page.Status, page.Body)
			}
			if !test.in && (page.Status != http.StatusBadGateway || !strings.Contains(string(page.Body), "id_token_untrusted")) {
				t.Errorf("got %d: %s", page.Status, page.Body)
			}
		})
	}
}

// A login may begin, end and go on at replicas whose clocks differ.
func TestReplicasClocksDiffer(t *testing.T) {
	t.Parallel()
	idle := func(c *core.Config) { c.Sessions.Idle = 20 * time.Minute }
	for _, ahead := range []time.Duration{-4 * time.Minute, 4 * time.Minute} {
		t.Run(ahead.String(), func(t *testing.T) {
			t.Parallel()
			g := newRig(t, idle)
			other := g.replica(ahead, idle)
			callback := g.served(other).toCallback()
			page := g.served(g.auth).visit(callback.String())
			if page.Header.Get("Location") != "/me" || !setsSession(page.Header) {
				t.Fatalf("got %d: %s", page.Status, page.Body)
			}
			for range 10 { // each renews what the other one has written
				for _, auth := range []*core.Authenticator{other, g.auth} {
					if got := g.served(auth).whoAmI(); got != "I am ada" {
						t.Fatalf("got %q", got)
					}
					g.advance(5 * time.Minute)
				}
			}
		})
	}
	t.Run("too far for a login: begun anew where it ends", func(t *testing.T) {
		t.Parallel()
		for _, ahead := range []time.Duration{-11 * time.Minute, 11 * time.Minute} {
			g := newRig(t)
			callback := g.served(g.replica(ahead)).toCallback()
			page := g.served(g.auth).get(callback.String())
			if string(page.Body) != "I am ada" || g.logins.Load() != 1 {
				t.Errorf("%s: got %d: %s", ahead, page.Status, page.Body)
			}
		}
	})
}

// The application's clock is set back, or forward, while people are logged in
// and logging in.
func TestTheApplicationsClockIsSet(t *testing.T) {
	t.Parallel()
	limits := func(c *core.Config) { c.Sessions.Lifetime, c.Sessions.Idle = time.Hour, 20*time.Minute }

	t.Run("back, within a login", func(t *testing.T) {
		t.Parallel()
		for _, back := range []time.Duration{time.Second, 9 * time.Minute, 11 * time.Minute, 365 * 24 * time.Hour} {
			g := newRig(t)
			callback := g.toCallback()
			g.advance(-back)
			// A login from too far in the future is begun anew.
			if page := g.get(callback.String()); string(page.Body) != "I am ada" {
				t.Errorf("by %s: got %d: %s", back, page.Status, page.Body)
			}
		}
	})

	t.Run("back: who is logged in stays so until the same hour by the clock", func(t *testing.T) {
		t.Parallel()
		g := newRig(t, limits)
		g.login()
		g.advance(-30 * time.Minute)
		for range 8 {
			g.advance(11 * time.Minute)
			if got := g.whoAmI(); got != "I am ada" {
				t.Fatalf("got %q", got)
			}
		}
		g.advance(3 * time.Minute) // an hour and one minute after the login, by the clock
		if got := g.whoAmI(); got != "" {
			t.Errorf("got %q after the limit", got)
		}
	})

	t.Run("back: the idle limit counts from the last use by the clock", func(t *testing.T) {
		t.Parallel()
		g := newRig(t, limits)
		g.login()
		g.advance(-5 * time.Minute)
		g.advance(5*time.Minute + 19*time.Minute)
		if got := g.whoAmI(); got != "I am ada" {
			t.Errorf("got %q before the limit", got)
		}
		g.advance(21 * time.Minute)
		if got := g.whoAmI(); got != "" {
			t.Errorf("got %q after the limit", got)
		}
	})

	t.Run("forward: everybody logs in anew, and can", func(t *testing.T) {
		t.Parallel()
		g := newRig(t, limits)
		g.login()
		callback := g.toCallback()
		g.advance(24 * time.Hour)
		if got := g.whoAmI(); got != "" {
			t.Errorf("got %q after the limit", got)
		}
		if page := g.get(callback.String()); string(page.Body) != "I am ada" {
			t.Errorf("got %d: %s", page.Status, page.Body)
		}
	})

	t.Run("back by a day: metadata and keys are used, and the keys still change", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.login()
		g.advance(-24 * time.Hour)
		for range 3 { // no more than are fetched without a pause
			g.provider.RotateKeys()
			g.browser.Forget("", "")
			g.login()
		}
	})
}

// The log says that it is the clock, and by how much.
func TestAClockThatIsWrongIsInTheLog(t *testing.T) {
	t.Parallel()
	for ahead, want := range map[time.Duration]struct {
		claim string
		off   time.Duration
	}{
		10 * time.Minute:  {"iat", 10 * time.Minute},
		-10 * time.Minute: {"exp", -5 * time.Minute}, // an ID token of logintest's lives for five
	} {
		g := newRig(t)
		g.provider.Now = func() time.Time { return g.now().Add(ahead) }
		if page := g.get(origin + "/me"); page.Status != http.StatusBadGateway {
			t.Errorf("%s: got %d", ahead, page.Status)
		}
		found := regexp.MustCompile(want.claim + ` is (\S+), and it is (\S+) here; is this clock right`).FindStringSubmatch(g.log.String())
		if found == nil {
			t.Fatalf("%s: logged as %s", ahead, g.log.String())
		}
		said, err1 := time.Parse(time.RFC3339, found[1])
		here, err2 := time.Parse(time.RFC3339, found[2])
		if off := said.Sub(here); err1 != nil || err2 != nil || (off-want.off).Abs() > 2*time.Second {
			t.Errorf("%s: off by %s: %s", ahead, off, found[0])
		}
	}
}
