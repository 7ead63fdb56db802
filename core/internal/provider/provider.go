package provider

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/pixyauth/pixy/core/internal/base64url"
)

// Provider makes the requests of an application to one provider. It is safe for
// concurrent use. Its errors are [*Error].
type Provider interface {
	// Discover fetches the provider's metadata, unless it is known already.
	Discover(context.Context) error
	// Issues reports whether issuer is this provider, or a tenant of it that may log
	// in. It allocates nothing.
	Issues(issuer string) bool
	// AuthorizationURL returns the URL that begins a login in the browser. The
	// parameters in more are added to those of the configuration, and replace them.
	AuthorizationURL(ctx context.Context, a Request, more url.Values) (string, error)
	// Open returns the content of a token that is encrypted to the client, and any other
	// token as it is. The content may come from anyone. Of tokens from anonymous requests,
	// it decrypts only a few at a time.
	Open(ctx context.Context, token string) (string, error)
	// Answer checks that a callback's query is this provider's, and returns the
	// parameters of the authorization response.
	Answer(ctx context.Context, query url.Values) (url.Values, error)
	// Redeem exchanges a code for the identity of the user, and makes all checks.
	Redeem(ctx context.Context, code string, a Request) (*Identity, error)
	// Refresh exchanges the refresh token in held for new tokens. A new ID token must
	// be about issuer and subject. The error's code tells a refusal from an outage.
	Refresh(ctx context.Context, held *Tokens, issuer, subject string) (*Tokens, error)
	// Revoke revokes tokens at the provider. It does nothing if the provider has no
	// revocation endpoint.
	Revoke(ctx context.Context, held *Tokens) error
	// LogoutURL returns the URL that ends the session at the provider. It returns ""
	// if the provider has no such endpoint, or if its metadata is unavailable.
	LogoutURL(ctx context.Context, idTokenHint, returnURL string) string
	// LogoutToken verifies a logout token. claimed are its claims from [ClaimedBy].
	LogoutToken(ctx context.Context, raw string, claimed Claims) (*LogoutToken, error)
	// Holds reports whether an access token can be used that is bound to the key with
	// this thumbprint (RFC 9449). Bearer tokens have none.
	Holds(thumbprint string) bool
	// Call sends a request for a resource with an access token, as a
	// [http.RoundTripper] does. The thumbprint is that of the token's key. It may
	// change r.
	Call(base http.RoundTripper, r *http.Request, access, thumbprint string) (*http.Response, error)
}

// Config is an application's registration with one provider. This package does not
// check it.
type Config struct {
	Issuer   string
	ClientID string

	// Secret returns the client secret for one request. Nil means a public client.
	Secret func(context.Context) (string, error)

	RedirectURL         string
	Scopes              []string
	AuthParams          url.Values
	FormPost            bool // the authorization response is a form
	UserInfo            bool // also ask the UserInfo endpoint
	LogoutRedirectParam string
	TrustedAudiences    []string
	Tenants             []string // nil: Issuer is one issuer
	SigningAlg          string   // empty: those that the metadata announces

	PAR            bool // even if the provider does not require it
	SignedRequest  bool
	SignedResponse bool
	FAPI2          bool
	NeedsIss       bool // responses must have iss (RFC 9207), because other providers have the same RedirectURL

	AuthorizationDetails string

	SigningKeys    []*SigningKey // the first one signs
	DecryptionKeys []*DecryptionKey
	Certificate    func() (*tls.Certificate, error)
	ProofKeys      []*ProofKey // for DPoP, the current one first; nil: bearer tokens

	AssertionAudience string // empty: the issuer

	// TokenLifetime is the assumed lifetime of an access token, if the provider does
	// not send one.
	TokenLifetime time.Duration

	Endpoints
	PlainHTTP  PlainHTTP // of endpoints
	PublicOnly bool      // Client is from NewPublicClient, and the metadata is checked for that
	AuthMethod string    // empty: as the metadata says

	// FetchUser fetches the claims of the user, with a client that sends the access
	// token. An [*Error] with CodeFetchUser is returned unchanged. An [*Error] with
	// CodeUnavailable or a failed connection is an outage. Any other error is a
	// failed check of the response. Nil: OpenID Connect.
	FetchUser func(ctx context.Context, client *http.Client, with *Tokens) (claims map[string]any, err error)

	Client    *http.Client // from NewClient or NewPublicClient
	certified *http.Client // Client with Certificate; nil: there is none
	Now       func() time.Time
	Log       *slog.Logger // nil: no log
}

// Request is the authorization request of one login.
type Request struct {
	State    string
	Nonce    string
	Verifier string
	Key      string // thumbprint of the DPoP key for the tokens; empty: the current one, if any
	MaxAge   string // max_age, in seconds; empty: none
	ACR      string // acr_values, one of which is required; empty: any
	Required bool   // MaxAge and ACR come from a Requirement of the application, not from AuthParams
	Begun    time.Time

	// RedirectURL replaces that of the Config. Empty: that of the Config.
	RedirectURL string
}

// Challenge returns the S256 code challenge (RFC 7636 section 4.2).
func (r Request) Challenge() string {
	sum := sha256.Sum256([]byte(r.Verifier))
	return base64url.Encode(sum[:])
}

// Identity is the result of a login.
type Identity struct {
	Issuer  string // of the tenant, if the provider has tenants
	Subject string
	SID     string // id of the session at the provider, if known
	IDToken string // the hint for logout
	Claims  Claims // all claims of the ID token, UserInfo or FetchUser
	Tokens  *Tokens
	Authentication
}

// New returns the Provider of a registration. It does not use the network.
func New(config Config) Provider {
	if config.FAPI2 {
		config.Client = withFAPITLS(config.Client)
		config.Certificate = fapiCertificate(config.Certificate)
	}
	config.certified = withCertificate(config.Client, config.Certificate)
	if config.FetchUser != nil {
		return newOAuth2Provider(config)
	}
	return newOIDCProvider(config)
}
