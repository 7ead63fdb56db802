package core

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// OAuth2 is a provider that does not speak OpenID Connect, such as GitHub. PKCE
// is used all the same.
type OAuth2 struct {
	// AuthURL and TokenURL are the provider's endpoints: https, or http on
	// loopback if RedirectURL is http, too. Both empty: they are found by the metadata
	// of Provider.Issuer (RFC 8414). Two providers with AuthURL on one host need a
	// Provider.Issuer each.
	AuthURL  string
	TokenURL string

	// AuthMethod is how the client secret is sent: client_secret_basic or
	// client_secret_post. Empty: client_secret_basic, or what the metadata says.
	AuthMethod string

	// FetchUser asks the provider who it is, with a client that sends the access
	// token, follows no redirect, and bounds every answer in time and size. It
	// returns what it was told by the names of OpenID Connect Core section 5.1.
	// "sub" is needed: a string that never changes and is never given to anybody
	// else, such as an account's number, and never an e-mail address or a login
	// name. It must be safe for concurrent use. An error that wraps
	// [ErrUnavailable] is an outage, an [*Error] is answered as it is, and any
	// other means that the provider's answer is no good.
	FetchUser func(ctx context.Context, client *http.Client) (claims map[string]any, err error) `json:"-"`
}

// oauth2Provider is a provider without OpenID Connect: it issues access tokens
// and says nothing about who is there, so the application has to ask.
type oauth2Provider struct {
	codeGrant
	now func() time.Time
}

func newOAuth2Provider(grant codeGrant, now func() time.Time) *oauth2Provider {
	p := &oauth2Provider{codeGrant: grant, now: now}
	p.metadata = newDocument(now, func(ctx context.Context) (*metadata, error) {
		m, err := p.endpoints(ctx)
		if err != nil {
			return nil, err
		}
		return m, p.prepare(m)
	})
	return p
}

// endpoints are those of the configuration, or those of the metadata.
func (p *oauth2Provider) endpoints(ctx context.Context) (*metadata, error) {
	if c := p.config.OAuth2; c.AuthURL != "" {
		m := &metadata{Issuer: p.config.Issuer, AuthorizationEndpoint: c.AuthURL, TokenEndpoint: c.TokenURL}
		if c.AuthMethod != "" {
			m.AuthMethods = []string{c.AuthMethod}
		}
		return m, nil
	}
	return fetchMetadata(ctx, p.client, p.config.Issuer, oauth2MetadataURL(p.config.Issuer))
}

// oauth2MetadataURL puts the well-known segment before the issuer's path (RFC
// 8414 section 3.1).
func oauth2MetadataURL(issuer string) string {
	u, err := url.Parse(issuer)
	if err != nil {
		return issuer // Config was checked
	}
	u.Path = "/.well-known/oauth-authorization-server" + strings.TrimSuffix(u.Path, "/")
	return u.String()
}

func (p *oauth2Provider) authorizationURL(ctx context.Context, a *attempt, more url.Values) (string, error) {
	m, err := p.metadata.get(ctx)
	if err != nil {
		return "", err
	}
	return p.authorizationRequest(m, a, more), nil
}

// redeem sends the code once, with the verifier, and has the application's
// FetchUser ask who it is.
func (p *oauth2Provider) redeem(ctx context.Context, code string, a *attempt) (*identity, error) {
	m, err := p.metadata.get(ctx)
	if err != nil {
		return nil, err
	}
	token, err := p.exchange(ctx, m, code, a.verifier)
	if err != nil {
		return nil, err
	}
	client := *p.client // follows no redirect, so the token stays where it is sent
	client.Transport = &oauth2.Transport{Base: client.Transport, Source: oauth2.StaticTokenSource(token)}
	tokens := newTokens(token, p.now(), p.tokenLifetime)
	fetched, err := p.config.OAuth2.FetchUser(ContextWithToken(ctx, tokens.bearer()), &client)
	if err != nil {
		return nil, fetchUserError(err, token.AccessToken)
	}
	encoded, err := json.Marshal(fetched)
	if err != nil {
		return nil, errBadUserInfo(errors.New("FetchUser: the claims are not JSON"))
	}
	c, err := decodeClaims(encoded)
	if err != nil {
		return nil, errBadUserInfo(fmt.Errorf("FetchUser: %w", err))
	}
	subject, _ := c.text("sub")
	if !validSubject(subject) {
		return nil, errBadUserInfo(errors.New(`FetchUser gave no "sub": a string of 1 to 255 ASCII characters that never changes and is never given to somebody else`))
	}
	return &identity{user: c.user(p.config.Issuer, subject), claims: c, tokens: tokens}, nil
}

func (p *oauth2Provider) refresh(ctx context.Context, held *tokens, _ *session) (*tokens, error) {
	m, err := p.metadata.get(ctx)
	if err != nil {
		return nil, err
	}
	token, err := p.refreshToken(ctx, m, held.refresh)
	if err != nil {
		return nil, err
	}
	return newTokens(token, p.now(), p.tokenLifetime), nil
}

// fetchUserError sorts what FetchUser reports: an *Error is the application's
// own; a connection that failed, or what wraps ErrUnavailable, is an outage.
func fetchUserError(err error, accessToken string) error {
	var connection *url.Error
	text := errors.New("FetchUser: " + redact(err.Error(), accessToken))
	switch known := new(Error); {
	case errors.As(err, &known):
		return err
	case errors.As(err, &connection), errors.Is(err, ErrUnavailable):
		return errProviderDown(text)
	}
	return errBadUserInfo(text)
}

// logoutURL: OAuth 2.0 has no such place.
func (p *oauth2Provider) logoutURL(context.Context, string, string) string { return "" }
