package core

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/pixyauth/pixy/core/internal/provider"
)

// Login is a login that has passed all checks, for [Config.OnLogin] and
// [OwnSessions]. OnLogin may change the fields ReturnTo, Data, Lifetime and
// EndsWithBrowser; other changes have no effect.
//
// A Login prints and logs without its tokens and its data.
type Login struct {
	// User is the user, with all claims, also those that [SessionConfig.Claims] leaves
	// out.
	User *User

	// Provider is the Name of the provider.
	Provider string

	// SID is the id of the user's session at the provider, by which the provider's
	// logout names it (OpenID Connect Back-Channel Logout section 2.1). Empty if the ID
	// token has none.
	SID string

	// Grant has the tokens of this login, also without Tokens.Keep. Store it to call
	// APIs without the user: see [Authenticator.RefreshGrant].
	Grant Grant

	// Payload is [LoginOptions.Payload] of this login. Only the application can set it.
	// Empty: the login has none.
	Payload string

	// ReturnTo is the page where the login ends. OnLogin may choose another path of this
	// application; the rules are those of [LoginOptions.ReturnTo].
	ReturnTo string

	// Data is what the application keeps in the session, such as the id of the account:
	// at most 1 KB. Read it from [User.Data]. More fails the login with data_too_large.
	Data string

	// Lifetime limits this session, if it is less than [SessionConfig.Lifetime]. Zero:
	// Sessions.Lifetime. A negative value fails the login with status 500.
	Lifetime time.Duration

	// EndsWithBrowser makes the session's cookies end with the browser's own session.
	// Most browsers keep them when they restore tabs, so Lifetime counts all the same.
	// False: the cookies last as long as the session.
	EndsWithBrowser bool
}

// LogValue leaves out the tokens and the data.
func (l Login) LogValue() slog.Value {
	return slog.GroupValue(slog.String("provider", l.Provider), slog.String("return_to", l.ReturnTo))
}

// Format prints what LogValue gives, whatever the verb.
func (l Login) Format(f fmt.State, _ rune) { fmt.Fprint(f, l.LogValue().String()) }

// newLogin returns the login of a user at a provider, as OnLogin sees it first.
func (a *Authenticator) newLogin(at *registration, who *identity, attempt *attempt) *Login {
	user := who.user
	return &Login{
		User: &user, Provider: at.config.Name, SID: who.SID,
		Grant:    grantOf(at, who),
		ReturnTo: a.returnTo(attempt.returnTo),
	}
}

// askApplication calls OnLogin.
func (a *Authenticator) askApplication(ctx context.Context, login *Login, with *provider.Tokens) error {
	if a.config.OnLogin == nil {
		return nil
	}
	if err := a.config.OnLogin(ContextWithToken(ctx, (*tokens)(with).bearer()), login); err != nil {
		return errOnLogin(err)
	}
	return nil
}

// errOnLogin is a login that OnLogin refused, with the public text of OnLogin's *Error if
// it returned one. If OnLogin's error wraps ErrUnavailable, it is an outage.
func errOnLogin(err error) *Error {
	return errOfApplication("OnLogin", err, codeLoginRefused, codeLoginLater)
}
