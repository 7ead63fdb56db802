package core

import (
	"encoding/json"
	"errors"
	"fmt"

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
