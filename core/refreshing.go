package core

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/pixyauth/pixy/core/internal/provider"
)

// An owner is what tokens belong to: a session, or a grant that the application stores.
type owner struct {
	binding
	subject string // of the user

	// keep stores new tokens before others who hold the old ones learn of them. It may
	// outlive the request. Nil: only the caller stores them.
	keep func(context.Context, *tokens)
}

// refreshed refreshes held and returns the new tokens. On failure it returns the latest
// tokens that it has, and an error. [ErrNoSession] means that the provider refuses the
// refresh. The outcome may be an old one that was kept for late requests. If its tokens
// are due again, they have been refreshed already or soon will be, so refreshed refreshes
// them, too. Otherwise a late request could replace newer tokens by them.
func (f *refresher) refreshed(ctx context.Context, of *owner, held *tokens, wait bool) (*tokens, error) {
	for range maxLate {
		fresh, err := f.refreshOnce(ctx, of, held, wait)
		if err != nil {
			return held, err
		}
		fresh.IDToken = cmp.Or(fresh.IDToken, held.IDToken)
		fresh.Details = cmp.Or(fresh.Details, held.Details)
		if held = fresh; !held.due(f.now()) {
			break
		}
	}
	return held, nil
}

func (f *refresher) refreshOnce(ctx context.Context, of *owner, held *tokens, wait bool) (*tokens, error) {
	if err := f.pauses(of); err != nil {
		return nil, err
	}
	key := refreshKey(of, held)
	outcome, err := f.join(ctx, key, of, held, wait)
	if err != nil {
		return nil, err
	}
	if err := f.failure(key, outcome); err != nil {
		return nil, err
	}
	fresh := openTokens(f.tokens.sealer.For(""), key, outcome)
	if fresh == nil {
		return nil, errRefreshesDown(errors.New("an outcome does not open; check that all replicas have each other's session keys"))
	}
	return fresh, nil
}

// join waits for the refresh of held. If the access token has expired, or wait is set,
// it waits until the refresh ends. Otherwise the request can use the old access token,
// and join waits for refreshPatience only.
func (f *refresher) join(ctx context.Context, key string, of *owner, held *tokens, wait bool) (string, error) {
	detached := context.WithoutCancel(ctx)
	if !wait && !held.expired(f.now()) {
		patient, cancel := context.WithTimeout(ctx, refreshPatience)
		defer cancel()
		ctx = patient
	}
	return f.flights.join(key, func() (string, error) { return f.run(detached, key, of, held) }).wait(ctx)
}

// run refreshes, unless another replica has done so. It stores the new tokens before it
// calls Finish. The time limit of the token request does not include the wait for the
// claim: once the request is sent, the refresh token is used up. It logs and tells of
// what it has done, and its error has the reference of its log line.
func (f *refresher) run(ctx context.Context, key string, of *owner, held *tokens) (string, error) {
	begun := f.now()
	waiting, cancel := context.WithTimeout(ctx, refreshClaim)
	defer cancel()
	shared := f.sharedFor(of)
	outcome, err := shared.Begin(waiting, key, refreshClaim)
	if err != nil {
		err = f.report(ctx, of.binding, errRefreshesDown(err))
		f.tellRefresh(ctx, of, f.now().Sub(begun), err)
		return "", err
	}
	if outcome != "" {
		f.keep(ctx, of, key, outcome)
		return outcome, nil
	}
	asking, cancel := context.WithTimeout(ctx, refreshTimeout)
	defer cancel()
	begun = f.now()
	outcome, lasts, err := f.redeem(asking, key, of, held)
	took := f.now().Sub(begun)
	if err == nil {
		f.keep(ctx, of, key, outcome)
	}
	telling, cancel := context.WithTimeout(ctx, refreshPatience)
	defer cancel()
	if err := shared.Finish(telling, key, outcome, lasts); err != nil {
		f.report(ctx, of.binding, errRefreshesDown(err)) // requests of this process get the outcome anyway
	}
	f.tellRefresh(ctx, of, took, err) // last, because OnEvent may be slow
	if outcome == outcomeRefused {
		return outcome, nil
	}
	return outcome, err
}

// sharedFor returns what refreshes at one provider are shared by.
func (f *refresher) sharedFor(of *owner) Refreshes {
	if memory, ok := f.shared.(*memoryRefreshes); ok {
		return refreshesShare{memory, of.share()}
	}
	return f.shared
}

// tellRefresh tells of a refresh, of which err is the failure, if it is not nil.
func (f *refresher) tellRefresh(ctx context.Context, of *owner, took time.Duration, err error) {
	e := Event{Kind: eventRefresh, Provider: of.name, Issuer: of.issuer, Subject: of.subject}
	if err != nil {
		e.Kind = eventRefreshFailed
		e = e.failed(asError(err))
	}
	f.tell(ctx, "", e.after(took))
}

// redeem asks the provider, and returns the outcome and how long to keep it. A refusal
// is also an outcome. That the provider is gone is none, because it may be added back.
// Errors are logged here.
func (f *refresher) redeem(ctx context.Context, key string, of *owner, held *tokens) (string, time.Duration, error) {
	at, err := f.find(ctx, of)
	if err != nil {
		if err = f.report(ctx, of.binding, err); errors.Is(err, errGone) {
			return "", 0, err
		}
		return f.failed(key, err), refreshPause, err
	}
	fresh, err := at.refresh(ctx, held, of.issuer, of.subject)
	if err == nil {
		at.outage.succeeded()
		fresh.Refreshed = f.now()
		return f.tokens.sealer.Seal(key, fresh.encode()), fresh.keptAfter(held, f.now()), nil
	}
	err = f.report(ctx, of.binding, err)
	if refused := new(Error); errors.As(err, &refused) && (refused.Code == provider.CodeRefreshRefused || refused.Code == provider.CodeIDToken) {
		at.outage.succeeded()
		return outcomeRefused, outcomeKept, err
	}
	if saysOutage(err) {
		at.outage.failed(key, err, f.now())
	}
	return f.failed(key, err), refreshPause, err
}

// find returns the registration of an owner. Lookup.Find gets a part of the time only, so
// that a slow one does not leave the token request without.
func (f *refresher) find(ctx context.Context, of *owner) (*registration, error) {
	ctx, cancel := context.WithTimeout(ctx, refreshPatience)
	defer cancel()
	return f.bound(ctx, of.binding)
}

// pauses returns an error while the refreshes of a provider pause. It does not ask
// Lookup.Find.
func (f *refresher) pauses(of *owner) error {
	at := of.at
	if at == nil {
		if at = f.lookup.peek(of.name); at == nil {
			return nil
		}
	}
	return at.outage.pauses(f.now())
}

// keep stores the tokens of an outcome, if it has tokens.
func (f *refresher) keep(ctx context.Context, of *owner, key, outcome string) {
	if of.keep == nil {
		return
	}
	if fresh := openTokens(f.tokens.sealer.For(""), key, outcome); fresh != nil {
		of.keep(ctx, fresh)
	}
}

// report logs an error that does not end the request, and returns it with its
// reference. It returns nil for nil.
func (f *refresher) report(ctx context.Context, of binding, err error) error {
	if err == nil {
		return nil
	}
	failure := of.failed(err)
	f.log(ctx, failure)
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
