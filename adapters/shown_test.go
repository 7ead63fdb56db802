package adapters_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gin-gonic/gin"
	echo4 "github.com/labstack/echo/v4"
	echo5 "github.com/labstack/echo/v5"

	"github.com/pixyauth/pixy/adapters/echo5login"
	"github.com/pixyauth/pixy/adapters/echologin"
	"github.com/pixyauth/pixy/adapters/ginlogin"
	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/core"
)

// internal is part of the error of a connection to the provider's address.
const internal = "10.0.0.7:5432"

type refusedConnections struct{}

func (refusedConnections) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, errors.New("dial tcp " + internal + ": connection refused")
}

// reports are typical middleware and handlers of applications that show errors.
var reports = map[string]func(*app, *core.Authenticator) http.Handler{
	"net/http: http.Error": func(_ *app, auth *core.Authenticator) http.Handler {
		login := httplogin.New(auth)
		login.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
		}
		mux := http.NewServeMux()
		login.Mount(mux)
		return mux
	},
	"net/http: JSON and %+v": func(_ *app, auth *core.Authenticator) http.Handler {
		login := httplogin.New(auth)
		login.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, err error) {
			w.WriteHeader(http.StatusServiceUnavailable)
			_ = json.NewEncoder(w).Encode(map[string]any{"error": err, "text": fmt.Sprintf("%v %+v %#v %q", err, err, err, err)})
		}
		mux := http.NewServeMux()
		login.Mount(mux)
		return mux
	},
	"gin: Errors.Last":   ginReport(func(c *gin.Context) any { return gin.H{"error": c.Errors.Last().Error()} }),
	"gin: public errors": ginReport(func(c *gin.Context) any { return c.Errors.ByType(gin.ErrorTypePublic) }),
	"gin: all errors":    ginReport(func(c *gin.Context) any { return c.Errors }),
	"gin: Errors.JSON":   ginReport(func(c *gin.Context) any { return c.Errors.JSON() }),
	"gin: Errors.Errors": ginReport(func(c *gin.Context) any { return c.Errors.Errors() }),
	"gin: Errors.String": ginReport(func(c *gin.Context) any { return c.Errors.String() }),
	"gin: the error":     ginReport(func(c *gin.Context) any { return c.Errors.Last().Err }),
	"echo v4: default":   echoReport(false, nil),
	"echo v4: Debug":     echoReport(true, nil),
	"echo v4: err.Error": echoReport(false, func(err error) any { return err.Error() }),
	"echo v4: Message":   echoReport(false, func(err error) any { return fmt.Sprint(err.(*echo4.HTTPError).Message) }),
	"echo v4: Internal":  echoReport(false, func(err error) any { return err.(*echo4.HTTPError).Internal.Error() }),
	"echo v5: default":   echo5Report(echo5.DefaultHTTPErrorHandler(false)),
	"echo v5: exposes":   echo5Report(echo5.DefaultHTTPErrorHandler(true)),
	"echo v5: err.Error": echo5Report(func(c *echo5.Context, err error) { _ = c.String(http.StatusServiceUnavailable, err.Error()) }),
	"echo v5: wraps it": echo5Report(func(c *echo5.Context, err error) {
		echo5.DefaultHTTPErrorHandler(true)(c, fmt.Errorf("login: %w", err))
	}),
	"echo v5: HTTPError": echo5Report(func(c *echo5.Context, err error) {
		echo5.DefaultHTTPErrorHandler(true)(c, echo5.NewHTTPError(503, "login").Wrap(err))
	}),
}

// ginReport shows errors as JSON, in middleware around all handlers.
func ginReport(show func(*gin.Context) any) func(*app, *core.Authenticator) http.Handler {
	return func(_ *app, auth *core.Authenticator) http.Handler {
		router := gin.New()
		router.Use(func(c *gin.Context) {
			c.Next()
			if len(c.Errors) > 0 {
				c.JSON(-1, show(c))
			}
		})
		login := ginlogin.New(auth)
		login.ErrorHandler = func(c *gin.Context, _ error) { c.Status(http.StatusServiceUnavailable) }
		login.Mount(router)
		return router
	}
}

func echoReport(debug bool, show func(error) any) func(*app, *core.Authenticator) http.Handler {
	return func(_ *app, auth *core.Authenticator) http.Handler {
		router := echo4.New()
		router.Debug = debug
		router.Logger.SetOutput(io.Discard)
		if show != nil {
			router.HTTPErrorHandler = func(err error, c echo4.Context) { _ = c.JSON(http.StatusServiceUnavailable, show(err)) }
		}
		login := echologin.New(auth)
		login.ErrorHandler = func(_ echo4.Context, err error) error { return err }
		login.Mount(router)
		return router
	}
}

func echo5Report(answer echo5.HTTPErrorHandler) func(*app, *core.Authenticator) http.Handler {
	return func(_ *app, auth *core.Authenticator) http.Handler {
		router := echo5.New()
		router.HTTPErrorHandler = answer
		login := echo5login.New(auth)
		login.ErrorHandler = func(_ *echo5.Context, err error) error { return err }
		login.Mount(router)
		return router
	}
}

// However an application shows the error, the browser gets the public text, and only the
// log contains the provider's address.
func TestFrameworksShowThePublicText(t *testing.T) {
	t.Parallel()
	for name, build := range reports {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, new(app), build, func(c *core.Config) {
				c.HTTPClient = &http.Client{Transport: refusedConnections{}}
			})
			page := s.page(s.browser.Visit(origin + "/auth/login"))
			if page.Status != http.StatusServiceUnavailable || !strings.Contains(string(page.Body), "cannot be reached at the moment") {
				t.Errorf("got %d %s", page.Status, page.Body)
			}
			if strings.Contains(string(page.Body), internal) || strings.Contains(string(page.Body), "pixy:") {
				t.Errorf("shows internals: %s", page.Body)
			}
			if !strings.Contains(s.log.String(), internal) {
				t.Errorf("the log does not have the cause: %s", s.log.String())
			}
		})
	}
}
