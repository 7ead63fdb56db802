package core

import (
	"context"
	"encoding/json"
)

// User is the person who is logged in, as the provider described them at login.
//
// Issuer and Subject together are the key of a user, and nothing else is: both
// are stable, while names and e-mail addresses change hands (OpenID Connect
// Core section 5.7). The other fields are what the provider chose to tell, and
// empty when it did not.
//
// A User that came from a request must not be modified: other goroutines may
// read it.
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

	claims string // JSON object; parsed only when asked for
}

// Claims decodes the claims that the session kept (see [Config.SessionClaims])
// into v, like [json.Unmarshal]. Each call parses them anew; a request that
// does not call it pays nothing for them. A User without claims, such as one
// made by a test, has the empty object.
func (u *User) Claims(v any) error {
	if u.claims == "" {
		return json.Unmarshal([]byte("{}"), v)
	}
	return json.Unmarshal([]byte(u.claims), v)
}

// attached is what a request's context holds.
type attached struct {
	user *User
	by   *Authenticator // nil: by a test
}

type attachedKey struct{}

// UserFromContext returns the user whom [Authenticator.Authenticate] attached
// to a request's context, or nil if nobody is logged in.
func UserFromContext(ctx context.Context) *User {
	if found, ok := ctx.Value(attachedKey{}).(*attached); ok {
		return found.user
	}
	return nil
}

// ContextWithUser returns a context in which user is logged in. It is meant for
// tests of protected handlers: every guard lets such a request pass.
func ContextWithUser(ctx context.Context, user *User) context.Context {
	return context.WithValue(ctx, attachedKey{}, &attached{user: user})
}
