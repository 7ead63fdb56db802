package core_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// However many requests come with a token that has expired, one of them
// refreshes it. The provider takes one that comes twice for stolen.
func TestRequestsThatComeTogetherRefreshOnce(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		for name, processes := range map[string]int{
			"rule 92: one process":     1,
			"rule 92: three processes": 3,
		} {
			t.Run(name, func(t *testing.T) {
				shared := &sharedRefreshes{outcomes: make(map[string]string), claimed: make(map[string]chan struct{})}
				config := func(c *core.Config) {
					if processes > 1 {
						c.Tokens.Refreshes = shared
					}
				}
				g := newTokenRig(t, vault, config)
				apps := []http.Handler{g.app}
				for range processes - 1 {
					apps = append(apps, g.tokenApp(g.newAuth(keepTokens, vault, config)))
				}
				g.login()
				g.advance(2 * time.Hour)
				cookies := g.browser.Cookies(origin + "/token")
				const requests = 200
				tokens := make([]string, requests)
				var all sync.WaitGroup
				for i := range requests {
					all.Go(func() {
						if w := ask(apps[i%processes], cookies); w.Code == http.StatusOK {
							tokens[i] = w.Body.String()
						}
					})
				}
				all.Wait()
				for i, token := range tokens {
					if token == "" || token != tokens[0] {
						t.Fatalf("request %d: got %q, want %q", i, token, tokens[0])
					}
				}
				// The last answer to arrive is what the browser keeps.
				late := ask(apps[len(apps)-1], cookies)
				if got := late.Body.String(); got != tokens[0] {
					t.Errorf("late: got %q", got)
				}
				if g.provider.Refreshes() != 1 || g.provider.Reused() != 0 {
					t.Errorf("%d refreshes, %d tokens used again", g.provider.Refreshes(), g.provider.Reused())
				}
				// It goes on from what any of them got.
				g.advance(2 * time.Hour)
				for _, c := range late.Result().Cookies() {
					g.browser.SetCookie(origin, c)
				}
				if token := g.token(); len(token) < 20 || token == tokens[0] || g.provider.Reused() != 0 {
					t.Errorf("the next refresh: got %q", token)
				}
			})
		}
	})
}

// sharedRefreshes are those of several processes, as Redis has them.
type sharedRefreshes struct {
	mu       sync.Mutex
	outcomes map[string]string
	claimed  map[string]chan struct{}
	broken   error
}

func (s *sharedRefreshes) Begin(ctx context.Context, key string, _ time.Duration) (string, error) {
	for {
		s.mu.Lock()
		outcome, ended, broken := s.outcomes[key], s.claimed[key], s.broken
		if outcome == "" && ended == nil {
			s.claimed[key] = make(chan struct{})
		}
		s.mu.Unlock()
		if outcome != "" || ended == nil || broken != nil {
			return outcome, broken
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

func (s *sharedRefreshes) Finish(_ context.Context, key, outcome string, _ time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outcomes[key] = outcome
	close(s.claimed[key])
	delete(s.claimed, key)
	return s.broken
}

// What replicas share is sealed, and its being down is an outage.
func TestSharedRefreshes(t *testing.T) {
	t.Parallel()
	shared := &sharedRefreshes{outcomes: make(map[string]string), claimed: make(map[string]chan struct{})}
	g := newTokenRig(t, func(c *core.Config) { c.Tokens.Refreshes = shared })
	g.login()
	g.advance(2 * time.Hour)
	token := g.token()
	for key, outcome := range maps.Clone(shared.outcomes) {
		if len(key) != 43 || len(outcome) < 100 || strings.Contains(outcome, token) {
			t.Errorf("shares %q: %q", key, outcome)
		}
	}
	shared.mu.Lock()
	shared.broken = errors.New("connection refused")
	shared.mu.Unlock()
	g.advance(time.Hour - 30*time.Second)
	if got := g.token(); got != token {
		t.Errorf("down, and the token is good: got %q", got)
	}
	g.advance(time.Minute)
	if got := g.token(); got != "refreshes_unavailable" || g.whoAmI() != "I am ada" {
		t.Errorf("down, and the token has expired: got %q", got)
	}
	if g.provider.Refreshes() != 1 {
		t.Error("refreshed without a claim")
	}
}

// Somebody who leaves while the provider is thinking takes nothing along: who
// comes next has what it said.
func TestARefreshOutlivesItsRequest(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		g := newTokenRig(t, vault)
		g.login()
		first := g.token()
		asked, goOn := make(chan struct{}), make(chan struct{})
		g.provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, _ http.ResponseWriter, _ *http.Request) bool {
			if e == logintest.Token {
				close(asked)
				<-goOn
			}
			return false
		}})
		g.advance(2 * time.Hour)
		cookies := g.browser.Cookies(origin + "/token")
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan struct{})
		go func() {
			defer close(left)
			r := httptest.NewRequest("GET", origin+"/token", nil).WithContext(ctx)
			for _, c := range cookies {
				r.AddCookie(c)
			}
			g.app.ServeHTTP(httptest.NewRecorder(), r)
		}()
		<-asked
		leave()
		<-left
		close(goOn)
		if token := g.token(); len(token) < 20 || token == first {
			t.Errorf("got %q", token)
		}
		if g.provider.Refreshes() != 1 || g.provider.Reused() != 0 {
			t.Errorf("%d refreshes, %d tokens used again", g.provider.Refreshes(), g.provider.Reused())
		}
	})
}

// A Store has the new tokens also if nobody waits for them, and for longer than outcomes
// are kept.
func TestAStoreGetsTheTokensOfACanceledRequest(t *testing.T) {
	t.Parallel()
	for name, elsewhere := range map[string]bool{"of this process": false, "of another": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				shared := &sharedRefreshes{outcomes: make(map[string]string), claimed: make(map[string]chan struct{})}
				var grant core.Grant
				change := func(c *core.Config) {
					c.Tokens.Refreshes, c.Sessions.Store = shared, newMemoryStore()
					c.OnLogin = func(_ context.Context, login *core.Login) error { grant = login.Grant; return nil }
				}
				g := newTokenRig(t, change)
				g.login()
				g.advance(2 * time.Hour)
				if elsewhere { // the outcome is there, and only this process's Store lacks it
					if _, err := g.newAuth(keepTokens, change).RefreshGrant(t.Context(), grant); err != nil {
						t.Fatal(err)
					}
				}
				ctx, leave := context.WithCancel(t.Context())
				leave()
				r := httptest.NewRequest("GET", origin+"/token", nil).WithContext(ctx)
				for _, c := range g.browser.Cookies(origin + "/token") {
					r.AddCookie(c)
				}
				g.app.ServeHTTP(httptest.NewRecorder(), r)
				synctest.Wait() // the refresh goes on without the request
				shared.forget()
				if token := g.token(); len(token) < 20 || g.provider.Refreshes() != 1 || g.provider.Reused() != 0 {
					t.Errorf("got %q after %d refreshes, %d tokens used again", token, g.provider.Refreshes(), g.provider.Reused())
				}
			})
		})
	}
}

func (s *sharedRefreshes) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.outcomes)
}
