package provider

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core/internal/base64url"
	"github.com/pixyauth/pixy/core/internal/told"
)

// proofAlg is the algorithm of DPoP proofs.
const proofAlg = jose.ES256

// A ProofKey is a private key to which the provider binds tokens (RFC 9449). It is safe
// for concurrent use.
type ProofKey struct {
	Thumbprint string // RFC 7638

	private *ecdsa.PrivateKey
	header  string // of all proofs, encoded, with its dot (RFC 7515 section 7.1)
}

// NewProofKey returns a key on P-256 as a ProofKey.
func NewProofKey(key *ecdsa.PrivateKey) (*ProofKey, error) {
	public := &jose.JSONWebKey{Key: &key.PublicKey}
	thumbprint, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, err
	}
	header, err := json.Marshal(map[string]any{"typ": "dpop+jwt", "alg": proofAlg, "jwk": public})
	if err != nil {
		return nil, err
	}
	return &ProofKey{base64url.Encode(thumbprint), key, base64url.Encode(header) + "."}, nil
}

// A proofClaims is the payload of a proof (RFC 9449 section 4.2).
type proofClaims struct {
	ID     string `json:"jti"`
	Method string `json:"htm"`
	Target string `json:"htu"`
	Time   int64  `json:"iat"`
	Hash   string `json:"ath,omitempty"`
	Nonce  string `json:"nonce,omitempty"`
}

// prove returns a proof for one request. access is the access token that the request
// uses, and nonce the last one of the server; both may be empty.
func (k *ProofKey) prove(method string, target *url.URL, access, nonce string, now time.Time) (string, error) {
	claims := proofClaims{ID: rand.Text(), Method: method, Target: proofTarget(target), Time: now.Unix(), Nonce: nonce}
	if method == "" {
		claims.Method = http.MethodGet
	}
	if access != "" {
		sum := sha256.Sum256([]byte(access))
		claims.Hash = base64url.Encode(sum[:])
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed := k.header + base64url.Encode(payload)
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, k.private, digest[:])
	if err != nil {
		return "", &Error{CodeCredential, fmt.Errorf("signing a DPoP proof: %w", err)}
	}
	var signature [64]byte // RFC 7518 section 3.4
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + base64url.Encode(signature[:]), nil
}

// proofTarget returns a URL without query and fragment, in the normal form (RFC 9449
// section 4.3, RFC 3986 section 6.2).
func proofTarget(u *url.URL) string {
	host := strings.TrimSuffix(strings.ToLower(u.Host), map[string]string{"https": ":443", "http": ":80"}[u.Scheme])
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	return u.Scheme + "://" + host + path
}

// usesDPoP reports whether tokens have to be bound to a key.
func (c *Config) usesDPoP() bool { return len(c.ProofKeys) > 0 }

// proofKey returns the key with a thumbprint, or nil if it is unknown.
func (g *codeGrant) proofKey(thumbprint string) *ProofKey {
	i := slices.IndexFunc(g.config.ProofKeys, func(k *ProofKey) bool { return k.Thumbprint == thumbprint })
	if i < 0 {
		return nil
	}
	return g.config.ProofKeys[i]
}

// bindingKey returns the key for a token request: the one with the thumbprint, because a
// code or a refresh token may be bound to it, or else the current one. It returns nil
// without DPoP.
func (g *codeGrant) bindingKey(thumbprint string) *ProofKey {
	if key := g.proofKey(thumbprint); key != nil || !g.config.usesDPoP() {
		return key
	}
	return g.config.ProofKeys[0]
}

// Holds reports whether an access token that is bound to the key with this thumbprint can
// be used. Bearer tokens have none.
func (g *codeGrant) Holds(thumbprint string) bool {
	return thumbprint == "" || g.proofKey(thumbprint) != nil
}

// tokenType is the token_type of token responses to requests with this key.
func (k *ProofKey) tokenType() string {
	if k == nil {
		return "Bearer" // RFC 6750 section 4
	}
	return "DPoP" // RFC 9449 section 5
}

// checkProofs returns an error if the metadata does not offer DPoP by ES256, and the
// configuration wants it.
func (c *Config) checkProofs(announced []string) error {
	switch {
	case !c.usesDPoP(), c.FAPI2, slices.Contains(announced, string(proofAlg)): // checkFAPI names the clause
		return nil
	case len(announced) == 0:
		if c.AuthURL != "" { // there is no metadata
			return nil
		}
		return errors.New("dpop_signing_alg_values_supported is missing: the provider does not offer DPoP; enable it there, or leave Client.DPoP false")
	}
	return fmt.Errorf("dpop_signing_alg_values_supported has %q, and this library signs DPoP proofs by ES256; enable it there, or leave Client.DPoP false",
		told.Clip(strings.Join(announced, " ")))
}

const (
	maxNonce        = 1 << 10 // bytes
	maxNonceServers = 64
)

// nonces are the last DPoP nonces of servers, by origin (RFC 9449 section 8). The next
// proof for a server has its nonce, so most requests are sent once. Nonces are safe for
// concurrent use.
type nonces struct {
	mu   sync.Mutex
	last map[string]string
}

// of returns the last nonce of a server, or "" if there is none.
func (n *nonces) of(origin string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last[origin]
}

// learn keeps the nonce of a response, and returns it. It returns "" if there is none, or
// one that a proof cannot repeat.
func (n *nonces) learn(origin string, header http.Header) string {
	values := header["Dpop-Nonce"]
	if len(values) != 1 || !validNonce(values[0]) {
		return ""
	}
	nonce := values[0]
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.last[origin] == nonce {
		return nonce
	}
	if n.last == nil {
		n.last = make(map[string]string)
	}
	if _, known := n.last[origin]; !known && len(n.last) >= maxNonceServers {
		for any := range n.last { // costs its next request a second try
			delete(n.last, any)
			break
		}
	}
	n.last[origin] = nonce
	return nonce
}

// validNonce reports whether a nonce is NQCHAR (RFC 9449 section 8.1), and not too long.
func validNonce(nonce string) bool {
	return nonce != "" && len(nonce) <= maxNonce && !strings.ContainsFunc(nonce, func(c rune) bool {
		return c <= ' ' || c > '~' || c == '"' || c == '\\'
	})
}
