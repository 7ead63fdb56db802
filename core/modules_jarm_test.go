package core_test

import (
	"net/url"
	"strings"

	"github.com/pixyauth/pixy/core/logintest"
)

// jarmModules are about the signed authorization response of FAPI 2.0 Message Signing.
func jarmModules() []fapiModule {
	signed := func(change func(header, claims map[string]any)) func(*fapiSuite) logintest.Faults {
		return func(*fapiSuite) logintest.Faults { return logintest.Faults{SignedAuthorization: change} }
	}
	without := func(name string) func(*fapiSuite) logintest.Faults {
		return signed(func(_, claims map[string]any) { delete(claims, name) })
	}
	longer := func(name string) func(*fapiSuite) logintest.Faults {
		return signed(func(_, claims map[string]any) { claims[name] = claims[name].(string) + "1" })
	}
	corrupt := func(*fapiSuite) logintest.Faults {
		return logintest.Faults{Authorization: func(q url.Values) {
			token := q.Get("response")
			at := strings.LastIndex(token, ".") + 5
			q.Set("response", token[:at]+flip(token[at])+token[at+1:])
		}}
	}
	rows := []fapiModule{
		{name: "fapi2-security-profile-final-client-test-ensure-jarm-without-iss-fails", faults: without("iss")},
		{name: "fapi2-security-profile-final-client-test-ensure-jarm-with-invalid-iss-fails", faults: longer("iss")},
		{name: "fapi2-security-profile-final-client-test-ensure-jarm-without-aud-fails", faults: without("aud")},
		{name: "fapi2-security-profile-final-client-test-ensure-jarm-with-invalid-aud-fails", faults: longer("aud")},
		{name: "fapi2-security-profile-final-client-test-ensure-jarm-without-exp-fails", faults: without("exp")},
		{name: "fapi2-security-profile-final-client-test-ensure-jarm-with-expired-exp-fails",
			faults: signed(func(_, claims map[string]any) { claims["exp"] = claims["exp"].(int64) - 16*60 })},
		{name: "fapi2-security-profile-final-client-test-ensure-jarm-with-invalid-sig-fails", faults: corrupt},
		{name: "fapi2-security-profile-final-client-test-ensure-jarm-signature-is-not-none",
			faults: signed(func(header, _ map[string]any) { header["alg"] = "none" })},
	}
	for i := range rows {
		rows[i].jarm, rows[i].code, rows[i].early = true, "callback_untrusted", true
	}
	return rows
}
