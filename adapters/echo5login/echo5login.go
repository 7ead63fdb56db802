// Package echo5login mounts pixy in Echo v5. For Echo v4 there is echologin.
//
// A guard protects the handlers of the routes that it is given, and nothing that
// runs before it. Middleware of Echo.Pre and Echo.Use runs first, so files that
// the Static middleware serves from there are not guarded: serve protected files
// with Static of a guarded group. Echo's router matches encoded paths. Do not
// decode them in front of a guard: leave EnablePathUnescaping of StaticConfig off.
package echo5login

import (
	"fmt"
	"net/http"

	"github.com/labstack/echo/v5"

	"github.com/pixyauth/pixy/adapters/internal/public"
	"github.com/pixyauth/pixy/core"
)

// Login mounts the login's routes and guards handlers. Make one with [New]. It
// is safe for concurrent use once its fields are set.
type Login struct {
	// ErrorHandler decides about a request that is not served; what it returns
	// goes to Echo. The error has been logged: return it to have Echo's
	// HTTPErrorHandler answer with its status and public part. Its text is the
	// public one; [errors.As] finds the [*core.Error]. Nil:
	// [core.Authenticator.ServeError] answers, and Echo sees no error.
	ErrorHandler func(*echo.Context, error) error

	auth *core.Authenticator
}

// New returns a Login for auth.
func New(auth *core.Authenticator) *Login { return &Login{auth: auth} }

// Mount registers the login's routes. Their paths are whole, because RedirectURL
// is: give the Echo, or a group that adds middleware and no prefix. Mount panics
// for a group with a prefix.
func (l *Login) Mount(router interface {
	Add(method, path string, handler echo.HandlerFunc, middleware ...echo.MiddlewareFunc) echo.RouteInfo
}) {
	for _, route := range l.auth.Routes() {
		added := router.Add(route.Method, route.Path, func(c *echo.Context) error {
			return l.fail(c, route.Handle(c.Response(), c.Request()))
		})
		if added.Path != route.Path {
			panic(fmt.Sprintf("echo5login: Mount was given a group that makes %q of %q, but the login's paths are whole; "+
				"give the Echo, and a RedirectURL with the whole path of the callback", added.Path, route.Path))
		}
	}
}

// RequireUser is middleware that lets only logged-in users through. A person
// who opens a page is sent to log in and comes back; other requests get 401.
//
// Echo runs a group's middleware for unknown paths under the group too. In a
// group without a prefix those are all unknown paths: guard routes one by one.
func (l *Login) RequireUser(next echo.HandlerFunc) echo.HandlerFunc {
	return l.Require(core.Requirement{})(next)
}

// Require is RequireUser for pages that need a login which is recent or strong,
// too: who has another is sent to log in once more, and comes back.
func (l *Login) Require(need core.Requirement) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			authenticated, err := l.auth.AuthenticateFor(c.Response(), c.Request(), need)
			if err != nil {
				return l.fail(c, l.auth.Challenge(c.Response(), c.Request(), err))
			}
			c.SetRequest(authenticated)
			return next(c)
		}
	}
}

// LoadUser is middleware that attaches the user if there is one, and lets
// everybody through. If nobody is logged in, [User] returns nil, also if another
// Login has found a user. Only an outage stops a request: of the Store or of
// Revocations (503).
func (l *Login) LoadUser(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c *echo.Context) error {
		loaded, err := l.auth.LoadUser(c.Response(), c.Request())
		if err != nil {
			return l.fail(c, err)
		}
		c.SetRequest(loaded)
		return next(c)
	}
}

// User returns the user of this Login, or nil. It is nil if no RequireUser, Require
// or LoadUser of this Login has let the request pass, whatever other Logins found.
func (l *Login) User(c *echo.Context) *core.User { return l.auth.User(c.Request()) }

// User returns the user that the innermost RequireUser, Require or LoadUser has
// found, or nil. Behind RequireUser it is never nil. With several Logins, use
// [Login.User].
func User(c *echo.Context) *core.User { return core.UserFromContext(c.Request().Context()) }

// Client returns a client that calls APIs on hosts in the name of who is logged
// in. See [core.Client]; [core.TokenSource] has the token itself.
func Client(c *echo.Context, hosts ...string) *http.Client {
	return core.Client(c.Request().Context(), hosts...)
}

// Refresh refreshes the tokens of a request's user after an API has answered 401.
// Call it before the handler writes anything, and ask the API once more. Its error
// is for the handler to answer. See [core.Authenticator.Refresh].
func (l *Login) Refresh(c *echo.Context) error { return l.auth.Refresh(c.Response(), c.Request()) }

func (l *Login) fail(c *echo.Context, err error) error {
	if err == nil {
		return nil
	}
	if l.ErrorHandler == nil {
		l.auth.ServeError(c.Response(), c.Request(), err)
		return nil
	}
	return l.ErrorHandler(c, public.Error(err))
}
