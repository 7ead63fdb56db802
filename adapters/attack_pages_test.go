package adapters_test

import (
	"encoding/json"
	"html/template"
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

// signInPage is an application's own sign-in page, with two providers.
var signInPage = template.Must(template.New("signin").Parse(`<!doctype html><title>Sign in</title>
<a href="/auth/login?provider=one&amp;return_to={{.}}">Sign in with One</a>
<a href="/auth/login?provider=two&amp;return_to={{.}}">Sign in with Two</a>
<a href="/">Home</a>`))

func signIn(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_ = signInPage.Execute(w, r.FormValue("return_to"))
}

// tell writes JSON about the user for the application's script.
func tell(w http.ResponseWriter, user *core.User) {
	answer := map[string]any{"user": nil}
	if user != nil {
		answer["user"] = map[string]string{"key": user.Key(), "name": user.Name}
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(answer)
}

// pageFrameworks builds the same application in each framework: /private, a sign-in page,
// /api/session behind LoadUser, and /api/note behind RequireUser.
var pageFrameworks = map[string]func(*core.Authenticator) http.Handler{
	"httplogin": func(auth *core.Authenticator) http.Handler {
		login, mux := httplogin.New(auth), http.NewServeMux()
		about := func(w http.ResponseWriter, r *http.Request) { tell(w, httplogin.User(r)) }
		login.Mount(mux)
		mux.HandleFunc("/signin", signIn)
		mux.Handle("/private", login.RequireUser(http.HandlerFunc(about)))
		mux.Handle("GET /api/session", login.LoadUser(http.HandlerFunc(about)))
		mux.Handle("/api/note", login.RequireUser(http.HandlerFunc(about)))
		return mux
	},
	"ginlogin": func(auth *core.Authenticator) http.Handler {
		login, router := ginlogin.New(auth), gin.New()
		about := func(c *gin.Context) { tell(c.Writer, ginlogin.User(c)) }
		login.Mount(router)
		router.GET("/signin", gin.WrapF(signIn))
		router.Any("/private", login.RequireUser, about)
		router.GET("/api/session", login.LoadUser, about)
		router.Any("/api/note", login.RequireUser, about)
		return router
	},
	"echologin": func(auth *core.Authenticator) http.Handler {
		login, router := echologin.New(auth), echo4.New()
		about := func(c echo4.Context) error { tell(c.Response(), echologin.User(c)); return nil }
		login.Mount(router)
		router.GET("/signin", echo4.WrapHandler(http.HandlerFunc(signIn)))
		router.Any("/private", about, login.RequireUser)
		router.GET("/api/session", about, login.LoadUser)
		router.Any("/api/note", about, login.RequireUser)
		return router
	},
	"echo5login": func(auth *core.Authenticator) http.Handler {
		login, router := echo5login.New(auth), echo5.New()
		about := func(c *echo5.Context) error { tell(c.Response(), echo5login.User(c)); return nil }
		login.Mount(router)
		router.GET("/signin", echo5.WrapHandler(http.HandlerFunc(signIn)))
		router.Any("/private", about, login.RequireUser)
		router.GET("/api/session", about, login.LoadUser)
		router.Any("/api/note", about, login.RequireUser)
		return router
	},
}

// No attack succeeds on an application with a sign-in page of its own and an API for its
// scripts, in any framework.
func TestAttackPages(t *testing.T) {
	t.Parallel()
	for name, build := range pageFrameworks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := attackedConfig(func(c *core.Config) {
				c.Pages.SignInPath = "/signin"
				c.Providers[0].Name, c.Providers[0].RedirectURL = "one", origin+"/auth/callback"
				c.Providers = append(c.Providers, core.Provider{Name: "two", Issuer: "https://two.example.test", ClientID: "app"})
			})
			logintest.Attack(t, logintest.Target{
				Private: "/private", LoginPath: "/auth/login?provider=one", LogoutPath: "/auth/logout", ClientSecret: config.Providers[0].ClientSecret,
				SignIn: "/signin", API: []string{"GET /api/session", "GET /api/note", "POST /api/note"},
				BackChannelLogout: "/auth/backchannel-logout", FrontChannelLogout: "/auth/frontchannel-logout",
				Start: startAttacked(t, func(_ *app, auth *core.Authenticator) http.Handler {
					handler := build(auth)
					api := http.NewCrossOriginProtection().Handler(handler)
					return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if strings.HasPrefix(r.URL.Path, "/api/") {
							api.ServeHTTP(w, r)
							return
						}
						handler.ServeHTTP(w, r)
					})
				}, config),
			})
		})
	}
}

// Attacks on the page where users choose a provider, which is pixy's own, are tried
// without being asked for.
func TestAttackChooser(t *testing.T) {
	t.Parallel()
	r := new(attackRecorder)
	config := attackedConfig(func(c *core.Config) {
		c.Providers[0].Name = "one"
		c.Providers = append(c.Providers, core.Provider{Name: "two", Issuer: "https://two.example.test", ClientID: "app"})
	})
	logintest.Attack(r, logintest.Target{
		RedirectURL: origin + "/auth/callback/one", LoginPath: "/auth/login?provider=one", LogoutPath: "/auth/logout", Private: "/private",
		ClientSecret: config.Providers[0].ClientSecret, Start: startAttacked(t, frameworks["httplogin"], config),
	})
	if r.fatal != "" || len(r.fallen) != 0 || !strings.Contains(strings.Join(r.names, "\n"), "through the sign-in page") {
		t.Errorf("got %s, %q fallen of %q", r.fatal, r.fallen, r.names)
	}
}
