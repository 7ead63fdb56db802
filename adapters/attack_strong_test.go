package adapters_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// No attack succeeds on a strong client, whose provider demands what the application's
// own registration says: each rule alone, and all that FAPI 2.0 demands.
func TestAttackStrongClients(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	decryption, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*core.Provider, *logintest.Client){
		"private_key_jwt": func(*core.Provider, *logintest.Client) {},
		"PAR":             func(p *core.Provider, _ *logintest.Client) { p.Requests.PAR = true },
		"DPoP":            func(p *core.Provider, c *logintest.Client) { p.Client.DPoP, c.DPoPNonces = true, true },
		"JARM": func(p *core.Provider, _ *logintest.Client) {
			p.Requests.SignedResponse, p.Checks.SigningAlg = true, "ES256"
		},
		"encrypted tokens": func(p *core.Provider, _ *logintest.Client) {
			p.Client.DecryptionKeys, p.Requests.UserInfo = []crypto.PrivateKey{decryption}, true
		},
		"JAR": func(p *core.Provider, _ *logintest.Client) { p.Requests.SignedRequest = true },
		"FAPI 2.0 Message Signing": func(p *core.Provider, c *logintest.Client) {
			p.FAPI2, p.Client.DPoP, c.FAPI2, c.DPoPNonces = true, true, true, true
			p.Requests.SignedRequest, p.Requests.SignedResponse, p.Checks.SigningAlg = true, true, "ES256"
		},
		"FAPI 2.0": func(p *core.Provider, c *logintest.Client) {
			p.FAPI2, p.Client.DPoP, c.FAPI2, c.DPoPNonces = true, true, true, true
		},
	} {
		if raced && name != "encrypted tokens" && name != "FAPI 2.0 Message Signing" { // which has all of the others
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var more logintest.Client
			config := attackedConfig(func(c *core.Config) {
				p := &c.Providers[0]
				p.ClientSecret = ""
				p.Client.AuthMethod = "private_key_jwt"
				p.Client.SigningKeys = []core.SigningKey{{Signer: key}}
				change(p, &more)
			})
			client := registeredClient(t, config)
			if encrypted := client.EncryptIDToken != (logintest.Encryption{}); encrypted != (name == "encrypted tokens") {
				t.Errorf("ID tokens are encrypted: %v", encrypted)
			}
			client.FAPI2, client.DPoPNonces = more.FAPI2, more.DPoPNonces
			logintest.Attack(t, logintest.Target{
				Private: "/private", Client: client, Start: startAttacked(t, frameworks["httplogin"], config),
			})
		})
	}
}

// registeredClient returns the client that an application asks to be.
func registeredClient(t *testing.T, config core.Config) logintest.Client {
	t.Helper()
	auth, err := core.New(config)
	if err != nil {
		t.Fatal(err)
	}
	registration, err := json.Marshal(auth.Registrations()[0])
	if err != nil {
		t.Fatal(err)
	}
	client, err := logintest.ParseClient(registration)
	if err != nil {
		t.Fatal(err)
	}
	return client
}
