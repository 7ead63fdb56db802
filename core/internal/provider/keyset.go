package provider

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core/internal/told"
)

const (
	maxKeys    = 100  // of a set; the rest is ignored
	minRSABits = 2048 // RFC 7518 section 3.3
)

// A publicKey is one key of a set.
type publicKey struct {
	jose.JSONWebKey

	// issuer is the issuer template or the issuer of a tenant that the key is for.
	// Microsoft Entra's set has shared keys and keys of single tenants. Empty means
	// any issuer.
	issuer string
}

// A KeySet is the keys in a provider's key set that can verify signatures.
type KeySet struct {
	keys []publicKey // maxKeys at most

	// skipped lists the keys that are not used, with the reason. It does not list keys
	// of a kind that is not for ID tokens, which are normal (RFC 7517 section 5).
	skipped []string
}

// keyDocument is a JWK set (RFC 7517 section 5).
type keyDocument struct {
	Keys json.RawMessage `json:"keys"`
}

func fetchKeys(ctx context.Context, client *http.Client, from string) (*KeySet, error) {
	var document keyDocument
	if err := getJSON(ctx, client, from, &document); err != nil {
		return nil, err
	}
	return document.read(), nil
}

// ReadKeys reads a key set of the configuration. It returns an error if the set has no key
// that can verify signatures, or has a private or symmetric key. The text of the error
// begins with a verb, for a name before it, and has nothing of a key.
func ReadKeys(text []byte) (*KeySet, error) {
	var document keyDocument
	var list []Claims
	switch {
	case len(text) > maxProviderBytes:
		return nil, fmt.Errorf("has more than %d bytes", maxProviderBytes)
	case json.Unmarshal(text, &document) != nil, json.Unmarshal(document.Keys, &list) != nil:
		return nil, errors.New("is not a JWK set (RFC 7517 section 5)")
	case slices.ContainsFunc(list, isSecret):
		return nil, errors.New("has a private or a symmetric key")
	}
	set := document.read()
	if len(set.keys) == 0 {
		return nil, errors.New(strings.TrimSuffix("has no key that can verify signatures: "+told.ClipTo(strings.Join(set.skipped, "; "), told.Max), ": "))
	}
	return set, nil
}

// read reads a key set, key by key. A key that cannot be used does not affect the others.
func (d *keyDocument) read() *KeySet {
	set, list := new(KeySet), json.NewDecoder(bytes.NewReader(d.Keys))
	if first, err := list.Token(); err != nil || first != json.Delim('[') {
		return set // no array: no keys
	}
	for n := 0; list.More(); n++ {
		var raw json.RawMessage
		if n == maxKeys {
			set.skipped = append(set.skipped, fmt.Sprintf("all after the first %d", maxKeys))
			break
		}
		if list.Decode(&raw) != nil {
			break // impossible: the document has been parsed
		}
		set.add(raw)
	}
	return set
}

func (s *KeySet) add(raw json.RawMessage) {
	var members Claims
	if json.Unmarshal(raw, &members) != nil {
		return
	}
	dropNulls(members)
	key, err := readKey(members)
	switch kid, _ := members.Text("kid"); {
	case err != nil:
		s.skipped = append(s.skipped, fmt.Sprintf("kid %q: %s", told.Clip(kid), told.Clip(err.Error())))
	case key != nil:
		s.keys = append(s.keys, *key)
	}
}

// keyMembers are the members of a public key, by kind (RFC 7518 section 6, RFC 8037
// section 2).
var keyMembers = map[string][]string{"RSA": {"n", "e"}, "EC": {"crv", "x", "y"}, "OKP": {"crv", "x"}}

// secretMembers are the members that only private and symmetric keys have.
var secretMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"}

// isSecret reports whether a key has a part that nobody but its owner may know.
func isSecret(members Claims) bool {
	return slices.ContainsFunc(secretMembers, func(name string) bool { return members[name] != nil })
}

// readKey makes a key from the members that a signature check needs. It ignores all
// other members, such as certificates. It also ignores kid, alg, use and key_ops if they
// have a wrong type. It returns nil and no error for a key for another purpose.
func readKey(members Claims) (*publicKey, error) {
	kind, _ := members.Text("kty")
	curve, _ := members.Text("crv")
	use, useOK := members.Text("use")
	known := kind == "RSA" || kind == "EC" && slices.Contains([]string{"P-256", "P-384", "P-521"}, curve) || kind == "OKP" && curve == "Ed25519"
	switch {
	case !known, useOK && use != "sig":
		return nil, nil
	case isSecret(members):
		return nil, errors.New("its private key is published, so anyone can sign with it")
	case !mayVerify(members["key_ops"]):
		return nil, errors.New("key_ops is without verify (RFC 7517 section 4.3)")
	}
	needed := Claims{"kty": members["kty"]}
	for _, name := range keyMembers[kind] {
		if members[name] != nil {
			needed[name] = members[name]
		}
	}
	encoded, err := json.Marshal(needed)
	key := new(publicKey)
	if err == nil {
		err = key.JSONWebKey.UnmarshalJSON(encoded)
	}
	if err != nil {
		return nil, err
	}
	key.KeyID, _ = members.Text("kid")
	key.Algorithm, _ = members.Text("alg")
	key.issuer, _ = members.Text("issuer")
	return key, key.checkSize()
}

// mayVerify reports whether key_ops allows a key to verify signatures. It does if
// key_ops is missing or not an array.
func mayVerify(operations json.RawMessage) bool {
	var list []any
	if json.Unmarshal(operations, &list) != nil {
		return true
	}
	return slices.Contains(list, any("verify"))
}

// checkSize returns an error for an RSA key that is too weak. go-jose does not read
// keys of more than 4096 bits, whose signatures take long to verify.
func (k *publicKey) checkSize() error {
	public, ok := k.Key.(*rsa.PublicKey)
	if !ok {
		return nil
	}
	switch bits := public.N.BitLen(); {
	case bits < minRSABits:
		return fmt.Errorf("an RSA key of %d bits; at least %d are needed (RFC 7518 section 3.3)", bits, minRSABits)
	case public.E < 3 || public.E%2 == 0 || public.E > 1<<31-1:
		return errors.New("an RSA key whose exponent e is not an odd number from 3 to 2^31-1")
	}
	return nil
}

// fits reports whether the key can verify signatures by alg (RFC 7518 section
// 3.1, RFC 8037 section 3.1).
func (k *publicKey) fits(alg string) bool {
	if k.Algorithm != "" && k.Algorithm != alg {
		return false
	}
	switch public := k.Key.(type) {
	case *rsa.PublicKey:
		return strings.HasPrefix(alg, "RS") || strings.HasPrefix(alg, "PS")
	case *ecdsa.PublicKey:
		return alg == map[int]string{256: "ES256", 384: "ES384", 521: "ES512"}[public.Params().BitSize]
	case ed25519.PublicKey:
		return alg == "EdDSA"
	}
	return false
}
