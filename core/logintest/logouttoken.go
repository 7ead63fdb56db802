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
	// logoutEvent is what a logout token says has happened.
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

	logoutTokenLifetime = 2 * time.Minute
)

// LogoutToken returns a token that tells a client of a logout (OpenID Connect
// Back-Channel Logout section 2.4): that of user.Subject in user.SessionID, of
// which one may be empty and is then left out. It is genuine but for what change,
// which may be nil, does to it before it is signed by [Provider.Sign].
//
// For a token that is signed with another key, take header and claims from change,
// and give them to [SignWith].
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

// PostLogoutToken sends a logout token to an application, as a provider does
// (OpenID Connect Back-Channel Logout section 2.5), and returns the answer. The
// client may be one of [InMemory].
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
