package core

import (
	"errors"
	"net/http"
	"strings"
)

// Authenticate returns r with its user in the context, for [UserFromContext]. It uses the
// network only for Store and Revocations, and to refresh tokens in time (see
// [TokenConfig.Keep]). A request that this Authenticator has already passed, or that has
// a user from [ContextWithUser], passes. A user of another Authenticator is not logged in
// here.
//
// The error wraps [ErrNoSession] if r is anonymous; this error is not logged. It wraps
// [ErrUnavailable] if Store or Revocations are down; an outage ends no session. With an
// error, Authenticate returns r unchanged.
//
// With [SessionConfig.Own], there are no sessions to find, and the error has status 500.
//
// Authenticate may set cookies, so call it before the handler writes anything. It marks
// the response as private (Cache-Control, Vary), and overrides earlier values that are
// less strict. A handler may set stricter values, and must never set public.
//
// For a page that anonymous requests may see, use [Authenticator.LoadUser].
func (a *Authenticator) Authenticate(w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	return a.AuthenticateFor(w, r, Requirement{})
}

// LoadUser is like [Authenticator.Authenticate], for pages that anonymous requests may
// see. If r is anonymous, it returns a request whose user is nil, and no error, even if
// another Authenticator has found a user. The error wraps [ErrUnavailable] if Store or
// Revocations are down. With an error, LoadUser returns r unchanged.
func (a *Authenticator) LoadUser(w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	loaded, err := a.Authenticate(w, r)
	if errors.Is(err, ErrNoSession) {
		return a.nobody(r), nil
	}
	return loaded, err
}

// AuthenticateFor is like [Authenticator.Authenticate], for a page with a requirement.
// The error wraps [ErrStepUp] if the user's login does not meet need; this error is not
// logged. It wraps [ErrRefused] if another login would not help: need.Allow does not let
// the user pass, the provider has no OpenID Connect, or the user has just completed a
// step-up for this page. An invalid need returns an error with status 500. With an error,
// AuthenticateFor returns r unchanged.
//
// If a step-up is needed and the user's provider is looked up, it asks [LookupConfig.Find].
// An error of Find wraps [ErrUnavailable]. If the provider is gone, the session ends, and
// the error wraps [ErrNoSession].
func (a *Authenticator) AuthenticateFor(w http.ResponseWriter, r *http.Request, need Requirement) (*http.Request, error) {
	passed, err := a.authenticate(w, r, need)
	if err != nil {
		return r, a.report(w, r, err)
	}
	return passed, nil
}

func (a *Authenticator) authenticate(w http.ResponseWriter, r *http.Request, need Requirement) (*http.Request, error) {
	if err := need.check(); err != nil {
		return nil, err
	}
	outer := innermost(r.Context())
	if found := outer.passed(a); found != nil {
		if err := a.admit(r, found.session, found.user, need); err != nil {
			return nil, a.endIfGone(w, r, found.session, need, err)
		}
		return a.again(r, found), nil
	}
	if a.config.Sessions.Own != nil {
		return nil, errOwnSessions()
	}
	markPrivate(w.Header())
	session, err := a.sessions.load(r)
	if err != nil {
		return nil, err
	}
	if session == nil {
		return nil, a.errNoSession(r, need)
	}
	tokens, err := a.refresher.guard(w, r, session)
	if err != nil {
		return nil, a.ended(w, r, need, err)
	}
	if err := a.sessions.touch(w, r, session); err != nil {
		a.log(r, asError(err)) // the session is still valid
	}
	if err := a.admit(r, session, &session.user, need); err != nil {
		return nil, a.endIfGone(w, r, session, need, err)
	}
	session.attached = attached{user: &session.user, by: a, session: session, request: r, tokens: tokens, outer: outer}
	return r.WithContext(session.attached.in(r.Context())), nil
}

// endIfGone ends a session if err says that its provider is gone, and returns the error for
// the request.
func (a *Authenticator) endIfGone(w http.ResponseWriter, r *http.Request, found *session, need Requirement, err error) error {
	if !errors.Is(err, errGone) {
		return err
	}
	return a.ended(w, r, need, a.refresher.end(w, r, found, a.refresher.report(r.Context(), found.binding(), err)))
}

// ended returns the error for a request whose session has just ended, if err is
// ErrNoSession, and err otherwise.
func (a *Authenticator) ended(w http.ResponseWriter, r *http.Request, need Requirement, err error) error {
	if !errors.Is(err, ErrNoSession) {
		return err
	}
	a.landings.forgetAll(w, r)
	return a.errNoSession(r, need)
}

// errNoSession is the error for an anonymous request. Its login URL asks for a login that
// meets need.
func (a *Authenticator) errNoSession(r *http.Request, need Requirement) *Error {
	err := errNoSession(a.signInPath())
	if need.bindsLogin() {
		err.needs.Require = need
		if a.config.Pages.SignInPath == "" {
			err.loginURL = a.loginURLWith(r, nil, err.needs)
		}
	}
	return err
}

// Challenge answers a request for which Authenticate or AuthenticateFor returned err, or
// one that a guard of the application's own rejects, with [ErrNoSession] as err. It
// redirects page loads to the login, which returns to the page, or to
// [PageConfig.SignInPath]. For [ErrStepUp], the login is at the user's provider, which is
// asked to meet the requirement. For all other requests Challenge returns err, because
// scripts cannot log in and cannot follow a redirect to another site. The caller writes the
// response. The error's [Error.LoginURL] returns to the page that made the request, as far
// as Referer tells. For htmx, Challenge sets HX-Redirect to that URL. Page loads by Turbo
// and by boosted links of htmx are answered with a response that makes them load the
// requested page in full.
//
// A guard in front of the login's own routes, or of the sign-in page, would redirect users
// in circles. There, Challenge returns an error with status 500, login_guarded. A POST of
// the logout may be guarded. A guard that serves the route of [Authenticator.RouteFor] first
// never gets that error. On an unknown host ([HostConfig]), a redirect is not possible, and
// the error has status 421, host_unknown.
func (a *Authenticator) Challenge(w http.ResponseWriter, r *http.Request, err error) error {
	t := &turn{w: w, r: r, begun: a.now()}
	return a.conclude(t, a.challenge(t, err))
}

func (a *Authenticator) challenge(t *turn, err error) error {
	if !errors.Is(err, ErrNoSession) && !errors.Is(err, ErrStepUp) {
		return err
	}
	if a.circles(t.r) {
		return errGuarded(t.r)
	}
	var options LoginOptions
	if known := new(Error); errors.As(err, &known) {
		t.at, options = known.from, known.needs
	} else {
		err = asError(err) // of the application's own guard
	}
	options.guarded = errors.Is(err, ErrNoSession)
	toOwnPage := options.guarded && a.config.Pages.SignInPath != ""
	if toOwnPage {
		options = LoginOptions{guarded: true} // a Requirement is met by a step-up, after the login
	}
	navigation, htmx := isNavigation(t.r), isHTMX(t.r)
	if navigation || htmx {
		if err := a.checkHost(t); err != nil {
			t.at = nil
			return err
		}
	}
	if (!htmx || t.r.Header.Get("HX-Boosted") == "true") && a.loadInFull(t.w, t.r) {
		return nil
	}
	switch {
	case navigation:
		if t.at == nil && !toOwnPage {
			t.at = a.sole()
		}
		options.ReturnTo = a.requestedURL(t.r)
	case htmx:
		options.ReturnTo = localPart(t.r.Header.Get("HX-Current-URL"))
	default:
		options.ReturnTo = a.pageBefore(t.r)
	}
	t.again = &options
	if options.guarded && options.ReturnTo != "" {
		if circle := a.challengeAgain(t.w, t.r, &options); circle != nil {
			return circle
		}
	}
	if navigation {
		return a.begin(t, options, false)
	}
	if htmx {
		t.w.Header().Set("HX-Redirect", a.loginURLWith(t.r, t.at, options))
	} else if sendsForm(t.r) {
		err = withLostInput(err)
	}
	return err
}

// withLostInput tells the user that the form was not processed.
func withLostInput(err error) error {
	failure := asError(err)
	failure.Public += " " + lostInput
	return failure
}

const lostInput = "What you entered was not saved. After the login, go back to the form, and send it again."

// pageOf returns the page of this application that the user sees when r is sent.
func (a *Authenticator) pageOf(r *http.Request) string {
	if isNavigation(r) {
		return a.requestedURL(r)
	}
	return a.pageBefore(r)
}

// pageBefore returns the page of this application that made the request, or an empty
// string.
func (a *Authenticator) pageBefore(r *http.Request) string {
	origin := a.hosts.originIn(r)
	if page, ok := strings.CutPrefix(r.Header.Get("Referer"), origin); ok && origin != "" && strings.HasPrefix(page, "/") {
		return page
	}
	return ""
}

// localPart returns a URL without scheme and host, which do not matter here, or an empty
// string. It does not change the rest, as url.URL would.
func localPart(from string) string {
	if _, rest, ok := strings.Cut(from, "://"); ok {
		if i := strings.IndexAny(rest, "/?#"); i >= 0 {
			return rest[i:]
		}
		return ""
	}
	return from
}
