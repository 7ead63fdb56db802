package logintest

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"

	"github.com/go-jose/go-jose/v4"
)

// fapiAlgs are the algorithms of the FAPI 2.0 Security Profile (section 5.4.1).
var fapiAlgs = []jose.SignatureAlgorithm{jose.PS256, jose.ES256, jose.EdDSA}

// underProfile returns the client with all rules of the profile.
func (c Client) underProfile() Client {
	c.RequirePAR = true
	c.DPoP = c.DPoP || !c.CertificateBound
	c.SigningAlg = cmp.Or(c.SigningAlg, "ES256")
	return c
}

// algs returns the algorithms with which the client may sign.
func (c Client) algs() []jose.SignatureAlgorithm {
	if c.FAPI2 {
		return fapiAlgs
	}
	return asymmetric
}

// rotates reports whether the client gets a new refresh token at each refresh.
// Under FAPI 2.0 it does not (section 5.3.2.1).
func (c Client) rotates() bool { return !c.FAPI2 }

// withDecoys returns a key set in which each key comes after another one of the
// same id and of another type. A client must choose by kty and alg as well.
func (k *signingKeys) withDecoys(published []jose.JSONWebKey) []jose.JSONWebKey {
	var all []jose.JSONWebKey
	for _, key := range published {
		decoy, alg := crypto.Signer(k.ec), "ES256"
		if _, ok := key.Key.(*ecdsa.PublicKey); ok {
			decoy, alg = k.rsa, "PS256"
		}
		all = append(all, jose.JSONWebKey{Key: decoy.Public(), KeyID: key.KeyID, Algorithm: alg, Use: "sig"}, key)
	}
	return all
}
