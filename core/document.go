package core

import (
	"context"
	"sync/atomic"
	"time"
)

const (
	documentFresh   = time.Hour       // then it is fetched anew, on use
	documentRetry   = time.Minute     // after a refresh that failed
	outagePause     = 2 * time.Second // after a first fetch that failed
	refreshPatience = 3 * time.Second // how long a login waits for a refresh it could do without
)

// A document is something that the provider publishes: its metadata, its keys.
// It is fetched on first use and kept; when it is stale, the next request that
// uses it fetches it anew, and if that fails the last good copy stays. One
// request fetches at a time, in its own context: no goroutine is left behind,
// and there is nothing to close. Safe for concurrent use; reading a fresh copy
// takes no lock.
type document[T any] struct {
	fetch func(context.Context) (*T, error)
	now   func() time.Time
	turn  chan struct{} // capacity one: held while fetching
	last  atomic.Pointer[fetched[T]]
}

// fetched is how the last fetch ended. The value, if there was one ever, stays.
type fetched[T any] struct {
	value *T
	err   error     // only without a value
	due   time.Time // when to fetch again
}

func newDocument[T any](now func() time.Time, fetch func(context.Context) (*T, error)) *document[T] {
	return &document[T]{fetch: fetch, now: now, turn: make(chan struct{}, 1)}
}

// get returns the document, fetching it if it must.
func (d *document[T]) get(ctx context.Context) (*T, error) {
	last := d.last.Load()
	if last != nil && d.now().Before(last.due) {
		return last.value, last.err
	}
	if last != nil && last.value != nil {
		select {
		case d.turn <- struct{}{}:
		default:
			return last.value, nil // somebody is fetching already
		}
	} else if err := d.wait(ctx); err != nil {
		return nil, err
	}
	defer func() { <-d.turn }()
	if now := d.last.Load(); now != last && now != nil {
		return now.value, now.err // somebody has just done it
	}
	if last == nil || last.value == nil {
		return d.refresh(ctx, last, 0)
	}
	value, err := d.refresh(ctx, last, refreshPatience)
	if err != nil {
		return last.value, nil
	}
	return value, nil
}

// renew returns a document that is newer than seen, fetching it unless somebody
// has done so meanwhile, or says why there is none.
func (d *document[T]) renew(ctx context.Context, seen *T) (*T, error) {
	if err := d.wait(ctx); err != nil {
		return nil, err
	}
	defer func() { <-d.turn }()
	last := d.last.Load()
	if last != nil && last.value != nil && last.value != seen {
		return last.value, nil
	}
	return d.refresh(ctx, last, 0)
}

func (d *document[T]) wait(ctx context.Context) error {
	select {
	case d.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return errProviderDown(ctx.Err())
	}
}

// refresh fetches, and keeps what came of it. The caller holds the turn, and
// waits no longer than patience, if that is not zero.
func (d *document[T]) refresh(ctx context.Context, last *fetched[T], patience time.Duration) (*T, error) {
	fetchCtx := ctx
	if patience > 0 {
		var cancel context.CancelFunc
		fetchCtx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	value, err := d.fetch(fetchCtx)
	switch {
	case err == nil:
		d.last.Store(&fetched[T]{value: value, due: d.now().Add(documentFresh)})
	case ctx.Err() != nil: // a browser that went away says nothing about the provider
	case last != nil && last.value != nil:
		d.last.Store(&fetched[T]{value: last.value, due: d.now().Add(documentRetry)})
	default:
		d.last.Store(&fetched[T]{err: err, due: d.now().Add(outagePause)})
	}
	return value, err
}
