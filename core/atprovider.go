package core

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"github.com/pixyauth/pixy/core/internal/provider"
)

// What follows asks the provider of a registration. Each error is an [*Error], and
// knows whose it is.

func (r *registration) discover(ctx context.Context) error {
	return r.failure(r.provider.Discover(ctx))
}

// issues reports whether the provider is issuer, or has it as a tenant.
func (r *registration) issues(issuer string) bool { return r.provider.Issues(issuer) }

func (r *registration) checkIssuer(ctx context.Context, iss []string) error {
	return r.failure(r.provider.CheckIssuer(ctx, iss))
}

func (r *registration) authorizationURL(ctx context.Context, a *attempt, more url.Values) (string, error) {
	to, err := r.provider.AuthorizationURL(ctx, a.request(), more)
	return to, r.failure(err)
}

func (r *registration) redeem(ctx context.Context, code string, a *attempt) (*provider.Identity, error) {
	who, err := r.provider.Redeem(ctx, code, a.request())
	return who, r.failure(err)
}

func (r *registration) refresh(ctx context.Context, held *tokens, of *session) (*tokens, error) {
	fresh, err := r.provider.Refresh(ctx, (*provider.Tokens)(held), of.user.Issuer, of.user.Subject)
	return (*tokens)(fresh), r.failure(err)
}

func (r *registration) revoke(ctx context.Context, held *tokens) error {
	return r.failure(r.provider.Revoke(ctx, (*provider.Tokens)(held)))
}

func (r *registration) logoutURL(ctx context.Context, idTokenHint, returnURL string) string {
	return r.provider.LogoutURL(ctx, idTokenHint, returnURL)
}

func (r *registration) logoutToken(ctx context.Context, raw string, claimed provider.Claims) (*provider.LogoutToken, error) {
	token, err := r.provider.LogoutToken(ctx, raw, claimed)
	return token, r.failure(err)
}

// failure makes an [*Error] of an error of the provider's. One of FetchUser's own
// stays what it is.
func (r *registration) failure(err error) error {
	said := new(provider.Error)
	if !errors.As(err, &said) {
		return err
	}
	failure := new(Error)
	if own := new(Error); errors.As(err, &own) {
		*failure = *own
	} else {
		cause := said.Err
		if reported := new(provider.Reported); errors.As(cause, &reported) {
			cause = reportedError{cause, (*ProviderError)(reported)}
		}
		failure = fail(said.Code, cause)
	}
	failure.from = r
	return failure
}

// confidential reports whether this application proves itself by a secret.
func (p *Provider) confidential() bool { return p.ClientSecret != "" || p.Client.SecretFunc != nil }

// secret returns what makes the client secret, or nil for a public client.
func (p *Provider) secret() func(context.Context) (string, error) {
	if !p.confidential() {
		return nil
	}
	constant, ask := p.ClientSecret, p.Client.SecretFunc
	return func(ctx context.Context) (string, error) {
		if ask == nil {
			return constant, nil
		}
		secret, err := ask(ctx)
		if err == nil && secret == "" {
			err = errors.New("it is empty")
		}
		if err != nil {
			return "", fmt.Errorf("Client.SecretFunc: %w", err)
		}
		return secret, nil
	}
}

// forRoom is what the provider's room needs of o.
func (o *OAuth2) forRoom() *provider.OAuth2 {
	if o == nil {
		return nil
	}
	return &provider.OAuth2{AuthURL: o.AuthURL, TokenURL: o.TokenURL, AuthMethod: o.AuthMethod, FetchUser: o.fetchUser}
}

// fetchUser calls FetchUser and says what kind of error it returns.
func (o *OAuth2) fetchUser(ctx context.Context, client *http.Client, with *provider.Tokens) (map[string]any, error) {
	claims, err := o.FetchUser(ContextWithToken(ctx, (*tokens)(with).bearer()), client)
	switch {
	case errors.As(err, new(*Error)):
		err = &provider.Error{Code: provider.CodeFetchUser, Err: err}
	case errors.Is(err, ErrUnavailable):
		err = &provider.Error{Code: provider.CodeUnavailable, Err: err}
	}
	return claims, err
}
