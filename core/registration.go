package core

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pixyauth/pixy/core/internal/provider"
)

// A registration is the registration of this application with one provider. Each has
// its own client id and its own callback (RFC 9700 section 4.4.2).
type registration struct {
	provider     provider.Provider
	config       Provider
	lookedUp     bool // by Lookup.Find, and not listed in Config.Providers
	callbackPath string

	// live is the latest answer of Lookup.Find. Its secrets and functions are used, so that
	// new ones need no new registration. For a listed provider, it is config.
	live atomic.Pointer[Provider]

	// id binds attempts and logout hints to the registration. If a rolling deployment
	// changes the provider or the client, responses for the old one are not accepted.
	id string

	keySet   func() ([]byte, error) // see registrations.keySet
	usersKey string                 // revokes all sessions of the provider's users, if it is listed
	key      string                 // thumbprint of the current DPoP key; empty: bearer tokens

	// strong replaces usual, the transport of the Config, for APIs: it presents
	// Client.Certificate, and with FAPI2 it has the profile's TLS. Nil: usual will do.
	strong, usual http.RoundTripper

	toldNoHint atomic.Bool // whether the log says that ID tokens are too large; see logoutHints
	outage     outage
}

// registrations are all registrations, in the order of Config.Providers.
type registrations []*registration

// A registrar makes registrations.
type registrar struct {
	config *Config
	now    func() time.Time
	dial   provider.Dial // for guarded clients; nil: that of the machine

	// The clients for providers without a client of their own: the usual one, and that with
	// the network guard, which all guarded providers share.
	client *http.Client
	public func() (*http.Client, error)
}

func newRegistrar(config *Config, now func() time.Time, dial provider.Dial) *registrar {
	return &registrar{
		config: config, now: now, dial: dial, client: provider.NewClient(config.HTTPClient),
		public: sync.OnceValues(func() (*http.Client, error) { return provider.NewPublicClient(config.HTTPClient, dial) }),
	}
}

// clientFor returns the client for a provider at these endpoints.
func (m *registrar) clientFor(e *EndpointConfig) (*http.Client, error) {
	switch {
	case e.PublicOnly && e.HTTPClient == nil:
		return m.public()
	case e.PublicOnly:
		return provider.NewPublicClient(e.HTTPClient, m.dial)
	case e.HTTPClient == nil:
		return m.client, nil
	}
	return provider.NewClient(e.HTTPClient), nil
}

// register makes the registrations of the listed providers, which are complete.
func (m *registrar) register() (registrations, error) {
	all := make(registrations, len(m.config.Providers))
	for i, p := range m.config.Providers {
		at, err := m.registration(p, p.ClientID+" "+p.Issuer, false)
		if err != nil {
			return nil, err
		}
		all[i] = at
	}
	return all, nil
}

// lookedUp makes the registration of an answer of Lookup.Find.
func (m *registrar) lookedUp(name string, found Provider) (*registration, error) {
	p, err := m.config.completeLookedUp(name, found)
	if err != nil {
		return nil, err
	}
	at, err := m.registration(p, p.ClientID+" "+p.Issuer+" "+name, true)
	if err != nil {
		return nil, err
	}
	m.config.warnOfPlainProvider(&p)
	return at, nil
}

// registration makes the registration of a provider, which is complete.
func (m *registrar) registration(p Provider, id string, lookedUp bool) (*registration, error) {
	config := m.config
	client, err := m.clientFor(&p.Endpoints)
	if err != nil {
		return nil, err
	}
	at := &registration{config: p, lookedUp: lookedUp, callbackPath: urlPath(p.RedirectURL), id: id, usersKey: opaqueKey("provider", id)}
	at.live.Store(&at.config)
	at.keySet = sync.OnceValues(registrations{at}.keySet)
	var keys []*provider.ProofKey
	if p.Client.DPoP {
		if keys, err = config.keyring().proofKeys(p.ClientID + " " + p.Issuer); err != nil {
			return nil, err
		}
		at.key = keys[0].Thumbprint
	}
	at.usual = transportOf(config.HTTPClient)
	if at.strong, err = provider.StrongTransport(at.usual, p.FAPI2, at.certificate()); err != nil {
		return nil, err
	}
	at.provider = provider.New(provider.Config{
		Issuer: p.Issuer, ClientID: p.ClientID, Secret: at.secret(), RedirectURL: p.RedirectURL,
		Scopes: p.Scopes, AuthParams: p.Requests.AuthParams, FormPost: p.Requests.FormPost,
		UserInfo: p.Requests.UserInfo, LogoutRedirectParam: p.Requests.LogoutRedirectParam,
		TrustedAudiences: p.Checks.TrustedAudiences, Tenants: p.Checks.Tenants, SigningAlg: p.Checks.SigningAlg,
		Endpoints: p.Endpoints.forRoom(), PlainHTTP: p.plainHTTP(config.RedirectURL), PublicOnly: p.Endpoints.PublicOnly, AuthMethod: p.Client.AuthMethod, FetchUser: at.fetcher(),
		PAR: p.Requests.PAR, SignedRequest: p.Requests.SignedRequest, SignedResponse: p.Requests.SignedResponse,
		AuthorizationDetails: p.Requests.AuthorizationDetails, FAPI2: p.FAPI2, NeedsIss: lookedUp && config.needsIss(&p),
		SigningKeys: p.Client.signingKeys(), DecryptionKeys: p.Client.decryptionKeys(),
		Certificate: at.certificate(), AssertionAudience: p.Client.AssertionAudience, ProofKeys: keys,
		TokenLifetime: config.Tokens.Lifetime, Client: client, Now: m.now,
		Log: config.Logger.With("provider", p.Name, "issuer", p.Issuer),
	})
	return at, nil
}

// find returns the first registration for which so returns true, or nil.
func (all registrations) find(so func(*registration) bool) *registration {
	for _, r := range all {
		if so(r) {
			return r
		}
	}
	return nil
}

// named returns the registration with a name, or nil.
func (all registrations) named(name string) *registration {
	return all.find(func(r *registration) bool { return r.config.Name == name })
}

// of returns the registration of issuer and client, or nil if it is not configured.
func (all registrations) of(issuer, client string) *registration {
	return all.find(func(r *registration) bool { return r.issues(issuer) && r.config.ClientID == client })
}

// issuing returns the registration whose provider is issuer, or has it as a tenant, or
// nil.
func (all registrations) issuing(issuer string) *registration {
	return all.find(func(r *registration) bool { return r.issues(issuer) })
}

// issuedBy is issuing for OpenID providers only.
func (all registrations) issuedBy(issuer string) *registration {
	return all.find(func(r *registration) bool { return r.config.FetchUser == nil && r.issues(issuer) })
}

// withID returns the registration that an attempt is bound to, or nil.
func (all registrations) withID(id string) *registration {
	return all.find(func(r *registration) bool { return r.id == id })
}

// calledBack returns the registration whose callback path is, or nil. A router may have
// removed the first segments of the path, so the rest of a callback's path is enough if no
// other callback ends so. An only provider may be called back anywhere, because an
// application can mount [Authenticator.Callback] where it likes.
func (all registrations) calledBack(path string) *registration {
	if len(all) == 1 {
		return all[0]
	}
	if exact := all.find(func(at *registration) bool { return at.callbackPath == path }); exact != nil {
		return exact
	}
	if !strings.HasPrefix(path, "/") {
		return nil
	}
	var found *registration
	for _, at := range all {
		if strings.HasSuffix(at.callbackPath, path) {
			if found != nil {
				return nil
			}
			found = at
		}
	}
	return found
}

// sealedName returns the name of a looked-up provider, as attempts and sessions have it,
// and an empty string for a listed one.
func (r *registration) sealedName() string {
	if r.lookedUp {
		return r.config.Name
	}
	return ""
}

// discover returns an error for each provider that cannot be used.
func (all registrations) discover(ctx context.Context) (failures []error) {
	for _, r := range all {
		if err := r.discover(ctx); err != nil {
			failures = append(failures, err)
		}
	}
	return failures
}

// The following methods call the provider of a registration. Each error is an [*Error]
// with the registration that it came from.

func (r *registration) discover(ctx context.Context) error {
	return r.failure(r.provider.Discover(ctx))
}

// issues reports whether the provider is issuer, or has it as a tenant.
func (r *registration) issues(issuer string) bool { return r.provider.Issues(issuer) }

// open returns the content of a token that is encrypted to the client, and any other as it
// is. The error is an [*Error] only if the keys are unavailable.
func (r *registration) open(ctx context.Context, token string) (string, error) {
	text, err := r.provider.Open(ctx, token)
	return text, r.failure(err)
}

func (r *registration) answer(ctx context.Context, query url.Values) (url.Values, error) {
	answer, err := r.provider.Answer(ctx, query)
	return answer, r.failure(err)
}

func (r *registration) authorizationURL(ctx context.Context, a *attempt, more url.Values) (string, error) {
	to, err := r.provider.AuthorizationURL(ctx, a.request(), more)
	return to, r.failure(err)
}

func (r *registration) redeem(ctx context.Context, code string, a *attempt) (*provider.Identity, error) {
	who, err := r.provider.Redeem(ctx, code, a.request())
	if err != nil {
		return nil, r.failure(err)
	}
	who.Tokens.Strong = r.strong != nil
	return who, nil
}

func (r *registration) refresh(ctx context.Context, held *tokens, issuer, subject string) (*tokens, error) {
	fresh, err := r.provider.Refresh(ctx, (*provider.Tokens)(held), issuer, subject)
	if err != nil {
		return nil, r.failure(err)
	}
	fresh.Strong = r.strong != nil
	return (*tokens)(fresh), nil
}

func (r *registration) revoke(ctx context.Context, held *tokens) error {
	return r.failure(r.provider.Revoke(ctx, (*provider.Tokens)(held)))
}

func (r *registration) logoutURL(ctx context.Context, idTokenHint, returnURL string) string {
	return r.provider.LogoutURL(ctx, idTokenHint, returnURL)
}

func (r *registration) logoutToken(ctx context.Context, raw string, claimed provider.Claims) (*provider.LogoutToken, error) {
	token, err := r.provider.LogoutToken(ctx, raw, claimed)
	return token, r.failure(err)
}

// failure converts an error of the provider to an [*Error]. If FetchUser returned an
// *Error, failure copies that one.
func (r *registration) failure(err error) error {
	if err == nil {
		return nil
	}
	said := new(provider.Error)
	if !errors.As(err, &said) {
		return err
	}
	failure := new(Error)
	if own := new(Error); errors.As(err, &own) {
		*failure = *own
	} else {
		cause := said.Err
		if reported := new(provider.Reported); errors.As(cause, &reported) {
			cause = reportedError{cause, (*ProviderError)(reported)}
		}
		failure = fail(said.Code, cause)
	}
	failure.from = r
	return failure
}

// confidential reports whether the client has a secret.
func (p *Provider) confidential() bool { return p.ClientSecret != "" || p.Client.SecretFunc != nil }

// secret returns a function that returns the latest client secret, or nil for a public
// client.
func (r *registration) secret() func(context.Context) (string, error) {
	if !r.config.confidential() {
		return nil
	}
	return func(ctx context.Context) (string, error) {
		p := r.live.Load()
		if p.Client.SecretFunc == nil {
			return p.ClientSecret, nil
		}
		secret, err := p.Client.SecretFunc(ctx)
		if err == nil && secret == "" {
			err = errors.New("the secret is empty")
		}
		if err != nil {
			return "", fmt.Errorf("Client.SecretFunc: %w", err)
		}
		return secret, nil
	}
}

// certificate returns a function that returns the latest client certificate, or nil if
// there is none.
func (r *registration) certificate() func() (*tls.Certificate, error) {
	if r.config.Client.Certificate == nil {
		return nil
	}
	return func() (*tls.Certificate, error) { return r.live.Load().Client.Certificate() }
}

// forRoom returns e in the form that package provider takes.
func (e *EndpointConfig) forRoom() provider.Endpoints {
	room := provider.Endpoints{
		InternalURL: e.InternalURL, MetadataURL: e.MetadataURL, AuthURL: e.AuthURL, TokenURL: e.TokenURL,
		UserInfoURL: e.UserInfoURL, EndSessionURL: e.EndSessionURL, RevocationURL: e.RevocationURL, PARURL: e.PARURL, KeysURL: e.KeysURL,
	}
	if e.Keys != nil {
		room.Keys, _ = provider.ReadKeys(e.Keys) // New has checked it
	}
	return room
}

// fetcher returns FetchUser in the form that package provider takes. It marks the kind of
// error that FetchUser returns.
func (r *registration) fetcher() func(context.Context, *http.Client, *provider.Tokens) (map[string]any, error) {
	if r.config.FetchUser == nil {
		return nil
	}
	return func(ctx context.Context, client *http.Client, with *provider.Tokens) (map[string]any, error) {
		claims, err := r.live.Load().FetchUser(contextWithTokens(ctx, r, (*tokens)(with)), client)
		switch {
		case errors.As(err, new(*Error)):
			err = &provider.Error{Code: provider.CodeFetchUser, Err: err}
		case errors.Is(err, ErrUnavailable):
			err = &provider.Error{Code: provider.CodeUnavailable, Err: err}
		}
		return claims, err
	}
}
