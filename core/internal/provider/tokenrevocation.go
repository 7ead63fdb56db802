package provider

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/oauth2"
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
	request, style, secret, err := g.authenticated(ctx, m, m.RevocationEndpoint, form)
	if err != nil {
		return err
	}
	secrets := append(g.proofs(secret), held.Refresh, held.Access)
	response, err := g.config.Client.Do(request)
	if err != nil {
		return unreachable(err, secrets...)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK { // also for an unknown token (section 2.2)
		return nil
	}
	body, _ := io.ReadAll(response.Body) // on an error, the status is enough
	refused := tokenRefusal("revocation endpoint", response.StatusCode, body, g.calledItself(style, secret), secrets...)
	if refused.Code == CodeGrantRefused {
		return nil // another response for an unknown token
	}
	return refused
}

// authenticated returns a request with the client authentication of the token endpoint
// (RFC 6749 section 2.3.1), and the style and the secret that it uses.
func (g *codeGrant) authenticated(ctx context.Context, m *metadata, endpoint string, form url.Values) (request *http.Request, style oauth2.AuthStyle, secret string, err error) {
	if style, err = m.authStyle(g.config.Secret != nil); err != nil {
		return nil, 0, "", err
	}
	if secret, err = g.config.secret(ctx); err != nil {
		return nil, 0, "", err
	}
	if style == oauth2.AuthStyleInParams {
		form.Set("client_id", g.config.ClientID)
		if secret != "" {
			form.Set("client_secret", secret)
		}
	}
	request, err = http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, 0, "", badMetadata("%w", err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if style == oauth2.AuthStyleInHeader {
		request.SetBasicAuth(url.QueryEscape(g.config.ClientID), url.QueryEscape(secret))
	}
	return request, style, secret, nil
}
