package core

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
)

// Logout ends the session here, then sends the browser to the provider to end
// the session there (OpenID Connect RP-Initiated Logout). If the provider has no
// place for that, or its metadata is not known and cannot be fetched, the browser
// goes to Logout.After. Logout does not ask whether the provider is up: while its
// metadata is known, the browser goes there, and may find it down. The session
// here has ended in any case.
//
// Kept tokens are revoked at the provider, if it supports that (RFC 7009). A
// browser whose session is over goes to the provider as well, as long as it has
// the hint of its last login: for Sessions.Lifetime and 30 days. An anonymous
// request goes to Logout.After at once.
//
// It answers POST only, from a page of this application: put a button in a form
// with method="post". A request that another site caused gets [ErrCrossOrigin],
// and the session stays. If the Store is down, or Revocations are, it is
// [ErrUnavailable] and the session stays as well.
func (a *Authenticator) Logout(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	return a.report(w, r, a.logout(w, r))
}

func (a *Authenticator) logout(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		return errMethod(w, http.MethodPost)
	}
	if err := a.crossOrigin.Check(r); err != nil {
		return fail(codeCrossOrigin, err)
	}
	session, err := a.sessions.load(r)
	if err != nil {
		return err
	}
	held, err := a.endSession(w, r, session)
	if err != nil {
		return err
	}
	if held != nil {
		a.revokeTokens(r, session.registration, held)
	}
	at, hint := a.hints.take(w, r, session)
	if session != nil {
		at = session.registration
	}
	if at != nil {
		if to := at.logoutURL(r.Context(), hint, a.origin+a.config.Logout.After); to != "" {
			redirect(w, to)
			return nil
		}
	}
	redirect(w, a.config.Logout.After)
	return nil
}

// endSession forgets a browser's session, and returns the tokens that it had, if
// any. An error means that the session goes on.
func (a *Authenticator) endSession(w http.ResponseWriter, r *http.Request, session *session) (*tokens, error) {
	var held *tokens
	if session != nil {
		var err error
		if held, err = a.tokens.load(r, session); err != nil {
			return nil, err
		}
	}
	if err := a.sessions.end(w, r, session); err != nil {
		return nil, err
	}
	a.landings.forgetAll(w, r)
	if session != nil {
		a.flights.end(session)
	}
	if err := a.tokens.end(w, r); err != nil {
		a.log(r, asError(err)) // without their session they are of no use
	}
	return held, nil
}

// revokeTokens has a provider revoke the tokens of a session that has ended. A
// failure is logged and does no harm: nobody here has them any more.
func (a *Authenticator) revokeTokens(r *http.Request, at *registration, held *tokens) {
	if err := at.revoke(r.Context(), held); err != nil {
		a.log(r, asError(err))
	}
}

// revokeLater is revokeTokens for a request that does not wait for it. The goroutine
// ends within seconds, if Client.SecretFunc heeds its context.
func (a *Authenticator) revokeLater(r *http.Request, at *registration, held *tokens) {
	detached := r.WithContext(context.WithoutCancel(r.Context()))
	go func() {
		defer func() {
			if cause := recover(); cause != nil { // in a goroutine of ours, a panic would end the program
				failure := errProviderDown(fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
				failure.from = at
				a.log(detached, failure)
			}
		}()
		a.revokeTokens(detached, at, held)
	}()
}
