package logintest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"hash"
	"maps"
	"net/http"
	"sync"

	"github.com/go-jose/go-jose/v4"
)

// signingKeys sign ID tokens until the next rotation.
type signingKeys struct {
	rsa   *rsa.PrivateKey
	ec    *ecdsa.PrivateKey
	rsaID string
	ecID  string
	more  []moreKey // for other algorithms
}

// moreKey is for one more algorithm, whose name follows the RSA key's id in its own.
type moreKey struct {
	alg string
	key crypto.Signer
}

// signer is the key for alg and its id: the RSA key if nothing else fits.
func (k *signingKeys) signer(alg string) (crypto.Signer, string) {
	if alg == "ES256" {
		return k.ec, k.ecID
	}
	for _, more := range k.more {
		if more.alg == alg {
			return more.key, k.rsaID + "-" + alg
		}
	}
	return k.rsa, k.rsaID
}

// rsaPool makes RSA keys once for the whole program: making them is slow, and a
// test program has hundreds of providers. A provider goes through them in turn.
var rsaPool = [...]func() *rsa.PrivateKey{sync.OnceValue(newRSA), sync.OnceValue(newRSA), sync.OnceValue(newRSA)}

func newRSA() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // no randomness: nothing can go on
	}
	return key
}

// RotateKeys gives the provider new keys with new key ids. The former ones
// vanish from the key set at once.
func (p *Provider) RotateKeys() {
	ec, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ec384, err2 := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	_, ed, err3 := ed25519.GenerateKey(rand.Reader)
	if err := errors.Join(err1, err2, err3); err != nil {
		panic(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	rsa := rsaPool[len(p.keys)%len(rsaPool)]()
	p.keys = append(p.keys, &signingKeys{
		rsa: rsa, rsaID: rand.Text(), ec: ec, ecID: rand.Text(),
		more: []moreKey{{"RS384", rsa}, {"RS512", rsa}, {"ES384", ec384}, {"EdDSA", ed}},
	})
}

func (p *Provider) signingKeys() *signingKeys {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.keys[len(p.keys)-1]
}

// serveJWKS serves the key set (RFC 7517 section 5).
func (p *Provider) serveJWKS(w http.ResponseWriter, _ *http.Request) {
	keys := p.signingKeys()
	published := []jose.JSONWebKey{
		{Key: keys.rsa.Public(), KeyID: keys.rsaID, Algorithm: "RS256", Use: "sig"},
		{Key: keys.ec.Public(), KeyID: keys.ecID, Algorithm: "ES256", Use: "sig"},
	}
	for _, more := range keys.more {
		_, id := keys.signer(more.alg)
		published = append(published, jose.JSONWebKey{Key: more.key.Public(), KeyID: id, Algorithm: more.alg, Use: "sig"})
	}
	encoded, err := json.Marshal(jose.JSONWebKeySet{Keys: published})
	var set map[string]any
	if err == nil {
		err = json.Unmarshal(encoded, &set)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if edit := p.misbehaviour().JWKS; edit != nil {
		edit(set)
	}
	writeJSON(w, http.StatusOK, set)
}

// Sign returns a compact JWS of claims with exactly this header, by the key
// that alg calls for, so that tests can forge tokens: RS256, RS384, RS512, ES256,
// ES384 and EdDSA by the provider's keys, HS256 by the RSA public key's DER encoding,
// none unsigned. The metadata announces RS256 and ES256; change it for the others. A
// kid that names the key for RS256 is corrected to the key for alg. It panics if
// header and claims cannot be signed.
func (p *Provider) Sign(header, claims map[string]any) string {
	keys := p.signingKeys()
	header = maps.Clone(header)
	if header["alg"] == "HS256" {
		return SignWith(x509.MarshalPKCS1PublicKey(&keys.rsa.PublicKey), header, claims)
	}
	alg, _ := header["alg"].(string)
	key, id := keys.signer(alg)
	if header["kid"] == keys.rsaID {
		header["kid"] = id
	}
	return SignWith(key, header, claims)
}

// SignWith is [Provider.Sign] with a key of the test's own: an RSA, ECDSA or Ed25519
// private key, or bytes, such as a client secret, for HS256, HS384 and HS512.
func SignWith(key any, header, claims map[string]any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	alg, _ := header["alg"].(string)
	secret, symmetric := key.([]byte)
	if alg == "none" || symmetric {
		encoded, err := json.Marshal(header)
		if err != nil {
			panic(err)
		}
		input := base64.RawURLEncoding.EncodeToString(encoded) + "." + base64.RawURLEncoding.EncodeToString(payload)
		if alg == "none" {
			return input + "."
		}
		return input + "." + base64.RawURLEncoding.EncodeToString(authenticate(alg, secret, input))
	}
	options := &jose.SignerOptions{ExtraHeaders: make(map[jose.HeaderKey]any)}
	for name, value := range header {
		if name != "alg" {
			options.ExtraHeaders[jose.HeaderKey(name)] = value
		}
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: key}, options)
	if err != nil {
		panic(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		panic(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return compact
}

// authenticate is HMAC (RFC 7518 section 3.2), but with keys of any length:
// secrets are as short as people make them.
func authenticate(alg string, key []byte, input string) []byte {
	newHash := map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}[alg]
	if newHash == nil {
		panic("logintest: bytes are no key for " + alg)
	}
	mac := hmac.New(newHash, key)
	mac.Write([]byte(input))
	return mac.Sum(nil)
}

// verify returns the payload of a token that any key of this provider, also a
// former one, has signed.
func (p *Provider) verify(token string) ([]byte, bool) {
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.EdDSA})
	if err != nil {
		return nil, false
	}
	p.mu.Lock()
	keys := append([]*signingKeys(nil), p.keys...)
	p.mu.Unlock()
	for _, k := range keys {
		key, _ := k.signer(signed.Signatures[0].Protected.Algorithm)
		if payload, err := signed.Verify(key.Public()); err == nil {
			return payload, true
		}
	}
	return nil, false
}
