package core_test

import (
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A redirect to another site means nothing to a script, and begins a login that
// nobody ends.
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
		{"the head of a page", "HEAD", page, false},
		{"an older browser", "GET", http.Header{"Accept": {"text/html,*/*"}}, true},
		{"a form that is sent", "POST", page, false},
		{"fetch", "GET", http.Header{"Sec-Fetch-Mode": {"cors"}, "Accept": {"text/html"}}, false},
		{"a frame", "GET", http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"iframe"}}, false},
		{"a prefetch", "GET", http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}, "Sec-Purpose": {"prefetch"}}, false},
		{"a web socket", "GET", http.Header{"Sec-Fetch-Mode": {"websocket"}, "Sec-Fetch-Dest": {"websocket"}}, false},
		{"an older XMLHttpRequest", "GET", http.Header{"Accept": {"text/html"}, "X-Requested-With": {"XMLHttpRequest"}}, false},
		{"an older WebView", "GET", http.Header{"Accept": {"text/html"}, "X-Requested-With": {"com.example.app"}}, true},
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
		"https:///x":               "/auth/login?return_to=%2Fx",
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

// Whoever posts a form after the session has ended comes back to the form.
func TestALoginComesBackToThePageBefore(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	r := httptest.NewRequest("POST", origin+"/me", nil)
	_, err := g.auth.Authenticate(httptest.NewRecorder(), r)
	for accept, want := range map[string]bool{"text/html": true, "application/json": false} {
		failure := new(core.Error)
		r.Header.Set("Accept", accept)
		if err := g.auth.Challenge(httptest.NewRecorder(), r, err); !errors.As(err, &failure) || strings.Contains(failure.Public, "What you entered was not saved.") != want {
			t.Errorf("a form that accepts %s: got %v", accept, failure.Public)
		}
	}
	for referer, want := range map[string]string{
		origin + "/form?a=b":               "/auth/login?return_to=%2Fform%3Fa%3Db",
		origin:                             "/auth/login",
		origin + "/auth/login":             "/auth/login",
		origin + ".evil.example/form":      "/auth/login",
		origin + "//evil.example/":         "/auth/login",
		"https://evil.example/form":        "/auth/login",
		"http://app.example.test/form":     "/auth/login",
		"https://app.example.test@evil/":   "/auth/login",
		origin + "/form\\..//evil.example": "/auth/login",
		"/form":                            "/auth/login",
		"":                                 "/auth/login",
	} {
		r := httptest.NewRequest("POST", origin+"/me", nil)
		r.Header.Set("Referer", referer)
		_, err := g.auth.Authenticate(httptest.NewRecorder(), r)
		err = g.auth.Challenge(httptest.NewRecorder(), r, err)
		failure := new(core.Error)
		if !errors.As(err, &failure) || failure.LoginURL() != want {
			t.Errorf("from %q: got %v to %q, want %q", referer, err, failure.LoginURL(), want)
		}
	}
}

// Browsers leave out a port that is the usual one, whatever RedirectURL does.
func TestTheUsualPortInRedirectURL(t *testing.T) {
	t.Parallel()
	g := newRig(t, func(c *core.Config) { c.RedirectURL = origin + ":443/auth/callback" })
	r := httptest.NewRequest("POST", origin+"/me", nil)
	r.Header.Set("Referer", origin+"/form")
	_, err := g.auth.Authenticate(httptest.NewRecorder(), r)
	failure := new(core.Error)
	if err = g.auth.Challenge(httptest.NewRecorder(), r, err); !errors.As(err, &failure) || failure.LoginURL() != "/auth/login?return_to=%2Fform" {
		t.Errorf("a form: got %v to %q", err, failure.LoginURL())
	}
	r = httptest.NewRequest("POST", "https://behind.a.proxy/auth/logout", nil)
	r.Header.Set("Origin", origin)
	if err := g.auth.Logout(httptest.NewRecorder(), r); err != nil {
		t.Errorf("a logout: got %v", err)
	}
}

// A guard in front of the login would send people around in circles. It says so
// instead; who is logged in already may log out.
func TestGuardInFrontOfTheLogin(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	app := g.app(g.auth)
	guarded := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		authenticated, err := g.auth.Authenticate(w, r)
		if err != nil {
			if err := g.auth.Challenge(w, r, err); err != nil {
				g.auth.ServeError(w, r, err)
			}
			return
		}
		app.ServeHTTP(w, authenticated)
	})
	g.login()
	g.browser.Serve(origin, guarded)
	page, err := g.browser.Post(origin+"/auth/logout", nil)
	if err != nil || len(page.Hops) == 0 || page.Hops[0].Status != http.StatusSeeOther || len(g.cookiesNamed("__Host-pixy-session")) != 0 {
		t.Fatalf("nobody was logged out: %v", err)
	}
	if page := g.visit(origin + "/elsewhere"); page.Status != http.StatusSeeOther {
		t.Errorf("another page: got %d", page.Status)
	}
	if page := g.visit(origin + "/auth/logout"); page.Status != 500 || !strings.Contains(string(page.Body), "login_guarded") { // or the user would be logged in again
		t.Errorf("the logout's page: got %d", page.Status)
	}
	g.log.reset()
	for path, status := range map[string]int{"/auth/login": 303, "/auth%2Fcallback?code=a&state=b": 303, "/auth/callback/": 303, "POST /auth/logout": 401} {
		method, path, ok := strings.Cut(path, " ")
		if !ok {
			method, path = "GET", method
		}
		r := httptest.NewRequest(method, origin+path, nil)
		r.Header.Set("Accept", "text/html")
		w := httptest.NewRecorder()
		if guarded.ServeHTTP(w, r); w.Code != status || g.log.String() != "" {
			t.Errorf("%s: got %d, and logged as %s", path, w.Code, g.log.String())
		}
	}
	begun := g.provider.Count(logintest.Authorization)
	page = g.get(origin + "/auth/callback?code=a&state=b")
	if page.Status != http.StatusInternalServerError || !strings.Contains(string(page.Body), "login_guarded") ||
		strings.Contains(string(page.Body), "code=a") || strings.Contains(string(page.Body), "Try again") {
		t.Errorf("got %d: %s", page.Status, page.Body)
	}
	if got := g.provider.Count(logintest.Authorization); got != begun {
		t.Errorf("%d logins were begun", got-begun)
	}
	if log := g.log.String(); strings.Count(log, "mount the login's routes outside of the guard") != 1 || strings.Contains(log, "code=a") {
		t.Errorf("logged as %s", log)
	}
}

// Where there is something to choose, the login's own page must be open, too.
func TestGuardInFrontOfTheChoice(t *testing.T) {
	t.Parallel()
	auth, err := core.New(core.Config{
		Providers: []core.Provider{
			{Name: "Work", Issuer: "https://work.example.test", ClientID: "app"},
			{Name: "Home", Issuer: "https://home.example.test", ClientID: "app"},
		},
		RedirectURL: callbackURL, SessionKey: sessionKey, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, guarded := range map[string]bool{"/auth/login": true, "/auth/callback/Work": true, "/auth/callback": false, "/": false} {
		r := httptest.NewRequest("GET", origin+path, nil)
		r.Header.Set("Accept", "text/html")
		_, err := auth.Authenticate(httptest.NewRecorder(), r)
		failure := new(core.Error)
		if err = auth.Challenge(httptest.NewRecorder(), r, err); errors.As(err, &failure) != guarded || guarded && failure.Code != "login_guarded" {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

// Whoever is logged in notices nothing of a provider that is down.
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
	if got, set := page.Header["Cdn-Cache-Control"]; set {
		t.Errorf("CDN-Cache-Control, which nobody has set: got %q", got)
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

// A router may take a prefix away before the guard sees the request.
func TestGuardComesBackToTheWholePath(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	guard := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := g.auth.Authenticate(w, r); err != nil {
			if err := g.auth.Challenge(w, r, err); err != nil {
				g.auth.ServeError(w, r, err)
			}
		}
	})
	mux := http.NewServeMux()
	mux.Handle("/", g.app(g.auth))
	mux.Handle("/files/", http.StripPrefix("/files", guard))
	mux.Handle("/docs/", http.StripPrefix("/docs/", guard))
	g.browser.Serve(origin, mux)
	for _, path := range []string{"/files/a.txt?x=y", "/docs/a.txt"} {
		g.browser.Forget("", "")
		if page := g.get(origin + path); page.URL != origin+path {
			t.Errorf("%s ends at %s", path, page.URL)
		}
	}
}
