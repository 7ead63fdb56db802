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
	documentFresh = time.Hour       // after that, the next use fetches it again
	documentRetry = time.Minute     // after a failed fetch, if there is an old copy
	outagePause   = 2 * time.Second // after a failed fetch, if there is none
	patience      = 3 * time.Second // how long a request waits for something it does not need
)

// A document is a document that the provider publishes: its metadata or its keys. It is
// fetched on first use and kept. When it is stale, the next use fetches it again. If
// that fails, the last good copy stays.
//
// There is one fetch at a time. It has its own goroutine and context, so a canceled
// request does not cancel the fetch that other requests wait for. It ends within the
// client's timeout, so there is nothing to close. A document is safe for concurrent use.
// Reading a fresh copy takes no lock.
type document[T any] struct {
	load func(context.Context) (*T, error) // one call at a time
	now  func() time.Time
	last atomic.Pointer[fetched[T]]

	mu    sync.Mutex // guards fetch; never held during one
	fetch *fetch[T]  // under way, or nil
}

// fetched is the result of the last fetch. A failed fetch keeps the value of the last
// good one.
type fetched[T any] struct {
	value *T
	err   error     // nil if there is a value
	due   time.Time // when to fetch again
}

func (f *fetched[T]) usable() bool { return f != nil && f.value != nil }

// A fetch is one fetch of a document. All requests that need it wait for it.
type fetch[T any] struct {
	done  chan struct{} // closed when value and err are final
	value *T
	err   error
}

func newDocument[T any](now func() time.Time, load func(context.Context) (*T, error)) *document[T] {
	return &document[T]{load: load, now: now}
}

// get returns the document. It fetches it if it is missing or stale.
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

// renew returns a document that is newer than seen, a result of get, or an error. mine
// reports whether the fetch began with this call, not before it.
func (d *document[T]) renew(ctx context.Context, seen *T) (value *T, mine bool, err error) {
	last := d.last.Load()
	if last.value != seen {
		return last.value, false, nil
	}
	fetch, mine := d.join(ctx, last)
	value, err = fetch.wait(ctx)
	return value, mine, err
}

// join returns the fetch under way, or begins one. If a fetch has ended since last was
// read, join returns its result.
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

// run makes the fetch and stores its result.
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

// wait returns the result of f, or an error if ctx is done first.
func (f *fetch[T]) wait(ctx context.Context) (*T, error) {
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		return nil, unavailable(ctx.Err())
	}
}
