package provider

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/cryptosigner"

	"github.com/pixyauth/pixy/core/internal/base64url"
	"github.com/pixyauth/pixy/core/internal/told"
)

// A SigningKey is a private key of the client. It is safe for concurrent use.
type SigningKey struct {
	public jose.JSONWebKey // with kid, and alg if the configuration has it
	signer crypto.Signer
	busy   chan struct{} // one element for each signature under way
}

// NewSigningKey returns a key with a key id and an algorithm. If they are empty, they
// follow from the key. The text of the error begins with a verb, for a name before it.
func NewSigningKey(signer crypto.Signer, keyID, alg string) (_ *SigningKey, err error) {
	if signer == nil {
		return nil, errors.New("has no Signer; give a private key, or a key in a KMS")
	}
	defer func() { // Public of a nil pointer panics, and so do the methods of an empty public key
		if recover() != nil {
			err = errors.New("has a Signer that panics when asked for its public key, or an empty key; is it a nil pointer?")
		}
	}()
	key := &SigningKey{
		public: jose.JSONWebKey{Key: signer.Public(), KeyID: keyID, Algorithm: alg, Use: "sig"},
		signer: signer, busy: make(chan struct{}, maxKeyUses),
	}
	possible := key.algorithms()
	switch {
	case len(possible) == 0:
		return nil, fmt.Errorf("has a key of type %T, or on another curve; give an RSA key, one on P-256, P-384 or P-521, or Ed25519", key.public.Key)
	case alg != "" && !slices.Contains(possible, alg):
		return nil, fmt.Errorf("has Alg %q, which is not for its key; give one of %q, or leave it empty", alg, possible)
	}
	if err := (&publicKey{JSONWebKey: key.public}).checkSize(); err != nil {
		return nil, fmt.Errorf("has %w", err)
	}
	if keyID == "" {
		thumbprint, err := key.public.Thumbprint(crypto.SHA256) // RFC 7638
		if err != nil {
			return nil, errors.New("has a key without a JWK thumbprint; give an RSA key, one on P-256, P-384 or P-521, or Ed25519")
		}
		key.public.KeyID = base64url.Encode(thumbprint)
	}
	return key, nil
}

// Certify adds a certificate for the key: to its JWK, and as x5t#S256 to what it signs
// (RFC 7515 section 4.1.8). The text of the error begins with a verb.
func (k *SigningKey) Certify(certificate *x509.Certificate) error {
	public, ok := k.public.Key.(interface{ Equal(crypto.PublicKey) bool })
	if !ok || !public.Equal(certificate.PublicKey) {
		return errors.New("has a Certificate for another key; give the one that was issued for the public key of Signer")
	}
	sum := sha256.Sum256(certificate.Raw)
	k.public.Certificates, k.public.CertificateThumbprintSHA256 = []*x509.Certificate{certificate}, sum[:]
	return nil
}

// Public returns the key for a JWK set.
func (k *SigningKey) Public() jose.JSONWebKey { return k.public }

// algorithms returns the names of the algorithms by which the key can sign, the preferred
// one first.
func (k *SigningKey) algorithms() []string {
	switch public := k.public.Key.(type) {
	case *rsa.PublicKey:
		return []string{"PS256", "RS256", "PS384", "RS384", "PS512", "RS512"}
	case *ecdsa.PublicKey:
		if alg := map[int]string{256: "ES256", 384: "ES384", 521: "ES512"}[public.Params().BitSize]; alg != "" {
			return []string{alg}
		}
	case ed25519.PublicKey:
		return []string{"EdDSA"}
	}
	return nil
}

// OnlyAlgorithm returns the algorithm by which a key signs for every provider, or an empty
// string if the provider's metadata decides.
func OnlyAlgorithm(signer crypto.Signer, alg string) string {
	key, err := NewSigningKey(signer, "", alg)
	if err != nil {
		return ""
	}
	if possible := key.possible(); len(possible) == 1 {
		return possible[0]
	}
	return ""
}

// possible returns the algorithms by which the configuration lets the key sign, the
// preferred one first.
func (k *SigningKey) possible() []string {
	if k.public.Algorithm != "" {
		return []string{k.public.Algorithm}
	}
	return k.algorithms()
}

// algorithm returns the algorithm for signatures that a provider verifies. announced are
// those that its metadata lists in the member field; none listed means any.
func (k *SigningKey) algorithm(field string, announced []string) (jose.SignatureAlgorithm, error) {
	possible := k.possible()
	for _, alg := range possible {
		if len(announced) == 0 || slices.Contains(announced, alg) {
			return jose.SignatureAlgorithm(alg), nil
		}
	}
	return "", fmt.Errorf("the first of Client.SigningKeys signs by %q, and %s has %q; use a key that fits", possible, field, told.Clip(strings.Join(announced, " ")))
}

// ClientSecret returns a client secret that is a JWT with these claims. The error does not
// contain them.
func (k *SigningKey) ClientSecret(ctx context.Context, claims map[string]any) (string, error) {
	alg, err := k.algorithm("", nil)
	if err != nil {
		return "", err
	}
	return k.sign(ctx, alg, "JWT", claims)
}

// sign returns a JWT with these claims (RFC 7519), in the compact form. typ is its type. A
// signer that fails or is too slow is an outage. The error does not contain the claims.
func (k *SigningKey) sign(ctx context.Context, alg jose.SignatureAlgorithm, typ string, claims map[string]any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", &Error{CodeCredential, errors.New("the claims of a signed request are not JSON")}
	}
	token, err := bounded(ctx, k.busy, func() (string, error) { return k.signNow(alg, typ, payload) })
	if err != nil {
		return "", signerFailed(err)
	}
	return token, nil
}

func (k *SigningKey) signNow(alg jose.SignatureAlgorithm, typ string, payload []byte) (string, error) {
	asked := &askedSigner{Signer: k.signer, public: k.public.Key}
	options := (&jose.SignerOptions{}).WithType(jose.ContentType(typ)).WithHeader("kid", k.public.KeyID)
	if thumbprint := k.public.CertificateThumbprintSHA256; thumbprint != nil {
		options.WithHeader("x5t#S256", base64url.Encode(thumbprint))
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: cryptosigner.Opaque(asked)}, options)
	if err != nil {
		return "", err
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", withoutInput(err, asked.input, payload)
	}
	return signed.CompactSerialize()
}

// An askedSigner remembers what it was asked to sign, because the error of a signer may
// repeat it: a digest, or, with Ed25519, the whole message. With PSS, it asks for a salt as
// long as the hash (RFC 7518 section 3.5). The cryptosigner asks for the longest possible
// one, which not every provider accepts.
type askedSigner struct {
	crypto.Signer
	public crypto.PublicKey // so that a KMS need not be asked again
	input  []byte
}

func (s *askedSigner) Public() crypto.PublicKey { return s.public }

func (s *askedSigner) Sign(random io.Reader, input []byte, options crypto.SignerOpts) ([]byte, error) {
	s.input = slices.Clone(input)
	if pss, ok := options.(*rsa.PSSOptions); ok {
		options = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: pss.Hash}
	}
	return s.Signer.Sign(random, input, options)
}

// withoutInput returns an error of a key of the application without what the key was given,
// in any form that a text may show.
func withoutInput(err error, inputs ...[]byte) error {
	var forms []string
	for _, secret := range inputs {
		forms = append(forms,
			string(secret), strings.Trim(strconv.Quote(string(secret)), `"`), strings.Trim(fmt.Sprint(secret), "[]"),
			fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret),
			base64.RawStdEncoding.EncodeToString(secret), base64.RawURLEncoding.EncodeToString(secret))
	}
	return &toldError{told.Redact(err.Error(), forms...), err}
}

// signerFailed returns the error for a key that is unavailable. The signer's own error is
// the application's, and about its KMS or HSM.
func signerFailed(err error) *Error {
	return &Error{CodeCredential, fmt.Errorf("the signer of the client's key: %w", err)}
}
