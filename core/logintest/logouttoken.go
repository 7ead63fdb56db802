package logintest

import (
	"context"
	"crypto/rand"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// logoutEvent is the event of a logout token.
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

	logoutTokenLifetime = 2 * time.Minute
)

// LogoutToken returns a logout token for a client (OpenID Connect Back-Channel
// Logout section 2.4). It names user.Subject and user.SessionID; an empty one
// is left out. The token is valid, unless change edits it before it is signed
// by [Provider.Sign]. Change may be nil.
//
// To sign with another key, copy header and claims in change and call
// [SignWith].
func (p *Provider) LogoutToken(clientID string, user User, change func(header, claims map[string]any)) string {
	now := p.now()
	header := map[string]any{"alg": "RS256", "typ": "logout+jwt", "kid": p.signingKeys().rsaID}
	claims := map[string]any{
		"iss": p.issuer, "aud": clientID, "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(logoutTokenLifetime).Unix(),
		"events": map[string]any{logoutEvent: map[string]any{}},
	}
	if user.Subject != "" {
		claims["sub"] = user.Subject
	}
	if user.SessionID != "" {
		claims["sid"] = user.SessionID
	}
	if change != nil {
		change(header, claims)
	}
	return p.Sign(header, claims)
}

// PostLogoutToken posts a logout token to an application, as a provider does
// (OpenID Connect Back-Channel Logout section 2.5), and returns the response.
// For an application in memory, use a client of [InMemory].
func PostLogoutToken(ctx context.Context, client *http.Client, uri, token string) (*Hop, error) {
	body := url.Values{"logout_token": {token}}.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, uri, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	response, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxPageBytes))
	if err != nil {
		return nil, err
	}
	return &Hop{
		Method: r.Method, URL: uri, RequestHeader: r.Header,
		Status: response.StatusCode, Header: response.Header, Body: answer,
	}, nil
}
