package core

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
)

// Logout ends the session here, and then redirects the browser to the provider to end the
// session there (OpenID Connect RP-Initiated Logout). If the provider has no logout
// endpoint, or its metadata is unknown and cannot be fetched, it redirects to
// Logout.After. Logout does not check whether the provider is up: while its metadata is
// known, the browser is redirected there. The session here has ended in any case.
//
// Logout also revokes kept tokens at the provider, if the provider supports that (RFC
// 7009). If the session has already expired, the browser is still redirected to the
// provider while it has the hint of its last login: for Sessions.Lifetime plus 30 days.
// Any other anonymous request is redirected to Logout.After, and so is every request with
// Logout.Local.
//
// Logout accepts only POST, from a page of this application: use a button in a form with
// method="post". If another site caused the request, the error wraps [ErrCrossOrigin],
// and the session continues. If the Store or Revocations are down, it wraps
// [ErrUnavailable], and the session continues. With [SessionConfig.Own], Logout first
// calls [OwnSessions.End], and an error of it ends nothing.
func (a *Authenticator) Logout(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	return a.report(w, r, a.logout(w, r))
}

func (a *Authenticator) logout(w http.ResponseWriter, r *http.Request) error {
	if r.Method != http.MethodPost {
		return errMethod(w, http.MethodPost)
	}
	var endTheirs HandlerFunc
	if a.config.Sessions.Own != nil {
		endTheirs = a.endOwn
	}
	at, hint, err := a.leave(w, r, byUser, endTheirs)
	if err != nil {
		return err
	}
	to := ""
	if !a.config.Logout.Local {
		to = a.logoutURL(r, at, hint)
	}
	redirect(w, cmp.Or(to, a.config.Logout.After))
	return nil
}

// EndSession ends the session here, for a logout handler of the application's own. It
// returns the URL at which the session at the provider ends (OpenID Connect RP-Initiated
// Logout). The URL is empty if there is none: see [Authenticator.Logout]. The handler
// redirects there, or not. The provider then redirects the browser to Logout.After.
//
// It may set cookies, and writes neither status nor body. Call it before the handler
// writes anything. See [LogoutConfig.Path] for the handler's path. Logout.Local has no
// effect here. With [SessionConfig.Own], the handler ends the application's session
// itself, and EndSession forgets the login.
//
// The handler must accept POST only, because any site can cause a GET. If another site
// caused the POST, the error wraps [ErrCrossOrigin]. If the Store or Revocations are down,
// it wraps [ErrUnavailable]. The session continues in both cases. The error is an
// [*Error], and has been logged.
func (a *Authenticator) EndSession(w http.ResponseWriter, r *http.Request) (providerURL string, err error) {
	noStore(w)
	at, hint, err := a.leave(w, r, byApplication, nil)
	if err != nil {
		return "", a.report(w, r, err)
	}
	if at != nil {
		a.hints.cookies.Remove(w, a.hints.name) // also if the handler's path does not get it
	}
	return a.logoutURL(r, at, hint), nil
}

// leave ends a browser's session here, first that of the application if endTheirs is not
// nil. It returns the provider of the session and the hint for its logout, if known.
func (a *Authenticator) leave(w http.ResponseWriter, r *http.Request, by string, endTheirs HandlerFunc) (at *registration, hint string, err error) {
	if err := a.crossOrigin.Check(r); err != nil {
		return nil, "", fail(codeCrossOrigin, err)
	}
	session, err := a.sessions.load(r)
	if err != nil {
		return nil, "", err
	}
	if endTheirs != nil {
		if err := endTheirs(w, r); err != nil {
			return nil, "", err
		}
	}
	held, err := a.endSession(w, r, session)
	if err != nil {
		return nil, "", err
	}
	if held != nil {
		a.revokeTokens(r, session.registration, held)
	}
	at, hint = a.hints.take(w, r, session)
	if session != nil {
		at = session.registration
	} else if at == nil {
		at, _ = a.hints.lastOrigin(r) // there is no hint if it was too large
	}
	a.tellLogout(r.Context(), by, session, at, hint)
	return at, hint, nil
}

// logoutURL returns the URL at which a session ends at its provider, or an empty string.
func (a *Authenticator) logoutURL(r *http.Request, at *registration, hint string) string {
	if at == nil {
		return ""
	}
	return at.logoutURL(r.Context(), hint, a.origin+a.config.Logout.After)
}

// endSession ends a browser's session, and returns its tokens, or nil. If it returns an
// error, the session continues.
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
	if last, ok := a.landings.find(r); ok && last.login != 0 {
		a.flights.endAll(func(of *outcome) bool { return of.mark == last.login })
	}
	a.landings.forgetAll(w, r)
	a.attempts.forgetBrowserKey(w, r)
	if session != nil {
		a.flights.end(session)
	}
	if err := a.tokens.end(w, r); err != nil {
		a.log(r, asError(err)) // tokens are useless without their session
	}
	return held, nil
}

// revokeTokens revokes the tokens of an ended session at the provider. A failure is only
// logged, because no copy of the tokens is left here.
func (a *Authenticator) revokeTokens(r *http.Request, at *registration, held *tokens) {
	if err := at.revoke(r.Context(), held); err != nil {
		a.log(r, asError(err))
	}
}

// revokeLater is revokeTokens in the background. The goroutine ends within seconds, if
// Client.SecretFunc respects its context.
func (a *Authenticator) revokeLater(r *http.Request, at *registration, held *tokens) {
	detached := r.WithContext(context.WithoutCancel(r.Context()))
	go func() {
		defer func() {
			if cause := recover(); cause != nil { // net/http does not recover panics here, so the program would end
				failure := errProviderDown(fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))
				failure.from = at
				a.log(detached, failure)
			}
		}()
		a.revokeTokens(detached, at, held)
	}()
}
