package core

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"sync"
)

// The purposes for which a [keyring] derives keys.
const (
	purposeAttempt    = "pixy attempt v2"
	purposeSession    = "pixy session v2"
	purposeClaims     = "pixy claims v2"
	purposeLogoutHint = "pixy logout hint v2"
	purposeTokens     = "pixy tokens v2"
	purposeLanding    = "pixy landing v1"
)

// A keyring derives the keys of one Authenticator from its session keys. Each key
// depends on its purpose, on RedirectURL, on CookieName, and, for what a vault
// carries, on the kind of vault. A value that was sealed with other ones does not
// open, even if the session keys are equal.
type keyring struct {
	redirectURL string // as configured
	cookieName  string
	vault       string // kind of vault for sessions and tokens: cookies or store
	sessionKeys [][]byte
}

// sealer returns the sealer for what does not depend on the kind of vault.
func (k keyring) sealer(purpose string) (*sealer, error) {
	return newSealer(k.info(purpose, ""), k.sessionKeys...)
}

// vaultSealer returns the sealer for what a vault carries.
func (k keyring) vaultSealer(purpose string) (*sealer, error) {
	return newSealer(k.info(purpose, k.vault), k.sessionKeys...)
}

// info is the context of a derivation (RFC 5869 section 3.2). Each part has its
// length before it, so that no two lists of parts give the same bytes.
func (k keyring) info(purpose, vault string) string {
	var b []byte
	for _, part := range [...]string{purpose, k.redirectURL, k.cookieName, vault} {
		b = appendString(b, part)
	}
	return string(b)
}

// minKeyBytes is the least that a session key may hold: the strength of AES-256.
const minKeyBytes = 32

// sealOverhead is what sealing adds before base64: key id, nonce, tag.
const sealOverhead = keyIDSize + 12 + 16

const keyIDSize = 2

// A sealer encrypts and authenticates small records for one purpose with
// AES-256-GCM. The first key seals, all of them open. A sealed value is the
// base64url of
//
//	key id (2 bytes) ‖ nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes)
//
// The key id, derived from the key, picks the key that opens a value, so that
// rotation costs one comparison for each key and not one decryption.
// Nonces are random: one key should seal no more than 2^32 values (NIST SP
// 800-38D, section 8.3), which is a thousand logins a second for 49 days.
//
// A sealer is safe for concurrent use and holds no lock.
type sealer struct {
	keys []sealKey
}

type sealKey struct {
	id   [keyIDSize]byte
	aead cipher.AEAD
}

// newSealer derives the key of info from each session key (RFC 5869).
func newSealer(info string, sessionKeys ...[]byte) (*sealer, error) {
	s := new(sealer)
	for _, sessionKey := range sessionKeys {
		derived, err := hkdf.Key(sha256.New, sessionKey, nil, info, keyIDSize+32)
		if err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(derived[keyIDSize:])
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		s.keys = append(s.keys, sealKey{id: [keyIDSize]byte(derived), aead: aead})
	}
	return s, nil
}

// seal returns plaintext sealed under name: only open with the same name,
// purpose and key gives it back.
func (s *sealer) seal(name string, plaintext []byte) string {
	key := s.keys[0]
	sealed := make([]byte, 0, sealOverhead+len(plaintext))
	sealed = append(sealed, key.id[:]...)
	sealed = key.aead.Seal(sealed, nil, plaintext, []byte(name))
	return strictBase64.EncodeToString(sealed)
}

// open returns what was sealed under name, or false for everything else:
// tampered, cut short, sealed by a stranger's key, under another name or for
// another purpose. It says no more than that on purpose.
func (s *sealer) open(name, value string) (plaintext string, ok bool) {
	if len(value) < strictBase64.EncodedLen(sealOverhead) {
		return "", false
	}
	var beginning [3]byte
	if n, err := strictBase64.Decode(beginning[:], []byte(value[:4])); err != nil || n < len(beginning) {
		return "", false
	}
	for _, key := range s.keys {
		if key.id != [keyIDSize]byte(beginning[:]) {
			continue // two keys share an id once in 65,536 pairs: then both are tried
		}
		if plaintext, ok := key.open(name, value); ok {
			return plaintext, true
		}
	}
	return "", false
}

// workspaces are where values are decoded and decrypted. What is left of each is
// one string; without them, a guarded request would leave twice as much garbage.
var workspaces = sync.Pool{New: func() any { return new([]byte) }}

func (k sealKey) open(name, value string) (string, bool) {
	workspace := workspaces.Get().(*[]byte)
	defer workspaces.Put(workspace)
	// The name goes there, too: as bytes of its own it would be garbage, and as
	// much of it as a session has claims.
	work, err := strictBase64.AppendDecode(append((*workspace)[:0], name...), []byte(value))
	if err != nil || strictBase64.EncodedLen(len(work)-len(name)) != len(value) { // line breaks, passed over
		return "", false
	}
	*workspace = work
	defer clear(work) // of what was in it
	body := work[len(name)+keyIDSize:]
	plaintext, err := k.aead.Open(body[:0], nil, body, work[:len(name)]) // in place
	return string(plaintext), err == nil
}

// strictBase64 refuses stray bits at the end. It passes over line breaks: whoever
// takes one spelling only has to look for those.
var strictBase64 = base64.RawURLEncoding.Strict()
