package core_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

const (
	tenantA   = "aaaabbbb-0000-cccc-1111-dddd2222eeee"
	tenantB   = "bbbbaaaa-0000-cccc-1111-dddd2222eeee"
	strangers = "ccccaaaa-0000-cccc-1111-dddd2222eeee"
	template  = "https://login.example.test/{tenantid}/v2.0"
)

func tenantIssuer(tenant string) string { return strings.Replace(template, "{tenantid}", tenant, 1) }

// newTenantRig is an application of tenants A and B, at a provider that serves
// one metadata document for everybody, under organizations.
func newTenantRig(t *testing.T, change ...func(*core.Config)) *rig {
	t.Helper()
	g := &rig{t: t, browser: logintest.NewBrowser()}
	g.provider = logintest.NewProvider(tenantIssuer("organizations"), logintest.Client{
		ID: "app", Secret: "canary-client-secret",
		RedirectURIs: []string{callbackURL}, PostLogoutRedirectURIs: []string{origin + "/"},
	})
	g.provider.Now = g.now
	g.browser.Serve("https://login.example.test", g.provider)
	g.misbehave(func(c map[string]any) {})
	g.auth = g.newAuth(append([]func(*core.Config){func(c *core.Config) {
		c.Providers[0].Issuer = template
		c.Providers[0].Checks.Tenants = []string{tenantA, strings.ToUpper(tenantB)}
	}}, change...)...)
	g.browser.Serve(origin, g.app(g.auth))
	return g
}

// misbehave has the provider issue tokens of tenant A, which edit then changes.
func (g *rig) misbehave(edit func(claims map[string]any)) {
	g.provider.Misbehave(tenantFaults(edit))
}

func tenantFaults(edit func(claims map[string]any)) logintest.Faults {
	return logintest.Faults{
		Discovery: func(m map[string]any) {
			m["issuer"] = template
			delete(m, "authorization_response_iss_parameter_supported")
		},
		Authorization: func(q url.Values) { q.Del("iss") },
		IDToken: func(_, c map[string]any) {
			c["iss"], c["tid"] = tenantIssuer(tenantA), tenantA
			edit(c)
		},
	}
}

// rule 58, for an issuer that stands for many.
func TestTenantsOfOneProvider(t *testing.T) {
	t.Parallel()
	of := func(iss string, tid any) func(map[string]any) {
		return func(c map[string]any) {
			if c["iss"], c["tid"] = iss, tid; tid == nil {
				delete(c, "tid")
			}
		}
	}
	for _, test := range []struct {
		name   string
		edit   func(map[string]any)
		status int    // 0: logged in
		code   string // or the issuer
	}{
		{"tenant A", of(tenantIssuer(tenantA), tenantA), 0, tenantIssuer(tenantA)},
		{"tenant B, which the configuration has in capitals", of(tenantIssuer(tenantB), tenantB), 0, tenantIssuer(tenantB)},
		{"a tenant that is not allowed", of(tenantIssuer(strangers), strangers), 403, "tenant_refused"},
		{"a stranger who says to be of tenant A", of(tenantIssuer(strangers), tenantA), 502, "id_token_untrusted"},
		{"a stranger with the issuer of tenant A", of(tenantIssuer(tenantA), strangers), 502, "id_token_untrusted"},
		{"no tid", of(tenantIssuer(tenantA), nil), 502, "id_token_untrusted"},
		{"tid a number", of(tenantIssuer(tenantA), 1), 502, "id_token_untrusted"},
		{"the template itself", of(template, "{tenantid}"), 502, "id_token_untrusted"},
		{"organizations as a tenant", of(tenantIssuer("organizations"), "organizations"), 502, "id_token_untrusted"},
		{"a tid that is a path", of(tenantIssuer(tenantA+"/../x"), tenantA+"/../x"), 502, "id_token_untrusted"},
		{"a tid in capitals", of(tenantIssuer(strings.ToUpper(tenantA)), strings.ToUpper(tenantA)), 502, "id_token_untrusted"},
		{"another host", of("https://evil.example.test/"+tenantA+"/v2.0", tenantA), 502, "id_token_untrusted"},
		{"a final slash", of(tenantIssuer(tenantA)+"/", tenantA), 502, "id_token_untrusted"},
		{"version 1", of("https://login.example.test/"+tenantA+"/", tenantA), 502, "id_token_untrusted"},
	} {
		t.Run("rule 58: "+test.name, func(t *testing.T) {
			t.Parallel()
			var seen []string
			g := newTenantRig(t, func(c *core.Config) { c.OnLogin = remember(&seen) })
			g.misbehave(test.edit)
			page := g.get(origin + "/me")
			if test.status != 0 {
				if page.Status != test.status || !strings.Contains(string(page.Body), test.code) || len(seen) != 0 || g.whoAmI() != "" {
					t.Errorf("got %d, logins %q: %s", page.Status, seen, page.Body)
				}
				return
			}
			if page.Status != 200 || len(seen) != 1 || seen[0] != test.code+" ada" || g.whoAmI() != "I am ada" {
				t.Errorf("got %d, logins %q: %s", page.Status, seen, page.Body)
			}
		})
	}
}

// rule 77, for a template: the metadata must spell it to the byte.
func TestTenantMetadataHasTheTemplate(t *testing.T) {
	t.Parallel()
	for _, wrong := range []string{tenantIssuer("organizations"), tenantIssuer(tenantA), template + "/", "https://login.example.test/{tenantId}/v2.0"} {
		g := newTenantRig(t)
		faults := tenantFaults(func(map[string]any) {})
		faults.Discovery = func(m map[string]any) { m["issuer"] = wrong }
		g.provider.Misbehave(faults)
		if page := g.get(origin + "/me"); page.Status != 502 || g.provider.Count(logintest.Authorization) != 0 {
			t.Errorf("%s: got %d, and %d authorization requests", wrong, page.Status, g.provider.Count(logintest.Authorization))
		}
	}
}

// rule 27: iss in the callback may be any tenant's, and no other issuer.
func TestTenantsInTheIssParameter(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		iss    string
		status int
	}{{tenantIssuer(tenantA), 200}, {template, 400}, {tenantIssuer("organizations"), 400}, {issuer, 400}} {
		g := newTenantRig(t)
		faults := tenantFaults(func(map[string]any) {})
		faults.Authorization = func(q url.Values) { q.Set("iss", test.iss) }
		g.provider.Misbehave(faults)
		if page := g.get(origin + "/me"); page.Status != test.status {
			t.Errorf("%s: got %d, want %d", test.iss, page.Status, test.status)
		}
	}
}

// A key that is one tenant's own cannot speak for another.
func TestKeysOfOneTenant(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		issuer any // of the keys
		status int
	}{
		{"keys of nobody in particular", nil, 200},
		{"keys of everybody", template, 200},
		{"keys of tenant A", tenantIssuer(tenantA), 200},
		{"keys of tenant B", tenantIssuer(tenantB), 502},
		{"keys of a name that is no issuer", "CN=Example CA", 502},
		{"keys of another host's tenants", "https://evil.example.test/{tenantid}/v2.0", 502},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newTenantRig(t)
			faults := tenantFaults(func(map[string]any) {})
			faults.JWKS = func(set map[string]any) {
				for _, key := range set["keys"].([]any) {
					if test.issuer != nil {
						key.(map[string]any)["issuer"] = test.issuer
					}
				}
			}
			g.provider.Misbehave(faults)
			if page := g.get(origin + "/me"); page.Status != test.status {
				t.Errorf("got %d: %s", page.Status, page.Body)
			}
		})
	}
}

// A provider whose issuer is one tenant's, as with preset.Entra, publishes the keys
// of all tenants, too.
func TestKeysAtAProviderOfOneTenant(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		issuer any // of the keys
		status int
	}{
		{"keys of everybody", template, 200},
		{"keys of everybody, with the tenant in the host as well", "https://{tenantid}.example.test/{tenantid}/v2.0", 502},
		{"its own keys", tenantIssuer(tenantA), 200},
		{"keys of another tenant", tenantIssuer(tenantB), 502},
		{"an issuer that is no URL", "CN=Example CA", 200},
		{"an issuer that is no text", 7, 200},
		{"an issuer that is null", nil, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := &rig{t: t, browser: logintest.NewBrowser()}
			g.provider = logintest.NewProvider(tenantIssuer(tenantA), logintest.Client{ID: "app", Secret: "canary-client-secret", RedirectURIs: []string{callbackURL}})
			g.browser.Serve("https://login.example.test", g.provider)
			g.provider.Misbehave(logintest.Faults{
				IDToken: func(_, c map[string]any) { c["tid"] = tenantA },
				JWKS: func(set map[string]any) {
					for _, key := range set["keys"].([]any) {
						key.(map[string]any)["issuer"] = test.issuer
					}
				},
			})
			g.auth = g.newAuth(func(c *core.Config) { c.Providers[0].Issuer = tenantIssuer(tenantA) })
			g.browser.Serve(origin, g.app(g.auth))
			if page := g.get(origin + "/me"); page.Status != test.status || (g.logins.Load() == 1) != (test.status == 200) {
				t.Errorf("got %d, and %d logins: %s", page.Status, g.logins.Load(), page.Body)
			}
			if log := g.log.String(); strings.Contains(log, "for another issuer") != (test.status != 200) {
				t.Errorf("logged %s", log)
			}
		})
	}
}

func TestLogoutOfATenantsUser(t *testing.T) {
	t.Parallel()
	g := newTenantRig(t)
	g.login()
	out, err := g.browser.Post(origin+"/auth/logout", nil)
	if err != nil {
		t.Fatal(err)
	}
	to := out.Hops[2].Header.Get("Location")
	if !strings.HasPrefix(to, tenantIssuer("organizations")+"/end-session?") || !strings.Contains(to, "id_token_hint=") {
		t.Errorf("leads to %s", to)
	}
	if out.Status != 200 || g.whoAmI() != "" {
		t.Errorf("ends with %d", out.Status)
	}
}

// Who was let in and is not allowed any more is a stranger.
func TestATenantThatIsNotAllowedAnyMore(t *testing.T) {
	t.Parallel()
	g := newTenantRig(t)
	g.login()
	g.browser.Serve(origin, g.app(g.newAuth(func(c *core.Config) {
		c.Providers[0].Issuer, c.Providers[0].Checks.Tenants = template, []string{tenantB}
	})))
	if got := g.whoAmI(); got != "" {
		t.Errorf("%q is still there", got)
	}
}

// Personal accounts are a tenant, of which only common knows.
func TestMetadataOfPersonalAccounts(t *testing.T) {
	t.Parallel()
	const personal = "9188040d-6c67-4c5b-b112-36a304b66dad"
	var asked string
	g := newTenantRig(t, func(c *core.Config) {
		c.Providers[0].Checks.Tenants = []string{tenantA, personal}
		c.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			asked = r.URL.String()
			return nil, http.ErrHandlerTimeout
		})}
	})
	g.visit(origin + "/auth/login")
	if asked != tenantIssuer("common")+"/.well-known/openid-configuration" {
		t.Errorf("asks %s", asked)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
