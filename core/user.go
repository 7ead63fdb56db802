package core

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/pixyauth/pixy/core/internal/provider"
)

// User is the user who is logged in, as the provider described them at login.
//
// Only Issuer and Subject together identify the user. For a user of a looked-up provider,
// Provider is needed as well: see [User.Key]. They are stable. Names and e-mail addresses
// can pass to another user (OpenID Connect Core section 5.7). The other fields are empty
// if the provider did not send them.
//
// Do not modify a User that came from a request: other goroutines may read it. Two
// Users are the same user if their Keys are equal. Do not compare them with ==.
type User struct {
	Issuer  string // the provider's issuer, exactly as the provider spells it
	Subject string // the user's id at that provider: 1 to 255 ASCII characters

	Name    string
	Email   string
	Picture string // URL

	// EmailVerified is true only if the claim email_verified is the JSON value true.
	// Never match an account by Email if it is false. Be careful even if it is true:
	// the provider verified the address, not you.
	EmailVerified bool

	// Data is what [Login.Data] kept in this session. A new login, such as a step-up,
	// decides again. Empty: nothing was kept, or the User comes from NewUser.
	Data string

	// Provider is the Name of the provider at which the user logged in, or, if it has none,
	// the host of its issuer. If each customer has a provider, check it in the guards of a
	// customer's pages ([Requirement.Allow]), because several customers can have one Issuer.
	// With a host for each customer, compare it with [Login.Host] in OnLogin. Empty: the
	// User comes from NewUser.
	Provider string

	lookedUp bool           // Provider is a looked-up one
	claims   *sessionClaims // opened and parsed on demand; nil: none
}

// NewUser returns the User that a login at issuer with these claims would have. It
// is meant for tests. It sets the fields from the standard claims (OpenID Connect Core
// section 5.1), and keeps the claims as if [SessionConfig.Claims] were nil.
//
// The Key of the result is that of a user of a listed provider. Set Provider if the
// application reads it.
//
// NewUser returns an error if issuer is empty, if sub is missing or not 1 to 255 ASCII
// characters, or if the claims cannot be encoded as JSON. It checks nothing else.
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

// Key returns Issuer and Subject as one string, with a space between them. Use it to
// find the user's account. It is different for each user.
//
// For a user of a looked-up provider ([LookupConfig]), it begins with Provider and a
// space. Two customers can name one issuer, as with Google. A user of both then has two
// Keys: each customer decides who may log in at its client, and must not decide about the
// accounts of the other. If accounts are to outlast a change of the provider's name, use
// Issuer and Subject, and check Provider yourself.
func (u *User) Key() string {
	if u.lookedUp {
		return u.Provider + " " + u.Issuer + " " + u.Subject
	}
	return u.Issuer + " " + u.Subject
}

// Claims decodes all claims that the session keeps (see [SessionConfig.Claims])
// into v, like [json.Unmarshal].
//
// json.Unmarshal ignores case: a struct field "roles" takes a claim "ROLES" if there is
// no claim "roles". To read one claim by its exact name, use [User.Claim] or [User.Has].
//
// Each call decrypts, expands and parses the claims again. A request without a call
// does none of it. A User without claims, such as a composite literal in a test, decodes
// as the empty object. [NewUser] returns a User with claims.
func (u *User) Claims(v any) error { return u.claims.decode(v) }

// userOf reads the standard claims (OpenID Connect Core section 5.1). It ignores a
// claim of the wrong type: none of them is worth a failed login.
func userOf(c provider.Claims, issuer, subject string) User {
	u := User{Issuer: issuer, Subject: subject}
	u.Name, _ = c.Text("name")
	u.Email, _ = c.Text("email")
	u.Picture, _ = c.Text("picture")
	u.EmailVerified = string(c["email_verified"]) == "true" // literally: "true" in quotes is not
	return u
}

// Claim decodes the value of one claim into v, like [json.Unmarshal]. The name is
// compared exactly: Claim("roles", …) never reads a claim "Roles".
//
// If the session keeps no such claim (see [SessionConfig.Claims]), Claim leaves v
// unchanged and returns nil, so pass a zero value. It returns an error if the value
// does not fit v.
//
// Inside the value, encoding/json ignores the case of names. If case matters there,
// decode an object into a map, not into a struct.
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

// Has reports whether a claim is the string value, or a list of strings that contains
// value. Name and value are compared exactly. Has returns false for claims of other
// types, and for lists with an element that is not a string.
func (u *User) Has(claim, value string) bool {
	raw, err := u.claims.member(claim)
	if err != nil || raw == "" {
		return false
	}
	if raw[0] == '"' {
		return isText(raw, value)
	}
	list, ok := strings.CutPrefix(raw, "[")
	has := false
	for ok && list != "" {
		var element string
		element, list = cutElement(list)
		ok = strings.HasPrefix(element, `"`)
		has = has || ok && isText(element, value)
	}
	return ok && has
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
		if isText(key, name) {
			return value
		}
	}
}

// cutElement cuts valid JSON at the next separator: a name before its colon, or a
// value before a comma or the end of its object or array.
func cutElement(s string) (element, rest string) {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			i = endOfText(s, i)
		case depth == 0 && (c == ':' || c == ',' || c == '}' || c == ']'):
			return trimJSON(s[:i]), s[i+1:]
		case c == '{' || c == '[':
			depth++
		case c == '}' || c == ']':
			depth--
		}
	}
	return "", ""
}

// endOfText returns the index of the quote that ends the JSON string at i. An odd number of
// backslashes escapes a quote.
func endOfText(s string, i int) int {
	for {
		next := strings.IndexByte(s[i+1:], '"')
		if next < 0 {
			return len(s)
		}
		i += 1 + next
		slashes := 0
		for s[i-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return i
		}
	}
}

// trimJSON removes white space. Valid JSON has no other control characters.
func trimJSON(s string) string {
	for s != "" && s[0] <= ' ' {
		s = s[1:]
	}
	for s != "" && s[len(s)-1] <= ' ' {
		s = s[:len(s)-1]
	}
	return s
}

// isText reports whether literal, a JSON string, decodes to text.
func isText(literal, text string) bool {
	if !strings.Contains(literal, `\`) && utf8.ValidString(literal) {
		return literal[1:len(literal)-1] == text // the usual case: nothing to decode
	}
	var decoded string
	return json.Unmarshal([]byte(literal), &decoded) == nil && decoded == text
}
