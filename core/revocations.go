package core

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pixyauth/pixy/core/internal/base64url"
	"github.com/pixyauth/pixy/core/internal/provider"
	"github.com/pixyauth/pixy/core/internal/seal"
	"github.com/pixyauth/pixy/core/internal/told"
)

// Revocations remembers which sessions end early, for all replicas of an application.
// [MemoryRevocations] is for one process, and package redislogin for several replicas.
// An application can implement its own.
//
// Implementations must be safe for concurrent use. An error means that the storage is
// unavailable.
//
// Keys are opaque: 43 characters of base64url that do not reveal the user.
type Revocations interface {
	// Revoke records that key was revoked at the time at. If key was revoked before,
	// the later time counts. The record may be dropped after until.
	Revoke(ctx context.Context, key string, at, until time.Time) error

	// RevokedAt returns the latest time at which one of keys was revoked, or the zero
	// time if none was. It is called once for each request with a session.
	RevokedAt(ctx context.Context, keys ...string) (time.Time, error)
}

// MemoryRevocations implements [Revocations] in the memory of one process. Its records
// are lost when the process ends. Its memory grows with the number of logouts within
// Sessions.Lifetime. The zero value is ready to use, and safe for concurrent use.
type MemoryRevocations struct {
	mu      sync.RWMutex
	revoked map[string]revocation
	pruneAt int // drop old records above this number
}

type revocation struct{ at, until time.Time }

// Revoke implements [Revocations]. It always returns a nil error.
func (m *MemoryRevocations) Revoke(_ context.Context, key string, at, until time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.revoked == nil {
		m.revoked = make(map[string]revocation)
	}
	if known, ok := m.revoked[key]; !ok || known.at.Before(at) {
		m.revoked[key] = revocation{at, until}
	}
	if len(m.revoked) > m.pruneAt {
		for key, r := range m.revoked {
			if r.until.Before(at) {
				delete(m.revoked, key)
			}
		}
		m.pruneAt = max(1024, 2*len(m.revoked))
	}
	return nil
}

// RevokedAt implements [Revocations]. It always returns a nil error.
func (m *MemoryRevocations) RevokedAt(_ context.Context, keys ...string) (latest time.Time, _ error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, key := range keys {
		if r := m.revoked[key]; r.at.After(latest) {
			latest = r.at
		}
	}
	return latest, nil
}

// The keys that can be revoked: one session, all sessions of a user, all sessions that
// belong to one session at the provider, and all sessions of a provider's users. Several
// applications can share one Revocations, so except for that of one session, keys contain
// the client, or the application.
//
// A logout token names a client, and is signed by the issuer. So its keys do not contain
// the name of a looked-up provider: customers who share a registration share what ends it,
// and customers who share only the issuer do not.

func (s *session) key() string { return opaqueKey("session", string(s.id[:])) }

func userKey(issuer, client, subject string) string {
	return opaqueKey("user", issuer, client, subject)
}

func providerSessionKey(issuer, client, sid string) string {
	return opaqueKey("sid", issuer, client, sid)
}

// A personKey is for all sessions of a user at looked-up providers of this issuer, whose
// clients are not known together.
func (s *sessionKeeper) personKey(issuer, subject string) string {
	return opaqueKey("person", s.application, issuer, subject)
}

// lookedUpKey is for all sessions of a looked-up provider's users. Its registration may be
// gone already.
func (s *sessionKeeper) lookedUpKey(name string) string {
	return opaqueKey("provider", s.application, name)
}

// providerKey is for all sessions of the users of the provider of a session.
func (s *sessionKeeper) providerKey(found *session) string {
	if found.provider != "" {
		return s.lookedUpKey(found.provider)
	}
	return found.registration.usersKey
}

const opaqueKeySize = 43 // characters

// opaqueKey returns a hash of parts. It identifies them without revealing them.
func opaqueKey(parts ...string) string {
	text := make([]byte, 0, 256) // enough for usual parts, without an allocation
	for _, part := range parts {
		text = seal.AppendString(text, part)
	}
	sum := sha256.Sum256(text)
	return base64url.Encode(sum[:])
}

// revoked reports whether found has been revoked. A login after the revocation starts
// a session that began later, which is not revoked.
func (s *sessionKeeper) revoked(ctx context.Context, found *session) (bool, error) {
	at, err := s.revokedAt(ctx, found)
	return !at.IsZero() && found.started <= instantOf(at), err
}

// revokedAt returns the latest revocation that is about found, or the zero time.
func (s *sessionKeeper) revokedAt(ctx context.Context, found *session) (time.Time, error) {
	if s.revocations == nil {
		return time.Time{}, nil
	}
	issuer, client := found.user.Issuer, found.client
	keys := append(make([]string, 0, 5), found.key(), userKey(issuer, client, found.user.Subject), s.providerKey(found))
	if found.sid != "" {
		keys = append(keys, providerSessionKey(issuer, client, found.sid))
	}
	if found.provider != "" {
		keys = append(keys, s.personKey(issuer, found.user.Subject))
	}
	at, err := s.revocations.RevokedAt(ctx, keys...)
	if err != nil {
		return time.Time{}, errRevocationsDown(err)
	}
	return at, nil
}

// void revokes one session. If the clock of another replica is ahead, the session may
// have begun later than now.
func (s *sessionKeeper) void(ctx context.Context, one *session) error {
	at := s.now()
	if one.started > instantOf(at) {
		at = one.started.time()
	}
	return s.revokeAt(ctx, one.key(), at)
}

// revoke ends the sessions of key that exist now.
func (s *sessionKeeper) revoke(ctx context.Context, key string) error {
	return s.revokeAt(ctx, key, s.now())
}

func (s *sessionKeeper) revokeAt(ctx context.Context, key string, at time.Time) error {
	if s.revocations == nil {
		return nil
	}
	// The last session to end began just now, on a replica whose clock is ahead.
	if err := s.revocations.Revoke(ctx, key, at, s.now().Add(s.lifetime+provider.ClockSkew)); err != nil {
		return errRevocationsDown(err)
	}
	return nil
}

var errNoRevocations = errors.New("Config.Logout.Revocations is not set; set it to end sessions from outside their browser")

// LogoutEverywhere ends all current sessions of one user in this application, in every
// browser. Use it after a device was stolen, a password was changed or an account was
// closed. Issuer and subject are those of [User]. The user can log in again; to reject a
// user, return an error from OnLogin.
//
// With looked-up providers, it ends the user's sessions of all that have this issuer,
// because the subject is the same user there. To end all sessions of one customer, use
// [Authenticator.LogoutProvider].
//
// LogoutEverywhere needs [LogoutConfig.Revocations], and takes effect as soon as they
// report the revocation. It does not end the session at the provider, so the next login
// may not ask for a password. It does not revoke kept tokens at the provider; this
// application no longer uses them.
//
// The error wraps [ErrUnavailable] if Revocations fail; the sessions then continue. An
// error of status 500 means that Revocations are not set, that no provider has this
// issuer and none is looked up, or that the sessions are the application's
// ([SessionConfig.Own]). Errors are not logged.
func (a *Authenticator) LogoutEverywhere(ctx context.Context, issuer, subject string) error {
	if err := a.mayRevoke("LogoutEverywhere"); err != nil {
		return err
	}
	at, name := a.registrations.issuing(issuer), ""
	if at == nil && a.lookup == nil {
		return asError(fmt.Errorf("LogoutEverywhere: no provider is %q; give User.Issuer as it was at login", told.Clip(issuer)))
	}
	if at != nil {
		name = at.config.Name
		if err := a.sessions.revoke(ctx, userKey(issuer, at.config.ClientID, subject)); err != nil {
			return err
		}
	}
	if a.lookup != nil {
		if err := a.sessions.revoke(ctx, a.sessions.personKey(issuer, subject)); err != nil {
			return err
		}
	}
	a.tell(ctx, "", Event{Kind: eventLogout, Provider: name, Issuer: issuer, Subject: subject, By: byApplication})
	return nil
}

// LogoutProvider ends all current sessions of the users who logged in at one provider, in
// every browser. Use it after a customer has left, or has changed to another provider.
// The name is that of [User.Provider], of a listed or a looked-up provider. Users can log
// in again while the provider is there, so remove a looked-up provider first.
// [LookupConfig.Find] is not asked.
//
// It needs [LogoutConfig.Revocations], takes effect as soon as they report the revocation,
// and does nothing at the provider, like [Authenticator.LogoutEverywhere].
//
// The error wraps [ErrUnavailable] if Revocations fail; the sessions may then continue. An
// error of status 500 means that Revocations are not set, that no provider can have this
// name, or that the sessions are the application's ([SessionConfig.Own]). Errors are not
// logged.
func (a *Authenticator) LogoutProvider(ctx context.Context, name string) error {
	if err := a.mayRevoke("LogoutProvider"); err != nil {
		return err
	}
	at := a.registrations.named(name)
	lookedUp := a.lookup != nil && validProviderName(name)
	if at == nil && !lookedUp {
		return asError(fmt.Errorf("LogoutProvider: no provider is named %q; give User.Provider as it was at login", told.Clip(name)))
	}
	if at != nil {
		if err := a.sessions.revoke(ctx, at.usersKey); err != nil {
			return err
		}
	}
	if lookedUp {
		if err := a.sessions.revoke(ctx, a.sessions.lookedUpKey(name)); err != nil {
			return err
		}
	}
	a.tell(ctx, "", Event{Kind: eventLogout, Provider: name, By: byApplication})
	return nil
}

// mayRevoke returns an error if the application cannot end sessions from outside their
// browsers.
func (a *Authenticator) mayRevoke(method string) error {
	switch {
	case a.config.Sessions.Own != nil:
		return asError(fmt.Errorf("%s: Config.Sessions.Own is set, so the sessions are the application's; end them there", method))
	case a.config.Logout.Revocations == nil:
		return asError(fmt.Errorf("%s: %w", method, errNoRevocations))
	}
	return nil
}

func errRevocationsDown(err error) *Error {
	return fail(codeRevocations, fmt.Errorf("revocations: %w", err))
}
