package adapters_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// newClientKey returns a key of the client, and its JWKS.
func newClientKey(t *testing.T) (crypto.Signer, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public()}}})
	if err != nil {
		t.Fatal(err)
	}
	return key, set
}

// No attack succeeds on clients that authenticate by a key, push their requests and
// prove a key for their tokens, alone and as FAPI 2.0 demands.
func TestAttackStrongClients(t *testing.T) {
	t.Parallel()
	key, keys := newClientKey(t)
	for name, client := range map[string]logintest.Client{
		"private_key_jwt": {AuthMethod: "private_key_jwt", Keys: keys},
		"PAR":             {AuthMethod: "private_key_jwt", Keys: keys, RequirePAR: true},
		"DPoP":            {AuthMethod: "private_key_jwt", Keys: keys, DPoP: true, DPoPNonces: true},
		"FAPI 2.0":        {AuthMethod: "private_key_jwt", Keys: keys, FAPI2: true, DPoPNonces: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := attackedConfig(func(c *core.Config) {
				p := &c.Providers[0]
				p.ClientSecret = ""
				p.Client.SigningKeys = []core.SigningKey{{Signer: key}}
				p.Client.DPoP = client.DPoP || client.FAPI2
				p.FAPI2 = client.FAPI2
			})
			logintest.Attack(t, logintest.Target{
				Private: "/private", Client: client, Start: startAttacked(t, frameworks["httplogin"], config),
			})
		})
	}
}
