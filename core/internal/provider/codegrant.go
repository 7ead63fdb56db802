package provider

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

	"golang.org/x/oauth2"

	"github.com/pixyauth/pixy/core/internal/told"
)

// A codeGrant makes the requests of the authorization code grant with PKCE (RFC 6749
// section 4.1), for one registration.
type codeGrant struct {
	config   Config
	metadata *document[metadata] // set by newOIDCProvider or newOAuth2Provider
}

func (g *codeGrant) Discover(ctx context.Context) error {
	_, err := g.metadata.get(ctx)
	return err
}

func (g *codeGrant) CheckIssuer(ctx context.Context, iss []string) error {
	m, err := g.metadata.get(ctx)
	if err != nil {
		return err
	}
	return m.checkIssuer(iss, &g.config)
}

func (g *codeGrant) Issues(issuer string) bool { return g.config.Issues(issuer) }

// ReservedParam reports whether only this library may set an authorization parameter.
func ReservedParam(name string) bool {
	return slices.Contains([]string{
		"client_id", "client_secret", "code", "code_challenge", "code_challenge_method", "nonce",
		"redirect_uri", "request", "request_uri", "response_mode", "response_type", "scope", "state",
	}, name)
}

// commonRequest returns the part of the authorization request that does not depend on
// the attempt (RFC 6749 section 4.1.1). Parameters in more replace those of AuthParams.
func (g *codeGrant) commonRequest(endpoint string, more url.Values) string {
	query := url.Values{
		"response_type": {"code"},
		"client_id":     {g.config.ClientID},
		"redirect_uri":  {g.config.RedirectURL},
	}
	if len(g.config.Scopes) > 0 {
		query.Set("scope", strings.Join(g.config.Scopes, " "))
	}
	if g.config.FormPost {
		query.Set("response_mode", "form_post")
	}
	maps.Copy(query, g.config.AuthParams)
	maps.Copy(query, more)
	return WithQuery(endpoint, query)
}

// authorizationRequest adds the parameters of the attempt: state, and the challenge of
// RFC 7636 section 4.3, whatever the metadata says about PKCE. The values are base64url
// and need no escapes in a query.
func (g *codeGrant) authorizationRequest(m *metadata, a Request, more url.Values) string {
	common := m.commonRequest
	if len(more) > 0 {
		common = g.commonRequest(m.AuthorizationEndpoint, more)
	}
	return common + "&state=" + a.State + "&code_challenge_method=S256&code_challenge=" + a.Challenge()
}

// prepare checks that this client can use the provider's endpoints. So such a fault is
// found before a user is sent to the provider. AuthMethod replaces what m announces.
func (g *codeGrant) prepare(m *metadata) error {
	if g.config.AuthMethod != "" {
		m.AuthMethods = []string{g.config.AuthMethod}
	}
	m.commonRequest = g.commonRequest(m.AuthorizationEndpoint, nil)
	_, err := m.authStyle(g.config.Secret != nil)
	return err
}

// WithQuery appends a query to endpoint, which may have one already (RFC 6749 section
// 3.1).
func WithQuery(endpoint string, query url.Values) string {
	if strings.Contains(endpoint, "?") {
		return endpoint + "&" + query.Encode()
	}
	return endpoint + "?" + query.Encode()
}

// exchange makes the token request of RFC 6749 section 4.1.3 and RFC 7636 section 4.5.
// It sends the code once, with the verifier.
func (g *codeGrant) exchange(ctx context.Context, m *metadata, code, verifier string) (*oauth2.Token, error) {
	return g.requestToken(ctx, m, []string{code, verifier}, func(ctx context.Context, config *oauth2.Config) (*oauth2.Token, error) {
		return config.Exchange(ctx, code, oauth2.VerifierOption(verifier))
	})
}

// refreshToken makes the token request of RFC 6749 section 6. It sends no scope, which
// means the scope of the login. If the response has no new refresh token, the result has
// the old one.
func (g *codeGrant) refreshToken(ctx context.Context, m *metadata, refresh string) (*oauth2.Token, error) {
	token, err := g.requestToken(ctx, m, []string{refresh}, func(ctx context.Context, config *oauth2.Config) (*oauth2.Token, error) {
		return config.TokenSource(ctx, &oauth2.Token{RefreshToken: refresh}).Token()
	})
	if refused := new(Error); errors.As(err, &refused) && refused.Code == CodeGrantRefused {
		return nil, &Error{CodeRefreshRefused, refused.Err}
	}
	return token, err
}

// requestToken makes a token request, with the client authentication of the metadata.
// secrets are the secrets in the request. The response may repeat them, so they are
// redacted in errors.
func (g *codeGrant) requestToken(ctx context.Context, m *metadata, secrets []string, request func(context.Context, *oauth2.Config) (*oauth2.Token, error)) (*oauth2.Token, error) {
	style, err := m.authStyle(g.config.Secret != nil)
	if err != nil {
		return nil, err
	}
	secret, err := g.config.secret(ctx)
	if err != nil {
		return nil, err
	}
	secrets = append(secrets, g.proofs(secret)...)
	client, answer := watch(g.config.Client)
	token, err := request(context.WithValue(ctx, oauth2.HTTPClient, client), &oauth2.Config{
		ClientID: g.config.ClientID, ClientSecret: secret, RedirectURL: g.config.RedirectURL,
		Endpoint: oauth2.Endpoint{TokenURL: m.TokenEndpoint, AuthStyle: style},
	})
	tooBig := new(http.MaxBytesError)
	switch {
	case errors.As(answer.err, &tooBig):
		return nil, bad(CodeTokenResponse, "the token endpoint's answer is larger than %d bytes", tooBig.Limit)
	case answer.err != nil:
		return nil, unreachable(fmt.Errorf("reading the token endpoint's answer: %w", answer.err), secrets...)
	case err != nil && answer.status == 0:
		return nil, unreachable(err, secrets...)
	case err != nil:
		return nil, tokenRefusal("token endpoint", answer.status, answer.body, g.calledItself(style, secret), secrets...)
	}
	if !strings.EqualFold(token.TokenType, "Bearer") { // RFC 6749 section 7.1
		idToken, _ := token.Extra("id_token").(string)
		return nil, bad(CodeTokenResponse, "token_type is %q, not Bearer",
			told.Redact(token.TokenType, append(secrets, token.AccessToken, token.RefreshToken, idToken)...))
	}
	if n := max(len(token.AccessToken), len(token.RefreshToken)); n > maxToken {
		return nil, bad(CodeTokenResponse, "access_token or refresh_token has %d bytes, which is more than %d", n, maxToken)
	}
	return token, nil
}

// maxToken is the limit for an access token and for a refresh token, in bytes. Tokens
// may be kept in memory, and each request to an API sends the access token.
const maxToken = 64 << 10

// proofs returns the forms that the client secret has in a request: plain, and in an
// Authorization header (RFC 6749 section 2.3.1).
func (g *codeGrant) proofs(secret string) []string {
	if secret == "" {
		return nil
	}
	return []string{secret, base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(g.config.ClientID) + ":" + url.QueryEscape(secret)))}
}
