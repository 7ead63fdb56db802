package core_test

// The provider is slow, dripping, gone, flapping. These tests run in bubbles of
// testing/synctest, where time passes when everybody waits: what is said about
// time is exact, and a goroutine that is left behind fails the test.

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

const (
	timeout  = 10 * time.Second // what a client without a Timeout gets
	patience = 3 * time.Second  // with what one could do without
)

// bubble runs test where time is not real, and then for as long as a fetch may
// take that nobody waits for any more. What is left then, is left for ever.
func bubble(t *testing.T, test func(*testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		test(t)
		time.Sleep(timeout)
	})
}

// person is somebody else in front of the same application.
func (g *rig) person() *rig {
	other := &rig{t: g.t, provider: g.provider, auth: g.auth, browser: logintest.NewBrowser()}
	other.browser.Serve(issuer, g.provider)
	other.browser.Serve(origin, g.app(g.auth))
	return other
}

// crowd has n people do the same at once, and returns how long each took.
func (g *rig) crowd(n int, do func(*rig)) []time.Duration {
	took := make([]time.Duration, n)
	var all sync.WaitGroup
	for i := range n {
		person := g.person()
		all.Go(func() {
			start := time.Now()
			do(person)
			took[i] = time.Since(start)
		})
	}
	all.Wait()
	return took
}

// visitFor opens a page and gives up after d, before there is an answer.
func (g *rig) visitFor(d time.Duration, u string) {
	if page := g.leaveAfter(d, u); page != nil {
		g.t.Errorf("answered %d before the browser gave up", page.Status)
	}
}

// leaveAfter goes where get goes, unless it takes longer than d. Then it is nil.
func (g *rig) leaveAfter(d time.Duration, u string) *logintest.Page {
	ctx, cancel := context.WithTimeout(g.t.Context(), d)
	defer cancel()
	for {
		r, err := http.NewRequestWithContext(ctx, "GET", u, nil)
		if err != nil {
			g.t.Error(err)
			return nil
		}
		r.Header.Set("Accept", "text/html")
		page, err := g.browser.Do(r)
		if err != nil {
			return nil
		}
		to, err := r.URL.Parse(page.Header.Get("Location"))
		if err != nil || page.Header.Get("Location") == "" {
			return page
		}
		u = to.String()
	}
}

// on applies a fault to the requests of one endpoint.
func on(endpoint logintest.Endpoint, fault http.HandlerFunc) logintest.Faults {
	return logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
		if e == endpoint {
			fault(w, r)
		}
		return e == endpoint
	}}
}

// slowly has an endpoint think for d before it does its work.
func slowly(endpoint logintest.Endpoint, d time.Duration) logintest.Faults {
	return logintest.Faults{Intercept: func(e logintest.Endpoint, _ http.ResponseWriter, r *http.Request) bool {
		if e != endpoint {
			return false
		}
		select {
		case <-time.After(d):
			return false
		case <-r.Context().Done():
			return true
		}
	}}
}

func stall(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func drip(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		fmt.Fprint(w, " ")
		select {
		case <-r.Context().Done():
		case <-time.After(time.Second):
		}
	}
}

func fail(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }

func vanish(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func allWithin(t *testing.T, took []time.Duration, least, most time.Duration) {
	t.Helper()
	for i, d := range took {
		if d < least || d > most {
			t.Errorf("person %d was answered after %s, want %s to %s", i, d, least, most)
		}
	}
}

// CHECKLIST 81: keys that are known go on working while the key set is gone,
// and while it stalls nobody waits for it longer than for a refresh.
func TestKnownKeysOutliveAnOutage(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]http.HandlerFunc{"stalls": stall, "drips": drip, "fails": fail, "vanishes": vanish} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				g := newRig(t)
				g.login()
				g.provider.Misbehave(on(logintest.JWKS, fault))
				allWithin(t, g.crowd(10, func(p *rig) { p.login() }), 0, 0)
				g.advance(2 * time.Hour)
				allWithin(t, g.crowd(10, func(p *rig) { p.login() }), 0, patience)
			})
		})
	}
}

// Whatever the provider does: who is logged in stays so and notices nothing,
// who wants to log in is told and finds a way on, and when the provider is back
// it takes seconds until everybody can log in.
func TestDiscoveryGoneAndBack(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]http.HandlerFunc{
		"fails": fail, "vanishes": vanish, "stalls": stall, "drips": drip,
		"is HTML":   func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>maintenance</html>") },
		"redirects": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/maintenance", http.StatusFound) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				g := newRig(t)
				g.login()
				// A new process of the application meets the provider gone.
				g.auth = g.newAuth()
				g.browser.Serve(origin, g.app(g.auth))
				g.provider.Misbehave(on(logintest.Discovery, fault))
				start := time.Now()
				if got := g.whoAmI(); got != "I am ada" || time.Since(start) != 0 {
					t.Errorf("who is logged in: got %q after %s", got, time.Since(start))
				}
				for range 3 {
					allWithin(t, g.crowd(5, func(p *rig) {
						page := p.get(origin + "/me")
						if page.Status != 502 && page.Status != 503 || !strings.Contains(string(page.Body), `href="/auth/login`) {
							t.Errorf("got %d: %s", page.Status, page.Body)
						}
						if got := page.Header.Get("Retry-After"); (page.Status == 503) != (got != "") {
							t.Errorf("%d with Retry-After %q", page.Status, got)
						}
					}), 0, timeout)
					time.Sleep(3 * time.Second)
				}
				if got := g.provider.Count(logintest.Discovery); got != 1+3 {
					t.Errorf("%d discoveries, want 4: one for each crowd", got)
				}
				g.provider.Misbehave(logintest.Faults{})
				allWithin(t, g.crowd(5, func(p *rig) { p.login() }), 0, 0)
			})
		})
	}
}

// A provider that is up for some seconds and down for some, and slow between:
// whoever tries again gets in, and no failure sticks to the application.
func TestAFlappingProvider(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		g := newRig(t)
		start := time.Now()
		g.provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
			if e == logintest.Authorization {
				return false
			}
			if time.Since(start)/(5*time.Second)%2 == 0 {
				vanish(w, r)
			}
			time.Sleep(time.Second)
			return false
		}})
		var failures atomic.Int32
		var all sync.WaitGroup
		for range 50 {
			time.Sleep(333 * time.Millisecond)
			person := g.person()
			all.Go(func() {
				for range 6 {
					page := person.get(origin + "/me")
					if page.Status == 200 {
						return
					}
					if failures.Add(1); page.Status != http.StatusServiceUnavailable {
						t.Errorf("got %d: %s", page.Status, page.Body)
					}
					time.Sleep(2 * time.Second)
				}
				t.Error("never logged in")
			})
		}
		all.Wait()
		if failures.Load() == 0 {
			t.Error("the provider was never down")
		}
	})
}

// Logging out needs no provider: it is not held up by one.
func TestLogoutDoesNotWaitForTheProvider(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		g := newRig(t)
		g.login()
		g.provider.Misbehave(on(logintest.Discovery, stall))
		g.auth = g.newAuth() // which has never seen the provider
		g.browser.Serve(origin, g.app(g.auth))
		start := time.Now()
		page, err := g.browser.Post(origin+"/auth/logout", nil)
		if err != nil {
			t.Fatal(err)
		}
		if page.URL != origin+"/" || time.Since(start) > patience {
			t.Errorf("ended at %s after %s", page.URL, time.Since(start))
		}
		if got := g.whoAmI(); got != "" {
			t.Errorf("still logged in: %q", got)
		}
	})
}

// What goes wrong within a client of the application's own ends one fetch, and
// nothing else: neither the process nor the fetches after it.
func TestAPanicWhileFetchingHarmsNobodyElse(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		var panics atomic.Bool
		panics.Store(true)
		g := newRig(t, func(c *core.Config) {
			c.HTTPClient.Transport = &brittle{c.HTTPClient.Transport, &panics}
		})
		g.crowd(5, func(p *rig) {
			if page := p.get(origin + "/me"); page.Status != http.StatusServiceUnavailable {
				t.Errorf("got %d: %s", page.Status, page.Body)
			}
		})
		panics.Store(false)
		time.Sleep(3 * time.Second)
		g.login()
	})
}

// brittle is a transport with a bug.
type brittle struct {
	http.RoundTripper
	panics *atomic.Bool
}

func (b *brittle) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.panics.Load() {
		panic("a bug of the transport's")
	}
	return b.RoundTripper.RoundTrip(r)
}

// Whoever does not wait has not found an outage. A refusal is one all the same, and
// so is an outage that somebody waits for.
func TestABrowserThatLeavesIsNoOutage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		g := newRig(t)
		g.provider.Misbehave(slowly(logintest.Discovery, 6*time.Second))
		ctx, leave := context.WithCancel(t.Context())
		time.AfterFunc(2*time.Second, leave)
		r := httptest.NewRequestWithContext(ctx, "GET", origin+"/auth/login", nil)
		if err := g.auth.Login(httptest.NewRecorder(), r); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		time.Sleep(timeout)
		if got := g.log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, `"level":"INFO"`) {
			t.Errorf("logged as %s", got)
		}
		g.provider.Misbehave(logintest.Faults{})
		if g.login(); g.whoAmI() != "I am ada" {
			t.Error("nobody can log in afterwards")
		}
	})
}

func TestWhatIsNoBrowsersDoingIsLogged(t *testing.T) {
	t.Parallel()
	broken := fmt.Errorf("canary-store: %w", context.Canceled) // by itself: the browser waits
	for name, left := range map[string]bool{"a browser that waits": false, "a refusal for a browser that has left": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, func(c *core.Config) {
				c.OnLogin = func(context.Context, *core.Login) error {
					if !left {
						return fmt.Errorf("%w: %w", core.ErrUnavailable, broken)
					}
					return broken
				}
			})
			callback := g.toCallback()
			ctx, leave := context.WithCancel(t.Context())
			r := httptest.NewRequestWithContext(ctx, "GET", callback.String(), nil)
			for _, c := range g.browser.Cookies(callback.String()) {
				r.AddCookie(c)
			}
			g.provider.Misbehave(logintest.Faults{Token: func(map[string]any) {
				if left {
					leave()
				}
			}})
			defer leave()
			err := g.auth.Callback(httptest.NewRecorder(), r)
			if got := g.log.String(); err == nil || left != errors.Is(ctx.Err(), context.Canceled) || !strings.Contains(got, `"level":"WARN"`) {
				t.Errorf("got %v, and logged as %s", err, got)
			}
		})
	}
}
