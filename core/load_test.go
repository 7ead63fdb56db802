package core_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// The tests of this file are not parallel: what they count is the process's.

// newLoad is a rig whose Authenticator can be cut off from its provider. What a
// provider in memory remembers (requests, codes, tokens) and what browsers keep
// would otherwise count as the Authenticator's memory.
func newLoad(t *testing.T) (*rig, *tether) {
	t.Helper()
	line := new(tether)
	g := newRig(t, func(c *core.Config) {
		line.transport = c.HTTPClient.Transport
		// Provider and application share the processor here: what takes long is
		// no outage.
		c.HTTPClient = &http.Client{Transport: line, Timeout: 10 * time.Minute}
		c.Logger = slog.New(slog.DiscardHandler)
	})
	g.provider.Authenticate = func(_ http.ResponseWriter, r *http.Request) (logintest.User, bool) {
		return logintest.User{Subject: r.UserAgent()}, true
	}
	// RSA would have the provider busy with signing.
	g.provider.Misbehave(logintest.Faults{IDToken: func(header, _ map[string]any) { header["alg"] = "ES256" }})
	return g, line
}

// tether is a transport that can be cut.
type tether struct{ transport http.RoundTripper }

func (l *tether) RoundTrip(r *http.Request) (*http.Response, error) { return l.transport.RoundTrip(r) }

// alone leaves nothing of g but the Authenticator, and returns the live heap.
func (g *rig) alone(line *tether) int64 {
	line.transport = nil
	g.provider, g.browser = nil, nil
	for range 3 { // the first of them empties the pools
		runtime.GC()
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// settled waits until no more than before goroutines are left.
func settled(t *testing.T, before int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			stacks = stacks[:runtime.Stack(stacks, true)]
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks)
		}
	}
}

// idleHeap is the live heap with an Authenticator that has logged one person in,
// in a process that has had so many goroutines before: the runtime keeps what
// describes them.
func idleHeap(t *testing.T, goroutines int) int64 {
	var crowd sync.WaitGroup
	gate := make(chan struct{})
	for range goroutines {
		crowd.Go(func() { <-gate })
	}
	close(gate)
	crowd.Wait()
	g, line := newLoad(t)
	if err := g.person().as("nobody").walk(); err != nil {
		t.Fatal(err)
	}
	defer runtime.KeepAlive(g)
	return g.alone(line)
}

// as names who logs in with g's browser.
func (g *rig) as(subject string) *rig {
	g.browser.Header = http.Header{"User-Agent": {subject}}
	return g
}

// walk goes through a whole login, one step for each function in between, and
// through the guard afterwards.
func (g *rig) walk(between ...func()) error {
	at := origin + "/me"
	for _, to := range []string{issuer + "/authorize?", callbackURL + "?", "/me"} {
		page, err := g.browser.Visit(at)
		if err != nil {
			return err
		}
		if at = page.Header.Get("Location"); page.Status != http.StatusSeeOther || !strings.HasPrefix(at, to) {
			return fmt.Errorf("got %d to %q, want %s: %s", page.Status, at, to, page.Body)
		}
		for _, f := range between {
			f()
		}
	}
	page, err := g.browser.Visit(origin + "/me")
	if err != nil {
		return err
	}
	if want := "I am " + g.browser.Header.Get("User-Agent"); string(page.Body) != want {
		return fmt.Errorf("got %q, want %q", page.Body, want)
	}
	return nil
}

// 10,000 people log in at once: all are at the provider before the first comes
// back. Each becomes who they are, the provider is asked no more than it must
// be, and a minute after they are in, the Authenticator holds nothing of it.
func TestTenThousandLoginsAtOnce(t *testing.T) {
	const people = 10_000 / crowds
	idle := idleHeap(t, 8*people)
	goroutines := runtime.NumGoroutine()
	g, line := newLoad(t)
	start := time.Now()

	var steps [3]sync.WaitGroup // everybody waits for everybody after each step
	for i := range steps {
		steps[i].Add(people)
	}
	var all sync.WaitGroup
	var failures atomic.Int32
	for i := range people {
		person := g.person().as(fmt.Sprint("person-", i))
		all.Go(func() {
			step := 0
			err := person.walk(func() {
				steps[step].Done()
				steps[step].Wait()
				step++
			})
			if err == nil {
				return
			}
			for ; step < len(steps); step++ { // nobody waits for who has failed
				steps[step].Done()
			}
			if failures.Add(1) <= 5 {
				t.Errorf("%s: %v", person.browser.Header.Get("User-Agent"), err)
			}
		})
	}
	all.Wait()
	took := time.Since(start)
	if failures.Load() > 0 {
		t.Errorf("%d of %d logins failed", failures.Load(), people)
	}
	for endpoint, want := range map[logintest.Endpoint]int{
		logintest.Discovery: 1, logintest.JWKS: 1, logintest.Authorization: people, logintest.Token: people,
	} {
		if got := g.provider.Count(endpoint); got != want {
			t.Errorf("%d requests to %s, want %d", got, endpoint, want)
		}
	}
	if got := g.logins.Load(); got != people {
		t.Errorf("OnLogin was called %d times", got)
	}
	settled(t, goroutines)
	if size := g.auth.OutcomeBytes(); size == 0 || size > 16<<20 {
		t.Errorf("the outcomes take %d bytes", size)
	}
	g.advance(time.Minute)
	if size := g.auth.OutcomeBytes(); size != 0 {
		t.Errorf("a minute later the outcomes take %d bytes", size)
	}
	grown := g.alone(line) - idle
	if grown > 300*people { // the ID token of one alone has more
		t.Errorf("%d logins leave %d bytes", people, grown)
	}
	t.Logf("%d logins in %s; %d bytes of live heap more", people, took.Round(time.Millisecond), grown)
	runtime.KeepAlive(g)
}

// A hostile callback, and what it gets. Attempt is one that the attacker began.
var hostileCallbacks = []struct {
	name   string
	status int
	change func(r *http.Request, query url.Values, attempt *http.Cookie)
}{
	{name: "state of nobody", status: 303, change: func(_ *http.Request, q url.Values, _ *http.Cookie) { q.Set("state", strings.Repeat("A", 43)) }},
	{name: "state of nobody, begun anew before", status: 400, change: func(_ *http.Request, q url.Values, _ *http.Cookie) { q.Set("state", strings.Repeat("A", 43)+"-r") }},
	{name: "no state", status: 400, change: func(_ *http.Request, q url.Values, _ *http.Cookie) { q.Del("state") }},
	{name: "a long query", status: 400, change: func(_ *http.Request, q url.Values, _ *http.Cookie) {
		q["state"] = strings.Split(strings.Repeat("a ", 500), " ")
	}},
	{name: "attempt without its cookie", status: 303, change: func(r *http.Request, _ url.Values, _ *http.Cookie) { r.Header.Del("Cookie") }},
	{name: "attempt tampered with", status: 303, change: func(r *http.Request, _ url.Values, a *http.Cookie) {
		r.Header.Set("Cookie", a.Name+"="+a.Value[:40]+flip(a.Value[40])+a.Value[41:])
	}},
	{name: "attempt twice", status: 303, change: func(r *http.Request, _ url.Values, a *http.Cookie) {
		r.Header.Add("Cookie", a.Name+"="+a.Value)
	}},
	{name: "a header full of attempts", status: 303, change: func(r *http.Request, _ url.Values, a *http.Cookie) {
		for i := range 100 {
			r.Header.Add("Cookie", fmt.Sprint("__Host-pixy-login-", i, "=", a.Value))
		}
		r.Header.Add("Cookie", a.Name+"=")
	}},
	{name: "forged session", status: 303, change: func(r *http.Request, q url.Values, a *http.Cookie) {
		q.Set("state", strings.Repeat("A", 43))
		r.Header.Set("Cookie", "__Host-pixy-session=1"+a.Value)
	}},
	{name: "iss of another", status: 400, change: func(_ *http.Request, q url.Values, _ *http.Cookie) { q.Set("iss", "https://evil.example.test") }},
	{name: "an error that nobody had", status: 403, change: func(_ *http.Request, q url.Values, _ *http.Cookie) { q.Set("error", "access_denied") }},
	{name: "no code", status: 400, change: func(_ *http.Request, q url.Values, _ *http.Cookie) { q.Del("code") }},
	{name: "a code of 100 KB", status: 400, change: func(_ *http.Request, q url.Values, _ *http.Cookie) { q.Set("code", strings.Repeat("a", 100<<10)) }},
	{name: "an invented code", status: 403, change: func(*http.Request, url.Values, *http.Cookie) {}},
	{name: "another method", status: 405, change: func(r *http.Request, _ url.Values, _ *http.Cookie) { r.Method = "POST" }},
}

// 100,000 hostile callbacks, of every kind, by many at once: none gets a
// session, none reaches the provider that has no attempt, and nothing is left.
func TestAHundredThousandHostileCallbacks(t *testing.T) {
	const callbacks, attackers = 100_000 / crowds, 50
	idle := idleHeap(t, 8*attackers)
	goroutines := runtime.NumGoroutine()
	g, line := newLoad(t)
	start := time.Now()
	var all sync.WaitGroup
	var failures atomic.Int32
	for n := range attackers {
		all.Go(func() {
			w := httptest.NewRecorder()
			if err := g.auth.Login(w, httptest.NewRequest("GET", origin+"/auth/login", nil)); err != nil {
				t.Error(err)
				return
			}
			attempt := w.Result().Cookies()[0]
			to, _ := url.Parse(w.Header().Get("Location"))
			for i := n; i < callbacks; i += attackers {
				kind := hostileCallbacks[i/attackers%len(hostileCallbacks)]
				query := url.Values{"state": to.Query()["state"], "code": {"invented"}, "iss": {issuer}}
				r := httptest.NewRequest("GET", callbackURL, nil)
				r.Header.Set("Cookie", attempt.Name+"="+attempt.Value)
				kind.change(r, query, attempt)
				r.URL.RawQuery = query.Encode()
				if err := g.attack(r, kind.status); err != nil && failures.Add(1) <= 5 {
					t.Errorf("%s: %v", kind.name, err)
				}
			}
		})
	}
	all.Wait()
	took := time.Since(start)
	if failures.Load() > 0 {
		t.Errorf("%d of %d callbacks got what they should not", failures.Load(), callbacks)
	}
	for endpoint, want := range map[logintest.Endpoint]int{
		logintest.Discovery: 1, logintest.JWKS: 0, logintest.Token: attackers,
	} {
		if endpoint == logintest.Token && took > time.Minute {
			continue // each code may have been sent once a minute
		}
		if got := g.provider.Count(endpoint); got != want {
			t.Errorf("%d requests to %s, want %d", got, endpoint, want)
		}
	}
	if got := g.logins.Load(); got != 0 {
		t.Errorf("OnLogin was called %d times", got)
	}
	settled(t, goroutines)
	g.advance(time.Minute)
	if size := g.auth.OutcomeBytes(); size != 0 {
		t.Errorf("a minute later the outcomes take %d bytes", size)
	}
	grown := g.alone(line) - idle
	// A record for each would be a hundred bytes and more; a program's own books
	// vary by some ten thousand in all.
	if grown > callbacks+1<<16 {
		t.Errorf("%d callbacks leave %d bytes", callbacks, grown)
	}
	t.Logf("%d callbacks in %s; %d bytes of live heap more", callbacks, took.Round(time.Millisecond), grown)
	runtime.KeepAlive(g)
}

// attack sends a callback, which must get status and no session.
func (g *rig) attack(r *http.Request, status int) error {
	w := httptest.NewRecorder()
	if err := g.auth.Callback(w, r); err != nil {
		g.auth.ServeError(w, r, err)
	}
	if setsSession(w.Header()) {
		return errors.New("it gets a session")
	}
	if w.Code != status {
		return fmt.Errorf("got %d, want %d: %s", w.Code, status, w.Body)
	}
	return nil
}
