package redislogin

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	refresh = "refresh:"

	// A value in Redis is either a claim or the outcome of a refresh.
	claimMark   = "claim "
	outcomeMark = "outcome "

	// Pauses between two reads of another replica's claim.
	minPause = 10 * time.Millisecond
	maxPause = 100 * time.Millisecond
)

// begin stores a claim if the key has no value, and returns the value of the
// key. A client that lost the answer can send it again and gets the same
// answer.
var begin = redis.NewScript(`
local stands = redis.call('GET', KEYS[1])
if stands then return stands end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
`)

// finish deletes a claim, or replaces it with an outcome. If the claim has
// expired and the key has another value, finish leaves that value.
var finish = redis.NewScript(`
local stands = redis.call('GET', KEYS[1])
if stands and stands ~= ARGV[1] then return 0 end
if ARGV[2] == '' then return redis.call('DEL', KEYS[1]) end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
`)

// Begin implements core.Refreshes. While another claim is valid, it polls
// Redis, at first every 10 ms and later every 100 ms. Redis's clock decides
// when a claim expires.
func (s *Shared) Begin(ctx context.Context, key string, claim time.Duration) (string, error) {
	mine := claimMark + rand.Text()
	for pause := minPause; ; pause = min(2*pause, maxPause) {
		stands, err := begin.Run(ctx, s.client, []string{s.name(refresh, key)}, mine, milliseconds(claim)).Text()
		if err != nil {
			return "", fmt.Errorf("claiming a refresh in Redis: %w", err)
		}
		if stands == mine {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.claims[key] = mine
			return "", nil
		}
		if outcome, ok := strings.CutPrefix(stands, outcomeMark); ok {
			return outcome, nil
		}
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("waiting for another replica's refresh: %w", ctx.Err())
		case <-time.After(pause):
		}
	}
}

// Finish implements core.Refreshes. If the claim has expired and another
// replica has claimed the key since, the outcome of the other replica counts.
// Within one process, Finish is for the latest claim on key.
func (s *Shared) Finish(ctx context.Context, key, outcome string, keep time.Duration) error {
	s.mu.Lock()
	mine := s.claims[key]
	delete(s.claims, key)
	s.mu.Unlock()
	if outcome != "" {
		outcome = outcomeMark + outcome
	}
	if err := finish.Run(ctx, s.client, []string{s.name(refresh, key)}, mine, outcome, milliseconds(keep)).Err(); err != nil {
		return fmt.Errorf("finishing a refresh in Redis: %w", err)
	}
	return nil
}

// milliseconds returns d in milliseconds, at least one: the shortest expiry in
// Redis.
func milliseconds(d time.Duration) int64 { return max(1, d.Milliseconds()) }
