package adapters_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// auditors lets users with a role pass, and panics for one of them.
var auditors = core.Requirement{Allow: func(u *core.User) bool {
	if u.Has("roles", "trouble") {
		panic("no such table")
	}
	return u.Has("roles", "auditor")
}}

func withRoles(roles ...string) logintest.User {
	return logintest.User{Subject: "ada", Claims: map[string]any{"roles": roles}}
}

// A user without the role stays outside, is told so in the form that the client
// understands, and stays logged in.
func TestRoles(t *testing.T) {
	t.Parallel()
	for name, build := range frameworks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for role, passes := range map[string]bool{"auditor": true, "user": false, "trouble": false} {
				s := newStage(t, &app{need: &auditors}, build)
				s.provider.User = withRoles("employee", role)
				begun := s.page(s.browser.Visit(origin + "/vault"))
				if to := begun.Header.Get("Location"); !strings.HasPrefix(to, issuer) || strings.Contains(to, "max_age") || strings.Contains(to, "acr_values") || strings.Contains(to, "prompt") {
					t.Errorf("an anonymous request is sent to %s", to)
				}
				page := s.page(s.browser.Get(origin + "/vault"))
				answer := s.do("POST", "/vault", script)
				if passes {
					if page.Status != 200 || answer.Status != 200 || string(page.Body) != "ada" || s.app.opened.Load() != 2 {
						t.Errorf("%s: got %d and %d: %s", role, page.Status, answer.Status, page.Body)
					}
					continue
				}
				if page.Status != 403 || page.URL != origin+"/vault" || !strings.Contains(string(page.Body), "not_allowed") || setsSession(page) {
					t.Errorf("%s: got %d at %s: %s", role, page.Status, page.URL, page.Body)
				}
				var problem map[string]any
				if err := json.Unmarshal(answer.Body, &problem); err != nil || answer.Status != 403 || problem["code"] != "not_allowed" || problem["login_url"] != nil {
					t.Errorf("%s: a script gets %d: %s", role, answer.Status, answer.Body)
				}
				if got := s.app.opened.Load(); got != 0 {
					t.Errorf("%s: the handler ran %d times", role, got)
				}
				if log := s.log.String(); strings.Count(log, "code=not_allowed") != 2 || strings.Contains(log, "no such table") != (role == "trouble") {
					t.Errorf("%s: logged %s", role, log)
				}
				if again := s.page(s.browser.Get(origin + "/private")); string(again.Body) != "ada" || s.provider.Count(logintest.Authorization) != 1 {
					t.Errorf("%s: the session does not go on: %d %s", role, again.Status, again.Body)
				}
			}
		})
	}
}

func setsSession(page *logintest.Page) bool {
	return strings.Contains(strings.Join(page.Header["Set-Cookie"], "\n"), "pixy-session=")
}

// The framework's error handler gets the error, with the public text.
func TestRolesInTheFrameworksOwnErrors(t *testing.T) {
	t.Parallel()
	for name, build := range frameworks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got error
			s := newStage(t, &app{need: &auditors, own: func(err error) { got = err }}, build)
			s.provider.User = withRoles("trouble")
			page := s.page(s.browser.Get(origin + "/vault"))
			failure := new(core.Error)
			if page.Status != http.StatusTeapot || s.app.opened.Load() != 0 || !errors.As(got, &failure) || failure.Code != "not_allowed" || failure.Status != 403 {
				t.Fatalf("got %d, %v", page.Status, got)
			}
			if strings.Contains(got.Error(), "no such table") || !strings.Contains(got.Error(), "your account may not open this page") {
				t.Errorf("the text is %q", got)
			}
		})
	}
}

// A test's user passes the guards by the claims that it has.
func TestRolesOfATestsUser(t *testing.T) {
	t.Parallel()
	for name, build := range frameworks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for role, want := range map[string]int{"auditor": 200, "user": 403, "trouble": 403} {
				s := newStage(t, &app{need: &auditors}, build)
				w := httptest.NewRecorder()
				logintest.SignedIn(s.handler, withRoles(role)).ServeHTTP(w, httptest.NewRequest("GET", origin+"/vault", nil))
				if w.Code != want || (s.app.opened.Load() == 1) != (want == 200) {
					t.Errorf("%s: got %d: %s", role, w.Code, w.Body)
				}
			}
		})
	}
}

// A handler learns when its session ends, and how its user authenticated.
func TestSessions(t *testing.T) {
	t.Parallel()
	for name, build := range frameworks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s *stage
			var got *core.Session
			a := &app{need: &core.Requirement{}, seen: func(r *http.Request) { got = s.auth.Session(r) }}
			decides := &onLogin{decide: func(login *core.Login) { login.Lifetime = time.Hour }}
			s = newStage(t, a, build, decides.set, func(c *core.Config) { c.Sessions.Idle = 2 * time.Hour })
			at := time.Now().Add(-10 * time.Minute).Truncate(time.Second)
			s.provider.User = logintest.User{Subject: "ada", AuthTime: at, ACR: []string{"gold"}}
			s.page(s.browser.Get(origin + "/vault"))
			if got == nil || time.Since(got.Began) > time.Minute || time.Until(got.Ends) > time.Hour || time.Until(got.Ends) < 59*time.Minute ||
				!got.AuthTime.Equal(at) || got.ACR != "gold" {
				t.Errorf("got %+v", got)
			}
		})
	}
}
