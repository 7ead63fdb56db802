package logintest

import (
	"context"
	"crypto"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// leeway is how much the clocks of client and provider may differ.
const leeway = time.Minute

// minRSABits is the least size of an RSA key (RFC 7518 section 3.3).
const minRSABits = 2048

var asymmetric = []jose.SignatureAlgorithm{
	jose.PS256, jose.ES256, jose.EdDSA, jose.RS256,
	jose.PS384, jose.PS512, jose.ES384, jose.ES512, jose.RS384, jose.RS512,
}

// parseKeys reads a JWKS of public keys.
func parseKeys(source []byte) ([]jose.JSONWebKey, error) {
	var set jose.JSONWebKeySet
	if err := json.Unmarshal(source, &set); err != nil {
		return nil, fmt.Errorf("not a JWKS: %w", err)
	}
	if len(set.Keys) == 0 {
		return nil, errors.New("the JWKS has no key")
	}
	for _, key := range set.Keys {
		if !key.IsPublic() {
			return nil, fmt.Errorf("the key %q is not public: publish public keys only", key.KeyID)
		}
	}
	return set.Keys, nil
}

// keysOf returns the client's keys.
func (p *Provider) keysOf(ctx context.Context, client Client) ([]jose.JSONWebKey, error) {
	if client.Keys != nil || client.KeysURI == "" {
		return parseKeys(client.Keys)
	}
	if p.Outbound == nil {
		return nil, errors.New("the provider has no Outbound to read KeysURI with")
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, client.KeysURI, nil)
	if err != nil {
		return nil, err
	}
	response, err := p.Outbound.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxPageBytes))
	if err != nil || response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("KeysURI answered with %d: %w", response.StatusCode, err)
	}
	return parseKeys(body)
}

// verifySigned returns the header and the claims of a JWS in compact form that
// one of the keys has signed with one of the algorithms.
func verifySigned(token string, keys []jose.JSONWebKey, algs []jose.SignatureAlgorithm) (jose.Header, claims, error) {
	signed, err := jose.ParseSignedCompact(token, algs)
	if err != nil {
		return jose.Header{}, nil, err
	}
	header := signed.Signatures[0].Protected
	for _, key := range keys {
		if !fits(key, header) {
			continue
		}
		if payload, err := signed.Verify(key.Key); err == nil {
			if !saltFits(token, signed.Signatures[0], key.Key) {
				return jose.Header{}, nil, errors.New("the salt of the signature must be as long as its hash (RFC 7518 section 3.5)")
			}
			claims, err := parseClaims(payload)
			return header, claims, err
		}
	}
	return jose.Header{}, nil, errors.New("no key of the client verifies the signature")
}

// saltFits reports whether the salt of a verified PSS signature is as long as its
// hash. The verification accepts any length, and many providers do not.
func saltFits(token string, signature jose.Signature, key any) bool {
	hash := map[string]crypto.Hash{"PS256": crypto.SHA256, "PS384": crypto.SHA384, "PS512": crypto.SHA512}[signature.Protected.Algorithm]
	public, ok := key.(*rsa.PublicKey)
	if !ok || hash == 0 {
		return true
	}
	digest := hash.New()
	io.WriteString(digest, token[:strings.LastIndex(token, ".")])
	return rsa.VerifyPSS(public, hash, digest.Sum(nil), signature.Signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
}

// fits reports whether a key may have signed a token with this header.
func fits(key jose.JSONWebKey, header jose.Header) bool {
	if rsaKey, ok := key.Key.(*rsa.PublicKey); ok && rsaKey.N.BitLen() < minRSABits {
		return false
	}
	return key.Use != "enc" &&
		(header.KeyID == "" || key.KeyID == "" || header.KeyID == key.KeyID) &&
		(key.Algorithm == "" || key.Algorithm == header.Algorithm)
}

// join lists algorithms, separated by blanks.
func join(algs []jose.SignatureAlgorithm) string {
	names := make([]string, len(algs))
	for i, alg := range algs {
		names[i] = string(alg)
	}
	return strings.Join(names, " ")
}

// typeOf returns the header's typ, or "".
func typeOf(header jose.Header) string {
	typ, _ := header.ExtraHeaders[jose.HeaderType].(string)
	return typ
}

// once reports whether a thing occurs for the first time, and remembers it until
// it expires.
func (p *Provider) once(thing string, expires time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.prune()
	if _, before := p.seen[thing]; before {
		return false
	}
	p.seen[thing] = expires
	return true
}
