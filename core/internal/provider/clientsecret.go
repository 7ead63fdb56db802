package provider

import (
	"context"
	"errors"
)

// secret returns the client secret for one request, or "" for a public client. An error
// or an empty secret of a confidential client never makes it a public client.
func (c *Config) secret(ctx context.Context) (string, error) {
	if c.Secret == nil {
		return "", nil
	}
	secret, err := c.Secret(ctx)
	if err == nil && secret == "" {
		err = errors.New("the client secret is empty")
	}
	if err != nil {
		return "", &Error{CodeSecret, err}
	}
	return secret, nil
}
