// Package ginlogin mounts pixy in Gin.
//
// A guard protects the handlers that come after it in its group or route. It
// does not protect what runs before it. Gin runs the middleware of Engine.Use
// in the order of the calls, so a middleware that serves files before the guard
// is not guarded. Gin's router matches decoded paths unless UseRawPath is set.
// A handler must not decode a path or parameter again to choose what it serves.
package ginlogin

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/pixyauth/pixy/adapters/internal/mount"
	"github.com/pixyauth/pixy/adapters/internal/public"
	"github.com/pixyauth/pixy/adapters/internal/within"
	"github.com/pixyauth/pixy/core"
)

// Login mounts the login's routes and guards handlers. Create it with [New]. It
// is safe for concurrent use once its fields are set.
type Login struct {
	// ErrorHandler answers a request that fails. The context is aborted and its
	// Errors contain the error, which has been logged. The error's text is the
	// public one; [errors.As] finds the [*core.Error]. Nil:
	// [core.Authenticator.ServeError].
	ErrorHandler func(*gin.Context, error)

	auth *core.Authenticator
}

// New returns a Login for auth.
func New(auth *core.Authenticator) *Login { return &Login{auth: auth} }

// Mount registers the login's routes. Their paths are absolute, because they
// come from RedirectURL. Pass the engine or a group. A prefix of the group must
// be the beginning of all of the login's paths, or Mount panics.
func (l *Login) Mount(router gin.IRoutes) {
	prefix := ""
	if group, ok := router.(interface{ BasePath() string }); ok {
		prefix = group.BasePath()
	}
	for _, route := range mount.Below("ginlogin", l.auth, prefix) {
		router.Handle(route.Method, route.Path, func(c *gin.Context) { l.serve(c, route) })
	}
}

// RequireUser is middleware that lets only logged-in users through. An
// anonymous page load is redirected to the login, and the login returns to the
// page. Other anonymous requests get status 401.
//
// It serves the login's own routes, so that it can guard a whole application,
// with or without Mount.
//
// Gin runs a group's middleware for the group's routes only. An unknown path
// under the group is a 404 for every request. Middleware of Engine.Use runs for
// unknown paths as well.
func (l *Login) RequireUser(c *gin.Context) { l.require(c, core.Requirement{}) }

// Require is like RequireUser for pages that need a recent or strong login. A
// user whose login does not meet need is sent to log in again, and returns to
// the page.
func (l *Login) Require(need core.Requirement) gin.HandlerFunc {
	return func(c *gin.Context) { l.require(c, need) }
}

func (l *Login) require(c *gin.Context, need core.Requirement) {
	if route, ok := l.auth.RouteFor(c.Request); ok {
		c.Abort()
		l.serve(c, route)
		return
	}
	authenticated, err := l.auth.AuthenticateFor(c.Writer, c.Request, need)
	if err == nil {
		c.Request = authenticated
		return
	}
	c.Abort() // first: without it, Gin runs the next handler
	if err := l.auth.Challenge(c.Writer, c.Request, err); err != nil {
		l.fail(c, err)
	}
}

// LoadUser is middleware that adds the user to the request if there is one, and
// lets every request through. For an anonymous request [User] returns nil, even
// if another Login has found a user. A request fails only if the Store or
// Revocations are unavailable (status 503).
func (l *Login) LoadUser(c *gin.Context) {
	loaded, err := l.auth.LoadUser(c.Writer, c.Request)
	if err != nil {
		l.fail(c, err)
		return
	}
	c.Request = loaded
}

// User returns the user that RequireUser, Require or LoadUser of this Login has
// found, or nil. It does not see users that other Logins found.
func (l *Login) User(c *gin.Context) *core.User { return l.auth.User(c.Request) }

// User returns the user that the innermost RequireUser, Require or LoadUser has
// found, or nil. Behind RequireUser it is never nil. With several Logins, use
// [Login.User].
//
// To pass the user on in a [context.Context], use c.Request.Context(). The
// [gin.Context] itself has the user only if the engine's ContextWithFallback is
// set.
func User(c *gin.Context) *core.User { return core.UserFromContext(c.Request.Context()) }

// Context returns the framework's context of a request to the login's own routes, for the
// functions of [core.OwnSessions]: sessions of the framework may need it. It returns nil
// for any other request.
func Context(r *http.Request) *gin.Context { return within.Context[*gin.Context](r) }

// Client returns a client that calls APIs on hosts with the user's access
// token. See [core.Client]. For the token itself, use [core.TokenSource].
func Client(c *gin.Context, hosts ...string) *http.Client {
	return core.Client(c.Request.Context(), hosts...)
}

// Refresh refreshes the user's tokens after an API has answered 401. Call it
// before the handler writes anything, then call the API again. If it fails, the
// handler answers the request. See [core.Authenticator.Refresh].
func (l *Login) Refresh(c *gin.Context) error { return l.auth.Refresh(c.Writer, c.Request) }

func (l *Login) serve(c *gin.Context, route core.Route) {
	if err := route.Handle(c.Writer, within.Request(c.Request, c)); err != nil {
		l.fail(c, err)
	}
}

func (l *Login) fail(c *gin.Context, err error) {
	c.Abort()
	err = public.Error(err)
	_ = c.Error(err).SetType(gin.ErrorTypePublic) // Gin's logger prints private errors, and core has logged this one
	if l.ErrorHandler == nil {
		l.auth.ServeError(c.Writer, c.Request, err)
		return
	}
	l.ErrorHandler(c, err)
}
