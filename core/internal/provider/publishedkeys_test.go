package provider

import (
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io"
	"strings"
	"testing"
)

// A kmsDecrypter is an RSA key in a KMS, or another key that decrypts.
type kmsDecrypter struct{ public crypto.PublicKey }

func (d kmsDecrypter) Public() crypto.PublicKey { return d.public }
func (d kmsDecrypter) Decrypt(io.Reader, []byte, crypto.DecrypterOpts) ([]byte, error) {
	return nil, errKMS
}

func TestPublicEncryptionKeys(t *testing.T) {
	t.Parallel()
	p224, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	agreement, err := p256Key.ECDH()
	if err != nil {
		t.Fatal(err)
	}
	x25519, _ := ecdh.X25519().GenerateKey(rand.Reader)
	p521, _ := ecdh.P521().GenerateKey(rand.Reader)
	_, ed, _ := ed25519.GenerateKey(rand.Reader)
	small, _ := NewSigningKey(rsaKey, "", "")
	short := *small.public.Key.(*rsa.PublicKey)
	short.E = 1
	for _, test := range []struct {
		name string
		key  crypto.PrivateKey
		want string // the kty, or a part of the error
	}{
		{"RSA", rsaKey, "RSA"},
		{"RSA in a KMS", kmsDecrypter{&rsaKey.PublicKey}, "RSA"},
		{"ECDSA", p256Key, "EC"},
		{"ECDH", agreement, "EC"},
		{"ECDH on P-521", p521, "EC"},
		{"nil", nil, "is nil; give an RSA key"},
		{"a nil pointer", (*rsa.PrivateKey)(nil), "is it a nil pointer?"},
		{"another nil pointer", (*ecdh.PrivateKey)(nil), "is it a nil pointer?"},
		{"X25519", x25519, "is on X25519; give an RSA key"},
		{"P-224", p224, "is on another curve"},
		{"Ed25519", ed, "is of type ed25519.PrivateKey"},
		{"a weak RSA key", kmsDecrypter{&short}, "exponent"},
		{"another key in a KMS", kmsDecrypter{&p256Key.PublicKey}, "decrypts with a key of type *ecdsa.PublicKey"},
		{"a secret", []byte("secret"), "is of type []uint8"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			key, err := PublicEncryptionKey(test.key)
			if err != nil {
				if !strings.Contains(err.Error(), test.want) || len(test.want) < 4 {
					t.Errorf("got %v, want %s", err, test.want)
				}
				return
			}
			encoded, err := json.Marshal(key)
			var members map[string]any
			if json.Unmarshal(encoded, &members) != nil || err != nil || members["kty"] != test.want || members["use"] != "enc" || members["kid"] == "" || members["d"] != nil {
				t.Errorf("got %s %v", encoded, err)
			}
		})
	}
	// One key has one name, whatever its type.
	one, _ := PublicEncryptionKey(p256Key)
	two, _ := PublicEncryptionKey(agreement)
	if one.KeyID != two.KeyID {
		t.Errorf("%s and %s", one.KeyID, two.KeyID)
	}
}
