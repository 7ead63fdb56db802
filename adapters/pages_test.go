package adapters_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

func inGerman(c *core.Config) {
	c.Pages.AppName = "Bücherei"
	c.Pages.Language = func(*http.Request) (string, map[string]string) {
		return "de", map[string]string{
			"Log in with": "Anmelden mit", "Home": "Startseite", "Please log in to continue.": "Bitte melden Sie sich an, um fortzufahren.",
			"This login was not started by opening a page. Please open the login page.": "Bitte öffnen Sie die Anmeldeseite.",
		}
	}
}

// The guard leads anonymous users to the application's own page, whose links begin the
// login. A login that does not last ends on an error page, and a guard in front of the
// page at once.
func TestOwnSignInPage(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
		s := start(inGerman, func(c *core.Config) { c.Pages.SignInPath = "/maybe" })
		for _, path := range []string{"/private?tab=1", "/vault?tab=1"} {
			page := s.page(s.browser.Get(origin + path))
			if page.URL != origin+"/maybe?return_to="+url.QueryEscape(path) || string(page.Body) != "anonymous" {
				t.Errorf("%s: got %d at %s: %s", path, page.Status, page.URL, page.Body)
			}
		}
		denied := s.do("GET", "/private", script)
		if denied.Status != 401 || denied.Header.Get("Content-Language") != "de" ||
			!strings.Contains(string(denied.Body), `"login_url":"/maybe"`) || !strings.Contains(string(denied.Body), `"detail":"Bitte melden Sie sich an, um fortzufahren."`) {
			t.Errorf("a script gets %d, %v: %s", denied.Status, denied.Header, denied.Body)
		}
		if s.provider.Count(logintest.Authorization) != 0 || s.app.ran.Load()+s.app.opened.Load() != 0 {
			t.Fatal("a login began, or a private handler ran")
		}
		if page := s.page(s.browser.Get(origin + "/auth/login?return_to=" + url.QueryEscape("/private?tab=1"))); string(page.Body) != "ada" || page.URL != origin+"/private?tab=1" {
			t.Errorf("the page's link ends with %d at %s: %s", page.Status, page.URL, page.Body)
		}
		if page := s.page(s.browser.Get(origin + "/auth/login?return_to=/maybe")); page.URL != origin+"/" {
			t.Errorf("a login for the page ends at %s", page.URL)
		}

		lost := start(func(c *core.Config) { c.Pages.SignInPath = "/signin" })
		lost.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/signin" { // begins the login by itself
				http.Redirect(w, r, "/auth/login?return_to="+url.QueryEscape(r.FormValue("return_to")), http.StatusSeeOther)
				return
			}
			lost.handler.ServeHTTP(&dropsSession{w}, r)
		}))
		page := lost.page(lost.browser.Get(origin + "/private"))
		if page.Status != 500 || !strings.Contains(string(page.Body), "<code>session_lost</code>") || lost.provider.Count(logintest.Authorization) != 2 || lost.app.ran.Load() != 0 {
			t.Errorf("a lost session: got %d at %s after %d logins: %s", page.Status, page.URL, lost.provider.Count(logintest.Authorization), page.Body)
		}

		guarded := start(func(c *core.Config) { c.Pages.SignInPath = "/private" })
		page = guarded.page(guarded.browser.Get(origin + "/vault"))
		if page.Status != 500 || page.URL != origin+"/private?return_to=%2Fvault" || !strings.Contains(string(page.Body), "login_guarded") || guarded.app.ran.Load()+guarded.app.opened.Load() != 0 {
			t.Errorf("a guarded page: got %d at %s: %s", page.Status, page.URL, page.Body)
		}
	})
}

// Pages show labels and the application's name, in the user's language.
func TestLabelsAndLanguages(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
		s := start(inGerman, func(c *core.Config) {
			c.Providers = append(c.Providers, core.Provider{Name: "work", Label: "Müller & Söhne GmbH", Issuer: "https://work.example.test", ClientID: "app"})
		})
		chooser := s.page(s.browser.Get(origin + "/private"))
		for _, want := range []string{
			`<html lang="de">`, "<title>Anmelden mit · Bücherei</title>", "<bdi>Bücherei</bdi>", "<h1>Anmelden mit</h1>",
			`href="/auth/login?provider=work&amp;return_to=%2Fprivate">Müller &amp; Söhne GmbH</a>`, `>id.example.test</a>`, `>Startseite</a>`,
		} {
			if !strings.Contains(string(chooser.Body), want) {
				t.Errorf("the page to choose lacks %s:\n%s", want, chooser.Body)
			}
		}
		refused := s.do("GET", "/auth/login", script)
		if refused.Status != 403 || !strings.Contains(string(refused.Body), "Bitte öffnen Sie die Anmeldeseite.") {
			t.Errorf("a script gets %d: %s", refused.Status, refused.Body)
		}
	})
	for name, build := range frameworks {
		t.Run(name+", an error handler", func(t *testing.T) {
			t.Parallel()
			var got error
			s := newStage(t, &app{own: func(err error) { got = err }}, build, inGerman, func(c *core.Config) { c.Pages.SignInPath = "/maybe" })
			s.do("GET", "/private", script)
			if failure := new(core.Error); !errors.As(got, &failure) || failure.Public != "Please log in to continue." || failure.LoginURL() != "/maybe" {
				t.Errorf("got %v", got)
			}
		})
	}
}
