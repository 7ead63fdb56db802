package core_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A page of another host of the domain can set a cookie whose name is ours but
// for a Unicode space before it: to a browser it has no prefix. It must be no
// cookie of ours, and must not spoil one.
func TestCookiesWithASpaceBeforeTheirNameAreNotOurs(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.login()
	session := g.cookiesNamed("__Host-pixy-session")[0]
	attacker := newRig(t)
	callback := attacker.toCallback()
	attempt := attacker.cookiesNamed("__Host-pixy-login-")[0]
	for _, space := range []string{"\u00a0", "\u0085", "\u2000", "\u2028", "\u3000", "\v", "\f"} {
		r := httptest.NewRequest("GET", origin+"/me", nil)
		r.Header.Set("Cookie", space+session.Name+"="+session.Value)
		if _, err := g.auth.Authenticate(httptest.NewRecorder(), r); !errors.Is(err, core.ErrNoSession) {
			t.Errorf("%q: a planted session is taken: %v", space, err)
		}
		r.Header.Set("Cookie", space+session.Name+"=x; "+session.Name+"="+session.Value)
		if _, err := g.auth.Authenticate(httptest.NewRecorder(), r); err != nil {
			t.Errorf("%q: a planted cookie logs its victim out: %v", space, err)
		}
		victim, err := http.NewRequest("GET", callback.String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		victim.Header.Set("Cookie", space+attempt.Name+"="+attempt.Value)
		browser := logintest.NewBrowser()
		browser.Serve(origin, attacker.app(attacker.auth))
		page, err := browser.Do(victim)
		if err != nil {
			t.Fatal(err)
		}
		if setsSession(page.Header) || attacker.provider.Count(logintest.Token) != 0 {
			t.Errorf("%q: a planted attempt logs its victim in: %d", space, page.Status)
		}
	}
	r := httptest.NewRequest("GET", origin+"/me", nil)
	r.Header.Set("Cookie", "a=b;\t "+session.Name+"="+session.Value+" \t; c=d")
	if _, err := g.auth.Authenticate(httptest.NewRecorder(), r); err != nil {
		t.Errorf("blanks and tabs: %v", err)
	}
}
