package adapters_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A callback whose token request has a DPoP proof. The floor is the signature of the proof
// alone. BenchmarkCallback is the same without a proof.
func BenchmarkBoundCallback(b *testing.B) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	f := newFlow(b, "RS256", 200, func(client *logintest.Client, config *core.Config) {
		client.DPoP, config.Providers[0].Client.DPoP = true, true
	})
	end := f.ends(b)
	for range f.callbacks {
		end() // records the provider's responses
	}
	digest := sha256.Sum256([]byte("a proof"))
	compare(b, func() {
		if _, err := ecdsa.SignASN1(rand.Reader, key, digest[:]); err != nil {
			b.Fatal(err)
		}
	}, end)
}
