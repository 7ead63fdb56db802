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

// refreshed refreshes held and returns the new tokens. On failure it returns held and
// an error. [ErrNoSession] means that the provider refuses the refresh. The outcome may
// be an old one that was kept for late requests. If its access token has expired,
// refreshed refreshes it again.
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
		return nil, errRefreshesDown(errors.New("an outcome does not open; check that all replicas have each other's session keys"))
	}
	return fresh, nil
}

// join waits for the refresh of held. If the access token has expired, or wait is set,
// it waits until the refresh ends. Otherwise the request can use the old access token,
// and join waits for refreshPatience only.
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
		return outcome, f.report(detached, &of, err) // the error has the reference of its log line
	}).wait(ctx)
}

// run refreshes, unless another replica has done so. It stores the new tokens before it
// calls Finish. The time limit of the token request does not include the wait for the
// claim: once the request is sent, the refresh token is used up.
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
		f.report(r, of, errRefreshesDown(err)) // requests of this process get the outcome anyway
	}
	return outcome, err
}

// redeem asks the provider, and returns the outcome and how long to keep it. A refusal
// is also an outcome. It is logged here.
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

// keep stores new tokens in the Store, if there is one, for all requests. Without a
// Store it has no effect: adopt sets the cookies.
func (f *refresher) keep(r *http.Request, of *session, fresh *tokens) {
	if fresh == nil {
		return // refused
	}
	// A Store that hangs must not delay the outcome for other requests.
	ctx, cancel := context.WithTimeout(r.Context(), refreshPatience)
	defer cancel()
	f.store(vault.Hold(), r.WithContext(ctx), of, fresh)
}

// adopt sets fresh tokens for the browser of r, if the tokens are still those that the
// request carried. Each request has to set its own cookies, also those of a Store.
func (f *refresher) adopt(w http.ResponseWriter, r *http.Request, found *session, mine *requestTokens, fresh *tokens) {
	if fresh.IDToken != "" { // even if the Store has the new tokens already, this response must set the hint
		f.hints.renew(w, r, found, fresh.IDToken)
	}
	found.refreshDue = instantOf(fresh.RefreshDue)
	if now, err := f.tokens.load(r, found); err == nil && now != nil && *now == *mine.came {
		f.store(w, r, found, fresh)
	}
}

// store stores tokens, and in their session the time of the next refresh. If the new
// tokens are too large, the session continues without tokens, because the old ones are
// of no use.
func (f *refresher) store(w http.ResponseWriter, r *http.Request, of *session, fresh *tokens) {
	of.refreshDue = instantOf(fresh.RefreshDue)
	held := vault.Hold()
	err := f.tokens.vault.Renew(held, r, f.tokens.seal(of, fresh), of.life(f.now()))
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
	of.refreshDue = 0 // never: when a refresh is due, a session without tokens ends
	if err := f.sessions.renew(w, r, of); err != nil {
		f.report(r, of, err)
		return
	}
	f.report(r, of, f.tokens.end(w, r))
}

// end ends a session after the provider has refused a refresh, or after its tokens were
// lost.
func (f *refresher) end(w http.ResponseWriter, r *http.Request, found *session) error {
	if err := f.sessions.end(w, r, found); err != nil {
		return err
	}
	f.report(r, found, f.tokens.end(w, r)) // without their session, the tokens are of no use
	return ErrNoSession
}

// report logs an error that does not end the request, and returns it with its
// reference. It returns nil for nil.
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
	// refreshPause is the time without refreshes after one that failed: of the same
	// tokens, or, if the provider is down, of all its tokens.
	refreshPause = 10 * time.Second

	// outcomeFailed is the prefix of an outcome without tokens. The sealed reason
	// follows.
	outcomeFailed = "failed."
)

// An outage records failed refreshes at one provider. A single failure is not enough:
// its cause may be that one token. If two refreshes of different tokens fail because of
// an outage within refreshPause, and none succeeds between them, the refreshes of all
// users pause.
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

// saysOutage reports whether err is about the whole provider: a failed connection or
// an error of a gateway. Other errors may be about one token.
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

// pauseCause returns the text of err without the prefixes of ErrUnavailable,
// ErrUntrusted and ErrRefused.
func pauseCause(err error) string {
	text := asError(err).Err.Error()
	for _, kind := range []error{ErrUnavailable, ErrUntrusted, ErrRefused} {
		text = strings.TrimPrefix(text, kind.Error()+": ")
	}
	return told.Clip(text)
}

// failed returns the outcome of a refresh that failed with err. It is sealed, like
// tokens.
func (f *refresher) failed(key string, err error) string {
	text := pauseText("refreshes of these tokens", f.now().Add(refreshPause), pauseCause(err))
	return outcomeFailed + f.tokens.sealer.Seal(outcomeFailed+key, []byte(text))
}

// failure returns the error of an outcome without tokens, or nil if the outcome may
// have tokens.
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
		text = "refreshes of these tokens pause, after a refresh failed in another replica"
	}
	return errProviderDown(errors.New(text))
}
