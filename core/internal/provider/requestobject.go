package provider

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"net/url"
	"time"
)

const (
	requestType     = "oauth-authz-req+jwt" // RFC 9101 section 10.8
	requestLifetime = 5 * time.Minute
	requestLeeway   = time.Minute // that the provider's clock may be behind
)

// RequestClaims are the claims of a signed request that are not parameters.
var RequestClaims = []string{"iss", "aud", "exp", "nbf", "iat", "jti"}

// prepareSigning finds out whether authorization requests are signed: if the application
// wants it, or if the provider requires it and there is a key, which is registered then.
func (g *codeGrant) prepareSigning(m *metadata) error {
	if !g.config.SignedRequest && !m.SignedRequired {
		return nil
	}
	if len(g.config.SigningKeys) == 0 { // New demands one for SignedRequest
		return badMetadata("discovery: require_signed_request_object is true, and Client.SigningKeys is empty; give a key, and register its public part")
	}
	alg, err := g.config.SigningKeys[0].algorithm("request_object_signing_alg_values_supported", m.RequestAlgs)
	if err != nil {
		return badMetadata("discovery: %w", err)
	}
	m.requestAlg = alg
	return nil
}

// signRequest returns the parameters of an authorization request that is signed (RFC 9101
// sections 4 and 5): the client, and a JWT with all of params. Its audience is the
// provider's issuer.
func (g *codeGrant) signRequest(ctx context.Context, m *metadata, params url.Values) (url.Values, error) {
	claims := make(map[string]any, len(params)+len(RequestClaims))
	for name, values := range params {
		claims[name] = claimOf(name, values)
	}
	now := g.config.Now()
	claims["iss"], claims["aud"], claims["jti"] = g.config.ClientID, g.config.metadataIssuer(), rand.Text()
	claims["iat"], claims["nbf"], claims["exp"] = now.Unix(), now.Add(-requestLeeway).Unix(), now.Add(requestLifetime).Unix()
	token, err := g.config.SigningKeys[0].sign(ctx, m.requestAlg, requestType, claims)
	if err != nil {
		return nil, err
	}
	signed := url.Values{"client_id": {g.config.ClientID}, "request": {token}}
	if g.isOpenID() && !m.pushes { // OpenID Connect Core section 6.1 requires them beside it
		signed["response_type"], signed["scope"] = params["response_type"], params["scope"]
	}
	return signed, nil
}

// claimOf returns a parameter in its form for a signed request: max_age is a number, and
// what is JSON already stays what it is (OpenID Connect Core section 6.1, RFC 9101 section
// 4, RFC 9396 section 2).
func claimOf(name string, values []string) any {
	if len(values) != 1 { // resource
		return values
	}
	switch name {
	case "max_age", "claims", detailsParam:
		if value := json.RawMessage(values[0]); json.Valid(value) {
			return value
		}
	}
	return values[0]
}
