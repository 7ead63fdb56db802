package provider

import (
	"fmt"
	"strconv"
	"time"

	"golang.org/x/oauth2"
)

// refreshAhead is how long before it expires an access token is refreshed, or when three
// quarters of its life are over, if that is later: a handler that gets it has that
// much time left.
const refreshAhead = time.Minute

// Tokens are what a provider has issued with a login (RFC 6749 section 1.4 and 1.5),
// and what a refreshed ID token has to agree with.
type Tokens struct {
	Access     string
	Refresh    string    // empty: there is none
	Expires    time.Time // of the access token; zero: nobody knows
	Assumed    bool      // expires is Config.Tokens.Lifetime's, and not the provider's
	RefreshDue time.Time // zero: never
	Refreshed  time.Time // when a refresh brought them; zero: they came with the login
	Nonce      string    // of the login
	AuthTime   time.Time // auth_time as the ID token had it; zero: it had none

	// IDToken has come with a refresh, and is the logout hint from then on. It is in
	// the outcome of a refresh, and not in what is kept of a session.
	IDToken string
}

// newTokens are those of a token response that has come now. If the provider does
// not say how long the access token lives (RFC 6749 section 5.1 recommends it), a
// life of assumed is what a refresh goes by; without one, the token is good until
// an API says otherwise.
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
		t.RefreshDue = t.Expires.Add(-min(refreshAhead, lifetime/4))
	}
	return t
}

// lifetimeOf returns how long an access token lives by what the provider says, or
// no positive number if it says nothing. Of an answer that is a form, x/oauth2
// reports Expiry alone, and it does not know the member expires, which some
// providers have in place of expires_in: seconds, or a date if they are many.
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

// tokensOf are those of a response that has come now.
func (g *codeGrant) tokensOf(response *oauth2.Token) *Tokens {
	return newTokens(response, g.config.Now(), g.config.TokenLifetime)
}
