package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"sync"

	"github.com/pixyauth/pixy/core/internal/base64url"
)

// MinKeyBytes is the minimum length of a session key: the key length of AES-256.
const MinKeyBytes = 32

// sealOverhead is the bytes that sealing adds, before base64: key id, nonce, tag.
const sealOverhead = keyIDSize + 12 + 16

const keyIDSize = 2

// A Sealer encrypts and authenticates small records for one purpose with
// AES-256-GCM. The first key seals; all keys open. A sealed value is the base64url of
//
//	key id (2 bytes) ‖ nonce (12 bytes) ‖ ciphertext ‖ tag (16 bytes)
//
// The key id is derived from the key, and selects the key that opens a value. So an old
// key costs one comparison, not one decryption. Nonces are random. One key should seal
// no more than 2^32 values (NIST SP 800-38D, section 8.3): a thousand logins per second
// for 49 days.
//
// A Sealer is safe for concurrent use and holds no lock.
type Sealer struct {
	keys []sealKey
}

type sealKey struct {
	id   [keyIDSize]byte
	aead cipher.AEAD
}

// New returns a Sealer. It derives one key from info and each session key (RFC 5869).
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

// Seal encrypts plaintext. Only Open with the same name, purpose and key returns it: the
// name is the additional data.
func (s *Sealer) Seal(name string, plaintext []byte) string { return s.For("").Seal(name, plaintext) }

// Open returns the plaintext that was sealed under name. It returns false for every
// other value: modified, cut off, or sealed with another key, under another name or for
// another purpose. It does not say which, so that an attacker learns nothing.
func (s *Sealer) Open(name, value string) (plaintext string, ok bool) {
	return s.For("").Open(name, value)
}

// For returns a Sealer whose values are for some hosts only. It opens only what was sealed
// for the same hosts, which are text without line breaks. It costs nothing, unlike a key
// for each host. If hosts is empty, it opens and seals what s does.
func (s *Sealer) For(hosts string) HostSealer { return HostSealer{s.keys, hosts} }

// A HostSealer is a [Sealer] for some hosts, which are part of the additional data.
type HostSealer struct {
	keys  []sealKey
	hosts string
}

// Seal is like [Sealer.Seal].
func (s HostSealer) Seal(name string, plaintext []byte) string {
	key := s.keys[0]
	sealed := make([]byte, 0, sealOverhead+len(plaintext))
	sealed = append(sealed, key.id[:]...)
	under := s.appendName(make([]byte, 0, len(s.hosts)+1+len(name)), name)
	sealed = key.aead.Seal(sealed, nil, plaintext, under)
	return base64url.Encode(sealed)
}

// appendName appends the additional data of a value.
func (s HostSealer) appendName(b []byte, name string) []byte {
	if s.hosts != "" {
		b = append(append(b, s.hosts...), '\n')
	}
	return append(b, name...)
}

// Open is like [Sealer.Open].
func (s HostSealer) Open(name, value string) (plaintext string, ok bool) {
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
			continue // one in 65,536 pairs of keys shares an id: then both are tried
		}
		if plaintext, ok := s.open(key, name, value); ok {
			return plaintext, true
		}
	}
	return "", false
}

// workspaces are buffers for decoding and decryption. With them, only the resulting
// string is allocated: half of the garbage of a guarded request.
var workspaces = sync.Pool{New: func() any { return new([]byte) }}

func (s HostSealer) open(key sealKey, name, value string) (string, bool) {
	workspace := workspaces.Get().(*[]byte)
	defer workspaces.Put(workspace)
	// The name is in the buffer too. A separate copy of it would be garbage, as large as
	// the claims of a session.
	work := s.appendName((*workspace)[:0], name)
	size := len(work)
	work, err := base64url.AppendDecode(work, value)
	if err != nil {
		return "", false
	}
	*workspace = work
	defer clear(work) // the plaintext must not stay in the pool
	body := work[size+keyIDSize:]
	plaintext, err := key.aead.Open(body[:0], nil, body, work[:size]) // in place
	return string(plaintext), err == nil
}
