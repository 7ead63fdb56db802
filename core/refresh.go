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
}

// requestTokens are the tokens of one request, for whatever runs behind the guard.
type requestTokens struct {
	keeper  *tokenKeeper
	request *http.Request
	session *session
	now     func() time.Time

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

// guard refreshes the tokens of found if that is due, before anything is written:
// new tokens are kept before anybody uses them. An outage is no error as long as
// the session goes on: [TokenSource] tells whoever needs a token. [ErrNoSession]
// says that the provider has ended the session.
func (f *refresher) guard(w http.ResponseWriter, r *http.Request, found *session) (*requestTokens, error) {
	if !f.tokens.kept {
		return nil, nil
	}
	mine := &requestTokens{keeper: f.tokens, request: r, session: found, now: f.now}
	if found.refreshDue.IsZero() || f.now().Before(found.refreshDue) {
		return mine, nil
	}
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
	made, err := f.join(r, found, held)
	switch {
	case err != nil:
		mine.err = err
	case made.tokens == nil:
		return nil, f.end(w, r, found)
	default:
		mine.tokens, found.refreshDue = made.tokens, made.tokens.refreshDue
		made.cookies.release(w)
		keepFromCaches(w.Header())
	}
	return mine, nil
}

// join waits for the refresh of held: as long as it takes if the access token is
// of no use any more, and not so long if the request can do with it.
func (f *refresher) join(r *http.Request, found *session, held *tokens) (*refreshed, error) {
	ctx := r.Context()
	if !held.expired(f.now()) {
		patient, cancel := context.WithTimeout(ctx, refreshPatience)
		defer cancel()
		ctx = patient
	}
	detached := r.Clone(context.WithoutCancel(r.Context()))
	detached.Body = http.NoBody
	of := *found // the refresh may outlive the request
	key := refreshKey(of.registration, held)
	return f.flights.join(key, func() (*refreshed, error) {
		made, err := f.run(detached, key, &of, held)
		f.report(detached, from(of.registration, err))
		return made, err
	}).wait(ctx)
}

// run refreshes, unless another replica has done so, and keeps what came of it
// before it tells anybody.
func (f *refresher) run(r *http.Request, key string, of *session, held *tokens) (*refreshed, error) {
	ctx, cancel := context.WithTimeout(r.Context(), refreshClaim)
	defer cancel()
	outcome, err := f.shared.Begin(ctx, key, refreshClaim)
	if err != nil {
		return nil, errRefreshesDown(err)
	}
	if outcome != "" {
		return f.keep(r, key, of, outcome)
	}
	if outcome, err = f.redeem(r.WithContext(ctx), key, of, held); err != nil {
		return nil, errors.Join(err, f.shared.Finish(r.Context(), key, "", 0))
	}
	made, err := f.keep(r, key, of, outcome)
	if err := f.shared.Finish(r.Context(), key, outcome, outcomeKept); err != nil {
		f.report(r, from(of.registration, errRefreshesDown(err))) // whoever waits here has it all the same
	}
	return made, err
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

// keep opens an outcome and puts its tokens away: into the Store, if there is one,
// and into cookies for all who wait for it.
func (f *refresher) keep(r *http.Request, key string, of *session, outcome string) (*refreshed, error) {
	if outcome == outcomeRefused {
		return new(refreshed), nil
	}
	fresh := f.tokens.open(key, outcome)
	if fresh == nil {
		return nil, errRefreshesDown(errors.New("an outcome does not open; do all replicas have each other's session keys?"))
	}
	made := &refreshed{tokens: fresh, cookies: heldResponse{header: make(http.Header)}}
	now := f.now()
	of.refreshDue = fresh.refreshDue
	if now.Sub(of.seen) > stepUpPause {
		of.seen, of.raised = now, 0
	}
	switch err := f.tokens.vault.renew(made.cookies, r, f.tokens.seal(of, fresh), of.ends.Sub(now)); {
	case errors.Is(err, errTooLarge): // they were smaller at login: the session goes on without
		f.report(r, errTokensTooLarge(err))
		f.report(r, f.tokens.end(made.cookies, r))
	case err != nil:
		f.report(r, errStoreDown(err))
	}
	f.report(r, f.sessions.renew(made.cookies, r, of))
	return made, nil
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
