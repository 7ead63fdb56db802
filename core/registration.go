package core

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

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
	logouts    pace // logout tokens of a looked-up provider
}

// registrations are all registrations, in the order of Config.Providers.
type registrations []*registration

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

// lookupName returns the name of a looked-up provider, as attempts, sessions and shares of
// memory have it, and an empty string for a listed one.
func (r *registration) lookupName() string {
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
