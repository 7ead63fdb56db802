package core

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/url"
)

// FrontChannelLogout ends the session of the browser that opens it, because the
// provider's logout page has it do so in a frame (OpenID Connect Front-Channel
// Logout 1.0). The parameters iss and sid must be those of the session, or
// nothing ends: who does not know the sid, which the provider and this application
// do, logs nobody out. Copies of the session, and what else began in that session
// at the provider, end with it.
//
// The session's cookie is SameSite=Lax: browsers send it to a frame only if
// provider and application share a site, as id.example.com and app.example.com
// do. In a frame of another site's there is no session to end, and nothing
// happens. [Authenticator.BackChannelLogout] works for all.
//
// It answers GET only, and always with the same empty page, which only the
// provider's own pages may frame: nobody reads it, and another site that opens it
// must not learn who is logged in. The log has one line for each, at Info, which
// says what came of it. It is an error, which wraps [ErrUnavailable],
// if the Store or Revocations are down. It needs [LogoutConfig.Revocations].
func (a *Authenticator) FrontChannelLogout(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	return a.report(w, r, a.logoutInFrame(w, r))
}

func (a *Authenticator) logoutInFrame(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodGet {
		return errMethod(w, http.MethodGet)
	}
	query := r.URL.Query()
	issuer, _ := only(query["iss"])
	sid, _ := only(query["sid"])
	outcome, err := a.endHere(w, r, issuer, sid)
	if err != nil {
		return err
	}
	at := a.registrations.issuedBy(issuer)
	a.logProviderLogout(r, "front", at, "a session of the provider", outcome)
	w.Header().Set("Content-Security-Policy", framePolicy(at))
	serve(w, http.StatusOK, "text/html; charset=utf-8", []byte("<!doctype html>\n<title>Logout</title>\n"))
	return nil
}

// endHere ends the browser's session if it is the one of issuer and sid. The
// outcome is for the log.
func (a *Authenticator) endHere(w http.ResponseWriter, r *http.Request, issuer, sid string) (outcome string, err error) {
	if a.config.Logout.Revocations == nil {
		return "", fmt.Errorf("FrontChannelLogout: %w", errNoRevocations)
	}
	if issuer == "" || sid == "" {
		return "nothing: the request lacks iss or sid", nil
	}
	session, err := a.sessions.load(r)
	if err != nil {
		return "", err
	}
	if session == nil {
		return "nothing: the request has no session; is the provider on another site?", nil
	}
	if session.user.Issuer != issuer || subtle.ConstantTimeCompare([]byte(session.sid), []byte(sid)) != 1 {
		return "nothing: the request has another session", nil
	}
	if err := a.sessions.revoke(r.Context(), providerSessionKey(issuer, session.client, sid)); err != nil {
		return "", err
	}
	_, err = a.endSession(w, r, session) // its tokens are the provider's to end
	return "ended", err
}

// framePolicy lets the pages of a provider's origin frame the answer, and nobody
// else. There is nothing in it to load.
func framePolicy(at *registration) string {
	framedBy := "'none'"
	if at != nil {
		if u, err := url.Parse(at.config.Issuer); err == nil {
			framedBy = u.Scheme + "://" + u.Host
		}
	}
	return "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors " + framedBy
}
