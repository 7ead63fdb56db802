package provider

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core/internal/base64url"
	"github.com/pixyauth/pixy/core/internal/told"
)

const (
	ClockSkew     = 5 * time.Minute // how far ahead the provider's clock may be
	maxIDTokenAge = time.Hour       // by iat: the token was issued for this login
	maxIDToken    = 64 << 10        // bytes
	maxSubject    = 255             // OpenID Connect Core section 2
)

// idTokens checks ID tokens. go-jose verifies the signature. idTokens makes all other
// checks of OpenID Connect Core section 3.1.3.7.
type idTokens struct {
	config *Config
	keys   *keys
	now    func() time.Time
}

// verify returns the claims of a token, after all checks: it is signed by one of algs,
// has the nonce of the login, and belongs to accessToken.
func (t *idTokens) verify(ctx context.Context, token, accessToken, nonce string, algs []jose.SignatureAlgorithm) (Claims, error) {
	return t.genuine(ctx, token, accessToken, algs, func(c Claims) error {
		if got, _ := c.Text("nonce"); subtle.ConstantTimeCompare([]byte(got), []byte(nonce)) != 1 {
			return errors.New("nonce is not this login's")
		}
		return nil
	})
}

// verifyRefreshed checks an ID token from a refresh: it belongs to the user and the
// login of the session (OpenID Connect Core section 12.2). It returns the token's
// auth_time, or the former one if the token has none. A later auth_time is accepted: the
// user may have authenticated again, for another application.
func (t *idTokens) verifyRefreshed(ctx context.Context, token, accessToken string, held *Tokens, ofIssuer, ofSubject string, algs []jose.SignatureAlgorithm) (time.Time, error) {
	c, err := t.genuine(ctx, token, accessToken, algs, func(c Claims) error {
		issuer, _ := c.Text("iss")
		subject, _ := c.Text("sub")
		nonce, _ := c.Text("nonce")
		authTime, authTimeOK := c.date("auth_time")
		switch {
		case issuer != ofIssuer:
			return errors.New("iss is not the session's")
		case subject != ofSubject:
			return errors.New("sub is not the session's")
		case c["nonce"] != nil && nonce != held.Nonce:
			return errors.New("nonce is not the login's")
		case c["auth_time"] != nil && !held.AuthTime.IsZero() && !authTimeOK:
			return errors.New("auth_time is not a number")
		case authTimeOK && authTime.Before(held.AuthTime):
			return fmt.Errorf("auth_time is %s, which is before the %s of the last ID token", utc(authTime), utc(held.AuthTime))
		}
		return nil
	})
	if authTime, ok := c.date("auth_time"); ok {
		return authTime, err
	}
	return held.AuthTime, err
}

// genuine returns the claims of a token that the provider has just issued to this
// client. more is an additional check.
func (t *idTokens) genuine(ctx context.Context, token, accessToken string, algs []jose.SignatureAlgorithm, more func(Claims) error) (Claims, error) {
	c, header, err := t.open(ctx, token, algs)
	if err == nil {
		err = checkType(header, "jwt")
	}
	if err == nil {
		err = t.check(c)
	}
	if err == nil {
		err = more(c)
	}
	if err == nil {
		err = checkAccessToken(c, header.Algorithm, accessToken)
	}
	if down := new(Error); err == nil || errors.As(err, &down) {
		return c, err
	}
	return nil, badIDToken(err)
}

// decrypt returns the signed ID token in an encrypted one, and any other as it is. It is
// what the session keeps as hint for the logout, because the provider could not read the
// encrypted one (RP-Initiated Logout section 2).
func (t *idTokens) decrypt(ctx context.Context, token string) (string, error) {
	text, err := t.config.decrypt(ctx, token)
	if err != nil && !errors.As(err, new(*Error)) {
		err = badIDToken(err)
	}
	return text, err
}

// open verifies the signature, by one of the provider's keys and one of algs, and
// returns the claims and the header. An [*Error] means that the keys are unavailable,
// which says nothing about the token.
func (t *idTokens) open(ctx context.Context, token string, algs []jose.SignatureAlgorithm) (Claims, jose.Header, error) {
	if len(token) > maxIDToken {
		return nil, jose.Header{}, fmt.Errorf("it has %d bytes, which is more than %d", len(token), maxIDToken)
	}
	signed, err := jose.ParseSignedCompact(token, algs)
	if foreign := new(jose.ErrUnexpectedSignatureAlgorithm); errors.As(err, &foreign) {
		whose := "the provider's metadata allows"
		if t.config.SigningAlg != "" {
			whose = "Checks.SigningAlg is"
		}
		return nil, jose.Header{}, fmt.Errorf("it is signed by %q, and %s %q", told.Clip(string(foreign.Got)), whose, algs)
	} else if err != nil {
		return nil, jose.Header{}, errors.New(told.Clip(err.Error()))
	}
	if !canonical(token) {
		return nil, jose.Header{}, errors.New("it is not canonical base64url")
	}
	payload, err := t.keys.verify(ctx, signed)
	if err != nil {
		return nil, jose.Header{}, err
	}
	c, err := DecodeClaims(payload)
	return c, signed.Signatures[0].Protected, err
}

// canonical reports whether each part of a token is the canonical base64url encoding of
// its bytes (RFC 4648 section 3.5). go-jose verifies the bytes after it has encoded
// them again, so it accepts other encodings, which were not signed.
func canonical(token string) bool {
	for part := range strings.SplitSeq(token, ".") {
		if _, err := base64url.Decode(part); err != nil {
			return false
		}
	}
	return true
}

// check checks the claims of an ID token. Names are compared exactly: "ISS" is not
// "iss". A number in quotes is not a number.
func (t *idTokens) check(c Claims) error {
	if err := t.checkIssue(c); err != nil {
		return err
	}
	subject, _ := c.Text("sub")
	switch {
	case !ValidSubject(subject):
		return errors.New("sub is missing or not 1 to 255 ASCII characters")
	case c["events"] != nil:
		return errors.New("it is a security event, such as a logout token") // RFC 8725 section 3.12
	}
	return nil
}

// checkIssue checks that the provider has issued the token to this client, and
// recently. It checks ID tokens and logout tokens.
func (t *idTokens) checkIssue(c Claims) error {
	now := t.now()
	expires, expiresOK := c.date("exp")
	issued, issuedOK := c.date("iat")
	notBefore, notBeforeOK := c.date("nbf")
	if err := t.checkIssuer(c); err != nil {
		return err
	}
	if err := t.checkAudience(c); err != nil {
		return err
	}
	switch {
	case !expiresOK:
		return errors.New("exp is missing or not a number")
	case !now.Before(expires):
		return errTime("exp", expires, now)
	case !issuedOK:
		return errors.New("iat is missing or not a number")
	case issued.After(now.Add(ClockSkew)) || issued.Before(now.Add(-maxIDTokenAge)):
		return errTime("iat", issued, now)
	case c["nbf"] != nil && !notBeforeOK:
		return errors.New("nbf is not a number")
	case notBefore.After(now.Add(ClockSkew)):
		return errTime("nbf", notBefore, now)
	}
	return nil
}

// errTime returns an error with both times, so that the operator can compare clocks.
func errTime(claim string, said, now time.Time) error {
	return fmt.Errorf("%s is %s, and it is %s here; is this clock right, and the provider's?",
		claim, utc(said), utc(now))
}

func utc(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// checkIssuer checks that iss equals the issuer exactly, or that it is the issuer of the
// token's tenant.
func (t *idTokens) checkIssuer(c Claims) error {
	if len(t.config.Tenants) > 0 {
		return checkTenant(t.config.Issuer, c)
	}
	if issuer, _ := c.Text("iss"); issuer != t.config.Issuer {
		return errors.New("iss is not the provider")
	}
	return nil
}

// checkAudience checks that aud is this client. Additional audiences must be trusted,
// and then azp must be this client.
func (t *idTokens) checkAudience(c Claims) error {
	audience, client := c.audience(), t.config.ClientID
	if !slices.Contains(audience, client) {
		return errors.New("aud is not this client")
	}
	others := slices.DeleteFunc(audience, func(a string) bool { return a == client })
	for _, other := range others {
		if !slices.Contains(t.config.TrustedAudiences, other) {
			return fmt.Errorf("aud has %q, which is not in Checks.TrustedAudiences", told.Clip(other))
		}
	}
	if party, _ := c.Text("azp"); party != client && (c["azp"] != nil || len(others) > 0) {
		return errors.New("azp is not this client")
	}
	return nil
}

// checkType returns an error for a token whose typ is none of kinds (RFC 8725 section
// 3.11). It accepts a token without typ, because many providers do not send it.
func checkType(header jose.Header, kinds ...string) error {
	value := header.ExtraHeaders[jose.HeaderType]
	if value == nil {
		return nil
	}
	typ, _ := value.(string)
	if slices.Contains(kinds, strings.TrimPrefix(strings.ToLower(typ), "application/")) {
		return nil
	}
	return fmt.Errorf("it is of type %q; typ may be missing or one of %q", told.Clip(fmt.Sprint(value)), kinds)
}

// checkAccessToken compares at_hash, if it is present, with half of the access token's
// hash. The ID token's algorithm determines the hash function (section 3.1.3.8).
func checkAccessToken(c Claims, alg, accessToken string) error {
	if c["at_hash"] == nil {
		return nil
	}
	var sum []byte
	switch {
	case strings.HasSuffix(alg, "256"):
		sum256 := sha256.Sum256([]byte(accessToken))
		sum = sum256[:]
	case strings.HasSuffix(alg, "384"):
		sum384 := sha512.Sum384([]byte(accessToken))
		sum = sum384[:]
	default: // 512, and EdDSA, which is Ed25519 here and hashes with SHA-512
		sum512 := sha512.Sum512([]byte(accessToken))
		sum = sum512[:]
	}
	if got, _ := c.Text("at_hash"); got != base64url.Encode(sum[:len(sum)/2]) {
		return errors.New("at_hash is not the access token's")
	}
	return nil
}

// ValidSubject reports whether sub is 1 to 255 printable ASCII characters (OpenID
// Connect Core section 2).
func ValidSubject(sub string) bool {
	return sub != "" && len(sub) <= maxSubject && IsPrintable(sub)
}
