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

	// What stands for a key is somebody's claim or a refresh's outcome.
	claimMark   = "claim "
	outcomeMark = "outcome "

	// Pauses between two looks at a claim of somebody else.
	minPause = 10 * time.Millisecond
	maxPause = 100 * time.Millisecond
)

// begin puts a claim where nothing is, and returns what stands then. Sent twice
// by a client that has lost the answer, it is answered alike.
var begin = redis.NewScript(`
local stands = redis.call('GET', KEYS[1])
if stands then return stands end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
`)

// finish takes a claim away, or puts an outcome in its place. If the claim is
// over, somebody else's claim or outcome is left alone.
var finish = redis.NewScript(`
local stands = redis.call('GET', KEYS[1])
if stands and stands ~= ARGV[1] then return 0 end
if ARGV[2] == '' then return redis.call('DEL', KEYS[1]) end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
`)

// Begin implements core's Refreshes. While somebody else's claim stands it asks
// Redis anew, every tenth of a second at last. A claim is over by Redis's clock.
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
			return "", fmt.Errorf("waiting for another's refresh: %w", ctx.Err())
		case <-time.After(pause):
		}
	}
}

// Finish implements core's Refreshes. If the claim was over and another has been
// made since, what that one comes to counts; but within one process, Finish is
// for the last claim on key.
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

// milliseconds is at least one, which is the shortest life that Redis gives.
func milliseconds(d time.Duration) int64 { return max(1, d.Milliseconds()) }
