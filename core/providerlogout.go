package core

import (
	"context"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"

	"github.com/pixyauth/pixy/core/internal/provider"
	"github.com/pixyauth/pixy/core/internal/told"
)

const (
	maxLogoutToken = 16 << 10 // bytes
)

// BackChannelLogout ends sessions because a provider says so, which posts a
// logout token to it from server to server (OpenID Connect Back-Channel Logout
// 1.0): those that began in one session at the provider, or all of a user's. It
// is one place for all providers: whose the token is, is in the token, and then
// everything is verified against that provider. A token that comes again ends
// nothing again.
//
// It answers POST only: 200 without a body if the sessions are ended, or there
// were none. A token that fails a check gets an error of status 400, and one that
// cannot be checked or remembered now, one that wraps [ErrUnavailable]; no
// session ends in either case. Each success is one line in the log, at Info. It
// needs [LogoutConfig.Revocations].
//
// The request comes without cookies and from no page: whatever demands a token
// against forgery in front of the application must let it through.
func (a *Authenticator) BackChannelLogout(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	t := &turn{w: w, r: r}
	return a.conclude(t, a.endByToken(t))
}

func (a *Authenticator) endByToken(t *turn) error {
	if t.r.Method != http.MethodPost {
		return errMethod(t.w, http.MethodPost)
	}
	if a.config.Logout.Revocations == nil {
		return fmt.Errorf("BackChannelLogout: %w", errNoRevocations)
	}
	raw, err := postedLogoutToken(t.w, t.r)
	if err != nil {
		return errBadLogoutToken(err)
	}
	claimed, err := provider.ClaimedBy(raw)
	if err != nil {
		return errBadLogoutToken(err)
	}
	issuer, _ := claimed.Text("iss")
	t.at = a.registrations.issuedBy(issuer)
	if t.at == nil {
		return errBadLogoutToken(fmt.Errorf("iss is no OpenID provider of this application: %q", told.Clip(issuer)))
	}
	token, err := t.at.logoutToken(t.r.Context(), raw, claimed)
	if err != nil {
		return err
	}
	repeated, err := a.sessions.endBy(t.r.Context(), t.at.config.ClientID, token)
	if err != nil {
		return err
	}
	about, outcome := "a user", "ended"
	if token.SID != "" {
		about = "a session of the provider"
	}
	if repeated {
		outcome = "nothing: the token was seen before"
	}
	a.logProviderLogout(t.r, "back", t.at, about, outcome)
	t.w.WriteHeader(http.StatusOK)
	return nil
}

// logProviderLogout writes the line of a logout that the provider asked for and that
// did not fail. It names neither user nor session.
func (a *Authenticator) logProviderLogout(r *http.Request, channel string, at *registration, about, outcome string) {
	var provider Provider // none, if it is none of this application
	if at != nil {
		provider = at.config
	}
	a.config.Logger.LogAttrs(r.Context(), slog.LevelInfo, "pixy: logout by the provider",
		slog.String("channel", channel),
		slog.String("provider", provider.Name),
		slog.String("issuer", provider.Issuer),
		slog.String("about", about),
		slog.String("outcome", outcome),
	)
}

// postedLogoutToken is the one parameter of the form that counts (section 2.5).
func postedLogoutToken(w http.ResponseWriter, r *http.Request) (string, error) {
	if err := readForm(w, r); err != nil {
		return "", err
	}
	token, ok := only(r.PostForm["logout_token"])
	if !ok {
		return "", fmt.Errorf("%d parameters logout_token, or an empty one", len(r.PostForm["logout_token"]))
	}
	if len(token) > maxLogoutToken {
		return "", fmt.Errorf("it is %d bytes long; at most %d are accepted", len(token), maxLogoutToken)
	}
	return token, nil
}

// endBy ends the sessions that a logout token of client's is about (section 2.7):
// those of its sid, or all of the user's if it has none. The token is remembered
// for as long as it could come again, and last, so that one that did not get as
// far can. Repeated tells that it was remembered already, and ended nothing.
func (s *sessionKeeper) endBy(ctx context.Context, client string, token *provider.LogoutToken) (repeated bool, err error) {
	seen := opaqueKey("jti", token.Issuer, client, token.JTI)
	switch at, err := s.revocations.RevokedAt(ctx, seen); {
	case err != nil:
		return false, errRevocationsDown(err)
	case !at.IsZero():
		return true, nil // sessions that began since then stay
	}
	key := userKey(token.Issuer, client, token.Subject)
	if token.SID != "" {
		key = providerSessionKey(token.Issuer, client, token.SID)
	}
	if err := s.revoke(ctx, key); err != nil {
		return false, err
	}
	if err := s.revocations.Revoke(ctx, seen, s.now(), token.Until()); err != nil {
		return false, errRevocationsDown(err)
	}
	return false, nil
}

func errBadLogoutToken(err error) *Error {
	return fail(provider.CodeLogoutToken, fmt.Errorf("logout token: %w", err))
}

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
