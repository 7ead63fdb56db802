package core_test

import (
	"math"
	"net/http"
	"net/http/httptest"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"weak"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

func TestUserCarriesWhatTheProviderSaid(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		keep   []string
		claims map[string]any
		want   core.User
		kept   map[string]bool
	}{
		{"everything", nil, map[string]any{
			"name": "Ada", "email": "ada@example.test", "email_verified": true, "picture": "https://p", "groups": []string{"a"},
		}, core.User{Name: "Ada", Email: "ada@example.test", EmailVerified: true, Picture: "https://p"},
			map[string]bool{"groups": true, "name": true, "sub": true, "iss": false, "aud": false, "nonce": false, "exp": false}},
		{"nothing", nil, nil, core.User{}, map[string]bool{"sub": true, "name": false}},
		{"verified in quotes is not verified", nil, map[string]any{"email": "a@b", "email_verified": "true"}, core.User{Email: "a@b"}, nil},
		{"verified as a number is not verified", nil, map[string]any{"email_verified": 1}, core.User{}, nil},
		{"wrong types", nil, map[string]any{"name": 7, "email": []string{"a"}, "picture": nil}, core.User{}, nil},
		{"one claim", []string{"groups"}, map[string]any{"name": "Ada", "groups": "g"}, core.User{Name: "Ada"}, map[string]bool{"groups": true, "sub": false, "name": false}},
		{"no claim", []string{}, map[string]any{"name": "Ada"}, core.User{Name: "Ada"}, map[string]bool{"sub": false, "name": false}},
		{"awkward text", nil, map[string]any{"name": "Ä\"<b>\u2028\x00"}, core.User{Name: "Ä\"<b>\u2028\x00"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, func(c *core.Config) { c.Sessions.Claims = test.keep })
			g.provider.User = logintest.User{Subject: "s", Claims: test.claims}
			g.login()
			r := httptest.NewRequest("GET", origin+"/", nil)
			for _, c := range g.browser.Cookies(origin) {
				r.AddCookie(c)
			}
			r, err := g.auth.Authenticate(httptest.NewRecorder(), r)
			if err != nil {
				t.Fatal(err)
			}
			user := core.UserFromContext(r.Context())
			var claims map[string]any
			if err := user.Claims(&claims); err != nil {
				t.Fatal(err)
			}
			for name, want := range test.kept {
				if _, got := claims[name]; got != want {
					t.Errorf("claim %s: got %v, want %v", name, got, want)
				}
			}
			got := core.User{Name: user.Name, Email: user.Email, EmailVerified: user.EmailVerified, Picture: user.Picture}
			if got != test.want || user.Issuer != issuer || user.Subject != "s" {
				t.Errorf("got %+v, want %+v", user, test.want)
			}
		})
	}
}

func TestContextWithUserPassesTheGuard(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	want := &core.User{Issuer: "test", Subject: "ada"}
	r := httptest.NewRequest("GET", "/", nil)
	r, err := g.auth.Authenticate(httptest.NewRecorder(), r.WithContext(core.ContextWithUser(r.Context(), want)))
	if err != nil || core.UserFromContext(r.Context()) != want {
		t.Errorf("got %v, %v", core.UserFromContext(r.Context()), err)
	}
	var claims map[string]any
	if err := want.Claims(&claims); err != nil || len(claims) != 0 {
		t.Errorf("claims of a test's user: %v, %v", claims, err)
	}
	if got := core.UserFromContext(t.Context()); got != nil {
		t.Errorf("a context without a user has %v", got)
	}
}

// A user made for a test is the one whom a login would have made.
func TestNewUserIsWhomALoginMakes(t *testing.T) {
	t.Parallel()
	given := map[string]any{
		"name": "Ada", "email": "ada@example.test", "email_verified": true, "picture": "https://p", "groups": []any{"a", "b"},
	}
	g := newRig(t)
	g.provider.User = logintest.User{Subject: "ada", Claims: given}
	g.login()
	r := httptest.NewRequest("GET", origin+"/", nil)
	for _, c := range g.browser.Cookies(origin) {
		r.AddCookie(c)
	}
	r, err := g.auth.Authenticate(httptest.NewRecorder(), r)
	if err != nil {
		t.Fatal(err)
	}
	want := core.UserFromContext(r.Context())

	claims := map[string]any{"sub": "ada", "iss": issuer, "aud": "app", "exp": 1, "nonce": "n"}
	for name, value := range given {
		claims[name] = value
	}
	got, err := core.NewUser(issuer, claims)
	if err != nil {
		t.Fatal(err)
	}
	if got.Issuer != want.Issuer || got.Subject != want.Subject || got.Name != want.Name || got.Email != want.Email ||
		got.EmailVerified != want.EmailVerified || got.Picture != want.Picture {
		t.Errorf("got %+v, want %+v", got, want)
	}
	var gotClaims, wantClaims map[string]any
	if err := got.Claims(&gotClaims); err != nil {
		t.Fatal(err)
	}
	if err := want.Claims(&wantClaims); err != nil {
		t.Fatal(err)
	}
	delete(wantClaims, "auth_time") // says when the login was
	delete(wantClaims, "sid")       // … and in which session at the provider
	if !reflect.DeepEqual(gotClaims, wantClaims) {
		t.Errorf("got claims %v, want %v", gotClaims, wantClaims)
	}
}

func TestNewUserRefusesWhoCannotBe(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, issuer string
		claims       map[string]any
		want         string
	}{
		{"no issuer", "", map[string]any{"sub": "ada"}, "issuer"},
		{"no claims", issuer, nil, "not a JSON object"},
		{"no sub", issuer, map[string]any{"name": "Ada"}, "sub"},
		{"an empty sub", issuer, map[string]any{"sub": ""}, "sub"},
		{"a sub that is a number", issuer, map[string]any{"sub": 7}, "sub"},
		{"a long sub", issuer, map[string]any{"sub": strings.Repeat("a", 256)}, "sub"},
		{"a sub that is not ASCII", issuer, map[string]any{"sub": "ä"}, "sub"},
		{"what JSON cannot say", issuer, map[string]any{"sub": "ada", "x": math.Inf(1)}, "unsupported value"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			user, err := core.NewUser(test.issuer, test.claims)
			if err == nil || user != nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, %v, want an error about %s", user, err, test.want)
			}
		})
	}
}

// An application may keep a copy of a User for as long as it likes, and must not
// keep the request that it came with by that.
func TestACopyOfAUserKeepsNoRequest(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.provider.User = logintest.User{Subject: "ada", Claims: map[string]any{"groups": "engineers"}}
	g.login()
	visit := func() (core.User, weak.Pointer[http.Request]) {
		r := httptest.NewRequest("GET", origin+"/me", nil)
		for _, c := range g.browser.Cookies(origin + "/me") {
			r.AddCookie(c)
		}
		passed, err := g.auth.Authenticate(httptest.NewRecorder(), r)
		if err != nil {
			t.Fatal(err)
		}
		return *core.UserFromContext(passed.Context()), weak.Make(r)
	}
	user, request := visit()
	for range 5 { // others' tests may keep the collector busy
		runtime.GC()
	}
	if request.Value() != nil {
		t.Error("the request is still there")
	}
	var claims struct{ Groups string }
	if err := user.Claims(&claims); err != nil || claims.Groups != "engineers" {
		t.Errorf("got %+v, %v", claims, err)
	}
}
