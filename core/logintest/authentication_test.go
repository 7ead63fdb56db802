package logintest_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
)

// The ID token states when and how the user authenticated. A login can require more
// (OpenID Connect Core section 3.1.2.1).
func TestAuthTimeAndACR(t *testing.T) {
	t.Parallel()
	now := time.Unix(2e9, 0)
	hour := logintest.User{AuthTime: now.Add(-time.Hour), ACR: []string{"silver", "gold"}}
	for _, test := range []struct {
		name    string
		user    logintest.User
		request url.Values
		error   string
		age     time.Duration
		acr     any // claim; nil: absent
	}{
		{name: "nothing said", request: url.Values{}},
		{name: "nothing asked for", user: hour, age: time.Hour, acr: "silver"},
		{name: "max_age that is met", user: hour, request: url.Values{"max_age": {"3600"}}, age: time.Hour, acr: "silver"},
		{name: "max_age that is not met", user: hour, request: url.Values{"max_age": {"3599"}}, acr: "silver"},
		{name: "max_age 0", user: hour, request: url.Values{"max_age": {"0"}}, acr: "silver"},
		{name: "prompt login", user: hour, request: url.Values{"prompt": {"consent login"}}, acr: "silver"},
		{name: "another prompt", user: hour, request: url.Values{"prompt": {"consent"}}, age: time.Hour, acr: "silver"},
		{name: "prompt none", user: hour, request: url.Values{"prompt": {"none"}}, age: time.Hour, acr: "silver"},
		{name: "prompt none, and max_age that is not met", user: hour, request: url.Values{"prompt": {"none"}, "max_age": {"60"}}, error: "login_required"},
		{name: "prompt none, and max_age 0", request: url.Values{"prompt": {"none"}, "max_age": {"0"}}, error: "login_required"},
		{name: "max_age that is none", user: hour, request: url.Values{"max_age": {"-1"}}, error: "invalid_request"},
		{name: "a class that the user has", user: hour, request: url.Values{"acr_values": {"platinum gold silver"}}, age: time.Hour, acr: "gold"},
		{name: "a class that the user has not", user: hour, request: url.Values{"acr_values": {"platinum"}}, age: time.Hour, acr: "silver"},
		{name: "a class of a user who has none", request: url.Values{"acr_values": {"gold"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, clients["public"])
			b.provider.Now = func() time.Time { return now }
			b.provider.User = test.user
			request := b.request()
			for name, values := range test.request {
				request[name] = values
			}
			status, query := b.authorize(request)
			if status != http.StatusSeeOther || query.Get("error") != test.error {
				t.Fatalf("got %d %v, want %q", status, query, test.error)
			}
			if test.error != "" {
				return
			}
			_, answer := b.token(b.form(query.Get("code")))
			claims := payload(t, answer["id_token"])
			if got, want := claims["auth_time"], float64(now.Add(-test.age).Unix()); got != want {
				t.Errorf("auth_time: got %v, want %v", got, want)
			}
			if claims["acr"] != test.acr || claims["sub"] != "ada" {
				t.Errorf("acr: got %v, want %v, of %v", claims["acr"], test.acr, claims["sub"])
			}
		})
	}
}

// The result of Authenticate is used as it is, because Authenticate has the request.
func TestAuthenticateSaysWhenAndHow(t *testing.T) {
	t.Parallel()
	b := newBench(t, clients["public"])
	then := time.Unix(1e9, 0)
	b.provider.Authenticate = func(_ http.ResponseWriter, r *http.Request) (logintest.User, bool) {
		return logintest.User{Subject: "bob", AuthTime: then, ACR: []string{r.URL.Query().Get("acr_values")}}, true
	}
	request := b.request()
	request.Set("prompt", "login")
	request.Set("acr_values", "gold")
	_, query := b.authorize(request)
	_, answer := b.token(b.form(query.Get("code")))
	if claims := payload(t, answer["id_token"]); claims["auth_time"] != 1e9 || claims["acr"] != "gold" || claims["sub"] != "bob" {
		t.Errorf("got %v", claims)
	}
}

// For prompt=none, Current says who is logged in, and Authenticate is not asked.
func TestCurrentUser(t *testing.T) {
	t.Parallel()
	now := time.Unix(2e9, 0)
	for _, test := range []struct {
		name    string
		current bool
		request url.Values
		want    string // error; empty: a code
		asked   bool
	}{
		{name: "silent", current: true, request: url.Values{"prompt": {"none"}}},
		{name: "nobody", request: url.Values{"prompt": {"none"}}, want: "login_required"},
		{name: "max_age that is met", current: true, request: url.Values{"prompt": {"none"}, "max_age": {"60"}}},
		{name: "max_age that is not met", current: true, request: url.Values{"prompt": {"none"}, "max_age": {"59"}}, want: "login_required"},
		{name: "another prompt", current: true, request: url.Values{"prompt": {"consent"}}, asked: true},
		{name: "no prompt", current: true, asked: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, clients["public"])
			asked := false
			b.provider.Now = func() time.Time { return now }
			b.provider.User = logintest.User{Subject: "nobody"}
			b.provider.Current = func(*http.Request) (logintest.User, bool) {
				return logintest.User{Subject: "eve", AuthTime: now.Add(-time.Minute)}, test.current
			}
			b.provider.Authenticate = func(http.ResponseWriter, *http.Request) (logintest.User, bool) {
				asked = true
				return logintest.User{Subject: "bob"}, true
			}
			request := b.request()
			for name, values := range test.request {
				request[name] = values
			}
			_, query := b.authorize(request)
			if query.Get("error") != test.want || query.Has("code") == (test.want != "") || asked != test.asked {
				t.Fatalf("got %v; asked: %t", query, asked)
			}
			if test.want != "" {
				return
			}
			_, answer := b.token(b.form(query.Get("code")))
			want := map[bool]string{false: "eve", true: "bob"}[asked]
			if claims := payload(t, answer["id_token"]); claims["sub"] != want || !asked && claims["auth_time"] != float64(now.Unix()-60) {
				t.Errorf("got %v", claims)
			}
		})
	}
}
