package core_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// When a source refreshes, by what is known of the token.
func TestWhenASourceRefreshes(t *testing.T) {
	t.Parallel()
	lives := func(seconds any) logintest.Faults {
		return logintest.Faults{Token: func(m map[string]any) {
			if m["expires_in"] = seconds; seconds == nil {
				delete(m, "expires_in")
			}
		}}
	}
	plain := func(grant *core.Grant) { grant.RefreshDue = time.Time{} } // as made from columns of a table
	for name, test := range map[string]struct {
		faults logintest.Faults
		change func(*core.Grant)
		after  time.Duration // since the login
		fresh  bool
	}{
		"new":                                      {after: 0, fresh: true},
		"more than a minute left":                  {after: 59*time.Minute - 5*time.Second, fresh: true},
		"less than a minute left":                  {after: 59*time.Minute + time.Second},
		"expired":                                  {after: 2 * time.Hour},
		"a short life, before its quarter":         {faults: lives(100), after: 70 * time.Second, fresh: true},
		"a short life, in its last quarter":        {faults: lives(100), after: 76 * time.Second},
		"assumed, before":                          {faults: lives(nil), after: 18 * time.Minute, fresh: true},
		"assumed, after":                           {faults: lives(nil), after: 19*time.Minute + time.Second},
		"without RefreshDue, before":               {change: plain, after: 59*time.Minute - 5*time.Second, fresh: true},
		"without RefreshDue, after":                {change: plain, after: 59*time.Minute + time.Second},
		"an unknown expiry":                        {faults: lives(nil), change: plain, after: 1000 * time.Hour, fresh: true},
		"without an access token":                  {change: func(g *core.Grant) { g.Token.AccessToken = "" }},
		"without a refresh token, its last minute": {change: func(g *core.Grant) { plain(g); g.Token.RefreshToken = "" }, after: 59*time.Minute + 30*time.Second, fresh: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGrantRig(t, func(c *core.Config) { c.Tokens.Lifetime = 20 * time.Minute })
			if test.faults.Token != nil {
				g.provider.Misbehave(test.faults)
				g.get(origin + "/auth/login?return_to=/me")
			}
			grant, saves := g.grant(), g.saves()
			if test.change != nil {
				test.change(&grant)
			}
			g.advance(test.after)
			source := g.another(func(c *core.Config) { c.Tokens.Lifetime = 20 * time.Minute }).GrantSource(t.Context(), grant, g.save)
			first, err := source.Token()
			if err != nil {
				t.Fatal(err)
			}
			again, err := source.Token()
			if err != nil || again.AccessToken != first.AccessToken {
				t.Errorf("the second time: got another token, or %v", err)
			}
			if again.RefreshToken != "" || first.RefreshToken != "" {
				t.Error("the refresh token is given away")
			}
			want := 1
			if test.fresh {
				want = 0
			}
			if (first.AccessToken == grant.Token.AccessToken) != test.fresh || g.saves()-saves != want {
				t.Errorf("the same token: %v; %d saves", first.AccessToken == grant.Token.AccessToken, g.saves()-saves)
			}
			g.counts(want)
			if want == 1 && (g.grant().Token.AccessToken != first.AccessToken || g.grant().Token.RefreshToken == grant.Token.RefreshToken) {
				t.Error("another grant was saved")
			}
			if !test.fresh || test.after < time.Hour {
				g.works(first.AccessToken)
			}
		})
	}
}

// What callers do with a token is no concern of other callers.
func TestTokensOfASourceAreCopies(t *testing.T) {
	t.Parallel()
	g := newGrantRig(t)
	source := g.auth.GrantSource(t.Context(), g.grant(), g.save)
	token, err := source.Token()
	if err != nil {
		t.Fatal(err)
	}
	token.AccessToken = "changed"
	if again, err := source.Token(); err != nil || again.AccessToken == "changed" {
		t.Errorf("got %v, %v", again, err)
	}
}

// Goroutines share one refresh and one save, and none has the token before it is saved.
func TestCallersOfASourceShareARefreshAndASave(t *testing.T) {
	t.Parallel()
	g := newGrantRig(t)
	held := g.expired()
	asked, goOn := g.stall()
	saving, saved := make(chan struct{}), make(chan struct{})
	var stored, early atomic.Bool
	source := g.auth.GrantSource(t.Context(), held, func(ctx context.Context, grant core.Grant) error {
		close(saving) // once, or it panics
		<-saved
		err := g.save(ctx, grant)
		stored.Store(true)
		return err
	})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			token, err := source.Token()
			if err != nil || token.AccessToken == held.Token.AccessToken {
				t.Errorf("got %v", err)
			}
			if !stored.Load() {
				early.Store(true)
			}
		})
	}
	<-asked
	close(goOn)
	<-saving
	close(saved)
	all.Wait()
	if early.Load() || g.saves() != 2 {
		t.Errorf("before it was saved: %v; %d saves", early.Load(), g.saves()-1)
	}
	g.counts(1)
}

// A save that fails is tried again, and nothing is refreshed for that.
func TestASaveThatFails(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(core.Grant) error{
		"an error": func(core.Grant) error { return errDatabase },
		"an error with the tokens": func(g core.Grant) error {
			return fmt.Errorf("%w: UPDATE grants SET %s, %s", errDatabase, g.Token.AccessToken, g.Token.RefreshToken)
		},
		"a panic": func(core.Grant) error { panic("no database") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGrantRig(t)
			held := g.expired()
			var tried []core.Grant
			broken := true
			source := g.auth.GrantSource(t.Context(), held, func(ctx context.Context, grant core.Grant) error {
				if tried = append(tried, grant); broken {
					return fail(grant)
				}
				return g.save(ctx, grant)
			})
			for range 2 {
				g.log.reset()
				token, err := source.Token()
				if token != nil || err == nil || name != "a panic" && !errors.Is(err, errDatabase) {
					t.Fatalf("got %v, %v", token, err)
				}
				if name != "a panic" {
					fails(t, err, nil, "internal_error", 500)
					mentions(t, err.Error(), "saving a refreshed grant: no database")
				}
				fresh := tried[0].Token
				for _, shown := range []string{err.Error(), fmt.Sprintf("%+v %#v", err, source), g.log.String()} {
					if strings.Contains(shown, fresh.AccessToken) || strings.Contains(shown, fresh.RefreshToken) {
						t.Errorf("shows the tokens: %s", shown)
					}
				}
				g.loggedOnce(err)
			}
			broken = false
			token, err := source.Token()
			if err != nil || token.AccessToken != tried[0].Token.AccessToken || g.saves() != 2 || !same(g.grant(), tried[0]) {
				t.Errorf("got %v, %v after %d saves", token, err, g.saves()-1)
			}
			if len(tried) != 3 || tried[1] != tried[0] || tried[2] != tried[0] {
				t.Errorf("save was called %d times", len(tried))
			}
			if _, err := source.Token(); err != nil || len(tried) != 3 {
				t.Errorf("afterwards: %v, %d calls of save", err, len(tried))
			}
			g.counts(1)
		})
	}
}

var errDatabase = errors.New("no database")

// A grant whose save failed for longer than its token lives is saved, and then refreshed.
func TestASaveThatFailsForHours(t *testing.T) {
	t.Parallel()
	g := newGrantRig(t)
	broken := true
	source := g.auth.GrantSource(t.Context(), g.expired(), func(ctx context.Context, grant core.Grant) error {
		if broken {
			return errDatabase
		}
		return g.save(ctx, grant)
	})
	if _, err := source.Token(); !errors.Is(err, errDatabase) {
		t.Fatalf("got %v", err)
	}
	broken = false
	g.advance(2 * time.Hour)
	token, err := source.Token()
	if err != nil {
		t.Fatal(err)
	}
	g.works(token.AccessToken)
	if g.saves() != 3 || g.grant().Token.AccessToken != token.AccessToken {
		t.Errorf("%d saves", g.saves()-1)
	}
	g.counts(2)
}

// A save that hangs ends by its context.
func TestASaveThatHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGrantRig(t)
		begun := time.Time{}
		source := g.auth.GrantSource(t.Context(), g.expired(), func(ctx context.Context, _ core.Grant) error {
			begun = time.Now()
			<-ctx.Done()
			return ctx.Err()
		})
		_, err := source.Token()
		if took := time.Since(begun); !errors.Is(err, context.DeadlineExceeded) || took != 10*time.Second {
			t.Errorf("got %v after %s", err, took)
		}
	})
}

// Without a save, refresh tokens would be lost. It is told at once.
func TestASourceWithoutASave(t *testing.T) {
	t.Parallel()
	g := newGrantRig(t)
	_, err := g.auth.GrantSource(t.Context(), g.grant(), nil).Token() // it is fresh
	fails(t, err, nil, "internal_error", 500)
	mentions(t, err.Error(), "has no save")
	g.loggedOnce(err)
}

// A job that is canceled leaves its refresh token neither used nor lost.
func TestASavedGrantOutlivesItsJob(t *testing.T) {
	t.Parallel()
	g := newGrantRig(t)
	held := g.expired()
	asked, goOn := g.stall()
	ctx, cancel := context.WithCancel(t.Context())
	saved := make(chan error, 1)
	source := g.auth.GrantSource(ctx, held, func(ctx context.Context, grant core.Grant) error {
		err := errors.Join(ctx.Err(), g.save(ctx, grant))
		saved <- err
		return err
	})
	left := make(chan error)
	go func() {
		_, err := source.Token()
		left <- err
	}()
	<-asked
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) || !errors.Is(err, core.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	close(goOn)
	if err := <-saved; err != nil || g.grant().Token.RefreshToken == held.Token.RefreshToken {
		t.Errorf("got %v", err)
	}
	token, err := g.another().GrantSource(t.Context(), g.grant(), g.save).Token()
	if err != nil || token.AccessToken == held.Token.AccessToken {
		t.Errorf("the next job: %v", err)
	}
	g.counts(1)
}

// During an outage, a token is used until it expires. A refusal counts at once.
func TestASourceDuringAnOutage(t *testing.T) {
	t.Parallel()
	const due, over = 59*time.Minute + 30*time.Second, time.Hour + time.Second
	for name, test := range map[string]struct {
		faults logintest.Faults
		assume bool // the provider does not say how long a token lives
		after  time.Duration
		kind   error // nil: the old token
		code   string
	}{
		"an outage, due":               {faults: answering(status(503)), after: due},
		"an outage, expired":           {faults: answering(status(503)), after: over, kind: core.ErrUnavailable, code: "provider_unavailable"},
		"an outage, assumed to be due": {faults: answering(status(503)), assume: true, after: due, kind: core.ErrUnavailable, code: "provider_unavailable"},
		"a refusal, due":               {faults: logintest.Faults{RefreshError: "invalid_grant"}, after: due, kind: core.ErrRefused, code: "refresh_refused"},
		"a refusal, expired":           {faults: logintest.Faults{RefreshError: "invalid_grant"}, after: over, kind: core.ErrRefused, code: "refresh_refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGrantRig(t)
			if test.assume {
				g.provider.Misbehave(logintest.Faults{Token: func(m map[string]any) { delete(m, "expires_in") }})
				g.get(origin + "/auth/login?return_to=/me")
			}
			held, saves := g.grant(), g.saves()
			source := g.auth.GrantSource(t.Context(), held, g.save)
			g.advance(test.after)
			g.provider.Misbehave(test.faults)
			sent := g.provider.Count(logintest.Token)
			for range 3 {
				token, err := source.Token()
				if test.kind != nil {
					if fails(t, err, test.kind, test.code, map[error]int{core.ErrRefused: 403, core.ErrUnavailable: 503}[test.kind]); token != nil {
						t.Error("got a token as well")
					}
				} else if err != nil || token.AccessToken != held.Token.AccessToken {
					t.Errorf("got %v", err)
				}
			}
			if lines := strings.Count(g.log.String(), "\n"); test.code != "provider_unavailable" && lines != 1 || lines > 3 {
				t.Errorf("logged %s", g.log.String())
			}
			if got := g.provider.Count(logintest.Token) - sent; got != 1 || g.saves() != saves {
				t.Errorf("%d requests, %d saves", got, g.saves()-saves)
			}
		})
	}
}

// A source prints without its tokens.
func TestASourcePrintsNoTokens(t *testing.T) {
	t.Parallel()
	g := newGrantRig(t)
	grant := g.grant()
	source := g.auth.GrantSource(t.Context(), grant, g.save)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d"} {
		for _, printed := range []string{fmt.Sprintf(verb, source), fmt.Sprintf(verb, grant), fmt.Sprintf(verb, &grant)} {
			if strings.Contains(printed, grant.Token.AccessToken) || strings.Contains(printed, grant.Token.RefreshToken) || strings.Contains(printed, "%!") {
				t.Errorf("%s: %s", verb, printed)
			}
		}
	}
}

func BenchmarkGrantSource(b *testing.B) {
	g := newGrantRig(b)
	var source oauth2.TokenSource = g.auth.GrantSource(b.Context(), g.grant(), g.save)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := source.Token(); err != nil {
			b.Fatal(err)
		}
	}
}
