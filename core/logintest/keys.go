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

// moreKey is the key of another algorithm. Its id is the RSA key's id with the
// algorithm appended.
type moreKey struct {
	alg string
	key crypto.Signer
}

// signer returns the key for alg and its id, or the RSA key for an unknown alg.
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

// rsaPool creates RSA keys once for the whole program, because that is slow and
// a test program has hundreds of providers. Each provider uses them in turn.
var rsaPool = [...]func() *rsa.PrivateKey{sync.OnceValue(newRSA), sync.OnceValue(newRSA), sync.OnceValue(newRSA)}

func newRSA() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // there is no source of randomness
	}
	return key
}

// RotateKeys gives the provider new keys with new key ids. The old keys leave
// the key set at once.
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
		more: []moreKey{{"RS384", rsa}, {"RS512", rsa}, {"PS256", rsa}, {"ES384", ec384}, {"EdDSA", ed}},
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
	for _, client := range p.clients {
		if client.FAPI2 {
			published = keys.withDecoys(published)
			break
		}
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

// Sign returns a compact JWS of claims with this header, so that tests can
// forge tokens. The header's alg selects the key: the provider's keys for
// RS256, RS384, RS512, PS256, ES256, ES384 and EdDSA; the RSA public key in DER
// for HS256; no signature for none. Without strong clients, the metadata
// announces RS256 and ES256 only: change it for the others. A kid of the RS256 key is replaced by the id of the
// selected key. Sign panics if header and claims cannot be signed.
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

// SignWith is like [Provider.Sign] with the test's own key: an RSA, ECDSA or
// Ed25519 private key, or, for HS256, HS384 and HS512, bytes such as a client
// secret.
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

// authenticate computes an HMAC (RFC 7518 section 3.2) with a key of any
// length, because client secrets may be short.
func authenticate(alg string, key []byte, input string) []byte {
	newHash := map[string]func() hash.Hash{"HS256": sha256.New, "HS384": sha512.New384, "HS512": sha512.New}[alg]
	if newHash == nil {
		panic("logintest: bytes cannot be a key for " + alg)
	}
	mac := hmac.New(newHash, key)
	mac.Write([]byte(input))
	return mac.Sum(nil)
}

// verify returns the payload of a token that was signed with a current or old
// key of this provider.
func (p *Provider) verify(token string) ([]byte, bool) {
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.ES256, jose.ES384, jose.EdDSA})
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
