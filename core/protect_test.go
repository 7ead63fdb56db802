package core_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// FIELD R4.
func TestGuardRedirectsNavigationsOnly(t *testing.T) {
	t.Parallel()
	page := http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}
	for _, test := range []struct {
		name      string
		method    string
		header    http.Header
		redirects bool
	}{
		{"a page", "GET", page, true},
		{"the head of a page", "HEAD", page, true},
		{"an older browser", "GET", http.Header{"Accept": {"text/html,*/*"}}, true},
		{"a form that is sent", "POST", page, false},
		{"fetch", "GET", http.Header{"Sec-Fetch-Mode": {"cors"}, "Accept": {"text/html"}}, false},
		{"a frame", "GET", http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"iframe"}}, false},
		{"a prefetch", "GET", http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}, "Sec-Purpose": {"prefetch"}}, false},
		{"a web socket", "GET", http.Header{"Sec-Fetch-Mode": {"websocket"}, "Sec-Fetch-Dest": {"websocket"}}, false},
		{"an older XMLHttpRequest", "GET", http.Header{"Accept": {"text/html"}, "X-Requested-With": {"XMLHttpRequest"}}, false},
		{"curl", "GET", http.Header{"Accept": {"*/*"}}, false},
		{"an API client", "GET", http.Header{"Accept": {"application/json"}}, false},
		{"htmx", "GET", http.Header{"Accept": {"*/*"}, "Hx-Request": {"true"}}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			r, err := http.NewRequest(test.method, origin+"/me?tab=1", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header = test.header.Clone()
			page, err := g.browser.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if !test.redirects {
				if page.Status != http.StatusUnauthorized || len(g.browser.Cookies(origin)) != 0 {
					t.Errorf("got %d and %d cookies", page.Status, len(g.browser.Cookies(origin)))
				}
				return
			}
			if page.Status != http.StatusSeeOther || !strings.HasPrefix(page.Header.Get("Location"), issuer+"/authorize?") {
				t.Fatalf("got %d to %q", page.Status, page.Header.Get("Location"))
			}
			callback := follow(t, g.browser, page.Header.Get("Location"))
			if got := g.visit(callback.String()).Header.Get("Location"); got != "/me?tab=1" {
				t.Errorf("comes back to %q", got)
			}
		})
	}
}

func TestGuardTellsProgramsWhereToLogIn(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	page := g.fetch("GET", origin+"/me")
	want := `{"title":"Unauthorized","status":401,"detail":"Please log in to continue.","code":"login_required","login_url":"/auth/login"}`
	if got := strings.TrimSpace(string(page.Body)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := page.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("got Content-Type %q", got)
	}
	if g.log.String() != "" {
		t.Errorf("a stranger was logged: %s", g.log.String())
	}

	for current, want := range map[string]string{
		origin + "/list?page=2":    "/auth/login?return_to=%2Flist%3Fpage%3D2",
		"https://evil.example//x":  "/auth/login",
		"javascript:alert(1)":      "/auth/login",
		origin + "/auth/login?x=y": "/auth/login",
		"":                         "/auth/login",
	} {
		r, err := http.NewRequest("GET", origin+"/me", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Hx-Request": {"true"}, "Hx-Current-Url": {current}}
		page, err := g.browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := page.Header.Get("HX-Redirect"); page.Status != 401 || got != want {
			t.Errorf("from %q: got %d, HX-Redirect %q, want %q", current, page.Status, got, want)
		}
	}
}

// Promise 5 and the "no guarded request reaches the provider".
func TestGuardDoesWithoutTheProvider(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.login()
	g.provider.Misbehave(logintest.Faults{Intercept: func(logintest.Endpoint, http.ResponseWriter, *http.Request) bool {
		panic(http.ErrAbortHandler)
	}})
	before := len(g.provider.Requests())
	for range 100 {
		if got := g.whoAmI(); got != "I am ada" {
			t.Fatalf("got %q", got)
		}
	}
	if got := len(g.provider.Requests()) - before; got != 0 {
		t.Errorf("%d requests reached the provider", got)
	}
	// A fresh process, whose provider has been down since before it started.
	g.browser.Serve(origin, g.app(g.newAuth()))
	if got := g.whoAmI(); got != "I am ada" {
		t.Errorf("after a restart: %q", got)
	}
	g.browser.Forget("", "")
	page := g.visit(origin + "/me")
	if page.Status != http.StatusServiceUnavailable || page.Header.Get("Retry-After") == "" || len(g.browser.Cookies(origin)) != 0 {
		t.Errorf("a stranger gets %d, Retry-After %q", page.Status, page.Header.Get("Retry-After"))
	}
	g.provider.Misbehave(logintest.Faults{})
	g.advance(time.Minute)
	g.login()
}

func TestGuardedAnswersArePrivate(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	page := g.login()
	if got := page.Header.Get("Cache-Control"); got != "private" {
		t.Errorf("Cache-Control: got %q", got)
	}
	if got := page.Header["Vary"]; len(got) != 1 || got[0] != "Cookie" {
		t.Errorf("Vary: got %q", got)
	}

	w := httptest.NewRecorder()
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("Vary", "Accept")
	if _, err := g.auth.Authenticate(w, httptest.NewRequest("GET", "/", nil)); !errors.Is(err, core.ErrNoSession) {
		t.Errorf("got %v", err)
	}
	if got := w.Header().Get("Cache-Control"); got != "no-cache" {
		t.Errorf("what the application has said is overwritten: %q", got)
	}
	if got := strings.Join(w.Header()["Vary"], ", "); got != "Accept, Cookie" {
		t.Errorf("Vary: got %q", got)
	}
}

// CHECKLIST 94 to 105, 128.
func TestSessionCookieAttributes(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	callback := g.toCallback()
	page := g.visit(callback.String())
	seen := make(map[string]*http.Cookie)
	for _, c := range (&http.Response{Header: page.Header}).Cookies() {
		if seen[c.Name] != nil {
			t.Errorf("%s is set twice", c.Name)
		}
		seen[c.Name] = c
		if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Domain != "" {
			t.Errorf("got %v", c)
		}
		if len(c.Name)+len(c.Value) > 4096 {
			t.Errorf("%s has %d bytes", c.Name, len(c.Name)+len(c.Value))
		}
	}
	session, hint := seen["__Host-pixy-session"], seen["__Secure-pixy-logout"]
	if session == nil || session.Path != "/" || session.MaxAge != 12*3600 {
		t.Errorf("session: got %v", session)
	}
	if hint == nil || hint.Path != "/auth/logout" {
		t.Errorf("logout hint: got %v", hint)
	}
	for _, cookie := range g.browser.Cookies(origin + "/me") {
		if strings.Contains(cookie.Name, "logout") {
			t.Error("the hint is sent to pages")
		}
	}
}

func TestGuardTakesNoForgedSession(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.login()
	good := g.cookiesNamed("__Host-pixy-session")[0].Value
	hint := g.cookiesNamed("__Secure-pixy-logout")[0].Value
	attempt := g.toCallback()
	attemptValue := ""
	for _, c := range g.cookiesNamed(g.auth.AttemptCookie(attempt.Query().Get("state"))) {
		attemptValue = c.Value
	}
	other := newRig(t, func(c *core.Config) { c.SessionKey = []byte("another key of thirty-two bytes!") })
	other.login()
	elsewhere := newRig(t, func(c *core.Config) { c.Providers[0].Issuer = "https://former.example.test" })
	w := httptest.NewRecorder()
	if err := elsewhere.auth.StartSession(w, httptest.NewRequest("GET", "/", nil), core.User{Issuer: "https://former.example.test", Subject: "ada"}, ""); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"empty": "", "cut short": good[:len(good)-3], "longer": good + "AAAA", "tampered with": good[:50] + flip(good[50]) + good[51:],
		"zero parts": "0" + good[1:], "two parts of one": "2" + good[1:], "nine parts": "9" + good[1:], "no count": good[1:],
		"another key":       other.cookiesNamed("__Host-pixy-session")[0].Value,
		"a logout hint":     "1" + hint,
		"an attempt":        "1" + attemptValue,
		"a record cut off":  "1" + g.auth.SealSession([]byte("\x01")),
		"an empty record":   "1" + g.auth.SealSession(nil),
		"another version":   "1" + g.auth.SealSession(append([]byte{99}, make([]byte, 64)...)),
		"another issuer":    (&http.Response{Header: w.Header()}).Cookies()[0].Value,
		"quoted":            `"` + good + `"`,
		"enormous":          "1" + strings.Repeat("A", 500<<10),
		"control character": "1\x01" + good[2:],
	} {
		r := httptest.NewRequest("GET", origin+"/me", nil)
		r.Header.Set("Cookie", "__Host-pixy-session="+value)
		if _, err := g.auth.Authenticate(httptest.NewRecorder(), r); !errors.Is(err, core.ErrNoSession) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	r := httptest.NewRequest("GET", origin+"/me", nil)
	r.Header.Set("Cookie", "a=b; __Host-pixy-session="+good+"; c")
	if _, err := g.auth.Authenticate(httptest.NewRecorder(), r); err != nil {
		t.Errorf("the good one: got %v", err)
	}
}

func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	t.Run("at the absolute limit, used or not", func(t *testing.T) {
		t.Parallel()
		g := newRig(t, func(c *core.Config) { c.SessionLifetime, c.SessionIdle = time.Hour, 20*time.Minute })
		g.login()
		for range 5 {
			g.advance(11 * time.Minute)
			if g.whoAmI() == "" {
				t.Fatal("ended too early")
			}
		}
		g.advance(6 * time.Minute)
		if got := g.whoAmI(); got != "" {
			t.Errorf("got %q after the limit", got)
		}
	})
	t.Run("when idle", func(t *testing.T) {
		t.Parallel()
		g := newRig(t, func(c *core.Config) { c.SessionIdle = 20 * time.Minute })
		g.login()
		page := g.fetch("GET", origin+"/me")
		if len(page.Header["Set-Cookie"]) != 0 {
			t.Error("renewed at once")
		}
		g.advance(19 * time.Minute)
		if page := g.fetch("GET", origin+"/me"); !setsSession(page.Header) || page.Header.Get("Cache-Control") != "private" {
			t.Errorf("not renewed: %v", page.Header)
		}
		g.advance(20*time.Minute + time.Second)
		if got := g.whoAmI(); got != "" {
			t.Errorf("got %q after the limit", got)
		}
	})
	t.Run("at the limit even if the browser keeps the cookie", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.login()
		value := g.cookiesNamed("__Host-pixy-session")[0].Value
		g.advance(12*time.Hour + time.Second)
		r := httptest.NewRequest("GET", origin+"/me", nil)
		r.Header.Set("Cookie", "__Host-pixy-session="+value)
		if _, err := g.auth.Authenticate(httptest.NewRecorder(), r); !errors.Is(err, core.ErrNoSession) {
			t.Errorf("got %v", err)
		}
	})
}

func TestUserCarriesWhatTheProviderSaid(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		keep   []string
		claims map[string]any
		want   core.User
		kept   map[string]bool
	}{
		{"everything", nil, map[string]any{
			"name": "Ada", "email": "ada@example.test", "email_verified": true, "picture": "https://p", "groups": []string{"a"},
		}, core.User{Name: "Ada", Email: "ada@example.test", EmailVerified: true, Picture: "https://p"},
			map[string]bool{"groups": true, "name": true, "sub": true, "iss": false, "aud": false, "nonce": false, "exp": false}},
		{"nothing", nil, nil, core.User{}, map[string]bool{"sub": true, "name": false}},
		{"verified in quotes is not verified", nil, map[string]any{"email": "a@b", "email_verified": "true"}, core.User{Email: "a@b"}, nil},
		{"verified as a number is not verified", nil, map[string]any{"email_verified": 1}, core.User{}, nil},
		{"wrong types", nil, map[string]any{"name": 7, "email": []string{"a"}, "picture": nil}, core.User{}, nil},
		{"one claim", []string{"groups"}, map[string]any{"name": "Ada", "groups": "g"}, core.User{Name: "Ada"}, map[string]bool{"groups": true, "sub": false, "name": false}},
		{"no claim", []string{}, map[string]any{"name": "Ada"}, core.User{Name: "Ada"}, map[string]bool{"sub": false, "name": false}},
		{"awkward text", nil, map[string]any{"name": "Ä\"<b>\u2028\x00"}, core.User{Name: "Ä\"<b>\u2028\x00"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, func(c *core.Config) { c.SessionClaims = test.keep })
			g.provider.User = logintest.User{Subject: "s", Claims: test.claims}
			g.login()
			r := httptest.NewRequest("GET", origin+"/", nil)
			for _, c := range g.browser.Cookies(origin) {
				r.AddCookie(c)
			}
			r, err := g.auth.Authenticate(httptest.NewRecorder(), r)
			if err != nil {
				t.Fatal(err)
			}
			user := core.UserFromContext(r.Context())
			var claims map[string]any
			if err := user.Claims(&claims); err != nil {
				t.Fatal(err)
			}
			for name, want := range test.kept {
				if _, got := claims[name]; got != want {
					t.Errorf("claim %s: got %v, want %v", name, got, want)
				}
			}
			got := core.User{Name: user.Name, Email: user.Email, EmailVerified: user.EmailVerified, Picture: user.Picture}
			if got != test.want || user.Issuer != issuer || user.Subject != "s" {
				t.Errorf("got %+v, want %+v", user, test.want)
			}
		})
	}
}

func TestContextWithUserPassesTheGuard(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	want := &core.User{Issuer: "test", Subject: "ada"}
	r := httptest.NewRequest("GET", "/", nil)
	r, err := g.auth.Authenticate(httptest.NewRecorder(), r.WithContext(core.ContextWithUser(r.Context(), want)))
	if err != nil || core.UserFromContext(r.Context()) != want {
		t.Errorf("got %v, %v", core.UserFromContext(r.Context()), err)
	}
	var claims map[string]any
	if err := want.Claims(&claims); err != nil || len(claims) != 0 {
		t.Errorf("claims of a test's user: %v, %v", claims, err)
	}
	if got := core.UserFromContext(t.Context()); got != nil {
		t.Errorf("a context without a user has %v", got)
	}
}

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

	// CHECKLIST 119.
	t.Run("here and at the provider", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.login()
		page := logout(g, ours())
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
		if strings.Count(query.Get("id_token_hint"), ".") != 2 || query.Get("client_id") != "app" || len(query.Get("state")) < 20 {
			t.Errorf("got %v", query)
		}
		if left := g.browser.Cookies(origin + "/auth/logout"); len(left) != 0 {
			t.Errorf("%d cookies are left", len(left))
		}
		if end := g.get(to.String()); end.Status != 200 || !strings.HasPrefix(end.URL, origin+"/?state=") {
			t.Errorf("ends with %d at %s", end.Status, end.URL)
		}
	})

	// CHECKLIST 109.
	for name, header := range map[string]http.Header{
		"cross-site":               {"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example.test"}},
		"same-site":                {"Sec-Fetch-Site": {"same-site"}, "Origin": {"https://other.example.test"}},
		"older browser, cross":     {"Origin": {"https://evil.example.test"}},
		"older browser, null":      {"Origin": {"null"}},
		"cross-site without words": {"Sec-Fetch-Site": {"cross-site"}},
	} {
		t.Run("not for another site: "+name, func(t *testing.T) {
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

	t.Run("behind a proxy that rewrites Host", func(t *testing.T) {
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

	t.Run("by POST only", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.login()
		if page := g.get(origin + "/auth/logout"); page.Status != 405 || page.Header.Get("Allow") != "POST" {
			t.Errorf("got %d, Allow %q", page.Status, page.Header.Get("Allow"))
		}
		if g.whoAmI() == "" {
			t.Error("a GET logged out")
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
		g := newRig(t, func(c *core.Config) { c.AfterLogout = "/goodbye" })
		g.login()
		g.browser.Serve(origin, g.app(g.newAuth(func(c *core.Config) { c.AfterLogout = "/goodbye" })))
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
		g := newRig(t, func(c *core.Config) { c.SessionClaims = []string{} })
		g.provider.User = logintest.User{Subject: "ada", Claims: map[string]any{"groups": strings.Repeat("g", 6000)}}
		g.login()
		page := logout(g, ours())
		if !strings.Contains(page.Header.Get("Location"), "client_id=app") || strings.Contains(page.Header.Get("Location"), "id_token_hint") {
			t.Errorf("got %q", page.Header.Get("Location"))
		}
	})
}
