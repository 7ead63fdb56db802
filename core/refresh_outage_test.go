package core_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/sessions"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// An outage is the provider's, and no reason to lose anybody.
func TestAnOutageKeepsTheSession(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) logintest.Faults {
		return logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
			if e != logintest.Token {
				return false
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprint(w, body)
			return true
		}}
	}
	for name, outage := range map[string]logintest.Faults{
		"503":               answer(503, ""),
		"a page":            answer(200, "<html>"),
		"invalid_client":    answer(401, `{"error":"invalid_client"}`),
		"no bearer token":   answer(200, `{"access_token":"x","token_type":"mac"}`),
		"an error page":     answer(404, ""),
		"too many requests": answer(429, ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everyVault(t, func(t *testing.T, vault func(*core.Config)) {
				g := newTokenRig(t, vault)
				g.login()
				first := g.token()
				g.provider.Misbehave(outage)
				g.advance(time.Hour - 30*time.Second)
				if token := g.token(); token != first {
					t.Errorf("while it is good: got %q, want the old one", token)
				}
				sent := g.provider.Count(logintest.Token)
				if g.token(); g.provider.Count(logintest.Token) != sent {
					t.Error("the provider is asked again at once")
				}
				g.advance(time.Minute)
				if got := g.token(); got != "provider_unavailable" && got != "token_response_untrusted" && got != "client_refused" {
					t.Errorf("when it has expired: got %q", got)
				}
				if g.whoAmI() != "I am ada" {
					t.Error("the session has ended")
				}
				g.provider.Misbehave(logintest.Faults{})
				g.advance(time.Minute)
				if token := g.token(); len(token) < 20 || token == first {
					t.Errorf("when it is over: got %q", token)
				}
			})
		})
	}
}

// One outage is one line, and who shows the error shows the line's reference.
func TestARefreshThatFailsIsLoggedOnce(t *testing.T) {
	t.Parallel()
	g := newTokenRig(t)
	g.login()
	g.advance(2 * time.Hour)
	g.provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
		if e == logintest.Token {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return e == logintest.Token
	}})
	page := g.fetch("GET", origin+"/token")
	var failure struct{ Code, Reference string }
	if err := json.Unmarshal(page.Body, &failure); err != nil || failure.Code != "provider_unavailable" || page.Header.Get("Retry-After") == "" {
		t.Errorf("got %+v, %v, Retry-After %q", failure, err, page.Header.Get("Retry-After"))
	}
	if log := g.log.String(); strings.Count(log, "\n") != 1 || failure.Reference == "" || !strings.Contains(log, failure.Reference) {
		t.Errorf("reference %q, and logged as %s", failure.Reference, log)
	}
}

// A hangingStore that heeds its request's context, and saves nothing.
type hangingStore struct {
	*memoryStore
	hangs   atomic.Bool
	waiting atomic.Int32
}

func (s *hangingStore) Save(r *http.Request, w http.ResponseWriter, session *sessions.Session) error {
	if !s.hangs.Load() {
		return s.memoryStore.Save(r, w, session)
	}
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	<-r.Context().Done()
	return r.Context().Err()
}

// A Store that hangs keeps neither a goroutine nor the outcome of a refresh, for
// which a token has been spent.
func TestARefreshEndsWhenTheStoreHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &hangingStore{memoryStore: newMemoryStore()}
		shared := &sharedRefreshes{outcomes: make(map[string]string), claimed: make(map[string]chan struct{})}
		g := newTokenRig(t, func(c *core.Config) { c.Sessions.Store, c.Tokens.Refreshes = store, shared })
		g.login()
		g.advance(59*time.Minute + 30*time.Second) // due, and the access token is good
		store.hangs.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		r := httptest.NewRequestWithContext(ctx, "GET", origin+"/token", nil)
		for _, c := range g.browser.Cookies(origin + "/token") {
			r.AddCookie(c)
		}
		go g.app.ServeHTTP(httptest.NewRecorder(), r)
		time.Sleep(time.Minute)
		if got := store.waiting.Load(); got != 0 {
			t.Errorf("%d goroutines still wait for the store", got)
		}
		shared.mu.Lock()
		defer shared.mu.Unlock()
		if len(shared.outcomes) != 1 || len(shared.claimed) != 0 {
			t.Error("others do not learn of the new tokens")
		}
	})
}

// oddRefreshes answer in a way that no Refreshes should.
type oddRefreshes struct {
	core.Refreshes
	begin func() (string, error)
}

func (o oddRefreshes) Begin(context.Context, string, time.Duration) (string, error) { return o.begin() }

// What is wrong with Refreshes of the application's own ends neither the program
// nor a session.
func TestRefreshesThatAreOdd(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		begin  func() (string, error)
		code   string
		logged string
	}{
		"a panic":                       {func() (string, error) { panic("canary-panic") }, "provider_unavailable", "canary-panic"},
		"an outcome that does not open": {func() (string, error) { return "sealed by nobody", nil }, "refreshes_unavailable", "each other's session keys"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newTokenRig(t, func(c *core.Config) { c.Tokens.Refreshes = oddRefreshes{begin: test.begin} })
			g.login()
			g.advance(2 * time.Hour)
			if got := g.token(); got != test.code || g.whoAmI() != "I am ada" {
				t.Errorf("got %q", got)
			}
			if log := g.log.String(); !strings.Contains(log, test.logged) {
				t.Errorf("logged as %s", log)
			}
		})
	}
}
