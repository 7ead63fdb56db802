// Package echo5login mounts pixy in Echo v5. For Echo v4, use echologin.
//
// A guard protects the handlers of its routes. It does not protect what runs
// before it. Middleware of Echo.Pre and Echo.Use runs first, so files that the
// Static middleware serves from there are not guarded. Serve protected files
// with Static of a guarded group. Echo's router matches encoded paths: do not
// decode paths before a guard, and leave EnablePathUnescaping of StaticConfig
// off.
package echo5login

import (
	"net/http"

	"github.com/labstack/echo/v5"

	"github.com/pixyauth/pixy/adapters/internal/mount"
	"github.com/pixyauth/pixy/adapters/internal/public"
	"github.com/pixyauth/pixy/adapters/internal/within"
	"github.com/pixyauth/pixy/core"
)

// Login mounts the login's routes and guards handlers. Create it with [New]. It
// is safe for concurrent use once its fields are set.
type Login struct {
	// ErrorHandler handles a request that fails, and its result goes to Echo.
	// The error has been logged: return it to let Echo's HTTPErrorHandler
	// answer with its status and public text. Its text is the public one;
	// [errors.As] finds the [*core.Error]. Nil: [core.Authenticator.ServeError]
	// answers, and Echo gets no error.
	ErrorHandler func(*echo.Context, error) error

	auth *core.Authenticator
}

// New returns a Login for auth.
func New(auth *core.Authenticator) *Login { return &Login{auth: auth} }

// Mount registers the login's routes. Their paths are absolute, because they
// come from RedirectURL. Pass the Echo or a group. A prefix of the group must be
// [core.Config.BasePath], or Mount panics.
func (l *Login) Mount(router interface {
	Add(method, path string, handler echo.HandlerFunc, middleware ...echo.MiddlewareFunc) echo.RouteInfo
}) {
	mount.Each("echo5login", l.auth, func(route core.Route) string {
		return router.Add(route.Method, route.Path, func(c *echo.Context) error { return l.serve(c, route) }).Path
	})
}

// RequireUser is middleware that lets only logged-in users through. An
// anonymous page load is redirected to the login, and the login returns to the
// page. Other anonymous requests get status 401.
//
// It serves the login's own routes, so that it can guard a whole application,
// with or without Mount.
//
// Echo runs a group's middleware for unknown paths under the group. In a group
// without a prefix, these are all unknown paths. Middleware of Echo.Use runs for
// all requests.
func (l *Login) RequireUser(next echo.HandlerFunc) echo.HandlerFunc {
	return l.Require(core.Requirement{})(next)
}

// Require is like RequireUser for pages that need a recent or strong login. A
// user whose login does not meet need is sent to log in again, and returns to
// the page.
func (l *Login) Require(need core.Requirement) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c *echo.Context) error {
			if route, ok := l.auth.RouteFor(c.Request()); ok {
				return l.serve(c, route)
			}
			authenticated, err := l.auth.AuthenticateFor(c.Response(), c.Request(), need)
			if err != nil {
				return l.fail(c, l.auth.Challenge(c.Response(), c.Request(), err))
			}
			c.SetRequest(authenticated)
			return next(c)
		}
	}
}

// LoadUser is middleware that adds the user to the request if there is one, and
// lets every request through. For an anonymous request [User] returns nil, even
// if another Login has found a user. A request fails only if the Store or
// Revocations are unavailable (status 503).
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

// User returns the user that RequireUser, Require or LoadUser of this Login has
// found, or nil. It does not see users that other Logins found.
func (l *Login) User(c *echo.Context) *core.User { return l.auth.User(c.Request()) }

// User returns the user that the innermost RequireUser, Require or LoadUser has
// found, or nil. Behind RequireUser it is never nil. With several Logins, use
// [Login.User].
func User(c *echo.Context) *core.User { return core.UserFromContext(c.Request().Context()) }

// Context returns the framework's context of a request to the login's own routes, for the
// functions of [core.OwnSessions]: sessions of the framework may need it. It returns nil
// for any other request.
func Context(r *http.Request) *echo.Context { return within.Context[*echo.Context](r) }

// Client returns a client that calls APIs on hosts with the user's access
// token. See [core.Client]. For the token itself, use [core.TokenSource].
func Client(c *echo.Context, hosts ...string) *http.Client {
	return core.Client(c.Request().Context(), hosts...)
}

// Refresh refreshes the user's tokens after an API has answered 401. Call it
// before the handler writes anything, then call the API again. If it fails, the
// handler answers the request. See [core.Authenticator.Refresh].
func (l *Login) Refresh(c *echo.Context) error { return l.auth.Refresh(c.Response(), c.Request()) }

func (l *Login) serve(c *echo.Context, route core.Route) error {
	return l.fail(c, route.Handle(c.Response(), within.Request(c.Request(), c)))
}

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
