package logintest

import (
	"context"
	"crypto/ecdsa"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// Encryption is how the provider encrypts tokens to a client (RFC 7518 sections
// 4 and 5). Zero: not at all.
type Encryption struct {
	Alg string // RSA-OAEP, RSA-OAEP-256, ECDH-ES, ECDH-ES+A128KW or ECDH-ES+A256KW
	Enc string // A128GCM, A256GCM, A128CBC-HS256 or A256CBC-HS512
}

var (
	keyAlgs     = []string{"RSA-OAEP", "RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"}
	contentEncs = []string{"A128GCM", "A256GCM", "A128CBC-HS256", "A256CBC-HS512"}
)

func (e Encryption) check() error {
	switch {
	case e == Encryption{}:
		return nil
	case !slices.Contains(keyAlgs, e.Alg):
		return fmt.Errorf("Encryption.Alg must be one of %q", keyAlgs)
	case !slices.Contains(contentEncs, e.Enc):
		return fmt.Errorf("Encryption.Enc must be one of %q", contentEncs)
	}
	return nil
}

// encrypt returns a signed token encrypted to the client, or as it is if e is
// zero.
func (p *Provider) encrypt(ctx context.Context, client Client, e Encryption, signed string) (string, error) {
	if e == (Encryption{}) {
		return signed, nil
	}
	keys, err := p.keysOf(ctx, client)
	if err != nil {
		return "", err
	}
	at := slices.IndexFunc(keys, e.fits)
	if at < 0 {
		return "", errors.New("the client has no key for " + e.Alg)
	}
	options := (&jose.EncrypterOptions{}).WithContentType("JWT").WithType("JWT")
	encrypter, err := jose.NewEncrypter(jose.ContentEncryption(e.Enc), jose.Recipient{Algorithm: jose.KeyAlgorithm(e.Alg), Key: keys[at]}, options)
	if err != nil {
		return "", err
	}
	object, err := encrypter.Encrypt([]byte(signed))
	if err != nil {
		return "", err
	}
	encrypted, err := object.CompactSerialize()
	if edit := p.misbehaviour().Encrypted; err == nil && edit != nil {
		encrypted = edit(signed, encrypted)
	}
	return encrypted, err
}

// fits reports whether a key can be encrypted to.
func (e Encryption) fits(key jose.JSONWebKey) bool {
	if key.Use == "sig" || key.Algorithm != "" && key.Algorithm != e.Alg {
		return false
	}
	switch key.Key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(e.Alg, "RSA")
	case *ecdsa.PublicKey:
		return strings.HasPrefix(e.Alg, "ECDH")
	}
	return false
}
