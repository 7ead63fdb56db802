package core

import (
	"context"
	"errors"
	"fmt"
)

// A binding ties a session or a grant to its provider. It names the provider for logs,
// events and links without asking Lookup.Find. [Authenticator.bound] asks.
type binding struct {
	at     *registration // nil: of a looked-up provider, which has not been asked for
	name   string        // of the provider
	client string        // client id; empty: any
	issuer string        // of the user
}

// binding returns what ties s to its provider.
func (s *session) binding() binding {
	return binding{at: s.registration, name: s.user.Provider, client: s.client, issuer: s.user.Issuer}
}

// binding returns what ties the sessions of any user to r.
func (r *registration) binding() binding {
	return binding{at: r, name: r.config.Name, client: r.config.ClientID}
}

// id identifies the registration in keys. The id of a listed registration is not known
// without it; the name of a looked-up one never changes.
func (b binding) id() string {
	if b.at != nil && !b.at.lookedUp {
		return b.at.id
	}
	return b.name // has no space, unlike an id
}

// share is the name of the provider's share in bounded memory.
func (b binding) share() string {
	if b.at != nil {
		return b.at.lookupName()
	}
	return b.name
}

// errGone means that the provider of a session or grant is gone, or is another one now.
var errGone = errors.New("the provider is gone, or has another Issuer or ClientID now, so its former sessions and grants are over; if that is wrong, check what Lookup.Find returns")

// bound returns the registration that b is bound to. It asks Lookup.Find, unless b has
// it. The error wraps errGone if there is none, or if its issuer or client is another:
// tokens of one customer never get to the provider of another that took over the name.
func (a *Authenticator) bound(ctx context.Context, b binding) (*registration, error) {
	if b.at != nil {
		return b.at, nil
	}
	at, err := a.named(ctx, b.name)
	if err != nil {
		return nil, b.failed(err)
	}
	if at == nil || !at.issues(b.issuer) || b.client != "" && at.config.ClientID != b.client {
		return nil, b.failed(fail(codeUnknownName, fmt.Errorf("%q: %w", b.name, errGone)))
	}
	return at, nil
}

// failed returns err as a failure that concerns the provider of b.
func (b binding) failed(err error) *Error {
	failure := asError(err)
	if failure.from == nil {
		failure.from, failure.provider = b.at, b.name
	}
	if failure.issuer == "" {
		failure.issuer = b.issuer
	}
	return failure
}
