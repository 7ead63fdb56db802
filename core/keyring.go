package core

import (
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
