package core

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"
)

// Login is a login that has passed all checks, for [Config.OnLogin] and
// [OwnSessions]. OnLogin may change the fields ReturnTo, Data, Lifetime and
// EndsWithBrowser; other changes have no effect.
//
// OnLogin decides for one login. A step-up is a new login, so OnLogin runs and decides
// again. A decision that cannot be fails the login with status 500, and the log names the
// field. An existing session survives.
//
// A Login prints and logs without its tokens, its payload and its data.
type Login struct {
	// User is the user, with all claims, also those that [SessionConfig.Claims] leaves
	// out.
	User *User

	// Provider is the Name of the provider.
	Provider string

	// Host is the host on which the user logs in, in the form of [HostConfig.Names]. Without
	// [Config.Hosts], it is that of RedirectURL. Compare it with Provider if each customer
	// has a host, because any user of any provider can log in on any host.
	Host string

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

	// ReturnTo is the page where the login ends: the one that was asked for, or
	// [PageConfig.Home]. OnLogin may choose another path of this application, under the
	// rules of [LoginOptions.ReturnTo]. Empty: Home. Anything else, such as a URL with a
	// host or a route of the login, fails the login with status 500.
	ReturnTo string

	// Data is what the application keeps in the session, such as the id of the account:
	// at most 1 KB, sealed like the rest of the session. Read it from [User.Data]. More
	// fails the login with data_too_large.
	Data string

	// Lifetime limits this session. It can only shorten it: [SessionConfig.Lifetime] is
	// the maximum, and a larger value has no effect. Zero: Sessions.Lifetime. Less than a
	// second fails the login with status 500, because cookies count whole seconds.
	Lifetime time.Duration

	// EndsWithBrowser makes the cookies of the session, of its tokens and of its logout
	// hint end with the browser's own session. Most browsers keep them when they restore
	// tabs, so Lifetime counts all the same. False: the cookies last as long as the
	// session.
	EndsWithBrowser bool
}

// LogValue leaves out the tokens and the data.
func (l Login) LogValue() slog.Value {
	return slog.GroupValue(slog.String("provider", l.Provider), slog.String("return_to", l.ReturnTo))
}

// Format prints what LogValue gives, whatever the verb.
func (l Login) Format(f fmt.State, _ rune) { fmt.Fprint(f, l.LogValue().String()) }

// MarshalJSON leaves out the same, because JSON is what loggers make of a slice of these.
func (l Login) MarshalJSON() ([]byte, error) {
	return json.Marshal(map[string]string{"provider": l.Provider, "return_to": l.ReturnTo})
}

// newLogin returns the login of a user at a provider, as OnLogin sees it first.
func (a *Authenticator) newLogin(at *registration, who *identity, attempt *attempt) *Login {
	user := who.user
	return &Login{
		User: &user, Provider: at.config.Name, Host: attempt.host, SID: who.SID,
		Grant:   grantOf(at, who),
		Payload: attempt.payload, ReturnTo: a.returnTo(attempt.returnTo),
	}
}

// decide returns a login as OnLogin has decided it. It returns nil if the application has
// no function that takes a Login.
func (a *Authenticator) decide(ctx context.Context, at *registration, who *identity, attempt *attempt) (*Login, error) {
	if a.config.OnLogin == nil && a.config.Sessions.Own == nil {
		return nil, nil
	}
	login := a.newLogin(at, who, attempt)
	if a.config.OnLogin == nil {
		return login, nil
	}
	theirs := a.newLogin(at, who, attempt) // they may change all of it, and keep it
	if err := a.config.OnLogin(contextWithTokens(ctx, at, (*tokens)(who.Tokens)), theirs); err != nil {
		return nil, errOnLogin(err)
	}
	login.ReturnTo, login.Data, login.Lifetime, login.EndsWithBrowser = theirs.ReturnTo, theirs.Data, theirs.Lifetime, theirs.EndsWithBrowser
	if err := a.checkDecision(login); err != nil {
		return nil, err
	}
	return login, nil
}

// checkDecision returns an error if OnLogin has decided what cannot be. It completes
// ReturnTo, and limits Lifetime.
func (a *Authenticator) checkDecision(login *Login) error {
	page, ok := a.pageHere(cmp.Or(login.ReturnTo, a.config.Pages.Home))
	switch {
	case !ok:
		return errDecision("Login.ReturnTo is not a page of this application; give a path such as /welcome, or leave it empty for Pages.Home")
	case login.Lifetime < 0 || 0 < login.Lifetime && login.Lifetime < time.Second:
		return errDecision("Login.Lifetime is %s; give a second or more, or leave it zero for Sessions.Lifetime", login.Lifetime)
	case len(login.Data) > maxData:
		return errDataTooLarge("Login.Data", len(login.Data))
	}
	login.ReturnTo, login.Lifetime = page, min(login.Lifetime, a.config.Sessions.Lifetime)
	return nil
}

// maxData is the maximum size of Login.Data and of LoginOptions.Payload, in bytes.
const maxData = 1 << 10

func errDataTooLarge(field string, size int) *Error {
	return fail(codeDataSize, fmt.Errorf("%s has %d bytes; the limit is %d: keep an id, and the rest in a database", field, size, maxData))
}

func errDecision(format string, args ...any) *Error {
	failure := fail(codeInternal, fmt.Errorf("OnLogin: "+format, args...))
	failure.Public, failure.operator = cannotLogIn, true
	return failure
}

// applyTo changes an outcome as OnLogin has decided.
func (l *Login) applyTo(o *outcome) {
	o.returnTo = l.ReturnTo
	s := &o.session
	s.user.Data, s.endsWithBrowser = l.Data, l.EndsWithBrowser
	if l.Lifetime > 0 {
		s.ends = min(s.ends, s.started+instant(l.Lifetime/time.Millisecond))
	}
}

// errOnLogin is a login that OnLogin refused, with the public text of OnLogin's *Error if
// it returned one. If OnLogin's error wraps ErrUnavailable, it is an outage.
func errOnLogin(err error) *Error {
	return errOfApplication("OnLogin", err, codeLoginRefused, codeLoginLater)
}
