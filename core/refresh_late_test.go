package core_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/sessions"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// Some Stores are in the browser: there, what one request has kept no other sees.
func TestAStoreInTheBrowserGetsRefreshedTokens(t *testing.T) {
	t.Parallel()
	g := newTokenRig(t, func(c *core.Config) { c.Sessions.Store = sessions.NewCookieStore([]byte("gorilla-auth-key")) })
	g.login()
	for range 3 {
		g.advance(time.Hour)
		token := g.token()
		g.advance(10 * time.Minute) // no outcome is remembered for so long
		if again := g.token(); len(token) < 20 || again != token {
			t.Fatalf("got %q, then %q", token, again)
		}
	}
	if g.provider.Refreshes() != 3 || g.provider.Reused() != 0 {
		t.Errorf("%d refreshes, %d tokens used again", g.provider.Refreshes(), g.provider.Reused())
	}
}

// slowRefreshes have the caller wait, as behind a replica that has died.
type slowRefreshes struct{ wait time.Duration }

func (s slowRefreshes) Begin(ctx context.Context, _ string, _ time.Duration) (string, error) {
	select {
	case <-time.After(s.wait):
		return "", nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// Finish never comes to an end by itself.
func (slowRefreshes) Finish(ctx context.Context, _, _ string, _ time.Duration) error {
	<-ctx.Done()
	return ctx.Err()
}

// However long it took to get a claim: a refresh token is not sent without the
// time to hear what came of it, and who waits for it gets it.
func TestAClaimThatCameLateHasItsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newTokenRig(t, func(c *core.Config) { c.Tokens.Refreshes = slowRefreshes{29 * time.Second} })
		g.login()
		g.provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, _ http.ResponseWriter, _ *http.Request) bool {
			if e == logintest.Token {
				time.Sleep(5 * time.Second)
			}
			return false
		}})
		g.advance(2 * time.Hour)
		if token := g.token(); len(token) < 20 || g.provider.Refreshes() != 1 || g.provider.Reused() != 0 {
			t.Errorf("got %q after %d refreshes", token, g.provider.Refreshes())
		}
	})
}

// A browser that an answer did not reach comes back when the tokens that it had
// missed are over.
func TestAnOutcomeThatHasExpiredIsRefreshed(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		g := newTokenRig(t, vault)
		g.provider.AccessTokenLifetime = time.Minute
		g.login()
		g.advance(50 * time.Second)
		lost := ask(g.app, g.browser.Cookies(origin+"/token"))
		g.advance(2 * time.Minute)
		if token := g.token(); len(token) < 20 || token == lost.Body.String() {
			t.Errorf("got %q", token)
		}
		if g.provider.Refreshes() != 2 || g.provider.Reused() != 0 {
			t.Errorf("%d refreshes, %d tokens used again", g.provider.Refreshes(), g.provider.Reused())
		}
	})
}

// An answer that is late finds a session that is not its request's any more, and
// leaves it alone.
func TestALateRefreshLeavesANewLoginAlone(t *testing.T) {
	t.Parallel()
	for vault, change := range map[string]func(*core.Config){
		"in cookies": func(c *core.Config) { c.Logout.Revocations = new(core.MemoryRevocations) },
		"in a Store": func(c *core.Config) { c.Sessions.Store = newMemoryStore() },
	} {
		for name, refused := range map[string]string{"new tokens": "", "a refusal": "invalid_grant"} {
			t.Run(vault+", "+name, func(t *testing.T) {
				t.Parallel()
				g := newTokenRig(t, change)
				asked, goOn := make(chan struct{}), make(chan struct{})
				g.provider.Misbehave(logintest.Faults{
					RefreshError: refused,
					Discovery:    func(m map[string]any) { delete(m, "revocation_endpoint") },
					Intercept: func(_ logintest.Endpoint, _ http.ResponseWriter, r *http.Request) bool {
						if r.Form.Get("grant_type") == "refresh_token" {
							close(asked)
							<-goOn
						}
						return false
					},
				})
				g.login()
				g.advance(2 * time.Hour)
				late := make(chan *httptest.ResponseRecorder)
				cookies := g.browser.Cookies(origin + "/token")
				go func() { late <- ask(g.app, cookies) }()
				<-asked
				if _, err := g.browser.Post(origin+"/auth/logout", nil); err != nil {
					t.Fatal(err)
				}
				g.provider.User = logintest.User{Subject: "eve"}
				g.login()
				close(goOn)
				answer := <-late
				if answer.Code != http.StatusUnauthorized || g.ran.Load() != 0 {
					t.Errorf("got %d, and the handler ran %d times", answer.Code, g.ran.Load())
				}
				for _, c := range answer.Result().Cookies() {
					g.browser.SetCookie(origin, c)
				}
				if got := g.whoAmI(); got != "I am eve" {
					t.Errorf("got %q", got)
				}
				if token := g.token(); len(token) < 20 {
					t.Errorf("got %q", token)
				}
			})
		}
	}
}

// A provider may give the same tokens once more, for a longer life.
func TestTheSameTokensForALongerLife(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		g := newTokenRig(t, vault)
		noHash := func(_, claims map[string]any) { delete(claims, "at_hash") }
		g.provider.Misbehave(logintest.Faults{
			NoRotation: true, IDToken: noHash, RefreshedIDToken: noHash,
			Token: func(r map[string]any) { r["access_token"], r["expires_in"] = "the same access token", 60 },
		})
		g.login()
		for i := range 4 {
			if token := g.token(); token != "the same access token" || g.provider.Refreshes() != i {
				t.Fatalf("round %d: got %q after %d refreshes", i, token, g.provider.Refreshes())
			}
			g.advance(50 * time.Second)
		}
	})
}

// A provider that has something against one user serves the others.
func TestOnesFailureIsNotEverybodys(t *testing.T) {
	t.Parallel()
	g := newTokenRig(t)
	g.login()
	other := g.person()
	g.provider.User = logintest.User{Subject: "eve"}
	other.login()
	eve := other.browser.Cookies(origin + "/token")
	g.advance(2 * time.Hour)
	g.provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
		if e == logintest.Token {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":"interaction_required"}`)
		}
		return e == logintest.Token
	}})
	if got := g.token(); got != "token_request_refused" {
		t.Errorf("got %q", got)
	}
	sent := g.provider.Count(logintest.Token)
	g.provider.Misbehave(logintest.Faults{})
	if got := g.token(); got != "provider_unavailable" || g.provider.Count(logintest.Token) != sent {
		t.Errorf("asked again at once: got %q", got)
	}
	if w := ask(g.app, eve); w.Code != http.StatusOK {
		t.Errorf("the other user got %d: %s", w.Code, w.Body)
	}
	g.advance(time.Minute)
	if token := g.token(); len(token) < 20 {
		t.Errorf("when it is over: got %q", token)
	}
}

// Without keys, an ID token that comes with new tokens cannot be checked, and the
// refresh token would be spent for nothing.
func TestNoRefreshWithoutTheProvidersKeys(t *testing.T) {
	t.Parallel()
	g := newTokenRig(t)
	g.login()
	g.browser.Serve(origin, g.tokenApp(g.newAuth(keepTokens))) // has just begun, and knows no keys
	g.provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
		if e == logintest.JWKS {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		return e == logintest.JWKS
	}})
	g.advance(2 * time.Hour)
	if got := g.token(); got != "provider_unavailable" {
		t.Errorf("got %q", got)
	}
	g.provider.Misbehave(logintest.Faults{})
	g.advance(time.Minute)
	if token := g.token(); len(token) < 20 || g.provider.Refreshes() != 1 || g.provider.Reused() != 0 {
		t.Errorf("got %q after %d refreshes, %d tokens used again", token, g.provider.Refreshes(), g.provider.Reused())
	}
}

// Who came in time is not too late because the provider is slow.
func TestASlowRefreshIsNoIdleTime(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		g := newTokenRig(t, vault, func(c *core.Config) { c.Sessions.Idle = 2 * time.Hour })
		g.login()
		g.advance(2*time.Hour - 2*time.Second)
		g.provider.Misbehave(logintest.Faults{Intercept: func(logintest.Endpoint, http.ResponseWriter, *http.Request) bool {
			g.advance(5 * time.Second)
			return false
		}})
		if token := g.token(); len(token) < 20 || g.whoAmI() != "I am ada" {
			t.Errorf("got %q", token)
		}
	})
}
