package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/pixyauth/pixy/core/internal/told"
)

// oauth2Provider is a provider without OpenID Connect. It issues access tokens and no ID
// token, so FetchUser of the application fetches the user.
type oauth2Provider struct {
	codeGrant
}

func newOAuth2Provider(config Config) *oauth2Provider {
	p := &oauth2Provider{codeGrant{config: config}}
	p.metadata = newDocument(config.Now, func(ctx context.Context) (*metadata, error) {
		m, err := p.config.discover(ctx, oauth2MetadataURL(p.config.Issuer))
		if err != nil {
			return nil, err
		}
		return m, p.prepare(m)
	})
	if config.SignedResponse {
		p.verifySignatures()
	}
	return p
}

// oauth2MetadataURL returns the URL of the metadata, with the well-known segment before
// the issuer's path (RFC 8414 section 3.1).
func oauth2MetadataURL(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return issuer // impossible: Config was checked
	}
	u.Path = "/.well-known/oauth-authorization-server" + strings.TrimSuffix(u.Path, "/")
	return u.String()
}

// Redeem sends the code once, with the verifier, and calls FetchUser of the application.
func (p *oauth2Provider) Redeem(ctx context.Context, code string, a Request) (*Identity, error) {
	m, err := p.metadata.get(ctx)
	if err != nil {
		return nil, err
	}
	token, err := p.exchange(ctx, m, code, a)
	if err != nil {
		return nil, err
	}
	tokens := p.tokensOf(token)
	fetched, err := p.config.FetchUser(ctx, p.clientWith(m, token), tokens)
	if err != nil {
		return nil, fetchUserError(err, token.access)
	}
	encoded, err := json.Marshal(fetched)
	if err != nil {
		return nil, badUserInfo(errors.New("FetchUser: the claims are not JSON"))
	}
	c, err := DecodeClaims(encoded)
	if err != nil {
		return nil, badUserInfo(fmt.Errorf("FetchUser: %w", err))
	}
	subject, _ := c.Text("sub")
	if !ValidSubject(subject) {
		return nil, badUserInfo(errors.New(`FetchUser returned no valid "sub"; return a string of 1 to 255 ASCII characters that never changes and never passes to another user`))
	}
	return &Identity{Issuer: p.config.Issuer, Subject: subject, Claims: c, Tokens: tokens}, nil
}

func (p *oauth2Provider) Refresh(ctx context.Context, held *Tokens, _, _ string) (*Tokens, error) {
	m, err := p.metadata.get(ctx)
	if err != nil {
		return nil, err
	}
	token, err := p.refreshToken(ctx, m, held)
	if err != nil {
		return nil, err
	}
	return p.tokensOf(token), nil
}

// fetchUserError converts an error of FetchUser. A failed connection is an outage.
func fetchUserError(err error, accessToken string) error {
	var connection *url.Error
	known := new(Error)
	if errors.As(err, &known) && known.Code == CodeFetchUser {
		return known
	}
	text := errors.New("FetchUser: " + told.Redact(err.Error(), accessToken))
	if known.Code == CodeUnavailable || errors.As(err, &connection) {
		return unavailable(text)
	}
	return badUserInfo(text)
}

// LogoutURL returns "", because OAuth 2.0 has no logout endpoint.
func (p *oauth2Provider) LogoutURL(context.Context, string, string) string { return "" }

// LogoutToken returns an error, because OAuth 2.0 has no logout tokens.
func (p *oauth2Provider) LogoutToken(context.Context, string, Claims) (*LogoutToken, error) {
	return nil, badLogoutToken(errors.New("the provider has no OpenID Connect"))
}
