package core

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/pixyauth/pixy/core/internal/seal"
	"github.com/pixyauth/pixy/core/internal/vault"
)

// hintOutlives is how much longer than Sessions.Lifetime a logout hint is kept. The
// provider's session may last longer than the application's. Few providers keep one for
// more than a month.
const hintOutlives = 30 * 24 * time.Hour

// hintKeySize is the length of a hint's key: 132 bits.
const hintKeySize = 22

// logoutHints keeps the ID token for the provider's logout, as id_token_hint (OpenID
// Connect RP-Initiated Logout section 2). A sealed cookie holds it, which browsers send
// to the logout path only, so that other requests stay small. An ID token that is too
// large for a cookie is kept in the Store, if there is one, in a record of its own.
//
// A hint belongs to one session, and is sealed under that session's key. The reason:
// another host of the domain can set a cookie with the prefix __Secure-, with the hint of
// another login. The provider would then end the wrong session. The prefix __Host-
// prevents that, but requires Path=/, and the hint is too large to be sent with each
// request. So a cookie of 22 characters with the prefix __Host- keeps the key after the
// session has ended. During the session, the key is derived from its id.
type logoutHints struct {
	on            hostSeal
	name          string        // of the cookie with the hint
	last          string        // of the cookie with the key of the last session
	inStore       string        // of the cookie with the place in the Store
	leaving       string        // of the cookie with the departure
	own           bool          // the sessions are the application's
	registrations registrations // listed ones; a hint is sealed under its provider's id, so that no other provider gets it
	lookedUp      bool          // whether there are looked-up providers
	named         func(context.Context, string) (*registration, error)
	bound         func(context.Context, binding) (*registration, error)
	cookies       vault.Kind  // of the logout path
	ofSession     vault.Kind  // of all paths, and of all hosts that share sessions
	everywhere    vault.Kind  // of all paths of one host
	store         vault.Vault // for hints that are too large for a cookie; nil: no Store
	lifetime      time.Duration
	now           func() time.Time
	log           func(*http.Request, *Error)
	logger        *slog.Logger
}

// hintKey returns a session's key for cookies and seals. It does not reveal the session's
// id.
func hintKey(of *session) string { return opaqueKey("logout", string(of.id[:]))[:hintKeySize] }

// save keeps the hint of a new session, and removes that of an earlier login.
func (h *logoutHints) save(w http.ResponseWriter, r *http.Request, of *session, idToken string) {
	if idToken == "" {
		h.drop(w, r)
		return
	}
	h.forgetDeparture(w, r)
	key := hintKey(of)
	h.ofSession.Keep(w, h.last, key+h.origin(r, key, of), h.life(of))
	h.keep(w, r, of, idToken, func(w http.ResponseWriter, r *http.Request, value string) error {
		return h.replace(w, r, of, value)
	})
}

// life returns how long a session's hint is kept. If the session ends with the browser,
// nothing of the login stays in the browser.
func (h *logoutHints) life(of *session) vault.Life {
	return vault.Life{For: h.lifetime, EndsWithBrowser: of.endsWithBrowser}
}

// renew replaces the hint of a session with the latest ID token, because some providers
// refuse an expired one.
func (h *logoutHints) renew(w http.ResponseWriter, r *http.Request, of *session, idToken string) {
	h.keep(w, r, of, idToken, func(w http.ResponseWriter, r *http.Request, value string) error {
		if old, err := h.store.Read(r); err != nil || old == "" {
			return h.replace(w, r, of, value)
		}
		return h.store.Renew(w, r, value, h.life(of)) // concurrent requests may renew the same ID token
	})
}

func (h *logoutHints) keep(w http.ResponseWriter, r *http.Request, of *session, idToken string, inStore func(http.ResponseWriter, *http.Request, string) error) {
	value := h.on(r).Seal(hintName(of.binding(), hintKey(of)), seal.AppendToken(make([]byte, 0, len(idToken)), idToken))
	if len(value) <= vault.MaxValue {
		h.cookies.Keep(w, h.name, value, h.life(of))
		h.erase(w, r)
		return
	}
	h.cookies.Remove(w, h.name)
	if h.store == nil {
		remedy := "set a Store"
		if h.own {
			remedy = "ask for fewer scopes"
		}
		h.tellTooLarge(r, of, len(idToken), remedy)
		return
	}
	switch err := inStore(w, r, value); {
	case errors.Is(err, vault.ErrTooLarge):
		h.tellTooLarge(r, of, len(idToken), "use a Store that accepts larger values")
	case err != nil:
		h.log(r, of.binding().failed(errStoreDown(err))) // logout works without a hint
	}
}

// replace creates a new record in the Store, and deletes the browser's previous one.
func (h *logoutHints) replace(w http.ResponseWriter, r *http.Request, of *session, value string) error {
	if err := h.store.Create(w, r, value, h.life(of)); err != nil {
		return err
	}
	return h.store.Forget(r)
}

// find returns the departure from a session, or from the browser's last one if of is nil.
func (h *logoutHints) find(r *http.Request, of *session) departure {
	if of != nil {
		at, err := h.bound(r.Context(), of.binding())
		return h.withHint(r, departure{at: h.known(r, at, err), key: hintKey(of)})
	}
	key, _ := h.lastKey(r)
	from, _ := h.lastOrigin(r) // there is no hint if it was too large
	return h.withHint(r, departure{at: h.at(r, from), key: key})
}

// withHint returns gone with its ID token, if the browser has the hint under its key.
func (h *logoutHints) withHint(r *http.Request, gone departure) departure {
	if gone.key == "" {
		return gone
	}
	may := h.registrations
	if gone.at != nil {
		may = registrations{gone.at}
	}
	value, _ := vault.Value(r, h.name)
	at, idToken := h.open(r, may, gone.key, value)
	if at == nil && h.store != nil {
		value, err := h.store.Read(r)
		if err != nil {
			h.log(r, errStoreDown(err)) // logout works without a hint
		}
		at, idToken = h.open(r, may, gone.key, value)
	}
	if at != nil {
		gone.at, gone.idToken = at, idToken
	}
	return gone
}

// lastKey returns the key of the browser's last session, or "", and its origin.
func (h *logoutHints) lastKey(r *http.Request) (key, origin string) {
	value, _ := vault.Value(r, h.last)
	if len(value) < hintKeySize {
		return "", ""
	}
	return value[:hintKeySize], value[hintKeySize:]
}

// origin returns the sealed origin of a new session. For a session of the application's own
// it is the provider, and the session there; sessions of pixy have both themselves. For
// one of a looked-up provider it names the provider, which cannot be found otherwise after
// the session has ended.
func (h *logoutHints) origin(r *http.Request, key string, of *session) string {
	if !h.own && of.provider == "" {
		return ""
	}
	record := binary.BigEndian.AppendUint64(nil, mark(of.registration.id))
	record = append(append(record, providerSessionKey(of.user.Issuer, of.client, of.sid)...), of.provider...)
	return h.on(r).Seal(h.last+" "+key, record)
}

// lastOrigin returns where the browser's last session comes from, if its origin is kept,
// and its providerSessionKey. It does not ask Lookup.Find.
func (h *logoutHints) lastOrigin(r *http.Request) (from origin, sessionKey string) {
	key, sealed := h.lastKey(r)
	record, ok := h.on(r).Open(h.last+" "+key, sealed)
	if !ok || len(record) < 8+opaqueKeySize {
		return origin{}, ""
	}
	rest := record[8:]
	return origin{seal.Uint64At(record, 0), rest[opaqueKeySize:]}, rest[:opaqueKeySize]
}

// hasLast reports whether the browser has had a session of the application's own.
func (h *logoutHints) hasLast(r *http.Request) bool {
	from, _ := h.lastOrigin(r)
	return h.mayBe(from)
}

// lastAt returns the key of the browser's last session of the application's own, if that
// comes from a login at at, and an empty string otherwise.
func (h *logoutHints) lastAt(r *http.Request, at *registration) (sessionKey string) {
	from, sessionKey := h.lastOrigin(r)
	if from != at.origin() {
		return ""
	}
	return sessionKey
}

// open returns the registration and the ID token that are sealed in value under key. It
// returns nil and "" if value does not open.
func (h *logoutHints) open(r *http.Request, may registrations, key, value string) (*registration, string) {
	for _, at := range may {
		record, ok := h.on(r).Open(hintName(at.binding(), key), value)
		if !ok {
			continue
		}
		if idToken, rest, ok := seal.CutToken(record); ok && rest == "" {
			return at, idToken
		}
	}
	return nil, ""
}

// hintName is the name under which a hint is sealed. A refresh renews the hint of a
// looked-up provider without asking for its id, so its client and name are enough there.
// The caller has checked the issuer: see [Authenticator.bound], and origin.
func hintName(of binding, key string) string {
	if id := of.id(); id != of.name {
		return key + " " + id
	}
	return key + " " + of.client + " " + of.name
}

// drop removes all hints that may exist. A callback does not receive the hint's cookie.
func (h *logoutHints) drop(w http.ResponseWriter, r *http.Request) {
	h.dropCarried(w, r)
	h.cookies.Remove(w, h.name)
}

// dropCarried removes the hints that the request carries.
func (h *logoutHints) dropCarried(w http.ResponseWriter, r *http.Request) {
	if vault.Has(r, h.name) {
		h.cookies.Remove(w, h.name)
	}
	if vault.Has(r, h.last) {
		h.ofSession.Remove(w, h.last)
	}
	h.forgetDeparture(w, r)
	h.erase(w, r)
}

// erase removes the browser's hint from the Store.
func (h *logoutHints) erase(w http.ResponseWriter, r *http.Request) {
	if h.store == nil {
		if vault.Has(r, h.inStore) { // from when there was a Store
			h.ofSession.Remove(w, h.inStore)
		}
		return
	}
	if err := h.store.Erase(w, r); err != nil {
		h.log(r, errStoreDown(err)) // an unused record does no harm
	}
}

// tellTooLarge logs, once for each provider, that logouts have no hint.
func (h *logoutHints) tellTooLarge(r *http.Request, of *session, size int, remedy string) {
	at := of.registration
	if at == nil { // its login has told of it
		return
	}
	if at.toldNoHint.Swap(true) {
		return
	}
	h.logger.LogAttrs(r.Context(), slog.LevelWarn, "pixy: an ID token is too large to keep for the logout, so logout requests to the provider have no id_token_hint",
		slog.String("provider", at.config.Name),
		slog.String("issuer", at.config.Issuer),
		slog.Int("bytes", size),
		slog.String("hint", fmt.Sprintf("without it, some providers ask the user to confirm, or refuse; %s, or configure the provider to put fewer claims into the ID token", remedy)),
	)
}
