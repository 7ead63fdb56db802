package core

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"net/http"
	"strings"
	"testing"
)

func newECKey(curve elliptic.Curve) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

// fapiConfig is of a client that proves itself by a key, and its tokens by DPoP.
func fapiConfig() Config {
	c := goodConfig()
	c.Providers[0].FAPI2 = true
	c.Providers[0].Client = ClientConfig{SigningKeys: []SigningKey{{Signer: newECKey(elliptic.P256())}}, DPoP: true}
	return c
}

func noCertificate() (*tls.Certificate, error) { return nil, http.ErrNotSupported }

func TestFAPI2IsAnErrorOfNewThatNamesTheClause(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	client := func(change func(*ClientConfig)) func(*Config) {
		return func(c *Config) { change(&c.Providers[0].Client) }
	}
	key := func(signer crypto.Signer, alg string) func(*Config) {
		return client(func(c *ClientConfig) { c.SigningKeys = append(c.SigningKeys, SigningKey{Signer: signer, Alg: alg}) })
	}
	skipping := func() *http.Client {
		return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	}
	for _, test := range []struct {
		name   string
		change func(*Config)
		want   string // the beginning; "": accepted
		clause string
	}{
		{"a key and DPoP", func(*Config) {}, "", ""},
		{"a certificate for both", client(func(c *ClientConfig) { *c = ClientConfig{Certificate: noCertificate} }), "", ""},
		{"a key and a certificate", client(func(c *ClientConfig) { c.DPoP, c.Certificate = false, noCertificate }), "", ""},
		{"a certificate and DPoP", client(func(c *ClientConfig) { c.SigningKeys, c.Certificate = nil, noCertificate }), "", ""},
		{"message signing", func(c *Config) {
			c.Providers[0].Requests.SignedRequest, c.Providers[0].Requests.SignedResponse = true, true
		}, "", ""},
		{"without OpenID Connect", func(c *Config) {
			c.Providers[0].FetchUser = func(context.Context, *http.Client) (map[string]any, error) { return nil, nil }
		}, "", ""},
		{"another place of the metadata", func(c *Config) { c.Providers[0].Endpoints.MetadataURL = "https://id.example.test/m" }, "", ""},
		{"a form that is not signed", func(c *Config) { c.Providers[0].Requests.FormPost = true }, "", ""},
		{"an RSA key", key(rsaKey, ""), "", ""},
		{"an RSA key for PS256", key(rsaKey, "PS256"), "", ""},
		{"an Ed25519 key", key(edKey, ""), "", ""},
		{"Checks.SigningAlg PS256", func(c *Config) { c.Providers[0].Checks.SigningAlg = "PS256" }, "", ""},
		{"Checks.SigningAlg EdDSA", func(c *Config) { c.Providers[0].Checks.SigningAlg = "EdDSA" }, "", ""},
		{"a client that verifies certificates", func(c *Config) {
			c.HTTPClient = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{}}}
		}, "", ""},
		{"a client that does not, for other providers", func(c *Config) {
			c.HTTPClient, c.Providers[0].Endpoints.HTTPClient = skipping(), &http.Client{}
		}, "", ""},

		{"an application on http", func(c *Config) { c.RedirectURL = "http://localhost/auth/callback" }, "RedirectURL is plain http; use https", "5.3.2.2 (8)"},
		{"a provider on http", func(c *Config) {
			c.RedirectURL, c.Providers[0].Issuer = "http://localhost/auth/callback", "http://localhost:9000"
		}, "Issuer is plain http; use https", "5.2.1 (1)"},
		{"InsecureHTTP", func(c *Config) { c.Providers[0].InsecureHTTP = true }, "InsecureHTTP is true; leave it false", "5.2.1 (1)"},
		{"a client that accepts any server", func(c *Config) { c.HTTPClient = skipping() }, "Endpoints.HTTPClient, or HTTPClient of Config, does not verify certificates", "5.2.1 (5)"},
		{"a client of its own that accepts any server", func(c *Config) { c.Providers[0].Endpoints.HTTPClient = skipping() }, "Endpoints.HTTPClient, or HTTPClient of Config, does not verify certificates", "5.2.1 (5)"},
		{"an endpoint by hand", func(c *Config) { c.Providers[0].Endpoints.PARURL = "https://id.example.test/p" }, "Endpoints.PARURL replaces the metadata; leave it empty", "5.3.3.1 (9)"},
		{"no metadata", endpoints(func(*EndpointConfig) {}), "Endpoints.AuthURL replaces the metadata", "5.3.3.1 (9)"},
		{"keys by hand", func(c *Config) { c.Providers[0].Endpoints.Keys = publicKeys }, "Endpoints.Keys replaces the metadata", "5.3.3.1 (9)"},
		{"an internal URL", func(c *Config) { c.Providers[0].Endpoints.InternalURL = "https://id.internal" }, "Endpoints.InternalURL replaces the metadata", "5.3.3.1 (9)"},
		{"tenants", func(c *Config) {
			p := tenantExample()
			p.FAPI2, p.Client = true, c.Providers[0].Client
			c.Providers[0] = p
		}, "Checks.Tenants is for an Issuer that is a template", "5.3.3.1 (11)"},
		{"a client secret", func(c *Config) { c.Providers[0].ClientSecret = "s" }, "ClientSecret or Client.SecretFunc is set; remove it", "5.3.3.1 (2)"},
		{"a client secret from elsewhere", client(func(c *ClientConfig) {
			c.SecretFunc = func(context.Context) (string, error) { return "s", nil }
		}), "ClientSecret or Client.SecretFunc is set; remove it", "5.3.3.1 (2)"},
		{"a public client", client(func(c *ClientConfig) { c.SigningKeys = nil }), "Client has neither SigningKeys nor Certificate", "5.3.3.1 (2)"},
		{"a method by secret", client(func(c *ClientConfig) { c.AuthMethod = "client_secret_basic" }), "Client.AuthMethod is client_secret_basic", "5.3.3.1 (2)"},
		{"another audience", client(func(c *ClientConfig) { c.AssertionAudience = "https://id.example.test/token" }), "Client.AssertionAudience is set; leave it empty", "5.3.3.1 (5)"},
		{"bearer tokens", client(func(c *ClientConfig) { c.DPoP = false }), "Client has neither DPoP nor Certificate", "5.3.3.1 (1)"},
		{"a key for RS256", key(rsaKey, "RS256"), "Client.SigningKeys has a key that cannot sign by PS256", "5.4.1 (1)"},
		{"a key for PS384", key(rsaKey, "PS384"), "Client.SigningKeys has a key that cannot sign by PS256", "5.4.1 (1)"},
		{"a key on P-384", key(newECKey(elliptic.P384()), ""), "Client.SigningKeys has a key that cannot sign by PS256", "5.4.1 (1)"},
		{"Checks.SigningAlg RS256", func(c *Config) { c.Providers[0].Checks.SigningAlg = "RS256" }, "Checks.SigningAlg is RS256; give PS256, ES256 or EdDSA", "5.4.1 (1)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := fapiConfig()
			test.change(&c)
			_, err := New(c)
			if test.want == "" {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			want := "Config.Providers[0]." + test.want
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "and FAPI2 is set (FAPI 2.0 Security Profile section "+test.clause+")") {
				t.Errorf("got %v, want %s, and %s", err, want, test.clause)
			}
			for i := range c.Providers {
				c.Providers[i].FAPI2 = false
			}
			if _, err := New(c); err != nil && strings.Contains(err.Error(), "FAPI") {
				t.Errorf("without FAPI2: %v", err)
			}
		})
	}
	t.Run("a form that is signed", func(t *testing.T) {
		t.Parallel()
		c := fapiConfig()
		c.Providers[0].Requests.FormPost, c.Providers[0].Requests.SignedResponse = true, true
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), "Requests.FormPost is set, and so are FAPI2 and SignedResponse; leave it false (FAPI 2.0 Message Signing section 5.4.2)") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("what follows from it", func(t *testing.T) {
		t.Parallel()
		c := fapiConfig()
		c.Providers[0].Client.SigningKeys = append(c.Providers[0].Client.SigningKeys, SigningKey{Signer: rsaKey})
		a, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		if p := a.config.Providers[0]; !p.Requests.PAR || p.Client.SigningKeys[1].Alg != "PS256" {
			t.Errorf("PAR is %v, and the RSA key is for %q", p.Requests.PAR, p.Client.SigningKeys[1].Alg)
		}
		if c.Providers[0].Client.SigningKeys[1].Alg != "" {
			t.Error("New has changed the Config it was given")
		}
	})
}
