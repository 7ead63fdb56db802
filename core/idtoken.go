package core

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

const (
	clockSkew     = 5 * time.Minute // how far ahead the provider's clock may be
	maxAgeLeeway  = time.Minute     // how far behind it may be, where max_age counts
	maxIDTokenAge = time.Hour       // a token just redeemed was not issued long ago
	maxIDToken    = 64 << 10        // bytes
	maxSubject    = 255             // OpenID Connect Core section 2
)

// idTokens checks ID tokens. go-oidc verifies the signature, the allow-list of
// algorithms, iss, aud, exp, nbf and at_hash; the rest of OpenID Connect Core
// section 3.1.3.7 is left to its caller, and is here.
type idTokens struct {
	issuer   string
	clientID string
	keys     *keys
	now      func() time.Time
}

// verify returns the claims of a genuine token that answers the login with nonce.
func (t *idTokens) verify(ctx context.Context, token, accessToken, nonce string, algs []string) (claims, error) {
	if len(token) > maxIDToken {
		return nil, errBadIDToken(fmt.Errorf("%d bytes long", len(token)))
	}
	keySet := &signingKeys{keys: t.keys}
	verifier := oidc.NewVerifier(t.issuer, keySet, &oidc.Config{
		ClientID: t.clientID, SupportedSigningAlgs: algs, Now: t.now,
	})
	verified, err := verifier.Verify(ctx, token)
	if down := new(Error); errors.As(keySet.err, &down) {
		return nil, down // the keys could not be had: says nothing about the token
	}
	if err != nil {
		return nil, errBadIDToken(err)
	}
	c, err := decodeClaims(keySet.payload)
	if err == nil {
		err = checkType(token)
	}
	if err == nil {
		err = t.check(c, nonce)
	}
	if err == nil && c["at_hash"] != nil {
		err = verified.VerifyAccessToken(accessToken)
	}
	if err != nil {
		return nil, errBadIDToken(err)
	}
	return c, nil
}

// check repeats iss, aud and exp on the claims as they are spelled, because
// go-oidc reads them with encoding/json, which takes "ISS" for "iss" and a
// quoted number for a number.
func (t *idTokens) check(c claims, nonce string) error {
	now := t.now()
	issuer, _ := c.text("iss")
	audience := c.audience()
	expires, expiresOK := c.date("exp")
	issued, issuedOK := c.date("iat")
	notBefore, notBeforeOK := c.date("nbf")
	party, partyOK := c.text("azp")
	gotNonce, _ := c.text("nonce")
	subject, _ := c.text("sub")
	switch {
	case issuer != t.issuer:
		return errors.New("iss is not the provider")
	case !slices.Contains(audience, t.clientID):
		return errors.New("aud is not this client")
	case slices.ContainsFunc(audience, func(a string) bool { return a != t.clientID }):
		return errors.New("aud names others, whom nobody has said to trust")
	case c["azp"] != nil && (!partyOK || party != t.clientID):
		return errors.New("azp is not this client")
	case !expiresOK || !now.Before(expires):
		return errors.New("exp is missing, no number, or past")
	case !issuedOK:
		return errors.New("iat is missing or no number")
	case issued.After(now.Add(clockSkew)) || issued.Before(now.Add(-maxIDTokenAge)):
		return errors.New("iat is not of this login")
	case c["nbf"] != nil && (!notBeforeOK || notBefore.After(now.Add(clockSkew))):
		return errors.New("nbf is no number or in the future")
	case subtle.ConstantTimeCompare([]byte(gotNonce), []byte(nonce)) != 1:
		return errors.New("nonce is not this login's")
	case !validSubject(subject):
		return errors.New("sub is missing or not 1 to 255 ASCII characters")
	case c["events"] != nil:
		return errors.New("it is a security event, such as a logout token") // RFC 8725 section 3.12
	}
	return nil
}

// checkAge holds the provider to the max_age that the login asked for, if it
// did (OpenID Connect Core section 3.1.3.7 (13)): the request goes through the
// browser, whose user could have taken it out.
func checkAge(c claims, maxAge string, begun time.Time) error {
	if maxAge == "" {
		return nil
	}
	seconds, _ := strconv.ParseUint(maxAge, 10, 31) // isSeconds, or Config was refused
	earliest := begun.Add(-maxAgeLeeway - time.Duration(seconds)*time.Second)
	if authenticated, ok := c.date("auth_time"); !ok || authenticated.Before(earliest) {
		return errBadIDToken(errors.New("auth_time is missing, no number, or before max_age"))
	}
	return nil
}

func isSeconds(maxAge string) bool {
	_, err := strconv.ParseUint(maxAge, 10, 31)
	return err == nil
}

// checkType refuses tokens of another kind that say so (RFC 8725 section 3.11).
// The header was verified with the rest.
func checkType(token string) error {
	encoded, _, _ := strings.Cut(token, ".")
	decoded, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return errors.New("the header is not base64url")
	}
	header, err := decodeClaims(decoded)
	if err != nil {
		return fmt.Errorf("header: %w", err)
	}
	typ, _ := header.text("typ")
	switch strings.TrimPrefix(strings.ToLower(typ), "application/") {
	case "at+jwt", "logout+jwt", "dpop+jwt", "secevent+jwt":
		return fmt.Errorf("it is of type %q", clip(typ))
	}
	return nil
}

func validSubject(sub string) bool {
	return sub != "" && len(sub) <= maxSubject &&
		!strings.ContainsFunc(sub, func(c rune) bool { return c < 0x20 || c > 0x7e })
}

func errBadIDToken(err error) *Error {
	return errBadProvider("id_token_untrusted", "ID token: %w", err)
}

// signingKeys shows the keys to go-oidc for one verification. It holds on to
// the error, because go-oidc passes on its text only, and to the payload.
type signingKeys struct {
	keys    *keys
	payload []byte
	err     error
}

func (s *signingKeys) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	algs := make([]jose.SignatureAlgorithm, len(asymmetric))
	for i, alg := range asymmetric {
		algs[i] = jose.SignatureAlgorithm(alg) // go-oidc has narrowed it already
	}
	s.payload, s.err = s.keys.verify(ctx, token, algs)
	return s.payload, s.err
}
