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

// Refreshes let the replicas of an application share one refresh of a user's
// tokens: whoever comes first makes it, and everybody who has the old tokens
// gets its outcome. Without them, replicas would each use the same refresh token,
// and a provider that sees one twice takes it for stolen (RFC 9700 section
// 4.14.2). redislogin has some; what else there may be is the application's to
// write. Implementations are safe for concurrent use.
//
// Keys and outcomes are opaque, and of no use to whoever reads them.
type Refreshes interface {
	// Begin claims the refresh that key stands for, for as long as claim at most.
	// If another has claimed it, Begin waits until that one has finished, or its
	// claim is over, or ctx is. The outcome is what Finish has kept; if it is
	// empty, the refresh is now the caller's to make.
	Begin(ctx context.Context, key string, claim time.Duration) (outcome string, err error)

	// Finish ends a claim, and keeps the outcome for a while, for those who come
	// late. An empty outcome says that nothing came of it: whoever is next may try.
	Finish(ctx context.Context, key, outcome string, keep time.Duration) error
}

const (
	// A refresh is over before its claim is, and so is what follows: to put the new
	// tokens away and to tell the others, refreshPatience each.
	refreshTimeout = 22 * time.Second
	refreshClaim   = 30 * time.Second

	// refreshPatience is how long a request waits for what it could do without.
	refreshPatience = 3 * time.Second

	// outcomeKept is how long requests that carry the old tokens get the new ones:
	// those that were under way, and those of a browser that the answer with the
	// new cookie did not reach.
	outcomeKept = 5 * time.Minute

	// outcomeRefused is that the provider takes the refresh token no more.
	outcomeRefused = "refused"
)

// keptAfter is how long those who have held get fresh. If the refresh token is the
// same, so may be all that a key is made of, and the next refresh is another.
func (fresh *tokens) keptAfter(held *tokens, now time.Time) time.Duration {
	if fresh.Refresh == held.Refresh && !fresh.RefreshDue.IsZero() {
		return min(outcomeKept, fresh.RefreshDue.Sub(now))
	}
	return outcomeKept
}

// refreshKey stands for the refresh of these very tokens. It changes with each of
// them, also where the provider leaves the refresh token as it is.
func refreshKey(at *registration, t *tokens) string {
	return opaqueKey("refresh", at.id, t.Access, t.Refresh)
}

// refreshFlights are the refreshes under way in this process. Each has a
// goroutine of its own: the browser that caused it may leave, and with it would
// go a refresh token that the provider has given already.
type refreshFlights struct {
	mu      sync.Mutex
	running map[string]*refreshFlight // by key
}

// A refreshFlight is waited for by all who need its outcome.
type refreshFlight struct {
	done    chan struct{} // closed when outcome and err are final
	outcome string
	err     error
}

// wait returns the outcome, unless ctx is over before.
func (f *refreshFlight) wait(ctx context.Context) (string, error) {
	select {
	case <-f.done:
		return f.outcome, f.err
	case <-ctx.Done():
		return "", errProviderDown(ctx.Err())
	}
}

var errRefreshBroken = errors.New("the refresh broke off")

// join returns the refresh under way, or begins one. Its outcome is never empty
// without an error.
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

// What memoryRefreshes keep at most. More than that within five minutes is no
// ordinary day: then the oldest outcomes go, and a request that still carries those
// tokens uses its refresh token once more.
const (
	maxRefreshes    = 1 << 16
	maxRefreshBytes = 64 << 20
)

// memoryRefreshes are those of one process, where refreshFlights see to it that
// nobody begins what is under way.
type memoryRefreshes struct {
	now   func() time.Time
	mu    sync.Mutex
	kept  map[string]*list.Element // by key
	order list.List                // of keptOutcome, the oldest first
	bytes int
}

type keptOutcome struct {
	key, outcome string
	until        time.Time
}

func (o keptOutcome) size() int { return len(o.key) + len(o.outcome) }

// Begin implements [Refreshes].
func (m *memoryRefreshes) Begin(_ context.Context, key string, _ time.Duration) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if element := m.kept[key]; element != nil {
		if kept := element.Value.(keptOutcome); m.now().Before(kept.until) {
			return kept.outcome, nil
		}
	}
	return "", nil
}

// Finish implements [Refreshes].
func (m *memoryRefreshes) Finish(_ context.Context, key, outcome string, keep time.Duration) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.kept == nil {
		m.kept = make(map[string]*list.Element)
	}
	if former := m.kept[key]; former != nil {
		m.drop(former)
	}
	now := m.now()
	if outcome != "" {
		fresh := keptOutcome{key, outcome, now.Add(keep)}
		m.kept[key] = m.order.PushBack(fresh)
		m.bytes += fresh.size()
	}
	for oldest := m.order.Front(); oldest != nil; oldest = m.order.Front() {
		over := !now.Before(oldest.Value.(keptOutcome).until)
		if !over && len(m.kept) <= maxRefreshes && m.bytes <= maxRefreshBytes {
			break
		}
		m.drop(oldest)
	}
	return nil
}

func (m *memoryRefreshes) drop(element *list.Element) {
	gone := m.order.Remove(element).(keptOutcome)
	delete(m.kept, gone.key)
	m.bytes -= gone.size()
}
