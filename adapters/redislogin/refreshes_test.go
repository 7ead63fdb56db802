package redislogin_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pixyauth/pixy/adapters/redislogin"
	"github.com/pixyauth/pixy/core"
)

var _ core.Refreshes = (*redislogin.Shared)(nil)

// The command of a script: evalsha, hash, number of keys, key, arguments.
const firstArgument = 4

// granted is Redis's reply to a claim that it has stored.
func granted(command []string) string { return bulk(command[firstArgument]) }

func TestAClaimIsFinishedByWhoHasMadeIt(t *testing.T) {
	t.Parallel()
	redis := &server{answer: granted}
	shared := redislogin.New(redis.connect(t))
	if outcome, err := shared.Begin(t.Context(), "tokens", 30*time.Second); err != nil || outcome != "" {
		t.Fatalf("got %q %v", outcome, err)
	}
	sent := redis.took()
	if len(sent) != 1 || sent[0][3] != "pixy:refresh:tokens" || sent[0][5] != "30000" {
		t.Fatalf("sent %q", sent)
	}
	claim := sent[0][firstArgument]
	if len(claim) < len("claim ")+22 || !strings.HasPrefix(claim, "claim ") {
		t.Errorf("the claim is %q", claim)
	}
	for _, want := range [][]string{
		{"pixy:refresh:tokens", claim, "outcome sealed", "60000"},
		{"pixy:refresh:tokens", "", "outcome sealed", "60000"}, // the claim is gone
	} {
		if err := shared.Finish(t.Context(), "tokens", "sealed", time.Minute); err != nil {
			t.Fatal(err)
		}
		if sent := redis.took(); len(sent) != 1 || !slices.Equal(sent[0][3:], want) {
			t.Errorf("sent %q, want %q", sent, want)
		}
	}
	if _, err := shared.Begin(t.Context(), "tokens", time.Microsecond); err != nil {
		t.Fatal(err)
	}
	sent = redis.took()
	if len(sent) != 1 || sent[0][firstArgument] == claim || sent[0][5] != "1" {
		t.Errorf("sent %q after %q", sent, claim)
	}
	if err := shared.Finish(t.Context(), "tokens", "", 0); err != nil {
		t.Fatal(err)
	}
	if got, want := redis.took()[0][firstArgument:], []string{sent[0][firstArgument], "", "1"}; !slices.Equal(got, want) {
		t.Errorf("sent %q for a refresh that failed, want %q", got, want)
	}
}

func TestWhoComesSecondWaitsForTheOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		var asked []time.Duration
		redis := &server{answer: func([]string) string {
			asked = append(asked, time.Since(begun)/time.Millisecond)
			if len(asked) < 8 {
				return bulk("claim of another")
			}
			return bulk("outcome claim ") // an outcome that looks like a claim is still an outcome
		}}
		shared := redislogin.New(redis.connect(t))
		outcome, err := shared.Begin(t.Context(), "tokens", time.Minute)
		if err != nil || outcome != "claim " {
			t.Errorf("got %q %v", outcome, err)
		}
		if want := []time.Duration{0, 10, 30, 70, 150, 250, 350, 450}; !slices.Equal(asked, want) {
			t.Errorf("asked after %d ms, want %d", asked, want)
		}
		// Begin repeats the same claim, so a lost reply does no harm.
		for sent := redis.took(); len(sent) > 1; sent = sent[1:] {
			if sent[0][firstArgument] != sent[1][firstArgument] {
				t.Errorf("claims %q and %q", sent[0][firstArgument], sent[1][firstArgument])
			}
		}
	})
}

func TestNobodyWaitsLongerThanTheyWantTo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		redis := &server{answer: func([]string) string { return bulk("claim of another") }}
		shared := redislogin.New(redis.connect(t))
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		begun := time.Now()
		if outcome, err := shared.Begin(ctx, "tokens", time.Minute); !errors.Is(err, context.DeadlineExceeded) || outcome != "" {
			t.Errorf("got %q %v", outcome, err)
		}
		if waited := time.Since(begun); waited != 3*time.Second {
			t.Errorf("waited %v", waited)
		}
	})
}

func TestARefreshIsNobodysIfRedisDoesNotAnswer(t *testing.T) {
	t.Parallel()
	redis := &server{answer: func([]string) string { return failure("LOADING") }}
	shared := redislogin.New(redis.connect(t))
	if outcome, err := shared.Begin(t.Context(), "tokens", time.Minute); outcome != "" || err == nil || err.Error() != "claiming a refresh in Redis: LOADING" {
		t.Errorf("got %q %v", outcome, err)
	}
	if err := shared.Finish(t.Context(), "tokens", "canary", time.Minute); err == nil || err.Error() != "finishing a refresh in Redis: LOADING" {
		t.Errorf("got %v", err)
	}
}
