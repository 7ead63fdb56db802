package core_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// revocation has the revocation endpoint answer so. What it was sent is repeated.
func revocation(status int, body string) logintest.Faults {
	return logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
		if e == logintest.Revocation {
			w.Header().Set("Location", issuer+"/userinfo")
			w.WriteHeader(status)
			fmt.Fprint(w, strings.Replace(body, "}", `,"error_description":"`+r.PostForm.Get("token")+`"}`, 1))
		}
		return e == logintest.Revocation
	}}
}

// A logout takes the tokens along, here and at the provider (RFC 7009).
func TestLogoutRevokesTokens(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		for name, test := range map[string]struct {
			faults logintest.Faults
			hint   string
			valid  bool   // the access token, afterwards
			logged string // code
		}{
			"the refresh token":          {hint: "refresh_token"},
			"the access token, if alone": {faults: logintest.Faults{Token: func(r map[string]any) { delete(r, "refresh_token") }}, hint: "access_token"},
			"by a secret in the form": {faults: logintest.Faults{Discovery: func(m map[string]any) {
				m["token_endpoint_auth_methods_supported"] = []string{"client_secret_post"}
			}}, hint: "refresh_token"},
			"a provider that does not care": {faults: logintest.Faults{Discovery: func(m map[string]any) { delete(m, "revocation_endpoint") }}, valid: true},
			"a provider that is down": {faults: logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
				if e == logintest.Revocation {
					w.WriteHeader(http.StatusBadGateway)
				}
				return e == logintest.Revocation
			}}, hint: "refresh_token", valid: true, logged: "provider_unavailable"},
			"a provider that refuses":               {faults: revocation(401, ""), hint: "refresh_token", valid: true, logged: `client_id is \"app\", sent by method client_secret_basic`},
			"a provider that refuses the client":    {faults: revocation(400, `{"error":"invalid_client"}`), hint: "refresh_token", valid: true, logged: "client_refused"},
			"a provider that refuses such tokens":   {faults: revocation(400, `{"error":"unsupported_token_type"}`), hint: "refresh_token", valid: true, logged: "token_request_refused"},
			"a provider that knows no such token":   {faults: revocation(400, `{"error":"invalid_grant"}`), hint: "refresh_token", valid: true},
			"a provider that has no such place":     {faults: revocation(404, "<html>"), hint: "refresh_token", valid: true, logged: "token_response_untrusted"},
			"a provider that moves its revocations": {faults: revocation(307, ""), hint: "refresh_token", valid: true, logged: "token_response_untrusted"},
		} {
			t.Run(name, func(t *testing.T) {
				g := newTokenRig(t, vault)
				g.provider.Misbehave(test.faults)
				g.login()
				token := g.token()
				page, err := g.browser.Post(origin+"/auth/logout", nil)
				if err != nil || page.Status != http.StatusOK {
					t.Fatal(page, err)
				}
				var hint string
				for _, r := range g.provider.Requests() {
					if r.Endpoint == logintest.Revocation {
						hint = r.Form.Get("token_type_hint")
					}
				}
				if hint != test.hint {
					t.Errorf("revoked %q, want %q", hint, test.hint)
				}
				if valid := g.callUserInfo(token) == http.StatusOK; valid != test.valid {
					t.Errorf("the access token is valid: %v", valid)
				}
				if left := g.cookiesNamed("__Host-pixy"); len(left) != 0 || g.whoAmI() != "" {
					t.Errorf("%v are left", left)
				}
				if log := g.log.String(); token != "" && strings.Contains(log, token) {
					t.Errorf("the token is in the log: %s", log)
				}
				if log := g.log.String(); !strings.Contains(log, test.logged) || (log == "") != (test.logged == "") {
					t.Errorf("the log: %s", log)
				}
			})
		}
	})
}

func (g *tokenRig) callUserInfo(token string) int {
	g.t.Helper()
	r, err := http.NewRequest("GET", issuer+"/userinfo", nil)
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := g.provider.HTTPClient().Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

// A login over a session has the provider revoke the former tokens, if the new ones
// cannot go with them.
func TestALoginOverASessionRevokesItsTokens(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		for name, test := range map[string]struct {
			former, next logintest.User
			noSID        bool
			revoked      bool
		}{
			"another user":                            {logintest.User{Subject: "ada", SessionID: "s"}, logintest.User{Subject: "grace", SessionID: "s"}, false, true},
			"another session at the provider":         {logintest.User{Subject: "ada", SessionID: "s"}, logintest.User{Subject: "ada", SessionID: "t"}, false, true},
			"the same one":                            {logintest.User{Subject: "ada", SessionID: "s"}, logintest.User{Subject: "ada", SessionID: "s"}, false, false},
			"the same user, whose session has no sid": {logintest.User{Subject: "ada"}, logintest.User{Subject: "ada"}, true, false},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				g := newTokenRig(t, vault)
				if test.noSID {
					g.provider.Misbehave(claim("sid", nil))
				}
				g.provider.User = test.former
				g.login()
				former := g.token()
				g.provider.User = test.next
				g.get(origin + "/auth/login?return_to=/me")
				if test.revoked {
					eventually(t, func() bool { return g.callUserInfo(former) == http.StatusUnauthorized })
				}
				if asked := indexOf(g.provider.Requests(), logintest.Revocation) >= 0; asked != test.revoked {
					t.Errorf("the provider was asked: %v", asked)
				}
				if token := g.token(); token == former || g.callUserInfo(token) != http.StatusOK || g.log.String() != "" {
					t.Errorf("the new token is of no use; logged %s", g.log.String())
				}
			})
		}
	})
	t.Run("failed: nothing is revoked", func(t *testing.T) {
		t.Parallel()
		refuses := false
		g := newTokenRig(t, func(c *core.Config) {
			c.OnLogin = func(context.Context, *core.Login) error {
				if refuses {
					return errors.New("not today")
				}
				return nil
			}
		})
		g.login()
		token := g.token()
		refuses, g.provider.User = true, logintest.User{Subject: "grace"}
		if page := g.get(origin + "/auth/login?return_to=/me"); page.Status != http.StatusForbidden {
			t.Errorf("got %d", page.Status)
		}
		if g.callUserInfo(token) != http.StatusOK || indexOf(g.provider.Requests(), logintest.Revocation) >= 0 {
			t.Error("a login that failed has revoked tokens")
		}
	})
	t.Run("the provider hangs: the login does not wait", func(t *testing.T) {
		t.Parallel()
		stuck := make(chan struct{})
		g := newTokenRig(t)
		g.provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
			if e == logintest.Revocation {
				<-stuck
				w.WriteHeader(http.StatusBadGateway)
			}
			return e == logintest.Revocation
		}})
		g.login()
		g.provider.User = logintest.User{Subject: "grace"}
		if page := g.get(origin + "/auth/login?return_to=/me"); string(page.Body) != "I am grace" {
			t.Errorf("got %d: %s", page.Status, page.Body)
		}
		close(stuck)
		eventually(t, func() bool { return strings.Contains(g.log.String(), "provider_unavailable") })
	})
	t.Run("a panic is one line", func(t *testing.T) {
		t.Parallel()
		broken := new(atomic.Bool)
		g := newTokenRig(t, func(c *core.Config) {
			c.Providers[0].ClientSecret = ""
			c.Providers[0].Client.SecretFunc = func(ctx context.Context) (string, error) {
				if _, bounded := ctx.Deadline(); bounded && broken.Load() {
					panic("canary: broken")
				}
				return "canary-client-secret", nil
			}
		})
		g.login()
		broken.Store(true)
		g.provider.User = logintest.User{Subject: "grace"}
		g.get(origin + "/auth/login?return_to=/me")
		eventually(t, func() bool { return strings.Contains(g.log.String(), "canary: broken") })
		if got := g.whoAmI(); got != "I am grace" {
			t.Errorf("got %q", got)
		}
	})
}

// eventually waits for what another goroutine does.
func eventually(t testing.TB, so func() bool) {
	t.Helper()
	for range 12000 { // a minute
		if so() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Error("it has not happened")
}
