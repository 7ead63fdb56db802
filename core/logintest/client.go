package logintest

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Client is an application that is registered at a Provider. URIs are compared
// byte by byte.
//
// The fields from AuthMethod on make it a strong client: each adds a rule that
// the provider enforces. As soon as one client has such a field, the metadata
// announces what strong clients use.
type Client struct {
	ID                     string
	Secret                 string // empty: a public client, unless AuthMethod is set
	RedirectURIs           []string
	PostLogoutRedirectURIs []string

	// AllowURI reports whether a redirect URI or a post-logout redirect URI is
	// registered that is not in its list. Nil: the lists are complete.
	AllowURI func(uri string) bool

	// BackChannelLogoutURI is the URI to which the provider posts a logout
	// token when a session with a login of this client ends (OpenID Connect
	// Back-Channel Logout section 2.5). It is sent with Outbound. Empty: none.
	BackChannelLogoutURI string

	// FrontChannelLogoutURI is the URI that the provider's logout page then
	// opens in an iframe, with iss and sid (OpenID Connect Front-Channel Logout
	// section 2). Empty: none.
	FrontChannelLogoutURI string

	// AuthMethod is the only method by which the client can authenticate:
	// client_secret_basic, client_secret_post, client_secret_jwt,
	// private_key_jwt (OpenID Connect Core section 9), tls_client_auth,
	// self_signed_tls_client_auth (RFC 8705 section 2) or none. Empty:
	// client_secret_basic or client_secret_post with a Secret, or else none.
	AuthMethod string

	// Keys is the client's JWKS (RFC 7517 section 5), with public keys only. They
	// verify its assertions and request objects, and encrypt to it. Nil: the keys at KeysURI.
	Keys []byte

	// KeysURI is the address of the client's JWKS (jwks_uri). The provider reads
	// it with Outbound for each use, and caches nothing. Empty: none.
	KeysURI string

	// Certificates are the client's certificates. It authenticates over TLS with one
	// of them. They are compared as a whole, and their issuer is not verified. A
	// listener must ask for them (tls.RequestClientCert); connections in memory have
	// none. Nil: the client cannot authenticate over TLS.
	Certificates []*x509.Certificate

	// CertificateBound binds access tokens, and the refresh tokens of public
	// clients, to the certificate of the connection on which they were requested
	// (RFC 8705 sections 3 and 4). Without a certificate, token requests fail.
	CertificateBound bool

	// Scope is the scope that each authorization request must have. Empty: any.
	Scope string

	// AuthorizationDetailsTypes are the types that the client may ask for in
	// authorization_details (RFC 9396). What it asked for is in the token
	// response. Nil: authorization_details is refused.
	AuthorizationDetailsTypes []string

	// FAPI2 demands the FAPI 2.0 Security Profile of the client. It sets
	// RequirePAR, and DPoP without CertificateBound; it requires that AuthMethod is
	// private_key_jwt, tls_client_auth or self_signed_tls_client_auth; it limits
	// algorithms to PS256, ES256 and EdDSA, and signs with ES256 by default;
	// request objects need nbf; refresh tokens do not rotate. The provider then
	// publishes decoy keys with the same kid and another type.
	FAPI2 bool

	// RequirePAR makes the provider accept only authorization requests that the
	// client has pushed (RFC 9126). Their URL has client_id and request_uri, and
	// nothing else. False: pushed requests are accepted as well as others.
	RequirePAR bool

	// RequireSignedRequest makes the provider accept only authorization requests
	// in a request object that the client has signed (RFC 9101), pushed or in the
	// URL. False: request objects are accepted as well as others.
	RequireSignedRequest bool

	// RequireSignedResponse makes the provider refuse authorization requests
	// whose response_mode is not jwt, query.jwt or form_post.jwt (JARM). False:
	// these modes are accepted as well as others.
	RequireSignedResponse bool

	// SigningAlg signs ID tokens, encrypted UserInfo responses and authorization
	// responses: RS256, PS256, ES256 or EdDSA. Empty: RS256.
	SigningAlg string

	// EncryptIDToken and EncryptUserInfo encrypt ID tokens and UserInfo responses
	// to the first of Keys that fits, after they are signed (OpenID Connect Core
	// section 16.14). Zero: they are not encrypted.
	EncryptIDToken, EncryptUserInfo Encryption

	// DPoP makes the provider refuse token requests without a DPoP proof (RFC
	// 9449). False: a proof is verified if there is one, and binds the token.
	DPoP bool

	// DPoPNonces makes the provider demand nonces in DPoP proofs (RFC 9449
	// sections 8 and 9). The authorization server and each resource server have
	// their own. A nonce is accepted for one to two minutes.
	DPoPNonces bool
}

// registered returns the client as the provider keeps it. It panics if that
// cannot be, because tests write clients as literals.
func (c Client) registered() Client {
	if c.FAPI2 {
		c = c.underProfile()
	}
	if err := c.check(); err != nil {
		panic(fmt.Sprintf("logintest: client %q: %v", c.ID, err))
	}
	return c
}

func (c Client) check() error {
	secret := strings.HasPrefix(c.AuthMethod, "client_secret_")
	_, keysErr := parseKeys(c.Keys)
	switch {
	case c.AuthMethod != "" && !slices.Contains(authMethods, c.AuthMethod):
		return fmt.Errorf("AuthMethod must be one of %q", authMethods)
	case c.AuthMethod != "" && secret != (c.Secret != ""):
		return errors.New("field Secret: the methods client_secret_... need one, others have none")
	case c.Keys != nil && keysErr != nil:
		return fmt.Errorf("field Keys: %w", keysErr)
	case c.AuthMethod == methodKeyJWT && c.Keys == nil && c.KeysURI == "":
		return errors.New("private_key_jwt needs Keys or KeysURI")
	case c.usesCertificate() != (c.Certificates != nil):
		return errors.New("field Certificates: tls_client_auth and self_signed_tls_client_auth need them, others have none")
	case c.FAPI2 && c.AuthMethod != methodKeyJWT && !c.usesCertificate():
		return errors.New("field FAPI2: AuthMethod must be private_key_jwt, tls_client_auth or self_signed_tls_client_auth")
	case c.FAPI2 && c.SigningAlg == "RS256":
		return fmt.Errorf("FAPI2: SigningAlg must be one of %s", join(fapiAlgs))
	case !slices.Contains(signingAlgs, c.signingAlg()):
		return fmt.Errorf("SigningAlg must be one of %q", signingAlgs)
	}
	return errors.Join(c.EncryptIDToken.check(), c.EncryptUserInfo.check())
}

// public reports whether the client cannot authenticate.
func (c Client) public() bool {
	return c.AuthMethod == methodNone || c.AuthMethod == "" && c.Secret == ""
}

// strong reports whether the client has a rule that others do not have.
func (c Client) strong() bool {
	return c.AuthMethod != "" || c.RequirePAR || c.DPoP || c.DPoPNonces ||
		c.RequireSignedRequest || c.RequireSignedResponse || c.SigningAlg != "" ||
		c.EncryptIDToken != (Encryption{}) || c.EncryptUserInfo != (Encryption{}) ||
		c.CertificateBound || c.AuthorizationDetailsTypes != nil || c.Scope != ""
}

// signingAlg returns the algorithm of what the provider signs for the client.
func (c Client) signingAlg() string { return cmp.Or(c.SigningAlg, "RS256") }

// authMethods returns the methods with which the client may authenticate.
func (c Client) authMethods() []string {
	if c.AuthMethod == "" {
		return []string{methodBasic, methodPost, methodNone}
	}
	return []string{c.AuthMethod}
}
