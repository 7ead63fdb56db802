package core

import (
	"cmp"
	"context"
	"net/url"
	"strings"
	"time"
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
			return nil, errBadProvider("provider_metadata_invalid", "discovery: jwks_uri %w", err)
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
	p.idTokens.keys.bound = len(config.Tenants) > 0
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
	claims, err := p.idTokens.verify(ctx, raw, token.AccessToken, a.nonce, asymmetricOf(m.SigningAlgs))
	if err != nil {
		return nil, err
	}
	how := claims.authentication(p.idTokens.now())
	if err := how.answers(a); err != nil {
		return nil, err
	}
	subject, _ := claims.text("sub")
	issuer, _ := claims.text("iss")
	sid, _ := claims.text("sid") // of the ID token, and of nobody else
	if !p.config.issues(issuer) {
		return nil, errTenant(issuer)
	}
	if p.config.UserInfo {
		more, err := p.userInfo(ctx, m, token, issuer, subject)
		if err != nil {
			return nil, err
		}
		claims.add(more) // what is signed comes first
	}
	return &identity{user: claims.user(issuer, subject), claims: claims, idToken: raw, sid: sid, authentication: how}, nil
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
		"client_id": {p.config.ClientID},
		"state":     {state},
		cmp.Or(p.config.LogoutRedirectParam, "post_logout_redirect_uri"): {returnURL},
	}
	if idTokenHint != "" {
		query.Set("id_token_hint", idTokenHint)
	}
	return withQuery(m.EndSessionEndpoint, query)
}
