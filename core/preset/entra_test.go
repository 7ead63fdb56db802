package preset_test

import (
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
	"github.com/pixyauth/pixy/core/preset"
)

const (
	entraHost = "login.microsoftonline.com"
	tenant    = "aaaabbbb-0000-cccc-1111-dddd2222eeee"
	elsewhere = "ccccaaaa-0000-cccc-1111-dddd2222eeee"
)

func entraIssuer(tenant string) string { return "https://" + entraHost + "/" + tenant + "/v2.0" }

// entraToken edits an ID token like Entra's, for a user of a tenant. It has an e-mail
// address, but no email_verified.
func entraToken(of string, edit func(claims map[string]any)) logintest.Faults {
	return silent(logintest.Faults{IDToken: func(_, c map[string]any) {
		delete(c, "email_verified")
		delete(c, "at_hash")
		c["iss"], c["tid"] = entraIssuer(of), of
		if edit != nil {
			edit(c)
		}
	}})
}

func TestEntra(t *testing.T) {
	t.Parallel()
	t.Run("its tenant; an address that is not verified", func(t *testing.T) {
		t.Parallel()
		a := newApp(t, preset.Entra(tenant, client), web{entraHost: newProvider(entraIssuer(tenant), entraToken(tenant, nil))})
		user := a.login()
		if user.Key() != entraIssuer(tenant)+" ada" || user.Email != "ada@example.test" || user.EmailVerified {
			t.Errorf("got %+v", user)
		}
	})
	t.Run("another tenant", func(t *testing.T) {
		t.Parallel()
		a := newApp(t, preset.Entra(tenant, client), web{entraHost: newProvider(entraIssuer(tenant), entraToken(elsewhere, nil))})
		a.refused(502, "id_token_untrusted")
	})
	t.Run("a key of another tenant", func(t *testing.T) {
		t.Parallel()
		faults := entraToken(tenant, func(c map[string]any) { c["tid"] = tenant })
		faults.JWKS = func(set map[string]any) {
			for _, key := range set["keys"].([]any) {
				key.(map[string]any)["issuer"] = entraIssuer(elsewhere)
			}
		}
		a := newApp(t, preset.Entra(tenant, client), web{entraHost: newProvider(entraIssuer(tenant), faults)})
		a.refused(502, "id_token_untrusted")
	})
	t.Run("common is no tenant", func(t *testing.T) {
		t.Parallel()
		faults := entraToken(tenant, nil)
		faults.Discovery = func(m map[string]any) { m["issuer"] = entraIssuer("{tenantid}") }
		a := newApp(t, preset.Entra("common", client), web{entraHost: newProvider(entraIssuer("common"), faults)})
		a.refused(502, "provider_metadata_invalid")
	})
}

func TestEntraMultiTenant(t *testing.T) {
	t.Parallel()
	// organizations is the endpoint of all tenants. Its metadata has the template.
	organizations := func(faults logintest.Faults) web {
		discovery := faults.Discovery
		faults.Discovery = func(m map[string]any) {
			discovery(m)
			m["issuer"] = entraIssuer("{tenantid}")
		}
		faults.JWKS = func(set map[string]any) {
			for _, key := range set["keys"].([]any) {
				key.(map[string]any)["issuer"] = entraIssuer("{tenantid}")
			}
		}
		return web{entraHost: newProvider(entraIssuer("organizations"), faults)}
	}
	t.Run("an allowed tenant is the issuer", func(t *testing.T) {
		t.Parallel()
		a := newApp(t, preset.EntraMultiTenant(client, tenant), organizations(entraToken(tenant, nil)))
		if user := a.login(); user.Key() != entraIssuer(tenant)+" ada" || user.EmailVerified {
			t.Errorf("got %+v", user)
		}
		out, err := a.browser.Post(origin+"/auth/logout", nil)
		if err != nil || out.Status != 200 || !strings.HasPrefix(out.Hops[2].Header.Get("Location"), entraIssuer("organizations")+"/end-session?") {
			t.Errorf("logout: %v %+v", err, out)
		}
	})
	for _, test := range []struct {
		name   string
		faults logintest.Faults
		status int
		code   string
	}{
		{"a tenant that is not allowed", entraToken(elsewhere, nil), 403, "tenant_refused"},
		{"an allowed tid with another tenant's iss", entraToken(elsewhere, func(c map[string]any) { c["tid"] = tenant }), 502, "id_token_untrusted"},
		{"another tenant's tid with an allowed iss", entraToken(tenant, func(c map[string]any) { c["tid"] = elsewhere }), 502, "id_token_untrusted"},
		{"no tid", entraToken(tenant, func(c map[string]any) { delete(c, "tid") }), 502, "id_token_untrusted"},
		{"the template as it is", entraToken("{tenantid}", nil), 502, "id_token_untrusted"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			newApp(t, preset.EntraMultiTenant(client, tenant), organizations(test.faults)).refused(test.status, test.code)
		})
	}
}
