package core_test

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// Whatever the metadata says or does not say about PKCE.
func TestLoginSendsAChallenge(t *testing.T) {
	t.Parallel()
	for name, secret := range map[string]string{
		"rules 1, 2: S256 by a confidential client": "canary-client-secret",
		"rules 1, 2: S256 by a public client":       "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, func(c *core.Config) { c.Providers[0].ClientSecret = secret })
			g.provider.Misbehave(logintest.Faults{Discovery: func(m map[string]any) { delete(m, "code_challenge_methods_supported") }})
			for _, at := range []string{"/auth/login", "/me"} {
				to, err := url.Parse(g.visit(origin + at).Header.Get("Location"))
				if err != nil {
					t.Fatal(err)
				}
				query := to.Query()
				raw, err := base64.RawURLEncoding.DecodeString(query.Get("code_challenge"))
				if err != nil || len(raw) != 32 || len(query["code_challenge"]) != 1 || query.Get("code_challenge_method") != "S256" {
					t.Errorf("%s leads to %s", at, to)
				}
			}
		})
	}
}

// A provider that refuses S256 gets no second request with less.
func TestLoginNeverFallsBack(t *testing.T) {
	t.Parallel()
	t.Run("rule 6: the provider refuses S256", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.provider.Misbehave(logintest.Faults{Authorization: func(query url.Values) {
			query.Del("code")
			query.Set("error", "invalid_request")
			query.Set("error_description", "transform algorithm not supported")
		}})
		page := g.get(origin + "/me")
		if page.Status != http.StatusForbidden || !strings.Contains(string(page.Body), "provider_refused") {
			t.Errorf("got %d: %s", page.Status, page.Body)
		}
		if got := g.provider.Count(logintest.Authorization); got != 1 {
			t.Errorf("%d authorization requests, want 1", got)
		}
		if got := g.provider.Count(logintest.Token); got != 0 {
			t.Errorf("%d token requests", got)
		}
	})
	t.Run("rule 6: the provider supports plain only", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.provider.Misbehave(logintest.Faults{Discovery: func(m map[string]any) { m["code_challenge_methods_supported"] = []string{"plain"} }})
		page := g.get(origin + "/me")
		if page.Status != http.StatusBadGateway || !strings.Contains(g.log.String(), "S256 is needed") {
			t.Errorf("got %d, and the log says %s", page.Status, g.log.String())
		}
		if got := g.provider.Count(logintest.Authorization); got != 0 {
			t.Errorf("%d authorization requests", got)
		}
	})
}

func TestLoginSendsTheAuthorizationRequest(t *testing.T) {
	t.Parallel()
	g := newRig(t, func(c *core.Config) {
		c.Providers[0].Requests.AuthParams = url.Values{"prompt": {"login"}, "resource": {"a", "b"}}
		c.Providers[0].Scopes = []string{"openid"}
	})
	g.provider.Misbehave(logintest.Faults{Discovery: func(m map[string]any) {
		m["authorization_endpoint"] = issuer + "/authorize?tenant=a"
	}})
	// What the browser adds to the login's URL is none of the provider's business.
	page := g.visit(origin + "/auth/login?return_to=/secret-page&state=x&redirect_uri=https://evil.example.test&scope=all")
	location := page.Header.Get("Location")
	to, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	query := to.Query()
	want := func(t *testing.T, name, value string) {
		t.Helper()
		if got := query[name]; len(got) != 1 || got[0] != value {
			t.Errorf("%s: got %q, want %q", name, got, value)
		}
	}
	t.Run("rule 10: state says nothing", func(t *testing.T) {
		for _, name := range []string{"state", "nonce"} {
			raw, err := base64.RawURLEncoding.DecodeString(query.Get(name))
			if err != nil || len(raw) != 32 || strings.Contains(string(raw), "secret") || strings.Contains(location, "secret") {
				t.Errorf("%s is not 32 bytes of base64url: %q", name, query[name])
			}
		}
	})
	t.Run("rule 12: scope has openid", func(t *testing.T) { want(t, "scope", "openid") })
	t.Run("rule 13: redirect_uri is the registered one", func(t *testing.T) { want(t, "redirect_uri", callbackURL) })
	t.Run("rule 15: no parameter comes twice", func(t *testing.T) {
		for name, values := range query {
			if len(values) != 1 && name != "resource" {
				t.Errorf("%s: got %q", name, values)
			}
		}
		if got := len(query["resource"]); got != 2 { // RFC 8707 section 2
			t.Errorf("resource: got %d values, want 2", got)
		}
		want(t, "client_id", "app")
		want(t, "prompt", "login")
	})
	t.Run("rule 16: the endpoint keeps its query", func(t *testing.T) {
		if !strings.HasPrefix(location, issuer+"/authorize?tenant=a&") {
			t.Errorf("leads to %s", location)
		}
		want(t, "tenant", "a")
	})
	t.Run("rule 17: response_type is code", func(t *testing.T) { want(t, "response_type", "code") })
	t.Run("rule 18: no scope but those configured", func(t *testing.T) { want(t, "scope", "openid") })
	t.Run("rule 38: nobody keeps the answer or passes its URL on", func(t *testing.T) {
		for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"} {
			if got := page.Header.Get(name); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
		if len(page.Body) != 0 {
			t.Errorf("there is a body: %s", page.Body)
		}
	})
	for _, method := range []string{"GET", "POST"} {
		t.Run("rule 19: 303 to whoever comes by "+method, func(t *testing.T) {
			r, err := http.NewRequest(method, origin+"/auth/login", strings.NewReader("a=b"))
			if err != nil {
				t.Fatal(err)
			}
			if page, err := g.browser.Do(r); err != nil || page.Status != http.StatusSeeOther {
				t.Errorf("got %v, %v", page, err)
			}
		})
	}
}

// Without configuration, the scopes of a login that shows a name.
func TestLoginAsksForNameAndEmailByDefault(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	to, err := url.Parse(g.visit(origin + "/auth/login").Header.Get("Location"))
	if err != nil || to.Query().Get("scope") != "openid profile email" {
		t.Errorf("leads to %v, %v", to, err)
	}
}

func TestLoginCookieAttributes(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	page := g.visit(origin + "/auth/login")
	cookies := (&http.Response{Header: page.Header}).Cookies()
	if len(cookies) != 1 {
		t.Fatalf("got %d cookies, want 1", len(cookies))
	}
	c := cookies[0]
	for name, ok := range map[string]bool{
		"rule 94: Secure":                            c.Secure,
		"rule 95: HttpOnly":                          c.HttpOnly,
		"rule 97: Lax, as the answer is a GET":       c.SameSite == http.SameSiteLaxMode,
		"rules 98, 99: all paths of this host alone": c.Path == "/" && c.Domain == "",
		"rule 100: prefix that ties it to the host":  strings.HasPrefix(c.Name, "__Host-pixy-login-"),
		"rule 24: ten minutes":                       c.MaxAge == 600,
		"rule 105: a few hundred bytes":              len(c.Name)+len(c.Value) <= 512,
	} {
		t.Run(name, func(t *testing.T) {
			if !ok {
				t.Errorf("got %v", c)
			}
		})
	}
}

// From the login's URL to the page that the person sees in the end.
func TestLoginEndsInThisApplication(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, returnTo, ends string }{
		{"rule 117: a page", "/me?tab=1", "/me?tab=1"},
		{"rule 117: another host", "//evil.example.test/", "/"},
		{"rule 117: another host by backslash", `/\evil.example.test/`, "/"},
		{"rule 117: another site", "https://evil.example.test/", "/"},
		{"rule 117: a script", "javascript:alert(1)", "/"},
		{"rule 117: ten kilobytes", "/" + strings.Repeat("a", 10<<10), "/"},
		{"rule 117: the callback, which would be a circle", "/auth/callback?x=y", "/"},
		{"rule 117: the login, which would be a circle", "/auth/login#x", "/"},
		{"rule 117: the logout", "/auth/logout", "/"},
		{"rule 117: the provider's logout", "/auth/backchannel-logout", "/"},
		{"rule 117: the provider's logout, in a frame", "/auth/frontchannel-logout?iss=x", "/"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, func(c *core.Config) { c.Logout.Revocations = new(core.MemoryRevocations) })
			callback := follow(t, g.browser, origin+"/auth/login?return_to="+url.QueryEscape(test.returnTo))
			if got := g.visit(callback.String()).Header.Get("Location"); got != test.ends {
				t.Errorf("got %q, want %q", got, test.ends)
			}
		})
	}
	t.Run("rule 117: checked once more when it is used", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		callback := follow(t, g.browser, origin+"/auth/login?return_to=/aevil.example.test/")
		cookie := g.cookiesNamed("__Host-pixy-login-")[0]
		record, _ := g.auth.OpenAttempt(cookie.Name, cookie.Value)
		cookie.Value = g.auth.SealAttempt(cookie.Name, bytes.Replace(record, []byte("/aevil"), []byte("//evil"), 1))
		g.browser.SetCookie(origin, &http.Cookie{Name: cookie.Name, Value: cookie.Value, Path: "/", Secure: true})
		if got := g.visit(callback.String()).Header.Get("Location"); got != "/" {
			t.Errorf("got %q, want /", got)
		}
	})
}

func TestLoginBeginsForNavigationsOnly(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		header http.Header
		begins bool
	}{
		{"a page", http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}, true},
		{"a client that does not say", nil, true},
		{"prefetch", http.Header{"Sec-Purpose": {"prefetch"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}, false},
		{"prerender", http.Header{"Sec-Purpose": {"prefetch;prerender"}}, false},
		{"older prefetch", http.Header{"Purpose": {"prefetch"}}, false},
		{"Firefox prefetch", http.Header{"X-Moz": {"prefetch"}}, false},
		{"frame", http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"iframe"}}, false},
		{"fetch", http.Header{"Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"}}, false},
		{"image", http.Header{"Sec-Fetch-Mode": {"no-cors"}, "Sec-Fetch-Dest": {"image"}}, false},
		{"XMLHttpRequest", http.Header{"X-Requested-With": {"XMLHttpRequest"}}, false},
		{"XMLHttpRequest, spelled otherwise", http.Header{"X-Requested-With": {"xmlhttprequest"}}, false},
		{"an older WebView", http.Header{"X-Requested-With": {"com.example.app"}}, true},
		{"Turbo's prefetch", http.Header{"X-Sec-Purpose": {"prefetch"}, "X-Turbo-Request-Id": {"1"}, "Sec-Fetch-Mode": {"cors"}}, false},
		{"htmx", http.Header{"Hx-Request": {"true"}}, false},
		{"Turbo", http.Header{"X-Turbo-Request-Id": {"1"}}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			r, err := http.NewRequest("GET", origin+"/auth/login", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header = test.header
			if r.Header == nil {
				r.Header = make(http.Header)
			}
			page, err := g.browser.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			want := http.StatusForbidden
			switch {
			case test.begins:
				want = http.StatusSeeOther
			case strings.Contains(test.name, "htmx") || strings.Contains(test.name, "Turbo"): // they load the login in full
				want = http.StatusOK
			}
			if page.Status != want {
				t.Errorf("got %d, want %d", page.Status, want)
			}
			if got := len(g.cookiesNamed("__Host-pixy-login-")); (got == 1) != test.begins {
				t.Errorf("%d attempts were begun", got)
			}
		})
	}
}
