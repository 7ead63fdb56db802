package provider

import (
	"fmt"
	"strconv"
	"time"

	"golang.org/x/oauth2"
)

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

	// IDToken is the ID token of a refresh, and the new logout hint. It is in the
	// outcome of a refresh. A session does not keep it here.
	IDToken string
}

// newTokens returns the tokens of a token response that was received now. If the
// response has no lifetime (RFC 6749 section 5.1 recommends one) but a refresh token,
// the lifetime is assumed. Without a refresh token, the expiry stays unknown.
func newTokens(response *oauth2.Token, now time.Time, assumed time.Duration) *Tokens {
	t := &Tokens{Access: response.AccessToken, Refresh: response.RefreshToken}
	lifetime := lifetimeOf(response, now)
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

// lifetimeOf returns the lifetime of an access token in the response. The result is not
// positive if the response has none. For a response that is a form, x/oauth2 sets only
// Expiry. Some providers send expires instead of expires_in, which x/oauth2 does not
// know: it is a number of seconds, or a date if it is large.
func lifetimeOf(response *oauth2.Token, now time.Time) time.Duration {
	if response.ExpiresIn > 0 {
		return time.Duration(response.ExpiresIn) * time.Second
	}
	if !response.Expiry.IsZero() {
		return time.Until(response.Expiry).Round(time.Second)
	}
	seconds, err := strconv.ParseFloat(fmt.Sprint(response.Extra("expires")), 64)
	const date = 1e9 // 2001, or 31 years
	switch {
	case err != nil || !(0 < seconds && seconds < 1e10):
		return 0
	case seconds > date:
		return time.Unix(int64(seconds), 0).Sub(now)
	}
	return time.Duration(seconds) * time.Second
}

// tokensOf returns the tokens of a response that was received now.
func (g *codeGrant) tokensOf(response *oauth2.Token) *Tokens {
	return newTokens(response, g.config.Now(), g.config.TokenLifetime)
}
