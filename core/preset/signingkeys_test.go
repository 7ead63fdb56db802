package preset_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
	"github.com/pixyauth/pixy/core/preset"
)

var rsaKey, otherKey = newRSAKey(), newRSAKey()

func newRSAKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
}

// A clerk checks client assertions as a provider documents it, and refuses others.
type clerk struct {
	audience string
	alg      jose.SignatureAlgorithm
	kid      string            // empty: any
	x5t      *x509.Certificate // whose thumbprint the header must have; nil: none
}

func (c *clerk) check(assertion string) error {
	signed, err := jose.ParseSignedCompact(assertion, []jose.SignatureAlgorithm{c.alg})
	if err != nil {
		return err
	}
	payload, err := signed.Verify(&rsaKey.PublicKey)
	if err != nil {
		return err
	}
	var claims struct {
		Iss, Sub, Aud, Jti string
		Exp                int64
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return err
	}
	header := signed.Signatures[0].Protected
	var thumbprint any
	if c.x5t != nil {
		sum := sha256.Sum256(c.x5t.Raw)
		thumbprint = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	switch {
	case claims.Iss != "app" || claims.Sub != "app" || claims.Aud != c.audience:
		return fmt.Errorf("got %+v", claims)
	case claims.Jti == "" || claims.Exp > time.Now().Add(5*time.Minute).Unix():
		return fmt.Errorf("got %+v", claims)
	case c.kid != "" && header.KeyID != c.kid || header.ExtraHeaders["x5t#S256"] != thumbprint:
		return fmt.Errorf("got the header %+v", header)
	}
	return nil
}

// guard returns the test provider behind a token endpoint that takes assertions only.
func (c *clerk) guard(provider *logintest.Provider) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/token") {
			body, _ := io.ReadAll(r.Body)
			form, _ := url.ParseQuery(string(body))
			if err := c.check(form.Get("client_assertion")); err != nil {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusUnauthorized)
				fmt.Fprintf(w, `{"error":"invalid_client","error_description":%q}`, err)
				return
			}
			form.Del("client_assertion")
			form.Del("client_assertion_type")
			form.Set("client_secret", client.Secret)
			r.Body = io.NopCloser(strings.NewReader(form.Encode()))
		}
		provider.ServeHTTP(w, r)
	})
}

func selfSigned(key crypto.Signer) *x509.Certificate {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().AddDate(1, 0, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return certificate
}

func byKey(key core.SigningKey) preset.Client {
	return preset.Client{ID: "app", Secret: "is not used", SigningKeys: []core.SigningKey{key}}
}

// Each provider gets assertions as it documents them. Another key is refused.
func TestSigningKeys(t *testing.T) {
	t.Parallel()
	certificate := selfSigned(rsaKey)
	const organizations = "https://login.microsoftonline.com/organizations/v2.0"
	zitadel := func(c preset.Client) core.Provider { return preset.ZITADEL("id.example.test", c) }
	for _, test := range []struct {
		quirk  string
		preset func(preset.Client) core.Provider
		key    core.SigningKey
		issuer string
		clerk  clerk
		faults logintest.Faults
	}{
		{"Entra: the thumbprint of the certificate, and the token endpoint", func(c preset.Client) core.Provider { return preset.Entra(tenant, c) },
			core.SigningKey{Certificate: certificate}, entraIssuer(tenant),
			clerk{audience: "https://login.microsoftonline.com/" + tenant + "/oauth2/v2.0/token", alg: jose.PS256, x5t: certificate}, entraToken(tenant, nil)},
		{"Entra: several tenants", func(c preset.Client) core.Provider { return preset.EntraMultiTenant(c, tenant) },
			core.SigningKey{Certificate: certificate}, organizations,
			clerk{audience: "https://login.microsoftonline.com/organizations/oauth2/v2.0/token", alg: jose.PS256, x5t: certificate}, entraTemplate(tenant)},
		{"Keycloak: the issuer", func(c preset.Client) core.Provider { return preset.Keycloak("id.example.test", "staff", c) },
			core.SigningKey{}, "https://id.example.test/realms/staff", clerk{audience: "https://id.example.test/realms/staff", alg: jose.PS256}, logintest.Faults{}},
		{"Auth0: the issuer with its slash, the key's id and RS256", func(c preset.Client) core.Provider { return preset.Auth0("example.auth0.com", c) },
			core.SigningKey{KeyID: "of-auth0", Alg: "RS256"}, "https://example.auth0.com/", clerk{audience: "https://example.auth0.com/", alg: jose.RS256, kid: "of-auth0"}, silent(logintest.Faults{})},
		{"Okta: the organization's token endpoint", func(c preset.Client) core.Provider { return preset.Okta("example.okta.com", c) },
			core.SigningKey{}, "https://example.okta.com", clerk{audience: "https://example.okta.com/oauth2/v1/token", alg: jose.PS256}, logintest.Faults{}},
		{"Okta: another server's token endpoint", func(c preset.Client) core.Provider { return preset.Okta("https://example.okta.com/oauth2/default", c) },
			core.SigningKey{}, "https://example.okta.com/oauth2/default", clerk{audience: "https://example.okta.com/oauth2/default/v1/token", alg: jose.PS256}, logintest.Faults{}},
		{"ZITADEL: the issuer, the key's id and RS256", zitadel, core.SigningKey{KeyID: "81693565968962154", Alg: "RS256"},
			"https://id.example.test", clerk{audience: "https://id.example.test", alg: jose.RS256, kid: "81693565968962154"}, logintest.Faults{}},
		{"Login.gov: the token endpoint and RS256", func(c preset.Client) core.Provider { return preset.LoginGov("secure.login.gov", c) },
			core.SigningKey{}, "https://secure.login.gov/", clerk{audience: "https://secure.login.gov/api/openid_connect/token", alg: jose.RS256}, silent(logintest.Faults{IDToken: thin})},
	} {
		serve := func() (*logintest.Provider, web) {
			discovery := test.faults.Discovery
			faults := test.faults
			faults.Discovery = func(m map[string]any) {
				if discovery != nil {
					discovery(m)
				}
				m["token_endpoint_auth_methods_supported"] = []string{"client_secret_post", "private_key_jwt"}
			}
			provider, clerk := newProvider(test.issuer, faults), test.clerk
			return provider, web{host(t, test.issuer): clerk.guard(provider)}
		}
		t.Run(test.quirk, func(t *testing.T) {
			t.Parallel()
			provider, web := serve()
			key := test.key
			key.Signer = rsaKey
			a := newApp(t, test.preset(byKey(key)), web)
			if user := a.login(); user.Subject != "ada" || user.Email != "ada@example.test" {
				t.Errorf("got %+v", user)
			}
			if got := provider.Count(logintest.Token); got != 1 {
				t.Errorf("%d token requests", got)
			}
		})
		t.Run(test.quirk+": another key", func(t *testing.T) {
			t.Parallel()
			provider, web := serve()
			key := test.key
			key.Signer = otherKey
			if key.Certificate != nil {
				key.Certificate = selfSigned(otherKey)
			}
			newApp(t, test.preset(byKey(key)), web).refused(502, "client_refused")
			if got := provider.Count(logintest.Token); got != 0 {
				t.Errorf("%d token requests", got)
			}
		})
	}
}

// entraTemplate edits metadata, keys and tokens like those of Entra for several tenants.
func entraTemplate(of string) logintest.Faults {
	faults := entraToken(of, nil)
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
	return faults
}

// Providers that verify the issuer as audience, at a test provider that enforces RFC 7523.
func TestSigningKeysAreEnforced(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "key-1", Use: "sig"}}})
	if err != nil {
		t.Fatal(err)
	}
	const issuer = "https://id.example.test/realms/staff"
	provider := logintest.NewProvider(issuer, logintest.Client{
		ID: "app", AuthMethod: "private_key_jwt", Keys: keys, RedirectURIs: []string{callbackURL}, PostLogoutRedirectURIs: []string{origin + "/"},
	})
	a := newApp(t, preset.Keycloak("id.example.test", "staff", byKey(core.SigningKey{Signer: key, KeyID: "key-1"})), web{"id.example.test": provider})
	if user := a.login(); user.Key() != issuer+" ada" {
		t.Errorf("got %+v", user)
	}
}

// A provider that takes secrets only ends the login before the browser is sent away.
func TestSigningKeysWithoutSupport(t *testing.T) {
	t.Parallel()
	provider := newProvider("https://accounts.google.com", logintest.Faults{})
	newApp(t, preset.Google(byKey(core.SigningKey{Signer: rsaKey})), web{"accounts.google.com": provider}).refused(502, "provider_metadata_invalid")
	if got := provider.Count(logintest.Authorization); got != 0 {
		t.Errorf("%d authorization requests", got)
	}
}

func TestLoginGov(t *testing.T) {
	t.Parallel()
	keys := []core.SigningKey{{Signer: rsaKey}, {Signer: otherKey, Alg: "PS256"}}
	p := preset.LoginGov("idp.int.identitysandbox.gov", preset.Client{ID: "app", SigningKeys: keys})
	if p.Issuer != "https://idp.int.identitysandbox.gov/" || p.Name != "LoginGov" || p.Label != "Login.gov" || strings.Join(p.Scopes, " ") != "openid email" {
		t.Errorf("got %+v", p)
	}
	if got := p.Requests.AuthParams.Get("acr_values"); got != "urn:acr.login.gov:auth-only" {
		t.Errorf("acr_values is %q", got)
	}
	if got := p.Client.SigningKeys; len(got) != 2 || got[0].Alg != "RS256" || got[1].Alg != "PS256" || keys[0].Alg != "" {
		t.Errorf("got %+v from %+v", got, keys)
	}
	if p := preset.LoginGov("secure.login.gov", preset.Client{ID: "app"}); p.Client.AuthMethod != "" || p.Client.AssertionAudience != "" {
		t.Errorf("a public client: got %+v", p.Client)
	}
}
