package logintest

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// maxRequestObjectAge is how old the nbf of a request object may be (FAPI 2.0
// Message Signing section 5.3.1).
const maxRequestObjectAge = time.Hour

// requestObject returns the parameters of a signed request object (RFC 9101
// section 6). The parameters beside it count for nothing.
func (p *Provider) requestObject(ctx context.Context, client Client, token string) (url.Values, *refusal) {
	invalid := func(why string) (url.Values, *refusal) {
		return nil, &refusal{"invalid_request_object", "the request object is not valid: " + why}
	}
	keys, err := p.keysOf(ctx, client)
	if err != nil {
		return invalid("the client has no keys: " + err.Error())
	}
	header, c, err := verifySigned(token, keys, client.algs())
	if err != nil {
		return invalid(err.Error())
	}
	if why := p.checkRequestObject(client, header, c); why != "" {
		return invalid(why)
	}
	parameters := make(url.Values)
	for name, value := range c {
		switch name {
		case "iss", "aud", "exp", "nbf", "iat", "jti":
			continue
		}
		text, ok := value.(string)
		if !ok { // numbers, and the JSON of claims and authorization_details
			encoded, err := json.Marshal(value)
			if err != nil {
				return invalid(err.Error())
			}
			text = string(encoded)
		}
		parameters.Set(name, text)
	}
	return parameters, nil
}

// checkRequestObject returns what is wrong with a request object, or "".
func (p *Provider) checkRequestObject(client Client, header jose.Header, c claims) string {
	now := p.now()
	expires, hasExp := c.time("exp")
	starts, hasNbf := c.time("nbf")
	switch typ := typeOf(header); {
	case typ != "" && !strings.EqualFold(typ, "JWT") && typ != "oauth-authz-req+jwt":
		return "typ must be oauth-authz-req+jwt or JWT"
	case c.text("iss") != client.ID:
		return "iss must be the client_id"
	case c.text("client_id") != client.ID:
		return "client_id must be that of the request"
	case !c.isFor(p.issuer):
		return "aud must be the issuer"
	case !hasExp || !expires.After(now):
		return "exp is missing or over"
	case c["nbf"] != nil && (!hasNbf || starts.After(now.Add(leeway)) || starts.Before(now.Add(-maxRequestObjectAge))):
		return "nbf must be within the last hour"
	case client.FAPI2 && (!hasNbf || expires.After(starts.Add(maxRequestObjectAge))):
		return "nbf is missing, or exp is more than an hour later"
	case c["request"] != nil || c["request_uri"] != nil:
		return "it contains another request"
	}
	return ""
}
