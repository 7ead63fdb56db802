package core_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

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
