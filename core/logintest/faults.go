package logintest

import (
	"net/http"
	"net/url"
)

// Faults tells a [Provider] how to misbehave. The zero value is a provider that
// does everything right. The functions may be called concurrently, and are
// given copies that they may change.
type Faults struct {
	// Discovery edits the metadata.
	Discovery func(metadata map[string]any)

	// Authorization edits the parameters that the browser takes to the application.
	Authorization func(query url.Values)

	// NoPKCE has the provider look at neither code challenge nor verifier, like
	// one that has never heard of RFC 7636. All that stops a stolen code is then
	// the application's.
	NoPKCE bool

	// Token edits the token response.
	Token func(response map[string]any)

	// IDToken edits the ID token before it is signed. The header's alg may be
	// RS256, ES256, none (no signature) or HS256 (keyed with the RSA public key,
	// which is the classic confusion).
	IDToken func(header, claims map[string]any)

	// SignedIDToken replaces the compact token.
	SignedIDToken func(token string) string

	// Refresh edits the response to a refresh, after Token.
	Refresh func(response map[string]any)

	// RefreshedIDToken edits the ID token of a refresh, after IDToken. It has no
	// nonce (OpenID Connect Core section 12.2).
	RefreshedIDToken func(header, claims map[string]any)

	// RefreshError is the error code with which refreshes are refused that are right
	// (RFC 6749 section 5.2), such as invalid_grant. The refresh token is not used up.
	RefreshError string

	// NoRotation has refreshes give no new refresh token: the old one goes on working.
	NoRotation bool

	// JWKS edits the key set.
	JWKS func(set map[string]any)

	// UserInfo edits the answer of the UserInfo endpoint.
	UserInfo func(claims map[string]any)

	// SignedUserInfo has the UserInfo endpoint answer with a signed token, and
	// edits it after UserInfo and before it is signed, as IDToken does.
	SignedUserInfo func(header, claims map[string]any)

	// Intercept is asked about every request first. It may stall, drip, redirect,
	// answer with HTML, or panic with http.ErrAbortHandler to close the
	// connection, and returns whether it has answered. The request's form is parsed:
	// grant_type tells a refresh.
	Intercept func(e Endpoint, w http.ResponseWriter, r *http.Request) bool
}

// Misbehave replaces the faults. Misbehave(Faults{}) ends them.
func (p *Provider) Misbehave(faults Faults) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = faults
}

func (p *Provider) misbehaviour() Faults {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.faults
}
