package provider

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

const (
	documentFresh = time.Hour       // then it is fetched anew, on use
	documentRetry = time.Minute     // after a refresh that failed
	outagePause   = 2 * time.Second // after a first fetch that failed
	patience      = 3 * time.Second // how long a request waits for what it could do without
)

// A document is something that the provider publishes: its metadata, its keys.
// It is fetched on first use and kept; when it is stale, the next request that
// uses it has it fetched anew, and if that fails the last good copy stays.
//
// There is one fetch at a time. It belongs to nobody: it has a goroutine and a
// context of its own, so that a browser which goes away spoils nothing for the
// others who wait, and each of them waits no longer than the fetch. It ends by
// itself within the client's time-out: there is nothing to close. Safe for
// concurrent use; reading a fresh copy takes no lock.
type document[T any] struct {
	load func(context.Context) (*T, error) // never called twice at a time
	now  func() time.Time
	last atomic.Pointer[fetched[T]]

	mu    sync.Mutex // guards fetch; never held during one
	fetch *fetch[T]  // under way, or nil
}

// fetched is what the last fetch left. The value, if there was one ever, stays.
type fetched[T any] struct {
	value *T
	err   error     // only without a value
	due   time.Time // when to fetch again
}

func (f *fetched[T]) usable() bool { return f != nil && f.value != nil }

// A fetch is waited for by all who need it.
type fetch[T any] struct {
	done  chan struct{} // closed when value and err are final
	value *T
	err   error
}

func newDocument[T any](now func() time.Time, load func(context.Context) (*T, error)) *document[T] {
	return &document[T]{load: load, now: now}
}

// get returns the document, fetching it if it must.
func (d *document[T]) get(ctx context.Context) (*T, error) {
	last := d.last.Load()
	if last != nil && d.now().Before(last.due) {
		return last.value, last.err
	}
	fetch, mine := d.join(ctx, last)
	if !last.usable() {
		return fetch.wait(ctx)
	}
	if !mine {
		return last.value, nil
	}
	patient, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if value, err := fetch.wait(patient); err == nil {
		return value, nil
	}
	return last.value, nil
}

// renew returns a document that is newer than seen, which get has returned, or
// says why there is none. Mine tells that it was fetched for this call, and
// not for one that came before.
func (d *document[T]) renew(ctx context.Context, seen *T) (value *T, mine bool, err error) {
	last := d.last.Load()
	if last.value != seen {
		return last.value, false, nil
	}
	fetch, mine := d.join(ctx, last)
	value, err = fetch.wait(ctx)
	return value, mine, err
}

// join returns the fetch under way, or begins one. If one has ended since last
// was there, it is that one.
func (d *document[T]) join(ctx context.Context, last *fetched[T]) (f *fetch[T], mine bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fetch != nil {
		return d.fetch, false
	}
	f = &fetch[T]{done: make(chan struct{})}
	if now := d.last.Load(); now != last {
		f.value, f.err = now.value, now.err
		close(f.done)
		return f, false
	}
	d.fetch = f
	go d.run(context.WithoutCancel(ctx), f, last)
	return f, true
}

// run fetches, and keeps what came of it.
func (d *document[T]) run(ctx context.Context, f *fetch[T], last *fetched[T]) {
	defer d.end(f, last)
	defer func() { // in a goroutine of ours, a panic would end the program
		if cause := recover(); cause != nil {
			f.value, f.err = nil, unavailable(fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
		}
	}()
	f.err = unavailable(errors.New("the fetch did not return")) // [runtime.Goexit], in a test
	f.value, f.err = d.load(ctx)
}

func (d *document[T]) end(f *fetch[T], last *fetched[T]) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch now := d.now(); {
	case f.err == nil:
		d.last.Store(&fetched[T]{value: f.value, due: now.Add(documentFresh)})
	case last.usable():
		d.last.Store(&fetched[T]{value: last.value, due: now.Add(documentRetry)})
	default:
		d.last.Store(&fetched[T]{err: f.err, due: now.Add(outagePause)})
	}
	d.fetch = nil
	close(f.done)
}

// wait returns what came of f, unless ctx is over before.
func (f *fetch[T]) wait(ctx context.Context) (*T, error) {
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		return nil, unavailable(ctx.Err())
	}
}
