package redislogin

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	revocation = "{revoked}:"

	defaultMaxStale = 5 * time.Second

	// maxAnswers limits the number of cached answers, which use up to about 2
	// MB.
	maxAnswers = 10_000
)

// An answer is what Redis returned for one key.
type answer struct {
	at    time.Time // zero: not revoked
	asked time.Time
}

// revoke keeps the latest time and the latest expiry. The clocks of replicas
// differ, and a later call with an earlier time must not make a session valid
// again.
var revoke = redis.NewScript(`
local at, life = ARGV[1], math.max(tonumber(ARGV[2]), redis.call('PTTL', KEYS[1]))
local kept = redis.call('GET', KEYS[1])
if kept and tonumber(kept) > tonumber(at) then at = kept end
return redis.call('SET', KEYS[1], at, 'PX', string.format('%.0f', life))
`)

// Revoke implements core.Revocations. The entry expires at until.
func (s *Shared) Revoke(ctx context.Context, key string, at, until time.Time) error {
	life := time.Until(until).Milliseconds()
	if life <= 0 {
		return nil // all sessions that it would end have expired
	}
	err := revoke.Run(ctx, s.client, []string{s.name(revocation, key)}, at.UnixMilli(), life).Err()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.answers, key) // also after an error, because Redis may have stored it
	s.revoked++
	if err != nil {
		return fmt.Errorf("revoking in Redis: %w", err)
	}
	return nil
}

// RevokedAt implements core.Revocations. It sends one command, or none if
// fresh answers for all keys are cached.
func (s *Shared) RevokedAt(ctx context.Context, keys ...string) (time.Time, error) {
	now := time.Now()
	latest, known, revoked := s.known(keys, now)
	if known {
		return latest, nil
	}
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = s.name(revocation, key)
	}
	values, err := s.client.MGet(ctx, names...).Result()
	if err != nil {
		return time.Time{}, fmt.Errorf("asking Redis for revocations: %w", err)
	}
	answers := make([]answer, len(keys))
	for i := range keys {
		at, err := revokedAt(values[i])
		if err != nil {
			return time.Time{}, err
		}
		answers[i] = answer{at, now}
		latest = later(latest, at)
	}
	s.keep(keys, answers, revoked)
	return latest, nil
}

// revokedAt parses the value of a key: nil, or milliseconds since 1970.
func revokedAt(value any) (time.Time, error) {
	if value == nil {
		return time.Time{}, nil
	}
	ms, err := strconv.ParseInt(fmt.Sprint(value), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("a revocation in Redis is not a number of milliseconds; delete the key: %w", err)
	}
	return time.UnixMilli(ms), nil
}

// known returns the latest time of the cached answers, whether each key has a
// fresh answer, and how often this process has called Revoke.
func (s *Shared) known(keys []string, now time.Time) (latest time.Time, all bool, revoked int) {
	maxStale := s.MaxStale
	if maxStale == 0 {
		maxStale = defaultMaxStale
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, key := range keys {
		a, ok := s.answers[key]
		if !ok || now.Sub(a.asked) >= maxStale {
			return time.Time{}, false, s.revoked
		}
		latest = later(latest, a.at)
	}
	return latest, true, s.revoked
}

// keep caches answers, unless this process has called Revoke since the question
// was sent: the answers may be older than that call.
func (s *Shared) keep(keys []string, answers []answer, revoked int) {
	if s.MaxStale < 0 {
		return // the cache is off
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.revoked != revoked {
		return
	}
	if len(s.answers)+len(keys) > maxAnswers {
		clear(s.answers)
	}
	for i, key := range keys {
		s.answers[key] = answers[i]
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
