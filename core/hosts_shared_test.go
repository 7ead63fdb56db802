package core_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
)

// A session of the domain is good on all its hosts, and a logout on one ends it on all.
func TestSharedDomain(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*core.Config){
		"in cookies":  func(*core.Config) {},
		"in a Store":  inStore,
		"with tokens": keepTokens,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newHostRig(t, shareDomain, change, func(c *core.Config) { c.Sessions.Idle = time.Hour })
			page := g.visit(g.callbackAt(acme).String())
			session := false
			for _, c := range (&http.Response{Header: page.Header}).Cookies() {
				shared := c.Domain == "example.test"
				if shared != strings.HasPrefix(c.Name, "__Secure-pixy-") || shared == strings.HasPrefix(c.Name, "__Host-") {
					t.Errorf("sets %v", c)
				}
				if strings.Contains(c.Name, "-session") || strings.Contains(c.Name, "-tokens") || strings.Contains(c.Name, "-last") || strings.Contains(c.Name, "-logout") {
					session = true
					if !shared {
						t.Errorf("%s is not shared", c.Name)
					}
				} else if shared {
					t.Errorf("%s is shared", c.Name)
				}
			}
			if got := g.on(); !session || got != "app acme globex evil" { // evil is a guarded page of the domain
				t.Fatalf("sessions on %q", got)
			}
			if page := g.visit(evil + "/auth/login"); page.Status != http.StatusMisdirectedRequest {
				t.Errorf("login on an unknown host of the domain: got %d", page.Status)
			}
			g.advance(30 * time.Minute)
			if got := g.on(); got != "app acme globex evil" { // the first one renews it for all
				t.Fatalf("renewed: sessions on %q", got)
			}
			if page := g.logoutAt(globex, globex, sameOrigin); page.Header.Get("Location") != "/auth/logout" || g.on() != "" {
				t.Fatalf("leads to %q, sessions on %q", page.Header.Get("Location"), g.on())
			}
			if got := g.visit(globex + "/auth/logout?continue").Header.Get("Location"); !strings.HasPrefix(got, issuer+"/end-session?") || !strings.Contains(got, "id_token_hint=") {
				t.Errorf("leads to %q", got)
			}
			for _, c := range g.browser.Cookies(acme + "/auth/logout") {
				if !strings.HasPrefix(c.Name, "__Host-pixy-landed-") { // of a host, for a minute
					t.Errorf("%s is left", c.Name)
				}
			}
		})
	}
}

// Logins in progress belong to their host, and what one application seals for a domain is
// nothing for one that seals for hosts, nor the other way.
func TestSharedDomainSharesNoMore(t *testing.T) {
	t.Parallel()
	t.Run("the attempt's cookie of another host", func(t *testing.T) {
		t.Parallel()
		g := newHostRig(t, shareDomain)
		callback := g.callbackAt(acme)
		if g.copyCookies(acme, globex, "__Host-pixy-login-") != 1 {
			t.Fatal("no attempt")
		}
		callback.Host = "globex.example.test"
		if page := g.visit(callback.String()); !strings.HasPrefix(page.Header.Get("Location"), issuer+"/authorize?") || len(g.tokenRequests()) != 0 {
			t.Errorf("got %d to %q", page.Status, page.Header.Get("Location"))
		}
	})
	t.Run("a host outside of the domain", func(t *testing.T) {
		t.Parallel()
		g := newHostRig(t, shareDomain, func(c *core.Config) {
			c.Hosts.Approve = func(context.Context, string) (bool, error) { return true, nil }
		})
		g.loginAt(acme)
		for _, host := range []string{"acme.example.com", "badexample.test", "example.test.evil.test", "test"} {
			r, _ := http.NewRequest("GET", acme+"/auth/login", nil)
			r.Host = host
			if page := g.do(r); page.Status != http.StatusMisdirectedRequest {
				t.Errorf("%s: a login got %d", host, page.Status)
			}
			r, _ = http.NewRequest("GET", acme+"/me", nil)
			r.Host = host
			if page := g.do(r); page.Status != http.StatusUnauthorized {
				t.Errorf("%s: a guarded page got %d", host, page.Status)
			}
		}
	})
	t.Run("sealed for hosts, for the domain or for neither", func(t *testing.T) {
		t.Parallel()
		none := func(c *core.Config) { c.Hosts = core.HostConfig{} }
		kinds := map[string]func(*core.Config){"hosts": func(*core.Config) {}, "domain": shareDomain, "neither": none}
		for from, sealed := range kinds {
			for to, opens := range kinds {
				g := newHostRig(t, sealed)
				g.loginAt(origin)
				other := g.newAuth(g.several, opens)
				g.browser.Serve(origin, g.app(other))
				for _, c := range g.browser.Cookies(origin + "/auth/logout") { // under both names
					name := strings.TrimPrefix(strings.TrimPrefix(c.Name, "__Host-"), "__Secure-")
					for _, prefix := range []string{"__Host-", "__Secure-"} {
						g.browser.SetCookie(origin, &http.Cookie{Name: prefix + name, Value: c.Value, Path: "/", Secure: true})
					}
				}
				r, _ := http.NewRequest("GET", origin+"/me", nil)
				page := g.do(r)
				if got, want := page.Status == http.StatusOK, from == to && to != "domain"; got != want { // with two cookies of one name, neither counts
					t.Errorf("from %s to %s: got %d", from, to, page.Status)
				}
			}
		}
	})
}
