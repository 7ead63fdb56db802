package provider

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core/internal/told"
)

// signedParams are the parameters of an authorization response that a signed one has as
// claims (JARM section 2.1). iss is a claim of its own there.
var signedParams = [...]string{"state", "code", "error", "error_description"}

// Unverified returns the parameters of an authorization response without verifying it: if
// it has no plain state, those in the parameter response. Use them only to find the
// attempt, and for the log. Any site can make such a response, as well as a plain one.
func Unverified(query url.Values) url.Values {
	response := query["response"]
	if query.Has("state") || len(response) != 1 || len(response[0]) > maxIDToken {
		return query
	}
	c, err := ClaimedBy(response[0])
	if err != nil {
		return query
	}
	return c.params()
}

// params returns the parameters of an authorization response that are claims. A parameter
// that is not a string is empty, which is no valid value of any.
func (c Claims) params() url.Values {
	params := make(url.Values, len(signedParams))
	for _, name := range signedParams {
		if c[name] != nil {
			value, _ := c.Text(name)
			params.Set(name, value)
		}
	}
	return params
}

// Answer accepts either plain or signed responses, and never both, because the browser can
// change a plain one.
func (g *codeGrant) Answer(ctx context.Context, query url.Values) (url.Values, error) {
	m, err := g.metadata.get(ctx)
	switch {
	case err != nil:
		return nil, err
	case g.config.SignedResponse:
		return g.signedAnswer(ctx, m, query)
	case query.Has("response") && !query.Has("state"):
		return nil, bad(CodeCallback, "the response is signed, and Requests.SignedResponse is false; set it, or register the client for plain responses")
	}
	return query, m.checkIssuer(query["iss"], &g.config)
}

// signedAnswer returns the parameters of a signed response (JARM section 2.4). The caller
// has found the attempt by its state, so only a browser that has begun a login can make us
// verify a signature, and fetch keys for it.
func (g *codeGrant) signedAnswer(ctx context.Context, m *metadata, query url.Values) (url.Values, error) {
	for _, name := range append(signedParams[:], "iss") {
		if query.Has(name) {
			return nil, bad(CodeCallback, "the callback has the plain parameter %s, and Requests.SignedResponse is set, so that all of it must be signed (JARM)", name)
		}
	}
	if n := len(query["response"]); n != 1 {
		return nil, bad(CodeCallback, "want one response parameter (JARM), got %d", n)
	}
	c, header, err := g.idTokens.open(ctx, query.Get("response"), g.config.algorithms(m.responseAlgs()))
	if err == nil {
		err = checkType(header, "jwt")
	}
	if err == nil {
		err = g.idTokens.checkResponse(c)
	}
	if down := new(Error); errors.As(err, &down) {
		return nil, err
	} else if err != nil {
		return nil, bad(CodeCallback, "signed response: %w", err)
	}
	return c.params(), nil
}

// checkResponse checks the claims of a signed response, beyond its parameters. Tokens of
// another kind fail (RFC 8725 section 3.12).
func (t *idTokens) checkResponse(c Claims) error {
	now := t.now()
	issuer, _ := c.Text("iss")
	expires, expiresOK := c.date("exp")
	notBefore, notBeforeOK := c.date("nbf")
	switch audience := c.audience(); {
	case !t.config.mayAnswer(issuer):
		return errors.New("iss is not the provider")
	case !slices.Equal(audience, []string{t.config.ClientID}): // also not for others
		return errors.New("aud is not this client alone")
	case !expiresOK:
		return errors.New("exp is missing or not a number")
	case !now.Before(expires):
		return errTime("exp", expires, now)
	case c["nbf"] != nil && (!notBeforeOK || notBefore.After(now.Add(ClockSkew))):
		return errors.New("nbf is in the future or not a number")
	case c["sub"] != nil || c["events"] != nil:
		return errors.New("it has a sub or events, so it is another kind of token")
	}
	return nil
}

// responseAlgs returns the algorithms that the provider announces for signed responses.
// If it announces none, they are those of ID tokens.
func (m *metadata) responseAlgs() []string {
	if len(m.ResponseAlgs) == 0 {
		return m.SigningAlgs
	}
	return m.ResponseAlgs
}

// responseMode returns the response mode to ask for, or "" for the provider's default. An
// error means that the provider does not offer what the configuration needs.
func (c *Config) responseMode(m *metadata) (string, error) {
	if !c.SignedResponse {
		if c.FormPost {
			return "form_post", nil
		}
		return "", nil
	}
	modes := []string{"jwt", "query.jwt"} // the same for response_type=code
	if c.FormPost {
		modes = []string{"form_post.jwt"}
	}
	if err := c.checkSigningAlg("responses", m.ResponseAlgs); err != nil {
		return "", badMetadata("discovery: %w", err)
	}
	if len(m.ResponseAlgs) > 0 && !slices.ContainsFunc(Asymmetric, func(alg jose.SignatureAlgorithm) bool { return slices.Contains(m.ResponseAlgs, string(alg)) }) {
		return "", badMetadata("discovery: Requests.SignedResponse needs a signature by the provider's keys, and authorization_signing_alg_values_supported has %q only",
			told.Clip(strings.Join(m.ResponseAlgs, " ")))
	}
	for _, mode := range modes {
		if len(m.ResponseModes) == 0 || slices.Contains(m.ResponseModes, mode) {
			return mode, nil
		}
	}
	return "", badMetadata("discovery: Requests.SignedResponse needs the response mode %s, and response_modes_supported has %q only",
		strings.Join(modes, " or "), told.Clip(strings.Join(m.ResponseModes, " ")))
}
