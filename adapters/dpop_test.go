package adapters_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// Handlers call an API that accepts bound tokens only, on two replicas, while tokens are
// refreshed and nonces expire. Nobody has to hand out a key.
func TestHandlersCallAPIsWithBoundTokens(t *testing.T) {
	t.Parallel()
	bind := func(c *core.Config) { c.Providers[0].Client.DPoP = true }
	for name, build := range callers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newStageOf(t, func(c *logintest.Client) { c.DPoP, c.DPoPNonces = true, true }, new(app), build, keepTokens, bind)
				s.logIn()
				s.calls("/call")
				for i := range 3 {
					s.handler = build(s.app, s.newAuth(keepTokens, bind)) // another replica, which has no nonce yet
					s.browser.Serve(origin, s.handler)
					s.calls("/call")
					s.calls("/stream")
					time.Sleep(2 * time.Hour)
					if page := s.calls("/stream"); !setsTokens(page.Header) {
						t.Errorf("got %q", page.Header["Set-Cookie"])
					}
					asked := s.provider.Count(logintest.UserInfo)
					for range 3 {
						s.calls("/call")
					}
					if n := s.provider.Count(logintest.UserInfo) - asked; n != 3 {
						t.Errorf("3 calls made %d requests", n)
					}
					if s.provider.Refreshes() != i+1 || s.provider.Reused() != 0 {
						t.Fatalf("%d refreshes, %d tokens used again", s.provider.Refreshes(), s.provider.Reused())
					}
				}
				for _, r := range s.provider.Requests() {
					if r.Endpoint == logintest.UserInfo && (!strings.HasPrefix(r.Header.Get("Authorization"), "DPoP ") || len(r.Header["Dpop"]) != 1) {
						t.Errorf("the API got %v", r.Header)
					}
				}
				if s.log.Len() != 0 {
					t.Errorf("logged %s", s.log.String())
				}
			})
		})
	}
}
