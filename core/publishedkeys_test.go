package core_test

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

const keysURL = origin + "/auth/jwks"

// published makes an application publish its keys.
func published(c *core.Config) { c.KeysPath = "/auth/jwks" }

// The set has the public keys of all providers, once each, in the order of their use.
func TestPublishedKeys(t *testing.T) {
	t.Parallel()
	rsaToo, _ := rsa.GenerateKey(rand.Reader, 2048)
	onP384, _ := ecdh.P384().GenerateKey(rand.Reader)
	g := newRig(t, published, func(c *core.Config) {
		c.Providers[0].Client = core.ClientConfig{
			SigningKeys:    []core.SigningKey{{Signer: clientKey}, {Signer: rsaKey, KeyID: "next", Alg: "PS256"}},
			DecryptionKeys: []crypto.PrivateKey{onP384},
		}
		other := core.Provider{Name: "two", Issuer: "https://two.example.test", ClientID: "app", Client: core.ClientConfig{
			SigningKeys:    []core.SigningKey{{Signer: rsaKey, KeyID: "next", Alg: "RS256"}, {Signer: clientKey}, {Signer: clientKey, KeyID: "named"}},
			DecryptionKeys: []crypto.PrivateKey{rsaToo},
		}}
		c.Providers = append(c.Providers, other)
	})
	page := g.fetch("GET", keysURL)
	if page.Status != http.StatusOK || page.Header.Get("Content-Type") != "application/json" || page.Header.Get("Cache-Control") != "public, max-age=300" || len(page.Header["Set-Cookie"]) > 0 {
		t.Fatalf("got %d %v", page.Status, page.Header)
	}
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(page.Body, &set); err != nil {
		t.Fatal(err)
	}
	want := []struct{ kid, use, kty, alg string }{
		{thumbprint(t, clientKey), "sig", "EC", ""}, {"next", "sig", "RSA", ""}, {"", "enc", "EC", ""},
		{"named", "sig", "EC", ""}, {thumbprint(t, rsaToo), "enc", "RSA", ""},
	}
	if len(set.Keys) != len(want) {
		t.Fatalf("got %s", page.Body)
	}
	for i, key := range set.Keys {
		alg, _ := key["alg"].(string)
		if w := want[i]; w.kid != "" && key["kid"] != w.kid || key["use"] != w.use || key["kty"] != w.kty || alg != w.alg {
			t.Errorf("key %d: got %v, want %v", i, key, w)
		}
		for name := range key {
			if strings.Contains("d p q dp dq qi k", name) {
				t.Errorf("key %d has a private member %s", i, name)
			}
		}
	}
	if page := g.fetch("HEAD", keysURL); page.Status != http.StatusOK || len(page.Body) > 0 || page.Header.Get("Content-Type") != "application/json" {
		t.Errorf("HEAD: got %d %v %q", page.Status, page.Header, page.Body)
	}
	if page := g.fetch("POST", keysURL); page.Status != http.StatusMethodNotAllowed || page.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: got %d %v", page.Status, page.Header)
	}
	if page := newRig(t).fetch("GET", keysURL); strings.Contains(string(page.Body), "keys") {
		t.Errorf("without KeysPath: got %d %s", page.Status, page.Body)
	}
}

// With one of two providers left out, only the keys of the other are published.
func TestPublishedKeysOfSoundProviders(t *testing.T) {
	t.Parallel()
	g := newRig(t, published, func(c *core.Config) {
		c.SkipFaultyProviders = true
		faulty := c.Providers[0]
		faulty.Name, faulty.Issuer, faulty.ClientID = "two", "https://two.example.test", ""
		faulty.Client.SigningKeys = []core.SigningKey{{Signer: clientKey, KeyID: "one"}}
		c.Providers[0].Client.SigningKeys = []core.SigningKey{{Signer: rsaKey, KeyID: "one"}}
		c.Providers = append([]core.Provider{faulty}, c.Providers...)
	})
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(g.fetch("GET", keysURL).Body, &set); err != nil || len(set.Keys) != 1 || !rsaKey.PublicKey.Equal(set.Keys[0].Key) {
		t.Errorf("got %v %v", set, err)
	}
}

// A key is replaced without a failed login: old and new processes of the application run
// side by side, each step of the way, and the provider asks any of them for the keys.
func TestSigningKeysAreReplaced(t *testing.T) {
	t.Parallel()
	next, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	for _, step := range []struct {
		name     string
		old, new []core.SigningKey
	}{
		{"rule 133: the new key is added", []core.SigningKey{{Signer: clientKey}}, []core.SigningKey{{Signer: clientKey}, {Signer: next}}},
		{"it signs", []core.SigningKey{{Signer: clientKey}, {Signer: next}}, []core.SigningKey{{Signer: next}, {Signer: clientKey}}},
		{"the old key is removed", []core.SigningKey{{Signer: next}, {Signer: clientKey}}, []core.SigningKey{{Signer: next}}},
	} {
		t.Run(step.name, func(t *testing.T) {
			t.Parallel()
			g := newRigOf(t, func(c *logintest.Client) {
				c.Secret, c.AuthMethod, c.KeysURI = "", "private_key_jwt", keysURL
			}, published, signedBy(clientKey))
			var processes []http.Handler
			for _, keys := range [][]core.SigningKey{step.old, step.new} {
				processes = append(processes, g.app(g.newAuth(published, signedBy(clientKey), func(c *core.Config) { c.Providers[0].Client.SigningKeys = keys })))
			}
			for _, asked := range processes {
				for _, logsIn := range processes {
					g.provider.Outbound = logintest.InMemory(map[string]http.Handler{origin: asked})
					g.browser.Forget("", "")
					g.browser.Serve(origin, logsIn)
					g.login()
				}
			}
		})
	}
}

// A key with a certificate is published with it, for providers that find keys so.
func TestPublishedKeysHaveTheirCertificate(t *testing.T) {
	t.Parallel()
	certificate := newCertificate(t, "app")
	g := newRig(t, published, func(c *core.Config) {
		c.Providers[0].Client.SigningKeys = []core.SigningKey{{Signer: certificate.PrivateKey.(crypto.Signer), Certificate: certificate.Leaf}}
	})
	var set jose.JSONWebKeySet
	if page := g.fetch("GET", keysURL); json.Unmarshal(page.Body, &set) != nil || len(set.Keys) != 1 {
		t.Fatalf("got %s", page.Body)
	}
	if chain := set.Keys[0].Certificates; len(chain) != 1 || !chain[0].Equal(certificate.Leaf) || len(set.Keys[0].CertificateThumbprintSHA256) == 0 {
		t.Errorf("got the certificates %v", chain)
	}
}
