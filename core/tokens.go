package core

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/pixyauth/pixy/core/internal/provider"
	"github.com/pixyauth/pixy/core/internal/seal"
	"github.com/pixyauth/pixy/core/internal/vault"
)

const (
	tokensVersion = 3
	tokensFixed   = 1 + 8*4 + 1 // version, times, flags

	flagAssumed = 1 << 0
	flagStrong  = 1 << 1
)

// tokens are the tokens that a provider issued with a login (RFC 6749 section 1.4 and
// 1.5), and the claims that a refreshed ID token must match. They have their own
// record, so a request that does not need them does not open it. The session id is its
// additional data, so the tokens of another session cannot replace them.
//
//	version ‖ expires ‖ refresh due ‖ auth_time ‖ refreshed ‖ flags ‖ access ‖ refresh ‖ nonce ‖ ID token ‖ key ‖ authorization details
type tokens provider.Tokens

// expired reports whether the access token has expired, by the provider's lifetime or
// by the assumed one.
func (t *tokens) expired(now time.Time) bool { return !t.Expires.IsZero() && !now.Before(t.Expires) }

// due reports whether it is time to refresh the tokens.
func (t *tokens) due(now time.Time) bool { return !t.RefreshDue.IsZero() && !now.Before(t.RefreshDue) }

// needProvider reports whether only the provider's registration can send the tokens to an
// API: with a proof of their key, or over connections of its own.
func (t *tokens) needProvider() bool { return t.Key != "" || t.Strong }

// access returns the access token in the form that [TokenSource] returns.
func (t *tokens) access() *oauth2.Token {
	token := &oauth2.Token{AccessToken: t.Access, TokenType: "Bearer"}
	if t.Key != "" {
		token.TokenType = typeDPoP
	}
	if !t.Assumed {
		token.Expiry = t.Expires
	}
	return token
}

// typeDPoP is the type of access tokens that are bound to a key (RFC 9449 section 5).
const typeDPoP = "DPoP"

// kept returns the tokens in the form that a session stores, without the ID token and
// authorization details, which only a [Grant] has.
func (t *tokens) kept() *tokens {
	kept := *t
	kept.IDToken, kept.Details = "", ""
	return &kept
}

// isNew reports whether t came from a refresh less than refreshRest ago.
func (t *tokens) isNew(now time.Time) bool {
	age := now.Sub(t.Refreshed)
	return 0 <= age && age < refreshRest
}

func (t *tokens) encode() []byte {
	b := make([]byte, 1, tokensFixed+16+len(t.Access)+len(t.Refresh)+len(t.Nonce)+len(t.IDToken)+len(t.Key)+len(t.Details))
	b[0] = tokensVersion
	for _, at := range [...]time.Time{t.Expires, t.RefreshDue, t.AuthTime, t.Refreshed} {
		b = binary.BigEndian.AppendUint64(b, uint64(at.Unix()))
	}
	var flags byte
	if t.Assumed {
		flags |= flagAssumed
	}
	if t.Strong {
		flags |= flagStrong
	}
	b = append(b, flags)
	for _, s := range [...]string{t.Access, t.Refresh, t.Nonce, t.IDToken, t.Key, t.Details} {
		b = seal.AppendToken(b, s)
	}
	return b
}

func decodeTokens(b string) (*tokens, bool) {
	if len(b) < tokensFixed || b[0] != tokensVersion {
		return nil, false
	}
	flags := b[tokensFixed-1]
	t := &tokens{Assumed: flags&flagAssumed != 0, Strong: flags&flagStrong != 0}
	for i, at := range [...]*time.Time{&t.Expires, &t.RefreshDue, &t.AuthTime, &t.Refreshed} {
		*at = time.Unix(int64(seal.Uint64At(b, 1+8*i)), 0)
	}
	rest, ok := b[tokensFixed:], true
	for _, s := range [...]*string{&t.Access, &t.Refresh, &t.Nonce, &t.IDToken, &t.Key, &t.Details} {
		if *s, rest, ok = seal.CutToken(rest); !ok {
			return nil, false
		}
	}
	return t, rest == "" && t.Access != ""
}

// tokenKeeper keeps the tokens of sessions.
type tokenKeeper struct {
	vault  vault.Vault
	on     hostSeal
	sealer *seal.Sealer // of the outcomes of refreshes, which are for no host
	kept   bool         // Tokens.Keep; false: there are no tokens
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
	return openTokens(k.on(r), string(of.id[:]), sealed), nil
}

// openTokens returns the tokens that were sealed under name, or nil if sealed does not
// open.
func openTokens(sealer seal.HostSealer, name, sealed string) *tokens {
	record, ok := sealer.Open(name, sealed)
	if !ok {
		return nil
	}
	t, ok := decodeTokens(record)
	if !ok {
		return nil
	}
	return t
}

func (k *tokenKeeper) seal(r *http.Request, of *session, t *tokens) string {
	return k.on(r).Seal(string(of.id[:]), t.kept().encode())
}

// start stores the tokens of a session that is about to begin, and replaces those of the
// request if same is set. If tokens are not kept, it deletes those of the session before.
func (k *tokenKeeper) start(w http.ResponseWriter, r *http.Request, of *session, t *tokens, life vault.Life, same bool) error {
	if !k.kept {
		return k.end(w, r)
	}
	of.refreshDue = instantOf(t.RefreshDue)
	switch err := vault.Put(k.vault, w, r, k.seal(r, of, t), life, same); {
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

// errTokensLost is logged when a session ends because a refresh is due and its tokens
// are missing.
func errTokensLost() *Error {
	return fail(codeTokensLost, errors.New("the session has ended: a refresh is due, and its tokens are missing or do not open; check that the browser keeps all cookies, and the Store all records"))
}

func errTokensTooLarge(err error) *Error {
	return fail(codeTokensSize, fmt.Errorf("the tokens are %w; use a Store that takes them, or ask the provider for smaller ones", err))
}

// requestTokens are the tokens of one request, for the handlers behind the guard.
type requestTokens struct {
	keeper  *tokenKeeper
	request *http.Request
	session *session
	turn    sync.Mutex // one refresh on demand at a time

	mu     sync.Mutex
	read   bool
	came   *tokens // as the request carried them
	tokens *tokens // the current ones; nil: not read yet, or none
	err    error
}

// get returns the tokens. It reads them once; later calls return those of set, if it
// was called.
func (t *requestTokens) get() (*tokens, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.read {
		t.read = true
		t.came, t.err = t.keeper.load(t.request, t.session)
		t.tokens = t.came
	}
	return t.tokens, t.err
}

// set replaces the tokens by the result of a refresh.
func (t *requestTokens) set(fresh *tokens, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tokens, t.err = fresh, err
}
