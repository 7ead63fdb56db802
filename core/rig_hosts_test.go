package core_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// The hosts of a hostRig: app is that of RedirectURL, acme is listed, and globex is
// approved. Browsers also reach it on evil, which is neither.
const (
	acme   = "https://acme.example.test"
	globex = "https://globex.example.test"
	evil   = "https://evil.example.test"
)

// A hostRig is an application on several hosts.
type hostRig struct {
	*rig
	asked []string // the hosts that Approve was asked about
	down  error    // what Approve returns
	hosts []string // of the logins that OnLogin has seen
}

func newHostRig(t testing.TB, change ...func(*core.Config)) *hostRig {
	t.Helper()
	return newHostRigOf(t, func(*logintest.Client) {}, change...)
}

// newHostRigOf is newHostRig with another registration at the provider.
func newHostRigOf(t testing.TB, register func(*logintest.Client), change ...func(*core.Config)) *hostRig {
	t.Helper()
	g := new(hostRig)
	g.rig = newRigOf(t, func(client *logintest.Client) {
		for _, origin := range []string{acme, globex, evil} {
			client.RedirectURIs = append(client.RedirectURIs, origin+"/auth/callback")
			client.PostLogoutRedirectURIs = append(client.PostLogoutRedirectURIs, origin+"/")
		}
		register(client)
	}, append([]func(*core.Config){g.several}, change...)...)
	for _, origin := range []string{acme, globex, evil} {
		g.browser.Serve(origin, g.app(g.auth))
	}
	return g
}

// several is the configuration of a hostRig.
func (g *hostRig) several(c *core.Config) {
	c.Hosts.Names = []string{"acme.example.test"}
	c.Hosts.Approve = func(_ context.Context, host string) (bool, error) {
		g.asked = append(g.asked, host)
		return host == "globex.example.test", g.down
	}
	c.OnLogin = func(_ context.Context, login *core.Login) error {
		g.logins.Add(1)
		g.hosts = append(g.hosts, login.Host)
		return nil
	}
}

// shareDomain shares sessions among all hosts.
func shareDomain(c *core.Config) { c.Hosts.SharedDomain = "example.test" }

// loginAt walks a whole login on a host.
func (g *hostRig) loginAt(origin string) {
	g.t.Helper()
	if page := g.get(origin + "/me"); page.Status != http.StatusOK || page.URL != origin+"/me" || !strings.HasPrefix(string(page.Body), "I am ") {
		g.t.Fatalf("login on %s ended with %d at %s: %s", origin, page.Status, page.URL, page.Body)
	}
}

// on tells on which hosts the browser has a session.
func (g *hostRig) on() (hosts string) {
	g.t.Helper()
	for _, origin := range []string{origin, acme, globex, evil} {
		r, err := http.NewRequest("GET", origin+"/me", nil)
		if err != nil {
			g.t.Fatal(err)
		}
		r.Header = http.Header{"Sec-Fetch-Mode": {"cors"}, "Accept": {"application/json"}}
		switch page := g.do(r); page.Status {
		case http.StatusOK:
			hosts += " " + strings.TrimSuffix(strings.TrimPrefix(origin, "https://"), ".example.test")
		case http.StatusUnauthorized:
		default:
			g.t.Fatalf("%s: got %d: %s", origin, page.Status, page.Body)
		}
	}
	return strings.TrimSpace(hosts)
}

func (g *hostRig) do(r *http.Request) *logintest.Page {
	g.t.Helper()
	page, err := g.browser.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	return page
}

// copyCookies gives the browser the cookies of one host at another one.
func (g *hostRig) copyCookies(from, to, prefix string) (copied int) {
	for _, c := range g.browser.Cookies(from + "/auth/logout") {
		if strings.HasPrefix(c.Name, prefix) {
			g.browser.SetCookie(to, &http.Cookie{Name: c.Name, Value: c.Value, Path: "/", Secure: true})
			copied++
		}
	}
	return copied
}

// callbackAt begins a login on a host, and returns the callback's URL without opening it.
func (g *hostRig) callbackAt(origin string) *url.URL {
	g.t.Helper()
	page := g.visit(origin + "/auth/login?return_to=/me")
	back := g.visit(page.Header.Get("Location")).Header.Get("Location")
	u, err := url.Parse(back)
	if err != nil || !strings.HasPrefix(back, origin+"/auth/callback?") {
		g.t.Fatalf("login on %s comes back to %s, %v", origin, back, err)
	}
	return u
}

// logoutAt posts the form of a page of from to the logout of to.
func (g *hostRig) logoutAt(from, to string, header http.Header) *logintest.Page {
	g.t.Helper()
	r, err := http.NewRequest("POST", to+"/auth/logout", nil)
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header = header.Clone()
	r.Header.Set("Origin", from)
	return g.do(r)
}

var sameOrigin = http.Header{"Sec-Fetch-Site": {"same-origin"}}

// tokenRequests are the redirect URIs of the token requests.
func (g *hostRig) tokenRequests() (uris []string) {
	for _, r := range g.provider.Requests() {
		if r.Endpoint == logintest.Token {
			uris = append(uris, r.Form.Get("redirect_uri"))
		}
	}
	return uris
}
