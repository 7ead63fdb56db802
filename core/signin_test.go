package core_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

func withSignIn(c *core.Config) { c.Pages.SignInPath = "/signin" }

// toProvider is a sign-in page that begins the login by itself.
func toProvider(returnTo string) string {
	return "/auth/login?provider=id.example.test&return_to=" + url.QueryEscape(returnTo)
}

// Whatever leads an anonymous user to the login leads to the application's own page, with
// one provider and with several, and sets no cookie.
func TestAnonymousUsersComeToTheSignInPage(t *testing.T) {
	t.Parallel()
	for name, g := range map[string]*rig{"one provider": newRig(t, withSignIn), "two providers": newDuo(t, withSignIn).rig} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			guarded := g.visit(origin + "/me?tab=1")
			if got := guarded.Header.Get("Location"); guarded.Status != 303 || got != "/signin?return_to=%2Fme%3Ftab%3D1" || len(g.browser.Cookies(origin)) != 0 {
				t.Errorf("a page load leads to %q with %d cookies", got, len(g.browser.Cookies(origin)))
			}
			if page := g.get(origin + "/me?tab=1"); page.URL != origin+"/signin?return_to=%2Fme%3Ftab%3D1" || g.provider.Count(logintest.Authorization) != 0 {
				t.Errorf("ends at %s", page.URL)
			}
			var problem struct {
				LoginURL string `json:"login_url"`
			}
			script := g.fetch("GET", origin+"/me")
			if err := json.Unmarshal(script.Body, &problem); err != nil || script.Status != 401 || problem.LoginURL != "/signin" {
				t.Errorf("a script gets %d %s", script.Status, script.Body)
			}
			r := httptest.NewRequest("GET", "/me", nil)
			r.Header.Set("HX-Request", "true")
			r.Header.Set("HX-Current-URL", origin+"/list?page=2")
			w := httptest.NewRecorder()
			if err := g.auth.Challenge(w, r, core.ErrNoSession); err == nil || w.Header().Get("HX-Redirect") != "/signin?return_to=%2Flist%3Fpage%3D2" {
				t.Errorf("htmx is led to %q: %v", w.Header().Get("HX-Redirect"), err)
			}
			r = httptest.NewRequest("GET", "/me", nil)
			r.Header.Set("Accept", "text/html")
			w = httptest.NewRecorder()
			g.auth.ServeError(w, r, core.ErrNoSession)
			if !strings.Contains(w.Body.String(), `href="/signin?return_to=%2Fme">Log in</a>`) {
				t.Errorf("the error page has no link: %s", w.Body)
			}
			_, err := g.auth.AuthenticateFor(httptest.NewRecorder(), httptest.NewRequest("GET", "/me", nil), core.Requirement{ACR: []string{"gold"}})
			if failure := new(core.Error); !errors.As(err, &failure) || failure.LoginURL() != "/signin" {
				t.Errorf("a guard with a requirement gives %v", err)
			}
			r = httptest.NewRequest("GET", "/me", nil)
			r.Header.Set("Accept", "text/html")
			w = httptest.NewRecorder()
			if err := g.auth.Challenge(w, r, err); err != nil || w.Header().Get("Location") != "/signin?return_to=%2Fme" {
				t.Errorf("a requirement leads to %q: %v", w.Header().Get("Location"), err)
			}
		})
	}
}

// The page's links begin logins, and return_to is checked there once more.
func TestTheSignInPageBeginsLogins(t *testing.T) {
	t.Parallel()
	g := newDuo(t, withSignIn)
	for returnTo, ends := range map[string]string{
		"/me?tab=1": "/me?tab=1", "//evil.test/": "/", "https://evil.test/": "/", "/signin": "/", "/signin/?x": "/", "/%73ignin#x": "/", "/signing": "/signing", "": "/",
	} {
		page := g.get(origin + "/auth/login?provider=two&return_to=" + url.QueryEscape(returnTo))
		if page.URL != origin+ends {
			t.Errorf("%q ends at %s", returnTo, page.URL)
		}
	}
	one := newRig(t, withSignIn)
	if page := one.get(origin + "/auth/login?return_to=/me"); page.URL != origin+"/me" || string(page.Body) != "I am ada" {
		t.Errorf("an only provider: ends at %s: %s", page.URL, page.Body)
	}
}

// Without a provider in the login's query, the page is where the user chooses. If it leads
// back at once, or the login has options, the user chooses on our page.
func TestTheUserChoosesOnTheSignInPage(t *testing.T) {
	t.Parallel()
	g := newDuo(t, withSignIn)
	if page := g.get(origin + "/auth/login?return_to=/me"); page.URL != origin+"/signin?return_to=%2Fme" {
		t.Errorf("ends at %s: %s", page.URL, page.Body)
	}
	back := newDuo(t, withSignIn)
	back.signsIn = func(returnTo string) string { return "/auth/login?return_to=" + url.QueryEscape(returnTo) }
	for range 2 {
		page, hops := back.travel(origin + "/me")
		if page.Status != 200 || hops > 5 || !strings.Contains(string(page.Body), `href="/auth/login?provider=two&amp;return_to=%2Fme">two</a>`) {
			t.Errorf("a page that leads back: got %d at %s after %d hops: %s", page.Status, page.URL, hops, page.Body)
		}
	}
	for name, options := range map[string]core.LoginOptions{
		"parameters": {AuthParams: url.Values{"prompt": {"login"}}}, "a requirement": {Require: core.Requirement{ACR: []string{"gold"}}}, "a payload": {Payload: "link 7"},
	} {
		w := httptest.NewRecorder()
		if err := g.auth.LoginWith(w, httptest.NewRequest("GET", "/link", nil), options); err != nil || w.Code != 200 || !strings.Contains(w.Body.String(), "with=") {
			t.Errorf("%s: got %d, %v: %s", name, w.Code, err, w.Body)
		}
	}
	w := httptest.NewRecorder()
	if err := g.auth.LoginWith(w, httptest.NewRequest("GET", "/link", nil), core.LoginOptions{ReturnTo: "/me"}); err != nil || w.Header().Get("Location") != "/signin?return_to=%2Fme" {
		t.Errorf("LoginWith leads to %q: %v", w.Header().Get("Location"), err)
	}
}

// A guard in front of the page would redirect in circles, so it ends at once.
func TestAGuardedSignInPage(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"", "/reader"} {
		g := newRig(t, withSignIn, func(c *core.Config) {
			if base != "" {
				c.Logout.After = ""
				c.BasePath, c.RedirectURL, c.Pages.SignInPath = base, origin+base+"/auth/callback", base+"/signin"
			}
		})
		for _, path := range []string{"/signin", "/signin?return_to=%2Fme", "/signin/", "/%73ignin"} {
			r, w := httptest.NewRequest("GET", path, nil), httptest.NewRecorder()
			r.Header.Set("Accept", "text/html")
			err := g.auth.Challenge(w, r, core.ErrNoSession)
			failure := new(core.Error)
			if !errors.As(err, &failure) || failure.Code != "login_guarded" || failure.Status != 500 || failure.LoginURL() != "" || len(w.Header()["Location"]) != 0 {
				t.Errorf("%s%s: got %v, %v", base, path, err, w.Header())
			}
			w = httptest.NewRecorder()
			g.auth.ServeError(w, r, err)
			if strings.Contains(w.Body.String(), `class="main"`) {
				t.Errorf("the page offers a login: %s", w.Body)
			}
		}
		if !strings.Contains(g.log.String(), "Pages.SignInPath") {
			t.Errorf("the log does not name the field: %s", g.log.String())
		}
	}
}

// A step-up, a retry and a login for tokens stay at the user's provider.
func TestStepUpsPassTheSignInPage(t *testing.T) {
	t.Parallel()
	g := newDuo(t, withSignIn, keepTokens)
	g.signsIn = toProvider
	g.get(g.at("two").String())
	r, w := httptest.NewRequest("GET", "/me", nil), httptest.NewRecorder()
	r.Header.Set("Accept", "text/html")
	for _, c := range g.browser.Cookies(origin) {
		r.AddCookie(c)
	}
	_, err := g.auth.AuthenticateFor(w, r, core.Requirement{ACR: []string{"gold"}})
	if err := g.auth.Challenge(w, r, err); err != nil || !strings.HasPrefix(w.Header().Get("Location"), otherIssuer) {
		t.Errorf("a step-up leads to %q: %v", w.Header().Get("Location"), err)
	}
	passed, err := g.auth.Authenticate(httptest.NewRecorder(), r)
	if err != nil {
		t.Fatal(err)
	}
	w = httptest.NewRecorder()
	g.auth.ServeError(w, passed, core.ErrNoToken)
	if !strings.Contains(w.Body.String(), `href="/auth/login?provider=two&amp;return_to=%2Fme"`) {
		t.Errorf("for a token: %s", w.Body)
	}
	refused := g.get(g.at("two").String() + "&code=again")
	if !strings.Contains(string(refused.Body), `href="/auth/login?provider=two&amp;return_to=%2Fme"`) {
		t.Errorf("a retry: %s", refused.Body)
	}
}

// A login may end at the page if it is Home, which then shows something else to users.
func TestTheSignInPageMayBeHome(t *testing.T) {
	t.Parallel()
	g := newRig(t, func(c *core.Config) { c.Pages.SignInPath = "/" })
	if page := g.get(origin + "/me"); page.URL != origin+"/?return_to=%2Fme" || string(page.Body) != "public" {
		t.Errorf("the guard leads to %s: %s", page.URL, page.Body)
	}
	if page := g.get(origin + "/auth/login?return_to=/"); page.URL != origin+"/" || g.logins.Load() != 1 {
		t.Errorf("the login ends at %s: %s", page.URL, page.Body)
	}
}

// No circle is endless with a sign-in page that begins the login by itself: the browser
// ends on a page that says so.
func TestNoCircleThroughTheSignInPageIsEndless(t *testing.T) {
	t.Parallel()
	for _, test := range circles {
		if test.opens != "" || strings.Contains(test.name, "its own guard") {
			continue // guards everything, or does not use Challenge
		}
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, withSignIn)
			g.ownPage, g.signsIn = true, toProvider
			test.setup(g)
			page, hops := g.travel(origin + "/me")
			if page.Status != http.StatusInternalServerError || !strings.Contains(string(page.Body), "<code>session_lost</code>") {
				t.Fatalf("got %d at %s after %d hops: %s", page.Status, page.URL, hops, page.Body)
			}
			if got := g.provider.Count(logintest.Authorization); got > max(6, test.asked) {
				t.Errorf("the provider was asked %d times", got)
			}
			if cause := cmp.Or(test.own, test.cause); !strings.Contains(g.log.String(), cause) {
				t.Errorf("the log does not say %q:\n%s", cause, g.log.String())
			}
		})
	}
}

// A page that asks silently again whenever nobody is there ends, too.
func TestSilentLoginsThroughTheSignInPage(t *testing.T) {
	t.Parallel()
	g := newSilentRig(t, "login_required", silently, withSignIn)
	g.signsIn = toProvider
	page, hops := g.travel(origin + "/me")
	if page.Status != http.StatusUnauthorized || hops == 60 || !strings.Contains(string(page.Body), `href="/auth/login?return_to=%2Fme">Log in`) {
		t.Errorf("got %d after %d hops: %s", page.Status, hops, page.Body)
	}
}

// Users may log in again on purpose, a few times in a minute. The cookie with which our
// page replaces the application's lasts for seconds, and says nothing.
func TestLoginsOnPurposeAreNoCircle(t *testing.T) {
	t.Parallel()
	g := newDuo(t, withSignIn)
	for i := range 5 {
		if page := g.get(g.at("two").String()); page.URL != origin+"/me" || page.Status != 200 {
			t.Errorf("login %d ends with %d at %s: %s", i, page.Status, page.URL, page.Body)
		}
	}
	chosen := g.visit(origin + "/auth/login").Header["Set-Cookie"]
	if len(chosen) != 1 || !strings.HasPrefix(chosen[0], "__Host-pixy-choose=1; Path=/; Max-Age=5;") {
		t.Errorf("got %q", chosen)
	}
}
