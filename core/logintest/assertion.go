package logintest

import (
	"crypto/hmac"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// assertionType is the client_assertion_type of a JWT (RFC 7523 section 2.2).
	assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

	// maxAssertionLifetime is how far exp may be in the future.
	maxAssertionLifetime = 5 * time.Minute
)

// assertedClient authenticates a client by a signed assertion (RFC 7523 section
// 3, OpenID Connect Core section 9).
func (p *Provider) assertedClient(r *http.Request) (Client, *refusal) {
	form := r.PostForm
	if form.Get("client_assertion_type") != assertionType {
		return Client{}, invalidClient("client_assertion_type must be " + assertionType)
	}
	token := form.Get("client_assertion")
	id := assertedID(token)
	client, known := p.clients[id]
	switch {
	case !known:
		return Client{}, invalidClient("the sub of the assertion is not a client")
	case form.Has("client_id") && form.Get("client_id") != id:
		return Client{}, invalidClient("client_id differs from the assertion")
	}
	var header jose.Header
	var c claims
	var err error
	switch client.AuthMethod {
	case methodKeyJWT:
		var keys []jose.JSONWebKey
		if keys, err = p.keysOf(r.Context(), client); err == nil {
			header, c, err = verifySigned(token, keys, client.algs())
		}
	case methodSecretJWT:
		header, c, err = verifyMAC(token, client.Secret)
	default:
		return Client{}, invalidClient("the client must not authenticate with an assertion")
	}
	if err != nil {
		return Client{}, invalidClient("the assertion is not valid: " + err.Error())
	}
	return client, p.checkAssertion(client, header, c)
}

// assertedID returns the sub of an assertion that is not verified yet, or "".
func assertedID(token string) string {
	signed, err := jose.ParseSignedCompact(token, append(slices.Clone(asymmetric), jose.HS256, jose.HS384, jose.HS512))
	if err != nil {
		return ""
	}
	c, err := parseClaims(signed.UnsafePayloadWithoutVerification())
	if err != nil {
		return ""
	}
	return c.text("sub")
}

// checkAssertion checks what a verified assertion says, and uses up its jti. A
// request that is refused for another reason, such as a missing DPoP nonce, has
// used up its assertion as well.
func (p *Provider) checkAssertion(client Client, header jose.Header, c claims) *refusal {
	now := p.now()
	expires, hasExp := c.time("exp")
	issued, hasIat := c.time("iat")
	starts, hasNbf := c.time("nbf")
	why := ""
	switch typ := typeOf(header); {
	case typ != "" && !strings.EqualFold(typ, "JWT") && typ != "client-authentication+jwt":
		why = "typ must be JWT or client-authentication+jwt"
	case c.text("iss") != client.ID:
		why = "iss must be the client_id"
	case c.text("sub") != client.ID:
		why = "sub must be the client_id"
	case c.text("aud") != p.issuer:
		why = "aud must be one string: the issuer" // and no endpoint (FAPI 2.0 section 5.3.2.1)
	case !hasExp || !expires.After(now):
		why = "exp is missing or over"
	case expires.After(now.Add(maxAssertionLifetime + leeway)):
		why = "exp must be within five minutes"
	case !hasIat || issued.After(now.Add(leeway)) || issued.Before(now.Add(-maxAssertionLifetime-leeway)):
		why = "iat is missing, in the future or too old"
	case c["nbf"] != nil && (!hasNbf || starts.After(now.Add(leeway))):
		why = "nbf is in the future"
	case c.text("jti") == "":
		why = "jti is missing"
	case !p.once("assertion "+client.ID+" "+c.text("jti"), expires):
		why = "jti has been used: each request needs an assertion of its own"
	}
	if why != "" {
		return invalidClient("the assertion is not valid: " + why)
	}
	return nil
}

// verifyMAC is like verifySigned, with the client's secret, which may be short.
func verifyMAC(token, secret string) (jose.Header, claims, error) {
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.HS256, jose.HS384, jose.HS512})
	if err != nil {
		return jose.Header{}, nil, err
	}
	header := signed.Signatures[0].Protected
	input := token[:strings.LastIndexByte(token, '.')]
	if !hmac.Equal(authenticate(header.Algorithm, []byte(secret), input), signed.Signatures[0].Signature) {
		return jose.Header{}, nil, errors.New("the client's secret does not verify it")
	}
	c, err := parseClaims(signed.UnsafePayloadWithoutVerification())
	return header, c, err
}
