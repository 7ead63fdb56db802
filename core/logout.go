package core

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"runtime/debug"
)

// Logout ends the session here, and then leads the browser to the provider to end the
// session there (OpenID Connect RP-Initiated Logout). The logout ends at Logout.After, or
// on a page of ours at Logout.Path. If the provider has no logout endpoint, or its
// metadata is unknown and cannot be fetched, the logout ends there at once. Logout does
// not check whether the provider is up: while its metadata is known, the browser is led
// there. The session here has ended in any case.
//
// POST ends the session. Use a button in a form with method="post". The response depends
// on the client:
//
//   - Browsers, and Turbo, are redirected to Logout.Path, whose page leads on to the
//     provider. So the form stays within form-action 'self' of a Content Security Policy.
//   - A script that accepts application/json, and not HTML, gets a JSON object with
//     logout_url, for location.assign. It is a path of this application.
//   - htmx gets that path as HX-Redirect.
//
// GET and HEAD end no session. They serve a page that asks a user whether to log out, and
// tells anonymous requests that they are logged out. Only a page load within five minutes
// after a POST leads on to the provider, once. A prefetch gets status 503, which browsers
// discard. With [SessionConfig.Own], the page asks if the browser has logged in here
// before.
//
// Logout also revokes kept tokens at the provider, if the provider supports that (RFC
// 7009). If the session has already expired, POST still leads to the provider while the
// browser has the hint of its last login: for Sessions.Lifetime plus 30 days. Any other
// anonymous request, and every request with Logout.Local, is not led to the provider.
//
// If another site caused the POST, the error wraps [ErrCrossOrigin], and the session
// continues. If the Store or Revocations are down, it wraps [ErrUnavailable], and the
// session continues. With [SessionConfig.Own], Logout first calls [OwnSessions.End], and
// an error of it ends nothing.
func (a *Authenticator) Logout(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	origin, err := a.hosts.originFor(r)
	if err != nil {
		return a.report(w, r, err)
	}
	switch r.Method {
	case http.MethodPost:
		return a.report(w, r, a.logout(w, r, origin))
	case http.MethodGet, http.MethodHead:
		return a.report(w, r, a.logoutPage(w, r, origin))
	}
	return a.report(w, r, errMethod(w, "GET, HEAD, POST"))
}

func (a *Authenticator) logout(w http.ResponseWriter, r *http.Request, origin string) error {
	var endTheirs HandlerFunc
	if a.config.Sessions.Own != nil {
		endTheirs = a.endOwn
	}
	gone, err := a.leave(w, r, origin, byUser, endTheirs)
	if err != nil {
		return err
	}
	ends := cmp.Or(a.config.Logout.After, a.config.Logout.Path)
	first, then := ends, ends // for browsers, and for scripts
	if !a.config.Logout.Local && a.logoutURL(r, origin, departure{at: gone.at}) != "" {
		a.hints.keepDeparture(w, r, gone)
		first, then = a.config.Logout.Path, a.config.Logout.Path+"?"+onward
	} else {
		a.hints.dropCarried(w, r)
	}
	switch {
	case isHTMX(r):
		w.Header().Set("HX-Redirect", then)
		w.WriteHeader(http.StatusOK)
	case accepts(r, "application/json") && !acceptsHTML(r):
		body, _ := json.Marshal(map[string]string{"logout_url": then}) // a string: cannot fail
		serve(w, http.StatusOK, "application/json", append(body, '\n'))
	default:
		redirect(w, first)
	}
	return nil
}

// onward is the query of the logout's page that redirects to the provider. A form cannot
// be redirected there: browsers apply form-action to all redirects of a form. So the page
// itself opens the redirect. No page and no script ever has the provider's URL, which
// contains an ID token.
const onward = "continue"

// logoutPage serves a GET of the logout route. It ends no session.
func (a *Authenticator) logoutPage(w http.ResponseWriter, r *http.Request, origin string) error {
	if isPrefetch(r) { // use nothing up: browsers discard this response
		w.WriteHeader(http.StatusServiceUnavailable)
		return nil
	}
	if a.loadInFull(w, r) {
		return nil
	}
	gone, leaving := a.hints.departure(r)
	if r.URL.RawQuery == onward && r.Method == http.MethodGet && mayNavigate(r) {
		a.leadOn(w, r, origin, gone, leaving)
		return nil
	}
	if site := r.Header.Get("Sec-Fetch-Site"); leaving && (site == "" || site == "same-origin" || site == "none") { // the provider redirects here
		a.serveOneMoment(w, r, a.languageOf(r).Say("You are logged out here. Your login provider is next."), a.config.Logout.Path+"?"+onward)
		return nil
	}
	user, err := a.mayLogOut(r)
	if err != nil {
		return err
	}
	a.serveLogoutPage(w, r, user)
	return nil
}

// leadOn redirects the browser to its provider's logout, if it has just logged out here.
func (a *Authenticator) leadOn(w http.ResponseWriter, r *http.Request, origin string, gone departure, leaving bool) {
	to := ""
	if leaving {
		to = cmp.Or(a.logoutURL(r, origin, a.hints.arrive(r, gone)), a.config.Logout.After)
		a.hints.dropCarried(w, r)
	}
	redirect(w, cmp.Or(to, a.config.Logout.Path))
}

// mayLogOut reports whether the browser has something to log out from.
func (a *Authenticator) mayLogOut(r *http.Request) (bool, error) {
	if a.config.Sessions.Own != nil {
		return a.hints.hasLast(r), nil
	}
	session, err := a.sessions.load(r)
	return session != nil, err
}

// EndSession ends the session here, for a logout handler of the application's own. It
// returns the URL at which the session at the provider ends (OpenID Connect RP-Initiated
// Logout). The URL is empty if there is none: see [Authenticator.Logout]. The handler
// redirects there, or not. The provider then redirects the browser to Logout.After, or to
// the page at Logout.Path.
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
	origin, err := a.hosts.originFor(r)
	if err != nil {
		return "", a.report(w, r, err)
	}
	gone, err := a.leave(w, r, origin, byApplication, nil)
	if err != nil {
		return "", a.report(w, r, err)
	}
	a.hints.dropCarried(w, r)
	if gone.at != nil {
		a.hints.cookies.Remove(w, a.hints.name) // also if the handler's path does not get it
	}
	return a.logoutURL(r, origin, gone), nil
}

// leave ends a browser's session here, first that of the application if endTheirs is not
// nil. The browser still has the hint of the session.
func (a *Authenticator) leave(w http.ResponseWriter, r *http.Request, origin, by string, endTheirs HandlerFunc) (departure, error) {
	if err := checkOrigin(r, origin); err != nil {
		return departure{}, err
	}
	session, err := a.sessions.load(r)
	if err != nil {
		return departure{}, err
	}
	if endTheirs != nil {
		if err := endTheirs(w, r); err != nil {
			return departure{}, err
		}
	}
	held, err := a.endSession(w, r, session)
	if err != nil {
		return departure{}, err
	}
	gone := a.hints.find(r, session)
	if held != nil && gone.at != nil {
		a.revokeTokens(r, gone.at, held)
	}
	if _, again := a.hints.departure(r); session != nil || !again {
		a.tellLogout(r.Context(), by, session, gone.at, gone.idToken)
	}
	return gone, nil
}

// logoutURL returns the URL at which a session ends at its provider, or an empty string.
func (a *Authenticator) logoutURL(r *http.Request, origin string, gone departure) string {
	if gone.at == nil {
		return ""
	}
	return gone.at.logoutURL(r.Context(), gone.idToken, a.afterLogout(origin))
}

// afterLogout returns the post-logout redirect URI.
func (a *Authenticator) afterLogout(origin string) string {
	return origin + cmp.Or(a.config.Logout.After, a.config.Logout.Path)
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
// Lookup.Find and Client.SecretFunc do.
func (a *Authenticator) revokeLater(r *http.Request, of binding, held *tokens) {
	detached := r.WithContext(context.WithoutCancel(r.Context()))
	go func() {
		defer func() {
			if cause := recover(); cause != nil { // net/http does not recover panics here, so the program would end
				a.log(detached, of.failed(errProviderDown(fmt.Errorf("panic: %v\n%s", cause, debug.Stack()))))
			}
		}()
		at, err := a.bound(detached.Context(), of)
		if err != nil {
			a.log(detached, asError(err))
			return
		}
		a.revokeTokens(detached, at, held)
	}()
}
