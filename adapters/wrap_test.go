package adapters_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/gin-gonic/gin"
	echo4 "github.com/labstack/echo/v4"
	echo5 "github.com/labstack/echo/v5"

	"github.com/pixyauth/pixy/adapters/echo5login"
	"github.com/pixyauth/pixy/adapters/echologin"
	"github.com/pixyauth/pixy/adapters/ginlogin"
	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// Whole applications without a login: each answers every path with the user, if there is
// one, and counts the requests.
var unguarded = map[string]func(ran *atomic.Int32) http.Handler{
	"a function": func(ran *atomic.Int32) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ran.Add(1)
			fmt.Fprint(w, subject(httplogin.User(r)), " at ", r.URL.Path)
		})
	},
	"Gin": func(ran *atomic.Int32) http.Handler {
		router := gin.New()
		router.Any("/*path", func(c *gin.Context) {
			ran.Add(1)
			c.String(200, "%s at %s", subject(ginlogin.User(c)), c.Param("path"))
		})
		return router
	},
	"Echo v4": func(ran *atomic.Int32) http.Handler {
		router := echo4.New()
		router.Any("/*", func(c echo4.Context) error {
			ran.Add(1)
			return c.String(200, subject(echologin.User(c))+" at "+c.Request().URL.Path)
		})
		return router
	},
	"Echo v5": func(ran *atomic.Int32) http.Handler {
		router := echo5.New()
		router.Any("/*", func(c *echo5.Context) error {
			ran.Add(1)
			return c.String(200, subject(echo5login.User(c))+" at "+c.Request().URL.Path)
		})
		return router
	},
}

// wrapped returns a stage whose application is wrapped, and the counter of its requests.
func wrapped(t *testing.T, build func(*atomic.Int32) http.Handler, change ...func(*core.Config)) (*stage, *atomic.Int32) {
	ran := new(atomic.Int32)
	return newStage(t, new(app), func(_ *app, auth *core.Authenticator) http.Handler {
		return httplogin.New(auth).Wrap(build(ran), "/healthz", "/static/", "/auth/", "/reader/static/")
	}, change...), ran
}

// Wrap guards a whole application, whatever its framework: it serves the login, lets
// public paths pass, and guards the rest.
func TestWrap(t *testing.T) {
	t.Parallel()
	for name, build := range unguarded {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, ran := wrapped(t, build, func(c *core.Config) { c.Logout.After = "/healthz" })
			for _, path := range []string{"/healthz", "/static/a.css", "/static/", "/auth/help"} {
				for _, method := range []string{"GET", "POST"} {
					page := s.do(method, path, script)
					if page.Status != 200 || string(page.Body) != "anonymous at "+path || page.Header.Get("Cache-Control")+page.Header.Get("Vary") != "" {
						t.Errorf("%s %s gets %d, %v: %s", method, path, page.Status, page.Header, page.Body)
					}
				}
			}
			public := ran.Swap(0)
			for _, path := range []string{"/", "/static", "/healthz/", "/Healthz", "/private", "/auth"} {
				if page := s.do("GET", path, script); page.Status != 401 {
					t.Errorf("%s gets %d: %s", path, page.Status, page.Body)
				}
			}
			for path, status := range map[string]int{"GET /auth/callback?code=x": 400, "PUT /auth/callback": 405, "GET /auth/logout": 200, "POST /auth/logout": 200, "PUT /auth/logout": 405} { // though /auth/ is public
				method, path, _ := strings.Cut(path, " ")
				if page := s.do(method, path, script); page.Status != status {
					t.Errorf("%s %s gets %d: %s", method, path, page.Status, page.Body)
				}
			}
			if got := ran.Load(); got != 0 || public != 8 {
				t.Fatalf("the application ran %d times for public requests, and %d times for others", public, got)
			}
			page := s.page(s.browser.Get(origin + "/private?tab=1"))
			if page.Status != 200 || string(page.Body) != "ada at /private" || page.URL != origin+"/private?tab=1" {
				t.Fatalf("got %d at %s: %s", page.Status, page.URL, page.Body)
			}
			if page := s.do("GET", "/healthz", script); string(page.Body) != "anonymous at /healthz" { // untouched
				t.Errorf("a public page of a user: %s", page.Body)
			}
			out := s.page(s.browser.Post(origin+"/auth/logout", nil))
			if len(out.Hops) == 0 || out.Hops[0].Status != 303 || s.do("GET", "/private", script).Status != 401 {
				t.Errorf("a logout gets %d", out.Status)
			}
		})
	}
}

// Wrap reads no session for a public path, so an outage of the Store does not matter.
func TestWrapTouchesNoPublicRequest(t *testing.T) {
	t.Parallel()
	for name, build := range unguarded {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _ := wrapped(t, build, func(c *core.Config) { c.Sessions.Store = downStore{} })
			cookie := http.Header{"Cookie": {"__Host-pixy-session=x"}}
			if page := s.do("GET", "/static/a.css", cookie); page.Status != 200 {
				t.Errorf("a public page gets %d: %s", page.Status, page.Body)
			}
			if page := s.do("GET", "/private", cookie); page.Status != 503 {
				t.Errorf("a private page gets %d", page.Status)
			}
		})
	}
}

// An exemption does not open anything else. The requests are sent as they are, by a
// client that does not clean them.
func TestWrapOpensNothingElse(t *testing.T) {
	t.Parallel()
	for name, build := range unguarded {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, ran := wrapped(t, build)
			server := httptest.NewServer(s.handler)
			t.Cleanup(server.Close)
			for _, target := range []string{
				"/static/../private", "/static/./../private", "/static/%2e%2e/private", "/static/.%2e/private", "/static/..%2fprivate",
				"/static/%2e%2e%2fprivate", "/static%2f..%2fprivate", "/static/%252e%252e/private", "/static/%252e%252e%252fprivate",
				`/static/..\private`, "/static/..%5cprivate", "/static/%5c../private", "/static/..;/private", "/static;/../private", "/static/..;a=b/private",
				"/static//private", "//static/a.css", "/static//../private", "/static/.../private", "/static/..%20/private", "/static/..%00/private", "/static/%00/../private",
				"/static/..%0d%0a/private", "/static/%c0%ae%c0%ae/private", "/static/%C0%AE%C0%AE/private", "/static/a%3f/../../private", "/static/%3fa", "/static/%23a", "/static/%61",
				"/STATIC/a.css", "/%73tatic/a.css", "/healthz/private", "/healthz/../private", "/healthz;a", "/healthz%2f..%2fprivate", "/healthz%00", "/Healthz",
				"/private?/static/a.css", "/private#/static/a.css", "/private/static/a.css", "/private;/static/a.css",
				"http://app.example.test/private", "http://app.example.test/static/../private", "http://app.example.test//static/a.css", "*",
			} {
				for _, method := range []string{"GET", "POST", "OPTIONS", "FOO"} {
					if status := raw(t, server, method+" "+target+" HTTP/1.1", "X-Original-URL: /static/a.css", "X-Rewrite-URL: /healthz",
						"X-Forwarded-Prefix: /static", "X-HTTP-Method-Override: GET"); status < 400 && status != 307 && status != 301 && !(target == "*" && method == "OPTIONS") {
						t.Errorf("%s %s gets %d", method, target, status)
					}
				}
			}
			if got := ran.Load(); got != 0 {
				t.Errorf("the application ran %d times", got)
			}
			if status := raw(t, server, "GET http://app.example.test/static/a.css HTTP/1.1"); status != 200 {
				t.Errorf("a public page in absolute form gets %d", status)
			}
		})
	}
}

// raw sends one request as it is, and returns the status.
func raw(t *testing.T, server *httptest.Server, lines ...string) int {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	lines = append(lines, "Host: app.example.test", "Connection: close", "Content-Length: 0", "", "")
	if _, err := io.WriteString(conn, strings.Join(lines, "\r\n")); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(lines[0], err)
	}
	_ = response.Body.Close()
	return response.StatusCode
}

// Under a base path, public paths are those that Wrap sees.
func TestWrapUnderABasePath(t *testing.T) {
	t.Parallel()
	for name, topology := range map[string]func(http.Handler) http.Handler{
		"whole":                 func(h http.Handler) http.Handler { return h },
		"StripPrefix inside":    nil,
		"StripPrefix around it": func(h http.Handler) http.Handler { return http.StripPrefix("/reader", h) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, ran := wrapped(t, func(ran *atomic.Int32) http.Handler {
				handler := unguarded["a function"](ran)
				if topology == nil {
					handler = http.StripPrefix("/reader", handler)
				}
				return handler
			}, underReader)
			if topology != nil {
				s.browser.Serve(origin, topology(s.handler))
			}
			if page := s.do("GET", "/reader/static/a.css", script); page.Status != 200 {
				t.Errorf("a public page gets %d", page.Status)
			}
			if page := s.do("GET", "/reader/healthz/x", script); page.Status != 401 || ran.Load() != 1 {
				t.Errorf("another page gets %d", page.Status)
			}
			page := s.page(s.browser.Get(origin + "/reader/private?tab=1"))
			if page.Status != 200 || page.URL != origin+"/reader/private?tab=1" || !strings.HasPrefix(string(page.Body), "ada at ") {
				t.Errorf("got %d at %s: %s", page.Status, page.URL, page.Body)
			}
		})
	}
}

func TestWrapRefusesWhatIsNoPath(t *testing.T) {
	t.Parallel()
	s := newStage(t, new(app), frameworks["httplogin"])
	for _, path := range []string{"", "/", "healthz", "/static/*", "/static/{file}", "/a%2fb", "GET /healthz", "/a/../b", "/a//", "https://app.example.test/a"} {
		if text := panics(func() { httplogin.New(s.auth).Wrap(http.NotFoundHandler(), "/fine/", path) }); !strings.HasPrefix(text, "httplogin: Wrap: ") || !strings.Contains(text, fmt.Sprintf("%q", path)) {
			t.Errorf("%q: got %q", path, text)
		}
	}
}

// ServeLogin is for a dispatch by hand, and for routers that Mount does not fit. Here, a
// catch-all and a 405 page of the application see no request for the login.
func TestServeLogin(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*core.Config){"": func(*core.Config) {}, "/reader": underReader} {
		t.Run("under "+name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, new(app), func(a *app, auth *core.Authenticator) http.Handler {
				login := httplogin.New(auth)
				me := login.RequireUser(http.HandlerFunc(hello))
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch {
					case login.ServeLogin(w, r):
					case r.Method != http.MethodGet:
						w.WriteHeader(http.StatusTeapot)
					case r.URL.Path == name+"/me":
						me.ServeHTTP(w, r)
					default:
						a.ran.Add(1)
						fmt.Fprint(w, "catch-all")
					}
				})
			}, change)
			if page := s.page(s.browser.Get(origin + name + "/me?tab=1")); page.Status != 200 || string(page.Body) != "hello, ada" || page.URL != origin+name+"/me?tab=1" {
				t.Errorf("got %d at %s: %s", page.Status, page.URL, page.Body)
			}
			for request, want := range map[string]int{"PUT /auth/login": 405, "PUT /auth/logout": 405, "POST /auth/callback": 405, "HEAD /auth/callback": 405, "PUT /auth/other": 418} {
				method, path, _ := strings.Cut(request, " ")
				if page := s.do(method, name+path, script); page.Status != want || want == 405 && page.Header.Get("Allow") == "" {
					t.Errorf("%s gets %d, %v", request, page.Status, page.Header)
				}
			}
			if page := s.page(s.browser.Post(origin+name+"/auth/logout", nil)); len(page.Hops) == 0 || page.Hops[0].Status != 303 {
				t.Errorf("a logout gets %d", page.Status)
			}
			if got := s.app.ran.Load(); got != 1 { // where the logout ends
				t.Errorf("the catch-all ran %d times", got)
			}
		})
	}
}

// A guard that serves a callback passes the framework's context on, as Mount does.
func TestAGuardHasTheFrameworksContext(t *testing.T) {
	t.Parallel()
	for name, build := range map[string]struct {
		guard func(*core.Authenticator) http.Handler
		found func(*http.Request) bool
	}{
		"ginlogin": {
			func(auth *core.Authenticator) http.Handler {
				router := gin.New()
				router.Use(ginlogin.New(auth).RequireUser)
				return router
			},
			func(r *http.Request) bool { return ginlogin.Context(r) != nil },
		},
		"echologin": {
			func(auth *core.Authenticator) http.Handler {
				router := echo4.New()
				router.Use(echologin.New(auth).RequireUser)
				return router
			},
			func(r *http.Request) bool { return echologin.Context(r) != nil },
		},
		"echo5login": {
			func(auth *core.Authenticator) http.Handler {
				router := echo5.New()
				router.Use(echo5login.New(auth).RequireUser)
				return router
			},
			func(r *http.Request) bool { return echo5login.Context(r) != nil },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var started, found atomic.Int32
			s := newStage(t, new(app), func(_ *app, auth *core.Authenticator) http.Handler { return build.guard(auth) }, func(c *core.Config) {
				c.Sessions.Own = &core.OwnSessions{Start: func(_ http.ResponseWriter, r *http.Request, _ *core.Login) (bool, error) {
					started.Add(1)
					if build.found(r) {
						found.Add(1)
					}
					return false, nil
				}}
			})
			if page := s.page(s.browser.Visit(origin + "/auth/login")); page.Status != 303 {
				t.Fatalf("got %d: %s", page.Status, page.Body)
			}
			s.page(s.browser.Visit(s.page(s.browser.Visit(s.page(s.browser.Visit(origin + "/auth/login")).Header.Get("Location"))).Header.Get("Location")))
			if started.Load() != 1 || found.Load() != 1 || s.provider.Count(logintest.Token) != 1 {
				t.Errorf("%d starts, %d with the framework's context", started.Load(), found.Load())
			}
		})
	}
}
