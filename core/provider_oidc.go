package core

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// oidcProvider is an OpenID provider that is found by discovery.
type oidcProvider struct {
	codeGrant
	idTokens *idTokens
}

func newOIDCProvider(grant codeGrant, now func() time.Time) *oidcProvider {
	p := &oidcProvider{codeGrant: grant}
	config, client := grant.config, grant.client
	p.metadata = newDocument(now, func(ctx context.Context) (*metadata, error) {
		// Discovery section 4.1: without the issuer's final slash, if it has one.
		m, err := fetchMetadata(ctx, client, config.Issuer, strings.TrimSuffix(config.metadataIssuer(), "/")+"/.well-known/openid-configuration")
		if err != nil {
			return nil, err
		}
		if err := checkEndpoint(m.JWKSURI, m.allowHTTP()); err != nil {
			return nil, errBadMetadata("discovery: jwks_uri %w", err)
		}
		if err := config.checkSigningAlg(m.SigningAlgs); err != nil {
			return nil, errBadMetadata("discovery: %w", err)
		}
		return m, p.prepare(m)
	})
	p.idTokens = &idTokens{
		provider: &p.config, now: now,
		keys: newKeys(now, client, func(ctx context.Context) (string, error) {
			m, err := p.metadata.get(ctx)
			if err != nil {
				return "", err
			}
			return m.JWKSURI, nil
		}),
	}
	p.idTokens.keys.bound = len(config.Checks.Tenants) > 0
	if grant.log != nil {
		p.idTokens.keys.log = grant.log.With("provider", config.Name, "issuer", config.Issuer)
	}
	return p
}

func (p *oidcProvider) authorizationURL(ctx context.Context, a *attempt, more url.Values) (string, error) {
	m, err := p.metadata.get(ctx)
	if err != nil {
		return "", err
	}
	return p.authorizationRequest(m, a, more) + "&nonce=" + a.nonce, nil
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
	raw, ok := token.Extra("id_token").(string)
	if !ok || raw == "" {
		return nil, errBadProvider("token_response_untrusted", "no id_token in the token response")
	}
	claims, err := p.idTokens.verify(ctx, raw, token.AccessToken, a.nonce, p.config.algorithms(m.SigningAlgs))
	if err != nil {
		return nil, err
	}
	how := claims.authentication(p.idTokens.now())
	if err := how.answers(a, claims); err != nil {
		return nil, err
	}
	subject, _ := claims.text("sub")
	issuer, _ := claims.text("iss")
	sid, _ := claims.text("sid") // of the ID token, and of nobody else
	if !p.config.issues(issuer) {
		return nil, errTenant(issuer)
	}
	if p.config.Requests.UserInfo {
		more, err := p.userInfo(ctx, m, token, issuer, subject)
		if err != nil {
			return nil, err
		}
		claims.add(more) // what is signed comes first
	}
	return &identity{
		user: claims.user(issuer, subject), claims: claims, idToken: raw, sid: sid, authentication: how,
		tokens: p.tokensOf(token, claims),
	}, nil
}

// tokensOf are those that came with an ID token.
func (p *oidcProvider) tokensOf(token *oauth2.Token, c claims) *tokens {
	t := newTokens(token, p.idTokens.now(), p.tokenLifetime)
	t.nonce, _ = c.text("nonce")
	t.authTime, _ = c.date("auth_time")
	return t
}

// refresh also checks the ID token, if there is a new one (OpenID Connect Core
// section 12.2). The session goes on with what it knows, also about when the user
// has authenticated. Without keys to check it with, the refresh token would be
// spent for nothing.
func (p *oidcProvider) refresh(ctx context.Context, held *tokens, of *session) (*tokens, error) {
	m, err := p.metadata.get(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := p.idTokens.keys.set.get(ctx); err != nil {
		return nil, err
	}
	token, err := p.refreshToken(ctx, m, held.refresh)
	if err != nil {
		return nil, err
	}
	raw, _ := token.Extra("id_token").(string)
	authTime := held.authTime
	if raw != "" {
		if authTime, err = p.idTokens.verifyRefreshed(ctx, raw, token.AccessToken, held, of, p.config.algorithms(m.SigningAlgs)); err != nil {
			return nil, err
		}
	}
	fresh := newTokens(token, p.idTokens.now(), p.tokenLifetime)
	fresh.idToken = raw
	fresh.nonce, fresh.authTime = held.nonce, authTime
	return fresh, nil
}

// logoutURL is the request of OpenID Connect RP-Initiated Logout section 2. It has
// no state, which is optional: nothing depends on what comes back, and it would
// stay in the address bar.
func (p *oidcProvider) logoutURL(ctx context.Context, idTokenHint, returnURL string) string {
	ctx, cancel := context.WithTimeout(ctx, refreshPatience) // a logout can do without it
	defer cancel()
	m, err := p.metadata.get(ctx)
	if err != nil || m.EndSessionEndpoint == "" {
		return ""
	}
	query := url.Values{
		"client_id": {p.config.ClientID},
		cmp.Or(p.config.Requests.LogoutRedirectParam, "post_logout_redirect_uri"): {returnURL},
	}
	if idTokenHint != "" && p.stillSigned(ctx, m, idTokenHint) {
		query.Set("id_token_hint", idTokenHint)
	}
	return withQuery(m.EndSessionEndpoint, query)
}

// stillSigned reports whether the provider can verify its own signature of a hint.
// Some providers answer an error page if the key is gone; without a hint they
// ask the user. If the keys cannot be had, nothing is known against the hint.
func (p *oidcProvider) stillSigned(ctx context.Context, m *metadata, hint string) bool {
	_, _, err := p.idTokens.open(ctx, hint, p.config.algorithms(m.SigningAlgs))
	return err == nil || errors.As(err, new(*Error))
}
