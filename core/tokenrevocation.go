package core

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime/debug"
	"strings"

	"golang.org/x/oauth2"
)

// revoke tells the provider that the tokens of a session which has ended are not
// needed any more (RFC 7009): the refresh token, and the access token that goes
// with it, or the access token alone. A provider that has no place for that is
// not told.
func (g *codeGrant) revoke(ctx context.Context, held *tokens) error {
	ctx, cancel := context.WithTimeout(ctx, refreshPatience) // a logout can do without it
	defer cancel()
	m, err := g.metadata.get(ctx)
	if err != nil || m.RevocationEndpoint == "" {
		return err
	}
	form := url.Values{"token": {cmp.Or(held.refresh, held.access)}, "token_type_hint": {"access_token"}}
	if held.refresh != "" {
		form.Set("token_type_hint", "refresh_token")
	}
	request, style, secret, err := g.authenticated(ctx, m, m.RevocationEndpoint, form)
	if err != nil {
		return err
	}
	secrets := append(g.proofs(secret), held.refresh, held.access)
	response, err := g.client.Do(request)
	if err != nil {
		return errUnreachable(err, secrets...)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusOK { // also for a token that it does not know (section 2.2)
		return nil
	}
	body, _ := io.ReadAll(response.Body) // without it, the status says enough
	refused := tokenRefusal("revocation endpoint", response.StatusCode, body, g.calledItself(style, secret), secrets...)
	if refused.Code == codeGrantRefused {
		return nil // a token that it does not know, again
	}
	return refused
}

// revokeTokens has a provider revoke the tokens of a session that has ended. A
// failure is logged and does no harm: nobody here has them any more.
func (a *Authenticator) revokeTokens(r *http.Request, at *registration, held *tokens) {
	if err := at.revoke(r.Context(), held); err != nil {
		a.log(r, asError(from(at, err)))
	}
}

// revokeLater is revokeTokens for a request that does not wait for it. The goroutine
// ends within refreshPatience, if Client.SecretFunc heeds its context.
func (a *Authenticator) revokeLater(r *http.Request, at *registration, held *tokens) {
	detached := r.WithContext(context.WithoutCancel(r.Context()))
	go func() {
		defer func() {
			if cause := recover(); cause != nil { // in a goroutine of ours, a panic would end the program
				a.log(detached, asError(from(at, errProviderDown(fmt.Errorf("panic: %v\n%s", cause, debug.Stack())))))
			}
		}()
		a.revokeTokens(detached, at, held)
	}()
}

// authenticated is a request by which this client proves itself as it does at
// the token endpoint (RFC 6749 section 2.3.1): in which style, by which secret.
func (g *codeGrant) authenticated(ctx context.Context, m *metadata, endpoint string, form url.Values) (request *http.Request, style oauth2.AuthStyle, secret string, err error) {
	if style, err = m.authStyle(g.config.confidential()); err != nil {
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
		return nil, 0, "", errBadMetadata("%w", err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if style == oauth2.AuthStyleInHeader {
		request.SetBasicAuth(url.QueryEscape(g.config.ClientID), url.QueryEscape(secret))
	}
	return request, style, secret, nil
}
