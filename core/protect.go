package core

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Authenticate returns r with its user in the context, for [UserFromContext].
// It uses no network, unless Store or Revocations do, and talks to the provider
// only to refresh tokens when it is time (see [TokenConfig.Keep]). The error
// wraps [ErrNoSession] if nobody is logged in, which is not logged, or
// [ErrUnavailable] if Store or Revocations are down, which logs nobody out. Beside
// an error, the request is r, unchanged. A user that another Authenticator has let
// pass is not logged in here. A request that this Authenticator has let pass
// already, or a test by [ContextWithUser], passes.
//
// It may set cookies, so call it before the handler writes anything. It marks
// the answer as private to this user (Cache-Control, Vary), and overrides what was
// set before if that is less strict. A handler may be stricter, and must never say
// public.
//
// For a page that anonymous requests may see, use [Authenticator.LoadUser].
func (a *Authenticator) Authenticate(w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	return a.AuthenticateFor(w, r, Requirement{})
}

// LoadUser is [Authenticator.Authenticate] for pages that anonymous requests may
// see. If nobody is logged in, it returns a request whose user is nil, and no
// error: also if another Authenticator has found a user. The error wraps
// [ErrUnavailable] if Store or Revocations are down. Beside an error, the request
// is r, unchanged.
func (a *Authenticator) LoadUser(w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	loaded, err := a.Authenticate(w, r)
	if errors.Is(err, ErrNoSession) {
		return a.nobody(r), nil
	}
	return loaded, err
}

// AuthenticateFor is [Authenticator.Authenticate] for a page that needs more
// than some login. The error wraps [ErrStepUp] if somebody is logged in whose
// login does not meet need, which is not logged, and [ErrRefused] if no login
// would: their provider has no OpenID Connect, or they come from a step-up to
// this very page. A need that cannot be is an error of status 500. Beside an
// error, the request is r, unchanged.
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
		if found.session != nil {
			if err := a.meet(r, found.session, need); err != nil {
				return nil, err
			}
		}
		return a.again(r, found), nil
	}
	markPrivate(w.Header())
	session, err := a.sessions.load(r)
	if err != nil {
		return nil, err
	}
	if session == nil {
		return nil, a.errNoSession(need)
	}
	tokens, err := a.refresher.guard(w, r, session)
	if errors.Is(err, ErrNoSession) {
		err = a.errNoSession(need)
		a.landings.forgetAll(w, r)
	}
	if err != nil {
		return nil, err
	}
	if err := a.sessions.touch(w, r, session); err != nil {
		a.log(r, asError(err)) // the session is good for a while yet
	}
	if err := a.meet(r, session, need); err != nil {
		return nil, err
	}
	session.attached = attached{user: &session.user, by: a, session: session, request: r, tokens: tokens, outer: outer}
	return r.WithContext(session.attached.in(r.Context())), nil
}

// errNoSession turns a stranger away, who may log in with what is needed at once.
func (a *Authenticator) errNoSession(need Requirement) *Error {
	err := errNoSession(a.config.Pages.LoginPath)
	if !need.isZero() {
		err.needs.Require = need
		err.loginURL = a.loginURLWith(nil, err.needs)
	}
	return err
}

// Challenge answers a request that Authenticate or AuthenticateFor has turned
// away with err. A person who opens a page is sent to log in, and comes back to
// the page afterwards; for [ErrStepUp] that is at their own provider, which is
// asked for what is needed. Everybody else gets err back, for the caller to
// answer with: programs cannot log in, and a redirect to another site means
// nothing to them. Its [Error.LoginURL] comes back to the page that made the
// request, as far as Referer tells. For htmx it sets HX-Redirect to that URL.
//
// A guard in front of the login's own routes would send people around in circles.
// Challenge answers status 500 there, login_guarded. Logout may be guarded.
func (a *Authenticator) Challenge(w http.ResponseWriter, r *http.Request, err error) error {
	t := &turn{w: w, r: r}
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
	}
	navigation, htmx := isNavigation(t.r), t.r.Header.Get("HX-Request") == "true"
	switch {
	case navigation:
		if t.at == nil {
			t.at = a.sole()
		}
		options.ReturnTo = requestedURL(t.r)
	case htmx:
		options.ReturnTo = localPart(t.r.Header.Get("HX-Current-URL"))
	default:
		options.ReturnTo = a.pageBefore(t.r)
	}
	t.again = &options
	if options.guarded = errors.Is(err, ErrNoSession); options.guarded && options.ReturnTo != "" {
		if circle := a.challengeAgain(t.w, t.r, &options); circle != nil {
			return circle
		}
	}
	if navigation {
		return a.begin(t, options, false)
	}
	if htmx {
		t.w.Header().Set("HX-Redirect", a.loginURLWith(t.at, options))
	} else if sendsForm(t.r) {
		err = withLostInput(err)
	}
	return err
}

// sendsForm reports whether r is a form that a page has sent: a redirect to log in
// would lose what is in it without a word.
func sendsForm(r *http.Request) bool {
	return r.Method != http.MethodGet && r.Method != http.MethodHead && acceptsHTML(r) && mayNavigate(r)
}

// withLostInput tells the user that a form was not taken.
func withLostInput(err error) error {
	failure := asError(err)
	failure.Public += " What you entered was not saved. After the login, go back to the form, and send it again."
	return failure
}

// circles reports whether whoever is sent to log in for r would be back at r, still
// a stranger: at the login's own routes, but not at the logout, nor at the login if
// there is nothing to choose there, because Challenge takes its place.
func (a *Authenticator) circles(r *http.Request) bool {
	path := r.URL.EscapedPath() // an escaped one is another's: routes have no escapes
	if path == a.config.Logout.Path || path == a.config.Pages.LoginPath && a.sole() != nil {
		return false
	}
	return slices.ContainsFunc(a.routes, func(route Route) bool { return r.Method == route.Method && path == route.Path })
}

func errGuarded(r *http.Request) *Error {
	return fail(codeGuarded, fmt.Errorf("a guard stands in front of %s, which is the login's own; mount the login outside of what is guarded", r.URL.Path))
}

// pageOf is the page of this application that somebody sees whose request is r.
func (a *Authenticator) pageOf(r *http.Request) string {
	if isNavigation(r) {
		return requestedURL(r)
	}
	return a.pageBefore(r)
}

// pageBefore is the page of this application that made a request, or empty.
func (a *Authenticator) pageBefore(r *http.Request) string {
	if page, ok := strings.CutPrefix(r.Header.Get("Referer"), a.origin); ok && strings.HasPrefix(page, "/") {
		return page
	}
	return ""
}

// isNavigation reports whether r is a page being opened, by somebody who can
// read a login page. Browsers that do not say so (Fetch Metadata) accept HTML
// for pages and not for data.
func isNavigation(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || !mayNavigate(r) {
		return false
	}
	return r.Header.Get("Sec-Fetch-Mode") != "" || acceptsHTML(r)
}

func acceptsHTML(r *http.Request) bool {
	return slices.ContainsFunc(r.Header["Accept"], func(accept string) bool {
		return strings.Contains(strings.ToLower(accept), "text/html")
	})
}

// localPart is a URL without its scheme and host, which do not matter here, or
// empty.
// Nothing else of it is changed, as url.URL would.
func localPart(from string) string {
	if _, rest, ok := strings.Cut(from, "://"); ok {
		if i := strings.IndexAny(rest, "/?#"); i >= 0 {
			return rest[i:]
		}
		return ""
	}
	return from
}

// markPrivate keeps shared caches away from an answer for one user. What was set
// before stays if it is as strict.
func markPrivate(header http.Header) {
	values := [...]string{"private", "Cookie"} // one allocation for both
	switch control := header["Cache-Control"]; {
	case len(control) == 0:
		header["Cache-Control"] = values[:1:1]
	case !isPrivate(control):
		header["Cache-Control"] = privately(control)
	}
	if control := header[cdnCacheControl]; len(control) > 0 && !isPrivate(control) {
		header[cdnCacheControl] = privately(control)
	}
	switch vary := header["Vary"]; {
	case len(vary) == 0:
		header["Vary"] = values[1:]
	case !slices.Contains(vary, "Cookie"):
		header["Vary"] = append(vary, "Cookie")
	}
}

// cdnCacheControl is the field that shared caches of a CDN heed instead of
// Cache-Control (RFC 9213).
const cdnCacheControl = "Cdn-Cache-Control"

// isPrivate reports whether Cache-Control keeps an answer from being served to
// another user (RFC 9111 section 5.2.2).
func isPrivate(control []string) bool {
	private := false
	for _, directive := range cacheDirectives(control) {
		switch name, _, _ := strings.Cut(directive, "="); name {
		case "public", "s-maxage":
			return false
		}
		private = private || keepsPrivate(directive)
	}
	return private
}

// keepsPrivate does not know directives that name header fields: those are about
// the fields alone.
func keepsPrivate(directive string) bool {
	return directive == "private" || directive == "no-store" || directive == "no-cache"
}

// privately returns control without what lets shared caches keep an answer.
func privately(control []string) []string {
	kept := []string{"private"}
	for _, directive := range cacheDirectives(control) {
		switch name, _, _ := strings.Cut(directive, "="); {
		case name == "public", name == "s-maxage", name == "private", name == "", strings.Contains(directive, `"`):
		default:
			kept = append(kept, directive)
		}
	}
	return []string{strings.Join(kept, ", ")}
}

// cacheDirectives are in small letters, because their names are the same in any.
func cacheDirectives(control []string) []string {
	directives := strings.Split(strings.ToLower(strings.Join(control, ",")), ",")
	for i, directive := range directives {
		directives[i] = strings.TrimSpace(directive)
	}
	return directives
}
