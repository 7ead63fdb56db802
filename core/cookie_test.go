package core_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// RFC 6265bis section 8.6: two cookies of one name are nobody's.
func TestDoubledCookiesAreNobodys(t *testing.T) {
	t.Parallel()
	t.Run("rule 107: two of one name", func(t *testing.T) {
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
	})
}

// checkSetCookies is run on every answer that a rig's application gives.
func checkSetCookies(t testing.TB, r *http.Request, header http.Header) {
	seen := make(map[string]bool)
	for _, line := range header["Set-Cookie"] {
		cookie, err := http.ParseSetCookie(line)
		if err != nil {
			t.Errorf("%s %s sets what is no cookie: %v: %q", r.Method, r.URL.Path, err, line)
			continue
		}
		if seen[cookie.Name] {
			t.Errorf("%s %s sets %s twice", r.Method, r.URL.Path, cookie.Name)
		}
		seen[cookie.Name] = true
		if !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Domain != "" && !(cookie.Domain == "example.test" && strings.HasPrefix(cookie.Name, "__Secure-")) ||
			cookie.Secure != strings.HasPrefix(cookie.Name, "__") || len(cookie.Name)+len(cookie.Value) > 4096 {
			t.Errorf("%s %s sets %q", r.Method, r.URL.Path, line)
		}
	}
}

// Where two parts of the library answer together, each with a word on the same cookie.
func TestNoAnswerSetsACookieTwice(t *testing.T) {
	t.Parallel()
	idle := func(c *core.Config) { c.Sessions.Idle = 20 * time.Minute }
	inAStore := func(c *core.Config) { idle(c); c.Sessions.Store = newMemoryStore() }
	// behindGuard serves the login's routes behind a middleware that looks who
	// is there and renews the session, as LoadUser does.
	behindGuard := func(g *rig) {
		app := g.app(g.auth)
		g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			g.auth.Authenticate(w, r)
			app.ServeHTTP(w, r)
		}))
	}
	logout := func(g *rig) *logintest.Page {
		behindGuard(g)
		page, err := g.browser.Post(origin+"/auth/logout", nil)
		if err != nil {
			g.t.Fatal(err)
		}
		return &logintest.Page{Hop: page.Hops[0]}
	}
	callback := func(g *rig) *logintest.Page {
		begun := g.toCallback()
		behindGuard(g)
		return g.visit(begun.String())
	}
	for _, test := range []struct {
		name   string
		config func(*core.Config)
		answer func(g *rig) *logintest.Page
	}{
		{"rule 104: logout behind a guard that renews", idle, logout},
		{"rule 104: logout behind a guard that renews, with a store", inAStore, logout},
		{"rule 104: login anew behind a guard that renews", idle, callback},
		{"rule 104: login anew behind a guard that renews, with a store", inAStore, callback},
		{"rule 104: the oldest of eight logins expires and is begun anew", idle, func(g *rig) *logintest.Page {
			g.browser.Forget("", "")
			first := g.toCallback()
			for range 7 {
				g.visit(origin + "/auth/login")
			}
			g.advance(11 * time.Minute)
			return g.visit(first.String())
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, test.config)
			g.login()
			g.advance(10 * time.Minute)
			page := test.answer(g)
			if page.Status != http.StatusSeeOther || len(page.Header["Set-Cookie"]) == 0 {
				t.Fatalf("got %d and %q: %s", page.Status, page.Header["Set-Cookie"], page.Body)
			}
			checkSetCookies(t, &http.Request{Method: page.Method, URL: &url.URL{Path: page.URL}}, page.Header)
		})
	}
}
