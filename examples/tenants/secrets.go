package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
)

// newSealer returns a cipher for the customers' secrets, so that a copy of the
// database does not reveal them. Its key is not the session key, because the
// session key may change. In production, take it from where your other secrets
// are, or let a KMS encrypt.
func newSealer(key []byte) (cipher.AEAD, error) {
	if len(key) < 32 {
		return nil, errors.New("bad DATABASE_KEY: it needs 32 random bytes or more")
	}
	derived, err := hkdf.Key(sha256.New, key, nil, "tenants: client secrets", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(derived)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// seal encrypts a secret for the table. The customer's name is authenticated, so
// that a secret does not open in the row of another customer.
func (t *customers) seal(name, secret string) []byte {
	return t.sealer.Seal(nil, nil, []byte(secret), []byte(name))
}

func (t *customers) open(name string, sealed []byte) (secret string, err error) {
	opened, err := t.sealer.Open(nil, nil, sealed, []byte(name))
	if err != nil {
		return "", fmt.Errorf("the secret of %s does not open; is DATABASE_KEY another one now?", name)
	}
	return string(opened), nil
}
