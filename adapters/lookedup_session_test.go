package adapters_test

import (
	"context"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A session of a looked-up provider in each framework: guarded requests do not ask for the
// provider, a refresh on demand and a logout do, and a session ends if it is gone.
func TestASessionOfALookedUpProvider(t *testing.T) {
	t.Parallel()
	for name, build := range demanding {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var asked atomic.Int32
				var gone atomic.Bool
				s := newStageOf(t, atCustomer, new(app), build, keepTokens, lookUp, func(c *core.Config) {
					find := c.Lookup.Find
					c.Lookup.Find = func(ctx context.Context, name string) (*core.Provider, error) {
						if asked.Add(1); gone.Load() {
							return nil, nil
						}
						return find(ctx, name)
					}
				})
				s.provider.AccessTokenLifetime = time.Minute
				s.misbehave(logintest.Faults{})
				logIn := func() {
					s.page(s.browser.Get(origin + "/auth/login?provider=" + customer + "&return_to=/maybe"))
					asked.Store(0)
				}
				logIn()
				for range 3 {
					if s.calls("/again"); asked.Load() != 0 {
						t.Fatal("a guarded request asks for the provider")
					}
				}
				time.Sleep(2 * time.Minute)
				if s.calls("/again"); asked.Load() != 1 || s.provider.Refreshes() != 1 {
					t.Errorf("%d refreshes, asked %d times", s.provider.Refreshes(), asked.Load())
				}
				own := http.Header{"Sec-Fetch-Site": {"same-origin"}}
				s.do("POST", "/auth/logout", own)
				page := s.page(s.browser.Visit(origin + "/auth/logout?continue"))
				if to := page.Header.Get("Location"); !strings.HasPrefix(to, issuer+"/end-session?") || !strings.Contains(to, "id_token_hint=") {
					t.Errorf("the logout leads to %s", to)
				}
				logIn()
				time.Sleep(2 * time.Minute)
				gone.Store(true)
				ran := s.app.ran.Load()
				if page := s.do("GET", "/again", script); string(page.Body) != "login_required" || s.app.ran.Load() != ran+1 {
					t.Errorf("the provider is gone: %d %s", page.Status, page.Body)
				}
				if page := s.do("GET", "/again", script); page.Status != 401 || s.app.ran.Load() != ran+1 {
					t.Errorf("then: %d %s", page.Status, page.Body)
				}
				if who := s.do("GET", "/maybe", script); string(who.Body) == "ada" || s.provider.Refreshes() != 1 {
					t.Errorf("then: %s is logged in", who.Body)
				}
			})
		})
	}
}
