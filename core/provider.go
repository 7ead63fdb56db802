package core

import (
	"context"
	"net/url"
	"time"
)

// provider is what the rest of this package needs of whoever knows the users.
// Implementations are safe for concurrent use. Errors are *Error.
type provider interface {
	// discover makes sure that the provider's metadata is known.
	discover(context.Context) error
	// authorizationURL is where the browser is sent to begin a login, with more
	// parameters than those of the configuration.
	authorizationURL(ctx context.Context, a *attempt, more url.Values) (string, error)
	// checkIssuer compares the callback's iss parameters (RFC 9207).
	checkIssuer(ctx context.Context, iss []string) error
	// redeem trades a code for a user whom every check has found genuine.
	redeem(ctx context.Context, code string, a *attempt) (*identity, error)
	// refresh trades the refresh token of a session for new tokens. The error's
	// code tells a refusal from an outage.
	refresh(ctx context.Context, held *tokens, of *session) (*tokens, error)
	// revoke tells the provider that tokens are no longer needed, if it wants to
	// know.
	revoke(ctx context.Context, held *tokens) error
	// logoutURL is where the browser is sent to end the provider's own session,
	// or "" if the provider offers no such place, or its metadata cannot be had.
	logoutURL(ctx context.Context, idTokenHint, returnURL string) string
}

func newProvider(grant codeGrant, now func() time.Time) provider {
	if grant.config.OAuth2 != nil {
		return newOAuth2Provider(grant, now)
	}
	return newOIDCProvider(grant, now)
}

// identity is the outcome of a login.
type identity struct {
	user    User
	claims  claims // all that the provider said
	idToken string // the hint for logout
	sid     string // the provider's own session, if it tells
	tokens  *tokens
	authentication
}
