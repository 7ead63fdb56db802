package core

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/oauth2"
)

const (
	tokensVersion = 1
	tokensFixed   = 1 + 8*3 // version, times

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
//	version ‖ expires ‖ refresh due ‖ auth_time ‖ access ‖ refresh ‖ nonce ‖ ID token
type tokens struct {
	access     string
	refresh    string    // empty: there is none
	expires    time.Time // of the access token; zero: the provider does not say
	refreshDue time.Time // zero: never
	nonce      string    // of the login
	authTime   time.Time // auth_time as the ID token had it; zero: it had none

	// idToken has come with a refresh, and is the logout hint from then on. It is in
	// the outcome of a refresh, and not in what is kept of a session.
	idToken string
}

// newTokens are those of a token response that has come now.
func newTokens(response *oauth2.Token, now time.Time) *tokens {
	t := &tokens{access: response.AccessToken, refresh: response.RefreshToken}
	if response.ExpiresIn <= 0 {
		return t
	}
	lifetime := time.Duration(response.ExpiresIn) * time.Second
	t.expires = now.Add(lifetime)
	if t.refresh != "" {
		t.refreshDue = t.expires.Add(-min(refreshAhead, lifetime/4))
	}
	return t
}

// expired reports whether the access token is known to be of no use.
func (t *tokens) expired(now time.Time) bool { return !t.expires.IsZero() && !now.Before(t.expires) }

// bearer is the access token, as [TokenSource] gives it.
func (t *tokens) bearer() *oauth2.Token {
	return &oauth2.Token{AccessToken: t.access, TokenType: "Bearer", Expiry: t.expires}
}

func (t *tokens) encode() []byte {
	b := make([]byte, 1, tokensFixed+16+len(t.access)+len(t.refresh)+len(t.nonce)+len(t.idToken))
	b[0] = tokensVersion
	for _, at := range [...]time.Time{t.expires, t.refreshDue, t.authTime} {
		b = binary.BigEndian.AppendUint64(b, uint64(at.Unix()))
	}
	for _, s := range [...]string{t.access, t.refresh, t.nonce, t.idToken} {
		b = appendToken(b, s)
	}
	return b
}

func decodeTokens(b string) (*tokens, bool) {
	if len(b) < tokensFixed || b[0] != tokensVersion {
		return nil, false
	}
	t := new(tokens)
	for i, at := range [...]*time.Time{&t.expires, &t.refreshDue, &t.authTime} {
		*at = time.Unix(int64(uint64At(b, 1+8*i)), 0)
	}
	rest, ok := b[tokensFixed:], true
	for _, s := range [...]*string{&t.access, &t.refresh, &t.nonce, &t.idToken} {
		if *s, rest, ok = cutToken(rest); !ok {
			return nil, false
		}
	}
	return t, rest == "" && t.access != ""
}

// tokenKeeper keeps the tokens of sessions.
type tokenKeeper struct {
	vault  vault
	sealer *sealer
	kept   bool // false: by the configuration, there are none
}

// load returns the tokens of a session, or nil if there are none.
func (k *tokenKeeper) load(r *http.Request, of *session) (*tokens, error) {
	if !k.kept {
		return nil, nil
	}
	sealed, err := k.vault.read(r)
	if err != nil {
		return nil, errStoreDown(err)
	}
	return k.open(string(of.id[:]), sealed), nil
}

// open returns what was sealed under name, or nil.
func (k *tokenKeeper) open(name, sealed string) *tokens {
	record, ok := k.sealer.open(name, sealed)
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
	kept := *t
	kept.idToken = ""
	return k.sealer.seal(string(of.id[:]), kept.encode())
}

// start keeps the tokens of a session that is about to begin, or forgets those
// of the one before.
func (k *tokenKeeper) start(w http.ResponseWriter, r *http.Request, of *session, t *tokens, lifetime time.Duration) error {
	if !k.kept {
		return k.end(w, r)
	}
	of.refreshDue = instantOf(t.refreshDue)
	switch err := k.vault.create(w, r, k.seal(of, t), lifetime); {
	case errors.Is(err, errTooLarge):
		return errTokensTooLarge(err)
	case err != nil:
		return errStoreDown(err)
	}
	return nil
}

func (k *tokenKeeper) end(w http.ResponseWriter, r *http.Request) error {
	if err := k.vault.erase(w, r); err != nil {
		return errStoreDown(err)
	}
	return nil
}

func errTokensTooLarge(err error) *Error {
	return &Error{
		Status: http.StatusInternalServerError, Code: "tokens_too_large",
		Public: "The login provider's answer is too large for this application, so you were not logged in. Please tell us.", operator: true,
		Err: fmt.Errorf("the tokens are %w; use a Store that takes them, or ask the provider for smaller ones", err),
	}
}
