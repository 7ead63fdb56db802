package core_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// What an administrator's page shows is what the provider is asked with afterwards.
func TestRegistrationFor(t *testing.T) {
	t.Parallel()
	key := onCurve(elliptic.P256())
	for _, test := range []struct {
		name   string
		config func(*core.Config)
		p      core.Provider
		want   string   // the JSON
		faults []string // each is in the error
	}{
		{name: "own callback", p: core.Provider{Name: "acme", Issuer: issuer, ClientID: "app"},
			want: `{"client_id":"app","redirect_uris":["https://app.example.test/auth/callback/acme"],"response_types":["code"],"grant_types":["authorization_code"],` +
				`"scope":"openid profile email","token_endpoint_auth_method":"none","initiate_login_uri":"https://app.example.test/auth/login?provider=acme",` +
				`"post_logout_redirect_uris":["https://app.example.test/"]}`},
		{name: "not registered yet, shared callback", p: core.Provider{Name: "acme", Issuer: issuer, RedirectURL: callbackURL},
			want: `{"redirect_uris":["https://app.example.test/auth/callback"],"response_types":["code"],"grant_types":["authorization_code"],` +
				`"scope":"openid profile email","token_endpoint_auth_method":"none","initiate_login_uri":"https://app.example.test/auth/login?provider=acme",` +
				`"post_logout_redirect_uris":["https://app.example.test/"]}`},
		{name: "with keys and logouts", config: func(c *core.Config) {
			c.KeysPath, c.Logout.Revocations = "/auth/jwks", new(core.MemoryRevocations)
		}, p: core.Provider{Name: "ac.me-2", Issuer: issuer, Client: core.ClientConfig{SigningKeys: []core.SigningKey{{Signer: key}}}},
			want: `{"redirect_uris":["https://app.example.test/auth/callback/ac.me-2"],"response_types":["code"],"grant_types":["authorization_code"],` +
				`"scope":"openid profile email","token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_signing_alg":"ES256",` +
				`"jwks_uri":"https://app.example.test/auth/jwks/ac.me-2","initiate_login_uri":"https://app.example.test/auth/login?provider=ac.me-2",` +
				`"post_logout_redirect_uris":["https://app.example.test/"],` +
				`"backchannel_logout_uri":"https://app.example.test/auth/backchannel-logout/ac.me-2","backchannel_logout_session_required":true,` +
				`"frontchannel_logout_uri":"https://app.example.test/auth/frontchannel-logout/ac.me-2","frontchannel_logout_session_required":true}`},
		{name: "all faults at once", p: core.Provider{Name: "acme", Issuer: "http://id.example.test", RedirectURL: origin + "/elsewhere", Scopes: []string{"email"}},
			faults: []string{"pixy: Provider.Issuer is not an https URL", "pixy: Provider.RedirectURL is no callback of this application; leave it empty for https://app.example.test/auth/callback/acme", "pixy: Provider.Scopes lacks openid"}},
		{name: "no name", p: core.Provider{Issuer: issuer, ClientID: "app"}, faults: []string{"pixy: Provider.Name is missing"}},
		{name: "no name for a path", p: core.Provider{Name: "a/b", Issuer: issuer, ClientID: "app"}, faults: []string{"pixy: Provider.Name cannot be the end of a path"}},
		{name: "name of a listed provider", config: func(c *core.Config) {
			c.Providers = []core.Provider{{Name: "acme", Issuer: issuer, ClientID: "app"}}
		}, p: core.Provider{Name: "acme", Issuer: otherIssuer, ClientID: "app"}, faults: []string{`pixy: Provider.Name is that of one of Config.Providers`}},
		{name: "name of another route", config: func(c *core.Config) { c.Logout.Path = "/auth/callback/out" },
			p: core.Provider{Name: "out", Issuer: issuer, ClientID: "app"}, faults: []string{"pixy: Provider.Name gives the callback /auth/callback/out, which is another route of the login"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.config == nil {
				test.config = func(*core.Config) {}
			}
			c := newCustomers(t, test.config)
			got, err := c.auth.RegistrationFor(test.p)
			if len(test.faults) > 0 {
				if err == nil || strings.Contains(err.Error(), "Providers[0]") {
					t.Fatalf("got %v", err)
				}
				for _, fault := range test.faults {
					if !strings.Contains(err.Error(), fault) {
						t.Errorf("got %v, want %q", err, fault)
					}
				}
				return
			}
			if encoded, _ := json.Marshal(got); err != nil || string(encoded) != test.want {
				t.Errorf("got %s, %v", encoded, err)
			}
			if c.asked.Load() != 0 || got.Provider != test.p.Name || got.Issuer != issuer {
				t.Errorf("Find was asked %d times for %q at %s", c.asked.Load(), got.Provider, got.Issuer)
			}
		})
	}
	c := newCustomers(t)
	if got, err := c.auth.RegistrationFor(core.Provider{Name: "acme", Issuer: issuer}); err != nil || !strings.HasPrefix(got.String(), "register with https://id.example.test:\n  redirect_uris: https://app.example.test/auth/callback/acme\n") {
		t.Errorf("got %s, %v", got, err)
	}
}

// A customer with a host of its own registers that host, and no others.
func TestRegistrationForHosts(t *testing.T) {
	t.Parallel()
	acme := core.Provider{Name: "acme", Issuer: issuer, ClientID: "app"}
	listed := func(c *core.Config) { c.Hosts.Names = []string{"acme.example.test"} }
	approves := func(c *core.Config) {
		c.Hosts.Approve = func(context.Context, string) (bool, error) { t.Error("Approve is asked"); return false, nil }
	}
	for _, test := range []struct {
		name   string
		config func(*core.Config)
		hosts  []string
		want   string // redirect URIs, post-logout redirect URIs, initiate_login_uri; or an error
	}{
		{"known hosts", listed, nil, "https://app.example.test/auth/callback/acme https://acme.example.test/auth/callback/acme " +
			"https://app.example.test/ https://acme.example.test/ https://app.example.test/auth/login?provider=acme"},
		{"one of them", listed, []string{"acme.example.test"}, "https://acme.example.test/auth/callback/acme https://acme.example.test/ https://acme.example.test/auth/login?provider=acme"},
		{"RedirectURL's", nil, []string{"app.example.test"}, "https://app.example.test/auth/callback/acme https://app.example.test/ https://app.example.test/auth/login?provider=acme"},
		{"one that will be approved", approves, []string{"ACME.example.test:443"}, "https://acme.example.test/auth/callback/acme https://acme.example.test/ https://acme.example.test/auth/login?provider=acme"},
		{"another one", listed, []string{"app.example.test", "evil.example.test"}, `pixy: host "evil.example.test" cannot be one of the application`},
		{"another one, without Hosts", nil, []string{"acme.example.test"}, `pixy: host "acme.example.test" cannot be one of the application`},
		{"one outside of the shared domain", func(c *core.Config) { approves(c); c.Hosts.SharedDomain = "example.test" }, []string{"acme.test"}, `pixy: host "acme.test" cannot`},
		{"no host", approves, []string{"https://acme.example.test/"}, `pixy: host "https://acme.example.test/" cannot`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.config == nil {
				test.config = func(*core.Config) {}
			}
			r, err := newCustomers(t, test.config).auth.RegistrationFor(acme, test.hosts...)
			got := strings.Join(append(append(r.RedirectURIs, r.PostLogoutRedirectURIs...), r.InitiateLoginURI), " ")
			if err != nil {
				got = err.Error()
			}
			if got != test.want && (err == nil || !strings.HasPrefix(got, test.want)) {
				t.Errorf("got %s", got)
			}
		})
	}
}

// Discover tries providers by their names, listed and looked-up ones, and no others.
func TestDiscoverByName(t *testing.T) {
	t.Parallel()
	c := newCustomers(t, func(c *core.Config) {
		c.Providers = []core.Provider{{Name: "staff", Issuer: issuer, ClientID: "app"}}
	})
	c.change("two", func(p *core.Provider) { p.Scopes = []string{"x"} })
	fetched := func() int { return c.provider.Count(logintest.Discovery) + c.two.Count(logintest.Discovery) }
	for _, test := range []struct {
		names   []string
		code    string
		fetched int // altogether
		asked   int32
	}{
		{nil, "", 1, 0},
		{[]string{"staff"}, "", 1, 0},
		{[]string{"one"}, "", 2, 1},
		{[]string{"one", "staff"}, "", 2, 2},
		{[]string{"two"}, "provider_invalid", 2, 3},
		{[]string{"three"}, "provider_unknown", 2, 4},
		{[]string{"../x"}, "provider_unknown", 2, 4},
	} {
		err := c.auth.Discover(context.Background(), test.names...)
		failure := new(core.Error)
		if errors.As(err, &failure); failure.Code != test.code || (err == nil) != (test.code == "") {
			t.Errorf("%q: got %v", test.names, err)
		}
		if fetched() != test.fetched || c.asked.Load() != test.asked {
			t.Errorf("%q: %d fetches, Find was asked %d times", test.names, fetched(), c.asked.Load())
		}
	}
	c.down = errors.New("down")
	if err := c.auth.Discover(context.Background(), "one"); !errors.Is(err, core.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// A third party names a customer and that customer's issuer, or the issuer of a listed
// provider.
func TestThirdPartiesAndLookedUpProviders(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, query string
		down        error
		status      int
		leads       string
	}{
		{"a customer and its issuer", "provider=one&iss=" + issuer, nil, 303, issuer + "/authorize"},
		{"the issuer alone is a listed provider's", "iss=" + thirdIssuer, nil, 303, "/auth/login"},
		{"the issuer alone is a customer's", "iss=" + issuer, nil, 404, "provider_unknown"},
		{"a customer and the issuer of another", "provider=one&iss=" + otherIssuer, nil, 404, "provider_unknown"},
		{"a customer and the issuer of a listed provider", "provider=one&iss=" + thirdIssuer, nil, 404, "provider_unknown"},
		{"a customer, and an empty issuer", "provider=one&iss=", nil, 404, "provider_unknown"},
		{"a customer, and two issuers", "provider=one&iss=" + issuer + "&iss=" + issuer, nil, 404, "provider_unknown"},
		{"a customer that there is not", "provider=three&iss=" + issuer, nil, 404, "provider_unknown"},
		{"a listed provider and the issuer of a customer", "provider=staff&iss=" + issuer, nil, 404, "provider_unknown"},
		{"the table is down", "provider=one&iss=" + issuer, errors.New("down"), 503, "lookup_unavailable"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := newCustomers(t, func(c *core.Config) {
				c.Providers = []core.Provider{{Name: "staff", Issuer: thirdIssuer, ClientID: "app", Endpoints: core.EndpointConfig{
					AuthURL: thirdIssuer + "/auth/login", TokenURL: thirdIssuer + "/token", KeysURL: thirdIssuer + "/keys",
				}}}
			})
			c.down = test.down
			page := c.visit(origin + "/auth/login?login_hint=ada@example.test&" + test.query)
			said := page.Header.Get("Location") + string(page.Body)
			if page.Status != test.status || !strings.Contains(said, test.leads) || (len(page.Header["Set-Cookie"]) == 0) != (test.status != 303) {
				t.Errorf("got %d %s", page.Status, said)
			}
			if to, err := url.Parse(page.Header.Get("Location")); err != nil || test.status == 303 && to.Query().Get("login_hint") != "ada@example.test" {
				t.Errorf("redirected to %s", to)
			}
		})
	}
}

const thirdIssuer = "https://third.example.test"

// The keys for each customer's client have a URL of their own.
func TestKeysOfLookedUpProviders(t *testing.T) {
	t.Parallel()
	mine, theirs, listed := onCurve(elliptic.P256()), onCurve(elliptic.P256()), onCurve(elliptic.P256())
	with := func(key *ecdsa.PrivateKey) func(*core.Provider) {
		return func(p *core.Provider) { p.Client.SigningKeys = []core.SigningKey{{Signer: key}} }
	}
	for _, alone := range []bool{false, true} {
		c := newCustomers(t, func(c *core.Config) {
			c.KeysPath = "/auth/jwks"
			if !alone {
				c.Providers = []core.Provider{{Name: "staff", Issuer: thirdIssuer, ClientID: "app"}}
				with(listed)(&c.Providers[0])
			}
		})
		c.change("one", with(mine))
		c.change("two", with(theirs))
		x := func(key *ecdsa.PrivateKey) string {
			encoded, _ := json.Marshal(jose.JSONWebKey{Key: key.Public()})
			_, rest, _ := strings.Cut(string(encoded), `"x":"`)
			return rest[:20]
		}
		for path, want := range map[string]struct {
			status int
			has    *ecdsa.PrivateKey
		}{
			"/one": {200, mine}, "/two": {200, theirs}, "": {200, listed}, "/staff": {200, listed}, "/three": {404, nil}, "/a..b": {404, nil},
		} {
			if alone && want.has == listed {
				continue
			}
			page := c.visit(origin + "/auth/jwks" + path)
			body := string(page.Body)
			if page.Status != want.status || want.has != nil && (!strings.Contains(body, x(want.has)) || strings.Count(body, `"kty"`) != 1 || page.Header.Get("Cache-Control") != "public, max-age=300") ||
				want.has == nil && page.Header.Get("Cache-Control") != "no-store" || strings.Contains(body, `"d"`) {
				t.Errorf("%s: got %d %v %s", path, page.Status, page.Header, body)
			}
		}
		if page := c.visit(origin + "/auth/jwks"); alone && string(page.Body) != `{"keys":[]}` {
			t.Errorf("got %s", page.Body)
		}
		c.change("one", with(theirs))
		if page := c.visit(origin + "/auth/jwks/one"); !strings.Contains(string(page.Body), x(theirs)) {
			t.Errorf("a changed key: got %s", page.Body)
		}
		c.down = errors.New("down")
		if page := c.visit(origin + "/auth/jwks/one"); page.Status != http.StatusServiceUnavailable || page.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("the table is down: got %d %v", page.Status, page.Header)
		}
	}
}
