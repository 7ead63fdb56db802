package core

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"

	"github.com/pixyauth/pixy/core/internal/provider"
)

// ClientConfig configures how the application proves that it is the registered client, in
// every request that it makes itself: for pushed authorization requests, tokens, refreshes
// and revocation. The zero value uses [Provider.ClientSecret].
type ClientConfig struct {
	// SecretFunc returns the client secret for each request, for providers whose secret is
	// a signed token with a short life. Set either this or ClientSecret. It must be safe for
	// concurrent use. Its error is logged, must not contain the secret, and fails the login
	// with status 503.
	SecretFunc func(context.Context) (string, error) `json:"-"`

	// SigningKeys are the private keys of the client. The first one signs client assertions
	// (private_key_jwt, RFC 7523) and signed requests. [Config.KeysPath] publishes the
	// public parts of all. To replace a key, add the new one as the second everywhere, then
	// make it the first, and remove the old one when no process signs with it any more.
	// Nil: none.
	SigningKeys []SigningKey `json:"-"`

	// DecryptionKeys decrypt ID tokens, logout tokens, UserInfo and signed responses that the
	// provider encrypts to the client (RFC 7516). Each is an RSA key of at least 2048 bits as
	// [*rsa.PrivateKey] or [crypto.Decrypter], for RSA-OAEP-256 and RSA-OAEP, or an
	// [*ecdsa.PrivateKey] or [*ecdh.PrivateKey] on P-256, P-384 or P-521, for ECDH-ES,
	// ECDH-ES+A128KW and ECDH-ES+A256KW. The content is by A128GCM, A256GCM, A128CBC-HS256 or
	// A256CBC-HS512, and never compressed. Tokens that are not encrypted are accepted as
	// well, because their signature is verified in any case.
	//
	// A Decrypter may be a key in a KMS, and must be safe for concurrent use. Its error
	// [rsa.ErrDecryption] means that the token is not for this key. With another error, or
	// after ten seconds, the request fails with status 503.
	//
	// [Config.KeysPath] publishes the public parts, each with its JWK thumbprint (RFC 7638)
	// as kid. To replace a key, put the new one first, and keep the old one until the
	// provider has fetched the set. At most four keys are tried for a token whose kid is
	// unknown. A signing key cannot be a decryption key as well. Nil: encrypted tokens fail.
	DecryptionKeys []crypto.PrivateKey `json:"-"`

	// Certificate returns the client certificate for mutual TLS (RFC 8705), with its private
	// key. It authenticates the client if AuthMethod says so, and the tokens may be bound
	// to it; [Client] then presents it to APIs. It is called for each new connection, so a
	// renewed certificate needs no restart, and must be safe for concurrent use. An error
	// is an outage. The transport of [EndpointConfig.HTTPClient] or [Config.HTTPClient] must
	// then be nil or an [*http.Transport]. Nil: no certificate.
	Certificate func() (*tls.Certificate, error) `json:"-"`

	// AuthMethod is token_endpoint_auth_method of the registration (OpenID Connect Core
	// section 9, RFC 8705 section 2): client_secret_basic, client_secret_post,
	// client_secret_jwt, private_key_jwt, tls_client_auth or self_signed_tls_client_auth.
	// The first two are used whatever the metadata says. The others must be in the
	// metadata, if it lists methods. Empty: the first of private_key_jwt, tls_client_auth,
	// self_signed_tls_client_auth, client_secret_basic, client_secret_post and
	// client_secret_jwt for which there is a key, a certificate or a secret, and which the
	// metadata offers. If the metadata has no list, a client with a secret uses
	// client_secret_basic. The method is never found by trying.
	AuthMethod string

	// AssertionAudience is aud of the JWTs by which the client authenticates (private_key_jwt
	// and client_secret_jwt), an https URL. Set it for a provider that accepts only its token
	// endpoint, such as Microsoft Entra. Never set it to a URL of another provider, which
	// could then use the assertion. Empty: the issuer, which RFC 9126 and FAPI 2.0
	// demand.
	AssertionAudience string

	// DPoP binds tokens to a key (RFC 9449), so that a stolen token cannot be used without
	// it. Each request with a token has a proof, a new signature by ES256. [Client] and
	// [Authenticator.GrantClient] add it, and no other HTTP client can. The metadata must
	// offer ES256 in dpop_signing_alg_values_supported. A response with a bearer token is
	// refused.
	//
	// The key is derived from SessionKey, RedirectURL, Sessions.CookieName, Issuer and
	// ClientID. So it is the same on all replicas and after a restart.
	// Tokens that were bound to the key of a former SessionKey need it in
	// [SessionConfig.OldKeys]. Without it, the next refresh binds new tokens to the current
	// key. The provider refuses that refresh to a client that does not authenticate. False:
	// bearer tokens.
	DPoP bool
}

// SigningKey is a private key of the client. The zero value is not valid: New requires
// Signer. A SigningKey prints and logs without its key.
type SigningKey struct {
	// Signer signs: a private key, or a key in a KMS or an HSM. RSA keys have at least
	// 2048 bits, elliptic curve keys are on P-256, P-384 or P-521, or Ed25519. It must be
	// safe for concurrent use. If it fails, or takes more than ten seconds, the login fails
	// with status 503.
	Signer crypto.Signer `json:"-"`

	// KeyID is the key's kid at the provider. Empty: its JWK thumbprint (RFC 7638).
	KeyID string

	// Alg is the signature algorithm: RS256, RS384, RS512, PS256, PS384, PS512, ES256,
	// ES384, ES512 or EdDSA. Empty: that of the curve, or for an RSA key PS256, or RS256
	// if the metadata offers that and not PS256.
	Alg string

	// Certificate is a certificate for the key, for providers that find the key by it, such
	// as Microsoft Entra. Its SHA-256 thumbprint is then in the header of what the key
	// signs, as x5t#S256 (RFC 7515 section 4.1.8), and [Config.KeysPath] publishes it as x5c.
	// A certificate for another key is an error of New. Nil: none.
	Certificate *x509.Certificate
}

// LogValue leaves out the keys.
func (c ClientConfig) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("auth_method", c.AuthMethod),
		slog.Bool("secret_func", c.SecretFunc != nil),
		slog.Int("signing_keys", len(c.SigningKeys)),
		slog.Int("decryption_keys", len(c.DecryptionKeys)),
		slog.Bool("certificate", c.Certificate != nil),
		slog.Bool("dpop", c.DPoP),
	)
}

// Format prints what LogValue gives, whatever the verb.
func (c ClientConfig) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.LogValue().String()) }

// LogValue leaves out the private key.
func (k SigningKey) LogValue() slog.Value {
	return slog.GroupValue(slog.String("key_id", k.KeyID), slog.String("alg", k.Alg))
}

// Format prints what LogValue gives, whatever the verb.
func (k SigningKey) Format(f fmt.State, _ rune) { fmt.Fprint(f, k.LogValue().String()) }

// decryptionKeys returns the keys in the form that package provider takes.
func (c *ClientConfig) decryptionKeys() []*provider.DecryptionKey {
	keys := make([]*provider.DecryptionKey, len(c.DecryptionKeys))
	for i, key := range c.DecryptionKeys {
		keys[i], _ = provider.NewDecryptionKey(key) // New has checked it
	}
	return keys
}

// signingKeys returns the keys in the form that package provider takes.
func (c *ClientConfig) signingKeys() []*provider.SigningKey {
	keys := make([]*provider.SigningKey, len(c.SigningKeys))
	for i, key := range c.SigningKeys {
		keys[i], _ = key.forRoom() // New has checked it
	}
	return keys
}

// forRoom returns k in the form that package provider takes.
func (k *SigningKey) forRoom() (*provider.SigningKey, error) {
	key, err := provider.NewSigningKey(k.Signer, k.KeyID, k.Alg)
	if err == nil && k.Certificate != nil {
		err = key.Certify(k.Certificate)
	}
	return key, err
}
