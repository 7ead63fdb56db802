package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/pixyauth/pixy/core/internal/seal"
	"github.com/pixyauth/pixy/core/internal/vault"
)

// Logout ends the session here, then sends the browser to the provider to end
// the session there (OpenID Connect RP-Initiated Logout). If the provider has no
// place for that, or its metadata is not known and cannot be fetched, the browser
// goes to Logout.After. Logout does not ask whether the provider is up: while its
// metadata is known, the browser goes there, and may find it down. The session
// here has ended in any case.
//
// Kept tokens are revoked at the provider, if it supports that (RFC 7009). A
// browser whose session is over goes to the provider as well, as long as it has
// the hint of its last login: for Sessions.Lifetime and 30 days. An anonymous
// request goes to Logout.After at once.
//
// It answers POST only, from a page of this application: put a button in a form
// with method="post". A request that another site caused gets [ErrCrossOrigin],
// and the session stays. If the Store is down, or Revocations are, it is
// [ErrUnavailable] and the session stays as well.
func (a *Authenticator) Logout(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	return a.report(w, r, a.logout(w, r))
}

func (a *Authenticator) logout(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		return errMethod(w, http.MethodPost)
	}
	if err := a.crossOrigin.Check(r); err != nil {
		return fail(codeCrossOrigin, err)
	}
	session, err := a.sessions.load(r)
	if err != nil {
		return err
	}
	held, err := a.endSession(w, r, session)
	if err != nil {
		return err
	}
	if held != nil {
		a.revokeTokens(r, session.registration, held)
	}
	at, hint := a.hints.take(w, r, session)
	if session != nil {
		at = session.registration
	}
	if at != nil {
		if to := at.logoutURL(r.Context(), hint, a.origin+a.config.Logout.After); to != "" {
			redirect(w, to)
			return nil
		}
	}
	redirect(w, a.config.Logout.After)
	return nil
}

// endSession forgets a browser's session, and returns the tokens that it had, if
// any. An error means that the session goes on.
func (a *Authenticator) endSession(w http.ResponseWriter, r *http.Request, session *session) (*tokens, error) {
	var held *tokens
	if session != nil {
		var err error
		if held, err = a.tokens.load(r, session); err != nil {
			return nil, err
		}
	}
	if err := a.sessions.end(w, r, session); err != nil {
		return nil, err
	}
	a.landings.forgetAll(w, r)
	if session != nil {
		a.flights.end(session)
	}
	if err := a.tokens.end(w, r); err != nil {
		a.log(r, asError(err)) // without their session they are of no use
	}
	return held, nil
}

// revokeTokens has a provider revoke the tokens of a session that has ended. A
// failure is logged and does no harm: nobody here has them any more.
func (a *Authenticator) revokeTokens(r *http.Request, at *registration, held *tokens) {
	if err := at.revoke(r.Context(), held); err != nil {
		a.log(r, asError(err))
	}
}

// revokeLater is revokeTokens for a request that does not wait for it. The goroutine
// ends within seconds, if Client.SecretFunc heeds its context.
func (a *Authenticator) revokeLater(r *http.Request, at *registration, held *tokens) {
	detached := r.WithContext(context.WithoutCancel(r.Context()))
	go func() {
		defer func() {
			if cause := recover(); cause != nil { // in a goroutine of ours, a panic would end the program
				failure := errProviderDown(fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
				failure.from = at
				a.log(detached, failure)
			}
		}()
		a.revokeTokens(detached, at, held)
	}()
}

// hintOutlives is how much longer than Sessions.Lifetime a logout hint is kept. The
// provider's own session may last longer than the application's; few providers
// keep one for more than a month.
const hintOutlives = 30 * 24 * time.Hour

// hintKeySize is the length of what names a hint's session: 132 bits.
const hintKeySize = 22

// logoutHints keeps the ID token, which a provider wants to see again at logout
// (OpenID Connect RP-Initiated Logout section 2). It is kept in a sealed cookie
// that only the logout path receives, so it costs no other request anything. An
// ID token that is too large for a cookie is kept in the Store, if there is one,
// in a record of its own.
//
// A hint belongs to one session, and is sealed under that session's key. Another
// host of the domain can plant a cookie with the prefix __Secure-, and with it a
// hint of its own login: the provider would end the wrong session. The prefix
// __Host- prevents that, but demands Path=/, and the hint is too large to be sent
// with each request. So a cookie of 22 characters with that prefix keeps the key
// when the session is over. While there is a session, its key comes from its id.
type logoutHints struct {
	sealer        *seal.Sealer
	name          string        // of the cookie with the hint
	last          string        // of the cookie with the key of the last session
	registrations registrations // whose id it is sealed under: a token is shown to no other provider
	cookies       vault.Kind    // of the logout path
	everywhere    vault.Kind
	store         vault.Vault // for hints that are too large for a cookie; nil: there is none
	lifetime      time.Duration
	log           func(*http.Request, *Error)
	logger        *slog.Logger
}

// hintKey names a session in cookies and seals, and does not tell its id.
func hintKey(of *session) string { return opaqueKey("logout", string(of.id[:]))[:hintKeySize] }

// save keeps the hint of a session that has just begun, and forgets that of any
// earlier login.
func (h *logoutHints) save(w http.ResponseWriter, r *http.Request, of *session, idToken string) {
	if idToken == "" {
		h.drop(w, r)
		return
	}
	h.everywhere.Set(w, h.last, hintKey(of), h.lifetime)
	h.keep(w, r, of, idToken, h.replace)
}

// renew replaces the hint of a session by its latest ID token: some providers
// refuse one that has expired.
func (h *logoutHints) renew(w http.ResponseWriter, r *http.Request, of *session, idToken string) {
	h.keep(w, r, of, idToken, func(w http.ResponseWriter, r *http.Request, value string) error {
		if old, err := h.store.Read(r); err != nil || old == "" {
			return h.replace(w, r, value)
		}
		return h.store.Renew(w, r, value, h.lifetime) // many requests may bring one ID token
	})
}

func (h *logoutHints) keep(w http.ResponseWriter, r *http.Request, of *session, idToken string, inStore func(http.ResponseWriter, *http.Request, string) error) {
	value := h.sealer.Seal(hintName(of.registration, hintKey(of)), seal.AppendToken(make([]byte, 0, len(idToken)), idToken))
	if len(value) <= vault.MaxValue {
		h.cookies.Set(w, h.name, value, h.lifetime)
		h.erase(w, r)
		return
	}
	h.cookies.Remove(w, h.name)
	if h.store == nil {
		h.tellTooLarge(r, of.registration, len(idToken), "set a Store")
		return
	}
	switch err := inStore(w, r, value); {
	case errors.Is(err, vault.ErrTooLarge):
		h.tellTooLarge(r, of.registration, len(idToken), "use a Store that takes larger values")
	case err != nil:
		failure := errStoreDown(err) // logout works without
		failure.from = of.registration
		h.log(r, failure)
	}
}

// replace puts a new record into the Store, and forgets the browser's former one.
func (h *logoutHints) replace(w http.ResponseWriter, r *http.Request, value string) error {
	if err := h.store.Create(w, r, value, h.lifetime); err != nil {
		return err
	}
	return h.store.Forget(r)
}

// take removes the hint and returns it, and whose it is. With a session, only the
// hint of that session counts. It returns nothing if there is none.
func (h *logoutHints) take(w http.ResponseWriter, r *http.Request, of *session) (*registration, string) {
	defer h.dropCarried(w, r)
	key, _ := vault.Value(r, h.last)
	may := h.registrations
	if of != nil {
		key, may = hintKey(of), registrations{of.registration}
	}
	if len(key) != hintKeySize {
		return nil, ""
	}
	value, _ := vault.Value(r, h.name)
	if at, idToken := h.open(may, key, value); at != nil || h.store == nil {
		return at, idToken
	}
	value, err := h.store.Read(r)
	if err != nil {
		h.log(r, errStoreDown(err)) // logout works without
	}
	return h.open(may, key, value)
}

// open returns what is sealed in value for the session of key, or nothing.
func (h *logoutHints) open(may registrations, key, value string) (*registration, string) {
	for _, at := range may {
		record, ok := h.sealer.Open(hintName(at, key), value)
		if !ok {
			continue
		}
		if idToken, rest, ok := seal.CutToken(record); ok && rest == "" {
			return at, idToken
		}
	}
	return nil, ""
}

func hintName(at *registration, key string) string { return key + " " + at.id }

// drop removes all that may be there. A callback does not see the hint's cookie.
func (h *logoutHints) drop(w http.ResponseWriter, r *http.Request) {
	h.dropCarried(w, r)
	h.cookies.Remove(w, h.name)
}

// dropCarried removes what a request carries.
func (h *logoutHints) dropCarried(w http.ResponseWriter, r *http.Request) {
	if vault.Has(r, h.name) {
		h.cookies.Remove(w, h.name)
	}
	if vault.Has(r, h.last) {
		h.everywhere.Remove(w, h.last)
	}
	h.erase(w, r)
}

// erase removes the hint in the Store, if the browser has one there.
func (h *logoutHints) erase(w http.ResponseWriter, r *http.Request) {
	if h.store == nil {
		return
	}
	if err := h.store.Erase(w, r); err != nil {
		h.log(r, errStoreDown(err)) // nothing depends on it
	}
}

// tellTooLarge logs, once for each provider, that logouts go without a hint.
func (h *logoutHints) tellTooLarge(r *http.Request, at *registration, size int, remedy string) {
	if at.toldNoHint.Swap(true) {
		return
	}
	h.logger.LogAttrs(r.Context(), slog.LevelWarn, "pixy: an ID token is too large to be kept for logout, so logouts at the provider go without id_token_hint",
		slog.String("provider", at.config.Name),
		slog.String("issuer", at.config.Issuer),
		slog.Int("bytes", size),
		slog.String("hint", fmt.Sprintf("some providers then ask the user, or refuse; %s, or have the provider put fewer claims into the ID token", remedy)),
	)
}
