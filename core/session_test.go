package core_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
)

// CHECKLIST 94 to 105, 128.
func TestSessionCookieAttributes(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	callback := g.toCallback()
	page := g.visit(callback.String())
	seen := make(map[string]*http.Cookie)
	for _, c := range (&http.Response{Header: page.Header}).Cookies() {
		if seen[c.Name] != nil {
			t.Errorf("%s is set twice", c.Name)
		}
		seen[c.Name] = c
		if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Domain != "" {
			t.Errorf("got %v", c)
		}
		if len(c.Name)+len(c.Value) > 4096 {
			t.Errorf("%s has %d bytes", c.Name, len(c.Name)+len(c.Value))
		}
	}
	session, hint := seen["__Host-pixy-session"], seen["__Secure-pixy-logout"]
	if session == nil || session.Path != "/" || session.MaxAge != 12*3600 {
		t.Errorf("session: got %v", session)
	}
	if hint == nil || hint.Path != "/auth/logout" {
		t.Errorf("logout hint: got %v", hint)
	}
	for _, cookie := range g.browser.Cookies(origin + "/me") {
		if strings.Contains(cookie.Name, "logout") {
			t.Error("the hint is sent to pages")
		}
	}
}

func TestGuardTakesNoForgedSession(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.login()
	good := g.cookiesNamed("__Host-pixy-session")[0].Value
	hint := g.cookiesNamed("__Secure-pixy-logout")[0].Value
	attempt := g.toCallback()
	attemptValue := ""
	for _, c := range g.cookiesNamed(g.auth.AttemptCookie(attempt.Query().Get("state"))) {
		attemptValue = c.Value
	}
	other := newRig(t, func(c *core.Config) { c.SessionKey = []byte("another key of thirty-two bytes!") })
	other.login()
	elsewhere := newRig(t, func(c *core.Config) { c.Providers[0].Issuer = "https://former.example.test" })
	w := httptest.NewRecorder()
	if err := elsewhere.auth.StartSession(w, httptest.NewRequest("GET", "/", nil), core.User{Issuer: "https://former.example.test", Subject: "ada"}, ""); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"empty": "", "cut short": good[:len(good)-3], "longer": good + "AAAA", "tampered with": good[:50] + flip(good[50]) + good[51:],
		"zero parts": "0" + good[1:], "two parts of one": "2" + good[1:], "nine parts": "9" + good[1:], "no count": good[1:],
		"another key":       other.cookiesNamed("__Host-pixy-session")[0].Value,
		"a logout hint":     "1" + hint,
		"an attempt":        "1" + attemptValue,
		"a record cut off":  "1" + g.auth.SealSession([]byte("\x01")),
		"an empty record":   "1" + g.auth.SealSession(nil),
		"another version":   "1" + g.auth.SealSession(append([]byte{99}, make([]byte, 64)...)),
		"another issuer":    (&http.Response{Header: w.Header()}).Cookies()[0].Value,
		"quoted":            `"` + good + `"`,
		"enormous":          "1" + strings.Repeat("A", 500<<10),
		"control character": "1\x01" + good[2:],
	} {
		r := httptest.NewRequest("GET", origin+"/me", nil)
		r.Header.Set("Cookie", "__Host-pixy-session="+value)
		if _, err := g.auth.Authenticate(httptest.NewRecorder(), r); !errors.Is(err, core.ErrNoSession) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	r := httptest.NewRequest("GET", origin+"/me", nil)
	r.Header.Set("Cookie", "a=b; __Host-pixy-session="+good+"; c")
	if _, err := g.auth.Authenticate(httptest.NewRecorder(), r); err != nil {
		t.Errorf("the good one: got %v", err)
	}
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	t.Run("at the absolute limit, used or not", func(t *testing.T) {
		t.Parallel()
		g := newRig(t, func(c *core.Config) { c.SessionLifetime, c.SessionIdle = time.Hour, 20*time.Minute })
		g.login()
		for range 5 {
			g.advance(11 * time.Minute)
			if g.whoAmI() == "" {
				t.Fatal("ended too early")
			}
		}
		g.advance(6 * time.Minute)
		if got := g.whoAmI(); got != "" {
			t.Errorf("got %q after the limit", got)
		}
	})
	t.Run("when idle", func(t *testing.T) {
		t.Parallel()
		g := newRig(t, func(c *core.Config) { c.SessionIdle = 20 * time.Minute })
		g.login()
		page := g.fetch("GET", origin+"/me")
		if len(page.Header["Set-Cookie"]) != 0 {
			t.Error("renewed at once")
		}
		g.advance(19 * time.Minute)
		if page := g.fetch("GET", origin+"/me"); !setsSession(page.Header) || page.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("not renewed: %v", page.Header)
		}
		g.advance(20*time.Minute + time.Second)
		if got := g.whoAmI(); got != "" {
			t.Errorf("got %q after the limit", got)
		}
	})
	t.Run("at the limit even if the browser keeps the cookie", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.login()
		value := g.cookiesNamed("__Host-pixy-session")[0].Value
		g.advance(12*time.Hour + time.Second)
		r := httptest.NewRequest("GET", origin+"/me", nil)
		r.Header.Set("Cookie", "__Host-pixy-session="+value)
		if _, err := g.auth.Authenticate(httptest.NewRecorder(), r); !errors.Is(err, core.ErrNoSession) {
			t.Errorf("got %v", err)
		}
	})
}
