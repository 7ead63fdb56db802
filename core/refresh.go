package core

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/pixyauth/pixy/core/internal/provider"
	"github.com/pixyauth/pixy/core/internal/vault"
)

// maxLate bounds how many answers in a row may have been lost.
const maxLate = 4

// refresher has tokens refreshed when it is time to (RFC 6749 section 6).
type refresher struct {
	flights  refreshFlights
	shared   Refreshes
	sessions *sessionKeeper
	tokens   *tokenKeeper
	hints    *logoutHints
	log      func(*http.Request, *Error)
	now      func() time.Time

	lazy sync.Mutex // of all attached.tokens that the guard has left out
}

// requestTokens are the tokens of one request, for whatever runs behind the guard.
type requestTokens struct {
	keeper  *tokenKeeper
	request *http.Request
	session *session
	turn    sync.Mutex // of refreshes on demand

	mu     sync.Mutex
	read   bool
	came   *tokens // what was read
	tokens *tokens // nil: not read yet, or none
	err    error
}

// get reads the tokens, once. After that they are what a refresh has left here.
func (t *requestTokens) get() (*tokens, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.read {
		t.read = true
		t.came, t.err = t.keeper.load(t.request, t.session)
		t.tokens = t.came
	}
	return t.tokens, t.err
}

// set puts what has come of a refresh into the place of what was read.
func (t *requestTokens) set(fresh *tokens, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tokens, t.err = fresh, err
}

// of returns the tokens of a request. Most need none, and the guard has made none.
func (f *refresher) of(found *attached) *requestTokens {
	f.lazy.Lock()
	defer f.lazy.Unlock()
	if found.tokens == nil {
		found.tokens = &requestTokens{keeper: f.tokens, request: found.request, session: found.session}
	}
	return found.tokens
}

// guard refreshes the tokens of found if that is due, before anything is written:
// new tokens are kept before anybody uses them. An outage is no error as long as
// the session goes on: [TokenSource] tells whoever needs a token. [ErrNoSession]
// says that the session has ended. Without an error and without tokens, nobody has
// had a look at them.
func (f *refresher) guard(w http.ResponseWriter, r *http.Request, found *session) (*requestTokens, error) {
	if !f.tokens.kept || found.refreshDue == 0 || found.opened < found.refreshDue {
		return nil, nil
	}
	mine := &requestTokens{keeper: f.tokens, request: r, session: found}
	held, err := mine.get()
	switch {
	case err != nil:
		return mine, nil // and get says why
	case held == nil || held.Refresh == "":
		return nil, f.lost(w, r, found)
	case f.now().Before(held.RefreshDue): // the session is behind its tokens
		found.refreshDue = instantOf(held.RefreshDue)
		f.report(r, found, f.sessions.renew(w, r, found))
		return mine, nil
	}
	fresh, err := f.refreshed(r, found, held, false)
	if ended := f.settle(w, r, found, mine, fresh, err); ended != nil {
		return nil, ended
	}
	return mine, nil
}

// lost is for a session whose refresh is due and whose tokens are not there, or do
// not open. It ends: without them the provider is never asked whether the login
// goes on. One whose tokens another request has given up, or refreshed, does not.
func (f *refresher) lost(w http.ResponseWriter, r *http.Request, found *session) error {
	switch now, err := f.sessions.load(r); {
	case err != nil:
		return err
	case now == nil:
		return ErrNoSession
	case now.refreshDue == 0 || found.opened < now.refreshDue:
		found.refreshDue = now.refreshDue
		return nil
	}
	f.report(r, found, errTokensLost())
	return f.end(w, r, found)
}

// settle puts what has come of a refresh where the next requests find it. The
// refresh may have taken long enough for a logout, and for another login: an error
// says that the session has ended, or that nobody knows.
func (f *refresher) settle(w http.ResponseWriter, r *http.Request, found *session, mine *requestTokens, fresh *tokens, failed error) error {
	gone, err := f.sessions.gone(r, found)
	switch {
	case err != nil:
	case gone:
		err = ErrNoSession
	case errors.Is(failed, ErrNoSession):
		err = f.end(w, r, found)
	}
	if err != nil {
		mine.set(nil, errNoToken("the session has ended, or cannot be read"))
		return err
	}
	if held, _ := mine.get(); fresh != held {
		f.adopt(w, r, found, mine, fresh)
	}
	mine.set(fresh.kept(), failed)
	return nil
}

// refreshed returns the tokens that have come of held, or held and why none have.
// [ErrNoSession] says that the provider takes the refresh token no more. An
// outcome that was kept for who comes late may have expired meanwhile, and is
// refreshed in its turn.
func (f *refresher) refreshed(r *http.Request, found *session, held *tokens, wait bool) (*tokens, error) {
	for range maxLate {
		fresh, err := f.refreshOnce(r, found, held, wait)
		if err != nil {
			return held, err
		}
		fresh.IDToken = cmp.Or(fresh.IDToken, held.IDToken)
		if held = fresh; !held.expired(f.now()) || held.Refresh == "" {
			break
		}
	}
	return held, nil
}

func (f *refresher) refreshOnce(r *http.Request, found *session, held *tokens, wait bool) (*tokens, error) {
	if err := found.registration.outage.pauses(f.now()); err != nil {
		return nil, err
	}
	key := refreshKey(found.registration, held)
	outcome, err := f.join(r, key, found, held, wait)
	if err != nil {
		return nil, err
	}
	if err := f.failure(key, outcome); err != nil {
		return nil, err
	}
	fresh := f.tokens.open(key, outcome)
	if fresh == nil {
		return nil, errRefreshesDown(errors.New("an outcome does not open; do all replicas have each other's session keys?"))
	}
	return fresh, nil
}

// join waits for the refresh of held: as long as it takes if the access token is
// of no use any more, or if wait says so, and not so long if the request can do
// with it.
func (f *refresher) join(r *http.Request, key string, found *session, held *tokens, wait bool) (string, error) {
	ctx := r.Context()
	if !wait && !held.expired(f.now()) {
		patient, cancel := context.WithTimeout(ctx, refreshPatience)
		defer cancel()
		ctx = patient
	}
	detached := r.Clone(context.WithoutCancel(r.Context()))
	detached.Body = http.NoBody
	of := *found // the refresh may outlive the request
	return f.flights.join(key, func() (string, error) {
		outcome, err := f.run(detached, key, &of, held)
		return outcome, f.report(detached, &of, err) // who shows it shows the line's reference
	}).wait(ctx)
}

// run refreshes, unless another replica has done so, and keeps what came of it
// before it tells anybody. However long the claim took to get, there is time for
// what the provider says: the refresh token is spent by then.
func (f *refresher) run(r *http.Request, key string, of *session, held *tokens) (string, error) {
	waiting, cancel := context.WithTimeout(r.Context(), refreshClaim)
	defer cancel()
	outcome, err := f.shared.Begin(waiting, key, refreshClaim)
	if err != nil {
		return "", errRefreshesDown(err)
	}
	if outcome != "" {
		f.keep(r, of, f.tokens.open(key, outcome))
		return outcome, nil
	}
	ctx, cancel := context.WithTimeout(r.Context(), refreshTimeout)
	defer cancel()
	outcome, keep, err := f.redeem(r.WithContext(ctx), key, of, held)
	if err == nil {
		f.keep(r, of, f.tokens.open(key, outcome))
	}
	telling, cancel := context.WithTimeout(r.Context(), refreshPatience)
	defer cancel()
	if err := f.shared.Finish(telling, key, outcome, keep); err != nil {
		f.report(r, of, errRefreshesDown(err)) // whoever waits here has it all the same
	}
	return outcome, err
}

// redeem asks the provider, and says for how long the outcome is to be kept. A
// refusal is an outcome, too, and logged here.
func (f *refresher) redeem(r *http.Request, key string, of *session, held *tokens) (string, time.Duration, error) {
	at := of.registration
	fresh, err := at.refresh(r.Context(), held, of)
	if err == nil {
		at.outage.succeeded()
		fresh.Refreshed = f.now()
		return f.tokens.sealer.Seal(key, fresh.encode()), fresh.keptAfter(held, f.now()), nil
	}
	if refused := new(Error); errors.As(err, &refused) && (refused.Code == provider.CodeRefreshRefused || refused.Code == provider.CodeIDToken) {
		at.outage.succeeded()
		f.report(r, of, err)
		return outcomeRefused, outcomeKept, nil
	}
	if saysOutage(err) {
		at.outage.failed(key, err, f.now())
	}
	return f.failed(key, err), refreshPause, err
}

// keep puts new tokens away, for all requests if they are in a Store.
func (f *refresher) keep(r *http.Request, of *session, fresh *tokens) {
	if fresh == nil {
		return // refused
	}
	ctx, cancel := context.WithTimeout(r.Context(), refreshPatience) // a Store that hangs must not keep the outcome from the others
	defer cancel()
	f.store(vault.Hold(), r.WithContext(ctx), of, fresh)
}

// adopt has the browser of r go on with fresh tokens, if it still has those that it
// came with: what is in cookies is for each request to set, also if a Store put it
// there.
func (f *refresher) adopt(w http.ResponseWriter, r *http.Request, found *session, mine *requestTokens, fresh *tokens) {
	if fresh.IDToken != "" { // in a Store the tokens may be new already; the hint is for this answer to set
		f.hints.renew(w, r, found, fresh.IDToken)
	}
	found.refreshDue = instantOf(fresh.RefreshDue)
	if now, err := f.tokens.load(r, found); err == nil && now != nil && *now == *mine.came {
		f.store(w, r, found, fresh)
	}
}

// store puts tokens away, and when their session has to refresh them. If they
// were smaller at login and do not fit any more, it goes on without: the former
// ones are of no use.
func (f *refresher) store(w http.ResponseWriter, r *http.Request, of *session, fresh *tokens) {
	of.refreshDue = instantOf(fresh.RefreshDue)
	held := vault.Hold()
	err := f.tokens.vault.Renew(held, r, f.tokens.seal(of, fresh), of.ends.time().Sub(f.now()))
	if !errors.Is(err, vault.ErrTooLarge) {
		if err != nil {
			f.report(r, of, errStoreDown(err))
		}
		f.report(r, of, f.sessions.renew(held, r, of))
		if err = held.CheckSize(); err == nil {
			held.Release(w)
			keepFromCaches(w.Header())
			return
		}
	}
	f.report(r, of, errTokensTooLarge(err))
	of.refreshDue = 0 // never: otherwise a session without tokens ends
	if err := f.sessions.renew(w, r, of); err != nil {
		f.report(r, of, err)
		return
	}
	f.report(r, of, f.tokens.end(w, r))
}

// end is for a session whose user the provider does not vouch for any more.
func (f *refresher) end(w http.ResponseWriter, r *http.Request, found *session) error {
	if err := f.sessions.end(w, r, found); err != nil {
		return err
	}
	f.report(r, found, f.tokens.end(w, r)) // what may be left is of no use
	return ErrNoSession
}

// report logs what does not stop the request of a session, and returns it with its
// reference.
func (f *refresher) report(r *http.Request, of *session, err error) error {
	if err == nil {
		return nil
	}
	failure := asError(err)
	failure.from = of.registration
	f.log(r, failure)
	return failure
}
