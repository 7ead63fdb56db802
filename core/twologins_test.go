package core_test

import (
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/pixyauth/pixy/core"
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
