// Package redislogin shares among the replicas of an application, in Redis or
// Valkey, what they must know of one another: which sessions were revoked, and
// who is refreshing whose tokens. Sessions themselves are not in here.
//
// It needs Redis 6, or any Valkey, and works on a cluster too.
package redislogin

import (
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Shared is core's Revocations and its Refreshes both. Make one with [New]. It
// is safe for concurrent use once its fields are set, and has nothing to close.
//
// Redis is believed. Whoever writes there can end sessions, and a revocation
// that is lost there lets its sessions live again: have Redis evict nothing
// (maxmemory-policy noeviction) and persist what it has. An answer that it owes
// is an error, and never a no.
type Shared struct {
	// Prefix begins every key in Redis, so that several applications can share
	// one. It must not contain braces. Empty: "pixy:".
	Prefix string

	// MaxStale is for how long an answer about revocations is used again, also
	// one that there are none. A revocation by another replica takes effect here
	// that much later at most, and one by this process at once. Zero: five
	// seconds. Negative: Redis is asked each time.
	MaxStale time.Duration

	client redis.UniversalClient

	mu      sync.RWMutex
	answers map[string]answer // by key
	revoked int               // calls of Revoke that have ended
	claims  map[string]string // by key: the last that this process has made
}

// New returns a Shared that uses client, which stays the caller's to close. The
// client must ask the primary, because a replica may not know of a revocation
// yet. How long a Redis that stalls holds up a request is the client's to say.
func New(client redis.UniversalClient) *Shared {
	return &Shared{client: client, answers: make(map[string]answer), claims: make(map[string]string)}
}

// name is what Redis knows a key by. The braces have a cluster put all keys of
// a kind that begins with them in one place, where one command can ask for several.
func (s *Shared) name(kind, key string) string {
	if s.Prefix == "" {
		return "pixy:" + kind + key
	}
	return s.Prefix + kind + key
}
