package core

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// oidcProvider is an OpenID provider that is found by discovery.
type oidcProvider struct {
	config      Provider
	redirectURL string
	client      *http.Client
	now         func() time.Time
	metadata    *document[metadata]
	idTokens    *idTokens
}

func newOIDCProvider(config Provider, redirectURL string, client *http.Client, now func() time.Time) *oidcProvider {
	p := &oidcProvider{config: config, redirectURL: redirectURL, client: client, now: now}
	p.metadata = newDocument(now, func(ctx context.Context) (*metadata, error) {
		m, err := fetchMetadata(ctx, client, config.Issuer)
		if err != nil {
			return nil, err
		}
		m.authorizationRequest = p.authorizationRequest(m.AuthorizationEndpoint)
		_, err = m.authStyle(config.ClientSecret) // found out now, not when a person comes back
		return m, err
	})
	p.idTokens = &idTokens{
		issuer: config.Issuer, clientID: config.ClientID, now: now,
		keys: newKeys(now, client, func(ctx context.Context) (string, error) {
			m, err := p.metadata.get(ctx)
			if err != nil {
				return "", err
			}
			return m.JWKSURI, nil
		}),
	}
	return p
}

func (p *oidcProvider) discover(ctx context.Context) error {
	_, err := p.metadata.get(ctx)
	return err
}

// reservedParam reports whether an authorization parameter is this library's to set.
func reservedParam(name string) bool {
	return slices.Contains([]string{
		"client_id", "client_secret", "code", "code_challenge", "code_challenge_method", "nonce",
		"redirect_uri", "request", "request_uri", "response_mode", "response_type", "scope", "state",
	}, name)
}

// authorizationURL is the request of RFC 6749 section 4.1.1 with the challenge
// of RFC 7636 section 4.3, whatever the metadata says about PKCE. What it adds
// is base64url and stands in a query as it is.
func (p *oidcProvider) authorizationURL(ctx context.Context, a *attempt) (string, error) {
	m, err := p.metadata.get(ctx)
	if err != nil {
		return "", err
	}
	return m.authorizationRequest + "&state=" + a.state + "&nonce=" + a.nonce +
		"&code_challenge_method=S256&code_challenge=" + a.challenge(), nil
}

// authorizationRequest is what all authorization requests have in common.
func (p *oidcProvider) authorizationRequest(endpoint string) string {
	query := url.Values{
		"response_type": {"code"},
		"client_id":     {p.config.ClientID},
		"redirect_uri":  {p.redirectURL},
		"scope":         {strings.Join(p.config.Scopes, " ")},
	}
	maps.Copy(query, p.config.AuthParams)
	return withQuery(endpoint, query)
}

// withQuery adds to a query that the endpoint may have already (RFC 6749 section 3.1).
func withQuery(endpoint string, query url.Values) string {
	if strings.Contains(endpoint, "?") {
		return endpoint + "&" + query.Encode()
	}
	return endpoint + "?" + query.Encode()
}

// checkIssuer: compared whenever it is there, and demanded if the metadata
// promises it. Simple string comparison, as RFC 9207 section 2.4 asks.
func (p *oidcProvider) checkIssuer(ctx context.Context, iss []string) error {
	m, err := p.metadata.get(ctx)
	switch {
	case err != nil:
		return err
	case len(iss) > 1:
		return errBadCallback("%d iss parameters", len(iss))
	case len(iss) == 0 && m.IssParameter:
		return errBadCallback("no iss parameter, although the provider promises one (RFC 9207)")
	case len(iss) == 1 && iss[0] != p.config.Issuer:
		return errBadCallback("the iss parameter is not the provider (RFC 9207)")
	}
	return nil
}

// redeem sends the code once, with the verifier, and believes nothing of the
// answer until the ID token has been checked.
func (p *oidcProvider) redeem(ctx context.Context, code string, a *attempt) (*identity, error) {
	m, err := p.metadata.get(ctx)
	if err != nil {
		return nil, err
	}
	token, err := p.exchange(ctx, m, code, a.verifier)
	if err != nil {
		return nil, err
	}
	if !strings.EqualFold(token.TokenType, "Bearer") { // RFC 6749 section 7.1
		return nil, errBadProvider("token_response_untrusted", "token_type is %q, not Bearer", clip(token.TokenType))
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok || raw == "" {
		return nil, errBadProvider("token_response_untrusted", "no id_token in the token response")
	}
	claims, err := p.idTokens.verify(ctx, raw, token.AccessToken, a.nonce, m.signingAlgs())
	if err != nil {
		return nil, err
	}
	if err := checkAge(claims, p.config.AuthParams.Get("max_age"), a.begun); err != nil {
		return nil, err
	}
	subject, _ := claims.text("sub")
	if p.config.UserInfo {
		more, err := p.userInfo(ctx, m, token, subject)
		if err != nil {
			return nil, err
		}
		claims.add(more) // what is signed comes first
	}
	return &identity{user: claims.user(p.config.Issuer, subject), claims: claims, idToken: raw}, nil
}

// exchange is the token request of RFC 6749 section 4.1.3 and RFC 7636 section 4.5.
func (p *oidcProvider) exchange(ctx context.Context, m *metadata, code, verifier string) (*oauth2.Token, error) {
	style, err := m.authStyle(p.config.ClientSecret)
	if err != nil {
		return nil, err
	}
	config := oauth2.Config{
		ClientID: p.config.ClientID, ClientSecret: p.config.ClientSecret, RedirectURL: p.redirectURL,
		Endpoint: oauth2.Endpoint{TokenURL: m.TokenEndpoint, AuthStyle: style},
	}
	client, reading := watch(p.client)
	token, err := config.Exchange(context.WithValue(ctx, oauth2.HTTPClient, client), code, oauth2.VerifierOption(verifier))
	if reading.err != nil {
		return nil, errProviderDown(fmt.Errorf("reading the token endpoint's answer: %w", reading.err))
	}
	if err != nil {
		basic := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(p.config.ClientID) + ":" + url.QueryEscape(p.config.ClientSecret)))
		return nil, exchangeError(err, code, verifier, p.config.ClientSecret, basic)
	}
	return token, nil
}

// exchangeError sorts what went wrong by whose fault it is. The texts of
// x/oauth2 hold the answer's body, and the answer may repeat the request: only
// the error members of RFC 6749 section 5.2 are kept, without any secret.
func exchangeError(err error, secrets ...string) error {
	var answer *oauth2.RetrieveError
	var connection *url.Error
	switch {
	case errors.As(err, &connection):
		return errProviderDown(err)
	case !errors.As(err, &answer):
		return errBadProvider("token_response_untrusted", "the token endpoint's answer cannot be read")
	}
	status := answer.Response.StatusCode
	reported := &ProviderError{
		Code:        redact(answer.ErrorCode, secrets),
		Description: redact(answer.ErrorDescription, secrets),
	}
	switch {
	case answer.ErrorCode == "invalid_grant":
		return &Error{
			Status: http.StatusForbidden, Code: "code_refused",
			Public: "The login provider did not accept this login. Please try again.",
			Err:    fmt.Errorf("%w: token endpoint: %w", ErrRefused, reported),
		}
	case status >= 500, status == http.StatusTooManyRequests:
		return errProviderDown(fmt.Errorf("the token endpoint answered %d", status))
	case answer.ErrorCode != "":
		return &Error{
			Status: http.StatusBadGateway, Code: "client_refused",
			Public: "The login provider does not accept this application. Please tell us.",
			Err:    fmt.Errorf("%w: token endpoint: %w", ErrRefused, reported),
		}
	}
	return errBadProvider("token_response_untrusted", "the token endpoint answered %d without an OAuth error", status)
}

// redact takes secrets out of a text of the provider's, as they are and as a
// form spells them.
func redact(text string, secrets []string) string {
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, redacted)
			text = strings.ReplaceAll(text, url.QueryEscape(secret), redacted)
		}
	}
	return text
}

// logoutURL is the request of OpenID Connect RP-Initiated Logout section 2.
func (p *oidcProvider) logoutURL(ctx context.Context, idTokenHint, returnURL, state string) string {
	ctx, cancel := context.WithTimeout(ctx, refreshPatience) // a logout can do without it
	defer cancel()
	m, err := p.metadata.get(ctx)
	if err != nil || m.EndSessionEndpoint == "" {
		return ""
	}
	query := url.Values{
		"client_id":                {p.config.ClientID},
		"post_logout_redirect_uri": {returnURL},
		"state":                    {state},
	}
	if idTokenHint != "" {
		query.Set("id_token_hint", idTokenHint)
	}
	return withQuery(m.EndSessionEndpoint, query)
}
