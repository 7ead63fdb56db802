package provider

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core/internal/told"
)

const (
	assertionType     = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" // RFC 7523 section 2.2
	assertionLifetime = time.Minute
)

// secretAlgs are the algorithms of client_secret_jwt, the preferred one first, with the
// least length of a secret (RFC 7518 section 3.2).
var secretAlgs = []struct {
	alg   jose.SignatureAlgorithm
	least int // bytes
}{{jose.HS256, MinSecretJWT}, {jose.HS384, 48}, {jose.HS512, 64}}

// MinSecretJWT is the least length of a client secret for client_secret_jwt, in bytes.
const MinSecretJWT = 32

// assertionAlg returns the algorithm that signs client assertions. It is empty for other
// methods of authentication.
func (c *Config) assertionAlg(method string, announced []string) (jose.SignatureAlgorithm, error) {
	const field = "token_endpoint_auth_signing_alg_values_supported"
	switch method {
	case authPrivateKeyJWT:
		alg, err := c.SigningKeys[0].algorithm(field, announced)
		if err != nil {
			return "", badMetadata("discovery: %w", err)
		}
		return alg, nil
	case authSecretJWT:
		for _, by := range secretAlgs {
			if len(announced) == 0 || slices.Contains(announced, string(by.alg)) {
				return by.alg, nil
			}
		}
		return "", badMetadata("discovery: %s has %q, and client_secret_jwt signs by HS256, HS384 or HS512; use another Client.AuthMethod",
			field, told.Clip(strings.Join(announced, " ")))
	}
	return "", nil
}

// assertion returns a new JWT that authenticates the client in one request (RFC 7523
// section 3, OpenID Connect Core section 9). Its audience comes from the
// configuration and never from the metadata, so another provider cannot use it.
func (c *Config) assertion(ctx context.Context, m *metadata) (string, error) {
	now := c.Now()
	claims := map[string]any{
		"iss": c.ClientID, "sub": c.ClientID, "aud": c.assertionAudience(), "jti": rand.Text(),
		"iat": now.Unix(), "exp": now.Add(assertionLifetime).Unix(),
	}
	if m.authMethod == authPrivateKeyJWT {
		return c.SigningKeys[0].sign(ctx, m.assertionAlg, "JWT", claims)
	}
	secret, err := c.secret(ctx)
	if err != nil {
		return "", err
	}
	return signBySecret(m.assertionAlg, secret, claims)
}

// assertionAudience returns the audience of client assertions.
func (c *Config) assertionAudience() string {
	return cmp.Or(c.AssertionAudience, c.metadataIssuer())
}

// signBySecret returns a JWT that is signed by a client secret.
func signBySecret(alg jose.SignatureAlgorithm, secret string, claims map[string]any) (string, error) {
	for _, by := range secretAlgs {
		if by.alg == alg && len(secret) < by.least {
			return "", &Error{CodeCredential, fmt.Errorf("the client secret has %d bytes, and client_secret_jwt by %s needs %d", len(secret), alg, by.least)}
		}
	}
	cannot := &Error{CodeCredential, errors.New("the client secret cannot sign")}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", cannot
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: []byte(secret)}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", cannot
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", cannot
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		return "", cannot
	}
	return token, nil
}

// assert adds an assertion to form, in place of a former one.
func (c *Config) assert(ctx context.Context, m *metadata, form url.Values, proof *clientProof) error {
	assertion, err := c.assertion(ctx, m)
	if err != nil {
		return err
	}
	form.Set("client_id", c.ClientID)
	form.Set("client_assertion_type", assertionType)
	form.Set("client_assertion", assertion)
	proof.secrets = append(proof.secrets, assertion)
	return nil
}
