// Package redislogin shares state among the replicas of an application, in
// Redis or Valkey: which sessions are revoked, and which replica refreshes a
// user's tokens. It does not store sessions.
//
// It needs Redis 6 or later, or any version of Valkey. Clusters work.
package redislogin

import (
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Shared implements core.Revocations and core.Refreshes. Create it with
// [New]. It is safe for concurrent use once its fields are set, and needs no
// closing.
//
// Shared trusts Redis. A client that can write to Redis can end sessions, and a
// lost revocation makes its sessions valid again: run Redis with
// maxmemory-policy noeviction and persistence. If Redis does not answer,
// methods return an error and never report that a session is not revoked.
type Shared struct {
	// Prefix is the prefix of every key, so that several applications can share
	// one Redis. It must not contain braces. Empty: "pixy:".
	Prefix string

	// MaxStale is how long this process caches an answer about revocations,
	// including the answer that there are none. A revocation by another replica
	// takes effect at most this much later; one by this process takes effect at
	// once. Zero: five seconds. Negative: no caching.
	MaxStale time.Duration

	client redis.UniversalClient

	mu      sync.RWMutex
	answers map[string]answer // by key
	revoked int               // number of finished calls of Revoke
	claims  map[string]string // by key: the latest claim of this process
}

// New returns a Shared that uses client. It does not close client. The client
// must read from the primary, because a replica may not have a revocation yet.
// Set timeouts on the client: they limit how long a slow Redis delays a
// request.
func New(client redis.UniversalClient) *Shared {
	return &Shared{client: client, answers: make(map[string]answer), claims: make(map[string]string)}
}

// name returns the name of a key in Redis. A kind may begin with a hash tag in
// braces: a cluster then keeps all its keys on one node, where one command can
// read several of them.
func (s *Shared) name(kind, key string) string {
	if s.Prefix == "" {
		return "pixy:" + kind + key
	}
	return s.Prefix + kind + key
}
