package logintest_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

const staffPrefix = "staff_"

// twoTutorials serves a login at /auth and one at /staff/auth. If shared, both are the same
// login with one session. Otherwise only the names of their cookies differ.
func twoTutorials(shop, staff *tutorial, shared bool) func(*logintest.Provider) http.Handler {
	return func(p *logintest.Provider) http.Handler {
		if !shared {
			staff.cookie = func(c *http.Cookie) { c.Name = staffPrefix + c.Name }
		}
		first := shop.start(p)
		second := first
		if !shared {
			second = staff.start(p)
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			path, ok := strings.CutPrefix(r.URL.Path, "/staff")
			if !ok {
				first.ServeHTTP(w, r)
				return
			}
			r = r.Clone(r.Context())
			r.URL.Path = path
			r.Header.Set("X-Forwarded-Host", r.Host+"/staff") // tutorials trust it
			if !shared {
				cookies := r.Cookies()
				r.Header.Del("Cookie")
				for _, c := range cookies {
					if name, ok := strings.CutPrefix(c.Name, staffPrefix); ok {
						r.AddCookie(&http.Cookie{Name: name, Value: c.Value, Quoted: c.Quoted})
					}
				}
			}
			second.ServeHTTP(w, r)
		})
	}
}

var otherLogin = logintest.OtherLogin{Private: "/staff/me", RedirectURL: "https://app.example.test/staff/auth/callback"}

func TestAttackTwoLogins(t *testing.T) {
	t.Parallel()
	const (
		session  = "session of another login"
		cookies  = "cookies of another login"
		callback = "callback of another login"
	)
	for name, test := range map[string]struct {
		start func(*logintest.Provider) http.Handler
		other logintest.OtherLogin
		want  map[string]string // prefixes of the findings; attacks that are not in it fail
	}{
		"one session for both": {
			twoTutorials(&tutorial{guarded: true, state: true}, nil, true), otherLogin,
			map[string]string{
				session:  "a session of the login at /auth/login let Ada Lovelace in to /staff/me: an application must accept in a guard only sessions of its own login,",
				cookies:  "cookies of the login at /auth/login, renamed to those of /staff/auth/login, let Mallory Mallet in to /staff/me: an application must bind",
				callback: "the response to a login at /auth/login, opened at the callback of /staff/auth/login, led to a token request: an application must reject",
			},
		},
		"one kind of cookies, by two names": {
			twoTutorials(&tutorial{guarded: true, state: true}, &tutorial{guarded: true, state: true}, false), otherLogin,
			map[string]string{
				cookies:  "cookies of the login at /auth/login, renamed",
				callback: "the response to a login at /auth/login, opened",
			},
		},
		"sessions on a server, each their own": {
			twoTutorials(&tutorial{guarded: true, state: true, onServer: true}, &tutorial{guarded: true, state: true, onServer: true}, false), otherLogin,
			map[string]string{callback: "the response to a login at /auth/login, opened"},
		},
		"one login alone": {(&tutorial{guarded: true}).start, logintest.OtherLogin{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := []string{session, cookies, callback}
			r := attack(logintest.Target{Start: test.start, Other: test.other}, func(name string) bool { return slices.Contains(all, name) })
			if r.fatal != "" {
				t.Fatal(r.fatal)
			}
			for _, name := range all {
				if tried := slices.Contains(r.names, name); tried != (test.other != logintest.OtherLogin{}) {
					t.Errorf("%s: tried: %v", name, tried)
				}
				if got, want := r.failures[name], test.want[name]; want == "" && got != "" || !strings.HasPrefix(got, want) {
					t.Errorf("%s: got  %s\nwant %s", name, got, want)
				}
			}
		})
	}
}

func TestAttackRefusesAnOtherLoginThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, other := range []logintest.OtherLogin{
		{Private: "/staff/me"},
		{Private: "staff/me", RedirectURL: "https://app.example.test/staff/auth/callback"},
		{Private: "/staff/me", RedirectURL: "https://elsewhere.example.test/staff/auth/callback"},
		{Private: "/staff/me", RedirectURL: "https://app.example.test/staff/auth/callback", LoginPath: "login"},
		{RedirectURL: "https://app.example.test/staff/auth/callback"},
	} {
		r := attack(logintest.Target{Start: new(tutorial).start, Other: other}, every)
		if !strings.Contains(r.fatal, "Target.Other.") || len(r.names) != 0 {
			t.Errorf("%+v: got %q", other, r.fatal)
		}
	}
}
