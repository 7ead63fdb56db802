package adapters_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A login whose request is pushed by a client that signs. The floor is the signature
// alone. The provider answers at once, so its time is not in it.
func BenchmarkPushedLogin(b *testing.B) {
	ec, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	rsaKey, err2 := rsa.GenerateKey(rand.Reader, 2048)
	if err1 != nil || err2 != nil {
		b.Fatal(err1, err2)
	}
	for _, by := range []struct {
		alg     string
		key     crypto.Signer
		options crypto.SignerOpts
	}{
		{"ES256", ec, crypto.SHA256},
		{"PS256", rsaKey, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}},
	} {
		b.Run(by.alg, func(b *testing.B) {
			keys, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: by.key.Public(), KeyID: "k1", Use: "sig"}}})
			if err != nil {
				b.Fatal(err)
			}
			f := newFlow(b, "RS256", 0)
			provider := logintest.NewProvider(issuer, logintest.Client{
				ID: "app", AuthMethod: "private_key_jwt", Keys: keys, RequirePAR: true, RedirectURIs: []string{origin + "/auth/callback"},
			})
			f.config.HTTPClient = &http.Client{Transport: &replay{provider: provider.HTTPClient().Transport, answers: make(map[string][]byte)}}
			f.config.Providers[0].ClientSecret, f.config.Providers[0].Client.SigningKeys = "", []core.SigningKey{{Signer: by.key, KeyID: "k1"}}
			auth, w := f.start(b), &nobody{header: make(http.Header)}
			digest := sha256.Sum256([]byte("an assertion"))
			compare(b, func() {
				if _, err := by.key.Sign(rand.Reader, digest[:], by.options); err != nil {
					b.Fatal(err)
				}
			}, func() { redirects(b, w, auth.Login, f.login, issuer+"/authorize?client_id=app&request_uri=") })
		})
	}
}
