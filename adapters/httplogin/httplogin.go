// Package httplogin mounts pixy in net/http, and in every router that takes
// net/http's handlers and middleware.
//
// A guard protects the handler that it wraps, and nothing that runs before it.
// [http.ServeMux] and other routers match decoded paths (%2F is no separator in
// ServeMux): a handler must not decode a path again to find what it serves.
package httplogin

import (
	"net/http"

	"github.com/pixyauth/pixy/adapters/internal/public"
	"github.com/pixyauth/pixy/core"
)

// Login mounts the login's routes and guards handlers. Make one with [New]. It
// is safe for concurrent use once its fields are set.
type Login struct {
	// ErrorHandler answers when a request is not served. The error has been logged.
	// Its text is the public one; [errors.As] finds the [*core.Error]. Nil:
	// [core.Authenticator.ServeError].
	ErrorHandler func(http.ResponseWriter, *http.Request, error)

	auth *core.Authenticator
}

// New returns a Login for auth.
func New(auth *core.Authenticator) *Login { return &Login{auth: auth} }

// Mount registers the login's routes. An [*http.ServeMux] is a router here, and
// so is every other that understands patterns such as "GET /auth/login". Their
// paths are whole, because RedirectURL is: give the outermost router. Under a prefix,
// the login answers with status 500 and says so in the log.
func (l *Login) Mount(router interface{ Handle(string, http.Handler) }) {
	for _, route := range l.auth.Routes() {
		router.Handle(route.Method+" "+route.Path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := route.Handle(w, r); err != nil {
				l.fail(w, r, err)
			}
		}))
	}
}

// RequireUser is middleware that lets only logged-in users through. A person
// who opens a page is sent to log in and comes back; other requests get 401.
func (l *Login) RequireUser(next http.Handler) http.Handler {
	return l.Require(core.Requirement{})(next)
}

// Require is RequireUser for pages that need a login which is recent or strong,
// too: who has another is sent to log in once more, and comes back.
func (l *Login) Require(need core.Requirement) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			authenticated, err := l.auth.AuthenticateFor(w, r, need)
			if err == nil {
				next.ServeHTTP(w, authenticated)
			} else if err = l.auth.Challenge(w, r, err); err != nil {
				l.fail(w, r, err)
			}
		})
	}
}

// LoadUser is middleware that attaches the user if there is one, and lets
// everybody through. If nobody is logged in, [User] returns nil, also if another
// Login has found a user. Only an outage stops a request: of the Store or of
// Revocations (503).
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

// User returns the user of this Login, or nil. It is nil if no RequireUser, Require
// or LoadUser of this Login has let the request pass, whatever other Logins found.
func (l *Login) User(r *http.Request) *core.User { return l.auth.User(r) }

// User returns the user that the innermost RequireUser, Require or LoadUser has
// found, or nil. Behind RequireUser it is never nil. With several Logins, use
// [Login.User].
func User(r *http.Request) *core.User { return core.UserFromContext(r.Context()) }

// Client returns a client that calls APIs on hosts in the name of who is logged
// in. See [core.Client]; [core.TokenSource] has the token itself.
func Client(r *http.Request, hosts ...string) *http.Client { return core.Client(r.Context(), hosts...) }

// Refresh refreshes the tokens of a request's user after an API has answered 401.
// Call it before the handler writes anything, and ask the API once more. Its error
// is for the handler to answer. See [core.Authenticator.Refresh].
func (l *Login) Refresh(w http.ResponseWriter, r *http.Request) error { return l.auth.Refresh(w, r) }

func (l *Login) fail(w http.ResponseWriter, r *http.Request, err error) {
	if l.ErrorHandler == nil {
		l.auth.ServeError(w, r, err)
		return
	}
	l.ErrorHandler(w, r, public.Error(err))
}
