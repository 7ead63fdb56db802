package core_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// shared is an application under /reader, which shares its host with others.
func shared(c *core.Config) {
	c.BasePath, c.RedirectURL, c.Logout.After = "/reader", origin+"/reader/auth/callback", "/reader/"
}

// stripped removes /reader from requests, as a proxy does.
func stripped(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		passed := r.Clone(r.Context())
		passed.RequestURI = strings.TrimPrefix(r.URL.RequestURI(), "/reader")
		u, err := url.ParseRequestURI(passed.RequestURI)
		if err != nil || !strings.HasPrefix(r.URL.Path, "/reader/") {
			http.Error(w, "another application", http.StatusTeapot)
			return
		}
		passed.URL.Path, passed.URL.RawPath = u.Path, u.RawPath
		next.ServeHTTP(w, passed)
	})
}

// whole passes requests under /reader with their path, and no others.
func whole(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/reader/") {
			http.Error(w, "another application", http.StatusTeapot)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// topologies are the ways in which requests reach an application under /reader.
var topologies = map[string]func(http.Handler) http.Handler{
	"the path stays":           whole,
	"a proxy removes /reader":  stripped,
	"StripPrefix":              func(next http.Handler) http.Handler { return http.StripPrefix("/reader", next) },
	"StripPrefix behind a mux": func(next http.Handler) http.Handler { return underMux(http.StripPrefix("/reader", next)) },
}

func underMux(next http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/reader/", next)
	return mux
}

// newShared returns a rig whose application is under /reader. Its page is at /me, and at
// /reader/me.
func newShared(t *testing.T, topology func(http.Handler) http.Handler, change ...func(*core.Config)) *rig {
	t.Helper()
	g := newRig(t)
	g.provider = logintest.NewProvider(issuer, logintest.Client{
		ID: "app", Secret: "canary-client-secret",
		RedirectURIs:           []string{origin + "/reader/auth/callback", origin + "/reader/auth/callback/one", origin + "/other/auth/callback"},
		PostLogoutRedirectURIs: []string{origin + "/reader/"},
	})
	g.provider.Now = g.now
	g.browser.Serve(issuer, g.provider)
	g.auth = g.newAuth(append([]func(*core.Config){shared}, change...)...)
	app := g.app(g.auth)
	g.browser.Serve(origin, topology(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/reader/me" {
			r = r.Clone(r.Context())
			r.URL.Path = "/me" // the mux of the rig knows no base path; RequestURI stays
		}
		app.ServeHTTP(w, r)
	})))
	return g
}

// A whole login under a base path: the browser stays below it, however requests arrive.
func TestBasePath(t *testing.T) {
	t.Parallel()
	for name, topology := range topologies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newShared(t, topology)
			page := g.get(origin + "/reader/me?tab=1")
			if page.Status != http.StatusOK || string(page.Body) != "I am ada" || page.URL != origin+"/reader/me?tab=1" {
				t.Fatalf("got %d at %s: %s", page.Status, page.URL, page.Body)
			}
			for _, c := range g.browser.Cookies(origin + "/reader/auth/logout") {
				if _, own, _ := strings.Cut(c.Name, "pixy_"); !strings.HasPrefix(own, "reader-") {
					t.Errorf("a cookie is called %s", c.Name)
				}
			}
			if page := g.get(origin + "/reader/auth/login"); page.URL != origin+"/reader/" {
				t.Errorf("a login without return_to ends at %s", page.URL)
			}
			out, err := g.browser.Post(origin+"/reader/auth/logout", nil)
			if err != nil || out.URL != origin+"/reader/" || len(out.Hops) != 5 || out.Hops[1].URL != origin+"/reader/auth/logout" {
				t.Fatalf("logout ends at %v after %d hops, %v", out.URL, len(out.Hops), err)
			}
			if hint := out.Hops[2].Header.Get("Location"); !strings.Contains(hint, "id_token_hint=") ||
				!strings.Contains(hint, url.QueryEscape(origin+"/reader/")) {
				t.Errorf("logout asks the provider for %s", hint)
			}
			if left := g.browser.Cookies(origin + "/reader/auth/logout"); len(left) != 0 {
				t.Errorf("%d cookies are left, such as %s", len(left), left[0].Name)
			}
			if got := g.provider.Count(logintest.Token); got != 2 || g.logins.Load() != 2 {
				t.Errorf("%d token requests, %d logins", got, g.logins.Load())
			}
			if page := g.get(origin + "/reader/auth/callback?error=x"); page.Status != 403 && page.Status != 400 || !strings.Contains(string(page.Body), `<a href="/reader/">Home</a>`) ||
				strings.Count(string(page.Body), "href=") != strings.Count(string(page.Body), `href="/reader/`) {
				t.Errorf("the page of a failure: %d %s", page.Status, page.Body)
			}
		})
	}
}

// The form of a provider is answered with a page that leads to the public callback.
func TestBasePathWithAForm(t *testing.T) {
	t.Parallel()
	for name, topology := range topologies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newShared(t, topology, func(c *core.Config) { c.Providers[0].Requests.FormPost = true })
			if page := g.get(origin + "/reader/me"); string(page.Body) != "I am ada" || page.URL != origin+"/reader/me" {
				t.Errorf("got %d at %s: %s", page.Status, page.URL, page.Body)
			}
		})
	}
}

// With several providers, the guard leads to the page where the user chooses, and the
// choice leads back to the page.
func TestBasePathAndSeveralProviders(t *testing.T) {
	t.Parallel()
	for name, topology := range topologies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newShared(t, topology, func(c *core.Config) {
				c.Providers[0].Name = "one"
				two := c.Providers[0]
				two.Name, two.Issuer = "two", "https://two.example.test"
				c.Providers = append(c.Providers, two)
			})
			choice := g.get(origin + "/reader/me?tab=1")
			const link = `href="/reader/auth/login?provider=one&amp;return_to=%2Freader%2Fme%3Ftab%3D1"`
			if choice.URL != origin+"/reader/auth/login?return_to=%2Freader%2Fme%3Ftab%3D1" || !strings.Contains(string(choice.Body), link) ||
				!strings.Contains(string(choice.Body), `<a href="/reader/">Home</a>`) {
				t.Fatalf("got %s: %s", choice.URL, choice.Body)
			}
			sent := g.visit(origin + "/reader/auth/login?provider=one&return_to=/reader/me")
			if to := sent.Header.Get("Location"); !strings.Contains(to, url.QueryEscape(origin+"/reader/auth/callback/one")) {
				t.Errorf("the login's redirect URI: %s", to)
			}
			u, err := url.Parse(sent.Header.Get("Location"))
			if err != nil {
				t.Fatal(err)
			}
			if page := g.get(origin + "/reader/auth/callback/two?code=x&state=" + u.Query().Get("state")); page.Status != 400 || !strings.Contains(g.log.String(), "another provider") {
				t.Errorf("a callback of another provider: got %d, logged %s", page.Status, g.log.String())
			}
		})
	}
}

// A proxy may remove the part of the path that tells two callbacks apart.
func TestBasePathAndCallbacksThatEndAlike(t *testing.T) {
	t.Parallel()
	for name, topology := range topologies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newShared(t, topology, func(c *core.Config) {
				two := c.Providers[0]
				two.Name, two.Issuer, two.RedirectURL = "two", "https://two.example.test", origin+"/reader/more/auth/callback"
				c.Providers = []core.Provider{two, c.Providers[0]}
			})
			page := g.get(origin + "/reader/auth/login?provider=id.example.test&return_to=/reader/me")
			if string(page.Body) != "I am ada" || page.URL != origin+"/reader/me" {
				t.Errorf("got %d at %s: %s", page.Status, page.URL, page.Body)
			}
		})
	}
}

// The page that a guard returns to is what the browser sees. Two providers make the guard
// redirect to the login's page, whose query shows it.
func TestThePageOfAGuardUnderABasePath(t *testing.T) {
	t.Parallel()
	const home = "/reader/"
	g := newRig(t)
	auth := g.newAuth(shared, func(c *core.Config) {
		c.Providers = []core.Provider{{Name: "one", Issuer: issuer, ClientID: "app"}, {Name: "two", Issuer: "https://two.example.test", ClientID: "app"}}
	})
	for asked, want := range map[string]string{
		"/reader/list?a=b":          "/reader/list?a=b",
		"/list?a=b":                 "/reader/list?a=b",
		"/reader":                   "/reader",
		"/reader?a=b":               "/reader?a=b",
		"/":                         home,
		"/readers/list":             "/reader/readers/list",
		"/reader/reader/list":       "/reader/reader/list",
		"/reader/reader/auth/login": home,
		"/auth%2Flogin":             home, // what a router that decodes takes for the login
		"//evil.example/list":       home,
		"/reader//evil.example":     home, // what a proxy leaves is //evil.example
		"/reader/%2Fevil.example":   home,
		"/reader/list//a":           "/reader/list//a",
		"/%72eader/list":            "/reader/%72eader/list",
		"/../list":                  home,
		"/a/%2e%2e/list":            home,
		`/\evil.example`:            home,
	} {
		r := httptest.NewRequest("GET", origin+"/", nil)
		r.Header.Set("Accept", "text/html")
		r.RequestURI = asked
		if u, err := url.ParseRequestURI(asked); err == nil {
			r.URL = u
		}
		w := httptest.NewRecorder()
		_, err := auth.Authenticate(w, r)
		if err = auth.Challenge(w, r, err); err != nil {
			t.Errorf("%s: got %v", asked, err)
			continue
		}
		wanted := "/reader/auth/login"
		if want != home {
			wanted += "?return_to=" + url.QueryEscape(want)
		}
		if got := w.Header().Get("Location"); got != wanted {
			t.Errorf("%s: got %s, want %s", asked, got, wanted)
		}
	}
	for name, header := range map[string]http.Header{
		"htmx":    {"Hx-Request": {"true"}, "Hx-Current-Url": {origin + "/reader/list"}},
		"Referer": {"Referer": {origin + "/reader/list"}},
	} {
		for page, want := range map[string]string{"/reader/list": "?return_to=%2Freader%2Flist", "/list": "", "/readers": ""} {
			r := httptest.NewRequest("GET", origin+"/data", nil)
			for field, values := range header {
				r.Header.Set(field, strings.Replace(values[0], "/reader/list", page, 1))
			}
			w := httptest.NewRecorder()
			_, err := auth.Authenticate(w, r)
			failure := new(core.Error)
			if !errors.As(auth.Challenge(w, r, err), &failure) {
				t.Fatal("passes")
			}
			if htmx := w.Header().Get("HX-Redirect"); failure.LoginURL() != "/reader/auth/login"+want || name == "htmx" && htmx != "/reader/auth/login"+want {
				t.Errorf("%s from %s: got %s and %q", name, page, failure.LoginURL(), htmx)
			}
		}
	}
}

// A login ends under BasePath. What leads elsewhere, or may be read as a route of the
// login, ends at Home.
func TestALoginEndsUnderTheBasePath(t *testing.T) {
	t.Parallel()
	const home = "/reader/"
	g := newShared(t, whole)
	for to, want := range map[string]string{
		"/reader":                      "/reader",
		"/reader?a=b":                  "/reader?a=b",
		"/reader#a":                    "/reader#a",
		"/reader/list":                 "/reader/list",
		"/reader/ü":                    "/reader/%C3%BC",
		"/reader/reader/list":          "/reader/reader/list",
		"":                             home,
		"/":                            home,
		"/list":                        home,
		"/readers":                     home,
		"/reader;a":                    home,
		"/Reader/list":                 home,
		"/reader%2Flist":               home,
		"/%72eader/list":               home,
		"/reader/../list":              home,
		"/reader/%2e%2e/list":          home,
		"/reader%2f..%2flist":          home,
		`/reader/\list`:                home,
		"/reader/%5c..%5clist":         home,
		"/?/reader/list":               home,
		"//reader/list":                home,
		"/reader//evil.example":        home,
		"/reader/%2fevil.example":      home,
		"https://app.example.test/":    home,
		"/reader/auth/login":           home,
		"/reader/auth/logout?a=b":      home,
		"/reader/auth%2Flogin":         home,
		"/reader/reader/auth/login":    home,
		"/reader/reader/auth/callback": home,
		"/auth/login":                  home,
	} {
		for name, from := range map[string]string{
			"return_to":       "?return_to=" + url.QueryEscape(to),
			"target_link_uri": "?iss=" + url.QueryEscape(issuer) + "&target_link_uri=" + url.QueryEscape(origin+to),
		} {
			if page := g.get(origin + "/reader/auth/login" + from); page.URL != origin+want && page.URL+"#a" != origin+want {
				t.Errorf("%s %s: ends at %s, want %s", name, to, page.URL, want)
			}
		}
	}
}

// The login detects a prefix that is neither empty nor BasePath.
func TestALoginUnderAnotherPrefix(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		requestURI, path string
		fine             bool
	}{
		{"/reader/auth/login", "/reader/auth/login", true},
		{"/reader/auth/login?return_to=/x", "/auth/login", true},
		{"/auth/login", "/auth/login", true},
		{"", "/auth/login", true},
		{"", "/reader/auth/login", true},
		{"/app/auth/login", "/auth/login", false},
		{"/app/reader/auth/login", "/auth/login", false},
		{"/app/reader/auth/login?x", "/reader/auth/login", false},
		{"/readers/auth/login", "/auth/login", false},
		{"", "/app/auth/login", false},
	} {
		g := newRig(t)
		auth := g.newAuth(shared)
		r := httptest.NewRequest("GET", origin+"/", nil)
		r.Header.Set("Accept", "text/html")
		r.RequestURI, r.URL.Path = test.requestURI, test.path
		w := httptest.NewRecorder()
		err := auth.Login(w, r)
		switch {
		case test.fine && (err != nil || w.Code != http.StatusSeeOther):
			t.Errorf("%v: got %d, %v", test, w.Code, err)
		case !test.fine && (err == nil || !strings.Contains(err.Error(), "set BasePath to the prefix") || len(w.Header()["Set-Cookie"]) != 0):
			t.Errorf("%v: got %d, %v", test, w.Code, err)
		}
	}
}

// Two applications under two paths of one host do not log each other's users out, and do
// not end each other's logins.
func TestTwoApplicationsOnOneHost(t *testing.T) {
	t.Parallel()
	g := newShared(t, whole)
	reader := g.app(g.auth)
	other := g.newAuth(func(c *core.Config) {
		c.BasePath, c.RedirectURL, c.Logout.After = "/other", origin+"/other/auth/callback", ""
	})
	mux := http.NewServeMux()
	mux.Handle("/reader/auth/", reader)
	mux.Handle("/other/auth/", g.app(other))
	mux.Handle("/reader/me", guarded(g.auth, http.NotFoundHandler()))
	mux.Handle("/other/me", guarded(other, http.NotFoundHandler()))
	g.browser.Serve(origin, mux)
	for _, page := range []string{"/reader/me", "/other/me"} {
		if got := g.get(origin + page); got.Status != http.StatusNotFound {
			t.Fatalf("%s: got %d at %s: %s", page, got.Status, got.URL, got.Body)
		}
	}
	if got := g.fetch("GET", origin+"/reader/me"); got.Status != http.StatusNotFound {
		t.Errorf("the second login ended the first session: %d", got.Status)
	}
	if _, err := g.browser.Post(origin+"/other/auth/logout", nil); err != nil {
		t.Fatal(err)
	}
	for page, want := range map[string]int{"/reader/me": 404, "/other/me": 401} {
		if got := g.fetch("GET", origin+page); got.Status != want {
			t.Errorf("after the logout of the other, %s gets %d, want %d", page, got.Status, want)
		}
	}
}

// RouteFor knows the login's routes by exact path and method, with and without BasePath,
// and nothing else.
func TestRouteFor(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	formPost := func(c *core.Config) { c.Providers[0].Requests.FormPost = true }
	revocable := func(c *core.Config) { c.Logout.Revocations = new(core.MemoryRevocations) }
	alone := g.newAuth(formPost, revocable)
	inReader := g.newAuth(shared, formPost, revocable)
	underAuth := g.newAuth(func(c *core.Config) {
		c.BasePath, c.RedirectURL, c.Logout.After = "/auth", origin+"/auth/auth/callback", ""
	})
	apart := g.newAuth(func(c *core.Config) { c.Pages.LoginPath, c.Logout.Path = "/sign-in", "/out/now" })
	const none, wrong = "", "another method"
	for _, test := range []struct {
		auth         *core.Authenticator
		method, path string
		want         string // method and path of the route
	}{
		{alone, "GET", "/auth/login", "GET /auth/login"},
		{alone, "POST", "/auth/login", "POST /auth/login"},
		{alone, "GET", "/auth/callback", "GET /auth/callback"},
		{alone, "POST", "/auth/callback", "POST /auth/callback"},
		{alone, "POST", "/auth/logout", "POST /auth/logout"},
		{alone, "POST", "/auth/backchannel-logout", "POST /auth/backchannel-logout"},
		{alone, "GET", "/auth/frontchannel-logout", "GET /auth/frontchannel-logout"},
		{alone, "GET", "/auth/callback?code=x", "GET /auth/callback"},
		{alone, "HEAD", "/auth/login", wrong + " GET, POST"},
		{alone, "GET", "/auth/logout", "GET /auth/logout"},
		{alone, "HEAD", "/auth/logout", wrong + " GET, POST"},
		{alone, "PUT", "/auth/logout", wrong + " GET, POST"},
		{alone, "PUT", "/auth/callback", wrong + " GET, POST"},
		{alone, "get", "/auth/login", wrong + " GET, POST"},
		{alone, "OPTIONS", "/auth/frontchannel-logout", wrong + " GET"},
		{alone, "GET", "/", none},
		{alone, "GET", "/auth", none},
		{alone, "GET", "/auth/", none},
		{alone, "GET", "/auth/login/", none},
		{alone, "GET", "/auth//login", none},
		{alone, "GET", "//auth/login", none},
		{alone, "GET", "/auth/./login", none},
		{alone, "GET", "/auth/login/../login", none},
		{alone, "GET", "/auth/Login", none},
		{alone, "GET", "/auth/login;a", none},
		{alone, "GET", "/auth%2Flogin", none},
		{alone, "GET", "/auth/log%69n", none},
		{alone, "GET", "/auth/login%00", none},
		{alone, "GET", "/auth/login%20", none},
		{alone, "GET", "/reader/auth/login", none},
		{inReader, "GET", "/reader/auth/login", "GET /reader/auth/login"},
		{inReader, "GET", "/auth/login", "GET /reader/auth/login"},
		{inReader, "POST", "/auth/callback", "POST /reader/auth/callback"},
		{inReader, "POST", "/reader/auth/backchannel-logout", "POST /reader/auth/backchannel-logout"},
		{inReader, "GET", "/auth/logout", "GET /reader/auth/logout"},
		{inReader, "POST", "/reader/auth/logout", "POST /reader/auth/logout"},
		{inReader, "DELETE", "/reader/auth/logout", wrong + " GET, POST"},
		{inReader, "GET", "/readerauth/login", none},
		{inReader, "GET", "/reader/reader/auth/login", none},
		{inReader, "GET", "/other/auth/login", none},
		{inReader, "GET", "/reader%2Fauth/login", none},
		{underAuth, "GET", "/auth/auth/login", "GET /auth/auth/login"},
		{underAuth, "GET", "/auth/login", "GET /auth/auth/login"},
		{underAuth, "GET", "/login", none},
		{apart, "GET", "/sign-in", "GET /sign-in"},
		{apart, "POST", "/out/now", "POST /out/now"},
		{apart, "GET", "/auth/callback", "GET /auth/callback"},
		{apart, "GET", "/auth/login", none},
		{apart, "GET", "/sign", none},
	} {
		u, err := url.ParseRequestURI(test.path)
		if err != nil {
			t.Fatal(err)
		}
		r := &http.Request{Method: test.method, URL: u}
		route, ok := test.auth.RouteFor(r)
		got := none
		if ok {
			got = route.Method + " " + route.Path
		}
		if ok && route.Method == "" {
			w := httptest.NewRecorder()
			failure := new(core.Error)
			if err := route.Handle(w, r); !errors.As(err, &failure) || failure.Status != 405 || len(w.Header()["Set-Cookie"]) != 0 {
				t.Errorf("%s %s: got %v", test.method, test.path, err)
			}
			got = wrong + " " + w.Header().Get("Allow")
			if strings.TrimPrefix(route.Path, "/reader") != strings.TrimPrefix(u.Path, "/reader") {
				t.Errorf("%s %s: the route is %s", test.method, test.path, route.Path)
			}
		}
		if got != test.want {
			t.Errorf("%s %s: got %q, want %q", test.method, test.path, got, test.want)
		}
	}
	whole := &url.URL{Path: "/auth/login", RawPath: "/auth/login"} // as some routers leave it
	if _, ok := alone.RouteFor(&http.Request{Method: "GET", URL: whole}); !ok {
		t.Error("a RawPath without escapes is not a route")
	}
	if got := g.provider.Count(logintest.Authorization); got != 0 {
		t.Errorf("%d logins were begun", got)
	}
}

// Every route of Routes is one of RouteFor, and Handle serves it.
func TestRouteForServesTheRoutes(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*core.Config){"alone": func(*core.Config) {}, "shared": shared} {
		g := newRig(t)
		auth := g.newAuth(change, func(c *core.Config) { c.Logout.Revocations = new(core.MemoryRevocations) })
		for i, route := range auth.Routes() {
			r := httptest.NewRequest(route.Method, origin+route.Path, strings.NewReader(""))
			r.Header.Set("Accept", "text/html")
			found, ok := auth.RouteFor(r)
			if !ok || found.Method != route.Method || !strings.HasSuffix(found.Path, route.Path) {
				t.Errorf("%s: %s %s is %v %s %s", name, route.Method, route.Path, ok, found.Method, found.Path)
				continue
			}
			ours, theirs := httptest.NewRecorder(), httptest.NewRecorder()
			err1, err2 := found.Handle(ours, r), route.Handle(theirs, r.Clone(r.Context()))
			if (err1 == nil) != (err2 == nil) || ours.Code != theirs.Code {
				t.Errorf("%s: %s %s: got %d %v, want %d %v", name, route.Method, route.Path, ours.Code, err1, theirs.Code, err2)
			}
			if stripped := name == "shared" && i < len(auth.Routes())/2; stripped == strings.HasPrefix(route.Path, "/reader/") && name == "shared" {
				t.Errorf("route %d is %s", i, route.Path)
			}
		}
	}
}

func TestRouteForAllocatesNothing(t *testing.T) {
	g := newRig(t)
	auth := g.newAuth(shared)
	for path, want := range map[string]bool{"/list": false, "/reader/list": false, "/reader/auth/login": true, "/auth/logout": true} {
		r := httptest.NewRequest("GET", origin+path, nil)
		if got := testing.AllocsPerRun(100, func() {
			if _, ok := auth.RouteFor(r); ok != want {
				t.Errorf("%s: got %v", path, ok)
			}
		}); got != 0 {
			t.Errorf("%s: %v allocations", path, got)
		}
	}
}

// What to register with the provider is below BasePath.
func TestRegistrationsUnderABasePath(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	auth := g.newAuth(shared, func(c *core.Config) { c.Logout.Revocations = new(core.MemoryRevocations) })
	r := auth.Registrations()[0]
	for _, uri := range append(append(r.RedirectURIs, r.PostLogoutRedirectURIs...), r.InitiateLoginURI, r.BackChannelLogoutURI, r.FrontChannelLogoutURI) {
		if !strings.HasPrefix(uri, origin+"/reader/") {
			t.Errorf("registers %q", uri)
		}
	}
}
