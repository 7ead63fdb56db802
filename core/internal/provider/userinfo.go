package provider

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/oauth2"
)

// userInfo asks the UserInfo endpoint about the person whom the ID token names
// (OpenID Connect Core section 5.3). An answer about anybody else, or about
// nobody, fails the login: nothing of it is used.
func (p *oidcProvider) userInfo(ctx context.Context, m *metadata, token *oauth2.Token, issuer, subject string) (Claims, error) {
	if m.UserInfoEndpoint == "" {
		return nil, nil // then the ID token has all there is
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, m.UserInfoEndpoint, nil)
	if err != nil {
		return nil, badUserInfo(err)
	}
	token.SetAuthHeader(request) // the only place for a token: never a URL
	body, kind, err := answerTo(p.config.Client, request, badUserInfo)
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

// userInfoClaims reads an answer: a JSON object, or one that is signed, which
// must be so by the provider and for this client (section 5.3.2).
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
