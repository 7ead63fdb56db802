package core_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// An application may have two logins, say of customers and of staff. Who has
// passed the guard of one is a stranger to the other.
func TestTheUserOfAnotherLoginIsAStranger(t *testing.T) {
	t.Parallel()
	customers := newRig(t)
	customers.login()
	r := httptest.NewRequest("GET", origin+"/admin", nil)
	for _, c := range customers.browser.Cookies(origin) {
		r.AddCookie(c)
	}
	passed, err := customers.auth.Authenticate(httptest.NewRecorder(), r)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := customers.auth.Authenticate(httptest.NewRecorder(), passed); again != passed || err != nil {
		t.Errorf("a guard behind a guard does not let pass: %v", err)
	}
	for name, staff := range map[string]func(*core.Config){
		"another key":                       func(c *core.Config) { c.SessionKey = []byte("another key of thirty-two bytes!") },
		"another issuer, the same key":      func(c *core.Config) { c.Providers[0].Issuer = "https://staff.example.test" },
		"another client of the same issuer": func(c *core.Config) { c.Providers[0].ClientID = "admin-app" },
	} {
		for _, request := range []struct {
			name string
			r    func() error
		}{
			{"with the cookies", func() error {
				_, err := customers.newAuth(staff).Authenticate(httptest.NewRecorder(), r)
				return err
			}},
			{"with the user in the context", func() error {
				_, err := customers.newAuth(staff).Authenticate(httptest.NewRecorder(), passed)
				return err
			}},
		} {
			if err := request.r(); !errors.Is(err, core.ErrNoSession) {
				t.Errorf("%s, %s: got %v", name, request.name, err)
			}
		}
	}
}

// With names of their own, two logins on one host do not disturb each other, and
// what is sealed for one is of no use at the other, also with one key.
func TestTwoLoginsOnOneHost(t *testing.T) {
	t.Parallel()
	g := newRig(t, keepTokens)
	staff := g.newAuth(keepTokens, func(c *core.Config) { c.Sessions.CookieName = "staff" })
	customers := g.app(g.auth)
	g.login()
	g.browser.Serve(origin, g.app(staff))
	if got := g.whoAmI(); got != "" {
		t.Fatalf("%q of the customers is logged in as staff", got)
	}
	g.login()
	g.browser.Serve(origin, customers)
	if got := g.whoAmI(); got != "I am ada" {
		t.Errorf("the customers' login has ended by the staff's: %q", got)
	}
	if _, err := g.browser.Post(origin+"/auth/logout", nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range g.browser.Cookies(origin + "/auth/logout") {
		if !strings.Contains(c.Name, "-staff-") {
			t.Errorf("%s is left", c.Name)
		}
	}
	g.browser.Serve(origin, g.app(staff))
	if got := g.whoAmI(); got != "I am ada" {
		t.Errorf("the staff's login has ended by the customers': %q", got)
	}
	asCustomers := func(cookies []*http.Cookie) {
		for _, c := range cookies {
			path := "/"
			if strings.HasPrefix(c.Name, "__Secure-") {
				path = "/auth/logout"
			}
			g.browser.SetCookie(origin+path, &http.Cookie{Name: strings.Replace(c.Name, "staff", "pixy", 1), Value: c.Value, Path: path, Secure: true})
		}
	}
	asCustomers(g.browser.Cookies(origin + "/auth/logout"))
	g.browser.Serve(origin, customers)
	if got := g.whoAmI(); got != "" {
		t.Errorf("%q is logged in by another login's session", got)
	}
	ends := g.provider.Count(logintest.EndSession)
	if _, err := g.browser.Post(origin+"/auth/logout", nil); err != nil || g.provider.Count(logintest.EndSession) != ends {
		t.Errorf("another login's hint reaches the provider: %v", err)
	}

	g.browser.Forget("", "")
	g.browser.Serve(origin, g.app(staff))
	callback := g.toCallback()
	asCustomers(g.cookiesNamed("__Host-staff-login-"))
	g.browser.Serve(origin, customers)
	redeemed := g.provider.Count(logintest.Token)
	if page := g.visit(callback.String()); setsSession(page.Header) || g.provider.Count(logintest.Token) != redeemed {
		t.Errorf("another login's attempt is taken: %d", page.Status)
	}
}
