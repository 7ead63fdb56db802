package core

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/pixyauth/pixy/core/internal/seal"
	"github.com/pixyauth/pixy/core/internal/vault"
)

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
