package provider

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"
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
// for this client (section 5.3.2). Either may be encrypted. Without a signature, it is as
// good as the connection to the provider, which is what a response is that is not encrypted.
func (p *oidcProvider) userInfoClaims(ctx context.Context, m *metadata, issuer, kind string, body []byte) (Claims, error) {
	if kind != "application/jwt" {
		return userInfoObject(body)
	}
	raw := strings.TrimSpace(string(body))
	token, err := p.config.decrypt(ctx, raw)
	if err == nil && IsEncrypted(raw) && isJSON(bytes.TrimSpace([]byte(token))) {
		return userInfoObject([]byte(token))
	}
	var c Claims
	var header jose.Header
	if err == nil {
		c, header, err = p.idTokens.open(ctx, token, p.config.algorithms(m.UserInfoAlgs))
	}
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

func userInfoObject(text []byte) (Claims, error) {
	c, err := DecodeClaims(text)
	if err != nil {
		return nil, badUserInfo(err)
	}
	return c, nil
}
