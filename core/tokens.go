package core

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/oauth2"

	"github.com/pixyauth/pixy/core/internal/seal"
	"github.com/pixyauth/pixy/core/internal/vault"
)

const (
	tokensVersion = 2
	tokensFixed   = 1 + 8*4 + 1 // version, times, flag

	// A token is refreshed so long before it expires, or when three quarters of
	// its life are over, if that is later: a handler that gets it has that much
	// time left.
	refreshAhead = time.Minute
)

// tokens are what a provider has issued with a login (RFC 6749 section 1.4 and
// 1.5), and what a refreshed ID token has to agree with. Their record is one of
// its own, sealed under the id of the session that they belong to: a guarded
// request that does not need them does not open it, and those of another session
// cannot be put in their place.
//
//	version ‖ expires ‖ refresh due ‖ auth_time ‖ refreshed ‖ assumed ‖ access ‖ refresh ‖ nonce ‖ ID token
type tokens struct {
	access     string
	refresh    string    // empty: there is none
	expires    time.Time // of the access token; zero: nobody knows
	assumed    bool      // expires is Config.Tokens.Lifetime's, and not the provider's
	refreshDue time.Time // zero: never
	refreshed  time.Time // when a refresh brought them; zero: they came with the login
	nonce      string    // of the login
	authTime   time.Time // auth_time as the ID token had it; zero: it had none

	// idToken has come with a refresh, and is the logout hint from then on. It is in
	// the outcome of a refresh, and not in what is kept of a session.
	idToken string
}

// newTokens are those of a token response that has come now. If the provider does
// not say how long the access token lives (RFC 6749 section 5.1 recommends it), a
// life of assumed is what a refresh goes by; without one, the token is good until
// an API says otherwise.
func newTokens(response *oauth2.Token, now time.Time, assumed time.Duration) *tokens {
	t := &tokens{access: response.AccessToken, refresh: response.RefreshToken}
	lifetime := lifetimeOf(response, now)
	if lifetime <= 0 {
		if t.refresh == "" {
			return t
		}
		lifetime, t.assumed = assumed, true
	}
	t.expires = now.Add(lifetime)
	if t.refresh != "" {
		t.refreshDue = t.expires.Add(-min(refreshAhead, lifetime/4))
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

// expired reports whether the access token is known, or assumed, to be of no use.
func (t *tokens) expired(now time.Time) bool { return !t.expires.IsZero() && !now.Before(t.expires) }

// bearer is the access token, as [TokenSource] gives it.
func (t *tokens) bearer() *oauth2.Token {
	token := &oauth2.Token{AccessToken: t.access, TokenType: "Bearer"}
	if !t.assumed {
		token.Expiry = t.expires
	}
	return token
}

// kept are the tokens as a session keeps them.
func (t *tokens) kept() *tokens {
	kept := *t
	kept.idToken = ""
	return &kept
}

// isNew reports whether a refresh has just brought t.
func (t *tokens) isNew(now time.Time) bool {
	age := now.Sub(t.refreshed)
	return 0 <= age && age < refreshRest
}

func (t *tokens) encode() []byte {
	b := make([]byte, 1, tokensFixed+16+len(t.access)+len(t.refresh)+len(t.nonce)+len(t.idToken))
	b[0] = tokensVersion
	for _, at := range [...]time.Time{t.expires, t.refreshDue, t.authTime, t.refreshed} {
		b = binary.BigEndian.AppendUint64(b, uint64(at.Unix()))
	}
	b = seal.AppendFlag(b, t.assumed)
	for _, s := range [...]string{t.access, t.refresh, t.nonce, t.idToken} {
		b = seal.AppendToken(b, s)
	}
	return b
}

func decodeTokens(b string) (*tokens, bool) {
	if len(b) < tokensFixed || b[0] != tokensVersion {
		return nil, false
	}
	t := &tokens{assumed: b[tokensFixed-1] == 1}
	for i, at := range [...]*time.Time{&t.expires, &t.refreshDue, &t.authTime, &t.refreshed} {
		*at = time.Unix(int64(seal.Uint64At(b, 1+8*i)), 0)
	}
	rest, ok := b[tokensFixed:], true
	for _, s := range [...]*string{&t.access, &t.refresh, &t.nonce, &t.idToken} {
		if *s, rest, ok = seal.CutToken(rest); !ok {
			return nil, false
		}
	}
	return t, rest == "" && t.access != ""
}

// tokenKeeper keeps the tokens of sessions.
type tokenKeeper struct {
	vault  vault.Vault
	sealer *seal.Sealer
	kept   bool // false: by the configuration, there are none
}

// load returns the tokens of a session, or nil if there are none.
func (k *tokenKeeper) load(r *http.Request, of *session) (*tokens, error) {
	if !k.kept {
		return nil, nil
	}
	sealed, err := k.vault.Read(r)
	if err != nil {
		return nil, errStoreDown(err)
	}
	return k.open(string(of.id[:]), sealed), nil
}

// open returns what was sealed under name, or nil.
func (k *tokenKeeper) open(name, sealed string) *tokens {
	record, ok := k.sealer.Open(name, sealed)
	if !ok {
		return nil
	}
	t, ok := decodeTokens(record)
	if !ok {
		return nil
	}
	return t
}

func (k *tokenKeeper) seal(of *session, t *tokens) string {
	return k.sealer.Seal(string(of.id[:]), t.kept().encode())
}

// start keeps the tokens of a session that is about to begin, or forgets those
// of the one before.
func (k *tokenKeeper) start(w http.ResponseWriter, r *http.Request, of *session, t *tokens, lifetime time.Duration) error {
	if !k.kept {
		return k.end(w, r)
	}
	of.refreshDue = instantOf(t.refreshDue)
	switch err := k.vault.Create(w, r, k.seal(of, t), lifetime); {
	case errors.Is(err, vault.ErrTooLarge):
		return errTokensTooLarge(err)
	case err != nil:
		return errStoreDown(err)
	}
	return nil
}

func (k *tokenKeeper) end(w http.ResponseWriter, r *http.Request) error {
	if err := k.vault.Erase(w, r); err != nil {
		return errStoreDown(err)
	}
	return nil
}

// errTokensLost is logged when a session ends because the tokens that have to be
// refreshed are not there.
func errTokensLost() *Error {
	return &Error{
		Status: http.StatusUnauthorized, Code: "tokens_lost",
		Public: "Please log in to continue.",
		Err:    errors.New("a refresh is due, and the session's tokens are missing or do not open, so it has ended; does the browser keep all cookies, and the Store all records?"),
	}
}

func errTokensTooLarge(err error) *Error {
	return &Error{
		Status: http.StatusInternalServerError, Code: "tokens_too_large",
		Public: "The login provider's answer is too large for this application, so you were not logged in. Please tell us.", operator: true,
		Err: fmt.Errorf("the tokens are %w; use a Store that takes them, or ask the provider for smaller ones", err),
	}
}
