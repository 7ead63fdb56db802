package stores_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pixyauth/pixy/adapters/redislogin"
)

// replica returns a Shared with its own client, like another process, and the proxy of the
// client. Replicas with the same prefix share their keys.
func replica(t *testing.T, prefix string) (*redislogin.Shared, *proxy) {
	t.Helper()
	between := redisProxy(t)
	client := redis.NewClient(&redis.Options{Network: "unix", Addr: between.path, ContextTimeoutEnabled: true})
	t.Cleanup(func() { client.Close() })
	shared := redislogin.New(client)
	shared.Prefix, shared.MaxStale = prefix+":", -1
	return shared, between
}

// direct returns a client for the test's own commands.
func direct(t *testing.T) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(environment(t, "REDIS_URL"))
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { client.Close() })
	return client
}

// lives checks that a key expires after about want.
func lives(t *testing.T, client *redis.Client, key string, want time.Duration) {
	t.Helper()
	got, err := client.PTTL(context.Background(), key).Result()
	if err != nil || got > want || got < want-time.Minute {
		t.Errorf("%s lives for %v, want %v: %v", key, got, want, err)
	}
}

func TestTheLatestRevocationAndTheLongestLifeCount(t *testing.T) {
	t.Parallel()
	a, _ := replica(t, t.Name())
	b, _ := replica(t, t.Name())
	server, now := direct(t), time.Now().Truncate(time.Millisecond)
	revoked := func(want time.Time, keys ...string) {
		t.Helper()
		if got, err := b.RevokedAt(t.Context(), keys...); err != nil || !got.Equal(want) {
			t.Errorf("%q: got %v %v, want %v", keys, got, err, want)
		}
	}
	revoke := func(shared *redislogin.Shared, key string, at, until time.Time) {
		t.Helper()
		if err := shared.Revoke(t.Context(), key, at, until); err != nil {
			t.Fatal(err)
		}
	}
	revoked(time.Time{}, "session", "user", "sid")

	revoke(a, "user", now, now.Add(12*time.Hour))
	revoked(now, "session", "user", "sid")
	revoked(time.Time{}, "session", "another", "sid")
	lives(t, server, t.Name()+":{revoked}:user", 12*time.Hour)

	revoke(b, "user", now.Add(-5*time.Second), now.Add(time.Hour)) // a clock that is behind
	revoked(now, "user")
	lives(t, server, t.Name()+":{revoked}:user", 12*time.Hour)

	revoke(b, "user", now.Add(5*time.Second), now.Add(24*time.Hour))
	revoked(now.Add(5*time.Second), "user")
	lives(t, server, t.Name()+":{revoked}:user", 24*time.Hour)

	revoke(a, "session", now.Add(time.Minute), now.Add(time.Hour))
	revoked(now.Add(time.Minute), "session", "user", "sid")
	revoked(now.Add(time.Minute), "user", "session")

	revoke(a, "over", now, now.Add(-time.Second))
	revoked(time.Time{}, "over")
	if n := server.Exists(t.Context(), t.Name()+":{revoked}:over").Val(); n != 0 {
		t.Error("an expired revocation is kept")
	}
}

func TestARevocationEnds(t *testing.T) {
	t.Parallel()
	a, _ := replica(t, t.Name())
	server := direct(t)
	now := time.Now()
	if err := a.Revoke(t.Context(), "user", now, now.Add(50*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	for deadline := now.Add(10 * time.Second); server.Exists(t.Context(), t.Name()+":{revoked}:user").Val() == 1; {
		if time.Now().After(deadline) {
			t.Fatal("it does not")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if got, err := a.RevokedAt(t.Context(), "user"); err != nil || !got.IsZero() {
		t.Errorf("got %v %v", got, err)
	}
}

func TestARequestIsOneCommandAtMost(t *testing.T) {
	t.Parallel()
	fresh, toFresh := replica(t, t.Name())
	lazy, toLazy := replica(t, t.Name())
	lazy.MaxStale = time.Hour
	ask := func(shared *redislogin.Shared) time.Time {
		t.Helper()
		at, err := shared.RevokedAt(t.Context(), "session", "user", "sid")
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	for range 3 {
		ask(fresh)
		ask(lazy)
	}
	if got := toFresh.took(); !slices.Equal(got, []string{"MGET", "MGET", "MGET"}) {
		t.Errorf("if nothing may be stale: %q", got)
	}
	if got := toLazy.took(); !slices.Equal(got, []string{"MGET"}) {
		t.Errorf("if something may be: %q", got)
	}

	// A replica without a cache sees other replicas' revocations at once; one with a cache
	// sees them later. Each replica sees its own at once.
	now := time.Now()
	if err := fresh.Revoke(t.Context(), "sid", now, now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if ask(fresh).IsZero() || !ask(lazy).IsZero() {
		t.Error("MaxStale has no effect")
	}
	if err := lazy.Revoke(t.Context(), "session", now, now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if ask(lazy).IsZero() {
		t.Error("a replica does not see its own revocation")
	}
}

func TestRevocationsOutliveAnOutageAndTheLossOfScripts(t *testing.T) {
	t.Parallel()
	shared, between := replica(t, t.Name())
	now := time.Now().Truncate(time.Millisecond)
	if err := shared.Revoke(t.Context(), "user", now, now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	between.cut()
	if got, err := shared.RevokedAt(t.Context(), "user"); err == nil || !got.IsZero() {
		t.Errorf("while Redis is down: got %v %v", got, err)
	}
	if err := shared.Revoke(t.Context(), "session", now, now.Add(time.Hour)); err == nil {
		t.Error("a revocation while Redis is down is not an error")
	}
	between.mend(t)
	if got, err := shared.RevokedAt(t.Context(), "user"); err != nil || !got.Equal(now) {
		t.Errorf("when Redis is back: got %v %v", got, err)
	}
	if err := direct(t).ScriptFlush(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if err := shared.Revoke(t.Context(), "session", now, now.Add(time.Hour)); err != nil {
		t.Errorf("after SCRIPT FLUSH: %v", err)
	}
}
