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
	configured := c.AuthMethod
	switch {
	case configured != "" && !c.canUse(configured): // a secret that is not set, in development
		return authNone, nil
	case configured == authSecretBasic, configured == authSecretPost:
		return configured, nil // replaces what the metadata says
	case configured != "" && (len(announced) == 0 || slices.Contains(announced, configured)):
		return configured, nil
	case configured != "":
		return "", badMetadata("discovery: token_endpoint_auth_methods_supported has %q, and Client.AuthMethod is %s; use a method that the provider offers",
			told.Clip(strings.Join(announced, " ")), configured)
	}
	var possible []string
	for _, method := range AuthMethods {
		if c.canUse(method) {
			possible = append(possible, method)
		}
	}
	if len(announced) == 0 { // the default of Discovery section 3, if there is a secret
		announced = []string{authSecretBasic}
		if c.Secret == nil {
			announced = possible
		}
	}
	for _, method := range possible {
		if slices.Contains(announced, method) {
			return method, nil
		}
	}
	if len(possible) == 0 || c.mayBePublic() && slices.Contains(announced, authNone) {
		return authNone, nil // a public client sends only its client_id (RFC 6749 section 3.2.1)
	}
	return "", badMetadata("discovery: token_endpoint_auth_methods_supported has %q, and this client can use %q; configure what the provider offers",
		told.Clip(strings.Join(announced, " ")), possible)
}

// canUse reports whether the configuration has what an authentication method needs.
func (c *Config) canUse(method string) bool {
	switch method {
	case authPrivateKeyJWT:
		return len(c.SigningKeys) > 0
	case authTLS, authSelfSignedTLS:
		return c.Certificate != nil
	}
	return c.Secret != nil
}

// mayBePublic reports whether everything that could authenticate the client has another
// use as well: a key signs requests, and tokens are bound to a certificate.
func (c *Config) mayBePublic() bool {
	return c.Secret == nil && (len(c.SigningKeys) == 0 || c.SignedRequest)
}

// A clientProof is what authenticates the client in one request, beyond the form.
type clientProof struct {
	method   string
	clientID string
	check    string   // what to compare with the registration, for the log
	basic    string   // the Authorization header; empty: none
	secrets  []string // in the forms that they have in the request
}

// String describes the proof for the log, without a secret.
func (p *clientProof) String() string {
	text := fmt.Sprintf("client_id is %q, sent by method %s", told.Clip(p.clientID), p.method)
	if p.check != "" {
		text += ": " + p.check
	}
	return text
}

// authenticate adds client authentication to form. What has to be in a header is in the
// result. Each request needs a new one, because an assertion may be used once only.
func (g *codeGrant) authenticate(ctx context.Context, m *metadata, form url.Values) (*clientProof, error) {
	c := &g.config
	proof := &clientProof{method: m.authMethod, clientID: c.ClientID}
	switch m.authMethod {
	case authNone:
		proof.check = "there is no ClientSecret"
		form.Set("client_id", c.ClientID)
	case authTLS, authSelfSignedTLS: // the certificate is in the connection; see mtls.go
		proof.check = "check that the provider knows the certificate, and that this endpoint asks for one"
		form.Set("client_id", c.ClientID)
	case authPrivateKeyJWT:
		proof.check = fmt.Sprintf("check that the key with kid %q is registered there, for %s, and that the audience %q is the provider",
			told.Clip(c.SigningKeys[0].public.KeyID), m.assertionAlg, told.Clip(c.assertionAudience()))
		return proof, c.assert(ctx, m, form, proof)
	case authSecretJWT:
		proof.check = fmt.Sprintf("check the secret, that the client is registered for %s, and that the audience %q is the provider",
			m.assertionAlg, told.Clip(c.assertionAudience()))
		return proof, c.assert(ctx, m, form, proof)
	case authSecretBasic, authSecretPost:
		secret, err := c.secret(ctx)
		if err != nil {
			return nil, err
		}
		credentials := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(c.ClientID) + ":" + url.QueryEscape(secret)))
		proof.secrets = []string{secret, credentials}
		if m.authMethod == authSecretBasic {
			proof.basic = "Basic " + credentials
			break
		}
		form.Set("client_id", c.ClientID)
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
