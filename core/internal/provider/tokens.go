package provider

import "time"

// RefreshAhead is how long before its expiry an access token is refreshed. A token with
// a lifetime of less than four minutes is refreshed after three quarters of it. A handler
// has the rest of the time to use the token.
const RefreshAhead = time.Minute

// Tokens are the tokens that a provider issued with a login (RFC 6749 section 1.4 and
// 1.5), and the claims that a refreshed ID token must match.
type Tokens struct {
	Access     string
	Refresh    string    // empty: there is none
	Expires    time.Time // of the access token; zero: unknown
	Assumed    bool      // Expires is from Config.TokenLifetime, not from the provider
	RefreshDue time.Time // zero: never
	Refreshed  time.Time // time of the refresh that issued them; zero: issued with the login
	Nonce      string    // of the login
	AuthTime   time.Time // auth_time of the last ID token; zero: it had none
	Key        string    // thumbprint of the DPoP key of the tokens; empty: bearer tokens
	Strong     bool      // APIs get them over the client's own connections; set by core

	// IDToken is the ID token of a refresh, and the new logout hint. Details are the
	// authorization details of the response; empty: it had none. They are in the outcome of
	// a refresh. A session does not keep them here.
	IDToken, Details string
}

// newTokens returns the tokens of a token response that was received now. If the
// response has no lifetime (RFC 6749 section 5.1 recommends one) but a refresh token,
// the lifetime is assumed. Without a refresh token, the expiry stays unknown.
func newTokens(response *tokenResponse, now time.Time, assumed time.Duration) *Tokens {
	t := &Tokens{Access: response.access, Refresh: response.refresh, Details: response.details}
	lifetime := response.lifetime
	if lifetime <= 0 {
		if t.Refresh == "" {
			return t
		}
		lifetime, t.Assumed = assumed, true
	}
	t.Expires = now.Add(lifetime)
	if t.Refresh != "" {
		t.RefreshDue = t.Expires.Add(-min(RefreshAhead, lifetime/4))
	}
	return t
}

// tokensOf returns the tokens of a response that was received now.
func (g *codeGrant) tokensOf(response *tokenResponse) *Tokens {
	t := newTokens(response, g.config.Now(), g.config.TokenLifetime)
	if response.key != nil {
		t.Key = response.key.Thumbprint
	}
	return t
}
