package core

import (
	"errors"
	"net/http"
	"time"
)

// refreshRest is how old tokens of a refresh are before another is made on demand.
const refreshRest = 5 * time.Second

// Refresh refreshes the tokens of a request's user now, however long they may have
// left. Call it in a handler to which an API has answered 401 although the guard
// found the access token good. The request must have passed a guard of a: Refresh
// may be called from behind [Authenticator.Authenticate], too. Afterwards
// [TokenSource] and [Client] of the same request give the new token.
//
// Call it before the handler writes anything: without a Store, it sets cookies.
// Requests that call it at the same time share one refresh, also among replicas
// with [TokenConfig.Refreshes], and one that comes late with the former token gets the
// new one without another. Tokens that were refreshed less than 5 seconds ago are
// not refreshed again: Refresh returns nil, and the token is the same. So call the
// API once more afterwards, and not in a loop.
//
// The error wraps [ErrNoToken] if no tokens are kept for this request, or there is
// no refresh token; [ErrNoSession] if the provider refuses the refresh, which ends
// the session; and [ErrUnavailable] if the tokens cannot be refreshed at the moment.
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
		err = a.errNoSession(Requirement{})
	}
	return a.report(w, r, err)
}

// demand refreshes what a request has, unless that is new or has been replaced by
// another request.
func (f *refresher) demand(w http.ResponseWriter, r *http.Request, found *attached) error {
	mine := f.of(found)
	mine.turn.Lock()
	defer mine.turn.Unlock()
	of := f.sessions.used(found.session)
	held, newer, err := f.latest(r, &of, mine)
	switch {
	case err != nil:
		return err
	case newer && !held.expired(f.now()) || held.isNew(f.now()):
		return nil
	case held.Refresh == "":
		return errNoToken("the provider gave no refresh token; ask for one, for example by scope offline_access")
	}
	fresh, err := f.refreshed(r, &of, held, true)
	if ended := f.settle(w, r, &of, mine, fresh, err); ended != nil {
		return ended
	}
	return err
}

// latest returns the tokens of a request, or newer ones that another request has
// put into their place in a Store.
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
