package core

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// maxLate bounds how many answers in a row may have been lost.
const maxLate = 4

var errRefreshPauses = errors.New("refreshes pause after one that failed")

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

	once   sync.Once
	tokens *tokens // nil: not read yet, or none
	err    error
}

// get reads the tokens, once. After that they are what a refresh has left here.
func (t *requestTokens) get() (*tokens, error) {
	t.once.Do(func() { t.tokens, t.err = t.keeper.load(t.request, t.session) })
	return t.tokens, t.err
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
// says that the provider has ended the session. Without an error and without
// tokens, nobody has had a look at them.
func (f *refresher) guard(w http.ResponseWriter, r *http.Request, found *session) (*requestTokens, error) {
	if !f.tokens.kept || found.refreshDue == 0 || found.opened < found.refreshDue {
		return nil, nil
	}
	mine := &requestTokens{keeper: f.tokens, request: r, session: found}
	held, err := mine.get()
	if err != nil || held == nil || held.refresh == "" {
		return mine, nil // and get says why
	}
	if f.now().Before(held.refreshDue) { // the session is behind its tokens
		found.refreshDue = instantOf(held.refreshDue)
		f.report(r, f.sessions.renew(w, r, found))
		return mine, nil
	}
	mine.tokens, mine.err = f.refreshed(r, found, held)
	// It may have taken long enough for a logout, and for another login.
	switch gone, err := f.sessions.gone(r, found); {
	case err != nil:
		return nil, err
	case gone:
		return nil, ErrNoSession
	case errors.Is(mine.err, ErrNoSession):
		return nil, f.end(w, r, found)
	}
	if mine.tokens != held {
		f.adopt(w, r, found, held, mine.tokens)
	}
	return mine, nil
}

// refreshed returns the tokens that have come of held, or held and why none have.
// [ErrNoSession] says that the provider takes the refresh token no more. An
// outcome that was kept for who comes late may have expired meanwhile, and is
// refreshed in its turn.
func (f *refresher) refreshed(r *http.Request, found *session, held *tokens) (*tokens, error) {
	for range maxLate {
		fresh, err := f.refreshOnce(r, found, held)
		if err != nil {
			return held, err
		}
		fresh.idToken = cmp.Or(fresh.idToken, held.idToken)
		if held = fresh; !held.expired(f.now()) || held.refresh == "" {
			break
		}
	}
	return held, nil
}

func (f *refresher) refreshOnce(r *http.Request, found *session, held *tokens) (*tokens, error) {
	if found.registration.paused(f.now()) {
		return nil, errProviderDown(errRefreshPauses)
	}
	key := refreshKey(found.registration, held)
	outcome, err := f.join(r, key, found, held)
	switch {
	case err != nil:
		return nil, err
	case outcome == outcomeRefused:
		return nil, ErrNoSession
	case outcome == outcomeFailed:
		return nil, errProviderDown(errRefreshPauses)
	}
	fresh := f.tokens.open(key, outcome)
	if fresh == nil {
		return nil, errRefreshesDown(errors.New("an outcome does not open; do all replicas have each other's session keys?"))
	}
	return fresh, nil
}

// join waits for the refresh of held: as long as it takes if the access token is
// of no use any more, and not so long if the request can do with it.
func (f *refresher) join(r *http.Request, key string, found *session, held *tokens) (string, error) {
	ctx := r.Context()
	if !held.expired(f.now()) {
		patient, cancel := context.WithTimeout(ctx, refreshPatience)
		defer cancel()
		ctx = patient
	}
	detached := r.Clone(context.WithoutCancel(r.Context()))
	detached.Body = http.NoBody
	of := *found // the refresh may outlive the request
	outcome, err := f.flights.join(key, func() (string, error) {
		outcome, err := f.run(detached, key, &of, held)
		return outcome, f.report(detached, from(of.registration, err)) // who shows it shows the line's reference
	}).wait(ctx)
	if err != nil {
		return "", err
	}
	return *outcome, nil
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
		f.report(r, from(of.registration, errRefreshesDown(err))) // whoever waits here has it all the same
	}
	return outcome, err
}

// redeem asks the provider, and says for how long the outcome is to be kept. A
// refusal is an outcome, too, and logged here.
func (f *refresher) redeem(r *http.Request, key string, of *session, held *tokens) (string, time.Duration, error) {
	at := of.registration
	fresh, err := at.refresh(r.Context(), held, of)
	if err == nil {
		return f.tokens.sealer.seal(key, fresh.encode()), fresh.keptAfter(held, f.now()), nil
	}
	if refused := new(Error); errors.As(err, &refused) && (refused.Code == codeRefreshRefused || refused.Code == codeBadIDToken) {
		f.report(r, from(at, err))
		return outcomeRefused, outcomeKept, nil
	}
	if errors.Is(err, ErrUnavailable) {
		at.pause(f.now())
		return "", 0, err
	}
	return outcomeFailed, refreshPause, err // others may do better
}

// keep puts new tokens away, for all requests if they are in a Store.
func (f *refresher) keep(r *http.Request, of *session, fresh *tokens) {
	if fresh == nil {
		return // refused
	}
	ctx, cancel := context.WithTimeout(r.Context(), refreshPatience) // a Store that hangs must not keep the outcome from the others
	defer cancel()
	f.store(heldResponse{header: make(http.Header)}, r.WithContext(ctx), of, fresh)
}

// adopt has the browser of r go on with fresh tokens, if it still has the former
// ones: what is in cookies is for each request to set, also if a Store put it there.
func (f *refresher) adopt(w http.ResponseWriter, r *http.Request, found *session, held, fresh *tokens) {
	if fresh.idToken != "" { // in a Store the tokens may be new already; the hint is for this answer to set
		f.hints.renew(w, r, found, fresh.idToken)
	}
	found.refreshDue = instantOf(fresh.refreshDue)
	if now, err := f.tokens.load(r, found); err == nil && now != nil && *now == *held {
		f.store(w, r, found, fresh)
	}
}

// store puts tokens away, and when their session has to refresh them. If they
// were smaller at login and do not fit any more, it goes on without: the former
// ones are of no use.
func (f *refresher) store(w http.ResponseWriter, r *http.Request, of *session, fresh *tokens) {
	of.refreshDue = instantOf(fresh.refreshDue)
	switch err := f.tokens.vault.renew(w, r, f.tokens.seal(of, fresh), of.ends.time().Sub(f.now())); {
	case errors.Is(err, errTooLarge):
		f.report(r, errTokensTooLarge(err))
		f.report(r, f.tokens.end(w, r))
	case err != nil:
		f.report(r, errStoreDown(err))
	}
	f.report(r, f.sessions.renew(w, r, of))
}

// end is for a session whose user the provider does not vouch for any more.
func (f *refresher) end(w http.ResponseWriter, r *http.Request, found *session) error {
	if err := f.sessions.end(w, r, found); err != nil {
		return err
	}
	f.report(r, f.tokens.end(w, r)) // what may be left is of no use
	return ErrNoSession
}

// report logs what does not stop the request, and returns it with its reference.
func (f *refresher) report(r *http.Request, err error) error {
	if err == nil {
		return nil
	}
	failure := asError(err)
	f.log(r, failure)
	return failure
}
