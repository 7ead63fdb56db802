// Package ginlogin mounts pixy in Gin.
//
// A guard protects the handlers that come after it in its group or route, and
// nothing that runs before it. Gin runs the middleware of Engine.Use in the order
// of the calls, so middleware in front of the guard that serves files is not
// guarded. Gin's router matches decoded paths unless UseRawPath is set: a handler
// must not decode a path or parameter again to find what it serves.
package ginlogin

import (
	"fmt"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/pixyauth/pixy/adapters/internal/public"
	"github.com/pixyauth/pixy/core"
)

// Login mounts the login's routes and guards handlers. Make one with [New]. It
// is safe for concurrent use once its fields are set.
type Login struct {
	// ErrorHandler answers when a request is not served. The context is aborted,
	// and its Errors have the error, which pixy has logged. Its text is the public
	// one; [errors.As] finds the [*core.Error]. Nil: [core.Authenticator.ServeError].
	ErrorHandler func(*gin.Context, error)

	auth *core.Authenticator
}

// New returns a Login for auth.
func New(auth *core.Authenticator) *Login { return &Login{auth: auth} }

// Mount registers the login's routes. Their paths are whole, because RedirectURL
// is: give the engine, or a group that adds middleware and no prefix. Mount panics
// for a group with a prefix.
func (l *Login) Mount(router gin.IRoutes) {
	if group, ok := router.(interface{ BasePath() string }); ok && group.BasePath() != "/" {
		panic(fmt.Sprintf("ginlogin: Mount was given a group with the prefix %q, but the login's paths are whole; "+
			"give the engine, and a RedirectURL with the whole path of the callback", group.BasePath()))
	}
	for _, route := range l.auth.Routes() {
		router.Handle(route.Method, route.Path, func(c *gin.Context) {
			if err := route.Handle(c.Writer, c.Request); err != nil {
				l.fail(c, err)
			}
		})
	}
}

// RequireUser is middleware that lets only logged-in users through. A person
// who opens a page is sent to log in and comes back; other requests get 401.
//
// Gin runs a group's middleware for the group's routes only: an unknown path
// under it is a 404 for everybody.
func (l *Login) RequireUser(c *gin.Context) { l.require(c, core.Requirement{}) }

// Require is RequireUser for pages that need a login which is recent or strong,
// too: who has another is sent to log in once more, and comes back.
func (l *Login) Require(need core.Requirement) gin.HandlerFunc {
	return func(c *gin.Context) { l.require(c, need) }
}

func (l *Login) require(c *gin.Context, need core.Requirement) {
	authenticated, err := l.auth.AuthenticateFor(c.Writer, c.Request, need)
	if err == nil {
		c.Request = authenticated
		return
	}
	c.Abort() // before anything else: Gin runs the next handler otherwise
	if err := l.auth.Challenge(c.Writer, c.Request, err); err != nil {
		l.fail(c, err)
	}
}

// LoadUser is middleware that attaches the user if there is one, and lets
// everybody through. If nobody is logged in, [User] returns nil, also if another
// Login has found a user. Only an outage stops a request: of the Store or of
// Revocations (503).
func (l *Login) LoadUser(c *gin.Context) {
	loaded, err := l.auth.LoadUser(c.Writer, c.Request)
	if err != nil {
		l.fail(c, err)
		return
	}
	c.Request = loaded
}

// User returns the user of this Login, or nil. It is nil if no RequireUser, Require
// or LoadUser of this Login has let the request pass, whatever other Logins found.
func (l *Login) User(c *gin.Context) *core.User { return l.auth.User(c.Request) }

// User returns the user that the innermost RequireUser, Require or LoadUser has
// found, or nil. Behind RequireUser it is never nil. With several Logins, use
// [Login.User].
// Where a [context.Context] is wanted, pass on c.Request.Context(): it has the
// user, and c itself does not unless the engine's ContextWithFallback is set.
func User(c *gin.Context) *core.User { return core.UserFromContext(c.Request.Context()) }

// Client returns a client that calls APIs on hosts in the name of who is logged
// in. See [core.Client]; [core.TokenSource] has the token itself.
func Client(c *gin.Context, hosts ...string) *http.Client {
	return core.Client(c.Request.Context(), hosts...)
}

// Refresh refreshes the tokens of a request's user after an API has answered 401.
// Call it before the handler writes anything, and ask the API once more. Its error
// is for the handler to answer. See [core.Authenticator.Refresh].
func (l *Login) Refresh(c *gin.Context) error { return l.auth.Refresh(c.Writer, c.Request) }

func (l *Login) fail(c *gin.Context, err error) {
	c.Abort()
	err = public.Error(err)
	_ = c.Error(err).SetType(gin.ErrorTypePublic) // Gin's logger prints the private ones, and pixy has logged it
	if l.ErrorHandler == nil {
		l.auth.ServeError(c.Writer, c.Request, err)
		return
	}
	l.ErrorHandler(c, err)
}
