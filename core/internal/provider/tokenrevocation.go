package provider

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
)

// Revoke revokes the tokens of a session that has ended (RFC 7009). It sends the refresh
// token, which also revokes the access token, or the access token if there is no refresh
// token. It does nothing if the provider has no revocation endpoint.
func (g *codeGrant) Revoke(ctx context.Context, held *Tokens) error {
	ctx, cancel := context.WithTimeout(ctx, patience) // the logout does not need it
	defer cancel()
	m, err := g.metadata.get(ctx)
	if err != nil || m.RevocationEndpoint == "" {
		return err
	}
	form := url.Values{"token": {cmp.Or(held.Refresh, held.Access)}, "token_type_hint": {"access_token"}}
	if held.Refresh != "" {
		form.Set("token_type_hint", "refresh_token")
	}
	reply, err := g.post(ctx, m, clientRequest{endpoint: "revocation endpoint", url: m.RevocationEndpoint, form: form, secrets: []string{held.Refresh, held.Access}})
	if err != nil || reply.status == http.StatusOK { // also for an unknown token (section 2.2)
		return err
	}
	if refused := reply.refusal(); refused.Code != CodeGrantRefused { // another response for an unknown token
		return refused
	}
	return nil
}
