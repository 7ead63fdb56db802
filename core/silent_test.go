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

// newSilentRig has a page that asks the provider, without asking the user, who is there.
func newSilentRig(t *testing.T, says string, change ...func(*core.Config)) *rig {
	t.Helper()
	g := newRig(t, change...)
	g.provider.Misbehave(logintest.Faults{Authorization: func(query url.Values) {
		query.Del("code")
		query.Set("error", says)
	}})
	app := g.app(g.auth)
	g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/quietly" {
			app.ServeHTTP(w, r)
			return
		}
		options := core.LoginOptions{ReturnTo: r.URL.Query().Get("to"), AuthParams: url.Values{"prompt": {"none"}}}
		if err := g.auth.LoginWith(w, r, options); err != nil {
			g.auth.ServeError(w, r, err)
		}
	}))
	return g
}

func TestASilentLoginWithoutAUserGoesOn(t *testing.T) {
	t.Parallel()
	for _, says := range []string{"login_required", "interaction_required", "consent_required", "account_selection_required"} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			g := newSilentRig(t, says)
			for range 3 {
				page := g.get(origin + "/quietly?to=/public")
				if page.URL != origin+"/public" || page.Status != http.StatusOK || setsSession(page.Header) {
					t.Errorf("ends with %d at %s: %s", page.Status, page.URL, page.Body)
				}
			}
			if got := g.provider.Count(logintest.Token); got != 0 || g.log.String() != "" || len(g.cookiesNamed("__Host-pixy-login-")) != 0 {
				t.Errorf("%d token requests, logged %s", got, g.log.String())
			}
		})
	}
	t.Run("one page after another", func(t *testing.T) {
		t.Parallel()
		g := newSilentRig(t, "login_required")
		for _, to := range strings.Fields("/a /b /c /d /e /f /g") {
			if page := g.get(origin + "/quietly?to=" + to); page.URL != origin+to {
				t.Errorf("ends with %d at %s", page.Status, page.URL)
			}
		}
	})
	t.Run("one page, minutes apart", func(t *testing.T) {
		t.Parallel()
		g := newSilentRig(t, "login_required")
		for range 3 {
			for range 5 {
				if page := g.get(origin + "/quietly?to=/public"); page.URL != origin+"/public" {
					t.Fatalf("ends with %d at %s", page.Status, page.URL)
				}
			}
			if page := g.get(origin + "/quietly?to=/public"); page.Status != http.StatusUnauthorized {
				t.Errorf("the sixth in a minute: ends with %d at %s", page.Status, page.URL)
			}
			g.advance(2 * time.Minute) // the browser sends cookies that are over
		}
	})
	t.Run("a user stays logged in", func(t *testing.T) {
		t.Parallel()
		g := newSilentRig(t, "login_required")
		faults := logintest.Faults{Authorization: func(q url.Values) { q.Del("code"); q.Set("error", "login_required") }}
		g.provider.Misbehave(logintest.Faults{})
		callback := g.toCallback().String()
		for range 4 { // the login, and reloads that count
			g.get(callback)
		}
		g.provider.Misbehave(faults)
		for range 3 {
			if page := g.get(origin + "/quietly?to=/me"); string(page.Body) != "I am ada" {
				t.Errorf("got %d: %s", page.Status, page.Body)
			}
		}
	})
	t.Run("to a guarded page, whose guard asks the user", func(t *testing.T) {
		t.Parallel()
		g := newSilentRig(t, "login_required")
		g.provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
			if e != logintest.Authorization || r.Form.Get("prompt") != "none" {
				return false
			}
			to := callbackURL + "?" + url.Values{"error": {"login_required"}, "state": {r.Form.Get("state")}, "iss": {issuer}}.Encode()
			http.Redirect(w, r, to, http.StatusSeeOther)
			return true
		}})
		for range 3 { // without a look at the page
			g.visit(follow(t, g.browser, origin+"/quietly?to=/me").String())
		}
		if page := g.get(origin + "/quietly?to=/me"); string(page.Body) != "I am ada" {
			t.Errorf("got %d: %s", page.Status, page.Body)
		}
	})
}

func TestASilentLoginThatIsStillRefused(t *testing.T) {
	t.Parallel()
	t.Run("another error", func(t *testing.T) {
		t.Parallel()
		g := newSilentRig(t, "invalid_scope")
		if page := g.get(origin + "/quietly?to=/public"); page.Status != http.StatusForbidden {
			t.Errorf("got %d at %s", page.Status, page.URL)
		}
	})
	t.Run("the login was not silent", func(t *testing.T) {
		t.Parallel()
		g := newSilentRig(t, "login_required")
		if page := g.get(origin + "/auth/login?return_to=/public"); page.Status != http.StatusForbidden || g.line().Level != "WARN" {
			t.Errorf("got %d at %s", page.Status, page.URL)
		}
	})
	t.Run("LoginOptions ask the user, though Provider.Requests.AuthParams do not", func(t *testing.T) {
		t.Parallel()
		g := newSilentRig(t, "login_required", silently)
		r := core.LoginOptions{ReturnTo: "/public", AuthParams: url.Values{"prompt": {"login"}}}
		app := g.app(g.auth)
		g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
			if q.URL.Path == "/ask" {
				g.auth.LoginWith(w, q, r)
				return
			}
			app.ServeHTTP(w, q)
		}))
		if page := g.get(origin + "/ask"); page.Status != http.StatusForbidden {
			t.Errorf("got %d at %s", page.Status, page.URL)
		}
	})
	t.Run("another's iss", func(t *testing.T) {
		t.Parallel()
		g := newSilentRig(t, "")
		g.provider.Misbehave(logintest.Faults{Authorization: func(q url.Values) { q.Del("code"); q.Set("error", "login_required"); q.Set("iss", "x") }})
		if page := g.get(origin + "/quietly?to=/public"); page.Status != http.StatusBadRequest {
			t.Errorf("got %d at %s", page.Status, page.URL)
		}
	})
}

// However the provider answers, and with sessions of either kind: nothing is started for
// nobody, and what is there goes on.
func TestASilentLoginStartsNothing(t *testing.T) {
	t.Parallel()
	for _, says := range []string{"login_required", "interaction_required", "consent_required", "account_selection_required"} {
		for how, change := range map[string]func(*core.Config){"by query": func(*core.Config) {}, "by form": byForm} {
			for whose, own := range map[string]bool{"own sessions": true, "sessions": false} {
				t.Run(says+" "+how+", "+whose, func(t *testing.T) {
					t.Parallel()
					var g *rig
					started := func() int { return 0 }
					if own {
						a := newOwnApp(t, change)
						g, started = a.rig, func() int { return a.started }
						g.more = map[string]core.HandlerFunc{"/me": func(w http.ResponseWriter, r *http.Request) error {
							a.handler(a.auth).ServeHTTP(w, r)
							return nil
						}}
					} else {
						g = newRig(t, change)
					}
					g.handle("/quietly", func(w http.ResponseWriter, r *http.Request) error {
						return g.auth.LoginWith(w, r, core.LoginOptions{ReturnTo: r.FormValue("to"), Payload: "p", AuthParams: url.Values{"prompt": {"none"}}})
					})
					nobody := logintest.Faults{Authorization: func(query url.Values) {
						query.Del("code")
						query.Set("error", says)
						query.Set("error_description", "nobody is here")
					}}
					g.provider.Misbehave(nobody)
					page := g.get(origin + "/quietly?to=/public")
					if page.URL != origin+"/public" || string(page.Body) != "public" || g.logins.Load() != 0 || started() != 0 || g.provider.Count(logintest.Token) != 0 {
						t.Fatalf("got %d at %s: %s", page.Status, page.URL, page.Body)
					}
					if len(g.cookiesNamed("__Host-pixy-session"))+len(g.cookiesNamed(ownCookie))+len(g.cookiesNamed("__Host-pixy-login-")) != 0 || g.log.String() != "" {
						t.Errorf("cookies %v, logged %s", g.cookiesNamed(""), g.log.String())
					}
					g.provider.Misbehave(logintest.Faults{})
					if page := g.get(origin + "/quietly?to=/me"); string(page.Body) != "I am ada" {
						t.Fatalf("a user whom the provider knows: got %d: %s", page.Status, page.Body)
					}
					logins, starts := g.logins.Load(), started()
					g.provider.Misbehave(nobody)
					if page := g.get(origin + "/quietly?to=/me"); string(page.Body) != "I am ada" || g.logins.Load() != logins || started() != starts {
						t.Errorf("the session does not go on: got %d: %s", page.Status, page.Body)
					}
				})
			}
		}
	}
}

// A step-up that may ask nobody, and cannot, leaves the login as it is. The page's guard
// asks the user then.
func TestASilentStepUpWithoutAUser(t *testing.T) {
	t.Parallel()
	v := newVault(t, golden)
	v.login()
	v.handle("/quietly", func(w http.ResponseWriter, r *http.Request) error {
		return v.auth.LoginWith(w, r, core.LoginOptions{ReturnTo: "/public", Require: golden, AuthParams: url.Values{"prompt": {"none"}}})
	})
	v.provider.Misbehave(logintest.Faults{Authorization: func(query url.Values) {
		query.Del("code")
		query.Set("error", "interaction_required")
	}})
	if page := v.get(origin + "/quietly"); page.URL != origin+"/public" || v.whoAmI() != "I am ada" {
		t.Errorf("got %d at %s", page.Status, page.URL)
	}
	if got := v.asked(origin + "/vault"); got.Get("acr_values") != "platinum gold" || got.Get("prompt") == "none" {
		t.Errorf("the guard asks for %v", got)
	}
}

func silently(c *core.Config) { c.Providers[0].Requests.AuthParams = url.Values{"prompt": {"none"}} }

// A guard, or a page, that asks silently again whenever nobody is there.
func TestSilentLoginsDoNotGoInCircles(t *testing.T) {
	t.Parallel()
	t.Run("a guard", func(t *testing.T) {
		t.Parallel()
		g := newSilentRig(t, "login_required", silently)
		for _, from := range []string{"/me", "/auth/login?return_to=/me"} {
			asked := g.provider.Count(logintest.Authorization)
			page, _ := g.travel(origin + from)
			if page.Status != http.StatusForbidden || !strings.Contains(string(page.Body), "provider_refused") {
				t.Errorf("%s: got %d: %s", from, page.Status, page.Body)
			}
			if got := g.provider.Count(logintest.Authorization) - asked; got > 2 {
				t.Errorf("%s: the provider was asked %d times", from, got)
			}
		}
	})
	t.Run("a page", func(t *testing.T) {
		t.Parallel()
		g := newSilentRig(t, "login_required")
		page, _ := g.travel(origin + "/quietly?to=" + url.QueryEscape("/quietly?to=/x"))
		if page.Status != http.StatusOK {
			t.Errorf("a page that leads to another: got %d: %s", page.Status, page.Body)
		}
		app := g.app(g.auth)
		g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				g.auth.LoginWith(w, r, core.LoginOptions{AuthParams: url.Values{"prompt": {"none"}}})
				return
			}
			app.ServeHTTP(w, r)
		}))
		g.log.reset()
		page, _ = g.travel(origin + "/")
		if page.Status != http.StatusUnauthorized || !strings.Contains(string(page.Body), `href="/auth/login"`) || g.log.String() != "" {
			t.Errorf("got %d: %s %s", page.Status, page.Body, g.log.String())
		}
	})
}
