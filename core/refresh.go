package core

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// refresher has tokens refreshed when it is time to (RFC 6749 section 6).
type refresher struct {
	flights  refreshFlights
	shared   Refreshes
	sessions *sessionKeeper
	tokens   *tokenKeeper
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

// get reads the tokens, unless a refresh has left them here already.
func (t *requestTokens) get() (*tokens, error) {
	t.once.Do(func() {
		if t.tokens == nil {
			held, err := t.keeper.load(t.request, t.session)
			if t.tokens = held; err != nil {
				t.err = err
			}
		}
	})
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
	if !f.tokens.kept || found.refreshDue.IsZero() || f.now().Before(found.refreshDue) {
		return nil, nil
	}
	mine := &requestTokens{keeper: f.tokens, request: r, session: found}
	held, err := mine.get()
	if err != nil || held == nil || held.refresh == "" {
		return mine, nil // and get says why
	}
	if f.now().Before(held.refreshDue) { // the session is behind its tokens
		found.refreshDue = held.refreshDue
		f.report(r, f.sessions.renew(w, r, found))
		return mine, nil
	}
	if found.registration.paused(f.now()) {
		mine.err = errProviderDown(errors.New("refreshes pause after one that failed"))
		return mine, nil
	}
	key := refreshKey(found.registration, held)
	outcome, err := f.join(r, key, found, held)
	switch fresh := f.tokens.open(key, outcome); {
	case outcome == outcomeRefused:
		return nil, f.end(w, r, found)
	case err != nil:
		mine.err = err
	case fresh == nil:
		mine.err = errRefreshesDown(errors.New("an outcome does not open; do all replicas have each other's session keys?"))
	default:
		mine.tokens = fresh
		f.adopt(w, r, found, fresh)
	}
	return mine, nil
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
		f.report(detached, from(of.registration, err))
		return outcome, err
	}).wait(ctx)
	if err != nil {
		return "", err
	}
	return *outcome, nil
}

// run refreshes, unless another replica has done so, and keeps what came of it
// before it tells anybody.
func (f *refresher) run(r *http.Request, key string, of *session, held *tokens) (string, error) {
	ctx, cancel := context.WithTimeout(r.Context(), refreshClaim)
	defer cancel()
	outcome, err := f.shared.Begin(ctx, key, refreshClaim)
	if err != nil {
		return "", errRefreshesDown(err)
	}
	if outcome != "" {
		f.keep(r, of, f.tokens.open(key, outcome))
		return outcome, nil
	}
	outcome, err = f.redeem(r.WithContext(ctx), key, of, held)
	if err == nil {
		f.keep(r, of, f.tokens.open(key, outcome))
	}
	if err := f.shared.Finish(r.Context(), key, outcome, outcomeKept); err != nil {
		f.report(r, from(of.registration, errRefreshesDown(err))) // whoever waits here has it all the same
	}
	return outcome, err
}

// redeem asks the provider. Its refusal is an outcome, too, and logged here.
func (f *refresher) redeem(r *http.Request, key string, of *session, held *tokens) (string, error) {
	at := of.registration
	fresh, err := at.refresh(r.Context(), held, of)
	if err == nil {
		return f.tokens.sealer.seal(key, fresh.encode()), nil
	}
	if refused := new(Error); errors.As(err, &refused) && (refused.Code == codeRefreshRefused || refused.Code == codeBadIDToken) {
		f.report(r, from(at, err))
		return outcomeRefused, nil
	}
	at.pause(f.now())
	return "", err
}

// keep puts new tokens into the Store, if there is one: cookies are for each
// request to set.
func (f *refresher) keep(r *http.Request, of *session, fresh *tokens) {
	if fresh == nil {
		return // refused
	}
	nobody := heldResponse{header: make(http.Header)}
	of.refreshDue = fresh.refreshDue
	f.store(nobody, r, f.tokens.vault.renew, of, fresh)
	f.report(r, f.sessions.renew(nobody, r, of))
}

// adopt has the browser of r go on with tokens that have been kept.
func (f *refresher) adopt(w http.ResponseWriter, r *http.Request, found *session, fresh *tokens) {
	found.refreshDue = fresh.refreshDue
	f.store(w, r, f.tokens.vault.adopt, found, fresh)
	f.report(r, f.sessions.adopt(w, r, found))
}

// store puts tokens away. If they were smaller at login and do not fit any more,
// the session goes on without: the former ones are of no use.
func (f *refresher) store(w http.ResponseWriter, r *http.Request, put putFunc, of *session, fresh *tokens) {
	switch err := put(w, r, f.tokens.seal(of, fresh), of.ends.Sub(f.now())); {
	case errors.Is(err, errTooLarge):
		f.report(r, errTokensTooLarge(err))
		f.report(r, f.tokens.end(w, r))
	case err != nil:
		f.report(r, errStoreDown(err))
	}
}

// end is for a session whose user the provider does not vouch for any more.
func (f *refresher) end(w http.ResponseWriter, r *http.Request, found *session) error {
	if err := f.sessions.end(w, r, found); err != nil {
		return err
	}
	f.report(r, f.tokens.end(w, r)) // what may be left is of no use
	return ErrNoSession
}

// report logs what does not stop the request.
func (f *refresher) report(r *http.Request, err error) {
	if err != nil {
		f.log(r, asError(err))
	}
}
