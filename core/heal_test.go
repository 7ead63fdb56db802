package core_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
)

// Each case ends where a person would want, with at most one restart.
func TestCallbackHealsItself(t *testing.T) {
	t.Parallel()

	t.Run("back button or reload, logged in", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		callback := g.toCallback()
		g.get(callback.String())
		tokens := g.provider.Count(logintest.Token)
		page := g.visit(callback.String())
		if page.Status != 303 || page.Header.Get("Location") != "/" || setsSession(page.Header) {
			t.Errorf("got %d to %q", page.Status, page.Header.Get("Location"))
		}
		if got := g.provider.Count(logintest.Token); got != tokens {
			t.Errorf("%d more token requests", got-tokens)
		}
		if g.whoAmI() != "I am ada" {
			t.Error("the session is gone")
		}
	})

	// CHECKLIST 20, 23.
	t.Run("another browser begins a login of its own", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		callback := g.toCallback()
		g.browser.Forget("", "")
		page := g.visit(callback.String())
		if !strings.HasPrefix(page.Header.Get("Location"), issuer+"/authorize?") || setsSession(page.Header) {
			t.Errorf("got %d to %q", page.Status, page.Header.Get("Location"))
		}
		if got := g.provider.Count(logintest.Token); got != 0 {
			t.Errorf("%d token requests", got)
		}
	})

	t.Run("cookies blocked: one restart, then a page", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		at := g.toCallback()
		g.browser.Forget("", "")
		at = follow(t, g.browser, g.visit(at.String()).Header.Get("Location"))
		g.browser.Forget("", "")
		page := g.visit(at.String())
		if page.Status != 400 || !strings.Contains(string(page.Body), "attempt_unknown") || !strings.Contains(string(page.Body), "Try again") {
			t.Errorf("got %d: %s", page.Status, page.Body)
		}
		if got := g.provider.Count(logintest.Token); got != 0 {
			t.Errorf("%d token requests", got)
		}
	})

	// CHECKLIST 24.
	t.Run("expired: begun anew, to the same place", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		callback := g.toCallback()
		g.advance(10*time.Minute + time.Second)
		page := g.visit(callback.String())
		if !strings.HasPrefix(page.Header.Get("Location"), issuer+"/authorize?") {
			t.Fatalf("got %d to %q", page.Status, page.Header.Get("Location"))
		}
		callback = follow(t, g.browser, page.Header.Get("Location"))
		if page := g.visit(callback.String()); page.Header.Get("Location") != "/me" {
			t.Errorf("got %d to %q, want /me", page.Status, page.Header.Get("Location"))
		}
	})

	// CHECKLIST 31: who pressed Cancel must not be sent back.
	t.Run("error without an attempt: a page that repeats nothing", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		callback := g.toCallback()
		g.browser.Forget("", "")
		page := g.visit(callbackURL + "?error=access_denied&error_description=call+0900&state=" + callback.Query().Get("state"))
		if page.Status != 400 || strings.Contains(string(page.Body), "0900") {
			t.Errorf("got %d: %s", page.Status, page.Body)
		}
	})
}

// CHECKLIST 21, 33, 106, 107: what is no attempt of this browser.
func TestCallbackWithoutItsAttemptStartsNothing(t *testing.T) {
	t.Parallel()
	state := func(values ...string) func(*rig, url.Values) {
		return func(_ *rig, query url.Values) { query["state"] = values }
	}
	// cookie changes the value of the attempt's cookie.
	cookie := func(change func(g *rig, name, value string) string) func(*rig, url.Values) {
		return func(g *rig, query url.Values) {
			name := g.auth.AttemptCookie(query.Get("state"))
			for _, c := range g.browser.Cookies(origin) {
				if c.Name == name {
					g.browser.SetCookie(origin, &http.Cookie{Name: name, Value: change(g, name, c.Value), Path: "/", Secure: true})
					return
				}
			}
			g.t.Fatal("no cookie for the attempt")
		}
	}
	for _, test := range []struct {
		name   string
		change func(*rig, url.Values)
	}{
		{"state missing", func(_ *rig, q url.Values) { q.Del("state") }},
		{"state empty", state("")},
		{"state of nobody", state(strings.Repeat("A", 43))},
		{"state cut short", func(_ *rig, q url.Values) { q.Set("state", q.Get("state")[:42]) }},
		{"state longer", func(_ *rig, q url.Values) { q.Set("state", q.Get("state")+"A") }},
		{"state twice", func(_ *rig, q url.Values) { q.Add("state", q.Get("state")) }},
		{"cookie cut short", cookie(func(_ *rig, _, v string) string { return v[:len(v)-2] })},
		{"cookie tampered with", cookie(func(_ *rig, _, v string) string { return v[:40] + flip(v[40]) + v[41:] })},
		{"cookie empty", cookie(func(*rig, string, string) string { return "" })},
		{"cookie of another attempt", cookie(func(g *rig, name, _ string) string {
			other := g.toCallback().Query().Get("state")
			for _, c := range g.browser.Cookies(origin) {
				if c.Name == g.auth.AttemptCookie(other) {
					return c.Value
				}
			}
			return ""
		})},
		{"record of another state under the right name", cookie(func(g *rig, name, _ string) string {
			other := g.auth.AttemptCookie(g.toCallback().Query().Get("state"))
			for _, c := range g.browser.Cookies(origin) {
				if c.Name == other {
					record, _ := g.auth.OpenAttempt(other, c.Value)
					return g.auth.SealAttempt(name, record)
				}
			}
			return ""
		})},
		{"record that is none", cookie(func(g *rig, name, _ string) string { return g.auth.SealAttempt(name, []byte("\x01")) })},
		{"a session as an attempt", cookie(func(g *rig, _, _ string) string { return g.auth.SealSession([]byte("\x01")) })},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			callback := g.toCallback()
			query := callback.Query()
			test.change(g, query)
			page := g.visit(callbackURL + "?" + query.Encode())
			if page.Status != 303 && page.Status != 400 || page.Header.Get("Location") == "/me" || setsSession(page.Header) {
				t.Errorf("got %d to %q", page.Status, page.Header.Get("Location"))
			}
			if got := g.provider.Count(logintest.Token) + int(g.logins.Load()); got != 0 {
				t.Errorf("%d token requests and logins", got)
			}
		})
	}
}

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

func TestCallbackTakesGETOnly(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	callback := g.toCallback()
	for _, method := range []string{"HEAD", "POST", "PUT"} {
		r, err := http.NewRequest(method, callback.String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		page, err := g.browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if page.Status != http.StatusMethodNotAllowed || page.Header.Get("Allow") == "" {
			t.Errorf("%s: got %d, Allow %q", method, page.Status, page.Header.Get("Allow"))
		}
	}
	if got := g.provider.Count(logintest.Token); got != 0 {
		t.Errorf("%d token requests", got)
	}
	if page := g.get(callback.String()); string(page.Body) != "I am ada" {
		t.Errorf("the attempt is used up: %s", page.Body)
	}
}

func FuzzCallbackQuery(f *testing.F) {
	g := newRig(f)
	for _, seed := range []string{
		"", "state=a&code=b", "state=&code=", "state=a&state=a", "error=x&state=y", "code=%00", "%", ";", "a=%zz",
		"state=" + strings.Repeat("A", 43) + "&code=x", "state=" + strings.Repeat("A", 43) + "-r&code=x", "iss=x&state=\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := &http.Request{
			Method: "GET", URL: &url.URL{Scheme: "https", Host: "app.example.test", Path: "/auth/callback", RawQuery: query},
			Header: http.Header{"Accept": {"text/html"}},
		}
		page, err := g.browser.Do(r.WithContext(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		if page.Status >= 500 || setsSession(page.Header) {
			t.Fatalf("%q: got %d", query, page.Status)
		}
		if g.provider.Count(logintest.Token) != 0 {
			t.Fatalf("%q: a token request", query)
		}
	})
}
