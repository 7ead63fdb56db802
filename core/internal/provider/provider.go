package provider

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/pixyauth/pixy/core/internal/base64url"
)

// Provider is what an application needs of whoever knows its users. It is safe for
// concurrent use. Its errors are [*Error].
type Provider interface {
	// Discover makes sure that the provider's metadata is known.
	Discover(context.Context) error
	// Issues reports whether issuer is this provider, or a tenant of it that may log
	// in. It allocates nothing.
	Issues(issuer string) bool
	// AuthorizationURL is where the browser is sent to begin a login, with more
	// parameters than those of the configuration.
	AuthorizationURL(ctx context.Context, a Request, more url.Values) (string, error)
	// CheckIssuer compares the callback's iss parameters (RFC 9207).
	CheckIssuer(ctx context.Context, iss []string) error
	// Redeem trades a code for a user whom every check has found genuine.
	Redeem(ctx context.Context, code string, a Request) (*Identity, error)
	// Refresh trades the refresh token of a session of subject, whom issuer has let
	// in, for new tokens. The error's code tells a refusal from an outage.
	Refresh(ctx context.Context, held *Tokens, issuer, subject string) (*Tokens, error)
	// Revoke tells the provider that tokens are no longer needed, if it wants to
	// know.
	Revoke(ctx context.Context, held *Tokens) error
	// LogoutURL is where the browser is sent to end the provider's own session,
	// or "" if the provider offers no such place, or its metadata cannot be had.
	LogoutURL(ctx context.Context, idTokenHint, returnURL string) string
	// LogoutToken verifies a logout token, which says what claimed has.
	LogoutToken(ctx context.Context, raw string, claimed Claims) (*LogoutToken, error)
}

// Config is an application's registration with one provider. Nothing of it is
// checked here.
type Config struct {
	Issuer   string
	ClientID string

	// Secret makes the client secret for one request. Nil: a public client.
	Secret func(context.Context) (string, error)

	RedirectURL         string
	Scopes              []string
	AuthParams          url.Values
	FormPost            bool // the answer comes as a form
	UserInfo            bool // ask the UserInfo endpoint, too
	LogoutRedirectParam string
	TrustedAudiences    []string
	Tenants             []string // nil: Issuer is one issuer
	SigningAlg          string   // empty: what the metadata announces

	// TokenLifetime is that of an access token, if the provider does not say.
	TokenLifetime time.Duration

	OAuth2 *OAuth2 // nil: OpenID Connect

	Client *http.Client // as NewClient makes it
	Now    func() time.Time
	Log    *slog.Logger // nil: no log
}

// OAuth2 is for a provider without OpenID Connect.
type OAuth2 struct {
	AuthURL, TokenURL string // both empty: the metadata says
	AuthMethod        string

	// FetchUser asks who has logged in, with a client that sends the access token.
	// An [*Error] with CodeFetchUser is passed on as it is, one with CodeUnavailable
	// is an outage, and any other error means that the answer is no good.
	FetchUser func(ctx context.Context, client *http.Client, with *Tokens) (claims map[string]any, err error)
}

// Request is what one login asks a provider for.
type Request struct {
	State    string
	Nonce    string
	Verifier string
	MaxAge   string // max_age, in seconds; empty: none
	ACR      string // acr_values of which one is needed; empty: any will do
	Required bool   // MaxAge and ACR are the application's to demand, and not the operator's
	Begun    time.Time
}

// Challenge is the S256 code challenge (RFC 7636 section 4.2).
func (r Request) Challenge() string {
	sum := sha256.Sum256([]byte(r.Verifier))
	return base64url.Encode(sum[:])
}

// Identity is the outcome of a login.
type Identity struct {
	Issuer  string // of the tenant, if the provider has tenants
	Subject string
	SID     string // the provider's own session, if it tells
	IDToken string // the hint for logout
	Claims  Claims // all that the provider said
	Tokens  *Tokens
	Authentication
}

// New returns the Provider of a registration. It does not use the network.
func New(config Config) Provider {
	if config.OAuth2 != nil {
		return newOAuth2Provider(config)
	}
	return newOIDCProvider(config)
}
