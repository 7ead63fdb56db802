package core

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/pixyauth/pixy/core/internal/provider"
	"github.com/pixyauth/pixy/core/internal/vault"
)

// maxLate is how many responses in a row a browser may have lost.
const maxLate = 4

// refresher refreshes tokens when that is due, or on demand (RFC 6749 section 6).
type refresher struct {
	flights  refreshFlights
	shared   Refreshes
	sessions *sessionKeeper
	tokens   *tokenKeeper
	hints    *logoutHints
	bound    func(context.Context, binding) (*registration, error)
	lookup   *lookup
	log      func(context.Context, *Error)
	tell     func(ctx context.Context, about string, e Event)
	now      func() time.Time

	lazy sync.Mutex // guards attached.tokens of all requests, which of sets on first use
}

// of returns the tokens of a request. It creates them on first use, because most
// requests need none.
func (f *refresher) of(found *attached) *requestTokens {
	f.lazy.Lock()
	defer f.lazy.Unlock()
	if found.tokens == nil {
		found.tokens = &requestTokens{keeper: f.tokens, request: found.request, session: found.session}
	}
	return found.tokens
}

// guard refreshes the tokens of found if that is due. It runs before the response is
// written, so new tokens are stored before a handler uses them. An outage is not an
// error here, because the session continues; [TokenSource] returns that error.
// [ErrNoSession] means that the session has ended. If both results are nil, the tokens
// were not read.
func (f *refresher) guard(w http.ResponseWriter, r *http.Request, found *session) (*requestTokens, error) {
	if !f.tokens.kept || found.refreshDue == 0 || found.opened < found.refreshDue {
		return nil, nil
	}
	mine := &requestTokens{keeper: f.tokens, request: r, session: found}
	held, err := mine.get()
	switch {
	case err != nil:
		return mine, nil // get returns the error again
	case held == nil || held.Refresh == "":
		return nil, f.lost(w, r, found)
	case f.now().Before(held.RefreshDue): // another request has refreshed the tokens already
		found.refreshDue = instantOf(held.RefreshDue)
		f.report(r.Context(), found.binding(), f.sessions.renew(w, r, found))
		return mine, nil
	}
	fresh, err := f.refreshed(r.Context(), f.ownerOf(r, found), held, false)
	if ended := f.settle(w, r, found, mine, fresh, err); ended != nil {
		return nil, ended
	}
	return mine, nil
}

// lost handles a session whose refresh is due and whose tokens are missing or do not
// open. It ends the session, because without tokens the provider could not end it by
// refusing a refresh. If another request has refreshed or given up the tokens
// meanwhile, the session continues.
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
	return f.end(w, r, found, f.report(r.Context(), found.binding(), errTokensLost()))
}

// settle stores the result of a refresh for the next requests. A logout or another
// login may have happened during the refresh. Then the error says that the session has
// ended, or that it cannot be read.
func (f *refresher) settle(w http.ResponseWriter, r *http.Request, found *session, mine *requestTokens, fresh *tokens, failed error) error {
	gone, err := f.sessions.gone(r, found)
	switch {
	case err != nil:
	case gone:
		err = ErrNoSession
	case errors.Is(failed, ErrNoSession):
		err = f.end(w, r, found, fail(provider.CodeRefreshRefused, nil))
	case errors.Is(failed, errGone):
		err = f.end(w, r, found, failed)
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

// ownerOf returns the owner of a session's tokens. It keeps new tokens in the Store, if
// there is one, for all requests. Without a Store that has no effect: adopt sets the
// cookies.
func (f *refresher) ownerOf(r *http.Request, found *session) *owner {
	of := *found // the refresh may outlive the request
	detached := r.Clone(context.WithoutCancel(r.Context()))
	detached.Body = http.NoBody
	return &owner{
		binding: of.binding(), subject: of.user.Subject,
		keep: func(ctx context.Context, fresh *tokens) {
			// A Store that hangs must not delay the outcome for other requests.
			ctx, cancel := context.WithTimeout(ctx, refreshPatience)
			defer cancel()
			f.store(vault.Hold(), detached.WithContext(ctx), &of, fresh)
		},
	}
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
	err := f.tokens.vault.Renew(held, r, f.tokens.seal(r, of, fresh), of.life(f.now()))
	if !errors.Is(err, vault.ErrTooLarge) {
		if err != nil {
			f.report(r.Context(), of.binding(), errStoreDown(err))
		}
		f.report(r.Context(), of.binding(), f.sessions.renew(held, r, of))
		if err = held.CheckSize(); err == nil {
			held.Release(w)
			keepFromCaches(w.Header())
			return
		}
	}
	f.report(r.Context(), of.binding(), errTokensTooLarge(err))
	of.refreshDue = 0 // never: when a refresh is due, a session without tokens ends
	if err := f.sessions.renew(w, r, of); err != nil {
		f.report(r.Context(), of.binding(), err)
		return
	}
	f.report(r.Context(), of.binding(), f.tokens.end(w, r))
}

// end ends a session after the provider has refused a refresh, after its tokens were lost,
// or because its provider is gone.
func (f *refresher) end(w http.ResponseWriter, r *http.Request, found *session, why error) error {
	if err := f.sessions.end(w, r, found); err != nil {
		return err
	}
	f.report(r.Context(), found.binding(), f.tokens.end(w, r)) // without their session, the tokens are of no use
	f.tell(r.Context(), string(found.id[:]), eventOf(eventSessionEnded, found).failed(asError(why)))
	return ErrNoSession
}

// refreshRest is the age below which refreshed tokens are not refreshed on demand.
const refreshRest = 5 * time.Second

// Refresh refreshes the tokens of the request's user now, even if they have not
// expired. Call it when an API answers 401 to an access token that has not expired.
// The request must have passed a guard of a, such as [Authenticator.Authenticate].
// Afterwards [TokenSource] and [Client] of the same request use the new token.
//
// Call Refresh before the handler writes the response: without a Store, it sets cookies.
// Concurrent calls for the same tokens share one refresh. With [TokenConfig.Refreshes],
// they share it across replicas. A late request with the old token gets the new one.
//
// Refresh does not refresh tokens that are less than 5 seconds old. It then returns nil,
// and the token stays the same. So repeat the API call once, and not in a loop.
//
// The error wraps [ErrNoToken] if no tokens are kept for this request, or if there is
// no refresh token. It wraps [ErrNoSession] if the session has ended, for example
// because the provider refuses the refresh. It wraps [ErrUnavailable] if the tokens
// cannot be refreshed now.
func (a *Authenticator) Refresh(w http.ResponseWriter, r *http.Request) error {
	found := innermost(r.Context()).passed(a)
	var err error
	switch {
	case found == nil:
		err = errNoToken("no guard has let this request pass")
	case found.request == nil || found.token != nil:
		err = errNoToken("this is a test or OnLogin, where there is no session whose tokens could be refreshed")
	case !a.tokens.kept:
		err = errNoToken("Config.Tokens.Keep is not set")
	default:
		err = a.refresher.demand(w, r, found)
	}
	if errors.Is(err, ErrNoSession) {
		err = a.errNoSession(r, Requirement{})
	}
	return a.report(w, r, err)
}

// demand refreshes the tokens of a request, unless they are new or another request
// has replaced them.
func (f *refresher) demand(w http.ResponseWriter, r *http.Request, found *attached) error {
	mine := f.of(found)
	mine.turn.Lock()
	defer mine.turn.Unlock()
	of := f.sessions.used(found.session)
	held, newer, err := f.latest(r, &of, mine)
	switch {
	case err != nil:
		return err
	case (newer && !held.expired(f.now()) || held.isNew(f.now())) && f.holds(r.Context(), &of, held):
		return nil
	case held.Refresh == "":
		return errNoToken("the provider gave no refresh token; ask for one, for example by scope offline_access")
	}
	fresh, err := f.refreshed(r.Context(), f.ownerOf(r, &of), held, true)
	if ended := f.settle(w, r, &of, mine, fresh, err); ended != nil {
		return ended
	}
	return err
}

// holds reports whether the key of a session's tokens is known, if they are bound to one. If
// the provider cannot be asked for, the refresh finds out why.
func (f *refresher) holds(ctx context.Context, of *session, held *tokens) bool {
	if held.Key == "" {
		return true
	}
	at, err := f.bound(ctx, of.binding())
	return err == nil && at.provider.Holds(held.Key)
}

// latest returns the tokens of a request, or newer ones that another request has
// stored in a Store.
func (f *refresher) latest(r *http.Request, of *session, mine *requestTokens) (held *tokens, newer bool, err error) {
	held, err = mine.get()
	if held == nil && err != nil {
		return nil, false, err
	}
	stored, err := f.tokens.load(r, of)
	if err != nil {
		return nil, false, err
	}
	if held == nil || stored == nil {
		switch gone, err := f.sessions.gone(r, of); {
		case err != nil:
			return nil, false, err
		case gone:
			return nil, false, ErrNoSession
		}
		return nil, false, errNoToken("there are none with this session")
	}
	if *stored == *held || *stored == *mine.came {
		return held, false, nil
	}
	mine.set(stored, nil)
	return stored, true, nil
}
