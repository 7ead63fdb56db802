package core

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pixyauth/pixy/core/internal/provider"
)

// protocolClaims describe the token, not the user.
var protocolClaims = []string{
	"iss", "aud", "azp", "exp", "iat", "nbf", "jti", "nonce", "sid", "at_hash", "c_hash", "s_hash", "typ",
}

// keptClaims returns the claims that a session keeps: those in names, or, if names
// is nil, all but protocolClaims. It never keeps ambiguous ones.
func keptClaims(c provider.Claims, names []string) (*sessionClaims, error) {
	kept, dropped := make(provider.Claims), ambiguous(c)
	for name, value := range c {
		if dropped[name] {
			continue
		}
		if names == nil && !slices.Contains(protocolClaims, name) || slices.Contains(names, name) {
			kept[name] = value
		}
	}
	if len(kept) == 0 {
		return nil, nil
	}
	object, err := json.Marshal(kept)
	return &sessionClaims{object: string(object)}, err
}

// ambiguous returns the names of claims to drop because encoding/json would confuse
// them with another claim. Of names that differ only in case, it keeps the one in
// lower-case ASCII. A provider may let users add their own claims, and "ROLES" or
// "roleſ" must not be read as "roles". Nil means none, and allocates nothing.
func ambiguous(c provider.Claims) map[string]bool {
	var odd map[string]bool
	for name := range c {
		if !isLowerASCII(name) {
			if odd == nil {
				odd = make(map[string]bool)
			}
			odd[name] = true
		}
	}
	if odd == nil {
		return nil // no two names in lower-case ASCII fold to one
	}
	count := make(map[string]int, len(c))
	for name := range c {
		count[folded(name)]++
	}
	for name := range odd {
		odd[name] = count[folded(name)] > 1
	}
	return odd
}

func isLowerASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' })
}

// folded returns name in a form that is equal for names that differ only in case, as
// encoding/json compares them.
func folded(name string) string {
	return strings.Map(func(c rune) rune {
		least := c
		for other := unicode.SimpleFold(c); other != c; other = unicode.SimpleFold(other) {
			least = min(least, other)
		}
		return least
	}, name)
}
