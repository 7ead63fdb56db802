package provider

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/pixyauth/pixy/core/internal/told"
)

// The client authentication methods (OpenID Connect Core section 9, RFC 8705 section 2).
const (
	authNone          = "none"
	authSecretBasic   = "client_secret_basic"
	authSecretPost    = "client_secret_post"
	authSecretJWT     = "client_secret_jwt"
	authPrivateKeyJWT = "private_key_jwt"
	authTLS           = "tls_client_auth"
	authSelfSignedTLS = "self_signed_tls_client_auth"
)

// AuthMethods are the methods of a confidential client, in the order of preference.
var AuthMethods = []string{authPrivateKeyJWT, authTLS, authSelfSignedTLS, authSecretBasic, authSecretPost, authSecretJWT}

// authMethod returns how the client authenticates. It comes from the configuration and
// the metadata. It is never found by trying, because a code is sent only once.
func (c *Config) authMethod(announced []string) (string, error) {
	if c.AuthMethod != "" {
		announced = []string{c.AuthMethod}
	}
	switch {
	case c.Secret == nil: // a public client sends only its client_id (RFC 6749 section 3.2.1)
		return authNone, nil
	case len(announced) == 0, slices.Contains(announced, authSecretBasic):
		return authSecretBasic, nil // the default of Discovery section 3
	case slices.Contains(announced, authSecretPost):
		return authSecretPost, nil
	}
	return "", badMetadata(
		"discovery: the token endpoint accepts %q, and this library supports client_secret_basic and client_secret_post only",
		told.Clip(strings.Join(announced, " ")))
}

// A clientProof is what authenticates the client in one request, beyond the form.
type clientProof struct {
	method   string
	clientID string
	basic    string   // the Authorization header; empty: none
	secrets  []string // in the forms that they have in the request
}

// String describes the proof for the log, without a secret.
func (p *clientProof) String() string {
	text := fmt.Sprintf("client_id is %q, sent by method %s", told.Clip(p.clientID), p.method)
	if p.method == authNone {
		text += ": there is no ClientSecret"
	}
	return text
}

// authenticate adds client authentication to form. What has to be in a header is in the
// result.
func (g *codeGrant) authenticate(ctx context.Context, m *metadata, form url.Values) (*clientProof, error) {
	proof := &clientProof{method: m.authMethod, clientID: g.config.ClientID}
	switch m.authMethod {
	case authNone:
		form.Set("client_id", g.config.ClientID)
	case authSecretBasic, authSecretPost:
		secret, err := g.config.secret(ctx)
		if err != nil {
			return nil, err
		}
		credentials := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(g.config.ClientID) + ":" + url.QueryEscape(secret)))
		proof.secrets = []string{secret, credentials}
		if m.authMethod == authSecretBasic {
			proof.basic = "Basic " + credentials
			break
		}
		form.Set("client_id", g.config.ClientID)
		form.Set("client_secret", secret)
	}
	return proof, nil
}

// secret returns the client secret for one request. An error or an empty secret of a
// confidential client never makes it a public client.
func (c *Config) secret(ctx context.Context) (string, error) {
	secret, err := c.Secret(ctx)
	if err == nil && secret == "" {
		err = errors.New("the client secret is empty")
	}
	if err != nil {
		return "", &Error{CodeCredential, err}
	}
	return secret, nil
}
