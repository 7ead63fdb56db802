package core

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// Refreshes lets the replicas of an application share one refresh of a user's tokens.
// The first request makes the refresh. All requests with the old tokens get its outcome.
// Without Refreshes, each replica would use the same refresh token. A provider that sees
// a refresh token twice treats it as stolen (RFC 9700 section 4.14.2).
//
// Package redislogin has an implementation, and an application can write its own.
// Implementations must be safe for concurrent use. Keys and outcomes are opaque, and of
// no use to a reader of the storage.
type Refreshes interface {
	// Begin claims the refresh of key for at most the duration claim. If another
	// caller has claimed it, Begin waits until that caller calls Finish, its claim
	// expires, or ctx is done. The outcome is the one that Finish kept. If it is
	// empty and the error is nil, the caller holds the claim and makes the refresh.
	Begin(ctx context.Context, key string, claim time.Duration) (outcome string, err error)

	// Finish ends a claim, and keeps the outcome for the duration keep, for late
	// requests. An empty outcome means that the refresh had no result: the next caller
	// may try.
	Finish(ctx context.Context, key, outcome string, keep time.Duration) error
}

const (
	// A refresh ends before its claim does. The claim also covers the two steps that
	// follow, of refreshPatience each: storing the new tokens, and calling Finish.
	refreshTimeout = 22 * time.Second
	refreshClaim   = 30 * time.Second

	// refreshPatience is how long a request waits for something it does not need.
	refreshPatience = 3 * time.Second

	// outcomeKept is how long requests with the old tokens get the new ones: requests
	// that were already under way, and requests of a browser that did not receive the
	// response with the new cookie.
	outcomeKept = 5 * time.Minute

	// outcomeRefused means that the provider refuses the refresh token.
	outcomeRefused = "refused"
)

// keptAfter returns how long requests with held get fresh. If the refresh token did
// not change, the key of the next refresh may be the same, so the outcome must not
// outlast the time when that refresh is due.
func (fresh *tokens) keptAfter(held *tokens, now time.Time) time.Duration {
	if fresh.Refresh == held.Refresh && !fresh.RefreshDue.IsZero() {
		return min(outcomeKept, fresh.RefreshDue.Sub(now))
	}
	return outcomeKept
}

// refreshKey identifies the refresh of exactly these tokens for one user. It changes if
// either token changes, so also if the provider keeps the refresh token. The user is part
// of it, because the ID token was checked for that user.
func refreshKey(of *owner, t *tokens) string {
	return opaqueKey("refresh", of.id(), of.issuer, of.subject, t.Access, t.Refresh)
}

// refreshFlights are the refreshes under way in this process. Each has its own
// goroutine: if the browser cancels its request, the refresh must not be canceled, or
// the new refresh token would be lost.
type refreshFlights struct {
	mu      sync.Mutex
	running map[string]*refreshFlight // by key
}

// A refreshFlight is one refresh under way. All requests that need its outcome wait
// for it.
type refreshFlight struct {
	done    chan struct{} // closed when outcome and err are final
	outcome string
	err     error
}

// wait returns the outcome, or an error if ctx is done first.
func (f *refreshFlight) wait(ctx context.Context) (string, error) {
	select {
	case <-f.done:
		return f.outcome, f.err
	case <-ctx.Done():
		return "", errProviderDown(ctx.Err())
	}
}

var errRefreshBroken = errors.New("the refresh broke off")

// join returns the refresh under way, or begins one with run.
func (f *refreshFlights) join(key string, run func() (string, error)) *refreshFlight {
	f.mu.Lock()
	defer f.mu.Unlock()
	if other := f.running[key]; other != nil {
		return other
	}
	if f.running == nil {
		f.running = make(map[string]*refreshFlight)
	}
	mine := &refreshFlight{done: make(chan struct{}), err: errProviderDown(errRefreshBroken)}
	f.running[key] = mine
	go f.land(key, mine, run)
	return mine
}

func (f *refreshFlights) land(key string, mine *refreshFlight, run func() (string, error)) {
	defer func() {
		if cause := recover(); cause != nil { // in a goroutine of ours, a panic would end the program
			mine.err = errProviderDown(fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
		}
		f.mu.Lock()
		delete(f.running, key)
		f.mu.Unlock()
		close(mine.done)
	}()
	outcome, err := run()
	mine.outcome, mine.err = outcome, err
}

func errRefreshesDown(err error) *Error {
	return fail(codeRefreshes, fmt.Errorf("refreshes: %w", err))
}

// The limits of memoryRefreshes. More outcomes than that within five minutes are not
// normal load. Then the provider that has most loses its oldest outcomes, and a request
// that still has those tokens uses its refresh token again.
const (
	maxRefreshes    = 1 << 16
	maxRefreshBytes = 64 << 20
)

// memoryRefreshes implements [Refreshes] for one process. It has no claims, because
// refreshFlights already make one refresh at a time.
type memoryRefreshes struct {
	now   func() time.Time
	mu    sync.Mutex
	kept  map[string]*list.Element // by key
	order list.List                // of *keptOutcome, the oldest first
	bytes int

	shares  shares
	byShare map[string]*list.List // of elements of order
}

type keptOutcome struct {
	key, outcome, share string
	until               time.Time
	place               *list.Element // in the list of its share
}

func (o *keptOutcome) size() int { return len(o.key) + len(o.outcome) }

// A refreshesShare is what the users of one share have of memoryRefreshes.
type refreshesShare struct {
	*memoryRefreshes
	name string
}

// Finish implements [Refreshes].
func (s refreshesShare) Finish(_ context.Context, key, outcome string, keep time.Duration) error {
	s.finish(s.name, key, outcome, keep)
	return nil
}

// Begin implements [Refreshes].
func (m *memoryRefreshes) Begin(_ context.Context, key string, _ time.Duration) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if element := m.kept[key]; element != nil {
		if kept := element.Value.(*keptOutcome); m.now().Before(kept.until) {
			return kept.outcome, nil
		}
	}
	return "", nil
}

// Finish implements [Refreshes].
func (m *memoryRefreshes) Finish(_ context.Context, key, outcome string, keep time.Duration) error {
	m.finish("", key, outcome, keep)
	return nil
}

func (m *memoryRefreshes) finish(share, key, outcome string, keep time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept == nil {
		m.kept, m.byShare = make(map[string]*list.Element), make(map[string]*list.List)
	}
	if former := m.kept[key]; former != nil {
		m.drop(former)
	}
	now := m.now()
	if outcome != "" {
		m.add(&keptOutcome{key: key, outcome: outcome, share: share, until: now.Add(keep)})
	}
	for oldest := m.order.Front(); oldest != nil && !now.Before(oldest.Value.(*keptOutcome).until); oldest = m.order.Front() {
		m.drop(oldest)
	}
	for len(m.kept) > maxRefreshes || m.bytes > maxRefreshBytes {
		m.drop(m.byShare[m.shares.largest()].Front().Value.(*list.Element))
	}
}

func (m *memoryRefreshes) add(fresh *keptOutcome) {
	element := m.order.PushBack(fresh)
	m.kept[fresh.key] = element
	mine := m.byShare[fresh.share]
	if mine == nil {
		mine = list.New()
		m.byShare[fresh.share] = mine
	}
	fresh.place = mine.PushBack(element)
	m.count(fresh, 1)
}

func (m *memoryRefreshes) drop(element *list.Element) {
	gone := m.order.Remove(element).(*keptOutcome)
	delete(m.kept, gone.key)
	mine := m.byShare[gone.share]
	if mine.Remove(gone.place); mine.Len() == 0 {
		delete(m.byShare, gone.share)
	}
	m.count(gone, -1)
}

// count adds an outcome, or, with -1, takes it away.
func (m *memoryRefreshes) count(of *keptOutcome, sign int) {
	m.bytes += sign * of.size()
	m.shares.add(of.share, sign*(of.size()+maxRefreshBytes/maxRefreshes))
}
