package core

import (
	"context"
	"errors"
	"net/http"
	"path"
	"sync/atomic"
	"time"

	"github.com/pixyauth/pixy/core/internal/provider"
)

// A registration is what this application has with one provider: a client id,
// and a callback of its own (RFC 9700 section 4.4.2).
type registration struct {
	provider     provider.Provider
	config       Provider
	callbackPath string

	// id is what attempts and logout hints are bound to: whoever changes a
	// provider or a client in a rolling deployment gets no answer meant for the
	// former.
	id string

	toldNoHint atomic.Bool // that ID tokens are too large; see logoutHints
	outage     outage
}

// registrations are all of them, in the order of Config.Providers.
type registrations []*registration

// register makes them. With several providers, each one's callback ends in its
// name.
func register(config Config, callbackPath string, now func() time.Time) registrations {
	all := make(registrations, len(config.Providers))
	client := provider.NewClient(config.HTTPClient)
	for i, p := range config.Providers {
		redirectURL, callbackPath := config.RedirectURL, callbackPath
		if len(all) > 1 {
			redirectURL += "/" + p.Name
			callbackPath += "/" + p.Name
		}
		all[i] = &registration{
			config: p, callbackPath: callbackPath, id: p.ClientID + " " + p.Issuer,
			provider: provider.New(provider.Config{
				Issuer: p.Issuer, ClientID: p.ClientID, Secret: p.secret(), RedirectURL: redirectURL,
				Scopes: p.Scopes, AuthParams: p.Requests.AuthParams, FormPost: p.Requests.FormPost,
				UserInfo: p.Requests.UserInfo, LogoutRedirectParam: p.Requests.LogoutRedirectParam,
				TrustedAudiences: p.Checks.TrustedAudiences, Tenants: p.Checks.Tenants, SigningAlg: p.Checks.SigningAlg,
				TokenLifetime: config.Tokens.Lifetime, OAuth2: p.OAuth2.forRoom(), Client: client, Now: now,
				Log: config.Logger.With("provider", p.Name, "issuer", p.Issuer),
			}),
		}
	}
	return all
}

// find returns the first one that is so, or nil.
func (all registrations) find(so func(*registration) bool) *registration {
	for _, r := range all {
		if so(r) {
			return r
		}
	}
	return nil
}

// named returns the one with a name, or nil.
func (all registrations) named(name string) *registration {
	return all.find(func(r *registration) bool { return r.config.Name == name })
}

// of returns the one whose provider let a user in, or nil if there is none any more.
func (all registrations) of(issuer, client string) *registration {
	return all.find(func(r *registration) bool { return r.issues(issuer) && r.config.ClientID == client })
}

// issuing returns the one that is issuer, or has it as a tenant, or nil.
func (all registrations) issuing(issuer string) *registration {
	return all.find(func(r *registration) bool { return r.issues(issuer) })
}

// issuedBy is issuing for OpenID providers alone.
func (all registrations) issuedBy(issuer string) *registration {
	return all.find(func(r *registration) bool { return r.config.OAuth2 == nil && r.issues(issuer) })
}

// withID returns the one that an attempt is bound to, or nil.
func (all registrations) withID(id string) *registration {
	return all.find(func(r *registration) bool { return r.id == id })
}

// calledBack returns the one whose callback a request is for. Several differ in
// the last segment of the path, which is the provider's name; what comes before
// it, a router may have taken away.
func (all registrations) calledBack(r *http.Request) *registration {
	if len(all) == 1 {
		return all[0]
	}
	return all.named(path.Base(r.URL.Path))
}

func (all registrations) discover(ctx context.Context) error {
	var failures []error
	for _, r := range all {
		if err := r.discover(ctx); err != nil {
			failures = append(failures, err)
		}
	}
	if len(failures) == 1 {
		return failures[0]
	}
	return errors.Join(failures...)
}
