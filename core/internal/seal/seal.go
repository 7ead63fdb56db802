package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"sync"

	"github.com/pixyauth/pixy/core/internal/base64url"
)

// MinKeyBytes is the least that a session key may hold: the strength of AES-256.
const MinKeyBytes = 32

// sealOverhead is what sealing adds before base64: key id, nonce, tag.
const sealOverhead = keyIDSize + 12 + 16

const keyIDSize = 2

// A Sealer encrypts and authenticates small records for one purpose with
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
// A Sealer is safe for concurrent use and holds no lock.
type Sealer struct {
	keys []sealKey
}

type sealKey struct {
	id   [keyIDSize]byte
	aead cipher.AEAD
}

// New derives the key of info from each session key (RFC 5869).
func New(info string, sessionKeys ...[]byte) (*Sealer, error) {
	s := new(Sealer)
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

// Seal returns plaintext sealed under name: only open with the same name,
// purpose and key gives it back.
func (s *Sealer) Seal(name string, plaintext []byte) string {
	key := s.keys[0]
	sealed := make([]byte, 0, sealOverhead+len(plaintext))
	sealed = append(sealed, key.id[:]...)
	sealed = key.aead.Seal(sealed, nil, plaintext, []byte(name))
	return base64url.Encode(sealed)
}

// Open returns what was sealed under name, or false for everything else:
// tampered, cut short, sealed by a stranger's key, under another name or for
// another purpose. It says no more than that on purpose.
func (s *Sealer) Open(name, value string) (plaintext string, ok bool) {
	if len(value) < base64url.EncodedLen(sealOverhead) {
		return "", false
	}
	var buffer [3]byte
	beginning, err := base64url.AppendDecode(buffer[:0], value[:4])
	if err != nil {
		return "", false
	}
	for _, key := range s.keys {
		if key.id != [keyIDSize]byte(beginning) {
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
	work, err := base64url.AppendDecode(append((*workspace)[:0], name...), value)
	if err != nil {
		return "", false
	}
	*workspace = work
	defer clear(work) // of what was in it
	body := work[len(name)+keyIDSize:]
	plaintext, err := k.aead.Open(body[:0], nil, body, work[:len(name)]) // in place
	return string(plaintext), err == nil
}
