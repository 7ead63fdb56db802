package core_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

// Nothing that a browser sends to any route gives a 5xx, a session or a token
// request.
func TestHostileRequestsGetClearAnswers(t *testing.T) {
	t.Parallel()
	t.Run("rules 36, 104, 106, 117: whatever comes", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		long := strings.Repeat("A", 60<<10)
		queries := []string{
			"", "%", "%zz", ";", "&&&", "a[]=b", "return_to=//evil.example.test", "return_to=%0d%0aSet-Cookie:a=b", "return_to=" + long,
			"return_to=/a&return_to=/b", "state=" + long, "code=" + long + "&state=x", "error=" + long + "&state=x", "state=%00", "state=\xff",
			"state=" + strings.Repeat("A", 43) + "&code=x", "state=" + strings.Repeat("A", 43) + "-r&code=x", "iss=x&iss=y&state=z", "continue",
		}
		cookies := []string{
			"", "=", ";;;", "__Host-pixy-session", "__Host-pixy-session=", "__Host-pixy-session=1", "__Host-pixy-session=2x; __Host-pixy-session-2=y",
			"__Host-pixy-session=9" + long, "__Host-pixy-leaving=x", "__Host-pixy-leaving=" + long + "; __Host-pixy-last=" + long, "__Host-pixy-login-=x", "__Host-pixy-login-\x01=x", "__Secure-pixy-logout=x; __Secure-pixy-logout=y",
			strings.Repeat("__Host-pixy-login-a=b; ", 2000), "a=\"b", "\xff=\xff", "__Host-pixy-session=" + strings.Repeat("=", 9000),
		}
		headers := []http.Header{
			{}, {"Accept": {"text/html"}}, {"Accept": {long}}, {"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}, "Accept": {"text/html"}},
			{"Hx-Request": {"true"}, "Hx-Current-Url": {"http://[::1"}}, {"Origin": {"null"}}, {"X-Forwarded-Host": {"evil.example.test"}, "Forwarded": {"host=evil.example.test"}},
		}
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE"} {
			for _, path := range []string{"/auth/login", "/auth/callback", "/auth/logout", "/me"} {
				for i, query := range queries {
					for j, cookie := range cookies {
						header := headers[(i+j)%len(headers)].Clone()
						header.Set("Cookie", cookie)
						r := (&http.Request{
							Method: method, Header: header,
							URL: &url.URL{Scheme: "https", Host: "app.example.test", Path: path, RawQuery: query},
						}).WithContext(t.Context())
						fresh := logintest.NewBrowser()
						fresh.Serve(origin, g.app(g.auth))
						page, err := fresh.Do(r)
						if err != nil {
							t.Fatalf("%s %s?%.40s with %.40q: %v", method, path, query, cookie, err)
						}
						ours := path == "/auth/logout" || page.Header.Get("HX-Redirect") == path+strings.TrimSuffix("?"+query, "?") || strings.Contains(page.Header.Get("HX-Redirect"), "%FF")
						if page.Status >= 500 || page.Status == 200 && !ours || setsSession(page.Header) {
							t.Errorf("%s %s?%.40s with %.40q: got %d", method, path, query, cookie, page.Status)
						}
						if to := page.Header.Get("Location"); strings.Contains(to, "evil.example") || strings.Contains(string(page.Body), "evil.example") {
							t.Errorf("%s %s?%.40s leads to %s", method, path, query, to)
						}
					}
				}
			}
		}
		if got := g.provider.Count(logintest.Token); got != 0 {
			t.Errorf("%d token requests", got)
		}
	})
}

// What a request says about host, scheme and path decides nothing.
func TestForwardedHeadersChangeNothing(t *testing.T) {
	t.Parallel()
	forged := http.Header{
		"Forwarded":          {"host=evil.example.test;proto=http;for=127.0.0.1"},
		"X-Forwarded-Host":   {"evil.example.test"},
		"X-Forwarded-Proto":  {"http"},
		"X-Forwarded-Port":   {"81"},
		"X-Forwarded-Prefix": {"/evil"},
		"X-Forwarded-Uri":    {"/evil"},
		"X-Original-Url":     {"/evil"},
		"X-Rewrite-Url":      {"/evil"},
		"X-Forwarded-User":   {"root"},
	}
	ask := func(t *testing.T, g *rig, method, path string) *logintest.Page {
		t.Helper()
		r, err := http.NewRequest(method, origin+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = forged.Clone()
		r.Header.Set("Accept", "text/html")
		r.Host = "evil.example.test"
		page, err := g.browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		return page
	}
	for name, path := range map[string]string{
		"rules 14, 116: redirect_uri of a login":        "/auth/login",
		"rules 14, 116: redirect_uri of a guarded page": "/me",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			page := ask(t, g, "GET", path)
			to, err := url.Parse(page.Header.Get("Location"))
			if err != nil || to.Query().Get("redirect_uri") != callbackURL || strings.Contains(to.String(), "evil.example") {
				t.Errorf("leads to %v, %v", to, err)
			}
			for _, line := range page.Header["Set-Cookie"] {
				if !strings.Contains(line, "; Secure") || strings.Contains(line, "evil.example") {
					t.Errorf("sets %q", line)
				}
			}
		})
	}
	t.Run("rule 116: nobody becomes somebody", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		if page := ask(t, g, "POST", "/me"); page.Status != http.StatusUnauthorized {
			t.Errorf("got %d: %s", page.Status, page.Body)
		}
	})
	t.Run("rule 116: where a login and a logout end", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		callback := g.toCallback()
		if got := ask(t, g, "GET", callback.RequestURI()).Header.Get("Location"); got != "/me" {
			t.Errorf("the login ends at %q", got)
		}
		if to := ask(t, g, "POST", "/auth/logout").Header.Get("Location"); to != "/auth/logout" {
			t.Errorf("the logout leads to %q", to)
		}
		to := ask(t, g, "GET", "/auth/logout?continue").Header.Get("Location")
		if !strings.HasPrefix(to, issuer+"/end-session?") || strings.Contains(to, "evil.example") {
			t.Errorf("the logout leads to %q", to)
		}
	})
}
