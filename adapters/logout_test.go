package adapters_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A logout by each kind of client ends the session here and at the provider, and ends on
// our page. Nobody is logged in again.
func TestLogoutByEachClient(t *testing.T) {
	t.Parallel()
	fetch := http.Header{"Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"}, "Sec-Fetch-Site": {"same-origin"}}
	const onward = "/auth/logout?continue"
	everywhere(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
		for name, client := range map[string]struct {
			field, value string
			status       int
			to           string
		}{
			"form":  {"Sec-Fetch-Mode", "navigate", 303, "/auth/logout"},
			"Turbo": {"X-Turbo-Request-Id", "1", 303, "/auth/logout"},
			"htmx":  {"Hx-Request", "true", 200, onward},
			"fetch": {"Accept", "application/json", 200, onward},
		} {
			s := start(func(c *core.Config) { c.Logout.After = "" })
			s.page(s.browser.Get(origin + "/private"))
			header := fetch.Clone()
			header.Set(client.field, client.value)
			page := s.do("POST", "/auth/logout", header)
			to := page.Header.Get("Location") + page.Header.Get("HX-Redirect")
			if name == "fetch" && string(page.Body) == `{"logout_url":"`+onward+"\"}\n" {
				to = onward
			}
			if page.Status != client.status || to != client.to {
				t.Fatalf("%s: got %d to %q: %s", name, page.Status, to, page.Body)
			}
			if page := s.do("GET", "/private", script); page.Status != 401 || s.provider.Count(logintest.EndSession) != 0 {
				t.Errorf("%s: after it: %d", name, page.Status)
			}
			end := s.page(s.browser.Get(origin + to))
			if end.URL != origin+"/auth/logout" || !strings.Contains(string(end.Body), "You are logged out") || s.provider.Count(logintest.EndSession) != 1 {
				t.Errorf("%s: ends with %d at %s: %s", name, end.Status, end.URL, end.Body)
			}
			if left := s.browser.Cookies(origin + "/auth/logout"); len(left) != 0 {
				t.Errorf("%s: leaves %v", name, left)
			}
		}
	})
}

// The page of the logout asks a user, and ends nothing.
func TestLogoutPage(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
		s := start()
		if page := s.page(s.browser.Get(origin + "/auth/logout")); !strings.Contains(string(page.Body), "You are logged out") {
			t.Errorf("got %d: %s", page.Status, page.Body)
		}
		s.page(s.browser.Get(origin + "/private"))
		page := s.page(s.browser.Get(origin + "/auth/logout?continue"))
		if page.URL != origin+"/auth/logout" || !strings.Contains(string(page.Body), `<form method="post" action="/auth/logout">`) || page.Header.Get("Referrer-Policy") != "same-origin" {
			t.Errorf("got %d at %s, %v: %s", page.Status, page.URL, page.Header, page.Body)
		}
		if page := s.do("GET", "/private", script); page.Status != 200 || s.provider.Count(logintest.EndSession) != 0 {
			t.Errorf("after it: %d", page.Status)
		}
	})
}

// Turbo, and boosted links of htmx, load a guarded page in full.
func TestGuardWithTurboAndHTMX(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
		s := start()
		for _, path := range []string{"/private?tab=1", "/auth/login?return_to=/private"} {
			turbo := s.do("GET", path, http.Header{"Sec-Fetch-Mode": {"cors"}, "X-Turbo-Request-Id": {"1"}, "Accept": {"text/html"}})
			if turbo.Status != 200 || !strings.Contains(string(turbo.Body), `<meta name="turbo-visit-control" content="reload">`) {
				t.Errorf("Turbo: %s gets %d: %s", path, turbo.Status, turbo.Body)
			}
			htmx := s.do("GET", path, http.Header{"Sec-Fetch-Mode": {"cors"}, "Hx-Request": {"true"}, "Hx-Boosted": {"true"}})
			if htmx.Status != 200 || htmx.Header.Get("HX-Redirect") != path || len(htmx.Body) != 0 {
				t.Errorf("htmx: %s gets %d, %v: %s", path, htmx.Status, htmx.Header, htmx.Body)
			}
		}
		if ran := s.app.ran.Load(); ran != 0 || len(s.browser.Cookies(origin+"/auth/logout")) != 0 {
			t.Errorf("the handler ran %d times; cookies are %v", ran, s.browser.Cookies(origin+"/auth/logout"))
		}
	})
}
