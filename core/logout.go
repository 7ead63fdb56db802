package core

import (
	"fmt"
	"net/http"
	"time"
)

// Logout ends the session here, then sends the browser to the provider to end
// it there too (OpenID Connect RP-Initiated Logout), or to AfterLogout if the
// provider has no place for that or is down. For a stranger it goes to
// AfterLogout at once.
//
// It answers POST only, from a page of this application: put a button in a form
// with method="post". A request that another site caused gets [ErrCrossOrigin],
// and the session stays. If the Store is down, it is [ErrUnavailable] and the
// session stays as well.
func (a *Authenticator) Logout(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	if r.Method != http.MethodPost {
		return a.report(w, r, errMethod(w, http.MethodPost))
	}
	if err := a.crossOrigin.Check(r); err != nil {
		return a.report(w, r, &Error{
			Status: http.StatusForbidden, Code: "cross_origin_logout",
			Public: "You are still logged in: the request to log out came from another site.",
			Err:    fmt.Errorf("%w: %w", ErrCrossOrigin, err),
		})
	}
	session, err := a.sessions.load(r)
	if err != nil {
		return a.report(w, r, err)
	}
	if err := a.sessions.end(w, r); err != nil {
		return a.report(w, r, err)
	}
	hint := a.hints.take(w, r)
	if session != nil || hint != "" {
		// Nothing depends on the state that comes back: whoever returns is logged out.
		to := a.provider.logoutURL(r.Context(), hint, a.origin+a.config.AfterLogout, randomText())
		if to != "" {
			redirect(w, to)
			return nil
		}
	}
	redirect(w, a.config.AfterLogout)
	return nil
}

// logoutHints keeps the ID token, which a provider wants to see again at
// logout, in a sealed cookie that only the logout path receives. So it burdens
// no other request, and the session's record need not hold it.
type logoutHints struct {
	sealer   *sealer
	name     string // of the cookie
	provider string // sealed under: a token is never shown to another provider
	path     string
	secure   bool
	lifetime time.Duration
}

// save replaces the hint of any earlier login. A token too large for a cookie
// is left out: logout works without it, though some providers then ask.
func (h *logoutHints) save(w http.ResponseWriter, idToken string) {
	value := h.sealer.seal(h.provider, []byte(idToken))
	if len(value) > maxCookieValue {
		h.setCookie(w, "", -1)
		return
	}
	h.setCookie(w, value, int(h.lifetime.Seconds()))
}

// take removes the hint and returns it, or "" if there is none.
func (h *logoutHints) take(w http.ResponseWriter, r *http.Request) string {
	if !hasCookie(r, h.name) {
		return ""
	}
	h.setCookie(w, "", -1)
	value, _ := cookieValue(r, h.name)
	idToken, _ := h.sealer.open(h.provider, value)
	return string(idToken)
}

func (h *logoutHints) setCookie(w http.ResponseWriter, value string, maxAge int) {
	setCookie(w, &http.Cookie{
		Name: h.name, Value: value, MaxAge: maxAge,
		Path: h.path, Secure: h.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}
