package core_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

var (
	byPage  = http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}, "Sec-Fetch-Site": {"same-origin"}, "Accept": {"text/html,*/*"}}
	byTurbo = http.Header{"Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"}, "Sec-Fetch-Site": {"same-origin"}, "X-Turbo-Request-Id": {"1"}, "Accept": {"text/vnd.turbo-stream.html, text/html, application/xhtml+xml"}}
	byHTMX  = http.Header{"Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"}, "Sec-Fetch-Site": {"same-origin"}, "Hx-Request": {"true"}, "Accept": {"*/*"}}
	byFetch = http.Header{"Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"}, "Sec-Fetch-Site": {"same-origin"}, "Accept": {"application/json"}}
)

// with returns header with one more field.
func with(header http.Header, name, value string) http.Header {
	header = header.Clone()
	header.Set(name, value)
	return header
}

// ask is one request with a header.
func (g *rig) ask(method, path string, header http.Header) *logintest.Page {
	g.t.Helper()
	r, err := http.NewRequest(method, origin+path, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header = header.Clone()
	page, err := g.browser.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	return page
}

func endingAtOurPage(c *core.Config) { c.Logout.After = "" }

// What a POST answers, and where the logout ends.
func TestLogoutAnswers(t *testing.T) {
	t.Parallel()
	atOurPage, local := endingAtOurPage, func(c *core.Config) { c.Logout.Local = true }
	unchanged := func(*core.Config) {}
	noEndpoint := logintest.Faults{Discovery: func(m map[string]any) { delete(m, "end_session_endpoint") }}
	const onward = "/auth/logout?continue"
	for _, test := range []struct {
		name   string
		header http.Header
		change func(*core.Config)
		faults logintest.Faults
		status int
		to     string // Location, HX-Redirect or logout_url
	}{
		{name: "form", header: byPage, status: 303, to: "/auth/logout"},
		{name: "Turbo", header: byTurbo, status: 303, to: "/auth/logout"},
		{name: "fetch of anything", header: with(byFetch, "Accept", "*/*"), status: 303, to: "/auth/logout"},
		{name: "fetch of JSON or HTML", header: with(byFetch, "Accept", "application/json, text/html"), status: 303, to: "/auth/logout"},
		{name: "fetch of JSON", header: byFetch, status: 200, to: onward},
		{name: "axios", header: with(byFetch, "Accept", "application/json, text/plain, */*"), status: 200, to: onward},
		{name: "htmx", header: byHTMX, status: 200, to: onward},
		{name: "htmx 4", header: with(byHTMX, "Accept", "text/html"), status: 200, to: onward},
		{name: "form, ends at our page", header: byPage, change: atOurPage, status: 303, to: "/auth/logout"},
		{name: "form, no logout there", header: byPage, faults: noEndpoint, status: 303, to: "/"},
		{name: "fetch, no logout there", header: byFetch, faults: noEndpoint, status: 200, to: "/"},
		{name: "htmx, no logout there", header: byHTMX, faults: noEndpoint, status: 200, to: "/"},
		{name: "form, no logout there, our page", header: byPage, change: atOurPage, faults: noEndpoint, status: 303, to: "/auth/logout"},
		{name: "fetch, no logout there, our page", header: byFetch, change: atOurPage, faults: noEndpoint, status: 200, to: "/auth/logout"},
		{name: "htmx, no logout there, our page", header: byHTMX, change: atOurPage, faults: noEndpoint, status: 200, to: "/auth/logout"},
		{name: "form, local", header: byPage, change: local, status: 303, to: "/"},
		{name: "fetch, local", header: byFetch, change: local, status: 200, to: "/"},
		{name: "htmx, local", header: byHTMX, change: local, status: 200, to: "/"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.change == nil {
				test.change = unchanged
			}
			everyVault(t, func(t *testing.T, vault func(*core.Config)) {
				g := newRig(t, vault, test.change)
				g.provider.Misbehave(test.faults)
				g.login()
				page := g.ask("POST", "/auth/logout", test.header)
				got := page.Header.Get("Location") + page.Header.Get("HX-Redirect")
				if page.Header.Get("Content-Type") == "application/json" {
					got = strings.TrimSuffix(strings.TrimPrefix(string(page.Body), `{"logout_url":"`), "\"}\n")
				}
				if page.Status != test.status || got != test.to || page.Header.Get("Cache-Control") != "no-store" {
					t.Fatalf("got %d to %q, %v", page.Status, got, page.Header)
				}
				if g.whoAmI() != "" || strings.Contains(string(page.Body), "eyJ") {
					t.Errorf("%q is logged in, and got %s", g.whoAmI(), page.Body)
				}
				end := g.get(origin + got) // as a browser does
				there, want := 1, "/"
				if strings.Contains(test.name, "no logout there") || strings.Contains(test.name, "local") {
					there = 0
				}
				if strings.Contains(test.name, "our page") {
					want = "/auth/logout"
				}
				if told := g.provider.Count(logintest.EndSession); told != there {
					t.Errorf("the provider was told %d times", told)
				}
				if end.URL != origin+want || end.Status != 200 {
					t.Errorf("ends with %d at %s", end.Status, end.URL)
				}
				if left := g.cookiesNamed(""); len(left) != 0 {
					t.Errorf("%v are left", left)
				}
			})
		})
	}
}

// The page of the logout, which ends nothing.
func TestLogoutPage(t *testing.T) {
	t.Parallel()
	const out, ask = "<h1>You are logged out</h1>", "<h1>Log out?</h1>"
	for _, test := range []struct {
		name   string
		method string
		path   string
		header http.Header
		user   bool
		status int
		holds  string
	}{
		{name: "anonymous", status: 200, holds: out},
		{name: "user", user: true, status: 200, holds: ask},
		{name: "user, by another site's link", header: with(byPage, "Sec-Fetch-Site", "cross-site"), user: true, status: 200, holds: ask},
		{name: "anonymous, with another query", path: "?state=x", status: 200, holds: out},
		{name: "anonymous HEAD", method: "HEAD", status: 200},
		{name: "user, HEAD", method: "HEAD", user: true, status: 200},
		{name: "prefetch", header: with(byPage, "Sec-Purpose", "prefetch"), user: true, status: 503},
		{name: "Turbo's prefetch", header: with(byTurbo, "X-Sec-Purpose", "prefetch"), user: true, status: 503},
		{name: "Turbo", header: byTurbo, user: true, status: 200, holds: `<meta name="turbo-visit-control" content="reload">`},
		{name: "htmx", header: byHTMX, user: true, status: 200},
		{name: "fetch", header: byFetch, user: true, status: 200, holds: ask},
		{name: "anonymous, onward", path: "?continue", status: 303},
		{name: "user, onward", path: "?continue", user: true, status: 303},
		{name: "user, onward by fetch", path: "?continue", header: byFetch, user: true, status: 200, holds: ask},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			if test.user {
				g.login()
			}
			method, header := "GET", byPage
			if test.method != "" {
				method = test.method
			}
			if test.header != nil {
				header = test.header
			}
			page := g.ask(method, "/auth/logout"+test.path, header)
			body := string(page.Body)
			if page.Status != test.status || !strings.Contains(body, test.holds) || strings.Contains(body, "eyJ") {
				t.Fatalf("got %d: %s", page.Status, body)
			}
			if got := page.Header.Get("Location"); test.status == 303 && got != "/auth/logout" {
				t.Errorf("leads to %q", got)
			}
			if got := page.Header.Get("HX-Redirect"); test.name == "htmx" && got != "/auth/logout" {
				t.Errorf("htmx loads %q", got)
			}
			if len(page.Header["Set-Cookie"]) != 0 || (g.whoAmI() != "") != test.user || g.provider.Count(logintest.EndSession) != 0 {
				t.Errorf("sets %v, and %q is logged in", page.Header["Set-Cookie"], g.whoAmI())
			}
			policy, form := page.Header.Get("Content-Security-Policy"), test.holds == ask || test.name == "user, HEAD"
			if strings.Contains(policy, "form-action 'self'") != form || form != (page.Header.Get("Referrer-Policy") == "same-origin") || page.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("sent %v", page.Header)
			}
			if test.holds == ask && !strings.Contains(body, `<form method="post" action="/auth/logout">`) || test.holds == out && !strings.Contains(body, `href="/auth/login">Log in<`) {
				t.Errorf("got %s", body)
			}
		})
	}
	t.Run("sessions that cannot be checked", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.login()
		g.browser.Serve(origin, g.app(g.newAuth(func(c *core.Config) { c.Logout.Revocations = brokenRevocations{} })))
		if page := g.ask("GET", "/auth/logout", byPage); page.Status != 503 {
			t.Errorf("got %d: %s", page.Status, page.Body)
		}
	})
}

// Only the browser that has just logged out is led to the provider, once.
func TestLogoutLeadsOn(t *testing.T) {
	t.Parallel()
	const away, here, shown = "away", "here", "shown"
	for _, test := range []struct {
		name     string
		header   http.Header
		method   string
		spoil    func(g *rig)
		leads    string
		hintless bool
	}{
		{name: "rule 119: at once", leads: away},
		{name: "rule 119: by another site's link", header: with(byPage, "Sec-Fetch-Site", "cross-site"), leads: away},
		{name: "rule 119: a browser without Fetch Metadata", header: http.Header{"Accept": {"text/html"}}, leads: away},
		{name: "rule 119: almost too late", spoil: func(g *rig) { g.advance(5*time.Minute - time.Second) }, leads: away},
		{name: "rule 119: too late", spoil: func(g *rig) { g.advance(5*time.Minute + time.Second) }, leads: here},
		{name: "rule 119: a clock that is behind", spoil: func(g *rig) { g.advance(-5*time.Minute - time.Second) }, leads: here},
		{name: "rule 119: without the cookie", spoil: func(g *rig) { g.browser.Forget(origin, "__Host-pixy-leaving") }, leads: here},
		{name: "rule 119: a changed cookie", spoil: func(g *rig) { g.spoilDeparture(func(v string) string { return v[:len(v)-2] + "AA" }) }, leads: here},
		{name: "rule 119: another cookie of ours", spoil: func(g *rig) {
			g.spoilDeparture(func(string) string { return g.cookiesNamed("__Secure-pixy-logout")[0].Value })
		}, leads: here},
		{name: "rule 119: after another login", spoil: func(g *rig) { g.login() }, leads: here},
		{name: "rule 119: after another logout that ends here", spoil: func(g *rig) {
			g.provider.Misbehave(logintest.Faults{Discovery: func(m map[string]any) { delete(m, "end_session_endpoint") }})
			g.browser.Serve(origin, g.app(g.newAuth()))
			g.ask("POST", "/auth/logout", byPage)
		}, leads: here},
		{name: "rule 119: without the hint", spoil: func(g *rig) { g.browser.Forget(origin+"/auth/logout", "__Secure-pixy-logout") }, leads: away, hintless: true},
		{name: "rule 119: a provider that is not configured any more", spoil: func(g *rig) {
			g.browser.Serve(origin, g.app(g.newAuth(func(c *core.Config) { c.Providers[0].ClientID = "other" })))
		}, leads: here},
		{name: "rule 119: by a script", header: byFetch, leads: shown},
		{name: "rule 119: by Turbo", header: byTurbo, leads: shown},
		{name: "rule 119: by htmx", header: byHTMX, leads: shown},
		{name: "rule 119: in a frame", header: with(byPage, "Sec-Fetch-Dest", "iframe"), leads: shown},
		{name: "rule 119: by a prefetch", header: with(byPage, "Sec-Purpose", "prefetch;prerender"), leads: shown},
		{name: "rule 119: by HEAD", method: "HEAD", leads: shown},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			g.login()
			g.ask("POST", "/auth/logout", byPage)
			page := g.ask("GET", "/auth/logout", byPage)
			if body := string(page.Body); !strings.Contains(body, `content="0;url=/auth/logout?continue"`) || strings.Contains(body, "eyJ") || len(page.Header["Set-Cookie"]) != 0 {
				t.Fatalf("got %d: %s", page.Status, body)
			}
			if test.spoil != nil {
				test.spoil(g)
			}
			method, header := "GET", byPage
			if test.method != "" {
				method = test.method
			}
			if test.header != nil {
				header = test.header
			}
			page = g.ask(method, "/auth/logout?continue", header)
			to := page.Header.Get("Location")
			switch test.leads {
			case away:
				if !strings.HasPrefix(to, issuer+"/end-session?") || strings.Contains(to, "id_token_hint=") == test.hintless || len(g.cookiesNamed("")) != 0 {
					t.Errorf("leads to %q, and leaves %v", to, g.cookiesNamed(""))
				}
				if to := g.ask(method, "/auth/logout?continue", header).Header.Get("Location"); to != "/auth/logout" {
					t.Errorf("leads to %q once more", to)
				}
			case here:
				if page.Status != 303 || to != "/auth/logout" {
					t.Errorf("got %d to %q", page.Status, to)
				}
			case shown:
				if to != "" || strings.Contains(string(page.Body), "eyJ") || len(page.Header["Set-Cookie"]) != 0 {
					t.Errorf("got %d to %q, %v", page.Status, to, page.Header)
				}
				if to := g.ask("GET", "/auth/logout?continue", byPage).Header.Get("Location"); !strings.HasPrefix(to, issuer) {
					t.Errorf("then leads to %q", to)
				}
			}
		})
	}

	t.Run("rule 119: the provider's redirect leads nowhere, even if the cookie stays", func(t *testing.T) {
		t.Parallel()
		g := newRig(t, endingAtOurPage)
		g.login()
		g.ask("POST", "/auth/logout", byPage)
		page := g.ask("GET", "/auth/logout", with(byPage, "Sec-Fetch-Site", "cross-site"))
		if !strings.Contains(string(page.Body), "You are logged out") || strings.Contains(string(page.Body), "continue") {
			t.Errorf("got %s", page.Body)
		}
	})
	t.Run("rule 119: the hint of another login, set by another host", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.provider.User = logintest.User{Subject: "mallory"}
		g.login()
		planted := g.cookiesNamed("__Secure-pixy-logout")[0]
		g.browser.Forget("", "")
		g.provider.User = logintest.User{Subject: "ada"}
		g.login()
		g.ask("POST", "/auth/logout", byPage)
		g.browser.SetCookie(origin, &http.Cookie{Name: planted.Name, Value: planted.Value, Path: "/auth/logout", Secure: true})
		to := g.ask("GET", "/auth/logout?continue", byPage).Header.Get("Location")
		if !strings.HasPrefix(to, issuer+"/end-session?") || strings.Contains(to, "id_token_hint") {
			t.Errorf("leads to %q", to)
		}
	})
	t.Run("nothing of the login lasts longer than the way to the provider", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.login()
		page := g.ask("POST", "/auth/logout", byPage)
		lasting := 0
		for _, c := range (&http.Response{Header: page.Header}).Cookies() {
			if c.MaxAge > 0 {
				lasting++
			}
			if c.MaxAge > 300 {
				t.Errorf("%s lasts %d seconds", c.Name, c.MaxAge)
			}
		}
		if left := len(g.cookiesNamed("")); left != 3 || lasting != 3 {
			t.Errorf("%d cookies are left, and %d were set", left, lasting)
		}
	})
	t.Run("a provider that is down by then", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.login()
		g.ask("POST", "/auth/logout", byPage)
		g.provider.Misbehave(logintest.Faults{Intercept: func(logintest.Endpoint, http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }})
		g.browser.Serve(origin, g.app(g.newAuth())) // knows no metadata
		if page := g.ask("GET", "/auth/logout?continue", byPage); page.Status != 303 || page.Header.Get("Location") != "/" || len(g.cookiesNamed("")) != 0 {
			t.Errorf("got %d to %q, and %v", page.Status, page.Header.Get("Location"), g.cookiesNamed(""))
		}
	})
}

// spoilDeparture changes the cookie of a logout.
func (g *rig) spoilDeparture(change func(string) string) {
	value := change(g.cookiesNamed("__Host-pixy-leaving")[0].Value)
	g.browser.SetCookie(origin, &http.Cookie{Name: "__Host-pixy-leaving", Value: value, Path: "/", Secure: true})
}

// The scripts of htmx and Turbo cannot follow a redirect to the provider, so they load
// what redirects there in full.
func TestScriptsLoadInFull(t *testing.T) {
	t.Parallel()
	const meta = `<meta name="turbo-visit-control" content="reload">`
	for _, test := range []struct {
		name   string
		method string
		path   string
		header http.Header
		status int
		full   string // URL that htmx loads in full
		meta   bool   // Turbo loads the same URL in full
	}{
		{name: "login by htmx", path: "/auth/login?return_to=/me", header: byHTMX, status: 200, full: "/auth/login?return_to=/me"},
		{name: "login by Turbo", path: "/auth/login?return_to=/me", header: byTurbo, status: 200, meta: true},
		{name: "guard, Turbo", path: "/me?a=<b>", header: byTurbo, status: 200, meta: true},
		{name: "guard, Turbo's frame", path: "/me", header: with(byTurbo, "Turbo-Frame", "list"), status: 200, meta: true},
		{name: "guard, Turbo's form", method: "POST", path: "/me", header: byTurbo, status: 401},
		{name: "guard, a form in Turbo's frame", method: "POST", path: "/me", header: with(byTurbo, "Turbo-Frame", "list"), status: 401, meta: true},
		{name: "guard, a boosted link of htmx", path: "/me?a=<b>", header: with(byHTMX, "Hx-Boosted", "true"), status: 200, full: "/me?a=%3Cb%3E"},
		{name: "guard, a boosted form of htmx", method: "POST", path: "/me", header: with(byHTMX, "Hx-Boosted", "true"), status: 401, full: "/auth/login"},
		{name: "guard, htmx", path: "/me", header: byHTMX, status: 401, full: "/auth/login"},
		{name: "guard, a path that other routers read otherwise", path: "/me/..%2f..%2f/evil", header: byTurbo, status: 404},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			if test.status == 404 {
				g.browser.Serve(origin, guarded(g.auth, http.NotFoundHandler()))
				test.status = 401
			}
			method := "GET"
			if test.method != "" {
				method = test.method
			}
			page := g.ask(method, test.path, test.header)
			body := string(page.Body)
			if page.Status != test.status || page.Header.Get("HX-Redirect") != test.full || strings.Contains(body, meta) != test.meta || strings.Contains(body, "<b>") {
				t.Errorf("got %d, HX-Redirect %q: %s", page.Status, page.Header.Get("HX-Redirect"), body)
			}
			if len(g.cookiesNamed("")) != 0 || g.log.String() != "" {
				t.Errorf("leaves %v, and logs %s", g.cookiesNamed(""), g.log.String())
			}
		})
	}
}
