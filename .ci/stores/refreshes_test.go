package stores_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pixyauth/pixy/adapters/redislogin"
)

// Two hundred callers on each of three replicas begin the same refresh. One performs it,
// and all get its outcome.
func TestOneRefreshForAll(t *testing.T) {
	t.Parallel()
	var replicas []*redislogin.Shared
	for range 3 {
		shared, _ := replica(t, t.Name())
		replicas = append(replicas, shared)
	}
	server := direct(t)
	var claims, outcomes atomic.Int32
	var crowd sync.WaitGroup
	for i := range 600 {
		crowd.Go(func() {
			shared := replicas[i%3]
			outcome, err := shared.Begin(t.Context(), "tokens", time.Minute)
			switch {
			case err != nil:
				t.Error(err)
			case outcome == "sealed tokens":
				outcomes.Add(1)
			case outcome == "":
				claims.Add(1)
				lives(t, server, t.Name()+":refresh:tokens", time.Minute)
				if err := shared.Finish(t.Context(), "tokens", "sealed tokens", 10*time.Minute); err != nil {
					t.Error(err)
				}
			default:
				t.Errorf("got %q", outcome)
			}
		})
	}
	crowd.Wait()
	if claims.Load() != 1 || outcomes.Load() != 599 {
		t.Errorf("%d claims and %d outcomes, want 1 and 599", claims.Load(), outcomes.Load())
	}
	lives(t, server, t.Name()+":refresh:tokens", 10*time.Minute)
}

// begins requires that Begin returns this outcome. "" means that the caller has the claim.
func begins(t *testing.T, shared *redislogin.Shared, claim time.Duration, want string) {
	t.Helper()
	if got, err := shared.Begin(t.Context(), "tokens", claim); err != nil || got != want {
		t.Fatalf("got %q %v, want %q", got, err, want)
	}
}

func finishes(t *testing.T, shared *redislogin.Shared, outcome string) {
	t.Helper()
	if err := shared.Finish(t.Context(), "tokens", outcome, time.Minute); err != nil {
		t.Fatal(err)
	}
}

// The claim of a dead replica expires, and another replica gets it. If the first replica was
// only slow, its Finish has no effect.
func TestAClaimIsTakenOver(t *testing.T) {
	t.Parallel()
	for _, late := range []string{"", "late tokens"} {
		t.Run(fmt.Sprintf("the first comes back with %q", late), func(t *testing.T) {
			t.Parallel()
			a, _ := replica(t, t.Name())
			b, _ := replica(t, t.Name())
			c, _ := replica(t, t.Name())
			server := direct(t)
			begins(t, a, 50*time.Millisecond, "")
			begins(t, b, time.Minute, "") // waits until the first claim expires
			claim := server.Get(t.Context(), t.Name()+":refresh:tokens").Val()
			finishes(t, a, late)
			if got := server.Get(t.Context(), t.Name()+":refresh:tokens").Val(); got != claim || !strings.HasPrefix(got, "claim ") {
				t.Errorf("%q stands for the second's claim, which was %q", got, claim)
			}
			lives(t, server, t.Name()+":refresh:tokens", time.Minute)
			finishes(t, b, "tokens")
			begins(t, c, time.Minute, "tokens")
			finishes(t, a, late) // has no effect either
			begins(t, c, time.Minute, "tokens")
		})
	}
}

// An outcome is kept if its claim has expired and no other replica has claimed the key.
func TestAnOutcomeThatComesLateIsKept(t *testing.T) {
	t.Parallel()
	a, _ := replica(t, t.Name())
	b, _ := replica(t, t.Name())
	server := direct(t)
	begins(t, a, time.Minute, "")
	if err := server.Del(t.Context(), t.Name()+":refresh:tokens").Err(); err != nil { // as if it had expired
		t.Fatal(err)
	}
	finishes(t, a, "tokens")
	begins(t, b, time.Minute, "tokens")
	lives(t, server, t.Name()+":refresh:tokens", time.Minute)
}

func TestARefreshThatFailedIsTheNextOnesToTry(t *testing.T) {
	t.Parallel()
	a, _ := replica(t, t.Name())
	b, _ := replica(t, t.Name())
	begins(t, a, time.Minute, "")
	waits, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if outcome, err := b.Begin(waits, "tokens", time.Minute); err == nil || outcome != "" {
		t.Errorf("while it is claimed: got %q %v", outcome, err)
	}
	finishes(t, a, "")
	begins(t, b, time.Minute, "")
	finishes(t, b, "claim tokens") // an outcome that looks like a claim
	begins(t, a, time.Minute, "claim tokens")
}
