package provider

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
)

// userInfo asks the UserInfo endpoint for claims of the user (OpenID Connect Core
// section 5.3). A response with another sub than the ID token, or without one, fails the
// login.
func (p *oidcProvider) userInfo(ctx context.Context, m *metadata, token *tokenResponse, issuer, subject string) (Claims, error) {
	if m.UserInfoEndpoint == "" {
		return nil, nil // the ID token has all claims
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, m.UserInfoEndpoint, nil)
	if err != nil {
		return nil, badUserInfo(err)
	}
	body, kind, err := answerTo(p.clientWith(m, token), request, badUserInfo, token.access)
	if err != nil {
		return nil, err
	}
	c, err := p.userInfoClaims(ctx, m, issuer, kind, body)
	if err != nil {
		return nil, err
	}
	if got, ok := c.Text("sub"); !ok || got != subject {
		return nil, badUserInfo(errors.New("sub is not the ID token's"))
	}
	return c, nil
}

// userInfoClaims reads a response: a JSON object, or a JWT that the provider has signed
// for this client (section 5.3.2).
func (p *oidcProvider) userInfoClaims(ctx context.Context, m *metadata, issuer, kind string, body []byte) (Claims, error) {
	if kind != "application/jwt" {
		c, err := DecodeClaims(body)
		if err != nil {
			return nil, badUserInfo(err)
		}
		return c, nil
	}
	c, header, err := p.idTokens.open(ctx, strings.TrimSpace(string(body)), p.config.algorithms(m.UserInfoAlgs))
	signer, _ := c.Text("iss")
	down := new(Error)
	switch {
	case errors.As(err, &down):
		return nil, err
	case err != nil:
		return nil, badUserInfo(err)
	case signer != issuer:
		return nil, badUserInfo(errors.New("iss is not the ID token's"))
	case !slices.Contains(c.audience(), p.config.ClientID):
		return nil, badUserInfo(errors.New("aud is not this client"))
	}
	if err := checkType(header, "jwt", "userinfo+jwt"); err != nil {
		return nil, badUserInfo(err)
	}
	return c, nil
}
