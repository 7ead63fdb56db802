package core

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// outcomeLifetime is how long the outcome of a login is remembered: for a double
	// click, a reload, and a browser that asks again because it has seen no answer.
	outcomeLifetime = time.Minute

	// At most this many outcomes are remembered, and this many bytes of them. The
	// oldest goes when another comes.
	maxOutcomes     = 4096
	maxOutcomeBytes = 16 << 20
)

// flights lets the callbacks of one login share one outcome. A double click, or a
// reload, would otherwise send the code twice: the provider refuses the second, and
// may then revoke what it gave for the first (RFC 6749 section 4.1.2).
//
// It knows what is being redeemed in this process, and what has been within
// outcomeLifetime. Only an attempt that has been opened gets in here, so anonymous
// requests take no room. If the second callback reaches another replica, or comes
// after its outcome has made room, the provider decides.
type flights struct {
	now     func() time.Time
	mu      sync.Mutex
	byState map[string]*flight
	landed  []*flight // in the order of landing
	bytes   int       // of those
}

// flight is one code being redeemed, or one that has been.
type flight struct {
	state  string
	landed chan struct{} // closed when the outcome is there
	login  *login        // shared: nobody may change it
	err    error
	until  time.Time
	timer  *time.Timer // frees the memory; until is what counts
}

// A login is what comes of a code: a session, and what its cookies are made of.
type login struct {
	session  session
	tokens   *tokens // nil if they are not kept
	idToken  string
	returnTo string
}

var errNotLanded = errors.New("the callback that was redeeming this login's code broke off")

// join returns what redeem returns, calling it unless another callback with
// the same state is doing so, or has. The context that redeem gets does not end
// with the request: once the code is sent it is spent, and if the browser has
// left, it may be back already and be waiting here.
func (f *flights) join(ctx context.Context, state string, redeem func(context.Context) (*login, error)) (*login, error) {
	f.mu.Lock()
	f.prune()
	if other := f.byState[state]; other != nil {
		f.mu.Unlock()
		select {
		case <-other.landed:
			return f.outcome(other)
		case <-ctx.Done():
			return nil, errProviderDown(ctx.Err())
		}
	}
	// A state of its own: the attempt's shares memory with the verifier.
	mine := &flight{state: strings.Clone(state), landed: make(chan struct{}), err: errNotLanded}
	if f.byState == nil {
		f.byState = make(map[string]*flight)
	}
	f.byState[mine.state] = mine
	f.mu.Unlock()
	var login *login
	err := errNotLanded
	defer func() { f.land(mine, login, err) }() // also if OnLogin panics
	login, err = redeem(context.WithoutCancel(ctx))
	return login, err
}

// outcome returns that of a flight that has landed.
func (f *flights) outcome(of *flight) (*login, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return of.login, of.err
}

// land makes an outcome known. All are remembered, also errors: the code may have
// been sent.
func (f *flights) land(mine *flight, login *login, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	mine.login, mine.err = login, err
	mine.until = f.now().Add(outcomeLifetime)
	mine.timer = time.AfterFunc(outcomeLifetime, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.drop(mine)
	})
	f.landed = append(f.landed, mine)
	f.bytes += mine.size()
	for len(f.landed) > maxOutcomes || f.bytes > maxOutcomeBytes {
		f.drop(f.landed[0])
	}
	close(mine.landed)
}

// prune drops what is over. The caller holds the lock.
func (f *flights) prune() {
	for len(f.landed) > 0 && !f.now().Before(f.landed[0].until) {
		f.drop(f.landed[0])
	}
}

// drop forgets an outcome, if it is remembered. The caller holds the lock.
func (f *flights) drop(of *flight) {
	i := slices.Index(f.landed, of)
	if i < 0 {
		return
	}
	of.timer.Stop()
	f.landed = slices.Delete(f.landed, i, i+1)
	f.bytes -= of.size()
	delete(f.byState, of.state)
}

// returnTo is where the login of state has ended, if session is what it began, and
// empty otherwise: only that session's browser may know.
func (f *flights) returnTo(state string, session *session) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.prune()
	if of := f.byState[state]; of != nil && of.login != nil && of.login.session.id == session.id {
		return of.login.returnTo
	}
	return ""
}

// landedBefore reports whether the login of state has ended at returnTo before a time.
func (f *flights) landedBefore(state, returnTo string, t time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.prune()
	of := f.byState[state]
	return of != nil && of.login != nil && of.login.returnTo == returnTo && of.until.Add(-outcomeLifetime).Before(t)
}

// end is called when a session ends: no callback begins it again. Its code stays
// known as spent.
func (f *flights) end(session *session) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, of := range f.landed {
		if of.login != nil && of.login.session.id == session.id {
			f.bytes -= of.size()
			of.login, of.err = nil, errLoginEnded()
			f.bytes += of.size()
		}
	}
}

func errLoginEnded() *Error {
	failure := fail(codeUnknownAttempt, nil)
	failure.Public = "This login has ended. Please log in again."
	return failure
}

// size is about how much memory an outcome takes.
func (of *flight) size() int {
	n := 1 << 10
	if of.login == nil {
		return n
	}
	s := &of.login.session
	n += len(of.login.idToken) + len(of.login.returnTo) + len(s.sid) + len(s.ACR)
	n += len(s.user.Issuer) + len(s.user.Subject) + len(s.user.Name) + len(s.user.Email) + len(s.user.Picture)
	if s.user.claims != nil {
		n += len(s.user.claims.object)
	}
	if t := of.login.tokens; t != nil {
		n += len(t.Access) + len(t.Refresh) + len(t.Nonce)
	}
	return n
}
