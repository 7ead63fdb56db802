package core

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/pixyauth/pixy/core/internal/provider"
)

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

// confidential reports whether the client has a secret.
func (p *Provider) confidential() bool { return p.ClientSecret != "" || p.Client.SecretFunc != nil }
