package adapters_test

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// noUser lets the provider answer each login with an error.
func (s *stage) noUser(says string) {
	s.provider.Misbehave(logintest.Faults{Authorization: func(query url.Values) {
		query.Del("code")
		query.Set("error", says)
	}})
}

// quietly adds a route that logs in without asking, and comes back to itself if no other
// page is given.
func (s *stage) quietly() {
	app := s.handler
	s.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/quietly" {
			app.ServeHTTP(w, r)
			return
		}
		options := core.LoginOptions{ReturnTo: cmp.Or(r.FormValue("to"), "/quietly"), AuthParams: url.Values{"prompt": {"none"}}}
		if err := s.auth.LoginWith(w, r, options); err != nil {
			s.auth.ServeError(w, r, err)
		}
	}))
}

func byForm(c *core.Config) { c.Providers[0].Requests.FormPost = true }

// A login that may ask nobody finds the user, or goes on as before.
func TestSilentLogins(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
		for _, says := range []string{"login_required", "interaction_required", "consent_required", "account_selection_required"} {
			for how, change := range map[string]func(*core.Config){"by query": func(*core.Config) {}, "by form": byForm} {
				s := start(change)
				s.quietly()
				s.noUser(says)
				if page := s.page(s.browser.Get(origin + "/quietly?to=/maybe?x")); string(page.Body) != "anonymous" || page.URL != origin+"/maybe?x" || setsSession(page) {
					t.Errorf("%s, %s: got %d at %s: %s", says, how, page.Status, page.URL, page.Body)
				}
				if s.provider.Count(logintest.Token) != 0 || s.log.Len() != 0 {
					t.Errorf("%s, %s: the code was sent, or logged %s", says, how, s.log.String())
				}
				s.provider.Misbehave(logintest.Faults{})
				if page := s.page(s.browser.Get(origin + "/quietly?to=/maybe")); string(page.Body) != "ada" {
					t.Errorf("%s: a user whom the provider knows: got %d: %s", how, page.Status, page.Body)
				}
				s.noUser(says)
				if page := s.page(s.browser.Get(origin + "/quietly?to=/private")); string(page.Body) != "ada" {
					t.Errorf("%s, %s: the session does not go on: %d %s", says, how, page.Status, page.Body)
				}
			}
		}
		s := start()
		s.quietly()
		s.noUser("access_denied")
		if page := s.page(s.browser.Get(origin + "/quietly?to=/maybe")); page.Status != 403 {
			t.Errorf("another error: got %d: %s", page.Status, page.Body)
		}
	})
}

// A page that asks silently again and again ends with a page that asks the user.
func TestSilentLoginsEnd(t *testing.T) {
	t.Parallel()
	ends := func(s *stage) {
		t.Helper()
		s.quietly()
		s.noUser("login_required")
		page := s.page(s.browser.Visit(origin + "/quietly"))
		for hops := 0; page.Header.Get("Location") != ""; hops++ {
			if hops > 40 {
				s.t.Fatal("the browser goes in circles")
			}
			to, err := url.Parse(page.URL)
			if err == nil {
				to, err = to.Parse(page.Header.Get("Location"))
			}
			if err != nil {
				s.t.Fatal(err)
			}
			page = s.page(s.browser.Visit(to.String()))
		}
		if page.Status != 401 || !strings.Contains(string(page.Body), `href="/auth/login?return_to=%2Fquietly"`) {
			s.t.Errorf("got %d: %s", page.Status, page.Body)
		}
	}
	everywhere(t, func(_ *testing.T, start func(...func(*core.Config)) *stage) { ends(start()) })
	t.Run("own sessions", func(t *testing.T) {
		everywhereOwn(t, func(_ *testing.T, start func(...func(*core.Config)) *ownStage) { ends(start().stage) })
	})
}

// Sessions of the application's own are not started for nobody, and not ended.
func TestSilentLoginsOfOwnSessions(t *testing.T) {
	t.Parallel()
	everywhereOwn(t, func(t *testing.T, start func(...func(*core.Config)) *ownStage) {
		for _, change := range []func(*core.Config){func(*core.Config) {}, byForm} {
			s := start(change)
			s.quietly()
			s.noUser("login_required")
			if page := s.page(s.browser.Get(origin + "/quietly?to=/maybe")); string(page.Body) != "home " || s.own.started != 0 {
				t.Errorf("got %d: %s, and Start was called %d times", page.Status, page.Body, s.own.started)
			}
			s.provider.Misbehave(logintest.Faults{})
			if page := s.page(s.browser.Get(origin + "/quietly?to=/maybe")); string(page.Body) != "home ada" || s.own.started != 1 {
				t.Errorf("got %d: %s, and Start was called %d times", page.Status, page.Body, s.own.started)
			}
			s.noUser("login_required")
			if page := s.page(s.browser.Get(origin + "/quietly?to=/maybe")); string(page.Body) != "home ada" || s.own.started != 1 {
				t.Errorf("the session does not go on: %s, and Start was called %d times", page.Body, s.own.started)
			}
		}
	})
}
