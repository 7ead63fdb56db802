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
	// outcomeLifetime is how long a login's outcome is remembered: for double clicks,
	// reloads, and browsers that did not receive the response.
	outcomeLifetime = time.Minute

	// These are the maximum number and the maximum size of remembered outcomes. Above
	// them, the provider that has most loses its oldest.
	maxOutcomes     = 4096
	maxOutcomeBytes = 16 << 20
)

// flights lets all callbacks of one login share one outcome. Otherwise a double click or
// a reload would send the code twice. The provider refuses the second request, and may
// revoke the tokens of the first (RFC 6749 section 4.1.2).
//
// It knows the logins of this process that are in progress, or ended within
// outcomeLifetime. Only callbacks whose attempt was opened get here, so anonymous
// requests use no memory. If the second callback reaches another replica, or its outcome
// was dropped, the code is sent again and the provider decides.
type flights struct {
	now     func() time.Time
	mu      sync.Mutex
	byState map[string]*flight
	landed  []*flight // oldest first
	bytes   int       // size of landed
	shares  shares    // of providers in landed
}

// A flight is the exchange of one code, in progress or completed.
type flight struct {
	state  string
	share  string        // of its provider
	landed chan struct{} // closed when the outcome is known
	login  *outcome      // shared, so it must not be changed
	err    error
	until  time.Time
	timer  *time.Timer // frees memory; until decides whether the outcome is valid
}

// An outcome is the result of a code: a session, and the contents of its cookies.
type outcome struct {
	session  session
	login    *Login  // for OwnSessions; nil: sessions are ours
	mark     uint64  // of the login, for OwnSessions
	tokens   *tokens // nil if they are not kept
	idToken  string
	asked    string // page that the login was started for
	returnTo string // page where it ends; OnLogin may have chosen another
}

var errNotLanded = errors.New("another callback of this login was exchanging the code, and did not finish; log in again")

// join returns the result of redeem. If another callback with the same state has called
// redeem, join waits for that call's result. The context of redeem does not end with the
// request: the code works once, and the browser may already wait in a second request.
func (f *flights) join(ctx context.Context, state, share string, redeem func(context.Context) (*outcome, error)) (*outcome, error) {
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
	// Clone the state: the attempt's state shares its memory with the verifier.
	mine := &flight{state: strings.Clone(state), share: share, landed: make(chan struct{}), err: errNotLanded}
	if f.byState == nil {
		f.byState = make(map[string]*flight)
	}
	f.byState[mine.state] = mine
	f.mu.Unlock()
	var login *outcome
	err := errNotLanded
	defer func() { f.land(mine, login, err) }() // even if OnLogin panics
	login, err = redeem(context.WithoutCancel(ctx))
	return login, err
}

// outcome returns the outcome of a flight that has landed.
func (f *flights) outcome(of *flight) (*outcome, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return of.login, of.err
}

// land publishes an outcome. Errors are remembered, too, because the code may have been
// sent.
func (f *flights) land(mine *flight, login *outcome, err error) {
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
	f.count(mine, 1)
	for len(f.landed) > maxOutcomes || f.bytes > maxOutcomeBytes {
		most := f.shares.largest()
		f.drop(f.landed[slices.IndexFunc(f.landed, func(of *flight) bool { return of.share == most })])
	}
	close(mine.landed)
}

// count adds an outcome, or, with -1, takes it away. The caller holds the lock.
func (f *flights) count(of *flight, sign int) {
	f.bytes += sign * of.size()
	f.shares.add(of.share, sign*(of.size()+maxOutcomeBytes/maxOutcomes))
}

// prune drops expired outcomes. The caller holds the lock.
func (f *flights) prune() {
	for len(f.landed) > 0 && !f.now().Before(f.landed[0].until) {
		f.drop(f.landed[0])
	}
}

// drop removes an outcome, if it is remembered. The caller holds the lock.
func (f *flights) drop(of *flight) {
	i := slices.Index(f.landed, of)
	if i < 0 {
		return
	}
	of.timer.Stop()
	f.landed = slices.Delete(f.landed, i, i+1)
	f.count(of, -1)
	delete(f.byState, of.state)
}

// returnTo returns the page where the login of state ended, if it started the given
// session, and an empty string otherwise. Only that session's browser may learn the page.
func (f *flights) returnTo(state string, session *session) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.prune()
	if of := f.byState[state]; of != nil && of.login != nil && of.login.session.id == session.id {
		return of.login.returnTo
	}
	return ""
}

// landedBefore reports whether the login of state ended before t, and was for page or ended
// there.
func (f *flights) landedBefore(state, page string, t time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.prune()
	of := f.byState[state]
	return of != nil && of.login != nil && (of.login.asked == page || of.login.returnTo == page) && of.until.Add(-outcomeLifetime).Before(t)
}

// landedWith returns the outcome of the login of state, or nil if it is not remembered.
func (f *flights) landedWith(state string) (*outcome, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.prune()
	if of := f.byState[state]; of != nil && !of.until.IsZero() {
		return of.login, of.err
	}
	return nil, nil
}

// end is called when a session ends, so that no further callback starts it again. The
// code stays known as used.
func (f *flights) end(session *session) {
	f.endAll(func(of *outcome) bool { return of.session.id == session.id })
}

// endAll is end for all logins for which ended returns true.
func (f *flights) endAll(ended func(*outcome) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, of := range f.landed {
		if of.login != nil && ended(of.login) {
			f.count(of, -1)
			of.login, of.err = nil, errLoginEnded()
			f.count(of, 1)
		}
	}
}

func errLoginEnded() *Error {
	failure := fail(codeUnknownAttempt, nil)
	failure.Public = "This login has ended. Please log in again."
	return failure
}

// size returns the approximate memory use of an outcome, in bytes.
func (of *flight) size() int {
	n := 1 << 10
	if of.login == nil {
		return n
	}
	s := &of.login.session
	n += len(of.login.idToken) + len(of.login.asked) + len(of.login.returnTo) + len(s.sid) + len(s.ACR)
	n += len(s.user.Issuer) + len(s.user.Subject) + len(s.user.Name) + len(s.user.Email) + len(s.user.Picture) + len(s.user.Data)
	if s.user.claims != nil {
		n += len(s.user.claims.object)
	}
	if t := of.login.tokens; t != nil {
		n += len(t.Access) + len(t.Refresh) + len(t.Nonce) + len(t.Details)
	}
	if l := of.login.login; l != nil {
		n += len(l.Grant.Token.AccessToken) + len(l.Grant.Token.RefreshToken) + len(l.Grant.AuthorizationDetails) + len(l.Payload) + len(l.Data)
	}
	return n
}
