package adapters_test

import (
	"fmt"
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
	"github.com/pixyauth/pixy/core/logintest"
)

// The login's paths are absolute. Mount panics for a group with a prefix. Without that,
// the callback would be a 404 after the user has logged in.
func TestMountRefusesAPrefix(t *testing.T) {
	t.Parallel()
	s := newStage(t, new(app), frameworks["httplogin"])
	for name, mount := range map[string]func(prefix string){
		"ginlogin":   func(p string) { ginlogin.New(s.auth).Mount(gin.New().Group(p)) },
		"echologin":  func(p string) { echologin.New(s.auth).Mount(echo4.New().Group(p)) },
		"echo5login": func(p string) { echo5login.New(s.auth).Mount(echo5.New().Group(p)) },
	} {
		for _, prefix := range []string{"/app", "/auth", "/app/:tenant"} {
			text := panics(func() { mount(prefix) })
			if !strings.HasPrefix(text, name+": Mount") || !strings.Contains(text, prefix) || !strings.Contains(text, "RedirectURL with the full path") {
				t.Errorf("%s with %s: got %q", name, prefix, text)
			}
		}
		if text := panics(func() { mount("") }); text != "" {
			t.Errorf("%s: a group without a prefix panics: %s", name, text)
		}
	}
}

func panics(f func()) (text string) {
	defer func() {
		if found := recover(); found != nil {
			text = fmt.Sprint(found)
		}
	}()
	f()
	return ""
}

// net/http's routers do not reveal a prefix, so the login itself detects it.
func TestALoginUnderAPrefixSaysSo(t *testing.T) {
	t.Parallel()
	for name, under := range map[string]func(http.Handler) http.Handler{
		"StripPrefix": func(h http.Handler) http.Handler { return http.StripPrefix("/app", h) },
		"a router that leaves the path whole": func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				for _, route := range routesOf(h) {
					if r.Method == route.Method && r.URL.Path == "/app"+route.Path {
						if err := route.Handle(w, r); err != nil {
							http.Error(w, err.Error(), err.(*core.Error).Status)
						}
						return
					}
				}
				http.NotFound(w, r)
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, new(app), func(_ *app, auth *core.Authenticator) http.Handler {
				mux := http.NewServeMux()
				httplogin.New(auth).Mount(mux)
				return under(withRoutes{mux, auth.Routes()})
			})
			r, _ := http.NewRequest("GET", origin+"/app/auth/login", nil)
			page := s.page(s.browser.Do(r))
			if page.Status != http.StatusInternalServerError || !strings.Contains(s.log.String(), "under the prefix") || strings.Count(s.log.String(), "\n") != 1 {
				t.Errorf("got %d, logged %s", page.Status, s.log.String())
			}
			if got := s.provider.Count(logintest.Authorization); got != 0 || page.Header.Get("Set-Cookie") != "" {
				t.Errorf("a login was begun: %v", page.Header)
			}
		})
	}
}

type withRoutes struct {
	http.Handler
	routes []core.Route
}

func routesOf(h http.Handler) []core.Route { return h.(withRoutes).routes }

// For a form that is posted after the session has ended, the page says that it was not
// processed, in every framework.
func TestAFormAfterTheSessionIsNotLostInSilence(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
		s := start()
		const notSaved = "What you entered was not saved."
		page := s.page(s.browser.Post(origin+"/private", nil))
		if page.Status != 401 || !strings.Contains(string(page.Body), notSaved) || !strings.Contains(string(page.Body), `>Log in</a>`) {
			t.Errorf("got %d %s", page.Status, page.Body)
		}
		for name, page := range map[string]*logintest.Page{
			"a script": s.do("POST", "/private", script),
			"a page":   s.do("HEAD", "/private", http.Header{"Sec-Fetch-Mode": {"cors"}, "Accept": {"text/html"}}),
			"htmx":     s.do("POST", "/private", http.Header{"Hx-Request": {"true"}, "Accept": {"text/html"}}),
		} {
			if page.Status != 401 || strings.Contains(string(page.Body), notSaved) {
				t.Errorf("%s: got %d %s", name, page.Status, page.Body)
			}
		}
		s.provider.User.ACR = []string{"silver"}
		s.page(s.browser.Get(origin + "/private"))
		if page := s.page(s.browser.Post(origin+"/vault", nil)); page.Status != 401 || !strings.Contains(string(page.Body), notSaved) || !strings.Contains(string(page.Body), "stronger") {
			t.Errorf("a step-up: got %d %s", page.Status, page.Body)
		}
		if got := s.app.opened.Load(); got != 0 {
			t.Errorf("the vault was opened %d times", got)
		}
	})
}
