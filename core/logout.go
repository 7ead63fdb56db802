package core

import (
	"fmt"
	"net/http"
	"time"
)

// Logout ends the session here, then sends the browser to the provider to end
// it there too (OpenID Connect RP-Initiated Logout), or to AfterLogout if the
// provider has no place for that or is down. Kept tokens are revoked there, if it
// takes that (RFC 7009). A browser whose session is over already goes to the
// provider, too, if it still has the hint of its login, and a stranger's to
// AfterLogout at once.
//
// It answers POST only, from a page of this application: put a button in a form
// with method="post". A request that another site caused gets [ErrCrossOrigin],
// and the session stays. If the Store is down, or Revocations are, it is
// [ErrUnavailable] and the session stays as well.
func (a *Authenticator) Logout(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	if r.Method != http.MethodPost {
		return a.report(w, r, errMethod(w, http.MethodPost))
	}
	if err := a.crossOrigin.Check(r); err != nil {
		return a.report(w, r, &Error{
			Status: http.StatusForbidden, Code: "cross_origin_logout",
			Public: "The request to log out came from another site, so nobody was logged out.",
			Err:    fmt.Errorf("%w: %w", ErrCrossOrigin, err),
		})
	}
	session, err := a.sessions.load(r)
	if err != nil {
		return a.report(w, r, err)
	}
	held, err := a.endSession(w, r, session)
	if err != nil {
		return a.report(w, r, err)
	}
	if held != nil {
		if err := session.registration.revoke(r.Context(), held); err != nil {
			a.log(r, asError(from(session.registration, err))) // nobody has them any more
		}
	}
	at, hint := a.hints.take(w, r)
	if session != nil && session.registration != at {
		at, hint = session.registration, ""
	}
	if at != nil {
		// Nothing depends on the state that comes back: whoever returns is logged out.
		to := at.logoutURL(r.Context(), hint, a.origin+a.config.AfterLogout, randomText())
		if to != "" {
			redirect(w, to)
			return nil
		}
	}
	redirect(w, a.config.AfterLogout)
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
	if err := a.tokens.end(w, r); err != nil {
		a.log(r, asError(err)) // without their session they are of no use
	}
	return held, nil
}

// logoutHints keeps the ID token, which a provider wants to see again at
// logout, in a sealed cookie that only the logout path receives. So it burdens
// no other request, and the session's record need not hold it.
type logoutHints struct {
	sealer        *sealer
	name          string        // of the cookie
	registrations registrations // whose id it is sealed under: a token is shown to no other provider
	cookies       cookieKind
	lifetime      time.Duration
}

// save replaces the hint of any earlier login. A token too large for a cookie
// is left out: logout works without it, though some providers then ask.
func (h *logoutHints) save(w http.ResponseWriter, at *registration, idToken string) {
	value := h.sealer.seal(at.id, appendToken(make([]byte, 0, len(idToken)), idToken))
	if idToken == "" || len(value) > maxCookieValue {
		h.cookies.remove(w, h.name)
		return
	}
	h.cookies.set(w, h.name, value, h.lifetime)
}

// take removes the hint and returns it and whose it is, or nothing if there is
// none.
func (h *logoutHints) take(w http.ResponseWriter, r *http.Request) (*registration, string) {
	if !hasCookie(r, h.name) {
		return nil, ""
	}
	h.cookies.remove(w, h.name)
	value, _ := cookieValue(r, h.name)
	for _, at := range h.registrations {
		record, ok := h.sealer.open(at.id, value)
		if !ok {
			continue
		}
		if idToken, rest, ok := cutToken(record); ok && rest == "" {
			return at, idToken
		}
	}
	return nil, ""
}
