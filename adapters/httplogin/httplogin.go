// Package httplogin mounts pixy in net/http, and in every router that takes
// net/http's handlers and middleware.
//
// A guard protects the handler that it wraps. It does not protect what runs
// before it. [http.ServeMux] and other routers match decoded paths (in
// ServeMux, %2F is not a separator). A handler must not decode a path again to
// choose what it serves.
package httplogin

import (
	"net/http"

	"github.com/pixyauth/pixy/adapters/internal/exempt"
	"github.com/pixyauth/pixy/adapters/internal/public"
	"github.com/pixyauth/pixy/core"
)

// Login mounts the login's routes and guards handlers. Create it with [New]. It
// is safe for concurrent use once its fields are set.
type Login struct {
	// ErrorHandler answers a request that fails. The error has been logged. Its
	// text is the public one; [errors.As] finds the [*core.Error]. Nil:
	// [core.Authenticator.ServeError].
	ErrorHandler func(http.ResponseWriter, *http.Request, error)

	auth *core.Authenticator
}

// New returns a Login for auth.
func New(auth *core.Authenticator) *Login { return &Login{auth: auth} }

// Mount registers the login's routes. The router is an [*http.ServeMux], or any
// other router that understands patterns such as "GET /auth/login". The paths
// are absolute, because they come from RedirectURL. Pass the outermost router,
// or one behind [http.StripPrefix] with [core.Config.BasePath]. Under another
// prefix, the login answers with status 500 and logs the reason.
func (l *Login) Mount(router interface{ Handle(string, http.Handler) }) {
	for _, route := range l.auth.Routes() {
		router.Handle(route.Method+" "+route.Path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			l.serve(w, r, route)
		}))
	}
}

// ServeLogin serves r if it is for one of the login's routes, and reports
// whether it is. Call it before any router that Mount does not fit:
//
//	if !login.ServeLogin(w, r) {
//		router.ServeHTTP(w, r)
//	}
//
// A login's path with another method is one of its routes, too (status 405).
// See [core.Authenticator.RouteFor].
func (l *Login) ServeLogin(w http.ResponseWriter, r *http.Request) bool {
	route, ok := l.auth.RouteFor(r)
	if ok {
		l.serve(w, r, route)
	}
	return ok
}

// Wrap returns a whole application behind the login. It serves the login's
// routes, passes requests for public paths to handler, and guards all other
// requests as RequireUser does. It needs no Mount.
//
// A public path is exact, such as "/healthz", or a subtree if it ends in a
// slash, such as "/static/". It is for all methods, and compared with r.URL.Path.
// For its requests, no session is read, and [User] returns nil. A request is
// guarded if its path could mean something else to another program. Such paths
// have escaped slashes, backslashes, dot segments, empty segments, semicolons
// and so on. Wrap panics if a path is not plain, or is the root.
func (l *Login) Wrap(handler http.Handler, public ...string) http.Handler {
	return exempt.Handler("httplogin: Wrap", l.auth, public, handler, l.RequireUser(handler))
}

// RequireUser is middleware that lets only logged-in users through. An
// anonymous page load is redirected to the login, and the login returns to the
// page. Other anonymous requests get status 401.
//
// It serves the login's own routes, so that it can guard a whole application,
// with or without Mount.
func (l *Login) RequireUser(next http.Handler) http.Handler {
	return l.Require(core.Requirement{})(next)
}

// Require is like RequireUser for pages that need a recent or strong login. A
// user whose login does not meet need is sent to log in again, and returns to
// the page.
func (l *Login) Require(need core.Requirement) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if l.ServeLogin(w, r) {
				return
			}
			authenticated, err := l.auth.AuthenticateFor(w, r, need)
			if err == nil {
				next.ServeHTTP(w, authenticated)
			} else if err = l.auth.Challenge(w, r, err); err != nil {
				l.fail(w, r, err)
			}
		})
	}
}

// LoadUser is middleware that adds the user to the request if there is one, and
// lets every request through. For an anonymous request [User] returns nil, even
// if another Login has found a user. A request fails only if the Store or
// Revocations are unavailable (status 503).
func (l *Login) LoadUser(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		loaded, err := l.auth.LoadUser(w, r)
		if err != nil {
			l.fail(w, r, err)
			return
		}
		next.ServeHTTP(w, loaded)
	})
}

// User returns the user that RequireUser, Require or LoadUser of this Login has
// found, or nil. It does not see users that other Logins found.
func (l *Login) User(r *http.Request) *core.User { return l.auth.User(r) }

// User returns the user that the innermost RequireUser, Require or LoadUser has
// found, or nil. Behind RequireUser it is never nil. With several Logins, use
// [Login.User].
func User(r *http.Request) *core.User { return core.UserFromContext(r.Context()) }

// Client returns a client that calls APIs on hosts with the user's access
// token. See [core.Client]. For the token itself, use [core.TokenSource].
func Client(r *http.Request, hosts ...string) *http.Client { return core.Client(r.Context(), hosts...) }

// Refresh refreshes the user's tokens after an API has answered 401. Call it
// before the handler writes anything, then call the API again. If it fails, the
// handler answers the request. See [core.Authenticator.Refresh].
func (l *Login) Refresh(w http.ResponseWriter, r *http.Request) error { return l.auth.Refresh(w, r) }

func (l *Login) serve(w http.ResponseWriter, r *http.Request, route core.Route) {
	if err := route.Handle(w, r); err != nil {
		l.fail(w, r, err)
	}
}

func (l *Login) fail(w http.ResponseWriter, r *http.Request, err error) {
	if l.ErrorHandler == nil {
		l.auth.ServeError(w, r, err)
		return
	}
	l.ErrorHandler(w, r, public.Error(err))
}
