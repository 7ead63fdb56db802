package core_test

import (
	"net/http/httptest"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// An address is verified if whoever gave it says so: not if the ID token gives
// one address and UserInfo has verified another.
func TestVerifiedIsSaidByWhoeverGaveTheAddress(t *testing.T) {
	t.Parallel()
	type said map[string]any
	for _, test := range []struct {
		name              string
		idToken, userInfo said
		email             string
		verified          bool
	}{
		{"both, the same", said{"email": "a@x.test", "email_verified": true}, said{"email": "a@x.test", "email_verified": true}, "a@x.test", true},
		{"UserInfo alone", said{}, said{"email": "a@x.test", "email_verified": true}, "a@x.test", true},
		{"the ID token alone", said{"email": "a@x.test", "email_verified": true}, said{}, "a@x.test", true},
		{"the address by one, verified by the other", said{"email": "a@x.test"}, said{"email": "b@x.test", "email_verified": true}, "a@x.test", false},
		{"verified by one, the address by the other", said{"email_verified": true}, said{"email": "b@x.test"}, "b@x.test", false},
		{"verified by one, another address by the other", said{"email": "a@x.test", "email_verified": false}, said{"email": "b@x.test", "email_verified": true}, "a@x.test", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, func(c *core.Config) { c.Providers[0].Requests.UserInfo = true })
			say := func(claims map[string]any, said said) {
				delete(claims, "email")
				delete(claims, "email_verified")
				for name, value := range said {
					claims[name] = value
				}
			}
			g.provider.Misbehave(logintest.Faults{
				IDToken:  func(_, claims map[string]any) { say(claims, test.idToken) },
				UserInfo: func(claims map[string]any) { say(claims, test.userInfo) },
			})
			g.login()
			r := httptest.NewRequest("GET", origin+"/me", nil)
			for _, c := range g.browser.Cookies(origin) {
				r.AddCookie(c)
			}
			r, err := g.auth.Authenticate(httptest.NewRecorder(), r)
			if err != nil {
				t.Fatal(err)
			}
			user := core.UserFromContext(r.Context())
			var claims struct {
				EmailVerified bool `json:"email_verified"`
			}
			if err := user.Claims(&claims); err != nil {
				t.Fatal(err)
			}
			if user.Email != test.email || user.EmailVerified != test.verified || claims.EmailVerified != test.verified {
				t.Errorf("got %q, verified %v, in the claims %v", user.Email, user.EmailVerified, claims.EmailVerified)
			}
		})
	}
}
