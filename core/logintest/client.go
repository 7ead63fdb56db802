package logintest

import (
	"cmp"
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

	// AuthMethod is how the client must authenticate, and no other way:
	// client_secret_basic, client_secret_post, client_secret_jwt,
	// private_key_jwt (OpenID Connect Core section 9) or none. Empty:
	// client_secret_basic or client_secret_post with a Secret, or else none.
	AuthMethod string

	// Keys is the client's JWKS (RFC 7517 section 5), with public keys only. They
	// verify its assertions and request objects, and encrypt to it. Nil: the keys at KeysURI.
	Keys []byte

	// KeysURI is the address of the client's JWKS (jwks_uri). The provider reads
	// it with Outbound for each use, and caches nothing. Empty: none.
	KeysURI string

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
	methods := []string{"", methodBasic, methodPost, methodSecretJWT, methodKeyJWT, methodNone}
	if !slices.Contains(methods, c.AuthMethod) {
		panic(fmt.Sprintf("logintest: client %q: AuthMethod must be one of %q", c.ID, methods[1:]))
	}
	if needs := strings.HasPrefix(c.AuthMethod, "client_secret_"); c.AuthMethod != "" && needs != (c.Secret != "") {
		panic(fmt.Sprintf("logintest: client %q: Secret: the methods client_secret_... need one, others have none", c.ID))
	}
	if _, err := parseKeys(c.Keys); c.Keys != nil && err != nil {
		panic(fmt.Sprintf("logintest: client %q: Keys: %v", c.ID, err))
	}
	if c.AuthMethod == methodKeyJWT && c.Keys == nil && c.KeysURI == "" {
		panic(fmt.Sprintf("logintest: client %q: private_key_jwt needs Keys or KeysURI", c.ID))
	}
	if !slices.Contains(signingAlgs, cmp.Or(c.SigningAlg, signingAlgs[0])) {
		panic(fmt.Sprintf("logintest: client %q: SigningAlg must be one of %q", c.ID, signingAlgs))
	}
	for _, e := range []Encryption{c.EncryptIDToken, c.EncryptUserInfo} {
		if err := e.check(); err != nil {
			panic(fmt.Sprintf("logintest: client %q: %v", c.ID, err))
		}
	}
	return c
}

// public reports whether the client cannot authenticate.
func (c Client) public() bool {
	return c.AuthMethod == methodNone || c.AuthMethod == "" && c.Secret == ""
}

// strong reports whether the client has a rule that others do not have.
func (c Client) strong() bool {
	return c.AuthMethod != "" || c.RequirePAR || c.DPoP || c.DPoPNonces ||
		c.RequireSignedRequest || c.RequireSignedResponse || c.SigningAlg != "" ||
		c.EncryptIDToken != (Encryption{}) || c.EncryptUserInfo != (Encryption{})
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
