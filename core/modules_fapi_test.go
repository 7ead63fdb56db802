package core_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

// A fapiModule is a module of the Foundation's FAPI 2.0 plans for clients. Each runs in
// all variants that it is for.
type fapiModule struct {
	name   string
	faults func(*fapiSuite) logintest.Faults // nil: none

	oidc  bool // only with OpenID Connect
	dpop  bool // only with DPoP
	query bool // only if the response is not signed
	jarm  bool // only if it is

	noNonces bool // the servers demand no DPoP nonces

	code  string // of the error; "": accepted
	early bool   // refused without a token request
}

// runsIn reports whether a variant's plan has the module.
func (m *fapiModule) runsIn(v fapiVariant) bool {
	return !(m.oidc && v.plain || m.dpop && v.bound || m.query && v.jarm || m.jarm && !v.jarm)
}

func fapiModules() []fapiModule {
	return slices.Concat(fapiFlowModules(), fapiTokenModules(), jarmModules())
}

// fapiFlowModules are about everything before the ID token.
func fapiFlowModules() []fapiModule {
	token := func(change func(map[string]any)) func(*fapiSuite) logintest.Faults {
		return func(*fapiSuite) logintest.Faults { return logintest.Faults{Token: change} }
	}
	return []fapiModule{
		{name: "fapi2-security-profile-final-client-test-happy-path"},
		{name: "fapi2-security-profile-final-client-test-happy-path-no-dpop-nonce", dpop: true, noNonces: true},
		{name: "fapi2-security-profile-final-client-test-rs-dpop-auth-scheme-case-insensitivity", dpop: true,
			faults: func(*fapiSuite) logintest.Faults { return logintest.Faults{Header: spelledDPoP} }},
		{name: "fapi2-security-profile-final-client-test-discovery-issuer-mismatch", code: "provider_metadata_invalid", early: true,
			faults: func(s *fapiSuite) logintest.Faults {
				return logintest.Faults{Discovery: func(m map[string]any) { m["issuer"] = s.issuer + "INVALID" }}
			}},
		{name: "fapi2-security-profile-final-client-test-invalid-authorization-response-iss", query: true, code: "callback_untrusted", early: true,
			faults: inResponse("iss", "1")},
		{name: "fapi2-security-profile-final-client-test-remove-authorization-response-iss", query: true, code: "callback_untrusted", early: true,
			faults: inResponse("iss", "")},
		{name: "fapi2-security-profile-final-client-test-ensure-authorization-response-with-invalid-state-fails", code: "attempt_unknown", early: true,
			faults: inResponse("state", "1")},
		{name: "fapi2-security-profile-final-client-test-ensure-authorization-response-with-invalid-missing-state-fails", code: "attempt_unknown", early: true,
			faults: inResponse("state", "")},
		{name: "fapi2-security-profile-final-client-test-token-endpoint-response-without-expires_in",
			faults: token(func(m map[string]any) { delete(m, "expires_in") })},
		{name: "fapi2-security-profile-final-client-test-token-type-case-insensitivity",
			faults: token(func(m map[string]any) { m["token_type"] = inverted(m["token_type"].(string)) })},
	}
}

// inResponse appends more to a parameter of the authorization response, or removes the
// parameter if more is empty.
func inResponse(name, more string) func(*fapiSuite) logintest.Faults {
	return func(s *fapiSuite) logintest.Faults {
		if s.jarm {
			return logintest.Faults{SignedAuthorization: func(_, claims map[string]any) {
				if claims[name] = claims[name].(string) + more; more == "" {
					delete(claims, name)
				}
			}}
		}
		return logintest.Faults{Authorization: func(q url.Values) {
			if q.Set(name, q.Get(name)+more); more == "" {
				q.Del(name)
			}
		}}
	}
}

// spelledDPoP writes the scheme of a challenge otherwise.
func spelledDPoP(_ logintest.Endpoint, _ int, header http.Header) {
	if challenge := header.Get("WWW-Authenticate"); challenge != "" {
		header.Set("WWW-Authenticate", strings.Replace(challenge, "DPoP", "dPoP", 1))
	}
}

// fapiTokenModules are about the ID token.
func fapiTokenModules() []fapiModule {
	const untrusted = "id_token_untrusted"
	token := func(change func(header, claims map[string]any)) func(*fapiSuite) logintest.Faults {
		return func(*fapiSuite) logintest.Faults { return logintest.Faults{IDToken: change} }
	}
	claim := func(name string, change func(any) any) func(*fapiSuite) logintest.Faults {
		return token(func(_, claims map[string]any) {
			if claims[name] = change(claims[name]); claims[name] == nil {
				delete(claims, name)
			}
		})
	}
	gone := func(any) any { return nil }
	longer := func(v any) any { return v.(string) + "1" }
	expired := func(_, claims map[string]any) { claims["exp"] = claims["iat"].(int64) - 6*60 }
	alg := func(alg string) func(*fapiSuite) logintest.Faults {
		return token(func(header, _ map[string]any) { header["alg"] = alg })
	}
	rows := []fapiModule{
		{name: "fapi2-security-profile-final-client-test-invalid-iss", faults: claim("iss", longer), code: untrusted},
		{name: "fapi2-security-profile-final-client-test-invalid-missing-iss", faults: claim("iss", gone), code: untrusted},
		{name: "fapi2-security-profile-final-client-test-invalid-aud", faults: claim("aud", longer), code: untrusted},
		{name: "fapi2-security-profile-final-client-test-invalid-missing-aud", faults: claim("aud", gone), code: untrusted},
		{name: "fapi2-security-profile-final-client-test-invalid-secondary-aud", faults: claim("aud", func(any) any { return []string{"app", "other"} }), code: untrusted},
		{name: "fapi2-security-profile-final-client-test-valid-aud-as-array", faults: claim("aud", func(any) any { return []string{"app"} })},
		{name: "fapi2-security-profile-final-client-test-invalid-expired-exp", faults: token(expired), code: untrusted},
		{name: "fapi2-security-profile-final-client-test-invalid-missing-exp", faults: claim("exp", gone), code: untrusted},
		{name: "fapi2-security-profile-final-client-test-invalid-nonce", faults: claim("nonce", longer), code: untrusted},
		{name: "fapi2-security-profile-final-client-test-invalid-missing-nonce", faults: claim("nonce", gone), code: untrusted},
		{name: "fapi2-security-profile-final-client-test-invalid-null-alg", faults: alg("none"), code: untrusted},
		{name: "fapi2-security-profile-final-client-test-invalid-alternate-alg", faults: alg("RS256"), code: untrusted},
	}
	for i := range rows {
		rows[i].oidc = true
	}
	return rows
}

// inverted returns text with small letters for large ones, and large ones for small ones.
func inverted(text string) string {
	return strings.Map(func(c rune) rune {
		if lower := strings.ToLower(string(c)); lower != string(c) {
			return []rune(lower)[0]
		}
		return []rune(strings.ToUpper(string(c)))[0]
	}, text)
}

// TestFAPIModules walks each module in all variants of the plan of the Security Profile
// and of that of Message Signing.
func TestFAPIModules(t *testing.T) {
	t.Parallel()
	variants := slices.Concat(fapiVariants(false), fapiVariants(true))
	for _, m := range fapiModules() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			for _, v := range variants {
				if m.runsIn(v) && (crowds == 1 || v.certificate == v.rar && v.jar == v.jarm) { // with the race detector, a quarter
					t.Run(v.String(), func(t *testing.T) { m.walk(t, v) })
				}
			}
		})
	}
}

// The number of modules in each variant is that of the suite's plans.
func TestFAPIPlansHaveAllModules(t *testing.T) {
	t.Parallel()
	for _, signing := range []bool{false, true} {
		for _, v := range fapiVariants(signing) {
			want := map[bool]int{false: 22, true: 10}[v.plain]
			if v.bound {
				want -= 2
			}
			if v.jarm {
				want += 6
			}
			got := 0
			for _, m := range fapiModules() {
				if m.runsIn(v) {
					got++
				}
			}
			if got != want {
				t.Errorf("%s: %d modules, want %d", v, got, want)
			}
		}
	}
	if one, two := len(fapiVariants(false)), len(fapiVariants(true)); one != 16 || two != 48 {
		t.Errorf("%d variants of the Security Profile, and %d of Message Signing", one, two)
	}
}

// walk is a login at the suite's provider, and demands what the module says.
func (m *fapiModule) walk(t *testing.T, v fapiVariant) {
	t.Helper()
	s := newFAPISuite(t, v, !m.noNonces)
	var faults logintest.Faults
	if m.faults != nil {
		faults = m.faults(s)
	}
	faults.Discovery = inTurn(s.metadata, faults.Discovery)
	s.provider.Misbehave(faults)
	page := s.get(origin + "/me")
	requests := s.provider.Requests()
	s.checkRequests(requests)
	if m.code == "" {
		if got := s.whoAmI(); got != "I am ada" {
			t.Fatalf("not accepted: %d, %q is logged in\n%s", page.Status, got, s.log.String())
		}
		before := s.accounts.Load()
		if page := s.fetch(http.MethodGet, origin+"/accounts"); page.Status != http.StatusOK || s.accounts.Load() != before+1 {
			t.Errorf("the accounts answered %d: %s\n%s", page.Status, page.Body, s.log.String())
		}
		return
	}
	if !strings.Contains(string(page.Body), "<code>"+m.code+"</code>") {
		t.Errorf("got %d, want %s: %s\n%s", page.Status, m.code, page.Body, s.log.String())
	}
	if got := s.whoAmI(); got != "" || s.logins.Load() != 0 || s.accounts.Load() != 0 {
		t.Errorf("%q is logged in after %d logins, and the accounts have been read %d times", got, s.logins.Load(), s.accounts.Load())
	}
	begun := m.code != "provider_metadata_invalid"
	for e, want := range map[logintest.Endpoint]bool{logintest.PAR: begun, logintest.Authorization: begun, logintest.Token: !m.early} {
		if got := count(requests, e); (got > 0) != want {
			t.Errorf("%d requests to %s", got, e)
		}
	}
}
