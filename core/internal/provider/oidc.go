package provider

import (
	"cmp"
	"context"
	"errors"
	"net/url"
	"strings"
)

// oidcProvider is an OpenID provider. Its endpoints come from discovery.
type oidcProvider struct {
	codeGrant
}

func newOIDCProvider(config Config) *oidcProvider {
	p := &oidcProvider{codeGrant: codeGrant{config: config}}
	p.metadata = newDocument(config.Now, func(ctx context.Context) (*metadata, error) {
		// Discovery section 4.1: without the issuer's final slash, if it has one.
		m, err := config.discover(ctx, strings.TrimSuffix(config.metadataIssuer(), "/")+"/.well-known/openid-configuration")
		if err != nil {
			return nil, err
		}
		if err := config.checkSigningAlg("ID tokens", m.SigningAlgs); err != nil {
			return nil, badMetadata("discovery: %w", err)
		}
		return m, p.prepare(m)
	})
	p.verifySignatures()
	return p
}

// Redeem sends the code once, with the verifier. It uses nothing of the response until
// it has checked the ID token.
func (p *oidcProvider) Redeem(ctx context.Context, code string, a Request) (*Identity, error) {
	m, err := p.metadata.get(ctx)
	if err != nil {
		return nil, err
	}
	token, err := p.exchange(ctx, m, code, a)
	if err != nil {
		return nil, err
	}
	if token.idToken == "" {
		return nil, bad(CodeTokenResponse, "no id_token in the token response")
	}
	raw, err := p.idTokens.decrypt(ctx, token.idToken)
	if err != nil {
		return nil, err
	}
	claims, err := p.idTokens.verify(ctx, raw, token.access, a.Nonce, p.config.algorithms(m.SigningAlgs))
	if err != nil {
		return nil, err
	}
	how := claims.authentication(p.idTokens.now())
	if err := how.answers(a, claims); err != nil {
		return nil, err
	}
	subject, _ := claims.Text("sub")
	issuer, _ := claims.Text("iss")
	sid, _ := claims.Text("sid") // from the ID token only, not from UserInfo
	if !p.config.Issues(issuer) {
		return nil, errTenant(issuer)
	}
	if p.config.UserInfo {
		more, err := p.userInfo(ctx, m, token, issuer, subject)
		if err != nil {
			return nil, err
		}
		claims.add(more) // the claims of the ID token win
	}
	tokens := p.tokensOf(token)
	tokens.Nonce, _ = claims.Text("nonce")
	tokens.AuthTime, _ = claims.date("auth_time")
	return &Identity{
		Issuer: issuer, Subject: subject, SID: sid, IDToken: raw, Claims: claims, Tokens: tokens, Authentication: how,
	}, nil
}

// Refresh also checks the new ID token, if there is one (OpenID Connect Core section
// 12.2). The session keeps the claims of the login. Refresh fetches the keys first:
// without them it could not check the ID token, and the refresh token would be used up.
func (p *oidcProvider) Refresh(ctx context.Context, held *Tokens, issuer, subject string) (*Tokens, error) {
	m, err := p.metadata.get(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := p.idTokens.keys.get(ctx); err != nil {
		return nil, err
	}
	token, err := p.refreshToken(ctx, m, held)
	if err != nil {
		return nil, err
	}
	raw, err := p.idTokens.decrypt(ctx, token.idToken)
	if err != nil {
		return nil, err
	}
	authTime := held.AuthTime
	if raw != "" {
		if authTime, err = p.idTokens.verifyRefreshed(ctx, raw, token.access, held, issuer, subject, p.config.algorithms(m.SigningAlgs)); err != nil {
			return nil, err
		}
	}
	fresh := p.tokensOf(token)
	fresh.IDToken = raw
	fresh.Nonce, fresh.AuthTime = held.Nonce, authTime
	return fresh, nil
}

// LogoutURL returns the request of OpenID Connect RP-Initiated Logout section 2. It has
// no state, which is optional: nothing depends on the response, and the state would stay
// in the address bar.
func (p *oidcProvider) LogoutURL(ctx context.Context, idTokenHint, returnURL string) string {
	ctx, cancel := context.WithTimeout(ctx, patience) // the logout here does not need it
	defer cancel()
	m, err := p.metadata.get(ctx)
	if err != nil || m.EndSessionEndpoint == "" {
		return ""
	}
	query := url.Values{
		"client_id": {p.config.ClientID},
		cmp.Or(p.config.LogoutRedirectParam, "post_logout_redirect_uri"): {returnURL},
	}
	if idTokenHint != "" && p.stillSigned(ctx, m, idTokenHint) {
		query.Set("id_token_hint", idTokenHint)
	}
	return WithQuery(m.EndSessionEndpoint, query)
}

// stillSigned reports whether the provider can still verify the signature of a hint. If
// the key is gone, some providers answer with an error page; without a hint they ask the
// user. stillSigned returns true if the keys are unavailable.
func (p *oidcProvider) stillSigned(ctx context.Context, m *metadata, hint string) bool {
	_, _, err := p.idTokens.open(ctx, hint, p.config.algorithms(m.SigningAlgs))
	return err == nil || errors.As(err, new(*Error))
}
