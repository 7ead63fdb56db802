package replicas_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Traffic is users who use the application and check that they stay logged in.
type traffic struct {
	people   sync.WaitGroup
	leave    func()         // stops all users
	counts   []atomic.Int64 // of rounds, for each person
	failures chan string
}

// traffic starts users who stay logged in, and users who log in repeatedly.
func (p *program) traffic(t *testing.T, stay, come int) *traffic {
	t.Helper()
	return p.trafficBy(t, stay, come, func(int) string { return p.url + "/me" })
}

// trafficBy is traffic of users who log in at addresses of their own.
func (p *program) trafficBy(t *testing.T, stay, come int, at func(user int) string) *traffic {
	t.Helper()
	ended := make(chan struct{})
	all := &traffic{leave: sync.OnceFunc(func() { close(ended) }), counts: make([]atomic.Int64, stay+come), failures: make(chan string, stay+come)}
	t.Cleanup(all.leave)
	for i := range stay + come {
		name := fmt.Sprintf("user%d", i)
		browser := p.person(name)
		if page := open(t, browser, at(i)); page.Status != 200 {
			t.Fatalf("%s cannot log in: %v", name, page)
		}
		all.people.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
				}
				if i >= stay {
					browser = p.person(name)
					if page, err := browser.Get(at(i)); err != nil || page.Status != 200 {
						all.failures <- fmt.Sprintf("%s cannot log in: %v, %v", name, page, err)
						return
					}
				}
				for range 3 {
					if status, subject, replica, err := p.asked(browser); err != nil || status != 200 || subject != name {
						all.failures <- fmt.Sprintf("%s is asked by replica %s who they are: %d, %q, %v", name, replica, status, subject, err)
						return
					}
				}
				all.counts[i].Add(1)
			}
		})
	}
	return all
}

// rounds waits until each user has finished n more rounds.
func (all *traffic) rounds(t *testing.T, n int64) {
	t.Helper()
	deadline := time.After(patient)
	for i := range all.counts {
		for want := all.counts[i].Load() + n + 1; all.counts[i].Load() < want; { // one of them has already begun
			select {
			case failure := <-all.failures:
				t.Fatal(failure)
			case <-deadline:
				t.Fatalf("user%d does nothing", i)
			case <-time.After(5 * time.Millisecond):
			}
		}
	}
}

func (all *traffic) stop(t *testing.T) {
	t.Helper()
	all.leave()
	all.people.Wait()
	close(all.failures)
	for failure := range all.failures {
		t.Error(failure)
	}
}

// Replicas die one after another. Logged-in users are not affected.
func TestKilledUnderTraffic(t *testing.T) {
	t.Parallel()
	p := start(t)
	traffic := p.traffic(t, 3, 0)
	for _, replica := range []string{"1", "2", "3"} {
		gone := p.await(t, "all run", all)[replica]
		p.kill(t, replica)
		p.await(t, "it runs again", func(now map[string]int) bool { return all(now) && now[replica] != gone })
		traffic.rounds(t, 1)
	}
	traffic.stop(t)
	if got := strings.Count(p.log(), "has died"); got != 3 {
		t.Errorf("%d replicas have died, want 3", got)
	}
}
