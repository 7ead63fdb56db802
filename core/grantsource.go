package core

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"golang.org/x/oauth2"

	"github.com/pixyauth/pixy/core/internal/told"
)

// saveTimeout limits the context of one call of a GrantSource's save.
const saveTimeout = 10 * time.Second

// GrantSource returns a source of the access tokens of a grant, for calls to an API while
// the user is away. It is safe for concurrent use. Create one for each grant and job, with
// the grant that the application has stored last.
//
// Token returns the access token while it is fresh, without the network. Otherwise it
// refreshes the grant as [Authenticator.RefreshGrant] does, calls save with the new grant,
// and then returns the new token. It never returns the refresh token. A grant whose expiry
// is unknown is fresh until its RefreshDue, or always if that is zero.
//
// save stores the new grant in place of the old one. It is called once for each new grant,
// and one call at a time. Its context has a timeout of 10 seconds, and is not canceled with
// ctx. If save fails, Token returns its error, and the next Token calls save again, without
// another refresh. Jobs in several processes may save for the same user: then keep the
// grant with the later Token.Expiry. If save is nil, Token always fails.
//
// With [ClientConfig.DPoP], APIs accept the token only with a proof, which
// [Authenticator.GrantClient] adds.
//
// ctx limits how long Token waits. A refresh that was sent goes on, and save is called
// nevertheless, so that no refresh token is lost.
//
// The errors are those of RefreshGrant, and a failed save has status 500. An outage is an
// error only if the access token has expired. Each error is logged once.
func (a *Authenticator) GrantSource(ctx context.Context, grant Grant, save func(context.Context, Grant) error) oauth2.TokenSource {
	return &grantSource{auth: a, ctx: ctx, grant: grant, save: save}
}

// GrantClient returns an HTTP client that calls APIs with the tokens of a grant, while the
// user is away. hosts are those of [Client], and grant and save those of
// [Authenticator.GrantSource]: without hosts, or with a nil save, each request fails. The
// client adds DPoP proofs and presents the client certificate, as [Client] does. It is safe
// for concurrent use, and works until ctx is canceled. Create one for each grant and job.
//
// Its errors wrap those of GrantSource in a [url.Error]: [ErrRefused] means that the user
// must log in again. An error response of the API is not an error.
func (a *Authenticator) GrantClient(ctx context.Context, grant Grant, save func(context.Context, Grant) error, hosts ...string) *http.Client {
	source := &grantSource{auth: a, ctx: ctx, grant: grant, save: save}
	return apiClient(a.apiTransport(ctx), source.forAPI, hosts)
}

type grantSource struct {
	auth     *Authenticator
	ctx      context.Context
	save     func(context.Context, Grant) error
	renewals refreshFlights // at most one

	mu      sync.Mutex
	grant   Grant
	unsaved bool          // save has not accepted grant yet
	at      *registration // of grant; nil: not needed yet
}

// Format prints only the name of the type, whatever the verb, because s holds tokens.
func (s *grantSource) Format(f fmt.State, _ rune) { fmt.Fprint(f, "pixy.GrantSource") }

func (s *grantSource) Token() (*oauth2.Token, error) {
	grant, err := s.fresh()
	if err != nil {
		return nil, err
	}
	return &grant.Token, nil
}

// forAPI is Token for a client, which needs the provider's registration as well.
func (s *grantSource) forAPI() (*apiToken, error) {
	grant, err := s.fresh()
	if err != nil {
		return nil, err
	}
	at, err := s.registration(s.ctx, &grant)
	if errors.Is(err, errGone) {
		err = errGrantGone(err)
	}
	if err != nil {
		return nil, s.auth.reportGrant(s.ctx, grant.Provider, err)
	}
	return &apiToken{&grant.Token, grant.KeyThumbprint, at}, nil
}

// registration returns the registration of a grant, or nil if no provider with its name
// can be. It asks Lookup.Find once for each new grant.
func (s *grantSource) registration(ctx context.Context, grant *Grant) (*registration, error) {
	s.mu.Lock()
	known := s.at
	s.mu.Unlock()
	if known != nil {
		return known, nil
	}
	of := s.auth.boundBy(grant)
	if of.at == nil && s.auth.lookup == nil {
		return nil, nil
	}
	at, err := s.auth.bound(ctx, of)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = at
	return at, err
}

// isFresh reports whether the access token of a grant need not be refreshed yet.
func (s *grantSource) isFresh(ctx context.Context, g *Grant) bool {
	return g.isFresh(s.auth.now()) && s.holds(ctx, g)
}

// isUsable reports whether the access token of a grant can be used.
func (s *grantSource) isUsable(ctx context.Context, g *Grant) bool {
	return g.isUsable(s.auth.now()) && s.holds(ctx, g)
}

// holds reports whether the key of a grant is known, if its tokens are bound to one. While
// Lookup.Find fails, it is taken for known, because a refresh would fail as well.
func (s *grantSource) holds(ctx context.Context, g *Grant) bool {
	if g.KeyThumbprint == "" {
		return true
	}
	at, err := s.registration(ctx, g)
	if err != nil {
		return !errors.Is(err, errGone)
	}
	return at != nil && at.provider.Holds(g.KeyThumbprint)
}

// fresh returns the grant, refreshed and saved as far as that is needed, without its
// refresh token.
func (s *grantSource) fresh() (Grant, error) {
	if s.save == nil {
		return Grant{}, s.auth.reportGrant(s.ctx, s.grant.Provider, fail(codeInternal, errors.New("GrantSource has no save; pass a function that stores the new grant")))
	}
	grant, unsaved := s.current()
	if unsaved || !s.isFresh(s.ctx, &grant) {
		if _, err := s.renewals.join("", s.renew).wait(s.ctx); err != nil {
			return Grant{}, s.auth.reportGrant(s.ctx, grant.Provider, err)
		}
		grant, _ = s.current()
	}
	grant.Token.RefreshToken = ""
	return grant, nil
}

func (s *grantSource) current() (grant Grant, unsaved bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.grant, s.unsaved
}

func (s *grantSource) set(grant Grant, unsaved bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grant, s.unsaved, s.at = grant, unsaved, nil
}

// renew refreshes and saves the grant, as far as that is needed, and returns "" or an
// error that has been logged. It may outlive the caller.
func (s *grantSource) renew() (string, error) {
	ctx := context.WithoutCancel(s.ctx)
	grant, _ := s.current()
	return "", s.auth.reportGrant(ctx, grant.Provider, s.renewIn(ctx))
}

func (s *grantSource) renewIn(ctx context.Context) error {
	if err := s.saveNew(ctx); err != nil {
		return err
	}
	grant, _ := s.current()
	if s.isFresh(ctx, &grant) { // another call has just renewed it
		return nil
	}
	fresh, err := s.auth.refreshGrant(ctx, grant)
	switch {
	case err == nil:
	case errors.Is(err, ErrUnavailable) && s.isUsable(ctx, &grant):
		return nil
	default:
		return err
	}
	s.set(fresh, true)
	if err := s.saveNew(ctx); err != nil {
		return err
	}
	if !s.isUsable(ctx, &fresh) { // from another job, and it could not be refreshed again
		return errProviderDown(errors.New("the access token has expired, and the next call refreshes it"))
	}
	return nil
}

// saveNew calls save if there is a grant that it has not accepted.
func (s *grantSource) saveNew(ctx context.Context) error {
	grant, unsaved := s.current()
	if !unsaved {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	if err := s.save(ctx, grant); err != nil {
		text := "saving a refreshed grant: " + told.Redact(err.Error(), grant.Token.AccessToken, grant.Token.RefreshToken)
		return fail(codeInternal, saveError{text, err})
	}
	s.set(grant, false)
	return nil
}

// A saveError is an error of the application's save. Its text has no tokens.
type saveError struct {
	text  string
	cause error
}

func (e saveError) Error() string { return e.text }
func (e saveError) Unwrap() error { return e.cause }
