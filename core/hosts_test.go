package core_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

func orNothing[T any](change func(*T)) func(*T) {
	if change == nil {
		return func(*T) {}
	}
	return change
}

func inStore(c *core.Config) { c.Sessions.Store = newMemoryStore() }

// One Authenticator, three hosts, one browser. The cookies of one host are nothing on
// another, and a logout on one leaves the others.
func TestSessionsAreGoodOnTheirOwnHost(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		register func(*logintest.Client)
		change   func(*core.Config)
	}{
		"in cookies":           {},
		"in a Store":           {change: inStore},
		"with tokens":          {change: keepTokens},
		"with pushed requests": {register: requiresPAR},
		"with signed requests": {register: requiresSigned(t, clientKey), change: signs(clientKey)},
		"with parameters":      {change: func(c *core.Config) { c.Providers[0].Requests.AuthParams = url.Values{"max_age": {"600"}} }},
		"with a callback of the provider's own": {
			register: func(c *logintest.Client) {
				for i, uri := range c.RedirectURIs {
					c.RedirectURIs[i] = strings.Replace(uri, "/auth/callback", "/done", 1)
				}
			},
			change: func(c *core.Config) { c.Providers[0].RedirectURL = origin + "/done" },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newHostRigOf(t, orNothing(test.register), orNothing(test.change))
			var seen string
			for _, origin := range []string{origin, acme, globex} {
				g.loginAt(origin)
				seen += " " + strings.TrimSuffix(strings.TrimPrefix(origin, "https://"), ".example.test")
				if got := g.on(); got != seen[1:] {
					t.Fatalf("after a login on %s: sessions on %q", origin, got)
				}
			}
			if got := g.provider.Count(logintest.Discovery); got != 1 {
				t.Errorf("metadata was fetched %d times", got)
			}
			path := strings.TrimPrefix(g.auth.Registrations()[0].RedirectURIs[0], origin)
			if got, want := g.tokenRequests(), []string{origin + path, acme + path, globex + path}; !slices.Equal(got, want) {
				t.Errorf("redirect_uri: got %q", got)
			}
			if want := []string{"app.example.test", "acme.example.test", "globex.example.test"}; !slices.Equal(g.hosts, want) {
				t.Errorf("Login.Host: got %q", g.hosts)
			}

			page := g.logoutAt(acme, acme, sameOrigin)
			if page.Status != 303 || page.Header.Get("Location") != "/auth/logout" || g.on() != "app globex" {
				t.Fatalf("got %d to %q, sessions on %q", page.Status, page.Header.Get("Location"), g.on())
			}
			to, _ := url.Parse(g.visit(acme + "/auth/logout?continue").Header.Get("Location"))
			if got := to.Query().Get("post_logout_redirect_uri"); got != acme+"/" {
				t.Errorf("post_logout_redirect_uri: got %q", got)
			}

			for _, c := range g.browser.Cookies(globex + "/auth/logout") { // all cookies of another host, copied
				g.browser.SetCookie(acme, &http.Cookie{Name: c.Name, Value: c.Value, Path: "/", Secure: true})
			}
			if got := g.on(); got != "app globex" {
				t.Errorf("with the cookies of another host: sessions on %q", got)
			}
		})
	}
}

// A host of another customer, which is approved as well, gets nothing for the cookies of
// this one. In each row one thing is of the other host.
func TestNothingOfAnotherHostOpens(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*core.Config)
		attack func(t *testing.T, g *hostRig)
	}{
		"the session's cookie": {attack: func(t *testing.T, g *hostRig) {
			g.loginAt(acme)
			if g.copyCookies(acme, globex, "__Host-pixy-session") != 1 || g.on() != "acme" {
				t.Errorf("sessions on %q", g.on())
			}
		}},
		"the session's place in a Store": {change: inStore, attack: func(t *testing.T, g *hostRig) {
			g.loginAt(acme)
			if g.copyCookies(acme, globex, "__Host-pixy-session") != 1 || g.on() != "acme" {
				t.Errorf("sessions on %q", g.on())
			}
		}},
		"the Host header of a guarded request": {attack: func(t *testing.T, g *hostRig) {
			g.loginAt(acme)
			r, _ := http.NewRequest("GET", acme+"/me", nil)
			r.Host = "globex.example.test"
			if page := g.do(r); page.Status != http.StatusUnauthorized {
				t.Errorf("got %d: %s", page.Status, page.Body)
			}
		}},
		"the Host header of a logout": {attack: func(t *testing.T, g *hostRig) {
			g.loginAt(acme)
			r, _ := http.NewRequest("POST", acme+"/auth/logout", nil)
			r.Host, r.Header = "globex.example.test", http.Header{"Origin": {acme}, "Sec-Fetch-Site": {"same-site"}}
			if page := g.do(r); page.Status != http.StatusForbidden || g.on() != "acme" {
				t.Errorf("got %d, sessions on %q", page.Status, g.on())
			}
		}},
		"the callback": {attack: func(t *testing.T, g *hostRig) {
			callback := g.callbackAt(acme)
			callback.Host = "globex.example.test"
			page := g.visit(callback.String())
			to, _ := url.Parse(page.Header.Get("Location"))
			if page.Status != 303 || to.Query().Get("redirect_uri") != globex+"/auth/callback" { // begins a login of its own
				t.Errorf("got %d to %v", page.Status, to)
			}
		}},
		"the callback, with the attempt's cookie": {attack: func(t *testing.T, g *hostRig) {
			callback := g.callbackAt(acme)
			if g.copyCookies(acme, globex, "__Host-pixy-login-") != 1 {
				t.Fatal("no attempt")
			}
			callback.Host = "globex.example.test"
			page := g.visit(callback.String())
			to, _ := url.Parse(page.Header.Get("Location"))
			if page.Status != 303 || to.Query().Get("redirect_uri") != globex+"/auth/callback" {
				t.Errorf("got %d to %v", page.Status, to)
			}
		}},
		"the Host header of a callback": {attack: func(t *testing.T, g *hostRig) {
			callback := g.callbackAt(acme)
			r, _ := http.NewRequest("GET", callback.String(), nil)
			r.Host = "globex.example.test"
			if page := g.do(r); !strings.HasPrefix(page.Header.Get("Location"), issuer+"/authorize?") {
				t.Errorf("got %d to %q", page.Status, page.Header.Get("Location"))
			}
		}},
		"a link with a payload": {attack: func(t *testing.T, g *hostRig) {
			link := func(origin string) string {
				r := httptest.NewRequest("GET", origin+"/link", nil)
				for _, c := range g.browser.Cookies(origin) {
					r.AddCookie(c)
				}
				r.Header.Set("Sec-Fetch-Mode", "cors") // no page, so the login is offered by a link
				w := httptest.NewRecorder()
				failure := new(core.Error)
				if err := g.auth.LoginWith(w, r, core.LoginOptions{Payload: "account 7"}); !errors.As(err, &failure) {
					t.Fatal(err)
				}
				for _, c := range w.Result().Cookies() {
					g.browser.SetCookie(origin, c)
				}
				return failure.LoginURL()
			}
			here := link(acme)
			if g.copyCookies(acme, globex, "__Host-pixy-browser") != 1 {
				t.Fatal("no key of the browser")
			}
			if page := g.visit(globex + here); page.Status != http.StatusBadRequest {
				t.Errorf("there: got %d to %q", page.Status, page.Header.Get("Location"))
			}
			if page := g.visit(acme + here); page.Status != http.StatusSeeOther {
				t.Errorf("here: got %d: %s", page.Status, page.Body)
			}
		}},
		"the requirement in a link": {attack: func(t *testing.T, g *hostRig) {
			r := httptest.NewRequest("GET", acme+"/vault", nil)
			failure := new(core.Error)
			if _, err := g.auth.AuthenticateFor(httptest.NewRecorder(), r, core.Requirement{ACR: []string{"gold"}}); !errors.As(err, &failure) {
				t.Fatal(err)
			}
			for origin, want := range map[string]string{acme: "gold", globex: ""} {
				to, _ := url.Parse(g.visit(origin + failure.LoginURL()).Header.Get("Location"))
				if got := to.Query().Get("acr_values"); got != want {
					t.Errorf("on %s: got %q", origin, got)
				}
			}
		}},
		"the hint for a logout": {attack: func(t *testing.T, g *hostRig) {
			g.loginAt(acme)
			for _, name := range []string{"__Secure-pixy-logout", "__Host-pixy-last"} {
				if g.copyCookies(acme, globex, name) != 1 {
					t.Fatalf("no %s", name)
				}
			}
			if page := g.logoutAt(globex, globex, sameOrigin); page.Header.Get("Location") != "/" { // not on to the provider
				t.Errorf("leads to %q", page.Header.Get("Location"))
			}
		}},
		"the departure of a logout": {attack: func(t *testing.T, g *hostRig) {
			g.loginAt(acme)
			g.logoutAt(acme, acme, sameOrigin)
			if g.copyCookies(acme, globex, "__Host-pixy-leaving") != 1 {
				t.Fatal("no departure")
			}
			if page := g.visit(globex + "/auth/logout?continue"); page.Header.Get("Location") != "/auth/logout" {
				t.Errorf("leads to %q", page.Header.Get("Location"))
			}
		}},
		"the page of a login with a long address": {attack: func(t *testing.T, g *hostRig) {
			long := "/me?" + strings.Repeat("a", 600)
			page := g.visit(acme + "/auth/login?return_to=" + url.QueryEscape(long))
			if g.copyCookies(acme, globex, "__Host-pixy-return") != 1 {
				t.Fatal("no cookie for the page")
			}
			back := g.visit(page.Header.Get("Location")).Header.Get("Location")
			if got := g.visit(back).Header.Get("Location"); got != long {
				t.Errorf("ends at %q", got)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newHostRig(t, orNothing(test.change))
			test.attack(t, g)
			if got := g.provider.Count(logintest.Token); got > 1 || int(g.logins.Load()) != got {
				t.Errorf("%d token requests, %d logins", got, g.logins.Load())
			}
		})
	}
}

// Two hosts of the application are two origins.
func TestLogoutFromAnotherHostOfTheApplication(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		from   string
		header http.Header
		status int
	}{
		"its own page":                      {acme, http.Header{"Sec-Fetch-Site": {"same-origin"}}, http.StatusSeeOther},
		"its own page, in an old browser":   {acme, http.Header{}, http.StatusSeeOther},
		"another host":                      {origin, http.Header{"Sec-Fetch-Site": {"same-site"}}, http.StatusForbidden},
		"another host, in an old browser":   {origin, http.Header{}, http.StatusForbidden},
		"an unknown host":                   {evil, http.Header{"Sec-Fetch-Site": {"same-site"}}, http.StatusForbidden},
		"an unknown host, in another place": {"https://evil.test", http.Header{"Sec-Fetch-Site": {"cross-site"}}, http.StatusForbidden},
	} {
		for kind, change := range map[string]func(*core.Config){"": func(*core.Config) {}, ", shared": shareDomain} {
			t.Run(name+kind, func(t *testing.T) {
				t.Parallel()
				g := newHostRig(t, change)
				g.loginAt(acme)
				if got := g.logoutAt(test.from, acme, test.header).Status; got != test.status || (g.on() == "") != (got == http.StatusSeeOther) {
					t.Errorf("got %d, sessions on %q", got, g.on())
				}
			})
		}
	}
}

// What a login that another site begins may end at is on the host of the login.
func TestTargetLinkOnSeveralHosts(t *testing.T) {
	t.Parallel()
	for target, ends := range map[string]string{acme + "/me": "/me", origin + "/me": "/", globex + "/me": "/", evil + "/me": "/"} {
		for _, method := range []string{"GET", "POST"} {
			t.Run(method+" "+target, func(t *testing.T) {
				t.Parallel()
				g := newHostRig(t)
				query := url.Values{"iss": {issuer}, "target_link_uri": {target}}
				to := acme + "/auth/login?" + query.Encode()
				if method == "POST" {
					page, err := g.browser.Post(acme+"/auth/login", query)
					if err != nil || len(page.Hops) < 2 {
						t.Fatalf("got %v, %v", page, err)
					}
					if page.URL != acme+ends {
						t.Errorf("ends at %s", page.URL)
					}
					return
				}
				if got := g.get(to).URL; got != acme+ends {
					t.Errorf("ends at %s", got)
				}
			})
		}
	}
}

// A link that is sent is on the host where it was asked for, and only its own page asks.
func TestLinksAreForTheirHost(t *testing.T) {
	t.Parallel()
	p, customers := newPost(), customerTable{}
	g := newHostRigOf(t, func(c *logintest.Client) {
		for _, origin := range []string{acme, globex} {
			c.RedirectURIs = append(c.RedirectURIs, origin+"/auth/callback/acme")
		}
	}, customers.lookUp, func(c *core.Config) {
		c.Lookup.Choose = new(reception).choose
	}, p.sendLinks)
	form := formIn(t, g.get(globex+"/auth/login?return_to=/me"), typedThere)
	submit := func(from string) *logintest.Page {
		r, err := http.NewRequest("POST", globex+"/auth/login", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Origin": {from}, "Accept": {"text/html"}}
		return g.do(r)
	}
	if page := submit(acme); page.Status != http.StatusOK || strings.Contains(string(page.Body), "we have sent you a link") {
		t.Errorf("a form of another host: got %d %s", page.Status, page.Body)
	}
	submit(globex)
	link := (<-p.sent)[1]
	if !strings.HasPrefix(link, globex+"/auth/login?provider=acme&") || len(p.sent) != 0 {
		t.Fatalf("sent %s", link)
	}
	elsewhere := strings.Replace(link, globex, acme, 1)
	for from, hint := range map[string]string{link: typedThere, elsewhere: ""} {
		to, _ := url.Parse(g.visit(from).Header.Get("Location"))
		u, _ := url.Parse(from)
		if got := to.Query(); got.Get("login_hint") != hint || got.Get("redirect_uri") != "https://"+u.Host+"/auth/callback/acme" {
			t.Errorf("%s asks with %v", from, got)
		}
	}
	if page := g.get(link); string(page.Body) != "I am ada" || g.on() != "globex" {
		t.Errorf("ends at %s with %s, sessions on %q", page.URL, page.Body, g.on())
	}
}
