package core_test

import (
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// confirm serves a login of the application's own at /confirm.
func (g *rig) confirm(options core.LoginOptions) {
	g.handle("/confirm", func(w http.ResponseWriter, r *http.Request) error { return g.auth.LoginWith(w, r, options) })
}

// parameters returns the names and values of an authorization request that are
// not different each time.
func parameters(query url.Values) url.Values {
	constant := maps.Clone(query)
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		constant[name] = []string{"…"}
	}
	return constant
}

func TestLoginWithNothingIsALogin(t *testing.T) {
	t.Parallel()
	g := newRig(t, func(c *core.Config) { c.Providers[0].Requests.AuthParams = url.Values{"prompt": {"consent"}} })
	g.confirm(core.LoginOptions{})
	want := parameters(g.asked(origin + "/auth/login"))
	got := parameters(g.asked(origin + "/confirm?return_to=/me&login_hint=mallory&prompt=none&provider=x&iss=y&with=z"))
	if len(want) < 8 || !maps.EqualFunc(got, want, slices.Equal) {
		t.Errorf("got %v, want %v", got, want)
	}
	if page := g.get(origin + "/confirm?return_to=/me"); page.URL != origin+"/" {
		t.Errorf("ends at %s", page.URL)
	}
}

func TestLoginWithParameters(t *testing.T) {
	t.Parallel()
	g := newRig(t, func(c *core.Config) {
		c.Providers[0].Requests.AuthParams = url.Values{"prompt": {"consent"}, "ui_locales": {"de"}}
	})
	params := url.Values{
		"login_hint": {"ada@example.test"}, "prompt": {"login"}, "acr_values": {"gold"}, "max_age": {"60"}, "resource": {"a", "b"},
	}
	before := maps.Clone(params)
	g.confirm(core.LoginOptions{ReturnTo: "/me?tab=1", AuthParams: params, Provider: "id.example.test"})
	query := g.asked(origin + "/confirm")
	for name, want := range map[string][]string{
		"login_hint": {"ada@example.test"}, "prompt": {"login"}, "acr_values": {"gold"}, "max_age": {"60"},
		"resource": {"a", "b"}, "ui_locales": {"de"}, "scope": {"openid profile email"}, "code_challenge_method": {"S256"},
	} {
		if !slices.Equal(query[name], want) {
			t.Errorf("%s: got %q, want %q", name, query[name], want)
		}
	}
	if !maps.EqualFunc(params, before, slices.Equal) {
		t.Errorf("the options are changed: %v", params)
	}
	// acr_values alone is a request, and the provider need not heed it.
	if page := g.get(origin + "/confirm"); page.URL != origin+"/me?tab=1" || string(page.Body) != "I am ada" {
		t.Errorf("ends with %d at %s", page.Status, page.URL)
	}
	if got := g.asked(origin + "/auth/login").Get("prompt"); got != "consent" {
		t.Errorf("the next login has prompt %q", got)
	}
}

// Options that cannot be, or cannot be fulfilled, begin nothing.
func TestLoginWithRefuses(t *testing.T) {
	t.Parallel()
	type row struct {
		name    string
		options core.LoginOptions
		change  func(*core.Config)
		status  int
		log     string
	}
	rows := []row{
		{name: "rule 15: twice", options: core.LoginOptions{AuthParams: url.Values{"prompt": {"login", "none"}}}, status: 500, log: "LoginOptions.AuthParams has 2 values for prompt"},
		{name: "without a value", options: core.LoginOptions{AuthParams: url.Values{"prompt": {}}}, status: 500, log: "LoginOptions.AuthParams has 0 values for prompt"},
		{name: "rule 69: max_age that is none", options: core.LoginOptions{AuthParams: url.Values{"max_age": {"1h"}}}, status: 500, log: "LoginOptions.AuthParams has max_age"},
		{name: "a requirement that is none", options: core.LoginOptions{Require: core.Requirement{MaxAge: -1}}, status: 500, log: "Requirement.MaxAge"},
		{name: "a provider that there is not", options: core.LoginOptions{Provider: "other"}, status: 404, log: "provider_unknown"},
		{name: "rule 69: max_age without OpenID Connect", change: plainOAuth2, options: core.LoginOptions{AuthParams: url.Values{"max_age": {"60"}}}, status: 403, log: "step_up_failed"},
		{name: "a requirement without OpenID Connect", change: plainOAuth2, options: core.LoginOptions{Require: golden}, status: 403, log: "step_up_failed"},
	}
	for _, name := range []string{
		"client_id", "client_secret", "code", "code_challenge", "code_challenge_method", "nonce", "redirect_uri", "request", "request_uri",
		"response_mode", "response_type", "scope", "state",
	} {
		rows = append(rows, row{
			name: "reserved: " + name, options: core.LoginOptions{AuthParams: url.Values{"prompt": {"login"}, name: {"x"}}},
			status: 500, log: "LoginOptions.AuthParams sets " + name + ",",
		})
	}
	for _, test := range rows {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.change == nil {
				test.change = func(*core.Config) {}
			}
			g := newRig(t, test.change)
			g.confirm(test.options)
			page := g.get(origin + "/confirm")
			if page.Status != test.status || len(page.Hops) != 1 || !strings.Contains(g.log.String(), test.log) {
				t.Errorf("got %d after %d hops, logged as %s", page.Status, len(page.Hops), g.log.String())
			}
			if g.began() != 0 {
				t.Errorf("%d logins begun", g.began())
			}
		})
	}
	t.Run("a script", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.confirm(core.LoginOptions{})
		if page := g.fetch("GET", origin+"/confirm"); page.Status != 403 || g.began() != 0 {
			t.Errorf("got %d, %d logins begun", page.Status, g.began())
		}
	})
}

// What comes back is held to what was asked for.
func TestLoginWithIsVerified(t *testing.T) {
	t.Parallel()
	yesterday := logintest.Faults{IDToken: func(_, claims map[string]any) { claims["auth_time"] = claims["iat"].(int64) - 86400 }}
	for _, test := range []struct {
		name    string
		options core.LoginOptions
		faults  logintest.Faults
		code    string // of the error; empty: none
	}{
		{"rule 69: nothing asked for", core.LoginOptions{}, yesterday, ""},
		{"rule 69: max_age in AuthParams", core.LoginOptions{AuthParams: url.Values{"max_age": {"60"}}}, yesterday, "id_token_untrusted"},
		{"rule 69: a larger max_age in AuthParams", core.LoginOptions{AuthParams: url.Values{"max_age": {"90000"}}}, yesterday, ""},
		{"rule 69: MaxAge", core.LoginOptions{Require: recent}, yesterday, "step_up_failed"},
		{"rule 69: MaxAge that is met", core.LoginOptions{Require: recent}, logintest.Faults{}, ""},
		{"rule 69: MaxAge, and a larger max_age in AuthParams", core.LoginOptions{Require: recent, AuthParams: url.Values{"max_age": {"90000"}}}, yesterday, "step_up_failed"},
		{"rule 69: MaxAge, and a lesser max_age in AuthParams", core.LoginOptions{Require: core.Requirement{MaxAge: 25 * time.Hour}, AuthParams: url.Values{"max_age": {"60"}}}, yesterday, "step_up_failed"},
		{"rule 68: acr_values in AuthParams", core.LoginOptions{AuthParams: url.Values{"acr_values": {"gold"}}}, yesterday, ""},
		{"rule 68: ACR", core.LoginOptions{Require: golden}, logintest.Faults{}, "step_up_failed"},
		{"rule 68: ACR, and what is weaker in AuthParams", core.LoginOptions{Require: golden, AuthParams: url.Values{"acr_values": {"silver"}}}, logintest.Faults{}, "step_up_failed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			g.provider.User.ACR = []string{"silver"}
			g.provider.Misbehave(test.faults)
			test.options.ReturnTo = "/me"
			g.confirm(test.options)
			before := maps.Clone(test.options.AuthParams)
			page := g.get(origin + "/confirm")
			if !maps.EqualFunc(test.options.AuthParams, before, slices.Equal) {
				t.Errorf("the options are changed: %v", test.options.AuthParams)
			}
			if test.code == "" {
				if string(page.Body) != "I am ada" {
					t.Errorf("got %d: %s", page.Status, page.Body)
				}
				return
			}
			if !strings.Contains(string(page.Body), test.code) || page.Status < 400 || g.whoAmI() != "" || g.logins.Load() != 0 {
				t.Errorf("got %d, and %q is logged in: %s", page.Status, g.whoAmI(), page.Body)
			}
		})
	}
}

// What the code says passes through the chooser, where nobody can read or change it.
func TestLoginWithPassesThroughTheChooser(t *testing.T) {
	t.Parallel()
	g := newDuo(t)
	g.confirm(core.LoginOptions{ReturnTo: "/me", AuthParams: url.Values{"login_hint": {"ada@example.test"}, "prompt": {"consent"}}, Require: recent})
	chooser := g.get(origin + "/confirm")
	to := link(t, chooser)
	u, err := url.Parse(to)
	if err != nil || chooser.Status != 200 || strings.Contains(string(chooser.Body), "ada@") || strings.Contains(string(chooser.Body), "consent") {
		t.Fatalf("got %d to %s, %v: %s", chooser.Status, to, err, chooser.Body)
	}
	query := g.asked(origin + to)
	if query.Get("login_hint") != "ada@example.test" || query.Get("prompt") != "consent" || query.Get("max_age") != "300" {
		t.Errorf("asks for %v", query)
	}
	if page := g.get(origin + to); page.URL != origin+"/me" {
		t.Errorf("ends at %s", page.URL)
	}
	with := u.Query().Get("with")
	for _, test := range []struct {
		after time.Duration
		asks  bool
	}{{9 * time.Minute, true}, {2 * time.Minute, false}, {-30 * time.Minute, false}} {
		g.advance(test.after)
		if query := g.asked(origin + to); query == nil || query.Has("login_hint") != test.asks || query.Has("max_age") != test.asks {
			t.Errorf("after %s more: asks for %v", test.after, query)
		}
	}
	g.advance(19 * time.Minute)
	for name, forged := range map[string]string{
		"altered": with[:10] + string(with[10]^1) + with[11:], "cut off": with[:20], "plain": "prompt=consent", "empty": "",
		"of another login":   g.newAuth(func(c *core.Config) { c.Sessions.CookieName = "staff" }).SealOptions(core.LoginOptions{Require: recent}),
		"of another purpose": g.auth.SealSession([]byte("x")),
		"an attempt":         g.auth.SealAttempt("__Host-pixy-login-x", []byte("x")),
	} {
		query := g.asked(origin + "/auth/login?provider=one&with=" + url.QueryEscape(forged))
		if query == nil || query.Has("login_hint") || query.Has("prompt") || query.Has("max_age") {
			t.Errorf("%s: asks for %v", name, query)
		}
	}
}

// ReturnTo has the rules of return_to.
func TestLoginWithReturnsHere(t *testing.T) {
	t.Parallel()
	for _, to := range []string{"//evil.example.test", "https://evil.example.test/", "/auth/logout", `/\evil.example.test`} {
		t.Run("rule 117: "+to, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			g.confirm(core.LoginOptions{ReturnTo: to})
			if page := g.get(origin + "/confirm"); page.URL != origin+"/" {
				t.Errorf("ends at %s", page.URL)
			}
		})
	}
}

// The error names what is wrong to whoever handles it, and not to the person.
func TestLoginWithErrors(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	w := httptest.NewRecorder()
	err := g.auth.LoginWith(w, httptest.NewRequest("GET", origin+"/confirm", nil), core.LoginOptions{AuthParams: url.Values{"state": {"x"}, "scope": {"y"}}})
	failure := new(core.Error)
	if !errors.As(err, &failure) || failure.Status != 500 || strings.Contains(failure.Public, "state") || failure.Reference == "" {
		t.Fatalf("got %#v", err)
	}
	want := "pixy: internal_error: LoginOptions.AuthParams sets scope, which this library sets itself; remove it; LoginOptions.AuthParams sets state, which this library sets itself; remove it"
	if err.Error() != want {
		t.Errorf("got %s", err)
	}
	if w.Body.Len() != 0 || w.Code != 200 || w.Header().Get("Set-Cookie") != "" {
		t.Errorf("something was written: %v", w)
	}
}
