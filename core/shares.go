package core

import (
	"sync"
	"time"
)

// shares count how much of a bounded memory each looked-up provider uses. When it is full,
// the provider that uses most loses its oldest entry. So a customer with many logins, or a
// hostile one, takes no room from others. Listed providers have one share, named "".
type shares map[string]int

// add changes the share of a provider.
func (s *shares) add(name string, n int) {
	if *s == nil {
		*s = make(shares)
	}
	if (*s)[name] += n; (*s)[name] == 0 {
		delete(*s, name)
	}
}

// largest returns who has the largest share.
func (s shares) largest() (name string) {
	most := 0
	for of, n := range s {
		if n > most {
			name, most = of, n
		}
	}
	return name
}

const (
	// A looked-up provider may send this many logout tokens at once, and then one in each
	// logoutPause: a hostile one could sign tokens without end, and each is remembered.
	maxLogouts  = 10_000
	logoutPause = time.Second
)

// A pace limits how often something happens. The zero value has its full allowance.
type pace struct {
	mu   sync.Mutex
	used time.Time // when the allowance is full again
}

// allows reports whether there is an allowance left, and uses it.
func (p *pace) allows(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used.Before(now) {
		p.used = now
	}
	if p.used.Sub(now) >= maxLogouts*logoutPause {
		return false
	}
	p.used = p.used.Add(logoutPause)
	return true
}

// recent remembers keys for at least outcomeLifetime, if no more than maxOutcomes of a
// provider are new. If there are too many of all, the provider with most forgets some.
type recent struct {
	mu     sync.Mutex
	shares shares
	all    int
	of     map[string]*recentKeys // by provider
}

type recentKeys struct {
	since        time.Time
	keys, former map[string]bool
}

// before reports whether a key of a provider is known. From then on it is.
func (r *recent) before(provider, key string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	mine := r.of[provider]
	if mine == nil {
		if r.of == nil {
			r.of = make(map[string]*recentKeys)
		}
		mine = &recentKeys{since: now}
		r.of[provider] = mine
	}
	if now.Sub(mine.since).Abs() >= outcomeLifetime || len(mine.keys) >= maxOutcomes {
		r.age(provider, now)
		r.of[provider] = mine
	}
	known := mine.keys[key] || mine.former[key]
	if !mine.keys[key] {
		if mine.keys == nil {
			mine.keys = make(map[string]bool)
		}
		mine.keys[key] = true
		r.count(provider, 1)
	}
	for r.all > 4*maxOutcomes {
		r.age(r.shares.largest(), now)
	}
	return known
}

// age forgets the older keys of a provider.
func (r *recent) age(provider string, now time.Time) {
	of := r.of[provider]
	r.count(provider, -len(of.former))
	if of.former, of.keys, of.since = of.keys, nil, now; len(of.former) == 0 {
		delete(r.of, provider)
	}
}

func (r *recent) count(provider string, n int) {
	r.all += n
	r.shares.add(provider, n)
}
