package core_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
)

// What stands in front of a guard may have said for all pages that caches may keep
// them. For the answer to a user that is taken back.
func TestGuardOverridesPublic(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.login()
	for before, want := range map[string]string{
		"public":                                    "private",
		"public, max-age=60":                        "private, max-age=60",
		"PUBLIC , Max-Age=60":                       "private, max-age=60",
		"max-age=60, s-maxage=600":                  "private, max-age=60",
		"S-MaxAge=600":                              "private",
		"max-age=60":                                "private, max-age=60",
		"max-age=60, must-revalidate":               "private, max-age=60, must-revalidate",
		"no-store, public":                          "private, no-store",
		"private, public":                           "private",
		`private="Set-Cookie", max-age=60`:          "private, max-age=60",
		`no-cache="Set-Cookie, public", max-age=60`: "private, max-age=60",
		"":                    "private",
		"no-store":            "no-store",
		"private, max-age=60": "private, max-age=60",
		"no-cache":            "no-cache",
		"No-Store, Max-Age=0": "No-Store, Max-Age=0",
	} {
		for _, field := range []string{"Cache-Control", "CDN-Cache-Control"} {
			for who, cookies := range map[string][]*http.Cookie{"a user": g.browser.Cookies(origin + "/me"), "nobody": nil} {
				r, w := httptest.NewRequest("GET", origin+"/me", nil), httptest.NewRecorder()
				for _, c := range cookies {
					r.AddCookie(c)
				}
				w.Header().Set(field, before)
				if _, err := g.auth.Authenticate(w, r); err != nil && !errors.Is(err, core.ErrNoSession) {
					t.Fatal(err)
				}
				if got := w.Header().Get(field); got != want {
					t.Errorf("%s, %s: %q becomes %q, want %q", who, field, before, got, want)
				}
			}
		}
	}
	t.Run("in several lines", func(t *testing.T) {
		t.Parallel()
		w := httptest.NewRecorder()
		w.Header()["Cache-Control"] = []string{"private", "public, max-age=60"}
		if _, err := g.auth.Authenticate(w, httptest.NewRequest("GET", origin+"/me", nil)); !errors.Is(err, core.ErrNoSession) {
			t.Fatal(err)
		}
		if got := w.Header()["Cache-Control"]; len(got) != 1 || got[0] != "private, max-age=60" {
			t.Errorf("got %q", got)
		}
	})
}

// An answer that renews a session is nobody's to keep, and nor is one that a CDN
// would take for its own.
func TestARenewalIsKeptFromCaches(t *testing.T) {
	t.Parallel()
	g := newRig(t, func(c *core.Config) { c.Sessions.Idle = time.Hour })
	g.login()
	g.advance(10 * time.Minute)
	if page := g.visit(origin + "/me"); setsSession(page.Header) || page.Header.Get("Cache-Control") != "private" {
		t.Errorf("before a quarter of Idle: got %v", page.Header)
	}
	g.advance(10 * time.Minute)
	page := g.visit(origin + "/me")
	if !setsSession(page.Header) {
		t.Fatalf("got %v", page.Header)
	}
	for _, field := range []string{"Cache-Control", "CDN-Cache-Control"} {
		if got := page.Header.Get(field); got != "no-store" {
			t.Errorf("%s: got %q", field, got)
		}
	}
}

// The answers of the login's own routes are nobody's to keep, whatever stands in
// front of them.
func TestLoginOverridesPublic(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	if _, set := g.visit(origin + "/auth/login").Header["Cdn-Cache-Control"]; set {
		t.Error("CDN-Cache-Control, which nobody has set, is there")
	}
	r, w := httptest.NewRequest("GET", origin+"/auth/login", nil), httptest.NewRecorder()
	for _, field := range []string{"Cache-Control", "CDN-Cache-Control"} {
		w.Header().Set(field, "public, max-age=60")
	}
	if err := g.auth.Login(w, r); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"Cache-Control", "CDN-Cache-Control"} {
		if got := w.Header().Get(field); got != "no-store" {
			t.Errorf("%s: got %q", field, got)
		}
	}
}
