package core

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/pixyauth/pixy/core/internal/provider"
	"github.com/pixyauth/pixy/core/internal/told"
	"github.com/pixyauth/pixy/core/internal/vault"
)

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

const (
	// refreshPause follows a refresh that failed: for the same tokens, and for all of
	// a provider's if it is down.
	refreshPause = 10 * time.Second

	// outcomeFailed begins an outcome that is no tokens. What follows is why.
	outcomeFailed = "failed."
)

// An outage is what refreshes have found out about a provider. One that fails says
// little: the provider may have something against that one token. If two of
// different tokens fail for an outage within refreshPause, and none succeeds
// between them, refreshes of all users pause.
type outage struct {
	mu    sync.Mutex
	key   string    // of the refresh that failed last; empty: none has, or one has succeeded since
	last  time.Time // when it did
	until time.Time // pause
	cause string    // of the pause
}

func (o *outage) failed(key string, err error, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.key != "" && o.key != key && now.Sub(o.last).Abs() < refreshPause {
		o.until, o.cause = now.Add(refreshPause), pauseCause(err)
	}
	o.key, o.last = key, now
}

func (o *outage) succeeded() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.key, o.until = "", time.Time{}
}

// pauses returns an error during a pause.
func (o *outage) pauses(now time.Time) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if left := o.until.Sub(now); left <= 0 || left > refreshPause { // the clock may have been set back
		return nil
	}
	return errProviderDown(errors.New(pauseText("refreshes of all users", o.until, o.cause)))
}

// saysOutage reports whether err is about the whole provider: a connection that
// failed, or a gateway's answer. Anything else may be about one token.
func saysOutage(err error) bool {
	failure := new(Error)
	if !errors.As(err, &failure) || failure.Code != provider.CodeUnavailable {
		return false
	}
	var answered provider.StatusError
	if !errors.As(err, &answered) {
		return true
	}
	switch answered.Status {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

func pauseText(whose string, until time.Time, cause string) string {
	return fmt.Sprintf("%s pause until %s, after this failure: %s", whose, until.UTC().Format(time.RFC3339), cause)
}

// pauseCause is the text of err without the kinds of errors that it wraps.
func pauseCause(err error) string {
	text := asError(err).Err.Error()
	for _, kind := range []error{ErrUnavailable, ErrUntrusted, ErrRefused} {
		text = strings.TrimPrefix(text, kind.Error()+": ")
	}
	return told.Clip(text)
}

// failed returns the outcome of a refresh that err has ended. It is sealed, as
// tokens are.
func (f *refresher) failed(key string, err error) string {
	text := pauseText("refreshes of these tokens", f.now().Add(refreshPause), pauseCause(err))
	return outcomeFailed + f.tokens.sealer.Seal(outcomeFailed+key, []byte(text))
}

// failure returns why an outcome has no tokens, or nil if it may have some.
func (f *refresher) failure(key, outcome string) error {
	if outcome == outcomeRefused {
		return ErrNoSession
	}
	sealed, failed := strings.CutPrefix(outcome, outcomeFailed)
	if !failed {
		return nil
	}
	text, ok := f.tokens.sealer.Open(outcomeFailed+key, sealed)
	if !ok {
		text = "refreshes of these tokens pause, after one that failed elsewhere"
	}
	return errProviderDown(errors.New(text))
}
