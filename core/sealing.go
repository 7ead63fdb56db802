package core

import (
	"encoding/json"
	"errors"
	"strings"

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
)

// A keyring derives the keys of one Authenticator from its session keys. Each key
// depends on its purpose, on RedirectURL, on Sessions.CookieName, and, for what a vault
// carries, on the kind of vault. A value that was sealed with other ones does not
// open, even if the session keys are equal.
type keyring struct {
	redirectURL string // as configured
	cookieName  string
	vault       string // kind of vault for sessions and tokens: cookies or store
	sessionKeys [][]byte
}

// sealer returns the sealer for what does not depend on the kind of vault.
func (k keyring) sealer(purpose string) (*seal.Sealer, error) {
	return seal.New(k.info(purpose, ""), k.sessionKeys...)
}

// vaultSealer returns the sealer for what a vault carries.
func (k keyring) vaultSealer(purpose string) (*seal.Sealer, error) {
	return seal.New(k.info(purpose, k.vault), k.sessionKeys...)
}

// info is the context of a derivation (RFC 5869 section 3.2). Each part has its
// length before it, so that no two lists of parts give the same bytes.
func (k keyring) info(purpose, vault string) string {
	var b []byte
	for _, part := range [...]string{purpose, k.redirectURL, k.cookieName, vault} {
		b = seal.AppendString(b, part)
	}
	return string(b)
}

// A sessionSealer makes one value of a session, and a session of such a value:
//
//	sealed record "." sealed claims
//
// The claims are most of a session, and few requests ask for them. So they are
// sealed by themselves, and a request that does not ask leaves them as they
// came. The record is sealed under the text of the claims: whoever changes a
// character of either, or puts two sessions together, has no session.
//
// Both are sealed by the same key, always: while the one opens, so does the
// other.
type sessionSealer struct{ record, claims *seal.Sealer }

func newSessionSealer(keys keyring) (sessionSealer, error) {
	record, err1 := keys.vaultSealer(purposeSession)
	claims, err2 := keys.vaultSealer(purposeClaims)
	return sessionSealer{record: record, claims: claims}, errors.Join(err1, err2)
}

func (s sessionSealer) seal(of *session) (string, error) {
	object, err := of.user.claims.open() // of an older key, it may be
	if err != nil {
		return "", err
	}
	claims := ""
	if object != "" {
		claims = s.claims.Seal("", []byte(object))
	}
	return s.record.Seal(claims, of.encode()) + "." + claims, nil
}

// open returns what was sealed, or false for everything else.
func (s sessionSealer) open(value string) (*session, bool) {
	sealed, claims, ok := strings.Cut(value, ".")
	if !ok {
		return nil, false
	}
	record, ok := s.record.Open(claims, sealed)
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

// sessionClaims are what a session keeps for [User.Claims]. A User has a pointer
// to them, so that printing a User does not print half of its cookie, and not to
// their session, which would keep a request in memory for each copy of a User.
type sessionClaims struct {
	object string // a JSON object, as a login has it; empty: one without members

	sealed string // or the same as a request has it; empty: see object
	sealer *seal.Sealer
}

// open returns the object. Nil has an empty one.
func (c *sessionClaims) open() (string, error) {
	if c == nil {
		return "", nil
	}
	if c.sealed == "" {
		return c.object, nil
	}
	object, ok := c.sealer.Open("", c.sealed)
	if !ok {
		return "", errors.New("pixy: the claims do not open, though their session did")
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
