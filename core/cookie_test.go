package core_test

import (
	"net/http"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

// RFC 6265bis section 8.6: two cookies of one name are nobody's.
func TestDoubledCookiesAreNobodys(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	callback := g.toCallback()
	attempt := g.cookiesNamed("__Host-pixy-login-")[0]
	r, err := http.NewRequest("GET", callback.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Cookie", attempt.Name+"="+attempt.Value) // the browser sends it once more
	page, err := g.browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if setsSession(page.Header) || g.provider.Count(logintest.Token) != 0 {
		t.Errorf("a doubled attempt logs in: %d", page.Status)
	}

	g.browser.Forget("", "")
	g.login()
	session := g.cookiesNamed("__Host-pixy-session")[0]
	for _, other := range []string{session.Value, "x", ""} {
		for _, header := range [][]string{
			{session.Name + "=" + session.Value + "; " + session.Name + "=" + other},
			{session.Name + "=" + other, session.Name + "=" + session.Value},
		} {
			r, err := http.NewRequest("GET", origin+"/me", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header["Cookie"] = header
			stranger := logintest.NewBrowser()
			stranger.Serve(origin, g.app(g.auth))
			if page, err := stranger.Do(r); err != nil || page.Status != http.StatusUnauthorized {
				t.Errorf("a doubled session is taken: %v %v", page, err)
			}
		}
	}
}
