package core

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Authenticate returns r with its user in the context, for [UserFromContext].
// It uses no network, unless Store does, and never talks to the provider. The
// error wraps [ErrNoSession] if nobody is logged in, which is not logged, or
// [ErrUnavailable] if the Store is down, which logs nobody out. A request that
// this Authenticator has let through already, or a test by [ContextWithUser],
// passes as it is.
//
// It may set cookies, so call it before the handler writes anything. It marks
// the answer as private to this user (Cache-Control, Vary). A handler may be
// stricter, and must never say public.
func (a *Authenticator) Authenticate(w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	if a.hasPassed(r) {
		return r, nil
	}
	markPrivate(w.Header())
	session, err := a.sessions.load(r)
	if err != nil {
		return nil, a.report(w, r, err)
	}
	if session == nil {
		return nil, a.report(w, r, errNoSession(a.config.LoginPath))
	}
	if err := a.sessions.touch(w, r, session); err != nil {
		a.log(r, asError(err)) // the session is good for a while yet
	}
	session.attached = attached{&session.user, a}
	return r.WithContext(context.WithValue(r.Context(), attachedKey{}, &session.attached)), nil
}

// hasPassed reports whether r has been let through: by this Authenticator, or by
// a test. The user of another Authenticator is a stranger here.
func (a *Authenticator) hasPassed(r *http.Request) bool {
	found, ok := r.Context().Value(attachedKey{}).(*attached)
	return ok && found.user != nil && (found.by == a || found.by == nil)
}

// Challenge answers a request that Authenticate has turned away with err. A
// person who opens a page is sent to log in, and comes back to the page
// afterwards. Everybody else gets err back, for the caller to answer with:
// programs cannot log in, and a redirect to another site means nothing to them.
// For htmx it sets HX-Redirect to the login page.
func (a *Authenticator) Challenge(w http.ResponseWriter, r *http.Request, err error) error {
	if !errors.Is(err, ErrNoSession) {
		return a.report(w, r, err)
	}
	if isNavigation(r) {
		return a.report(w, r, a.begin(w, r, a.only(), requestedURL(r), false))
	}
	loginURL := a.config.LoginPath
	if r.Header.Get("HX-Request") == "true" {
		loginURL = a.loginURL(nil, localPart(r.Header.Get("HX-Current-URL")))
		w.Header().Set("HX-Redirect", loginURL)
	}
	return a.report(w, r, withLogin(err, loginURL))
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

// localPart is a URL without its scheme and host, which do not matter here.
func localPart(from string) string {
	u, err := url.Parse(from)
	if err != nil {
		return home
	}
	return u.RequestURI()
}

// markPrivate keeps shared caches away from what is meant for one person.
func markPrivate(header http.Header) {
	values := [...]string{"private", "Cookie"} // one allocation for both
	if len(header["Cache-Control"]) == 0 {
		header["Cache-Control"] = values[:1:1]
	}
	switch vary := header["Vary"]; {
	case len(vary) == 0:
		header["Vary"] = values[1:]
	case !slices.Contains(vary, "Cookie"):
		header["Vary"] = append(vary, "Cookie")
	}
}
