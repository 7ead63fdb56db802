package adapters_test

import (
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

// twoLogins builds the same application in each framework. The shop's LoadUser is around
// all handlers. /shop is behind the shop's RequireUser, /staff behind the staff's, and
// /maybe-staff behind the staff's LoadUser. Handlers return three users: of the package's
// User, of the shop's, and of the staff's.
var twoLogins = map[string]func(a *app, shop, staff *core.Authenticator) http.Handler{
	"httplogin": func(a *app, shopAuth, staffAuth *core.Authenticator) http.Handler {
		shop, staff := httplogin.New(shopAuth), httplogin.New(staffAuth)
		page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a.ran.Add(1)
			_, _ = w.Write([]byte(subjects(httplogin.User(r), shop.User(r), staff.User(r))))
		})
		mux := http.NewServeMux()
		shop.Mount(mux)
		staff.Mount(mux)
		mux.Handle("/page", page)
		mux.Handle("/shop", shop.RequireUser(page))
		mux.Handle("/staff", staff.RequireUser(page))
		mux.Handle("/maybe-staff", staff.LoadUser(page))
		return shop.LoadUser(mux)
	},
	"ginlogin": func(a *app, shopAuth, staffAuth *core.Authenticator) http.Handler {
		shop, staff := ginlogin.New(shopAuth), ginlogin.New(staffAuth)
		page := func(c *gin.Context) {
			a.ran.Add(1)
			c.String(200, subjects(ginlogin.User(c), shop.User(c), staff.User(c)))
		}
		router := gin.New()
		router.Use(shop.LoadUser)
		shop.Mount(router)
		staff.Mount(router)
		router.GET("/page", page)
		router.Any("/shop", shop.RequireUser, page)
		router.Any("/staff", staff.RequireUser, page)
		router.GET("/maybe-staff", staff.LoadUser, page)
		return router
	},
	"echologin": func(a *app, shopAuth, staffAuth *core.Authenticator) http.Handler {
		shop, staff := echologin.New(shopAuth), echologin.New(staffAuth)
		page := func(c echo4.Context) error {
			a.ran.Add(1)
			return c.String(200, subjects(echologin.User(c), shop.User(c), staff.User(c)))
		}
		router := echo4.New()
		router.Use(shop.LoadUser)
		shop.Mount(router)
		staff.Mount(router)
		router.GET("/page", page)
		router.Any("/shop", page, shop.RequireUser)
		router.Any("/staff", page, staff.RequireUser)
		router.GET("/maybe-staff", page, staff.LoadUser)
		return router
	},
	"echo5login": func(a *app, shopAuth, staffAuth *core.Authenticator) http.Handler {
		shop, staff := echo5login.New(shopAuth), echo5login.New(staffAuth)
		page := func(c *echo5.Context) error {
			a.ran.Add(1)
			return c.String(200, subjects(echo5login.User(c), shop.User(c), staff.User(c)))
		}
		router := echo5.New()
		router.Use(shop.LoadUser)
		shop.Mount(router)
		staff.Mount(router)
		router.GET("/page", page)
		router.Any("/shop", page, shop.RequireUser)
		router.Any("/staff", page, staff.RequireUser)
		router.GET("/maybe-staff", page, staff.LoadUser)
		return router
	},
}

func subjects(users ...*core.User) string {
	names := make([]string, len(users))
	for i, user := range users {
		names[i] = subject(user)
	}
	return strings.Join(names, " ")
}

// staffDiffers are the settings that only the staff's login has.
func staffDiffers(c *core.Config) {
	c.RedirectURL, c.Sessions.CookieName = origin+"/staff/auth/callback", "staff"
}

// Each login returns its own user, independent of the other login. The package's User
// returns the innermost one.
func TestTwoLogins(t *testing.T) {
	t.Parallel()
	for name, build := range twoLogins {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, new(app), func(a *app, shop *core.Authenticator) http.Handler { return nil })
			a, staff := new(app), s.newAuth(staffDiffers)
			s.browser.Serve(origin, build(a, s.auth, staff))
			sees := func(path, want string) {
				t.Helper()
				if page := s.do("GET", path, script); page.Status != 200 || string(page.Body) != want {
					t.Errorf("%s: got %d %s, want %s", path, page.Status, page.Body, want)
				}
			}
			login := func(path, subject string) {
				t.Helper()
				s.provider.User = logintest.User{Subject: subject}
				if page := s.page(s.browser.Get(origin + path + "?return_to=/page")); page.Status != 200 {
					t.Fatalf("%s: got %d %s", path, page.Status, page.Body)
				}
			}
			sees("/maybe-staff", "anonymous anonymous anonymous")
			login("/auth/login", "ada")
			sees("/page", "ada ada anonymous")
			sees("/maybe-staff", "anonymous ada anonymous")
			ran := a.ran.Load()
			if page := s.do("GET", "/staff", script); page.Status != 401 || a.ran.Load() != ran {
				t.Errorf("a customer gets %d from the staff's page, which ran %d times", page.Status, a.ran.Load()-ran)
			}
			login("/staff/auth/login", "grace")
			sees("/page", "ada ada anonymous") // no middleware of the staff's login has run
			sees("/staff", "grace ada grace")
			sees("/maybe-staff", "grace ada grace")
			if page := s.do("POST", "/auth/logout", http.Header{"Sec-Fetch-Site": {"same-origin"}}); page.Status != 303 {
				t.Errorf("the shop's logout: got %d", page.Status)
			}
			sees("/page", "anonymous anonymous anonymous")
			sees("/staff", "grace anonymous grace")
		})
	}
}

// No attack succeeds with two logins, also if the staff's login has no
// Sessions.CookieName of its own, and all middleware is around both.
func TestAttackTwoLogins(t *testing.T) {
	t.Parallel()
	for name, build := range twoLogins {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			attackTwoLogins(t, build, staffDiffers)
		})
	}
	t.Run("one Sessions.CookieName", func(t *testing.T) {
		t.Parallel()
		attackTwoLogins(t, twoLogins["httplogin"], func(c *core.Config) { c.RedirectURL = origin + "/staff/auth/callback" })
	})
}

func attackTwoLogins(t *testing.T, build func(a *app, shop, staff *core.Authenticator) http.Handler, differs func(*core.Config)) {
	config := attackedConfig()
	logintest.Attack(t, logintest.Target{
		Private: "/shop", ClientSecret: config.Providers[0].ClientSecret,
		Other: logintest.OtherLogin{Private: "/staff", RedirectURL: origin + "/staff/auth/callback"},
		Start: func(provider *logintest.Provider) http.Handler {
			return startAttacked(t, func(a *app, shop *core.Authenticator) http.Handler {
				theirs := config
				theirs.HTTPClient = provider.HTTPClient()
				differs(&theirs)
				staff, err := core.New(theirs)
				if err != nil {
					t.Fatal(err)
				}
				return build(a, shop, staff)
			}, config)(provider)
		},
	})
}
