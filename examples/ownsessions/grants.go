package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"

	"github.com/pixyauth/pixy/core"
)

// newSealer returns a cipher for grants. Tokens are worth as much as passwords,
// so a copy of the database must not reveal them. The key is derived from the
// session key, for this purpose only. After a change of the session key, grants
// do not open any more, and their users have to log in again.
func newSealer(sessionKey []byte) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, sessionKey, nil, "ownsessions: grants", 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// seal encrypts a grant for the database. The identity is authenticated, so
// that a grant does not open in the row of another user.
func (a *app) seal(grant core.Grant) ([]byte, error) {
	encoded, err := json.Marshal(grant)
	if err != nil {
		return nil, err
	}
	return a.sealer.Seal(nil, nil, encoded, []byte(grant.Issuer+" "+grant.Subject)), nil
}

// open decrypts the grant of an identity.
func (a *app) open(issuer, subject string, sealed []byte) (grant core.Grant, err error) {
	encoded, err := a.sealer.Open(nil, nil, sealed, []byte(issuer+" "+subject))
	if err != nil {
		return grant, err
	}
	err = json.Unmarshal(encoded, &grant)
	return grant, err
}
