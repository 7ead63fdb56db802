package core_test

// The provider is slow, dripping, gone, flapping. These tests run in bubbles of
// testing/synctest, where time passes when everybody waits: what is said about
// time is exact, and a goroutine that is left behind fails the test.

import (
	"context"
	"fmt"
	"net/http"
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

// visitFor opens a page and gives up after d.
func (g *rig) visitFor(d time.Duration, u string) {
	ctx, cancel := context.WithTimeout(g.t.Context(), d)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", u, nil)
	if err != nil {
		g.t.Error(err)
		return
	}
	r.Header.Set("Accept", "text/html")
	if page, err := g.browser.Do(r); err == nil {
		g.t.Errorf("answered %d before the browser gave up", page.Status)
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

// CHECKLIST 51: a crowd in front of a provider that does not answer is told so
// after one time-out, all of them, and the provider is asked no more than needed.
func TestAStalledProviderHoldsNobodyLonger(t *testing.T) {
	t.Parallel()
	const people = 30
	for _, test := range []struct {
		endpoint logintest.Endpoint
		requests int // made of the crowd
	}{
		{logintest.Discovery, 1}, {logintest.JWKS, 1}, {logintest.Token, people}, {logintest.UserInfo, people},
	} {
		for name, fault := range map[string]http.HandlerFunc{"stalls": stall, "drips": drip} {
			for clientName, client := range map[string]time.Duration{"our time-out": 0, "theirs": 2 * time.Second} {
				t.Run(fmt.Sprint(test.endpoint, " ", name, ", ", clientName), func(t *testing.T) {
					t.Parallel()
					bubble(t, func(t *testing.T) {
						g := newRig(t, func(c *core.Config) {
							c.Providers[0].UserInfo = true
							c.HTTPClient.Timeout = client
						})
						g.provider.Misbehave(on(test.endpoint, fault))
						took := g.crowd(people, func(p *rig) {
							if page := p.get(origin + "/me"); page.Status != http.StatusServiceUnavailable || setsSession(page.Header) {
								t.Errorf("got %d: %s", page.Status, page.Body)
							}
						})
						want := timeout
						if client != 0 {
							want = client
						}
						allWithin(t, took, want, want)
						if got := g.provider.Count(test.endpoint); got != test.requests {
							t.Errorf("%d requests, want %d", got, test.requests)
						}
					})
				})
			}
		}
	}
}

// A person who goes away takes nothing along: neither the answer that others
// wait for, nor their time.
func TestWhoGoesAwaySpoilsNothingForTheOthers(t *testing.T) {
	t.Parallel()
	t.Run("the first copy, and the provider is slow", func(t *testing.T) {
		t.Parallel()
		bubble(t, func(t *testing.T) {
			g := newRig(t)
			g.provider.Misbehave(slowly(logintest.Discovery, 6*time.Second))
			go g.person().visitFor(5*time.Second, origin+"/auth/login")
			synctest.Wait()
			allWithin(t, g.crowd(20, func(p *rig) { p.login() }), 6*time.Second, 6*time.Second)
			if got := g.provider.Count(logintest.Discovery); got != 1 {
				t.Errorf("%d discoveries, want 1", got)
			}
		})
	})
	t.Run("the first copy, and the provider stalls", func(t *testing.T) {
		t.Parallel()
		bubble(t, func(t *testing.T) {
			g := newRig(t)
			g.provider.Misbehave(on(logintest.Discovery, stall))
			var queue sync.WaitGroup
			for range 10 { // each is at the head of the queue when the one before has gone
				person := g.person()
				queue.Go(func() { person.visitFor(9*time.Second, origin+"/auth/login") })
				synctest.Wait()
			}
			allWithin(t, g.crowd(20, func(p *rig) {
				if page := p.get(origin + "/me"); page.Status != http.StatusServiceUnavailable {
					t.Errorf("got %d", page.Status)
				}
			}), 0, timeout)
			queue.Wait()
		})
	})
	t.Run("a refresh", func(t *testing.T) {
		t.Parallel()
		bubble(t, func(t *testing.T) {
			g := newRig(t)
			g.login()
			g.advance(2 * time.Hour)
			moved := slowly(logintest.Discovery, 2*time.Second)
			moved.Discovery = func(m map[string]any) { m["authorization_endpoint"] = issuer + "/authorize?moved=1" }
			g.provider.Misbehave(moved)
			g.person().visitFor(time.Second, origin+"/auth/login")
			allWithin(t, g.crowd(20, func(p *rig) { p.toCallback() }), 0, 0)
			time.Sleep(time.Second)
			synctest.Wait()
			if to := g.visit(origin + "/auth/login").Header.Get("Location"); !strings.Contains(to, "moved=1") {
				t.Errorf("the refresh was lost: %s", to)
			}
		})
	})
}

// Who can do without a refresh does not wait for it, but for one person, once a
// minute and not for long.
func TestAStalledRefreshHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		g := newRig(t)
		g.login()
		g.advance(2 * time.Hour)
		g.provider.Misbehave(on(logintest.Discovery, stall))
		for range 3 {
			var waited atomic.Int32
			took := g.crowd(20, func(p *rig) {
				start := time.Now()
				p.toCallback()
				if time.Since(start) != 0 {
					waited.Add(1)
				}
			})
			allWithin(t, took, 0, patience)
			if waited.Load() != 1 {
				t.Errorf("%d people waited, want 1", waited.Load())
			}
			allWithin(t, g.crowd(20, func(p *rig) { p.toCallback() }), 0, 0)
			time.Sleep(timeout - patience) // the refresh is over
			allWithin(t, g.crowd(20, func(p *rig) { p.toCallback() }), 0, 0)
			time.Sleep(time.Minute)
		}
		if got := g.provider.Count(logintest.Discovery); got != 1+3 {
			t.Errorf("%d discoveries, want 4: the refresh is not tried once a minute", got)
		}
	})
}

// A provider that needs longer than anybody would wait is refreshed all the same.
func TestASlowRefreshIsNotLost(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		g := newRig(t)
		g.login()
		g.advance(2 * time.Hour)
		moved := slowly(logintest.Discovery, 5*time.Second)
		moved.Discovery = func(m map[string]any) { m["authorization_endpoint"] = issuer + "/authorize?moved=1" }
		g.provider.Misbehave(moved)
		g.person().toCallback()
		time.Sleep(5*time.Second - patience)
		synctest.Wait()
		if to := g.visit(origin + "/auth/login").Header.Get("Location"); !strings.Contains(to, "moved=1") {
			t.Errorf("still the former metadata: %s", to)
		}
	})
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
						if page.Status != 502 && page.Status != 503 || !strings.Contains(string(page.Body), "Try again") {
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

// A provider that is up one moment and down the next: whoever tries again gets
// in, and no failure sticks to the application.
func TestAFlappingProvider(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		g := newRig(t)
		var n atomic.Int64
		g.provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
			if e == logintest.Authorization || n.Add(1)%2 == 0 {
				return false
			}
			vanish(w, r)
			return true
		}})
		g.crowd(20, func(p *rig) {
			for range 200 {
				if page := p.get(origin + "/me"); page.Status == 200 {
					return
				} else if page.Status != http.StatusServiceUnavailable {
					t.Errorf("got %d: %s", page.Status, page.Body)
				}
				time.Sleep(2 * time.Second)
			}
			t.Error("never logged in")
		})
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
