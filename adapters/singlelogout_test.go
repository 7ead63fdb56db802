package adapters_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// Sessions end by back-channel logout, by front-channel logout, and by the application's
// own code. Other users stay logged in.
func TestSessionsEndedFromOutside(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
		s := start(func(c *core.Config) { c.Logout.Revocations = new(core.MemoryRevocations) })
		grace := s.elsewhere(logintest.User{Subject: "grace", SessionID: "hers"})
		who := func(b *logintest.Browser) string {
			t.Helper()
			return string(s.page(b.Get(origin + "/maybe")).Body)
		}
		tell := func(token string, status int) *logintest.Hop {
			t.Helper()
			// The standard library's CrossOriginProtection lets it through.
			app := http.NewCrossOriginProtection().Handler(s.handler)
			answer, err := logintest.PostLogoutToken(t.Context(), logintest.InMemory(map[string]http.Handler{origin: app}), origin+"/auth/backchannel-logout", token)
			if err != nil {
				t.Fatal(err)
			}
			if answer.Status != status || answer.Header.Get("Cache-Control") != "no-store" || len(answer.Header["Set-Cookie"]) != 0 {
				t.Errorf("got %d %v: %s", answer.Status, answer.Header, answer.Body)
			}
			return answer
		}
		for what, end := range map[string]func(user logintest.User){
			"token": func(user logintest.User) {
				if answer := tell(s.provider.LogoutToken("app", user, nil), 200); len(answer.Body) != 0 {
					t.Errorf("answered with %s", answer.Body)
				}
			},
			"frame": func(user logintest.User) {
				query := url.Values{"iss": {issuer}, "sid": {user.SessionID}}
				r := httptest.NewRequest("GET", origin+"/auth/frontchannel-logout?"+query.Encode(), nil)
				page := s.page(s.browser.Do(r))
				if page.Status != 200 || !strings.HasSuffix(page.Header.Get("Content-Security-Policy"), "frame-ancestors "+issuer) || page.Header.Get("X-Frame-Options") != "" {
					t.Errorf("got %d %v: %s", page.Status, page.Header, page.Body)
				}
			},
			"application": func(user logintest.User) {
				if err := s.auth.LogoutEverywhere(t.Context(), issuer, user.Subject); err != nil {
					t.Error(err)
				}
			},
		} {
			user := logintest.User{Subject: "ended-by-" + what, SessionID: "of-" + what}
			s.provider.User = user
			if page := s.page(s.browser.Get(origin + "/private")); page.Status != 200 || string(page.Body) != user.Subject {
				t.Fatalf("before %s: got %d: %s", what, page.Status, page.Body)
			}
			refused := tell(s.provider.LogoutToken("app", user, func(_, claims map[string]any) { claims["nonce"] = "n" }), 400)
			if refused.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(string(refused.Body), `"code":"logout_token_untrusted"`) {
				t.Errorf("refused with %v %s", refused.Header, refused.Body)
			}
			tell("", 400)
			if got := who(s.browser); got != user.Subject {
				t.Fatalf("before %s: %s", what, got)
			}
			ran := s.app.ran.Load()
			end(user)
			if page := s.do("GET", "/private", script); page.Status != 401 || s.app.ran.Load() != ran {
				t.Errorf("after %s: got %d, and the handler ran %d times", what, page.Status, s.app.ran.Load()-ran)
			}
			if who(s.browser) != "anonymous" || who(grace) != "grace" {
				t.Errorf("after %s: %s, %s", what, who(s.browser), who(grace))
			}
		}
		log := s.log.String()
		if got := strings.Count(log, "level=WARN"); got != 6 {
			t.Errorf("%d refusals are logged, want 6:\n%s", got, log)
		}
		if strings.Count(log, "\n") != 8 || strings.Count(log, "outcome=ended") != 2 || strings.Contains(log, "ended-by-") || strings.Contains(log, "of-") {
			t.Errorf("want a line each for the token and for the frame, without sid and sub:\n%s", log)
		}
	})
}

// elsewhere logs user in with another browser.
func (s *stage) elsewhere(user logintest.User) *logintest.Browser {
	s.t.Helper()
	s.provider.User = user
	browser := logintest.NewBrowser()
	browser.Serve(issuer, s.provider)
	browser.Serve(origin, s.handler)
	if page := s.page(browser.Get(origin + "/private")); string(page.Body) != user.Subject {
		s.t.Fatalf("got %d: %s", page.Status, page.Body)
	}
	return browser
}
