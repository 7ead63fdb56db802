package provider

import (
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core/internal/base64url"
	"github.com/pixyauth/pixy/core/internal/told"
)

const (
	maxEncrypted   = 2 * maxIDToken // bytes of an encrypted token, which is longer than what is in it
	maxDecryptions = 4              // keys that are tried for one token

	// maxOpened is how many tokens that come from outside, and not from the token or the
	// UserInfo endpoint, one client decrypts at a time. Logins do not wait for these.
	maxOpened = 4
)

// The accepted algorithms of encrypted tokens (RFC 7518 sections 4.1 and 5.1). RSA1_5 is
// not among them, because it lets others decrypt by asking many times, nor are the
// symmetric ones, whose key would be the client secret.
var (
	keyAlgorithms = []jose.KeyAlgorithm{
		jose.RSA_OAEP_256, jose.RSA_OAEP, jose.ECDH_ES, jose.ECDH_ES_A128KW, jose.ECDH_ES_A256KW,
	}
	contentAlgorithms = []jose.ContentEncryption{jose.A128GCM, jose.A256GCM, jose.A128CBC_HS256, jose.A256CBC_HS512}
)

// A DecryptionKey is a private key of the client to which the provider encrypts. It is safe
// for concurrent use.
type DecryptionKey struct {
	public jose.JSONWebKey
	curve  *ecdsa.PrivateKey // nil: an RSA key
	rsa    crypto.Decrypter
	busy   chan struct{} // one element for each decryption under way
}

// NewDecryptionKey returns a key for which [PublicEncryptionKey] returns no error.
func NewDecryptionKey(private crypto.PrivateKey) (*DecryptionKey, error) {
	public, err := PublicEncryptionKey(private)
	if err != nil {
		return nil, err
	}
	key := &DecryptionKey{public: public, busy: make(chan struct{}, maxKeyUses)}
	switch private := private.(type) {
	case *ecdsa.PrivateKey:
		key.curve = private
	case *ecdh.PrivateKey:
		key.curve, err = ecdsa.ParseRawPrivateKey(public.Key.(*ecdsa.PublicKey).Curve, private.Bytes())
	case crypto.Decrypter:
		key.rsa = private
	}
	return key, err
}

// fits reports whether the key is for a key algorithm.
func (k *DecryptionKey) fits(alg string) bool {
	return strings.HasPrefix(alg, "RSA") == (k.rsa != nil)
}

// decrypt returns the content of a token. An [*Error] means that the key is unavailable.
// Other errors do not tell which step failed.
func (k *DecryptionKey) decrypt(ctx context.Context, token *jose.JSONWebEncryption) ([]byte, error) {
	asked := &askedDecrypter{Decrypter: k.rsa}
	var private any = asked
	if k.curve != nil {
		private = k.curve
	}
	text, err := bounded(ctx, k.busy, func() ([]byte, error) {
		text, err := token.Decrypt(private)
		if asked.err != nil && !errors.Is(asked.err, rsa.ErrDecryption) {
			return nil, asked.err
		}
		if err != nil {
			return nil, errNotDecrypted
		}
		return text, nil
	})
	if err != nil && !errors.Is(err, errNotDecrypted) {
		return nil, &Error{CodeCredential, fmt.Errorf("Client.DecryptionKeys: %w", err)}
	}
	return text, err
}

var errNotDecrypted = errors.New("none of Client.DecryptionKeys decrypts it")

// An askedDecrypter asks an RSA key for the key of a token's content (RFC 7518 section 4.3).
type askedDecrypter struct {
	crypto.Decrypter
	err error
}

// DecryptKey implements [jose.OpaqueKeyDecrypter].
func (d *askedDecrypter) DecryptKey(encrypted []byte, header jose.Header) (key []byte, err error) {
	hash := crypto.SHA256
	if header.Algorithm == string(jose.RSA_OAEP) {
		hash = crypto.SHA1
	}
	key, err = d.Decrypt(rand.Reader, encrypted, &rsa.OAEPOptions{Hash: hash})
	if err != nil {
		d.err = withoutInput(err, encrypted)
	}
	return key, err
}

// IsEncrypted reports whether a token has the form of an encrypted one (RFC 7516 section
// 3.1).
func IsEncrypted(token string) bool {
	return len(token) <= maxEncrypted && strings.Count(token, ".") == 4
}

// decrypt returns the content of an encrypted token, and any other token as it is. What was
// encrypted proves nothing, because the client's key for it is public. So the content has to be
// verified. An [*Error] means that the key is unavailable. Nothing is decrypted twice.
func (c *Config) decrypt(ctx context.Context, token string) (string, error) {
	if len(token) > maxEncrypted {
		return "", fmt.Errorf("it has %d bytes, which is more than %d", len(token), maxEncrypted)
	}
	if !IsEncrypted(token) {
		return token, nil
	}
	if len(c.DecryptionKeys) == 0 {
		return "", errors.New("it is encrypted, and Client.DecryptionKeys is empty; set it, or register the client without encryption")
	}
	alg, kid, err := encryptionOf(token)
	if err != nil {
		return "", fmt.Errorf("it is encrypted, and %w", err)
	}
	parsed, err := jose.ParseEncryptedCompact(token, keyAlgorithms, contentAlgorithms)
	if err != nil {
		return "", errors.New("it is encrypted, and malformed: " + told.Clip(err.Error()))
	}
	var down error // of a key that may be the wrong one
	for _, key := range c.keysFor(alg, kid) {
		text, err := key.decrypt(ctx, parsed)
		if err == nil {
			return string(text), nil
		}
		if !errors.Is(err, errNotDecrypted) {
			down = err
		}
	}
	if down != nil {
		return "", down
	}
	return "", fmt.Errorf("%w; it is encrypted by %s to the key %q", errNotDecrypted, alg, told.Clip(kid))
}

// keysFor returns the keys that are tried for a token: the one that it names, or, if none
// has that name, the first ones that fit. The client may be registered with another name.
func (c *Config) keysFor(alg, kid string) (keys []*DecryptionKey) {
	for _, key := range c.DecryptionKeys {
		if !key.fits(alg) {
			continue
		}
		if key.public.KeyID == kid {
			return []*DecryptionKey{key}
		}
		if len(keys) < maxDecryptions {
			keys = append(keys, key)
		}
	}
	return keys
}

// encryptionOf checks the header of an encrypted token before anything is computed. It
// returns the key algorithm and the key id.
func encryptionOf(token string) (alg, kid string, err error) {
	if !canonical(token) {
		return "", "", errors.New("not canonical base64url")
	}
	encoded, _, _ := strings.Cut(token, ".")
	decoded, err := base64url.Decode(encoded)
	if err != nil {
		return "", "", err
	}
	header, err := DecodeClaims(decoded)
	if err != nil {
		return "", "", fmt.Errorf("its header is %w", err)
	}
	alg, _ = header.Text("alg")
	enc, _ := header.Text("enc")
	kid, _ = header.Text("kid")
	switch {
	case header["zip"] != nil: // a short text can become a long one, and tell what is in it
		return "", "", errors.New("compressed (zip), which is never accepted; register the client without compression")
	case header["crit"] != nil:
		return "", "", errors.New("its header has crit, which is not supported")
	case !slices.Contains(keyAlgorithms, jose.KeyAlgorithm(alg)):
		return "", "", fmt.Errorf("its key by %q; register the client with one of %q", told.Clip(alg), keyAlgorithms)
	case !slices.Contains(contentAlgorithms, jose.ContentEncryption(enc)):
		return "", "", fmt.Errorf("its content by %q; register the client with one of %q", told.Clip(enc), contentAlgorithms)
	}
	return alg, kid, nil
}

// Open implements [Provider].
func (g *codeGrant) Open(ctx context.Context, token string) (string, error) {
	if !IsEncrypted(token) || len(g.config.DecryptionKeys) == 0 {
		return g.config.decrypt(ctx, token)
	}
	// A caller that gives up makes no room for the next one: the key is still in use.
	goesOn := context.WithoutCancel(ctx)
	text, err := bounded(ctx, g.opening, func() (string, error) { return g.config.decrypt(goesOn, token) })
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return "", unavailable(errors.New("the client's key is busy with other encrypted tokens, or slow"))
	}
	return text, err
}
