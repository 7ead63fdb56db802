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
	// logoutEvent is the event in a logout token (Back-Channel Logout section 2.4).
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

	maxJTI = 1 << 10 // bytes
)

// ClaimedBy returns the claims of a token without verifying it. Use them only to choose
// a provider, and to reject a token early.
func ClaimedBy(token string) (Claims, error) {
	_, rest, _ := strings.Cut(token, ".")
	payload, _, _ := strings.Cut(rest, ".")
	decoded, err := base64url.Decode(payload)
	if err != nil {
		return nil, errors.New("it is not canonical base64url")
	}
	return DecodeClaims(decoded)
}

// A LogoutToken has the claims of a verified logout token.
type LogoutToken struct {
	Issuer  string // of the tenant, if the provider has tenants
	JTI     string
	issued  time.Time
	SID     string // empty: all sessions of Subject
	Subject string
}

// Until returns the time after which the token is no longer valid if it is sent again.
func (t *LogoutToken) Until() time.Time { return t.issued.Add(maxIDTokenAge + ClockSkew) }

// LogoutToken verifies a token with the provider's current keys. An anonymous request
// can send any token, so LogoutToken checks the unverified claims first. If these fail,
// it verifies no signature and sends no request to the provider.
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

// verifyLogout verifies a logout token, signed by one of algs, and returns its claims.
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

// checkLogout checks the claims of a logout token (section 2.6). An ID token fails this
// check, because it has no event.
func (t *idTokens) checkLogout(c Claims) error {
	if err := t.checkIssue(c); err != nil {
		return err
	}
	jti, _ := c.Text("jti")
	switch {
	case jti == "" || len(jti) > maxJTI:
		return errors.New("jti is missing, not a string, or too long")
	case !c.hasLogoutEvent():
		return errors.New("events has no logout event")
	case c["nonce"] != nil:
		return errors.New("it has a nonce, which only ID tokens have")
	}
	return c.checkWhom()
}

// hasLogoutEvent reports whether events is an object, and its member for the logout
// event is an object.
func (c Claims) hasLogoutEvent() bool {
	events, err := DecodeClaims(c["events"])
	if err != nil {
		return false
	}
	_, err = DecodeClaims(events[logoutEvent])
	return err == nil
}

// checkWhom checks that the token names a user or a session, or both.
func (c Claims) checkWhom() error {
	subject, _ := c.Text("sub")
	sid, _ := c.Text("sid")
	switch {
	case c["sub"] == nil && c["sid"] == nil:
		return errors.New("it has neither sub nor sid")
	case c["sub"] != nil && !ValidSubject(subject):
		return errors.New("sub is not 1 to 255 ASCII characters")
	case c["sid"] != nil && sid == "":
		return errors.New("sid is not a string, or empty")
	}
	return nil
}

// notNow converts err to an outage. If the keys are unavailable, the token may be
// genuine, and the provider should send it again.
func notNow(err error) error {
	if known := new(Error); errors.As(err, &known) && known.Code == CodeUnavailable {
		return err
	}
	return unavailable(err)
}
