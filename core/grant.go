package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/oauth2"

	"github.com/pixyauth/pixy/core/internal/provider"
)

// Grant is what a login gave to the application: the tokens, and what it takes to
// refresh them without the user. An application that works while the user is away stores
// it, for example as JSON in an encrypted column. See [Authenticator.RefreshGrant] and
// [Authenticator.GrantSource].
//
// A refresh token usually works once. So a grant has one owner: with Tokens.Keep, the
// session has the same tokens, refreshes them, and revokes them at logout. Either keep
// tokens in sessions or store grants.
//
// A Grant prints and logs without its tokens. As JSON it has them.
type Grant struct {
	Provider string `json:"provider"` // Name of the provider
	Issuer   string `json:"issuer"`   // of the user
	Subject  string `json:"subject"`  // of the user

	// Token has the access token, the refresh token if there is one, and the expiry.
	// Expiry is zero if the provider did not say it.
	Token oauth2.Token `json:"token"`

	// RefreshDue is when [Authenticator.GrantSource] refreshes the token: a minute before
	// its expiry, or a quarter of its lifetime if that is less. If the expiry is unknown,
	// [TokenConfig.Lifetime] is assumed. Zero: a minute before Token.Expiry.
	RefreshDue time.Time `json:"refresh_due,omitzero"`

	// AuthorizationDetails is what the provider has granted of
	// [RequestConfig.AuthorizationDetails] (RFC 9396 section 7), as it sent it: a JSON
	// array of at most 16 KB, whose elements have a type. It may differ from what was
	// asked for, so check it. A refresh that sends none keeps it. Empty: the provider sent
	// none.
	AuthorizationDetails string `json:"authorization_details,omitempty"`

	// Nonce and AuthTime are what the ID token of a refresh must repeat, if it has them
	// (OpenID Connect Core section 12.2). Zero values are not compared.
	Nonce    string    `json:"nonce,omitempty"`
	AuthTime time.Time `json:"auth_time,omitzero"`

	// KeyThumbprint names the key to which the tokens are bound, with [ClientConfig.DPoP].
	// The key is derived from SessionKey or one of [SessionConfig.OldKeys]. Empty: they are
	// bearer tokens.
	KeyThumbprint string `json:"key_thumbprint,omitempty"`
}

// LogValue leaves out the tokens.
func (g Grant) LogValue() slog.Value {
	return slog.GroupValue(slog.String("provider", g.Provider), slog.String("issuer", g.Issuer), slog.Time("expiry", g.Token.Expiry))
}

// Format prints what LogValue gives, whatever the verb.
func (g Grant) Format(f fmt.State, _ rune) { fmt.Fprint(f, g.LogValue().String()) }

// grantOf returns the grant of a login.
func grantOf(at *registration, who *identity) Grant {
	return Grant{Provider: at.config.Name, Issuer: who.Issuer, Subject: who.Subject}.with((*tokens)(who.Tokens))
}

// with returns the grant with these tokens.
func (g Grant) with(t *tokens) Grant {
	g.Token = *t.access()
	g.Token.RefreshToken = t.Refresh
	g.RefreshDue, g.Nonce, g.AuthTime = t.RefreshDue, t.Nonce, t.AuthTime
	g.AuthorizationDetails, g.KeyThumbprint = t.Details, t.Key
	return g
}

// tokens returns the grant's tokens in the form that a refresh takes.
func (g *Grant) tokens() *tokens {
	return &tokens{
		Access: g.Token.AccessToken, Refresh: g.Token.RefreshToken,
		Expires: g.Token.Expiry, RefreshDue: g.RefreshDue, Nonce: g.Nonce, AuthTime: g.AuthTime, Key: g.KeyThumbprint, Details: g.AuthorizationDetails,
	}
}

// boundBy returns what ties a grant to its provider.
func (a *Authenticator) boundBy(g *Grant) binding {
	return binding{at: a.registrations.named(g.Provider), name: g.Provider, issuer: g.Issuer}
}

// isFresh reports whether the access token need not be refreshed yet, by its times.
func (g *Grant) isFresh(now time.Time) bool {
	due := g.RefreshDue
	if due.IsZero() {
		if due = g.Token.Expiry; g.Token.RefreshToken != "" && !due.IsZero() {
			due = due.Add(-provider.RefreshAhead)
		}
	}
	return g.Token.AccessToken != "" && (due.IsZero() || now.Before(due))
}

// isUsable reports whether the access token has not expired, by its times. If its expiry is unknown, it
// counts as expired when its refresh is due.
func (g *Grant) isUsable(now time.Time) bool {
	expiry := g.Token.Expiry
	if expiry.IsZero() {
		expiry = g.RefreshDue
	}
	return g.Token.AccessToken != "" && (expiry.IsZero() || now.Before(expiry))
}

// RefreshGrant refreshes the tokens of a grant now, and returns the grant with the new
// tokens (RFC 6749 section 6). It needs no request of the user, and works without
// Tokens.Keep. Store the new grant before you use it: many providers accept a refresh
// token once only. [Authenticator.GrantSource] does that, and refreshes only if needed.
//
// All who ask with the same tokens share one refresh: concurrent calls, late calls within
// five minutes, and sessions with these tokens. With [TokenConfig.Refreshes], other
// replicas share it, too. Processes that share refreshes need the same Config. If ctx is canceled,
// RefreshGrant returns, but the refresh goes on. Call it again with the same grant within
// five minutes to get the outcome.
//
// On failure it returns the given grant and an [*Error]:
//
//   - ErrRefused: the provider refuses the refresh (invalid_grant), or sent an ID token
//     of another user, or [LookupConfig.Find] returns no such provider, or one with another
//     Issuer. Delete the grant. The user must log in again.
//   - ErrUnavailable: the tokens cannot be refreshed now, whatever the reason. Keep the
//     grant, and try later. Refreshes that failed pause for ten seconds.
//   - ErrNoToken: the grant has no refresh token.
//   - none of these, with status 500: the grant is not one of this application's
//     providers. Nothing was sent.
//
// A failure is logged once, by the call that sent the refresh, and a refusal not again.
func (a *Authenticator) RefreshGrant(ctx context.Context, grant Grant) (Grant, error) {
	fresh, err := a.refreshGrant(ctx, grant)
	return fresh, a.reportGrant(ctx, grant.Provider, err)
}

func (a *Authenticator) refreshGrant(ctx context.Context, grant Grant) (Grant, error) {
	of := a.boundBy(&grant)
	switch {
	case of.at == nil && (a.lookup == nil || !validProviderName(of.name)):
		return grant, errGrant("its Provider %q is not configured", grant.Provider)
	case of.at != nil && !of.at.issues(grant.Issuer):
		return grant, errGrant("its Issuer %q is not that of Provider %q", grant.Issuer, grant.Provider)
	case grant.Subject == "":
		return grant, errGrant("its Subject is empty")
	case grant.Token.RefreshToken == "":
		return grant, errNoToken("the grant has no refresh token; ask the provider for one, for example by scope offline_access")
	}
	held := grant.tokens()
	fresh, err := a.refresher.refreshed(ctx, &owner{binding: of, subject: grant.Subject}, held, true)
	switch {
	case fresh != held: // they replace the given ones, even if they could not be refreshed again
		return grant.with(fresh), nil
	case errors.Is(err, errGone):
		err = errGrantGone(err)
	case errors.Is(err, ErrNoSession):
		err = fail(provider.CodeRefreshRefused, errors.New("the provider does not refresh these tokens any more; the log of the first such refresh has the reason; the user must log in again"))
	case !errors.Is(err, ErrUnavailable): // about this application, such as its client secret
		failure := asError(err)
		failure.Err = fmt.Errorf("%w: %s", ErrUnavailable, pauseCause(err))
		err = failure
	}
	return grant, err
}

// errGrantGone is a grant whose provider is gone.
func errGrantGone(err error) *Error {
	failure := fail(provider.CodeRefreshRefused, err)
	failure.Reference = asError(err).Reference // of the line in the log
	return failure
}

// errGrant is a grant with which this Authenticator can do nothing.
func errGrant(format string, args ...any) *Error {
	return fail(codeInternal, fmt.Errorf("the grant cannot be refreshed: "+format+"; use the grant of a login with this Config", args...))
}

// reportGrant logs an error, unless the refresh has logged it, and returns it as an
// *Error.
func (a *Authenticator) reportGrant(ctx context.Context, of string, err error) error {
	if err == nil {
		return nil
	}
	failure := binding{at: a.registrations.named(of), name: of}.failed(err)
	if failure.Reference == "" && failure.Code != provider.CodeRefreshRefused {
		a.logIn(ctx, failure)
	}
	return failure
}
