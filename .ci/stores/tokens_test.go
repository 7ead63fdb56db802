package stores_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/sessions"

	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/adapters/redislogin"
	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A userOfTokens is an application in several processes. They keep sessions and tokens in
// one store, and share refreshes in Redis.
type userOfTokens struct {
	*rig
	processes []http.Handler
}

func newUserOfTokens(t *testing.T, store sessions.Store, processes []*redislogin.Shared) *userOfTokens {
	g := &userOfTokens{rig: newRig(t, store)}
	for _, shared := range processes {
		auth, err := core.New(core.Config{
			Providers:   []core.Provider{{Issuer: issuer, ClientID: "app", Scopes: []string{"openid", "offline_access"}}},
			RedirectURL: callbackURL,
			SessionKey:  []byte("0123456789abcdef0123456789abcdef"),
			Sessions:    core.SessionConfig{Store: store},
			Tokens: core.TokenConfig{Keep: true,
				Refreshes: shared},
			HTTPClient: g.provider.HTTPClient(),
		})
		if err != nil {
			t.Fatal(err)
		}
		login := httplogin.New(auth)
		mux := http.NewServeMux()
		login.Mount(mux)
		mux.Handle("/me", login.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, httplogin.User(r).Subject)
		})))
		mux.Handle("/token", login.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token, err := core.TokenSource(r.Context()).Token()
			if err != nil {
				auth.ServeError(w, r, err)
				return
			}
			fmt.Fprint(w, token.AccessToken)
		})))
		g.processes = append(g.processes, mux)
	}
	g.app = g.processes[0]
	g.browser = logintest.NewBrowser()
	g.browser.Serve(issuer, g.provider)
	g.browser.Serve(origin, g.app)
	return g
}

// ask lets one process answer a request for the token, with the browser's cookies.
func (g *userOfTokens) ask(process int, cookies []*http.Cookie) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, origin+"/token", nil)
	for _, c := range cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	g.processes[process%len(g.processes)].ServeHTTP(w, r)
	return w
}

// Tokens on real stores: requests that do not need tokens do not read them. Of many
// concurrent requests with expired tokens, to several processes, only one refreshes them.
// The provider treats a refresh token that is used twice as stolen.
func TestTokensInStores(t *testing.T) {
	t.Parallel()
	for name, newBackend := range backends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBackend(t)
			var processes []*redislogin.Shared
			for range 3 { // outside of the bubble, because Redis clients have goroutines
				shared, _ := replica(t, t.Name())
				processes = append(processes, shared)
			}
			synctest.Test(t, func(t *testing.T) {
				store, closeStore := b.store(t)
				defer closeStore()
				if b.racy {
					store = &oneAtATime{store: store}
				}
				g := newUserOfTokens(t, store, processes)
				g.login()
				first := string(g.get(origin + "/token").Body)
				b.operations()
				g.is(http.StatusOK, "a request that needs no token")
				if got := b.operations(); !slices.Equal(got, b.read) {
					t.Errorf("a request that needs no token makes the server do %q, want %q", got, b.read)
				}
				g.get(origin + "/token")
				if got, want := b.operations(), slices.Concat(b.read, b.read); !slices.Equal(got, want) {
					t.Errorf("a request for the token makes the server do %q, want %q", got, want)
				}
				time.Sleep(2 * time.Hour)
				token := g.crowd(first)
				time.Sleep(2 * time.Hour)
				g.crowd(token)
				if g.provider.Refreshes() != 2 || g.provider.Reused() != 0 {
					t.Errorf("%d refreshes, want 2; %d refresh tokens came again", g.provider.Refreshes(), g.provider.Reused())
				}
				g.logout()
				g.is(http.StatusUnauthorized, "after the logout")
				b.holds(t, 0, "after the logout")
			})
		})
	}
}

// crowd sends 200 concurrent requests, which all get the same new token.
func (g *userOfTokens) crowd(former string) string {
	g.t.Helper()
	cookies := g.browser.Cookies(origin + "/token")
	answers := make([]*httptest.ResponseRecorder, 200)
	var crowd sync.WaitGroup
	for i := range answers {
		crowd.Go(func() { answers[i] = g.ask(i, cookies) })
	}
	crowd.Wait()
	token := answers[0].Body.String()
	for i, w := range answers {
		if got := w.Body.String(); w.Code != http.StatusOK || got != token || got == former {
			g.t.Fatalf("request %d: got %d %q, want %q, which is not %q", i, w.Code, got, token, former)
		}
		for _, c := range w.Result().Cookies() {
			g.browser.SetCookie(origin, c)
		}
	}
	return token
}

// oneAtATime makes a racy store safe for concurrent use.
type oneAtATime struct {
	mu    sync.Mutex
	store sessions.Store
}

func (s *oneAtATime) Get(r *http.Request, name string) (*sessions.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store.Get(r, name)
}

func (s *oneAtATime) New(r *http.Request, name string) (*sessions.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store.New(r, name)
}

func (s *oneAtATime) Save(r *http.Request, w http.ResponseWriter, session *sessions.Session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store.Save(r, w, session)
}
