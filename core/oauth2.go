package core

import (
	"context"
	"net/http"
)

// OAuth2 is a provider that does not speak OpenID Connect, such as GitHub. PKCE
// is used all the same.
type OAuth2 struct {
	// AuthURL and TokenURL are the provider's endpoints: https, or http on
	// loopback if RedirectURL is http, too. Both empty: they are found by the metadata
	// of Provider.Issuer (RFC 8414). Two providers with AuthURL on one host need a
	// Provider.Issuer each.
	AuthURL  string
	TokenURL string

	// AuthMethod is how the client secret is sent: client_secret_basic or
	// client_secret_post. Empty: client_secret_basic, or what the metadata says.
	AuthMethod string

	// FetchUser asks the provider who it is, with a client that sends the access
	// token, follows no redirect, and bounds every answer in time and size. It
	// returns what it was told by the names of OpenID Connect Core section 5.1.
	// "sub" is needed: a string that never changes and is never given to anybody
	// else, such as an account's number, and never an e-mail address or a login
	// name. It must be safe for concurrent use. An error that wraps
	// [ErrUnavailable] is an outage, an [*Error] is answered as it is, and any
	// other means that the provider's answer is no good.
	FetchUser func(ctx context.Context, client *http.Client) (claims map[string]any, err error) `json:"-"`
}
