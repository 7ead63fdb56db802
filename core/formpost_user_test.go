package core_test

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// Apple says who it is beside the code, at the first login.
func TestPostedUser(t *testing.T) {
	t.Parallel()
	const apple = `{"name":{"firstName":"Ada","lastName":"Lovelace"},"email":"byron@example.test"}`
	for _, test := range []struct {
		name    string
		user    []string // parameters
		change  func(*core.Config)
		said    any    // claim user of the ID token
		want    string // claim user in the end
		inQuery bool   // without Requests.FormPost
		others  bool   // without Requests.FormPostUser
	}{
		{name: "as Apple says it", user: []string{apple}, want: apple},
		{name: "at later logins"},
		{name: "no JSON", user: []string{"Ada"}},
		{name: "no object", user: []string{`["Ada"]`}},
		{name: "null", user: []string{"null"}},
		{name: "a member twice", user: []string{`{"name":1,"name":2}`}},
		{name: "twice", user: []string{apple, apple}},
		{name: "4 KB", user: []string{`{"a":"` + strings.Repeat("x", 4<<10-8) + `"}`}, want: `{"a":"` + strings.Repeat("x", 4<<10-8) + `"}`},
		{name: "more than 4 KB", user: []string{`{"a":"` + strings.Repeat("x", 4<<10-7) + `"}`}},
		{name: "the provider has one of its own", user: []string{apple}, said: "ada", want: `"ada"`},
		{name: "a session that keeps no claims", user: []string{apple}, change: func(c *core.Config) { c.Sessions.Claims = []string{} }, want: apple},
		{name: "not asked for a form", user: []string{apple}, inQuery: true},
		{name: "a form of another provider", user: []string{apple}, others: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var seen core.User
			var claims struct{ User json.RawMessage }
			g := newRig(t, func(c *core.Config) {
				c.OnLogin = func(_ context.Context, login *core.Login) error {
					seen = *login.User
					return login.User.Claims(&claims)
				}
				c.Providers[0].Requests.FormPost = !test.inQuery
				c.Providers[0].Requests.FormPostUser = !test.inQuery && !test.others
				if test.change != nil {
					test.change(c)
				}
			})
			g.provider.Misbehave(logintest.Faults{
				Authorization: func(answer url.Values) { answer["user"] = test.user },
				IDToken: func(_, claims map[string]any) {
					if test.said != nil {
						claims["user"] = test.said
					}
				},
			})
			g.login()
			if got := string(claims.User); got != test.want {
				t.Errorf("got %.100s, want %.100s", got, test.want)
			}
			if seen.Subject != "ada" || seen.Name != "Ada Lovelace" || seen.Email != "ada@example.test" {
				t.Errorf("what is not signed has become the user's: %+v", seen)
			}
		})
	}
}

// Other providers' forms have no parameter user that means anything, nor has the GET
// that follows a form.
func TestPostedUserOfOtherProvidersIsLeftOut(t *testing.T) {
	t.Parallel()
	var claims struct{ User json.RawMessage }
	g := newRig(t, func(c *core.Config) {
		c.Providers[0].Requests.FormPost = true
		c.OnLogin = func(_ context.Context, login *core.Login) error { return login.User.Claims(&claims) }
	})
	form := g.toForm()
	form.Set("user", `{"name":"Mallory"}`)
	to := bouncesTo(t, g.post(callbackURL, formType, form.Encode()))
	if to.Query().Has("user") || to.Query().Get("code") == "" {
		t.Errorf("leads on to %s", to)
	}
	if page := g.get(callbackURL + "?" + form.Encode()); string(page.Body) != "I am ada" || claims.User != nil {
		t.Errorf("got %d, and claim user %s", page.Status, claims.User)
	}
}
