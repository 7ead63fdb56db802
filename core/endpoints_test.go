package core_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

const (
	inside    = "https://keycloak.internal:8443"
	insideTLS = "http://keycloak:8080" // without TLS
)

// newEndpointRig is a rig that keeps tokens and asks UserInfo. Its application reaches the
// provider at the origins in from only.
func newEndpointRig(t *testing.T, from []string, change func(*core.Config)) *tokenRig {
	t.Helper()
	g := &tokenRig{rig: newRig(t)}
	g.auth = g.newAuth(keepTokens, func(c *core.Config) {
		c.HTTPClient = reaching(g.provider, from...)
		c.Providers[0].Requests.UserInfo = true
		change(c)
	})
	g.app = g.tokenApp(g.auth)
	g.browser.Serve(origin, g.app)
	return g
}

// reaching returns a client that reaches the provider at these origins.
func reaching(provider http.Handler, origins ...string) *http.Client {
	handlers := make(map[string]http.Handler)
	for _, origin := range origins {
		handlers[origin] = provider
	}
	return logintest.InMemory(handlers)
}

func byHand(c *core.Config) {
	c.Providers[0].Endpoints = core.EndpointConfig{
		AuthURL: issuer + "/authorize", TokenURL: issuer + "/token", KeysURL: issuer + "/jwks",
		UserInfoURL: issuer + "/userinfo", EndSessionURL: issuer + "/end-session", RevocationURL: issuer + "/revoke",
	}
}

// keysOf returns the provider's key set.
func keysOf(t *testing.T, provider *logintest.Provider) []byte {
	t.Helper()
	response, err := provider.HTTPClient().Get(issuer + "/jwks")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	keys, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func metadata(changes map[string]any) logintest.Faults {
	return logintest.Faults{Discovery: func(m map[string]any) {
		for name, value := range changes {
			m[name] = value
		}
	}}
}

// The browser uses the public addresses, and the application the others: for metadata,
// keys, codes, UserInfo, refreshes and revocations.
func TestEndpoints(t *testing.T) {
	t.Parallel()
	internal := func(at string) func(*core.Config) {
		return func(c *core.Config) {
			c.Providers[0].Endpoints.InternalURL = at
			c.Providers[0].InsecureHTTP = strings.HasPrefix(at, "http:")
		}
	}
	internalEndpoints := map[string]any{"token_endpoint": inside + "/token", "jwks_uri": inside + "/jwks", "userinfo_endpoint": inside + "/userinfo", "revocation_endpoint": inside + "/revoke"}
	for _, test := range []struct {
		name        string
		change      func(*core.Config)
		faults      logintest.Faults
		from        string // where the application reaches the provider; "": at its issuer
		discoveries int
	}{
		{name: "those of the metadata", change: func(*core.Config) {}, discoveries: 1},
		{name: "InternalURL", change: internal(inside), from: inside, discoveries: 1},
		{name: "InternalURL with a slash", change: internal(inside + "/"), from: inside, discoveries: 1},
		{name: "InternalURL on plain http", change: internal(insideTLS), from: insideTLS, discoveries: 1},
		{name: "InternalURL, which the metadata knows", change: internal(inside), faults: metadata(internalEndpoints), from: inside, discoveries: 1},
		{name: "InternalURL, endpoints by hand", change: func(c *core.Config) { byHand(c); c.Providers[0].Endpoints.InternalURL = inside }, from: inside},
		{name: "InternalURL that is Issuer's origin", change: internal(issuer), discoveries: 1},
		{name: "endpoints by hand", change: byHand},
		{name: "UserInfoURL and the like in place of the metadata's", change: func(c *core.Config) {
			byHand(c)
			c.Providers[0].Endpoints.AuthURL, c.Providers[0].Endpoints.TokenURL = "", ""
		}, faults: metadata(map[string]any{"jwks_uri": "/jwks", "userinfo_endpoint": "x", "end_session_endpoint": "x", "revocation_endpoint": "x"}), discoveries: 1},
		{name: "MetadataURL", change: func(c *core.Config) {
			c.Providers[0].Endpoints.MetadataURL = issuer + "/.well-known/oauth-authorization-server"
		}, discoveries: 1},
		{name: "Client.AuthMethod in place of the metadata's", change: func(c *core.Config) { c.Providers[0].Client.AuthMethod = "client_secret_post" },
			faults: metadata(map[string]any{"token_endpoint_auth_methods_supported": []string{"private_key_jwt"}}), discoveries: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			from := test.from
			if from == "" {
				from = issuer
			}
			g := newEndpointRig(t, []string{from}, test.change)
			g.provider.Misbehave(test.faults)
			g.login()
			g.advance(time.Hour - 30*time.Second)
			g.token()
			if page, err := g.browser.Post(origin+"/auth/logout", nil); err != nil || page.URL != origin+"/" {
				t.Fatalf("logout: %v %v", err, page)
			}
			for endpoint, want := range map[logintest.Endpoint]int{
				logintest.Discovery: test.discoveries, logintest.Authorization: 1, logintest.Token: 2, logintest.JWKS: 1,
				logintest.UserInfo: 1, logintest.EndSession: 1, logintest.Revocation: 1,
			} {
				if got := g.provider.Count(endpoint); got != want {
					t.Errorf("%s: got %d requests, want %d", endpoint, got, want)
				}
			}
			for _, request := range g.provider.Requests() {
				inBody := request.Form.Has("client_secret")
				if request.Endpoint == logintest.Token && inBody != strings.HasPrefix(test.name, "Client.AuthMethod") {
					t.Errorf("the secret is in the body: %v", inBody)
				}
			}
		})
	}
}

// Metadata that contradicts the configuration is refused, before a user is sent anywhere.
func TestEndpointsThatContradictTheMetadata(t *testing.T) {
	t.Parallel()
	internal := func(c *core.Config) { c.Providers[0].Endpoints.InternalURL = inside }
	plain := func(c *core.Config) {
		c.Providers[0].Endpoints.InternalURL, c.Providers[0].InsecureHTTP = insideTLS, true
	}
	for _, test := range []struct {
		name    string
		change  func(*core.Config)
		changes map[string]any
		want    string
	}{
		{"rule 77: InternalURL is not the issuer", internal, map[string]any{"issuer": inside}, "must be equal"},
		{"rule 77: MetadataURL of another issuer", func(c *core.Config) {
			c.Providers[0].Endpoints.MetadataURL = inside + "/.well-known/openid-configuration"
		}, map[string]any{"issuer": issuer + "/"}, "must be equal"},
		{"browsers would be sent to InternalURL", internal, map[string]any{"authorization_endpoint": inside + "/authorize"}, "authorization_endpoint is \"" + inside + "/authorize\", at Endpoints.InternalURL"},
		{"browsers would be sent to InternalURL, in other letters", internal, map[string]any{"authorization_endpoint": "HTTPS://KEYCLOAK.INTERNAL:8443/authorize"}, "at Endpoints.InternalURL"},
		{"a logout would end at InternalURL", internal, map[string]any{"end_session_endpoint": inside + "/end-session"}, "end_session_endpoint is \""},
		{"rule 50: http, though no URL of the configuration is", func(c *core.Config) { internal(c); c.Providers[0].InsecureHTTP = true }, map[string]any{"token_endpoint": insideTLS + "/token"}, "token_endpoint is not https"},
		{"rule 50: http for keys", internal, map[string]any{"jwks_uri": "http://id.example.test/jwks"}, "jwks_uri is not https"},
		{"no URL at all", plain, map[string]any{"token_endpoint": "ftp://keycloak/token"}, "token_endpoint is not https"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newEndpointRig(t, []string{inside, insideTLS}, test.change)
			g.provider.Misbehave(metadata(test.changes))
			if err := g.auth.Discover(t.Context()); !errors.Is(err, core.ErrUntrusted) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q in it", err, test.want)
			}
			if page := g.visit(origin + "/auth/login"); page.Status != http.StatusBadGateway || len(g.browser.Cookies(origin)) != 0 {
				t.Errorf("login: got %d and %d cookies", page.Status, len(g.browser.Cookies(origin)))
			}
		})
	}
}

// Documents may move within their origin, which is that of InternalURL. Requests with
// secrets never do.
func TestRedirectsOfInternalURL(t *testing.T) {
	t.Parallel()
	move := func(of logintest.Endpoint, to string) logintest.Faults {
		return logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
			if e != of || r.URL.RawQuery != "" {
				return false
			}
			http.Redirect(w, r, to, http.StatusTemporaryRedirect)
			return true
		}}
	}
	for _, test := range []struct {
		name   string
		faults logintest.Faults
		code   string // "": a login
	}{
		{"metadata within InternalURL", move(logintest.Discovery, inside+string(logintest.Discovery)+"?moved"), ""},
		{"metadata by a path", move(logintest.Discovery, string(logintest.Discovery)+"?moved"), ""},
		{"keys within InternalURL", move(logintest.JWKS, inside+"/jwks?moved"), ""},
		{"rule 49: metadata to the public origin", move(logintest.Discovery, issuer+string(logintest.Discovery)+"?moved"), "provider_metadata_invalid"},
		{"rule 49: keys to the public origin", move(logintest.JWKS, issuer+"/jwks?moved"), "provider_metadata_invalid"},
		{"rule 49: a code within InternalURL", move(logintest.Token, inside+"/token?moved"), "token_response_untrusted"},
		{"rule 49: UserInfo within InternalURL", move(logintest.UserInfo, inside+"/userinfo?moved"), "userinfo_untrusted"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newEndpointRig(t, []string{inside, issuer}, func(c *core.Config) { c.Providers[0].Endpoints.InternalURL = inside })
			g.provider.Misbehave(test.faults)
			if test.code == "" {
				g.login()
				return
			}
			page := g.get(origin + "/me")
			if !strings.Contains(string(page.Body), "<code>"+test.code+"</code>") || g.logins.Load() != 0 || g.whoAmI() != "" {
				t.Errorf("got %d: %s", page.Status, page.Body)
			}
		})
	}
}

// As in Azure AD B2C: the metadata is below the policy, and the issuer is elsewhere.
func TestMetadataApartFromTheIssuer(t *testing.T) {
	t.Parallel()
	const tenant, policy = "https://login.example.test/aaaabbbb-0000-cccc-1111-dddd2222eeee/v2.0/", "/contoso.example/b2c_1_login"
	g := &rig{t: t, browser: logintest.NewBrowser()}
	g.provider = logintest.NewProvider(tenant, logintest.Client{ID: "app", RedirectURIs: []string{callbackURL}, PostLogoutRedirectURIs: []string{origin + "/"}})
	g.provider.Now = g.now
	var asked []string
	atPolicy := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Path)
		if path, ok := strings.CutPrefix(r.URL.Path, policy+"/v2.0"); ok {
			r.URL.Path = "/aaaabbbb-0000-cccc-1111-dddd2222eeee/v2.0" + path
		} else if strings.Contains(r.URL.Path, ".well-known") {
			http.NotFound(w, r) // as there
			return
		}
		g.provider.ServeHTTP(w, r)
	})
	g.browser.Serve("https://login.example.test", g.provider)
	g.auth = g.newAuth(func(c *core.Config) {
		c.HTTPClient = reaching(atPolicy, "https://login.example.test")
		c.Providers = []core.Provider{{Issuer: tenant, ClientID: "app", Scopes: []string{"openid", "app"}}}
		c.Providers[0].Endpoints.MetadataURL = "https://login.example.test" + policy + "/v2.0/.well-known/openid-configuration"
	})
	g.browser.Serve(origin, g.app(g.auth))
	g.login()
	if len(asked) == 0 || asked[0] != policy+"/v2.0/.well-known/openid-configuration" {
		t.Errorf("asked for %q", asked)
	}
}

// Without metadata, a token needs a key that fits, and a callback the right iss, if any.
func TestWithoutMetadata(t *testing.T) {
	t.Parallel()
	signedBy := func(alg string) logintest.Faults {
		return logintest.Faults{IDToken: func(header, _ map[string]any) { header["alg"] = alg }}
	}
	iss := func(change func(url.Values)) logintest.Faults { return logintest.Faults{Authorization: change} }
	for _, test := range []struct {
		name   string
		alg    string // Checks.SigningAlg
		faults logintest.Faults
		code   string // "": a login
	}{
		{name: "RS256"},
		{name: "another algorithm that fits a key", faults: signedBy("ES256")},
		{name: "EdDSA", faults: signedBy("EdDSA")},
		{name: "Checks.SigningAlg", alg: "ES256", faults: signedBy("ES256")},
		{name: "rule 63: not Checks.SigningAlg", alg: "ES256", faults: signedBy("RS256"), code: "id_token_untrusted"},
		{name: "rule 63: an algorithm that is not Checks.SigningAlg", alg: "PS256", code: "id_token_untrusted"},
		{name: "rule 63: none", faults: signedBy("none"), code: "id_token_untrusted"},
		{name: "rule 64: the public key as a secret", faults: signedBy("HS256"), code: "id_token_untrusted"},
		{name: "no iss in the callback", faults: iss(func(q url.Values) { q.Del("iss") })},
		{name: "rule 29: iss of another", faults: iss(func(q url.Values) { q.Set("iss", issuer+"/") }), code: "callback_untrusted"},
		{name: "rule 29: iss twice", faults: iss(func(q url.Values) { q.Add("iss", issuer) }), code: "callback_untrusted"},
		{name: "a key that is not among Keys", faults: logintest.Faults{IDToken: func(header, _ map[string]any) { header["kid"] = "new" }}, code: "id_token_untrusted"},
	} {
		for _, given := range []string{"KeysURL", "Keys"} {
			t.Run(test.name+", "+given, func(t *testing.T) {
				t.Parallel()
				var g *tokenRig
				keys := []byte(nil)
				g = newEndpointRig(t, []string{issuer}, func(c *core.Config) {
					byHand(c)
					c.Providers[0].Checks.SigningAlg = test.alg
				})
				if given == "Keys" {
					keys = keysOf(t, g.provider)
					g.auth = g.newAuth(func(c *core.Config) {
						byHand(c)
						c.Providers[0].Requests.UserInfo, c.Providers[0].Checks.SigningAlg = true, test.alg
						c.Providers[0].Endpoints.Keys, c.Providers[0].Endpoints.KeysURL = keys, ""
					})
					g.browser.Serve(origin, g.rig.app(g.auth))
				}
				g.provider.Misbehave(test.faults)
				before := g.provider.Count(logintest.JWKS)
				if test.code == "" {
					g.login()
				} else if page := g.get(origin + "/me"); !strings.Contains(string(page.Body), "<code>"+test.code+"</code>") || g.logins.Load() != 0 || g.whoAmI() != "" {
					t.Errorf("got %d: %s", page.Status, page.Body)
				}
				if g.provider.Count(logintest.Discovery) != 0 || keys != nil && g.provider.Count(logintest.JWKS) != before {
					t.Error("metadata or keys were fetched")
				}
			})
		}
	}
}

// Keys are those of the configuration until the end: a new one is not fetched, and any
// number of tokens costs no request and no pause.
func TestGivenKeysDoNotChange(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	keys := keysOf(t, g.provider)
	g.auth = g.newAuth(func(c *core.Config) { c.Providers[0].Endpoints.Keys = keys })
	g.browser.Serve(origin, g.app(g.auth))
	for i := range keys {
		keys[i] = 'x' // New has copied it
	}
	g.login()
	g.browser.Forget("", "")
	g.provider.RotateKeys()
	fetched := g.provider.Count(logintest.JWKS)
	for range 8 {
		if page := g.get(origin + "/me"); page.Status != http.StatusBadGateway || !strings.Contains(string(page.Body), "id_token_untrusted") {
			t.Fatalf("got %d: %s", page.Status, page.Body)
		}
	}
	if got := g.provider.Count(logintest.JWKS); got != fetched || g.logins.Load() != 1 {
		t.Errorf("%d requests for keys, and %d logins", got-fetched, g.logins.Load())
	}
}

// Each provider has a client of its own; Config.HTTPClient is for the others.
func TestHTTPClientOfAProvider(t *testing.T) {
	t.Parallel()
	t.Run("two providers", func(t *testing.T) {
		t.Parallel()
		var g *duo
		nowhere := reaching(nil)
		g = newDuo(t)
		auth := g.newAuth(func(c *core.Config) {
			c.Providers = []core.Provider{
				{Name: "one", Issuer: issuer, ClientID: "app", Endpoints: core.EndpointConfig{HTTPClient: g.provider.HTTPClient()}},
				{Name: "two", Issuer: otherIssuer, ClientID: "app"},
			}
			c.HTTPClient = g.two.HTTPClient()
		})
		g.browser.Serve(origin, g.app(auth))
		for _, name := range []string{"one", "two"} {
			g.browser.Forget("", "")
			if page := g.visit(g.at(name).String()); page.Status != http.StatusSeeOther {
				t.Errorf("%s: got %d: %s", name, page.Status, page.Body)
			}
		}
		auth = g.newAuth(func(c *core.Config) {
			c.Providers[0].Endpoints.HTTPClient = nowhere
		})
		if err := auth.Discover(t.Context()); err == nil {
			t.Error("Config.HTTPClient was used")
		}
	})
	t.Run("FetchUser", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		auth := g.newAuth(plainOAuth2, func(c *core.Config) {
			c.HTTPClient, c.Providers[0].Endpoints.HTTPClient = reaching(nil), g.provider.HTTPClient()
		})
		g.browser.Serve(origin, g.app(auth))
		g.login()
	})
	t.Run("a private authority, inside", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		server := httptest.NewTLSServer(g.provider)
		t.Cleanup(server.Close)
		auth := g.newAuth(func(c *core.Config) {
			c.HTTPClient = nil
			c.Providers[0].Endpoints = core.EndpointConfig{InternalURL: server.URL, HTTPClient: server.Client()}
		})
		g.browser.Serve(origin, g.app(auth))
		g.login()
	})
}

// A small answer is still the limit for a client of its own.
func TestHTTPClientOfAProviderHasTheLimits(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.auth = g.newAuth(func(c *core.Config) {
		c.HTTPClient, c.Providers[0].Endpoints.HTTPClient = reaching(nil), g.provider.HTTPClient()
	})
	g.provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
		if e == logintest.Discovery {
			fmt.Fprintf(w, "%q", bytes.Repeat([]byte("x"), 1<<20))
		}
		return e == logintest.Discovery
	}})
	if err := g.auth.Discover(t.Context()); err == nil || !strings.Contains(err.Error(), "larger than 1048576 bytes") {
		t.Errorf("got %v", err)
	}
}
