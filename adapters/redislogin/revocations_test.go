package redislogin_test

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pixyauth/pixy/adapters/redislogin"
	"github.com/pixyauth/pixy/core"
)

var _ core.Revocations = (*redislogin.Shared)(nil)

func TestRedisIsAskedOnceForAllKeysAndAgainWhenTheAnswerIsOld(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		maxStale time.Duration
		reused   time.Duration // how long answers are cached
	}{
		"zero":     {0, 5 * time.Second},
		"a minute": {time.Minute, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				at := time.Now().Add(-time.Hour)
				replies := []string{null, bulk(ms(at)), bulk(ms(at.Add(-time.Minute)))}
				redis := &server{answer: func([]string) string { return array(replies...) }}
				shared := redislogin.New(redis.connect(t))
				shared.MaxStale = row.maxStale
				ask := func(want time.Time, keys ...string) {
					t.Helper()
					if got, err := shared.RevokedAt(t.Context(), keys...); err != nil || !got.Equal(want) {
						t.Errorf("got %v %v, want %v", got, err, want)
					}
				}
				ask(at, "session", "user", "sid")
				if got, want := redis.took(), []string{"mget", "pixy:{revoked}:session", "pixy:{revoked}:user", "pixy:{revoked}:sid"}; len(got) != 1 || !slices.Equal(got[0], want) {
					t.Errorf("sent %q, want %q alone", got, want)
				}
				replies = []string{null, null, null}
				time.Sleep(row.reused - time.Millisecond)
				ask(at, "session", "user", "sid")
				ask(at, "user")
				ask(time.Time{}, "session") // the answer that there is none is cached as well
				if got := redis.took(); len(got) != 0 {
					t.Errorf("sent %q for a fresh answer", got)
				}
				time.Sleep(time.Millisecond)
				ask(time.Time{}, "session", "user", "sid")
				if got := redis.took(); len(got) != 1 {
					t.Errorf("sent %q for an old answer", got)
				}
				replies = []string{null, null}
				ask(time.Time{}, "session", "another user")
				if got := redis.took(); len(got) != 1 {
					t.Errorf("sent %q for one key that is new", got)
				}
			})
		})
	}
}

func TestRedisIsAskedEachTimeIfNothingMayBeStale(t *testing.T) {
	t.Parallel()
	redis := &server{answer: nothing}
	shared := redislogin.New(redis.connect(t))
	shared.MaxStale = -1
	for range 3 {
		if _, err := shared.RevokedAt(t.Context(), "session"); err != nil {
			t.Fatal(err)
		}
	}
	if got := redis.took(); len(got) != 3 {
		t.Errorf("sent %q", got)
	}
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		redis := &server{answer: func([]string) string { return done }}
		shared := redislogin.New(redis.connect(t))
		shared.Prefix = "shop:"
		at := time.Now().Add(-time.Second)
		if err := shared.Revoke(t.Context(), "user", at, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if got := redis.took(); len(got) != 1 || !slices.Equal(got[0][2:], []string{"1", "shop:{revoked}:user", ms(at), "3600000"}) {
			t.Errorf("sent %q", got)
		}
		if err := shared.Revoke(t.Context(), "user", at, time.Now()); err != nil {
			t.Fatal(err)
		}
		if got := redis.took(); len(got) != 0 {
			t.Errorf("sent %q for what is over", got)
		}
	})
}

// A revocation counts also if an older answer arrives after it.
func TestOnesOwnRevocationIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	for name, early := range map[string]bool{"after an answer": false, "during a question": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				at, released := time.Now(), make(chan struct{})
				revoked := false
				redis := &server{}
				redis.answer = func(command []string) string {
					switch {
					case command[0] != "mget":
						revoked = true
						return done
					case revoked:
						return array(bulk(ms(at)))
					}
					<-released
					return array(null)
				}
				shared := redislogin.New(redis.connect(t))
				var question sync.WaitGroup
				question.Go(func() {
					if got, err := shared.RevokedAt(t.Context(), "user"); err != nil || !got.IsZero() {
						t.Errorf("before: got %v %v", got, err)
					}
				})
				if !early {
					close(released)
					question.Wait()
				}
				synctest.Wait()
				if err := shared.Revoke(t.Context(), "user", at, at.Add(time.Hour)); err != nil {
					t.Fatal(err)
				}
				if early {
					close(released)
					question.Wait()
				}
				if got, err := shared.RevokedAt(t.Context(), "user"); err != nil || !got.Equal(at) {
					t.Errorf("after: got %v %v, want %v", got, err, at)
				}
			})
		})
	}
}

func TestAnswersTakeBoundedMemory(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		redis := &server{answer: nothing}
		shared := redislogin.New(redis.connect(t))
		ask := func(first int) (commands int) {
			t.Helper()
			keys := make([]string, 100)
			for i := range keys {
				keys[i] = strconv.Itoa(first + i)
			}
			if _, err := shared.RevokedAt(t.Context(), keys...); err != nil {
				t.Fatal(err)
			}
			return len(redis.took())
		}
		for first := range 100 {
			ask(100 * first)
		}
		if ask(0) != 0 || ask(9900) != 0 {
			t.Error("ten thousand answers are too many")
		}
		ask(10_000)
		if ask(10_000) != 0 {
			t.Error("the last answer was dropped")
		}
		if ask(0) == 0 {
			t.Error("there is no bound")
		}
	})
}

func TestARedisThatDoesNotAnswerIsAnErrorAndNoAnswer(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct{ reply, want string }{
		"a refusal":      {failure("NOPERM no permission"), "asking Redis for revocations: NOPERM no permission"},
		"a hang-up":      {"", "asking Redis for revocations: EOF"},
		"something else": {array(bulk("yesterday")), `a revocation in Redis is not a number of milliseconds; delete the key: strconv.ParseInt: parsing "yesterday": invalid syntax`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis := &server{answer: func([]string) string { return row.reply }}
			shared := redislogin.New(redis.connect(t))
			for range 2 { // errors are not cached
				if got, err := shared.RevokedAt(t.Context(), "user"); err == nil || err.Error() != row.want || !got.IsZero() {
					t.Errorf("got %v %v, want %s", got, err, row.want)
				}
			}
			redis.answer = nothing
			if _, err := shared.RevokedAt(t.Context(), "user"); err != nil {
				t.Errorf("when it is back: %v", err)
			}
		})
	}
}

// After a failed Revoke, a cached answer must not hide the revocation.
func TestARevocationThatFailedIsAskedFor(t *testing.T) {
	t.Parallel()
	redis := &server{answer: nothing}
	shared := redislogin.New(redis.connect(t))
	if _, err := shared.RevokedAt(t.Context(), "user"); err != nil {
		t.Fatal(err)
	}
	redis.answer = func([]string) string { return failure("READONLY") }
	now := time.Now()
	if err := shared.Revoke(t.Context(), "user", now, now.Add(time.Hour)); err == nil || err.Error() != "revoking in Redis: READONLY" {
		t.Errorf("got %v", err)
	}
	redis.answer = func([]string) string { return array(bulk(ms(now))) }
	if got, err := shared.RevokedAt(t.Context(), "user"); err != nil || got.IsZero() {
		t.Errorf("got %v %v", got, err)
	}
}

func ms(t time.Time) string { return fmt.Sprint(t.UnixMilli()) }
