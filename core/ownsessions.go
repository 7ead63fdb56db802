package core

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/pixyauth/pixy/core/internal/vault"
)

// OwnSessions connects an application that has sessions of its own, in
// [SessionConfig.Own]. pixy then logs users in and out, and keeps no session: it sets no
// session cookie, and [Login.Grant] has the tokens. Its functions must be safe for
// concurrent use.
//
// The application guards its pages itself. For an anonymous request, its guard calls
// [Authenticator.Challenge] with [ErrNoSession]. Guards of this package return an error
// with status 500.
//
// An error of Start, End or EndByProvider that wraps [ErrUnavailable] gives status 503.
// An [*Error] chooses status and text.
type OwnSessions struct {
	// Start starts the application's session for a login that has passed all checks.
	// Required. It gives the session a new id, even if the browser has a session, and sets
	// its cookie. It may answer the request itself, and then returns true. Otherwise pixy
	// redirects to [Login.ReturnTo].
	//
	// Start is called for every callback of a login: after a double click or a reload
	// there are several. Each of them must get a session, because the browser shows only
	// one of the responses. The code and OnLogin are used once, before. Login has what
	// OnLogin has decided, also Data, Lifetime and EndsWithBrowser, for Start to use.
	// Changes of login have no effect.
	//
	// If Start returns an error, it must not have written status or body. The cookies
	// that it has set are dropped, so the browser keeps the session that it had. Status
	// 403, or 503 if the error wraps ErrUnavailable. A reload calls Start again.
	Start func(w http.ResponseWriter, r *http.Request, login *Login) (answered bool, err error)

	// End ends the application's session of this browser, for [Authenticator.Logout].
	// If there is none, it returns nil. It must not write status or body. With an error,
	// nothing else happens, and the cookies that End has set are dropped. Nil: there is
	// no logout route. A handler of the application's own, at Logout.Path, calls
	// [Authenticator.EndSession].
	End func(w http.ResponseWriter, r *http.Request) error

	// EndByProvider ends sessions at the request of a provider, by
	// [Authenticator.BackChannelLogout] and [Authenticator.FrontChannelLogout]: those
	// with sid, or all of subject if sid is empty. Provider, issuer, subject and sid are
	// those of [Login]; subject may be empty if sid is not. If there are none, it returns
	// nil. With an error, the provider is told to try again. With several customers that may
	// have one issuer, end only the sessions of provider. Nil: there are no such routes.
	EndByProvider func(ctx context.Context, provider, issuer, subject, sid string) error
}

// checkOwn checks Sessions.Own, and rejects what is for sessions of pixy.
func (c *Config) checkOwn(faults *faults) {
	if c.Sessions.Own == nil {
		return
	}
	own := *c.Sessions.Own
	c.Sessions.Own = &own
	if own.Start == nil {
		faults.add("Sessions.Own.Start is missing; set it to the function that starts the application's session")
	}
	if c.Logout.Local && own.End == nil {
		faults.add("Logout.Local is for the logout route, which is not there without Sessions.Own.End; leave it false")
	}
	for _, unused := range [...]struct {
		set          bool
		name, remedy string
	}{
		{c.Sessions.Store != nil, "Sessions.Store", "leave it out, and keep sessions where the application does"},
		{c.Sessions.Idle != 0, "Sessions.Idle", "leave it zero, and limit the application's sessions"},
		{c.Sessions.Claims != nil, "Sessions.Claims", "leave it nil, and choose from Login.User in Own.Start"},
		{c.Tokens.Keep, "Tokens.Keep", "leave it false, and store Login.Grant in OnLogin or Own.Start"},
		{c.Logout.Revocations != nil && own.EndByProvider == nil, "Logout.Revocations", "leave it out, or set Own.EndByProvider, whose logout tokens it then remembers"},
	} {
		if unused.set {
			faults.add("%s is for sessions of pixy, and Sessions.Own is set; %s", unused.name, unused.remedy)
		}
	}
}

// endsByProvider reports whether there are routes for logouts that a provider starts.
func (c *Config) endsByProvider() bool {
	return c.Logout.Revocations != nil || c.Sessions.Own != nil && c.Sessions.Own.EndByProvider != nil
}

// hasLogout reports whether there is a logout route.
func (c *Config) hasLogout() bool { return c.Sessions.Own == nil || c.Sessions.Own.End != nil }

// mark returns a short hash that identifies s in a sealed record.
func mark(s string) uint64 {
	sum := sha256.Sum256([]byte(s))
	return binary.BigEndian.Uint64(sum[:])
}

// hand gives a login to the application, which starts its session. Our cookies are set
// first, because the application may answer.
func (a *Authenticator) hand(t *turn, of *outcome, next landing) error {
	header := t.w.Header()
	before := slices.Clone(header["Set-Cookie"])
	a.eraseOurs(t.w, t.r)
	started := of.session
	a.hints.save(t.w, t.r, &started, of.idToken)
	a.landings.save(t.w, t.r, next)
	login, user := *of.login, *of.login.User
	login.User = &user // each callback has its own
	answered, err := a.config.Sessions.Own.Start(t.w, t.r, &login)
	if err != nil {
		header["Set-Cookie"] = before
		next.unfinished = true // so that a reload starts the session
		a.landings.save(t.w, t.r, next)
		return errOfApplication("Sessions.Own.Start", err, codeLoginRefused, codeLoginLater)
	}
	if !answered {
		redirect(t.w, of.returnTo)
	}
	a.tellLogin(t, &of.session)
	return nil
}

// reopen answers a callback whose attempt is gone, if this browser has completed a login
// in the last minute. If it was this login, the application starts its session again: the
// browser may not have received the first one. Done is false if a new login must start.
func (a *Authenticator) reopen(t *turn, state string, over *attempt, returnTo string) (done bool, err error) {
	last, ok := a.landings.find(t.r)
	if !ok || last.silent {
		return false, nil
	}
	var login *outcome
	if last.login == mark(state) {
		if login, err = a.flights.landedWith(state); err != nil {
			return true, err
		}
	}
	if _, withPayload, _ := wellFormedState(state); login == nil && (last.unfinished || withPayload) {
		return false, nil
	}
	if !last.unfinished {
		if err := a.landAgain(t.w, t.r, over); err != nil {
			return true, err
		}
		last.count++
	}
	if login == nil {
		redirect(t.w, a.returnTo(returnTo))
		return true, nil
	}
	last.unfinished = false
	t.state, t.user = state, &login.session.user
	return true, a.hand(t, login, last)
}

// endOwn ends the application's session of a browser.
func (a *Authenticator) endOwn(w http.ResponseWriter, r *http.Request) error {
	own := a.config.Sessions.Own
	if own.End == nil {
		return errors.New("Logout: Config.Sessions.Own.End is not set; set it, or call EndSession from the application's own handler")
	}
	header := w.Header()
	before := slices.Clone(header["Set-Cookie"])
	if err := own.End(w, r); err != nil {
		header["Set-Cookie"] = before
		return errOfApplication("Sessions.Own.End", err, codeInternal, codeStore)
	}
	return nil
}

// endOwnByProvider ends the application's sessions that a provider names, and the logins
// that started them: a reload must not start them again.
func (a *Authenticator) endOwnByProvider(ctx context.Context, at *registration, issuer, subject, sid string) error {
	a.flights.endAll(func(of *outcome) bool {
		s := &of.session
		return s.provider == at.lookupName() && s.client == at.config.ClientID && s.user.Issuer == issuer && (s.sid == sid && sid != "" || sid == "" && s.user.Subject == subject)
	})
	if err := a.config.Sessions.Own.EndByProvider(ctx, at.config.Name, issuer, subject, sid); err != nil {
		return fail(codeStore, fmt.Errorf("Sessions.Own.EndByProvider: %w", err))
	}
	return nil
}

// eraseOurs removes sessions and tokens that pixy kept before Sessions.Own was set.
func (a *Authenticator) eraseOurs(w http.ResponseWriter, r *http.Request) {
	for _, held := range [...]vault.Vault{a.sessions.vault, a.tokens.vault} {
		_ = held.Erase(w, r) // without a Store, it cannot fail
	}
}

// errOwnSessions is the error of our guards, which cannot see the application's sessions.
func errOwnSessions() *Error {
	failure := fail(codeInternal, errors.New("a guard of pixy is used, and Config.Sessions.Own is set; guard pages with the application's own sessions, and call Challenge with ErrNoSession for anonymous requests"))
	failure.operator = true
	return failure
}

// errOfApplication is an error of one of the application's functions. Its code is down if
// err wraps ErrUnavailable. If err is an *Error, its texts count.
func errOfApplication(function string, err error, code, down string) *Error {
	if errors.Is(err, ErrUnavailable) {
		code = down
	}
	e := fail(code, fmt.Errorf("%s: %w", function, err))
	if theirs := new(Error); errors.As(err, &theirs) {
		e.Status = cmp.Or(theirs.Status, e.Status)
		e.Code = cmp.Or(theirs.Code, e.Code)
		e.Public = cmp.Or(theirs.Public, e.Public)
	}
	return e
}
