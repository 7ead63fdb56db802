package core_test

import (
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
							c.Providers[0].Requests.UserInfo = true
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

// People who come faster than a stalled provider lets them go do not pile up:
// each leaves after one time-out, or is told at once, and the provider has one
// fetch to answer, whoever waits and whoever has left.
func TestAStalledProviderPilesNothingUp(t *testing.T) {
	t.Parallel()
	const rate, limit = 10, 2 * time.Second        // people in a second; the client's time-out
	const most = int64(rate*limit/time.Second) + 1 // at a time: one comes as one goes
	for _, test := range []struct {
		endpoint logintest.Endpoint
		requests int64 // at a time
	}{
		{logintest.Discovery, 1}, {logintest.JWKS, 1}, {logintest.Token, most},
	} {
		t.Run(string(test.endpoint), func(t *testing.T) {
			t.Parallel()
			bubble(t, func(t *testing.T) {
				g := newRig(t, func(c *core.Config) { c.HTTPClient.Timeout = limit })
				var people, requests, mostPeople, mostRequests atomic.Int64
				g.provider.Misbehave(on(test.endpoint, func(w http.ResponseWriter, r *http.Request) {
					mostRequests.Store(max(mostRequests.Load(), requests.Add(1)))
					defer requests.Add(-1)
					stall(w, r)
				}))
				var all sync.WaitGroup
				for i := range 20 * rate {
					person := g.person()
					all.Go(func() {
						mostPeople.Store(max(mostPeople.Load(), people.Add(1)))
						defer people.Add(-1)
						if i%2 == 0 {
							person.leaveAfter(limit/2, origin+"/me")
						} else if page := person.get(origin + "/me"); page.Status != http.StatusServiceUnavailable {
							t.Errorf("got %d: %s", page.Status, page.Body)
						}
					})
					time.Sleep(time.Second / rate)
				}
				all.Wait()
				if mostPeople.Load() > most {
					t.Errorf("%d people waited at a time, want %d at most", mostPeople.Load(), most)
				}
				if mostRequests.Load() == 0 || mostRequests.Load() > test.requests {
					t.Errorf("%d requests at a time, want %d at most", mostRequests.Load(), test.requests)
				}
				synctest.Wait()
				if people.Load() != 0 {
					t.Errorf("%d people still wait", people.Load())
				}
			})
		})
	}
}
