package core

import (
	"context"
	"errors"
	"fmt"
	"net/http"
)

// confidential reports whether this application proves itself by a secret.
func (p *Provider) confidential() bool { return p.ClientSecret != "" || p.Client.SecretFunc != nil }

// secret returns the client secret for one token request, or none for a public
// client. A secret that cannot be made never turns a client into a public one.
func (p *Provider) secret(ctx context.Context) (string, error) {
	if p.Client.SecretFunc == nil {
		return p.ClientSecret, nil
	}
	secret, err := p.Client.SecretFunc(ctx)
	if err == nil && secret == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return "", &Error{
			Status: http.StatusServiceUnavailable, Code: "client_secret_unavailable",
			Public: "You cannot be logged in at the moment. Please try again in a minute.",
			Err:    fmt.Errorf("%w: Client.SecretFunc: %w", ErrUnavailable, err),
		}
	}
	return secret, nil
}
