package core_test

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

func TestClaimReadsOneByItsExactName(t *testing.T) {
	t.Parallel()
	user, err := core.NewUser(issuer, map[string]any{
		"sub": "ada", "roles": []string{"admin"}, "Group": "staff", "<&>": "escaped", "quoted \" and \\": 1, "null": nil,
		"nested": map[string]any{"roles": []string{"root"}, "a": "}"}, "": "no name", "grüße": true,
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"roles": []any{"admin"}, "Group": "staff", "<&>": "escaped", "quoted \" and \\": 1.0, "null": "untouched", "": "no name", "grüße": true,
		"nested": map[string]any{"roles": []any{"root"}, "a": "}"},
		"group":  "untouched", "ROLES": "untouched", "role": "untouched", "iss": "untouched", `\u003c\u0026\u003e`: "untouched",
	} {
		got := any("untouched")
		if err := user.Claim(name, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %v, %v, want %v", name, got, err, want)
		}
	}
	var number int
	unfit := new(json.UnmarshalTypeError)
	if err := user.Claim("Group", &number); !errors.As(err, &unfit) {
		t.Errorf("a value of another type: got %v", err)
	}
	if err := (&core.User{}).Claim("sub", &number); err != nil || number != 0 {
		t.Errorf("a user without claims: got %v", err)
	}
}

func TestHasComparesExactly(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		claim any
		want  bool
	}{
		"the value":               {"admin", true},
		"a list with it":          {[]string{"user", "admin"}, true},
		"escaped":                 {json.RawMessage(`["\u0061dmin"]`), true},
		"another value":           {"administrator", false},
		"in upper case":           {[]string{"ADMIN"}, false},
		"a part of a list":        {[]string{"admin user"}, false},
		"an empty list":           {[]string{}, false},
		"null":                    {nil, false},
		"true":                    {true, false},
		"an object":               {map[string]any{"admin": true}, false},
		"a list with a number":    {[]any{"admin", 7}, false},
		"a list with null":        {[]any{"admin", nil}, false},
		"a list in a list":        {[]any{[]string{"admin"}}, false},
		"another claim's name":    {map[string]any{"roles": "admin"}, false},
		"a value that ends early": {`admin"`, false},
	} {
		user, err := core.NewUser(issuer, map[string]any{"sub": "ada", "roles": test.claim, "groups": "admin"})
		if err != nil {
			t.Fatal(err)
		}
		if got := user.Has("roles", "admin"); got != test.want {
			t.Errorf("%s: got %v", name, got)
		}
	}
	user, err := core.NewUser(issuer, map[string]any{"sub": "ada", "ROLES": "admin", "empty": []any{nil}})
	if err != nil {
		t.Fatal(err)
	}
	if user.Has("roles", "admin") || user.Has("ROLE", "admin") || user.Has("missing", "") || user.Has("empty", "") || (&core.User{}).Has("roles", "") {
		t.Error("a claim of another name, or of none, is taken")
	}
	if !user.Has("ROLES", "admin") {
		t.Error("a claim in upper case is not found by its name")
	}
}

// A provider where users name claims of their own must not be able to say "roles"
// to a reader who does not tell upper from lower case. It is so for every way on
// which claims come.
func TestClaimsThatFoldToOneNameAreDropped(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		claims map[string]any
		more   map[string]any // from UserInfo
		keep   []string       // Sessions.Claims
		want   []string
	}{
		"the last letter":              {claims: map[string]any{"z": 1, "Z": 2, "a": 3, "A": 4}, want: []string{"a", "z"}},
		"one in lower case":            {claims: map[string]any{"roles": 1, "ROLES": 2, "Roles": 3}, want: []string{"roles"}},
		"the long s":                   {claims: map[string]any{"roles": 1, "role\u017f": 2}, want: []string{"roles"}},
		"the Kelvin sign":              {claims: map[string]any{"rank": 1, "ran\u212a": 2}, want: []string{"rank"}},
		"none in lower case":           {claims: map[string]any{"Roles": 1, "ROLES": 2}, want: nil},
		"not ASCII":                    {claims: map[string]any{"grüße": 1, "GRÜSSE": 2, "GRÜßE": 3}, want: []string{"GRÜSSE"}},
		"alone in upper case":          {claims: map[string]any{"Roles": 1, "givenName": 2}, want: []string{"Roles", "givenName"}},
		"with a name that is not kept": {claims: map[string]any{"roles": 1, "ROLES": 2, "x": 3}, keep: []string{"ROLES", "x"}, want: []string{"x"}},
		"a claim of the protocol's":    {claims: map[string]any{"AUD": "admin-app", "x": 1}, want: []string{"x"}},
		"by UserInfo":                  {claims: map[string]any{"roles": 1}, more: map[string]any{"ROLES": 2}, want: []string{"roles"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check := func(way string, user *core.User) {
				t.Helper()
				var claims map[string]any
				if err := user.Claims(&claims); err != nil {
					t.Fatal(err)
				}
				for _, of := range []string{"sub", "auth_time"} {
					delete(claims, of)
				}
				got := slices.Sorted(maps.Keys(claims))
				if !slices.Equal(got, test.want) {
					t.Errorf("%s: got %q, want %q", way, got, test.want)
				}
			}
			all := map[string]any{"sub": "ada", "aud": "app"}
			maps.Copy(all, test.claims)
			maps.Copy(all, test.more)
			if test.keep == nil {
				user, err := core.NewUser(issuer, all)
				if err != nil {
					t.Fatal(err)
				}
				check("NewUser", user)
			}
			for way, change := range map[string]func(*core.Config){
				"OpenID Connect": func(c *core.Config) { c.Providers[0].Requests.UserInfo = true },
				"OAuth2": func(c *core.Config) {
					c.Providers[0].Scopes = nil
					plainOAuth2(c)
					c.Providers[0].FetchUser = func(context.Context, *http.Client) (map[string]any, error) { return all, nil }
				},
			} {
				seen := make(map[string]*core.User)
				g := newRig(t, change, func(c *core.Config) {
					c.Sessions.Claims = test.keep
					c.OnLogin = func(_ context.Context, login *core.Login) error {
						seen[way+", OnLogin"] = login.User
						return nil
					}
				})
				g.provider.User = logintest.User{Subject: "ada"}
				g.provider.Misbehave(logintest.Faults{
					IDToken:  func(_, claims map[string]any) { clearBut(claims, test.claims) },
					UserInfo: func(claims map[string]any) { clearBut(claims, test.more) },
				})
				g.handle("/user", func(w http.ResponseWriter, r *http.Request) error {
					passed, err := g.auth.Authenticate(w, r)
					if err == nil {
						seen[way+", session"] = g.auth.User(passed)
					}
					return err
				})
				g.login()
				g.fetch("GET", origin+"/user")
				if len(seen) != 2 {
					t.Fatalf("%s: seen %v", way, seen)
				}
				for way, user := range seen {
					if test.keep == nil {
						check(way, user)
					}
				}
				if test.keep != nil {
					check(way, seen[way+", session"])
				}
			}
		})
	}
}

// clearBut leaves an ID token, or UserInfo, what it needs, and adds more.
func clearBut(claims, more map[string]any) {
	for _, name := range []string{"name", "given_name", "family_name", "email", "email_verified", "updated_at"} {
		delete(claims, name)
	}
	maps.Copy(claims, more)
}

// What a browser posts as "user" is never taken for what the provider has said,
// in whatever case it has said it.
func TestAPostedUserDoesNotReplaceTheProviders(t *testing.T) {
	t.Parallel()
	for _, said := range []string{"user", "User", "u\u017fer"} {
		var claims map[string]any
		g := newRig(t, func(c *core.Config) {
			c.Providers[0].Requests.FormPost, c.Providers[0].Requests.FormPostUser = true, true
			c.OnLogin = func(_ context.Context, login *core.Login) error { return login.User.Claims(&claims) }
		})
		g.provider.Misbehave(logintest.Faults{
			IDToken:       func(_, claims map[string]any) { claims[said] = "the provider's" },
			Authorization: func(answer url.Values) { answer.Set("user", `{"name":"mallory"}`) },
		})
		g.login()
		if claims[said] != "the provider's" || said != "user" && claims["user"] != nil {
			t.Errorf("%s: got %v", said, claims)
		}
	}
}
