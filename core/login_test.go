package core_test

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// CHECKLIST 1 to 3, 10, 12 to 19.
func TestLoginSendsTheAuthorizationRequest(t *testing.T) {
	t.Parallel()
	g := newRig(t, func(c *core.Config) {
		c.Providers[0].AuthParams = url.Values{"prompt": {"login"}, "resource": {"a", "b"}}
	})
	g.provider.Misbehave(logintest.Faults{Discovery: func(m map[string]any) {
		m["authorization_endpoint"] = issuer + "/authorize?tenant=a"
		delete(m, "code_challenge_methods_supported") // which must not turn PKCE off
	}})
	r, err := http.NewRequest("GET", origin+"/auth/login?return_to=/secret-page", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "evil.example.test"
	r.Header.Set("X-Forwarded-Host", "evil.example.test")
	page, err := g.browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if page.Status != http.StatusSeeOther || len(page.Body) != 0 {
		t.Fatalf("got %d %q", page.Status, page.Body)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"} {
		if got := page.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	location := page.Header.Get("Location")
	if !strings.HasPrefix(location, issuer+"/authorize?tenant=a&") || strings.Contains(location, "evil") {
		t.Errorf("leads to %s", location)
	}
	to, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	query := to.Query()
	for name, want := range map[string]string{
		"response_type": "code", "client_id": "app", "redirect_uri": callbackURL,
		"scope": "openid profile email", "code_challenge_method": "S256", "prompt": "login", "tenant": "a",
	} {
		if got := query[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		raw, err := base64.RawURLEncoding.DecodeString(query.Get(name))
		if err != nil || len(raw) != 32 || len(query[name]) != 1 {
			t.Errorf("%s is not 32 bytes of base64url, once: %q", name, query[name])
		}
		if strings.Contains(string(raw), "secret-page") {
			t.Errorf("%s holds the return-to", name)
		}
	}
	if got := len(query["resource"]); got != 2 {
		t.Errorf("resource: got %d values, want 2", got)
	}
}

// CHECKLIST 94, 95, 97 to 100, 104.
func TestLoginCookieAttributes(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	page := g.visit(origin + "/auth/login")
	cookies := (&http.Response{Header: page.Header}).Cookies()
	if len(cookies) != 1 {
		t.Fatalf("got %d cookies, want 1", len(cookies))
	}
	c := cookies[0]
	if !strings.HasPrefix(c.Name, "__Host-pixy-login-") || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode ||
		c.Path != "/" || c.Domain != "" || c.MaxAge != 600 {
		t.Errorf("got %v", c)
	}
	if size := len(c.Name) + len(c.Value); size > 512 {
		t.Errorf("it has %d bytes, want a few hundred", size)
	}
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
		{"htmx", http.Header{"Hx-Request": {"true"}}, false},
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
			if test.begins {
				want = http.StatusSeeOther
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
