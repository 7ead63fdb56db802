package core

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"strings"

	"github.com/pixyauth/pixy/core/internal/provider"
	"github.com/pixyauth/pixy/core/internal/seal"
)

// The purposes for which a [keyring] derives keys.
const (
	purposeAttempt    = "pixy attempt v2"
	purposeSession    = "pixy session v2"
	purposeClaims     = "pixy claims v2"
	purposeLogoutHint = "pixy logout hint v2"
	purposeTokens     = "pixy tokens v2"
	purposeLanding    = "pixy landing v1"
	purposeDPoP       = "pixy dpop v1"
)

// A keyring derives the keys of one Authenticator from its session keys. Each key
// depends on its purpose, on RedirectURL and on Sessions.CookieName. Keys for the values
// in a vault also depend on the kind of vault. If one of these differs, a value does not
// open, even if the session keys are equal.
type keyring struct {
	redirectURL string // as configured
	cookieName  string
	vault       string // kind of vault for sessions and tokens: cookies or store
	sessionKeys [][]byte
}

func (c *Config) keyring() keyring {
	keys := keyring{
		redirectURL: c.RedirectURL, cookieName: c.Sessions.CookieName, vault: "cookies",
		sessionKeys: append([][]byte{c.SessionKey}, c.Sessions.OldKeys...),
	}
	if c.Sessions.Store != nil {
		keys.vault = "store"
	}
	return keys
}

// sealer returns the sealer for values that do not depend on the kind of vault.
func (k keyring) sealer(purpose string) (*seal.Sealer, error) {
	return seal.New(k.info(purpose, ""), k.sessionKeys...)
}

// vaultSealer returns the sealer for values in a vault.
func (k keyring) vaultSealer(purpose string) (*seal.Sealer, error) {
	return seal.New(k.info(purpose, k.vault), k.sessionKeys...)
}

// proofKeys returns the keys to which the tokens of a registration are bound (RFC 9449):
// one for each session key, the current one first. They are derived and not stored, so
// all replicas have the same keys without another secret. A key for each session would
// have to be in its cookie, and could not be used for grants.
func (k keyring) proofKeys(registration string) ([]*provider.ProofKey, error) {
	var keys []*provider.ProofKey
	for _, sessionKey := range k.sessionKeys {
		private, err := deriveP256(sessionKey, k.info(purposeDPoP, registration))
		if err != nil {
			return nil, err
		}
		key, err := provider.NewProofKey(private)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// deriveP256 derives a private key on P-256. A candidate that is no scalar of the curve is
// rejected, and the next one is tried, as in FIPS 186-5 appendix A.2.2.
func deriveP256(secret []byte, info string) (*ecdsa.PrivateKey, error) {
	for counter := range 256 { // one in 2^32 candidates is rejected
		scalar, err := hkdf.Key(sha256.New, secret, nil, info+string([]byte{byte(counter)}), 32)
		if err != nil {
			return nil, err
		}
		if key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar); err == nil {
			return key, nil
		}
	}
	return nil, errors.New("pixy: no DPoP key can be derived from this session key") // impossible
}

// info is the context of a derivation (RFC 5869 section 3.2). Each part is preceded by
// its length, so that different parts never give the same bytes. The last part is the kind
// of vault, or the id of a registration.
func (k keyring) info(purpose, more string) string {
	var b []byte
	for _, part := range [...]string{purpose, k.redirectURL, k.cookieName, more} {
		b = seal.AppendString(b, part)
	}
	return string(b)
}

// A sessionSealer encodes a session as one sealed value, and decodes it:
//
//	sealed record "." sealed claims
//
// The claims are the largest part of a session, and few requests need them. So they
// are sealed separately, and most requests do not open them. The sealed claims are
// the additional data of the record: if one character of either part changes, or if the
// parts are of two sessions, nothing opens.
//
// Large claims are compressed, so the size of a cookie depends on what the claims repeat.
// That is safe (see [seal.Compress]) because nothing in the claims is a secret of ours: tokens,
// ids and what the application keeps are in other records, which are never compressed. A
// provider may let others choose part of a user's claims, such as the name of a group. To
// guess another claim that way takes a login of that user for each try.
//
// Both parts are always sealed with the same session key, so if one opens, the other
// does too.
type sessionSealer struct{ record, claims *seal.Sealer }

func newSessionSealer(keys keyring) (sessionSealer, error) {
	record, err1 := keys.vaultSealer(purposeSession)
	claims, err2 := keys.vaultSealer(purposeClaims)
	return sessionSealer{record: record, claims: claims}, errors.Join(err1, err2)
}

func (s sessionSealer) seal(hosts string, of *session) (string, error) {
	object, err := of.user.claims.unseal() // they may be sealed with an old key
	if err != nil {
		return "", err
	}
	claims := ""
	if object != "" {
		claims = s.claims.Seal("", []byte(object))
	}
	return s.record.For(hosts).Seal(claims, of.encode()) + "." + claims, nil
}

// open returns the session that was sealed for the same hosts. It returns false if value
// does not open.
func (s sessionSealer) open(hosts, value string) (*session, bool) {
	sealed, claims, ok := strings.Cut(value, ".")
	if !ok {
		return nil, false
	}
	record, ok := s.record.For(hosts).Open(claims, sealed)
	if !ok {
		return nil, false
	}
	found, ok := decodeSession(record)
	if !ok {
		return nil, false
	}
	if claims != "" {
		found.user.claims = &sessionClaims{sealed: claims, sealer: s.claims}
	}
	return found, true
}

// sessionClaims are the claims that a session keeps for [User.Claims]. A User has a
// pointer to them, so that printing a User does not print half of its cookie. The
// pointer is not to the session, which would keep the request of each copy of a User in
// memory.
type sessionClaims struct {
	object string // a JSON object, perhaps compressed, set at login; empty: no claims

	sealed string // the same object, sealed, set for a request; empty: see object
	sealer *seal.Sealer
}

// compressed returns the claims of a login as its session keeps them. Renewals of the
// session do not compress them again.
func (c *sessionClaims) compressed() *sessionClaims {
	if c == nil {
		return nil
	}
	return &sessionClaims{object: seal.Compress(c.object)}
}

// unseal returns the JSON object, perhaps compressed, or "" if there are no claims. A nil
// c has none.
func (c *sessionClaims) unseal() (string, error) {
	if c == nil {
		return "", nil
	}
	if c.sealed == "" {
		return c.object, nil
	}
	object, ok := c.sealer.Open("", c.sealed)
	if !ok {
		return "", errClaims
	}
	return object, nil
}

var errClaims = errors.New("pixy: the session opens, but its claims do not")

// open returns the JSON object, or "" if there are no claims.
func (c *sessionClaims) open() (string, error) {
	object, err := c.unseal()
	if err != nil {
		return "", err
	}
	object, ok := seal.Expand(object)
	if !ok {
		return "", errClaims
	}
	return object, nil
}

func (c *sessionClaims) decode(v any) error {
	object, err := c.open()
	if err != nil {
		return err
	}
	if object == "" {
		object = "{}"
	}
	return json.Unmarshal([]byte(object), v)
}
