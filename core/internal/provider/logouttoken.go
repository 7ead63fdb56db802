package provider

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core/internal/base64url"
)

const (
	// logoutEvent is what a logout token says has happened.
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

	maxJTI = 1 << 10 // bytes
)

// ClaimedBy is what a token says. It is not verified yet; what will be verified is
// the same text.
func ClaimedBy(token string) (Claims, error) {
	_, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	decoded, err := base64url.Decode(payload)
	if err != nil {
		return nil, errors.New("it is not spelled as base64url spells it")
	}
	return DecodeClaims(decoded)
}

// A LogoutToken is what a genuine one says.
type LogoutToken struct {
	Issuer  string // of the tenant, if the provider has tenants
	JTI     string
	issued  time.Time
	SID     string // empty: all sessions of subject
	Subject string
}

// Until is how long the token could come again.
func (t *LogoutToken) Until() time.Time { return t.issued.Add(maxIDTokenAge + ClockSkew) }

// LogoutToken verifies a token with the provider's keys as they are now. An
// anonymous request can send any token: one that could not pass whoever has signed
// it, as claimed shows, costs no signature, and no request to the provider.
func (p *oidcProvider) LogoutToken(ctx context.Context, raw string, claimed Claims) (*LogoutToken, error) {
	if err := p.idTokens.checkLogout(claimed); err != nil {
		return nil, badLogoutToken(err)
	}
	m, err := p.metadata.get(ctx)
	if err != nil {
		return nil, notNow(err)
	}
	return p.idTokens.verifyLogout(ctx, raw, p.config.algorithms(m.SigningAlgs))
}

// verifyLogout returns what a genuine logout token says, which one of algs has
// signed.
func (t *idTokens) verifyLogout(ctx context.Context, token string, algs []jose.SignatureAlgorithm) (*LogoutToken, error) {
	c, header, err := t.open(ctx, token, algs)
	if down := new(Error); errors.As(err, &down) {
		return nil, notNow(err)
	}
	if err == nil {
		err = checkType(header, "jwt", "logout+jwt")
	}
	if err == nil {
		err = t.checkLogout(c)
	}
	if err != nil {
		return nil, badLogoutToken(err)
	}
	said := new(LogoutToken)
	said.Issuer, _ = c.Text("iss")
	said.JTI, _ = c.Text("jti")
	said.issued, _ = c.date("iat")
	said.SID, _ = c.Text("sid")
	said.Subject, _ = c.Text("sub")
	return said, nil
}

// checkLogout compares the claims (section 2.6). An ID token fails here: it has
// no event.
func (t *idTokens) checkLogout(c Claims) error {
	if err := t.checkIssue(c); err != nil {
		return err
	}
	jti, _ := c.Text("jti")
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
func (c Claims) hasLogoutEvent() bool {
	events, err := DecodeClaims(c["events"])
	if err != nil {
		return false
	}
	_, err = DecodeClaims(events[logoutEvent])
	return err == nil
}

// checkWhom: the token is about a user or a session, or both.
func (c Claims) checkWhom() error {
	subject, _ := c.Text("sub")
	sid, _ := c.Text("sid")
	switch {
	case c["sub"] == nil && c["sid"] == nil:
		return errors.New("neither sub nor sid")
	case c["sub"] != nil && !ValidSubject(subject):
		return errors.New("sub is not 1 to 255 ASCII characters")
	case c["sid"] != nil && sid == "":
		return errors.New("sid is no string or empty")
	}
	return nil
}

// notNow: without the provider's keys nothing can be said about a token. It may be
// genuine, and should come again.
func notNow(err error) error {
	if known := new(Error); errors.As(err, &known) && known.Code == CodeUnavailable {
		return err
	}
	return unavailable(err)
}
