package core

import (
	"context"
	"errors"
	"sync"
)

// flights lets callbacks of one login that come at the same moment share one
// outcome. A double click, or a reload while the page is still loading, would
// otherwise send the code twice: the provider refuses the second, and may then
// revoke what it gave for the first (RFC 6749 section 4.1.2).
//
// It knows of what is being redeemed in this process now, and of nothing else.
// Only an attempt that has been opened gets in here, so strangers take no room.
// If the second callback reaches another replica, the provider decides.
type flights struct {
	mu      sync.Mutex
	running map[string]*flight // by state
}

// flight is one code being redeemed.
type flight struct {
	landed   chan struct{} // closed when identity and err are final
	identity *identity     // shared: nobody may change it
	err      error
}

var errNotLanded = errors.New("the callback that was redeeming this login's code broke off")

// join returns what redeem returns, calling it unless another callback with
// the same state is doing so already. The context that redeem gets does not end
// with the request: once the code is sent it is spent, and if the browser has
// left, it may be back already and be waiting here.
func (f *flights) join(ctx context.Context, state string, redeem func(context.Context) (*identity, error)) (*identity, error) {
	f.mu.Lock()
	if other := f.running[state]; other != nil {
		f.mu.Unlock()
		select {
		case <-other.landed:
			return other.identity, other.err
		case <-ctx.Done():
			return nil, errProviderDown(ctx.Err())
		}
	}
	mine := &flight{landed: make(chan struct{}), err: errNotLanded}
	if f.running == nil {
		f.running = make(map[string]*flight)
	}
	f.running[state] = mine
	f.mu.Unlock()
	defer func() { // also if OnLogin panics
		f.mu.Lock()
		delete(f.running, state)
		f.mu.Unlock()
		close(mine.landed)
	}()
	mine.identity, mine.err = redeem(context.WithoutCancel(ctx))
	return mine.identity, mine.err
}
