package core

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core/internal/base64url"
)

const (
	// logoutEvent is what a logout token says has happened.
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

	maxJTI         = 1 << 10  // bytes
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
	if r.Method != http.MethodPost {
		return a.report(w, r, errMethod(w, http.MethodPost))
	}
	if err := a.endByToken(w, r); err != nil {
		return a.report(w, r, err)
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (a *Authenticator) endByToken(w http.ResponseWriter, r *http.Request) error {
	if a.config.Logout.Revocations == nil {
		return fmt.Errorf("BackChannelLogout: %w", errNoRevocations)
	}
	raw, err := postedLogoutToken(w, r)
	if err != nil {
		return errBadLogoutToken(err)
	}
	claimed, err := claimedBy(raw)
	if err != nil {
		return errBadLogoutToken(err)
	}
	issuer, _ := claimed.text("iss")
	at := a.registrations.issuedBy(issuer)
	if at == nil {
		return errBadLogoutToken(fmt.Errorf("iss is no OpenID provider of this application: %q", clip(issuer)))
	}
	token, err := at.provider.(*oidcProvider).logoutToken(r.Context(), raw, claimed) // issuedBy gives no other
	if err != nil {
		return from(at, err)
	}
	repeated, err := a.sessions.endBy(r.Context(), at.config.ClientID, token)
	if err != nil {
		return from(at, err)
	}
	about, outcome := "a user", "ended"
	if token.sid != "" {
		about = "a session of the provider"
	}
	if repeated {
		outcome = "nothing: the token was seen before"
	}
	a.logProviderLogout(r, "back", at, about, outcome)
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

// claimedBy is what a token says. It is not verified yet; what will be verified is
// the same text.
func claimedBy(token string) (claims, error) {
	_, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	decoded, err := base64url.Decode(payload)
	if err != nil {
		return nil, errors.New("it is not spelled as base64url spells it")
	}
	return decodeClaims(decoded)
}

// A logoutToken is what a genuine one says.
type logoutToken struct {
	issuer  string // of the tenant, if the provider has tenants
	jti     string
	issued  time.Time
	sid     string // empty: all sessions of subject
	subject string
}

// logoutToken verifies a token with the provider's keys as they are now. An
// anonymous request can send any token: one that could not pass whoever has signed
// it, as claimed shows, costs no signature, and no request to the provider.
func (p *oidcProvider) logoutToken(ctx context.Context, raw string, claimed claims) (*logoutToken, error) {
	if err := p.idTokens.checkLogout(claimed); err != nil {
		return nil, errBadLogoutToken(err)
	}
	m, err := p.metadata.get(ctx)
	if err != nil {
		return nil, errNotNow(err)
	}
	return p.idTokens.verifyLogout(ctx, raw, p.config.algorithms(m.SigningAlgs))
}

// verifyLogout returns what a genuine logout token says, which one of algs has
// signed.
func (t *idTokens) verifyLogout(ctx context.Context, token string, algs []jose.SignatureAlgorithm) (*logoutToken, error) {
	c, header, err := t.open(ctx, token, algs)
	if down := new(Error); errors.As(err, &down) {
		return nil, errNotNow(err)
	}
	if err == nil {
		err = checkType(header, "jwt", "logout+jwt")
	}
	if err == nil {
		err = t.checkLogout(c)
	}
	if err != nil {
		return nil, errBadLogoutToken(err)
	}
	said := new(logoutToken)
	said.issuer, _ = c.text("iss")
	said.jti, _ = c.text("jti")
	said.issued, _ = c.date("iat")
	said.sid, _ = c.text("sid")
	said.subject, _ = c.text("sub")
	return said, nil
}

// checkLogout compares the claims (section 2.6). An ID token fails here: it has
// no event.
func (t *idTokens) checkLogout(c claims) error {
	if err := t.checkIssue(c); err != nil {
		return err
	}
	jti, _ := c.text("jti")
	switch {
	case jti == "" || len(jti) > maxJTI:
		return errors.New("jti is missing, no string, or too long")
	case !c.hasLogoutEvent():
		return errors.New("events has no logout")
	case c["nonce"] != nil:
		return errors.New("it has a nonce, as ID tokens have")
	}
	return c.checkWhom()
}

// hasLogoutEvent: events is an object, of which the logout's member is one, too.
func (c claims) hasLogoutEvent() bool {
	events, err := decodeClaims(c["events"])
	if err != nil {
		return false
	}
	_, err = decodeClaims(events[logoutEvent])
	return err == nil
}

// checkWhom: the token is about a user or a session, or both.
func (c claims) checkWhom() error {
	subject, _ := c.text("sub")
	sid, _ := c.text("sid")
	switch {
	case c["sub"] == nil && c["sid"] == nil:
		return errors.New("neither sub nor sid")
	case c["sub"] != nil && !validSubject(subject):
		return errors.New("sub is not 1 to 255 ASCII characters")
	case c["sid"] != nil && sid == "":
		return errors.New("sid is no string or empty")
	}
	return nil
}

// endBy ends the sessions that a logout token of client's is about (section 2.7):
// those of its sid, or all of the user's if it has none. The token is remembered
// for as long as it could come again, and last, so that one that did not get as
// far can. Repeated tells that it was remembered already, and ended nothing.
func (s *sessionKeeper) endBy(ctx context.Context, client string, token *logoutToken) (repeated bool, err error) {
	seen := opaqueKey("jti", token.issuer, client, token.jti)
	switch at, err := s.revocations.RevokedAt(ctx, seen); {
	case err != nil:
		return false, errRevocationsDown(err)
	case !at.IsZero():
		return true, nil // sessions that began since then stay
	}
	key := userKey(token.issuer, client, token.subject)
	if token.sid != "" {
		key = providerSessionKey(token.issuer, client, token.sid)
	}
	if err := s.revoke(ctx, key); err != nil {
		return false, err
	}
	if err := s.revocations.Revoke(ctx, seen, s.now(), token.issued.Add(maxIDTokenAge+clockSkew)); err != nil {
		return false, errRevocationsDown(err)
	}
	return false, nil
}

const codeLogoutToken = "logout_token_untrusted"

func errBadLogoutToken(err error) *Error {
	return &Error{
		Status: http.StatusBadRequest, Code: codeLogoutToken,
		Public: "The logout token could not be trusted, so nobody was logged out.",
		Err:    fmt.Errorf("%w: logout token: %w", ErrUntrusted, err),
	}
}

// errNotNow: without the provider's keys nothing can be said about a token. It
// may be genuine, and should come again.
func errNotNow(err error) error {
	if errors.Is(err, ErrUnavailable) {
		return err
	}
	return errProviderDown(err)
}
