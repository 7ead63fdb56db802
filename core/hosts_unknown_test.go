package core_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A page load on each route of the login, and on a guarded page.
var routesOfLogin = []struct{ method, path string }{
	{"GET", "/auth/login?return_to=/me"}, {"POST", "/auth/login"}, {"GET", "/auth/login?iss=" + issuer},
	{"GET", "/auth/callback?code=x&state=" + strings.Repeat("A", 43)}, {"POST", "/auth/callback"},
	{"GET", "/auth/logout"}, {"GET", "/auth/logout?continue"}, {"POST", "/auth/logout"},
	{"POST", "/auth/backchannel-logout"}, {"GET", "/auth/frontchannel-logout?iss=" + issuer + "&sid=x"},
	{"GET", "/me"},
}

func withRevocations(c *core.Config) { c.Logout.Revocations = new(core.MemoryRevocations) }

// A host that is not the application's gets 421 wherever something would be derived from
// it: no URL, no cookie, no redirect, no request to the provider, and no question to
// Approve for what is no name of a host.
func TestUnknownHosts(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a.", 130) + "example.test"
	for name, test := range map[string]struct {
		host  string
		asked bool
	}{
		"rules 14, 116: not approved":            {"evil.example.test", true},
		"another port":                           {"app.example.test:8443", true},
		"the port of http":                       {"app.example.test:80", true},
		"a name below":                           {"x.app.example.test", true},
		"a name that begins with ours":           {"app.example.test.evil.example.test", true},
		"a name that ends in ours":               {"evilapp.example.test", true},
		"another address":                        {"127.0.0.1", true},
		"an IPv6 address":                        {"[::1]", true},
		"empty":                                  {"", false},
		"a final dot":                            {"app.example.test.", false},
		"a final dot and a port":                 {"app.example.test.:443", false},
		"port 0":                                 {"app.example.test:0", false},
		"an empty port":                          {"app.example.test:", false},
		"a port that begins with 0":              {"app.example.test:0443", false},
		"two ports":                              {"app.example.test:443:443", false},
		"a port that is too large":               {"app.example.test:65536", false},
		"a port that is a name":                  {"app.example.test:https", false},
		"a user":                                 {"app.example.test@evil.example.test", false},
		"our name as the user":                   {"evil.example.test@app.example.test", false},
		"a path":                                 {"app.example.test/evil", false},
		"a query":                                {"app.example.test?evil", false},
		"a fragment":                             {"app.example.test#evil", false},
		"a backslash":                            {`app.example.test\evil`, false},
		"a scheme":                               {"https://app.example.test", false},
		"two hosts":                              {"app.example.test, evil.example.test", false},
		"a space":                                {"app.example.test ", false},
		"a line break":                           {"app.example.test\r\nSet-Cookie: a=b", false},
		"NUL":                                    {"app.example.test\x00", false},
		"Unicode":                                {"äpp.example.test", false},
		"the Kelvin sign, which lowers to k":     {"\u212aelvin.example.test", false},
		"a dot of another script":                {"app。example.test", false},
		"a percent escape":                       {"app%2eexample.test", false},
		"an empty label":                         {"app..example.test", false},
		"a leading dot":                          {".app.example.test", false},
		"a wildcard":                             {"*.example.test", false},
		"a label that ends in a hyphen":          {"app-.example.test", false},
		"a label of 64 letters":                  {strings.Repeat("a", 64) + ".example.test", false},
		"too long":                               {long, false},
		"an address with a number too few":       {"127.1", false},
		"an address as a number":                 {"2130706433", false},
		"an address in hexadecimal":              {"0x7f000001", false},
		"an IPv6 address in another form":        {"[0:0:0:0:0:0:0:1]", false},
		"an IPv6 address of IPv4":                {"[::ffff:127.0.0.1]", false},
		"an IPv6 address with a zone":            {"[fe80::1%25eth0]", false},
		"an IPv6 address without a bracket":      {"[::1", false},
		"an IPv6 address with more":              {"[::1]evil", false},
		"an IPv6 address that has no brackets":   {"::1", false},
		"what values are sealed for without one": {"-", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newHostRig(t, withRevocations)
			app := g.app(g.auth)
			for _, route := range routesOfLogin {
				g.asked = nil
				g.log.reset()
				r := httptest.NewRequest(route.method, origin+route.path, nil)
				r.Host = test.host
				r.Header = http.Header{"Accept": {"text/html"}, "X-Forwarded-Host": {"app.example.test"}, "Forwarded": {"host=app.example.test"}, "Cookie": {"__Host-pixy-session=1" + strings.Repeat("A", 90)}}
				w := httptest.NewRecorder()
				app.ServeHTTP(w, r)
				if w.Code != http.StatusMisdirectedRequest || w.Header().Get("Location") != "" || w.Header()["Set-Cookie"] != nil || !strings.Contains(w.Body.String(), "host_unknown") {
					t.Errorf("%s %s: got %d to %q, %q: %s", route.method, route.path, w.Code, w.Header().Get("Location"), w.Header()["Set-Cookie"], w.Body)
				}
				if strings.Contains(w.Body.String(), "evil") {
					t.Errorf("%s %s shows the host", route.method, route.path)
				}
				if got := g.log.String(); strings.Count(got, "\n") != 1 || strings.Count(got, `"code":"host_unknown"`) != 1 || len(got) > 1000 {
					t.Errorf("%s %s logs %s", route.method, route.path, got)
				}
				if want := test.asked; (len(g.asked) == 1) != want || len(g.asked) > 1 {
					t.Errorf("%s %s: Approve was asked about %q", route.method, route.path, g.asked)
				}
			}
			if got := len(g.provider.Requests()); got != 0 {
				t.Errorf("%d requests to the provider", got)
			}
		})
	}
}

// What browsers may send for a known host.
func TestKnownHosts(t *testing.T) {
	t.Parallel()
	for host, origin := range map[string]string{
		"app.example.test": origin, "APP.Example.TEST": origin, "app.example.test:443": origin,
		"acme.example.test": acme, "Acme.Example.Test:443": acme,
		"globex.example.test": globex, "GLOBEX.example.test:443": globex,
	} {
		g := newHostRig(t)
		r := httptest.NewRequest("GET", origin+"/auth/login", nil)
		r.Host = host
		w := httptest.NewRecorder()
		if err := g.auth.Login(w, r); err != nil || !strings.Contains(w.Header().Get("Location"), "redirect_uri="+strings.NewReplacer(":", "%3A", "/", "%2F").Replace(origin)+"%2F") {
			t.Errorf("%s: got %v, %s", host, err, w.Header().Get("Location"))
		}
		for _, asked := range g.asked {
			if asked != "globex.example.test" {
				t.Errorf("%s: Approve was asked about %q", host, asked)
			}
		}
	}
}

// The server reads what the client sends: an absolute-form request has its host in the
// URL, and Host does not count (RFC 9112 section 3.2.2).
func TestHostOnTheWire(t *testing.T) {
	t.Parallel()
	g := newHostRig(t, func(c *core.Config) {
		c.RedirectURL, c.Hosts.Names = "http://app.localhost/auth/callback", []string{"acme.localhost"}
	})
	server := httptest.NewServer(g.app(g.auth))
	defer server.Close()
	for request, want := range map[string]string{
		"GET /auth/login HTTP/1.1\r\nHost: acme.localhost\r\n\r\n":                                               "303 acme.localhost",
		"GET http://acme.localhost/auth/login HTTP/1.1\r\nHost: evil.localhost\r\n\r\n":                          "303 acme.localhost",
		"GET http://evil.localhost/auth/login HTTP/1.1\r\nHost: acme.localhost\r\n\r\n":                          "421 ",
		"GET /auth/login HTTP/1.1\r\nHost: acme.localhost\r\nX-Forwarded-Host: app.localhost\r\n\r\n":            "303 acme.localhost",
		"GET /auth/login HTTP/1.1\r\nHost: evil.localhost\r\nX-Forwarded-Host: acme.localhost\r\n\r\n":           "421 ",
		"GET /auth/login HTTP/1.1\r\nHost: acme.localhost\r\nHost: evil.localhost\r\n\r\n":                       "400 ",
		"GET /auth/login HTTP/1.1\r\nHost: acme.localhost@evil.localhost\r\n\r\n":                                "400 ",
		"GET /auth/login HTTP/1.1\r\nHost: acme.localhost.\r\n\r\n":                                              "421 ",
		"GET /auth/login HTTP/1.1\r\nHost: acme.localhost:80\r\n\r\n":                                            "303 acme.localhost",
		"GET /auth/login HTTP/1.1\r\nHost:\r\n\r\n":                                                              "421 ",
		"GET /auth/login HTTP/1.0\r\n\r\n":                                                                       "421 ",
		"GET http://acme.localhost@evil.localhost/auth/login HTTP/1.1\r\nHost: acme.localhost\r\n\r\n":           "421 ",
		"GET http://evil.localhost@acme.localhost/auth/login HTTP/1.1\r\nHost: evil.localhost:8080\r\n\r\n":      "303 acme.localhost",
		"GET /auth/login HTTP/1.1\r\nHost: acme.localhost:80\r\nHOST : evil.localhost\r\n\r\n":                   "400 ",
		"GET /auth/login HTTP/1.1\r\nHost: acme.localhost\r\nForwarded: host=evil.localhost;proto=https\r\n\r\n": "303 acme.localhost",
	} {
		connection, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		fmt.Fprint(connection, request)
		response, err := http.ReadResponse(bufio.NewReader(connection), nil)
		if err != nil {
			t.Fatalf("%q: %v", request, err)
		}
		response.Body.Close()
		got := fmt.Sprint(response.StatusCode, " ")
		if to, err := response.Location(); err == nil && response.StatusCode == http.StatusSeeOther {
			back := to.Query().Get("redirect_uri")
			got += strings.TrimSuffix(strings.TrimPrefix(back, "http://"), "/auth/callback")
		}
		if got != want {
			t.Errorf("%q: got %q, want %q", request, got, want)
		}
	}
}

// Approve is asked once for each request that may redirect to a login, and by no other.
func TestApproveIsAsked(t *testing.T) {
	t.Parallel()
	page, script := http.Header{"Accept": {"text/html"}}, http.Header{"Sec-Fetch-Mode": {"cors"}, "Accept": {"application/json"}}
	for name, test := range map[string]struct {
		method, path string
		header       http.Header
		session      bool
		asked        int
		status       int
	}{
		"a login":                          {"GET", "/auth/login", page, false, 1, 303},
		"a login posted":                   {"POST", "/auth/login", http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, false, 1, 303},
		"a callback without its attempt":   {"GET", "/auth/callback?code=x&state=" + strings.Repeat("A", 43), page, false, 1, 303},
		"a logout":                         {"POST", "/auth/logout", page, true, 1, 303},
		"a page with a session":            {"GET", "/me", page, true, 0, 200},
		"a page without a session":         {"GET", "/me", page, false, 1, 303},
		"a script with a session":          {"GET", "/me", script, true, 0, 200},
		"a script without a session":       {"GET", "/me", script, false, 0, 401},
		"htmx without a session":           {"GET", "/me", http.Header{"Hx-Request": {"true"}}, false, 1, 401},
		"a login by a script":              {"GET", "/auth/login", script, false, 1, 403},
		"a logout from another site":       {"POST", "/auth/logout", http.Header{"Origin": {evil}, "Sec-Fetch-Site": {"cross-site"}}, true, 1, 403},
		"a route with a method it has not": {"PUT", "/auth/callback", page, false, 1, 405},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newHostRig(t)
			if test.session {
				g.loginAt(globex)
			}
			g.asked = nil
			r, _ := http.NewRequest(test.method, globex+test.path, nil)
			r.Header = test.header
			if got := g.do(r); got.Status != test.status || len(g.asked) != test.asked {
				t.Errorf("got %d, asked about %q: %s", got.Status, g.asked, got.Body)
			}
			if test.asked == 0 {
				return
			}
			if test.session {
				g.loginAt(globex)
			}
			g.down = errors.New("the table is down")
			g.log.reset()
			r, _ = http.NewRequest(test.method, globex+test.path, nil)
			r.Header = test.header
			got := g.do(r)
			if got.Status != http.StatusServiceUnavailable || got.Header["Set-Cookie"] != nil || got.Header.Get("Location") != "" || got.Header.Get("Hx-Redirect") != "" || got.Header.Get("Retry-After") == "" {
				t.Errorf("down: got %d with %v", got.Status, got.Header)
			}
			if log := g.log.String(); !strings.Contains(log, "the table is down") || !strings.Contains(log, "lookup_unavailable") || strings.Count(log, "\n") != 1 {
				t.Errorf("logs %s", log)
			}
			if test.session {
				g.down = nil
				if got := g.on(); got != "globex" {
					t.Errorf("sessions on %q", got)
				}
			}
		})
	}
}

// A host that is approved no longer keeps its sessions, and starts none.
func TestHostThatIsApprovedNoLonger(t *testing.T) {
	t.Parallel()
	approved := true
	g := newHostRig(t)
	g.auth = g.newAuth(g.several, func(c *core.Config) {
		ask := c.Hosts.Approve
		c.Hosts.Approve = func(ctx context.Context, host string) (bool, error) {
			ok, err := ask(ctx, host)
			return ok && approved, err
		}
	})
	g.browser.Serve(globex, g.app(g.auth))
	callback := g.callbackAt(globex)
	approved = false
	if page := g.visit(callback.String()); page.Status != http.StatusMisdirectedRequest || g.provider.Count(logintest.Token) != 0 || g.logins.Load() != 0 {
		t.Errorf("a callback: got %d", page.Status)
	}
	approved = true
	if page := g.visit(callback.String()); page.Status != http.StatusSeeOther || g.on() != "globex" {
		t.Fatalf("approved again: got %d, sessions on %q", page.Status, g.on())
	}
	approved = false
	if got := g.on(); got != "globex" {
		t.Errorf("sessions on %q", got)
	}
	if page := g.visit(globex + "/auth/login"); page.Status != http.StatusMisdirectedRequest {
		t.Errorf("a login: got %d", page.Status)
	}
}

// On http, hosts are those where plain http is safe, whatever Approve says.
func TestApprovedHostsOnPlainHTTP(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		insecure bool
		host     string
		status   int
	}{
		{false, "acme.localhost:8080", 303}, {false, "127.0.0.1:8080", 303}, {false, "app.example.test", 421}, {false, "localhost.example.test", 421}, {true, "app.example.test", 303},
	} {
		g := newRig(t)
		auth := g.newAuth(func(c *core.Config) {
			c.RedirectURL, c.InsecureHTTP = "http://app.localhost:8080/auth/callback", test.insecure
			c.Hosts.Approve = func(context.Context, string) (bool, error) { return true, nil }
		})
		r := httptest.NewRequest("GET", "/auth/login", nil)
		r.Host = test.host
		w := httptest.NewRecorder()
		g.app(auth).ServeHTTP(w, r)
		if w.Code != test.status {
			t.Errorf("%+v: got %d", test, w.Code)
		}
	}
}

// With one host, nothing asks for Host. Requests on several hosts cost no more memory
// than on one.
func TestGuardOnSeveralHostsAllocatesLittle(t *testing.T) {
	if crowds > 1 {
		t.Skip("the race detector allocates, too")
	}
	for name, change := range map[string]func(*core.Config){"": func(*core.Config) {}, "shared": shareDomain} {
		g := newHostRig(t, change)
		g.loginAt(globex)
		r := httptest.NewRequest("GET", globex+"/me", nil)
		for _, c := range g.browser.Cookies(globex) {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		if got := testing.AllocsPerRun(200, func() {
			clear(w.Header())
			if _, err := g.auth.Authenticate(w, r); err != nil {
				t.Fatal(err)
			}
		}); got > 5 {
			t.Errorf("%s: %v allocations, want at most 5", name, got)
		}
	}
}

// A host of the application is one that login pages name themselves: nothing that the
// browser sends chooses the host of a URL.
func TestHostsAreRegistered(t *testing.T) {
	t.Parallel()
	g := newHostRig(t)
	got := g.auth.Registrations()[0]
	if want := []string{callbackURL, acme + "/auth/callback"}; !slices.Equal(got.RedirectURIs, want) {
		t.Errorf("redirect_uris: got %q", got.RedirectURIs)
	}
	if want := []string{origin + "/", acme + "/"}; !slices.Equal(got.PostLogoutRedirectURIs, want) {
		t.Errorf("post_logout_redirect_uris: got %q", got.PostLogoutRedirectURIs)
	}
	if got.InitiateLoginURI != origin+"/auth/login" {
		t.Errorf("initiate_login_uri: got %q", got.InitiateLoginURI)
	}
}
