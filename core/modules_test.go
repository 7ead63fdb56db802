package core_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

// A module is one test of the OpenID Foundation's relying-party profiles: what
// the provider does wrong, and whether that must be noticed. CONFORMANCE.md
// says which modules there are, and why some have no row here.
type module struct {
	name   string
	faults logintest.Faults
	rotate logintest.Endpoint // there is a second login, in which its request makes the provider change its keys

	code  string                                           // of the error; "": accepted
	early bool                                             // refused without a token request
	check func(t *testing.T, requests []logintest.Request) // more, of what the provider was asked
}

func modules() []module {
	return slices.Concat(basicModules(), configModules(), otherModules())
}

func basicModules() []module {
	const untrusted = "id_token_untrusted"
	return []module{
		{name: "oidcc-client-test"},
		{name: "oidcc-client-test-invalid-iss", faults: claim("iss", suiteIssuer+"1"), code: untrusted},
		{name: "oidcc-client-test-missing-sub", faults: claim("sub", nil), code: untrusted},
		{name: "oidcc-client-test-invalid-aud", faults: claim("aud", "app1"), code: untrusted},
		{name: "oidcc-client-test-missing-iat", faults: claim("iat", nil), code: untrusted},
		{name: "oidcc-client-test-kid-absent-single-jwks", faults: withoutKeyIDs(0)},
		// Every key that fits is tried. To refuse would pass, too.
		{name: "oidcc-client-test-kid-absent-multiple-jwks", faults: withoutKeyIDs(2)},
		{name: "oidcc-client-test-idtoken-sig-rs256", faults: signed("RS256", "RS256")},
		{name: "oidcc-client-test-idtoken-sig-none", faults: signed("none", "none", "RS256"), code: untrusted},
		{name: "oidcc-client-test-invalid-sig-rs256", faults: corrupted("RS256"), code: untrusted},
		{name: "oidcc-client-test-userinfo-invalid-sub", code: "userinfo_untrusted",
			faults: logintest.Faults{UserInfo: func(c map[string]any) { c["sub"] = "adainvalid" }}},
		{name: "oidcc-client-test-nonce-invalid", code: untrusted,
			faults: logintest.Faults{IDToken: func(_, c map[string]any) { c["nonce"] = c["nonce"].(string) + "1" }}},
		{name: "oidcc-client-test-scope-userinfo-claims", check: func(t *testing.T, requests []logintest.Request) {
			scopes := strings.Fields(requests[indexOf(requests, logintest.Authorization)].Query.Get("scope"))
			if !slices.Contains(scopes, "profile") || !slices.Contains(scopes, "email") {
				t.Errorf("asks for %q", scopes)
			}
		}},
		{name: "oidcc-client-test-client-secret-basic", check: func(t *testing.T, requests []logintest.Request) {
			token := requests[indexOf(requests, logintest.Token)]
			if !strings.HasPrefix(token.Header.Get("Authorization"), "Basic ") || token.Form.Has("client_secret") || token.Form.Has("client_assertion") {
				t.Errorf("got %v", token)
			}
		}},
	}
}

// The Config profile, but for the module that it shares with Basic.
func configModules() []module {
	mismatch := logintest.Faults{Discovery: func(m map[string]any) { m["issuer"] = suiteIssuer + "INVALID" }}
	keysElsewhere := logintest.Faults{Discovery: func(m map[string]any) { m["jwks_uri"] = m["jwks_uri"].(string) + "?set=random" }}
	return []module{
		{name: "oidcc-client-test-discovery-openid-config", check: func(t *testing.T, requests []logintest.Request) {
			if requests[0].Endpoint != logintest.Discovery {
				t.Errorf("%s was asked first", requests[0].Endpoint)
			}
		}},
		{name: "oidcc-client-test-discovery-jwks-uri-keys", faults: keysElsewhere, check: func(t *testing.T, requests []logintest.Request) {
			keys := indexOf(requests, logintest.JWKS)
			if keys > indexOf(requests, logintest.UserInfo) || !requests[keys].Query.Has("set") {
				t.Errorf("the keys were not fetched from where they are, before UserInfo: %v", requests[keys])
			}
		}},
		{name: "oidcc-client-test-discovery-issuer-mismatch", faults: mismatch, code: "provider_metadata_invalid", early: true},
		{name: "oidcc-client-test-signing-key-rotation-just-before-signing", rotate: logintest.Token},
		{name: "oidcc-client-test-signing-key-rotation", rotate: logintest.Authorization, check: func(t *testing.T, requests []logintest.Request) {
			for _, e := range []logintest.Endpoint{logintest.JWKS, logintest.UserInfo} {
				if got := count(requests, e); got != 2 {
					t.Errorf("%d requests to %s, want 2", got, e)
				}
			}
		}},
	}
}

// What other profiles test of the code flow.
func otherModules() []module {
	const untrusted = "id_token_untrusted"
	aggregated := logintest.Faults{UserInfo: func(c map[string]any) {
		c["_claim_names"] = map[string]any{"address": "src1"}
		c["_claim_sources"] = map[string]any{"src1": map[string]any{"JWT": "a.b.c"}}
	}}
	return []module{
		{name: "oidcc-client-test-missing-aud", faults: claim("aud", nil), code: untrusted},
		{name: "oidcc-client-test-invalid-sig-es256", faults: corrupted("ES256"), code: untrusted},
		{name: "oidcc-client-test-invalid-sig-hs256", faults: corrupted("HS256"), code: untrusted},
		{name: "oidcc-client-test-userinfo-bearer-header", check: func(t *testing.T, requests []logintest.Request) {
			info := requests[indexOf(requests, logintest.UserInfo)]
			if !strings.HasPrefix(info.Header.Get("Authorization"), "Bearer ") || len(info.Query)+len(info.Form) != 0 {
				t.Errorf("got %v", info)
			}
		}},
		{name: "oidcc-client-test-userinfo-signed", faults: logintest.Faults{SignedUserInfo: func(_, _ map[string]any) {}}},
		{name: "oidcc-client-test-aggregated-claims", faults: aggregated},
	}
}

func TestModules(t *testing.T) {
	t.Parallel()
	for _, m := range modules() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			m.walk(t, newSuite(t))
		})
	}
}

// walk is a login at the suite's provider, or two, and demands what the module says.
func (m module) walk(t *testing.T, g *rig) {
	t.Helper()
	g.provider.Misbehave(m.install())
	page := g.get(origin + "/me")
	if m.rotate != "" {
		g.browser.Forget("", "")
		g.provider.Misbehave(m.installRotation(g.provider))
		page = g.get(origin + "/me")
	}
	requests := g.provider.Requests()
	checkEveryRequest(t, requests)
	if m.check != nil {
		m.check(t, requests)
	}
	if m.code == "" {
		if got := g.whoAmI(); got != "I am ada" || count(requests, logintest.UserInfo) == 0 {
			t.Errorf("not accepted: %d, %q is logged in\n%s", page.Status, got, g.log.String())
		}
		return
	}
	if !strings.Contains(string(page.Body), "<code>"+m.code+"</code>") {
		t.Errorf("got %d, want %s: %s\n%s", page.Status, m.code, page.Body, g.log.String())
	}
	if got := g.whoAmI(); got != "" || g.logins.Load() != 0 {
		t.Errorf("%q is logged in", got)
	}
	for e, want := range map[logintest.Endpoint]bool{
		logintest.Authorization: m.code != "provider_metadata_invalid",
		logintest.Token:         !m.early,
		logintest.UserInfo:      m.code == "userinfo_untrusted",
	} {
		if got := count(requests, e); got != map[bool]int{true: 1}[want] {
			t.Errorf("%d requests to %s", got, e)
		}
	}
}

// checkEveryRequest is what the suite checks of every login.
func checkEveryRequest(t *testing.T, requests []logintest.Request) {
	t.Helper()
	for _, r := range requests {
		if r.Query.Has("access_token") || r.Form.Has("access_token") {
			t.Errorf("the access token is not in the header alone: %v", r)
		}
		switch r.Endpoint {
		case logintest.Authorization:
			if r.Query.Get("response_type") != "code" || r.Query.Get("client_id") != "app" || r.Query.Get("redirect_uri") != callbackURL ||
				!slices.Contains(strings.Fields(r.Query.Get("scope")), "openid") || r.Query.Has("request") || r.Query.Has("request_uri") ||
				r.Query.Get("code_challenge_method") != "S256" || len(r.Query.Get("nonce")) != 43 || len(r.Query.Get("state")) > 128 {
				t.Errorf("authorization request: got %v", r.Query)
			}
		case logintest.Token:
			if r.Form.Get("grant_type") == "refresh_token" {
				if r.Method != http.MethodPost || r.Form.Get("refresh_token") == "" || r.Form.Has("scope") {
					t.Errorf("refresh: got %v", r.Form)
				}
				continue
			}
			if r.Method != http.MethodPost || r.Form.Get("redirect_uri") != callbackURL || r.Form.Get("code") == "" || r.Form.Get("code_verifier") == "" {
				t.Errorf("token request: got %v", r.Form)
			}
		}
	}
}
