package core

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pixyauth/pixy/core/internal/provider"
)

// User is the person who is logged in, as the provider described them at login.
//
// Issuer and Subject together are the [User.Key], and nothing else is: both
// are stable, while names and e-mail addresses change hands (OpenID Connect
// Core section 5.7). The other fields are what the provider chose to tell, and
// empty when it did not.
//
// A User that came from a request must not be modified: other goroutines may
// read it. Two are the same person if their Keys are equal; == says nothing.
type User struct {
	Issuer  string // the provider, exactly as it spells itself
	Subject string // the user at that provider: 1 to 255 ASCII characters

	Name    string
	Email   string
	Picture string // URL

	// EmailVerified is true only if the provider said literally true. Never
	// match an account by an Email for which it is false, and think twice even
	// when it is true: the provider verified it, not you.
	EmailVerified bool

	claims *sessionClaims // opened and parsed only when asked for; nil: none
}

// NewUser returns the user whom a login at issuer would make of claims: what
// their names stand for in OpenID Connect Core section 5.1, and the rest for
// [User.Claims], as if [SessionConfig.Claims] were nil. It is meant for tests,
// and checks nothing but that there could be such a user. The error says what
// is wrong: no issuer, a sub that is missing or not 1 to 255 ASCII characters,
// or claims that JSON cannot say.
func NewUser(issuer string, claims map[string]any) (*User, error) {
	encoded, err := json.Marshal(claims)
	if err != nil {
		return nil, fmt.Errorf("pixy: NewUser: %w", err)
	}
	decoded, err := provider.DecodeClaims(encoded)
	if err != nil {
		return nil, fmt.Errorf("pixy: NewUser: the claims are %w", err)
	}
	subject, _ := decoded.Text("sub")
	switch {
	case issuer == "":
		return nil, errors.New("pixy: NewUser: the issuer is empty")
	case !provider.ValidSubject(subject):
		return nil, errors.New("pixy: NewUser: sub is missing or not 1 to 255 ASCII characters")
	}
	user := userOf(decoded, issuer, subject)
	user.claims, err = keptClaims(decoded, nil)
	return &user, err
}

// Key is Issuer and Subject as one string, with a space between them, to find
// the user's account by. No two users have the same.
func (u *User) Key() string { return u.Issuer + " " + u.Subject }

// Claims decodes all claims that the session kept (see [SessionConfig.Claims])
// into v, like [json.Unmarshal], which does not tell upper from lower case: a field
// of a struct takes a claim "ROLES" for "roles" if there is no other. To read one
// claim by its exact name, use [User.Claim] or [User.Has]. Each call decrypts and
// parses them anew; a request that does not call it does neither. A User without claims, such as one
// that is written down in a test, has the empty object; [NewUser] makes one with.
func (u *User) Claims(v any) error { return u.claims.decode(v) }

// userOf interprets the standard claims (OpenID Connect Core section 5.1). One
// that has the wrong type says nothing: none of them is worth a failed login.
func userOf(c provider.Claims, issuer, subject string) User {
	u := User{Issuer: issuer, Subject: subject}
	u.Name, _ = c.Text("name")
	u.Email, _ = c.Text("email")
	u.Picture, _ = c.Text("picture")
	u.EmailVerified = string(c["email_verified"]) == "true" // literally: "true" in quotes is not
	return u
}

// Claim decodes the value of one claim into v, like [json.Unmarshal]. The name is
// compared exactly: Claim("roles", …) never reads a claim "Roles". If the session
// kept no such claim (see [SessionConfig.Claims]), v stays as it is and the error is
// nil, so pass a zero value. The error tells that the value does not fit v.
//
// Inside the value, encoding/json takes members whose names differ in case for one
// field of a struct. Decode an object into a map where that matters.
func (u *User) Claim(name string, v any) error {
	value, err := u.claims.member(name)
	if err != nil || value == "" {
		return err
	}
	if err := json.Unmarshal([]byte(value), v); err != nil {
		return fmt.Errorf("pixy: claim %s: %w", name, err)
	}
	return nil
}

// Has reports whether a claim is value, or a list of strings that holds value.
// Name and value are compared exactly. It is false for claims of other types and
// for lists with other elements than strings.
func (u *User) Has(claim, value string) bool {
	raw, err := u.claims.member(claim)
	if err != nil || raw == "" {
		return false
	}
	if raw[0] == '"' {
		raw = "[" + raw + "]"
	}
	var texts []*string // null would be an empty string otherwise
	if json.Unmarshal([]byte(raw), &texts) != nil || slices.Contains(texts, nil) {
		return false
	}
	return slices.ContainsFunc(texts, func(text *string) bool { return *text == value })
}

// member returns the value of one claim as JSON, or "" if there is no such claim.
func (c *sessionClaims) member(name string) (string, error) {
	object, err := c.open()
	return member(object, name), err
}

// member returns the value of a member of a valid JSON object, or "". The name is
// compared exactly, after its escapes. Nothing else of the object is decoded.
func member(object, name string) string {
	_, rest, _ := strings.Cut(object, "{")
	for {
		var key, value string
		key, rest = cutElement(rest)
		value, rest = cutElement(rest)
		if key == "" {
			return ""
		}
		if isNamed(key, name) {
			return value
		}
	}
}

// cutElement cuts what stands before the next separator of valid JSON: a name
// before its colon, or a value before a comma or the end of its object.
func cutElement(s string) (element, rest string) {
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++ // whatever is escaped
		case c == '"':
			quoted = !quoted
		case quoted:
		case depth == 0 && (c == ':' || c == ',' || c == '}'):
			return trimJSON(s[:i]), s[i+1:]
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
	}
	return "", ""
}

func trimJSON(s string) string { return strings.Trim(s, " \t\r\n") }

// isNamed reports whether key, a JSON string, stands for name.
func isNamed(key, name string) bool {
	if !strings.Contains(key, `\`) && utf8.ValidString(key) {
		return key[1:len(key)-1] == name // as nearly all are
	}
	var decoded string
	return json.Unmarshal([]byte(key), &decoded) == nil && decoded == name
}

// protocolClaims are about the token and not about the person.
var protocolClaims = []string{
	"iss", "aud", "azp", "exp", "iat", "nbf", "jti", "nonce", "sid", "at_hash", "c_hash", "s_hash", "typ",
}

// keptClaims returns the claims that a session keeps: those in names, or, if names
// is nil, all but the protocol's own. Ambiguous ones are never kept.
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

// ambiguous returns the claims that are dropped because encoding/json would take
// another one for them: of names that differ in case alone, all but the one in
// lower-case ASCII. A provider may let users add claims of their own, and "ROLES"
// or "roleſ" must not be read as "roles". Nil: none, which costs nothing.
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

// folded returns name with one rune for all that differ in case alone, as
// encoding/json compares names.
func folded(name string) string {
	return strings.Map(func(c rune) rune {
		least := c
		for other := unicode.SimpleFold(c); other != c; other = unicode.SimpleFold(other) {
			least = min(least, other)
		}
		return least
	}, name)
}
