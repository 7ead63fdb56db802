package core_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

func TestLogout(t *testing.T) {
	t.Parallel()
	logout := func(g *rig, header http.Header) *logintest.Page {
		g.t.Helper()
		r, err := http.NewRequest("POST", origin+"/auth/logout", nil)
		if err != nil {
			g.t.Fatal(err)
		}
		r.Header = header
		page, err := g.browser.Do(r)
		if err != nil {
			g.t.Fatal(err)
		}
		return page
	}
	ours := func() http.Header { return http.Header{"Sec-Fetch-Site": {"same-origin"}, "Origin": {origin}} }

	t.Run("rule 119: here and at the provider", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.login()
		if page := logout(g, ours()); page.Status != 303 || page.Header.Get("Location") != "/auth/logout" {
			t.Fatalf("got %d to %q", page.Status, page.Header.Get("Location"))
		}
		page := g.visit(origin + "/auth/logout?continue")
		to, err := url.Parse(page.Header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		query := to.Query()
		if page.Status != 303 || !strings.HasPrefix(to.String(), issuer+"/end-session?") {
			t.Fatalf("got %d to %v", page.Status, to)
		}
		if got := query.Get("post_logout_redirect_uri"); got != origin+"/" {
			t.Errorf("post_logout_redirect_uri: got %q", got)
		}
		if strings.Count(query.Get("id_token_hint"), ".") != 2 || query.Get("client_id") != "app" || query.Has("state") {
			t.Errorf("got %v", query)
		}
		if left := g.browser.Cookies(origin + "/auth/logout"); len(left) != 0 {
			t.Errorf("%d cookies are left", len(left))
		}
		if end := g.get(to.String()); end.Status != 200 || end.URL != origin+"/" { // nothing of ours is left in the address bar
			t.Errorf("ends with %d at %s", end.Status, end.URL)
		}
	})

	t.Run("rule 119: logged out before the redirect, whatever comes back", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.login()
		logout(g, ours()) // nobody opens the provider's page
		for _, query := range []string{"", "?state=", "?state=wrong", "?error=access_denied"} {
			if page := g.get(origin + "/" + query); page.Status != 200 || g.whoAmI() != "" {
				t.Errorf("after %q: got %d, and %q is logged in", query, page.Status, g.whoAmI())
			}
		}
	})

	for name, header := range map[string]http.Header{
		"cross-site":               {"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example.test"}},
		"same-site":                {"Sec-Fetch-Site": {"same-site"}, "Origin": {"https://other.example.test"}},
		"older browser, cross":     {"Origin": {"https://evil.example.test"}},
		"older browser, null":      {"Origin": {"null"}},
		"cross-site without words": {"Sec-Fetch-Site": {"cross-site"}},
	} {
		t.Run("rule 109: not for another site, "+name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			g.login()
			page := logout(g, header)
			if page.Status != 403 || !strings.Contains(string(page.Body), "cross_origin_logout") || len(page.Header["Set-Cookie"]) != 0 {
				t.Errorf("got %d: %s", page.Status, page.Body)
			}
			if got := g.whoAmI(); got != "I am ada" {
				t.Errorf("logged out: %q", got)
			}
		})
	}

	t.Run("rule 109: by our own site, behind a proxy that rewrites Host", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.login()
		r, err := http.NewRequest("POST", origin+"/auth/logout", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = "backend:8080"
		r.Header = http.Header{"Origin": {origin}}
		page, err := g.browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if page.Status != 303 || g.whoAmI() != "" {
			t.Errorf("got %d", page.Status)
		}
	})

	t.Run("rule 109: by POST only", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.login()
		for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "post"} {
			r, err := http.NewRequest(method, origin+"/auth/logout?continue", nil)
			if err != nil {
				t.Fatal(err)
			}
			page, err := g.browser.Do(r)
			if err != nil || len(page.Header["Set-Cookie"]) != 0 || strings.HasPrefix(page.Header.Get("Location"), "https:") {
				t.Errorf("%s: got %v, %d, %v", method, err, page.Status, page.Header)
			}
			if allow := page.Header.Get("Allow"); (page.Status == 405) != (allow == "GET, HEAD, POST") || (page.Status == 405) == (method == "GET" || method == "HEAD") {
				t.Errorf("%s: got %d, Allow %q", method, page.Status, allow)
			}
			if g.whoAmI() == "" {
				t.Fatalf("a %s logged out", method)
			}
		}
	})

	t.Run("a stranger costs nothing", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		page := logout(g, ours())
		if page.Status != 303 || page.Header.Get("Location") != "/" || len(page.Header["Set-Cookie"]) != 0 {
			t.Errorf("got %d to %q, %q", page.Status, page.Header.Get("Location"), page.Header["Set-Cookie"])
		}
		if got := len(g.provider.Requests()); got != 0 {
			t.Errorf("%d requests reached the provider", got)
		}
	})

	t.Run("with the provider down", func(t *testing.T) {
		t.Parallel()
		g := newRig(t, func(c *core.Config) { c.Logout.After = "/goodbye" })
		g.login()
		g.browser.Serve(origin, g.app(g.newAuth(func(c *core.Config) { c.Logout.After = "/goodbye" })))
		g.provider.Misbehave(logintest.Faults{Intercept: func(logintest.Endpoint, http.ResponseWriter, *http.Request) bool {
			panic(http.ErrAbortHandler)
		}})
		page := logout(g, ours())
		if page.Status != 303 || page.Header.Get("Location") != "/goodbye" || g.whoAmI() != "" {
			t.Errorf("got %d to %q", page.Status, page.Header.Get("Location"))
		}
	})

	t.Run("at a provider that has no place for it", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.provider.Misbehave(logintest.Faults{Discovery: func(m map[string]any) { delete(m, "end_session_endpoint") }})
		g.login()
		if page := logout(g, ours()); page.Header.Get("Location") != "/" || g.whoAmI() != "" {
			t.Errorf("got %d to %q", page.Status, page.Header.Get("Location"))
		}
	})

	t.Run("with an ID token too large to keep", func(t *testing.T) {
		t.Parallel()
		g := newRig(t, func(c *core.Config) { c.Sessions.Claims = []string{} })
		g.provider.User = logintest.User{Subject: "ada", Claims: map[string]any{"groups": strings.Repeat("g", 6000)}}
		g.login()
		logout(g, ours())
		page := g.visit(origin + "/auth/logout?continue")
		if !strings.Contains(page.Header.Get("Location"), "client_id=app") || strings.Contains(page.Header.Get("Location"), "id_token_hint") {
			t.Errorf("got %q", page.Header.Get("Location"))
		}
	})
}

// Some providers call where the browser goes by a name of their own.
func TestLogoutByAnotherParameter(t *testing.T) {
	t.Parallel()
	g := newRig(t, func(c *core.Config) { c.Providers[0].Requests.LogoutRedirectParam = "logout_uri" })
	g.login()
	out, err := g.browser.Post(origin+"/auth/logout", nil)
	if err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(out.Hops[2].Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	if got := to.Query(); got.Get("logout_uri") != origin+"/" || got.Has("post_logout_redirect_uri") || got.Get("client_id") != "app" {
		t.Errorf("leads to %s", to)
	}
}
