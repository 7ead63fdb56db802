package provider

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// slowDecrypter is a KMS.
type slowDecrypter struct {
	*rsa.PrivateKey
	decrypt func(text []byte) ([]byte, error)
}

func (s slowDecrypter) Decrypt(_ io.Reader, text []byte, _ crypto.DecrypterOpts) ([]byte, error) {
	return s.decrypt(text)
}

func encryptedTo(t testing.TB, key any, text string) string {
	t.Helper()
	alg := jose.RSA_OAEP_256
	if _, ok := key.(*ecdsa.PublicKey); ok {
		alg = jose.ECDH_ES_A128KW
	}
	encrypter, err := jose.NewEncrypter(jose.A128GCM, jose.Recipient{Algorithm: alg, Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	object, err := encrypter.Encrypt([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	token, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func decryptionKeys(t testing.TB, keys ...crypto.PrivateKey) (all []*DecryptionKey) {
	t.Helper()
	for _, private := range keys {
		key, err := NewDecryptionKey(private)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, key)
	}
	return all
}

// A key that hangs delays a request for a limited time, and holds up a limited number of
// goroutines. Tokens from outside get fewer, so that logins go on.
func TestDecryptersThatHang(t *testing.T) {
	t.Parallel()
	for name, most := range map[string]int32{"of the token endpoint": maxKeyUses, "from outside": maxOpened} {
		release := make(chan bool)
		var asked atomic.Int32
		config := Config{DecryptionKeys: decryptionKeys(t, slowDecrypter{rsaKey, func([]byte) ([]byte, error) { asked.Add(1); <-release; return nil, errKMS }})}
		g := &codeGrant{config: config, opening: make(chan struct{}, maxOpened)}
		token := encryptedTo(t, rsaKey.Public(), "x")
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		var all sync.WaitGroup
		for range maxKeyUses + 10 {
			all.Go(func() {
				decrypt := config.decrypt
				if most == maxOpened {
					decrypt = g.Open
				}
				failed := new(Error)
				if _, err := decrypt(ctx, token); !errors.As(err, &failed) || failed.Code != CodeCredential && failed.Code != CodeUnavailable {
					t.Errorf("%s: got %v", name, err)
				}
			})
		}
		all.Wait()
		if got := asked.Load(); got > most || got == 0 {
			t.Errorf("%s: %d at a time", name, got)
		}
		cancel()
		close(release)
	}
}

// The error of a KMS is for the log, without what the KMS was given. A panic is an outage.
func TestDecryptersThatFail(t *testing.T) {
	t.Parallel()
	token := encryptedTo(t, rsaKey.Public(), "x")
	for name, decrypt := range map[string]func([]byte) ([]byte, error){
		"plainly": func([]byte) ([]byte, error) { return nil, errKMS },
		"with its input": func(text []byte) ([]byte, error) {
			return nil, fmt.Errorf("%w: %x %q %s", errKMS, text, text, base64.RawURLEncoding.EncodeToString(text))
		},
		"a panic": func(text []byte) ([]byte, error) { panic(string(text)) },
	} {
		config := Config{DecryptionKeys: decryptionKeys(t, slowDecrypter{rsaKey, decrypt})}
		_, err := config.decrypt(t.Context(), token)
		failed := new(Error)
		if !errors.As(err, &failed) || failed.Code != CodeCredential || !strings.HasPrefix(err.Error(), "Client.DecryptionKeys: ") || errors.Is(err, errKMS) != (name != "a panic") {
			t.Errorf("%s: got %v", name, err)
		}
		input := strings.Split(token, ".")[1]
		raw, _ := base64.RawURLEncoding.DecodeString(input)
		for _, form := range []string{input, string(raw), fmt.Sprintf("%x", raw)} {
			if strings.Contains(err.Error(), form) {
				t.Errorf("%s: the input is in %v", name, err)
			}
		}
	}
}

// A token costs a limited number of uses of keys.
func TestDecryptionIsBounded(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	kms := slowDecrypter{rsaKey, func([]byte) ([]byte, error) { asked.Add(1); return nil, rsa.ErrDecryption }}
	keys := decryptionKeys(t, kms, kms, kms, kms, kms, kms, kms)
	for _, test := range []struct {
		kid  string
		most int32
	}{{"another", maxDecryptions}, {"", maxDecryptions}, {keys[0].public.KeyID, 1}} {
		asked.Store(0)
		config := Config{DecryptionKeys: keys}
		token := encryptedTo(t, jose.JSONWebKey{Key: rsaKey.Public(), KeyID: test.kid}, "x")
		if _, err := config.decrypt(t.Context(), token); !errors.Is(err, errNotDecrypted) || errors.As(err, new(*Error)) || asked.Load() != test.most {
			t.Errorf("kid %q: got %v after %d uses", test.kid, err, asked.Load())
		}
	}
	asked.Store(0)
	config := Config{DecryptionKeys: keys}
	for _, token := range []string{
		strings.Repeat("A", maxEncrypted) + "....", "....", "e30....", "a.b.c.d.e", encryptedTo(t, rsaKey.Public(), "x") + ".", "\n" + encryptedTo(t, rsaKey.Public(), "x"),
	} {
		text, err := config.decrypt(t.Context(), token)
		if IsEncrypted(token) && err == nil || err == nil && text != token || asked.Load() != 0 {
			t.Errorf("%.20q: got %.20q, %v after %d uses", token, text, err, asked.Load())
		}
	}
}

// What a text says that looks like an encrypted token is returned only if it was encrypted
// to the client, by an accepted algorithm.
func FuzzDecrypt(f *testing.F) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	config := Config{DecryptionKeys: decryptionKeys(f, ec, rsaKey)}
	const content = "a.b.c"
	for _, key := range []any{ec.Public(), rsaKey.Public()} {
		good := encryptedTo(f, key, content)
		parts := strings.Split(good, ".")
		f.Add(good)
		for i := range parts {
			changed := append([]string(nil), parts...)
			changed[i] = ""
			f.Add(strings.Join(changed, "."))
		}
		for _, header := range []string{
			`{"alg":"dir","enc":"A128GCM"}`, `{"alg":"RSA1_5","enc":"A128GCM"}`, `{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"AA"}`,
			`{"alg":"ECDH-ES","enc":"A128GCM","epk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}}`, `{"alg":"ECDH-ES","enc":"A128GCM","epk":{"kty":"oct","k":"AA"}}`,
			`{"alg":"ECDH-ES","enc":"A128GCM","epk":7,"apu":[],"apv":{}}`, `{"alg":"RSA-OAEP","enc":"A256CBC-HS512","zip":"DEF"}`, `{"alg":"RSA-OAEP","enc":"A128GCM","jwk":{"kty":"oct","k":"AA"},"kid":7}`,
		} {
			changed := append([]string(nil), parts...)
			changed[0] = base64.RawURLEncoding.EncodeToString([]byte(header))
			f.Add(strings.Join(changed, "."))
		}
	}
	f.Add("....")
	f.Fuzz(func(t *testing.T, token string) {
		text, err := config.decrypt(t.Context(), token)
		switch {
		case err != nil && (text != "" || errors.As(err, new(*Error))):
			t.Fatalf("%q: got %q and %v", token, text, err)
		case err == nil && !IsEncrypted(token) && text != token:
			t.Fatalf("%q becomes %q", token, text)
		case err == nil && IsEncrypted(token) && text != content:
			t.Fatalf("%q decrypts to %q", token, text)
		}
	})
}

// A KMS may refuse a text that is for another key by an error of its own. Then the other
// keys are tried.
func TestKeysBehindOneThatFails(t *testing.T) {
	t.Parallel()
	right, _ := rsa.GenerateKey(rand.Reader, 2048)
	first, _ := rsa.GenerateKey(rand.Reader, 2048)
	kms := slowDecrypter{first, func([]byte) ([]byte, error) { return nil, errKMS }}
	c := &Config{DecryptionKeys: decryptionKeys(t, kms, right)}
	if got, err := c.decrypt(t.Context(), encryptedTo(t, right.Public(), "canary")); got != "canary" {
		t.Errorf("got %q %v", got, err)
	}
	failed := new(Error)
	if _, err := c.decrypt(t.Context(), encryptedTo(t, first.Public(), "canary")); !errors.As(err, &failed) || failed.Code != CodeCredential {
		t.Errorf("got %v", err)
	}
}
