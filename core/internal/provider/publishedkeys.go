package provider

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core/internal/base64url"
)

// PublishedKeys is the JWK set of the public keys of a client (RFC 7517 section 5).
type PublishedKeys struct {
	Keys []jose.JSONWebKey `json:"keys"`
}

// Add adds a key, unless it is in the set already. It returns an error if another key has
// its key id, because a provider could not tell them apart.
func (p *PublishedKeys) Add(key jose.JSONWebKey) error {
	for i := range p.Keys {
		known := &p.Keys[i]
		public, ok := known.Key.(interface{ Equal(crypto.PublicKey) bool })
		switch {
		case known.KeyID != key.KeyID:
		case !ok || !public.Equal(key.Key):
			return fmt.Errorf("has the KeyID %q of another key; give each key its own, or leave KeyID empty", key.KeyID)
		case known.Use != key.Use:
			return errors.New("is a key that both signs and decrypts; use two keys")
		default:
			if known.Algorithm != key.Algorithm {
				known.Algorithm = "" // two providers have one key with two algorithms
			}
			return nil
		}
	}
	p.Keys = append(p.Keys, key)
	return nil
}

// PublicEncryptionKey returns the public part of a decryption key for a JWK set. The text
// of the error begins with a verb, for a name before it.
func PublicEncryptionKey(private crypto.PrivateKey) (key jose.JSONWebKey, err error) {
	defer func() {
		if recover() != nil {
			err = errors.New("panics when asked for its public key; is it a nil pointer?")
		}
	}()
	const remedy = "give an RSA key, or one on P-256, P-384 or P-521"
	switch private := private.(type) {
	case nil:
		return key, errors.New("is nil; " + remedy)
	case *ecdsa.PrivateKey:
		key.Key = private.Public()
	case *ecdh.PrivateKey:
		curve := map[ecdh.Curve]elliptic.Curve{ecdh.P256(): elliptic.P256(), ecdh.P384(): elliptic.P384(), ecdh.P521(): elliptic.P521()}[private.Curve()]
		if curve == nil {
			return key, fmt.Errorf("is on %v; %s", private.Curve(), remedy)
		}
		if key.Key, err = ecdsa.ParseUncompressedPublicKey(curve, private.PublicKey().Bytes()); err != nil {
			return key, fmt.Errorf("has no public key: %w; %s", err, remedy)
		}
	case crypto.Decrypter:
		key.Key = private.Public()
		if _, ok := key.Key.(*rsa.PublicKey); !ok {
			return key, fmt.Errorf("decrypts with a key of type %T; %s", key.Key, remedy)
		}
	default:
		return key, fmt.Errorf("is of type %T; %s", private, remedy)
	}
	if err := (&publicKey{JSONWebKey: key}).checkSize(); err != nil {
		return key, fmt.Errorf("has %w", err)
	}
	thumbprint, err := key.Thumbprint(crypto.SHA256) // RFC 7638
	if err != nil {
		return key, errors.New("is on another curve; " + remedy)
	}
	key.KeyID, key.Use = base64url.Encode(thumbprint), "enc"
	return key, nil
}
