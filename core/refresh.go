package core

import (
	"errors"
	"net/http"
	"sync"
	"time"
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
