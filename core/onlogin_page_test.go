package core_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// deciding sets an OnLogin that changes the login.
func deciding(change func(*core.Login)) func(*core.Config) {
	return func(c *core.Config) {
		c.OnLogin = func(_ context.Context, login *core.Login) error {
			change(login)
			return nil
		}
	}
}

func endingAt(page string) func(*core.Config) {
	return deciding(func(login *core.Login) { login.ReturnTo = page })
}

func TestOnLoginChoosesThePage(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		page string // that OnLogin chooses
		ends string // path; "": the login fails
	}{
		{name: "a page", page: "/welcome", ends: "/welcome"},
		{name: "a page with a query and a fragment", page: "/welcome?first=yes#top", ends: "/welcome?first=yes#top"},
		{name: "a page that is not ASCII", page: "/größe", ends: "/gr%C3%B6%C3%9Fe"},
		{name: "none", page: "", ends: "/"},
		{name: "2 KB", page: "/" + strings.Repeat("a", core.MaxReturnTo-1), ends: "/" + strings.Repeat("a", core.MaxReturnTo-1)},
		{name: "more than 2 KB", page: "/" + strings.Repeat("a", core.MaxReturnTo)},
		{name: "another site", page: "https://evil.example.test/canary"},
		{name: "this site, as a URL", page: origin + "/canary"},
		{name: "another host", page: "//evil.example.test/canary"},
		{name: "a backslash", page: `/\evil.example.test/canary`},
		{name: "no path", page: "canary"},
		{name: "the login", page: "/auth/login?canary"},
		{name: "the logout", page: "/auth/logout?canary"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			everyVault(t, func(t *testing.T, vault func(*core.Config)) {
				var asked []string
				g := newRig(t, vault, deciding(func(login *core.Login) {
					if asked = append(asked, login.ReturnTo); len(asked) > 1 {
						login.ReturnTo = test.page
					}
				}))
				g.login()
				before := g.cookiesNamed("__Host-pixy-session")[0].Value
				callback := g.toCallback()
				page := g.visit(callback.String())
				if asked[1] != "/me" {
					t.Errorf("OnLogin sees %q", asked[1])
				}
				after := g.cookiesNamed("__Host-pixy-session")[0].Value
				if test.ends == "" {
					body := string(page.Body)
					if page.Status != 500 || !strings.Contains(body, "<code>internal_error</code>") || !strings.Contains(g.log.String(), "Login.ReturnTo is not a page of this application") {
						t.Errorf("got %d, logged as %s: %s", page.Status, g.log.String(), body)
					}
					if strings.Contains(body+g.log.String(), "canary") || setsSession(page.Header) || after != before || g.whoAmI() != "I am ada" {
						t.Errorf("the page is shown, or the session did not survive: %s %v", g.log.String(), page.Header)
					}
					return
				}
				if got := page.Header.Get("Location"); got != test.ends || page.Status != http.StatusSeeOther || after == before {
					t.Fatalf("got %d to %.80q", page.Status, got)
				}
				if got := g.visit(callback.String()).Header.Get("Location"); got != test.ends { // a reload
					t.Errorf("a reload ends at %.80q", got)
				}
				if len(asked) != 2 {
					t.Errorf("OnLogin was called %d times", len(asked))
				}
			})
		})
	}
}

// The second callback of a login has its attempt, too, if they come together.
func TestOnLoginChoosesThePageOfEachCallback(t *testing.T) {
	t.Parallel()
	g := newRig(t, endingAt("/welcome"))
	callback := g.toCallback()
	attempt := g.cookiesNamed("__Host-pixy-login-")[0]
	for range 3 {
		g.browser.SetCookie(origin, attempt)
		if page := g.visit(callback.String()); page.Header.Get("Location") != "/welcome" || !setsSession(page.Header) {
			t.Errorf("got %d to %q", page.Status, page.Header.Get("Location"))
		}
	}
	if got := g.redeemed(callback); got != 1 {
		t.Errorf("sent the code %d times", got)
	}
}

// OnLogin sends all users to one page. If its guard, or that of the page behind it, does
// not see the session, the browser must not go in a circle.
func TestOnLoginsPageIsNoCircle(t *testing.T) {
	t.Parallel()
	elsewhere := func(to string) core.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) error {
			http.Redirect(w, r, to, http.StatusSeeOther)
			return nil
		}
	}
	for _, test := range []struct {
		name   string
		drops  func([]string) []string
		others map[string]core.HandlerFunc // nil: all pages are guarded
	}{
		{name: "its own guard", drops: without("-session=")},
		{name: "its own guard, and all cookies of the callback are dropped", drops: onlyAttempts},
		{name: "the guard of the page that it leads to", drops: without("-session="), others: map[string]core.HandlerFunc{"/welcome": elsewhere("/me")}},
		{name: "the guard of that page, and all cookies of the callback are dropped", drops: onlyAttempts, others: map[string]core.HandlerFunc{"/welcome": elsewhere("/me")}},
		{name: "a link to the login", drops: without("-session="), others: map[string]core.HandlerFunc{"/welcome": elsewhere("/auth/login?return_to=/me")}},
		{name: "a link to a login that ends at it", drops: without("-session="), others: map[string]core.HandlerFunc{"/welcome": elsewhere("/auth/login?return_to=/welcome")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, endingAt("/welcome"))
			app := g.everyPage(g.auth, g.auth)
			g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w = &droppingWriter{w, test.drops}
				if handle := test.others[r.URL.Path]; handle != nil {
					_ = handle(w, r)
					return
				}
				app.ServeHTTP(w, r)
			}))
			page, hops := g.travel(origin + "/me")
			if page.Status != 500 || !strings.Contains(string(page.Body), "<code>session_lost</code>") || hops > 16 {
				t.Errorf("got %d after %d hops at %s: %s", page.Status, hops, page.URL, page.Body)
			}
			if got := g.provider.Count(logintest.Authorization); test.name == "its own guard" && got > 2 {
				t.Errorf("the provider was asked %d times", got)
			}
		})
	}
}

// A step-up is for the page that asked for it, wherever OnLogin sends the user.
func TestOnLoginsPageAfterAStepUp(t *testing.T) {
	t.Parallel()
	v := newVault(t, core.Requirement{ACR: []string{"gold"}}, endingAt("/welcome"))
	v.get(origin + "/auth/login")
	v.provider.User.ACR = []string{"gold"}
	if page := v.get(origin + "/vault"); page.URL != origin+"/welcome" || v.ran.Load() != 0 {
		t.Errorf("got %d at %s", page.Status, page.URL)
	}
	if page := v.get(origin + "/vault"); string(page.Body) != "the vault of ada" {
		t.Errorf("got %d: %s", page.Status, page.Body)
	}
	// Two guards that no login passes together.
	v.open("/vault", core.Requirement{ACR: []string{"gold"}}, core.Requirement{ACR: []string{"platinum"}})
	v.provider.User.ACR = []string{"platinum"}
	v.get(origin + "/vault")
	if page := v.get(origin + "/vault"); page.Status != 403 || !strings.Contains(string(page.Body), "step_up_failed") {
		t.Errorf("got %d: %s", page.Status, page.Body)
	}
}
