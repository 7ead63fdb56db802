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

// BackChannelLogout ends sessions at the request of a provider, which posts a logout
// token from server to server (OpenID Connect Back-Channel Logout 1.0). It ends the
// sessions that began in one session at the provider, or all sessions of a user. It is
// one endpoint for all listed providers: the token's iss names the provider, and the token
// is verified against that provider. A looked-up provider has its own endpoint: the path
// names the provider, and iss must be that provider's. A token that was seen before ends no
// sessions.
//
// It accepts only POST. It answers 200 without a body if the sessions were ended, or if
// there were none. If the token fails a check, the error has status 400. If the token
// cannot be checked or remembered now, the error wraps [ErrUnavailable]. No session ends
// in either case. Each success is logged once, at Info. It needs
// [LogoutConfig.Revocations] or [OwnSessions.EndByProvider].
//
// A looked-up provider may send 10,000 tokens at once, and then one a second. Each token
// above that ends the sessions of all its users. With [SessionConfig.Own], such a token
// gets status 503 instead.
//
// The request has no cookies and comes from no page. Exclude this route from any CSRF
// protection that requires a token.
func (a *Authenticator) BackChannelLogout(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	t := &turn{w: w, r: r}
	return a.conclude(t, a.endByToken(t))
}

func (a *Authenticator) endByToken(t *turn) error {
	if err := a.checkHost(t); err != nil {
		return err
	}
	if t.r.Method != http.MethodPost {
		return errMethod(t.w, http.MethodPost)
	}
	if !a.config.endsByProvider() {
		return fmt.Errorf("BackChannelLogout: %w", errNoRevocations)
	}
	raw, err := postedLogoutToken(t.w, t.r)
	if err != nil {
		return errBadLogoutToken(err)
	}
	among, err := a.endingBy(t.r)
	if err != nil {
		return err
	}
	if raw, err = among.open(t.r.Context(), raw); err != nil {
		return err
	}
	claimed, err := provider.ClaimedBy(raw)
	if err != nil {
		return errBadLogoutToken(err)
	}
	issuer, _ := claimed.Text("iss")
	t.at = among.issuedBy(issuer)
	if t.at == nil {
		return errBadLogoutToken(fmt.Errorf("iss is not the Issuer of a configured OpenID provider, or not of the one in the path: %q", told.Clip(issuer)))
	}
	token, err := t.at.logoutToken(t.r.Context(), raw, claimed)
	if err != nil {
		return err
	}
	repeated, err := a.endBy(t.r.Context(), t.at, token)
	if err != nil {
		return err
	}
	about, outcome := "a user", "ended"
	if token.SID != "" {
		about = "a session of the provider"
	}
	if repeated {
		outcome = "nothing: the token was seen before"
	} else {
		a.tell(t.r.Context(), "", Event{Kind: eventLogout, Provider: t.at.config.Name, Issuer: token.Issuer, Subject: token.Subject, By: byProvider})
	}
	a.logProviderLogout(t.r, "back", t.at, about, outcome)
	t.w.WriteHeader(http.StatusOK)
	return nil
}

// endingBy returns the registrations whose providers may request a logout with r: the one
// that its path names, if there is one, or the listed ones.
func (a *Authenticator) endingBy(r *http.Request) (registrations, error) {
	name, ok := a.nameIn(r)
	if !ok {
		return a.registrations, nil
	}
	at, err := a.named(r.Context(), name)
	if at == nil || err != nil {
		return nil, err
	}
	return registrations{at}, nil
}

// logProviderLogout logs a successful logout request of a provider. The log line names
// neither user nor session.
func (a *Authenticator) logProviderLogout(r *http.Request, channel string, at *registration, about, outcome string) {
	var provider Provider // zero if iss is not a configured provider
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

// postedLogoutToken returns the form's only relevant parameter (section 2.5).
func postedLogoutToken(w http.ResponseWriter, r *http.Request) (string, error) {
	if err := readForm(w, r); err != nil {
		return "", err
	}
	token, ok := only(r.PostForm["logout_token"])
	if !ok {
		return "", fmt.Errorf("want one logout_token parameter that is not empty, got %d", len(r.PostForm["logout_token"]))
	}
	if len(token) > maxLogoutToken {
		return "", fmt.Errorf("its size is %d bytes; the limit is %d", len(token), maxLogoutToken)
	}
	return token, nil
}

// endBy ends the sessions that a logout token of at names (section 2.7): those of its
// sid, or all sessions of the user if there is no sid. It remembers the token for as long
// as it is valid. It does so last, so that a provider can send the token again after a
// failure. Repeated reports that the token was seen before, and ended no session.
func (a *Authenticator) endBy(ctx context.Context, at *registration, token *provider.LogoutToken) (repeated bool, err error) {
	s := a.sessions
	if at.lookedUp && !at.logouts.allows(s.now()) {
		return false, a.endAllBy(ctx, at)
	}
	seen := opaqueKey("jti", token.Issuer, at.config.ClientID, token.JTI)
	switch before, err := s.revocations.RevokedAt(ctx, seen); {
	case err != nil:
		return false, errRevocationsDown(err)
	case !before.IsZero():
		return true, nil // sessions that began since then continue
	}
	if err := a.endNamed(ctx, at, token); err != nil {
		return false, err
	}
	if err := s.revocations.Revoke(ctx, seen, s.now(), token.Until()); err != nil {
		return false, errRevocationsDown(err)
	}
	return false, nil
}

// endAllBy ends all sessions of a looked-up provider that sends too many logout tokens:
// that takes one record, however many tokens follow. It harms no other provider's users.
func (a *Authenticator) endAllBy(ctx context.Context, at *registration) error {
	if a.config.Sessions.Own != nil {
		return errRevocationsDown(fmt.Errorf("the provider has sent more than %d logout tokens, and may send one in %s now", maxLogouts, logoutPause))
	}
	return a.sessions.revoke(ctx, a.sessions.lookedUpKey(at.config.Name))
}

func (a *Authenticator) endNamed(ctx context.Context, at *registration, token *provider.LogoutToken) error {
	if a.config.Sessions.Own != nil {
		return a.endOwnByProvider(ctx, at, token.Issuer, token.Subject, token.SID)
	}
	key := userKey(token.Issuer, at.config.ClientID, token.Subject)
	if token.SID != "" {
		key = providerSessionKey(token.Issuer, at.config.ClientID, token.SID)
	}
	return a.sessions.revoke(ctx, key)
}

func errBadLogoutToken(err error) *Error {
	return fail(provider.CodeLogoutToken, fmt.Errorf("logout token: %w", err))
}

// FrontChannelLogout ends the session of the browser that opens it in a frame of the
// provider's logout page (OpenID Connect Front-Channel Logout 1.0). The parameters iss
// and sid must be those of the session, or no session ends. Only the provider and this
// application know the sid, so other sites cannot log users out. Copies of the session
// end too, and so do other sessions that began in the same session at the provider.
//
// The session's cookie is SameSite=Lax. Browsers send it to a frame only if provider and
// application are on the same site, as id.example.com and app.example.com are. In a frame
// of another site, the request has no session, and nothing happens.
// [Authenticator.BackChannelLogout] works for all providers.
//
// A looked-up provider has its own path, which ends only sessions that began there.
//
// It accepts only GET. It always answers with the same empty page, which only the
// provider's pages may frame, so that other sites cannot learn whether a user is logged
// in. Each request is logged once, at Info, with its outcome. If the Store or Revocations
// are down, the error wraps [ErrUnavailable]. It needs [LogoutConfig.Revocations] or
// [OwnSessions.EndByProvider].
func (a *Authenticator) FrontChannelLogout(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	return a.report(w, r, a.logoutInFrame(w, r))
}

func (a *Authenticator) logoutInFrame(w http.ResponseWriter, r *http.Request) error {
	if _, err := a.hosts.originFor(r); err != nil {
		return err
	}
	if r.Method != http.MethodGet {
		return errMethod(w, http.MethodGet)
	}
	query := r.URL.Query()
	issuer, _ := only(query["iss"])
	sid, _ := only(query["sid"])
	among, err := a.endingBy(r)
	if err != nil {
		return err
	}
	at := among.issuedBy(issuer)
	outcome, err := a.endHere(w, r, at, issuer, sid)
	if err != nil {
		return err
	}
	a.logProviderLogout(r, "front", at, "a session of the provider", outcome)
	w.Header().Set("Content-Security-Policy", framePolicy(at))
	serve(w, http.StatusOK, "text/html; charset=utf-8", []byte("<!doctype html>\n<title>Logout</title>\n"))
	return nil
}

// endHere ends the browser's session if it began at the provider that the request is for,
// and matches issuer and sid. The outcome is for the log.
func (a *Authenticator) endHere(w http.ResponseWriter, r *http.Request, at *registration, issuer, sid string) (outcome string, err error) {
	if !a.config.endsByProvider() {
		return "", fmt.Errorf("FrontChannelLogout: %w", errNoRevocations)
	}
	if issuer == "" || sid == "" {
		return "nothing: the request lacks iss or sid", nil
	}
	if a.config.Sessions.Own != nil {
		return a.endOwnHere(w, r, at, issuer, sid)
	}
	session, err := a.sessions.load(r)
	if err != nil {
		return "", err
	}
	if session == nil {
		return "nothing: the request has no session; is the provider on another site?", nil
	}
	if at == nil || session.provider != at.lookupName() || session.user.Issuer != issuer || subtle.ConstantTimeCompare([]byte(session.sid), []byte(sid)) != 1 {
		return "nothing: the request's session has another provider, iss or sid", nil
	}
	if err := a.sessions.revoke(r.Context(), providerSessionKey(issuer, session.client, sid)); err != nil {
		return "", err
	}
	if _, err := a.endSession(w, r, session); err != nil { // the provider revokes the tokens itself
		return "", err
	}
	a.tellLogout(r.Context(), byProvider, session, nil, "")
	return "ended", nil
}

// endOwnHere is endHere for sessions of the application's own. The browser's last login
// must match issuer and sid.
func (a *Authenticator) endOwnHere(w http.ResponseWriter, r *http.Request, at *registration, issuer, sid string) (outcome string, err error) {
	if at == nil || subtle.ConstantTimeCompare([]byte(a.hints.lastAt(r, at)), []byte(providerSessionKey(issuer, at.config.ClientID, sid))) != 1 {
		return "nothing: the browser's last login is unknown, or has another provider, iss or sid; is the provider on another site?", nil
	}
	if err := a.endOwnByProvider(r.Context(), at, issuer, "", sid); err != nil {
		return "", err
	}
	a.landings.forgetAll(w, r)
	a.tell(r.Context(), "", Event{Kind: eventLogout, Provider: at.config.Name, Issuer: issuer, By: byProvider})
	return "ended", nil
}

// framePolicy allows only pages of the provider's origin to frame the response, which
// loads nothing.
func framePolicy(at *registration) string {
	framedBy := "'none'"
	if at != nil {
		if u, err := url.Parse(at.config.Issuer); err == nil {
			framedBy = u.Scheme + "://" + u.Host
		}
	}
	return "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors " + framedBy
}
