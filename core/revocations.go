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

// Revocations remember which sessions have to end before their time, for all
// replicas of an application. [MemoryRevocations] does for one process, and
// redislogin for many; what else there may be is the application's to write.
// Implementations are safe for concurrent use, and an error means that they are
// out of order.
//
// Keys are opaque: 43 characters of base64url, from which nobody learns who it
// is about.
type Revocations interface {
	// Revoke remembers that what key stands for was revoked at a time. The latest
	// such time counts. It may be forgotten after until.
	Revoke(ctx context.Context, key string, at, until time.Time) error

	// RevokedAt returns the latest time at which one of keys was revoked, or the
	// zero time if none was. Each request of a user who is logged in asks once.
	RevokedAt(ctx context.Context, keys ...string) (time.Time, error)
}

// MemoryRevocations are those of one process. What they remember ends with it,
// and what they need grows with the logouts within Sessions.Lifetime. The zero
// value is ready, and safe for concurrent use.
type MemoryRevocations struct {
	mu      sync.RWMutex
	revoked map[string]revocation
	pruneAt int // so many of them
}

type revocation struct{ at, until time.Time }

// Revoke implements [Revocations]. The error is nil.
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

// RevokedAt implements [Revocations]. The error is nil.
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

// The keys of what can be revoked: one session, all of a user's, and all that
// began in one session at the provider. They are of one client, so that
// applications may share what remembers them.

func (s *session) key() string { return opaqueKey("session", string(s.id[:])) }

func userKey(issuer, client, subject string) string {
	return opaqueKey("user", issuer, client, subject)
}

func providerSessionKey(issuer, client, sid string) string {
	return opaqueKey("sid", issuer, client, sid)
}

// opaqueKey stands for something and does not tell what: for where others may look.
func opaqueKey(parts ...string) string {
	var text []byte
	for _, part := range parts {
		text = seal.AppendString(text, part)
	}
	sum := sha256.Sum256(text)
	return base64url.Encode(sum[:])
}

// revoked reports whether found has been ended from outside. Whoever logs in
// after that has another session, which began later.
func (s *sessionKeeper) revoked(ctx context.Context, found *session) (bool, error) {
	if s.revocations == nil {
		return false, nil
	}
	issuer, client := found.user.Issuer, found.client
	keys := []string{found.key(), userKey(issuer, client, found.user.Subject)}
	if found.sid != "" {
		keys = append(keys, providerSessionKey(issuer, client, found.sid))
	}
	at, err := s.revocations.RevokedAt(ctx, keys...)
	if err != nil {
		return false, errRevocationsDown(err)
	}
	return !at.IsZero() && found.started <= instantOf(at), nil
}

// void ends one session, whenever it began: by a clock that is ahead, that may be
// later than now.
func (s *sessionKeeper) void(ctx context.Context, one *session) error {
	at := s.now()
	if one.started > instantOf(at) {
		at = one.started.time()
	}
	return s.revokeAt(ctx, one.key(), at)
}

// revoke ends what key stands for, as it is now.
func (s *sessionKeeper) revoke(ctx context.Context, key string) error {
	return s.revokeAt(ctx, key, s.now())
}

func (s *sessionKeeper) revokeAt(ctx context.Context, key string, at time.Time) error {
	if s.revocations == nil {
		return nil
	}
	// A session that began just now, by a clock that is ahead, ends last.
	if err := s.revocations.Revoke(ctx, key, at, s.now().Add(s.lifetime+provider.ClockSkew)); err != nil {
		return errRevocationsDown(err)
	}
	return nil
}

var errNoRevocations = errors.New("Config.Logout.Revocations is not set; set it to end sessions from outside their browser")

// LogoutEverywhere ends all sessions that the user of a provider has in this
// application now, in every browser: after a stolen device, a changed password,
// an account that was closed. Issuer and subject are those of [User]. Who logs
// in again is let in again; refusing that is for OnLogin.
//
// It needs [LogoutConfig.Revocations], and takes effect as soon as these answer by it.
// The provider's own session goes on: the next login there may ask for nothing. Kept
// tokens are not revoked, and are of no use here any more.
//
// An error wraps [ErrUnavailable] if Revocations are out of order, in which case the
// sessions go on. Others, of status 500, tell that there are none, or no such
// provider. It is not logged.
func (a *Authenticator) LogoutEverywhere(ctx context.Context, issuer, subject string) error {
	at := a.registrations.issuing(issuer)
	switch {
	case a.config.Logout.Revocations == nil:
		return asError(fmt.Errorf("LogoutEverywhere: %w", errNoRevocations))
	case at == nil:
		return asError(fmt.Errorf("LogoutEverywhere: no provider is %q; give User.Issuer as it was at login", told.Clip(issuer)))
	}
	return a.sessions.revoke(ctx, userKey(issuer, at.config.ClientID, subject))
}

func errRevocationsDown(err error) *Error {
	return fail(codeRevocations, fmt.Errorf("revocations: %w", err))
}
