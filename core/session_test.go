package core_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A session of two cookies whose ID token is small enough for a third.
var manyGroups = logintest.Faults{UserInfo: func(claims map[string]any) { claims["groups"] = noise(4000) }}

func askUserInfo(c *core.Config) { c.Providers[0].Requests.UserInfo = true }

func TestSessionCookieAttributes(t *testing.T) {
	t.Parallel()
	g := newRig(t, askUserInfo)
	g.provider.Misbehave(manyGroups)
	page := g.visit(g.toCallback().String())
	set := make(map[string]*http.Cookie) // but for the attempt's, which is deleted, and the landing's
	for _, c := range (&http.Response{Header: page.Header}).Cookies() {
		if c.MaxAge >= 0 && !strings.HasPrefix(c.Name, "__Host-pixy-landed-") {
			set[c.Name] = c
		}
	}
	all := func(ok func(*http.Cookie) bool) func(*testing.T) {
		return func(t *testing.T) {
			for _, c := range set {
				if !ok(c) {
					t.Errorf("got %v", c)
				}
			}
		}
	}
	hint := func(c *http.Cookie) bool { return c.Name == "__Secure-pixy-logout" }
	last := func(c *http.Cookie) bool { return c.Name == "__Host-pixy-last" }
	t.Run("rule 94: Secure", all(func(c *http.Cookie) bool { return c.Secure }))
	t.Run("rule 95: HttpOnly", all(func(c *http.Cookie) bool { return c.HttpOnly }))
	t.Run("rule 96: Lax", all(func(c *http.Cookie) bool { return c.SameSite == http.SameSiteLaxMode }))
	t.Run("rule 98: all paths, but for the logout hint", all(func(c *http.Cookie) bool {
		return c.Path == "/" && !hint(c) || c.Path == "/auth/logout" && hint(c)
	}))
	t.Run("rule 99: no Domain", all(func(c *http.Cookie) bool { return c.Domain == "" }))
	t.Run("rule 100: prefix", all(func(c *http.Cookie) bool {
		return strings.HasPrefix(c.Name, "__Host-pixy-session") || hint(c) || last(c)
	}))
	t.Run("rule 105: four at most, of 4096 bytes", func(t *testing.T) {
		if len(set) != 4 || len(set["__Host-pixy-last"].Value) != 22 || set["__Host-pixy-session-2"] == nil {
			t.Errorf("got %d", len(set))
		}
		all(func(c *http.Cookie) bool { return len(c.Name)+len(c.Value) <= 4096 })(t)
	})
	t.Run("no longer than the session, but for the logout hint and what it belongs to", all(func(c *http.Cookie) bool {
		if hint(c) || last(c) {
			return c.MaxAge == (12+30*24)*3600
		}
		return c.MaxAge == 12*3600
	}))
	t.Run("the hint is sent to the logout alone", func(t *testing.T) {
		for _, cookie := range g.browser.Cookies(origin + "/me") {
			if strings.Contains(cookie.Name, "logout") {
				t.Errorf("/me receives %v", cookie)
			}
		}
	})
}

// Only a RedirectURL on loopback makes cookies that are not Secure.
func TestCookiesOnLoopback(t *testing.T) {
	t.Parallel()
	t.Run("rule 94: plain http for development, if RedirectURL says so", func(t *testing.T) {
		t.Parallel()
		const local = "http://127.0.0.1:8080"
		g := newRig(t)
		auth := g.newAuth(func(c *core.Config) { c.RedirectURL = local + "/auth/callback" })
		g.browser.Serve(local, g.app(auth))
		page := g.visit(local + "/auth/login")
		cookies := (&http.Response{Header: page.Header}).Cookies()
		if len(cookies) != 1 || cookies[0].Secure || !strings.HasPrefix(cookies[0].Name, "pixy-login-") || !cookies[0].HttpOnly {
			t.Errorf("got %v", cookies)
		}
	})
}

// What was in the browser before a login is worth nothing after it.
func TestLoginReplacesTheSession(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*core.Config){
		"rule 102: in cookies":   func(*core.Config) {},
		"rule 102: with a store": func(c *core.Config) { c.Sessions.Store = newMemoryStore() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, change)
			g.provider.User = logintest.User{Subject: "mallory"}
			g.login()
			planted := g.cookiesNamed("__Host-pixy-session")[0]
			g.browser.Forget("", "")
			g.browser.SetCookie(origin, &http.Cookie{Name: planted.Name, Value: planted.Value, Path: "/", Secure: true})
			g.provider.User = logintest.User{}
			g.visit(g.toCallback().String())
			if got := g.cookiesNamed("__Host-pixy-session"); len(got) != 1 || got[0].Value == planted.Value {
				t.Errorf("the planted session is still there: %v", got)
			}
			if got := g.whoAmI(); got != "I am ada" {
				t.Errorf("%q is logged in", got)
			}
			if err := openWith(g, planted.Value); strings.HasSuffix(name, "store") && !errors.Is(err, core.ErrNoSession) {
				t.Errorf("the planted session is still good: %v", err)
			}
		})
	}
}

// Browsers drop cookies as they like: each in turn, and the person goes on or
// logs in anew.
func TestCookiesMayVanish(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		cookie string
		user   string // who is still logged in
	}{
		{"rule 106: the session", "__Host-pixy-session", ""},
		{"rule 106: its second part", "__Host-pixy-session-2", ""},
		{"rule 106: the logout hint", "__Secure-pixy-logout", "I am ada"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, askUserInfo)
			g.provider.Misbehave(manyGroups)
			g.login()
			before := len(g.cookiesNamed("__"))
			g.browser.Forget(origin+"/auth/logout", test.cookie)
			if got := len(g.cookiesNamed("__")); got != before-1 {
				t.Fatalf("%d cookies are left of %d", got, before)
			}
			if got := g.whoAmI(); got != test.user {
				t.Errorf("got %q", got)
			}
			g.login()
			if page, err := g.browser.Post(origin+"/auth/logout", nil); err != nil || page.Status != 200 || g.whoAmI() != "" {
				t.Errorf("logout: %v %v", page, err)
			}
		})
	}
}

// Two providers may know the same subject, and two people one address.
func TestUsersAreKnownByIssuerAndSubject(t *testing.T) {
	t.Parallel()
	seen := make(map[core.User]bool)
	for _, issuer := range []string{"https://one.example.test", "https://two.example.test"} {
		for _, subject := range []string{"ada", "grace"} {
			provider := logintest.NewProvider(issuer, logintest.Client{ID: "app", RedirectURIs: []string{callbackURL}})
			provider.User = logintest.User{Subject: subject, Claims: map[string]any{"email": "shared@example.test"}}
			g := &rig{t: t, provider: provider, browser: logintest.NewBrowser()}
			g.browser.Serve(issuer, provider)
			g.auth = g.newAuth(func(c *core.Config) {
				c.Providers = []core.Provider{{Issuer: issuer, ClientID: "app"}}
				c.OnLogin = func(_ context.Context, login *core.Login) error {
					seen[core.User{Issuer: login.User.Issuer, Subject: login.User.Subject}] = true
					return nil
				}
			})
			g.browser.Serve(origin, g.app(g.auth))
			g.login()
		}
	}
	t.Run("rule 88: same subject, same address, four users", func(t *testing.T) {
		if len(seen) != 4 {
			t.Errorf("got %v", seen)
		}
	})
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
		"rule 101: empty":              "",
		"rule 101: cut short":          good[:len(good)-3],
		"rule 101: longer":             good + "AAAA",
		"rule 101: tampered with":      good[:50] + flip(good[50]) + good[51:],
		"rule 101: zero parts":         "0" + good[1:],
		"rule 101: two parts of one":   "2" + good[1:],
		"rule 101: nine parts":         "9" + good[1:],
		"rule 101: no count":           good[1:],
		"rule 101: another key":        other.cookiesNamed("__Host-pixy-session")[0].Value,
		"rule 101: a logout hint":      "1" + hint,
		"rule 101: an attempt":         "1" + attemptValue,
		"rule 101: a record cut off":   "1" + g.auth.SealSession([]byte("\x01")) + ".",
		"rule 101: an empty record":    "1" + g.auth.SealSession(nil) + ".",
		"rule 101: another version":    "1" + g.auth.SealSession(append([]byte{99}, make([]byte, 64)...)) + ".",
		"rule 88: another issuer":      (&http.Response{Header: w.Header()}).Cookies()[0].Value,
		"rule 104: quoted":             `"` + good + `"`,
		"rule 105: enormous":           "1" + strings.Repeat("A", 500<<10),
		"rule 104: control characters": "1\x01" + good[2:],
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", origin+"/me", nil)
			r.Header.Set("Cookie", "__Host-pixy-session="+value)
			if _, err := g.auth.Authenticate(httptest.NewRecorder(), r); !errors.Is(err, core.ErrNoSession) {
				t.Errorf("got %v", err)
			}
		})
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
		g := newRig(t, func(c *core.Config) { c.Sessions.Lifetime, c.Sessions.Idle = time.Hour, 20*time.Minute })
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
		g := newRig(t, func(c *core.Config) { c.Sessions.Idle = 20 * time.Minute })
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
