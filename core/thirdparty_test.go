package core_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A login that somebody else begins is one at a configured provider, and ends in
// this application (OpenID Connect Core section 4).
func TestThirdPartyInitiatedLogin(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name       string
		query      url.Values
		hint, ends string
	}{
		{"rule 118: iss alone", url.Values{}, "", "/"},
		{"rule 118: a hint", url.Values{"login_hint": {"jürgen+1@example.test"}}, "jürgen+1@example.test", "/"},
		{"rule 118: a hint of a kilobyte", url.Values{"login_hint": {strings.Repeat("a", 1024)}}, "", "/"},
		{"rule 118: a hint with a line break", url.Values{"login_hint": {"a\r\nSet-Cookie: a=b"}}, "", "/"},
		{"rule 118: a hint that is not UTF-8", url.Values{"login_hint": {"\xff"}}, "", "/"},
		{"rule 118: two hints", url.Values{"login_hint": {"a", "b"}}, "", "/"},
		{"rule 118: a target here", url.Values{"target_link_uri": {origin + "/me?tab=1#x"}}, "", "/me?tab=1#x"},
		{"rule 118: a target here, in capitals", url.Values{"target_link_uri": {"HTTPS://APP.example.test/Me"}}, "", "/Me"},
		{"rule 118: the application itself", url.Values{"target_link_uri": {origin}}, "", "/"},
		{"rule 118: two targets", url.Values{"target_link_uri": {origin + "/me", origin + "/me"}}, "", "/"},
		{"rule 118: a target elsewhere", url.Values{"target_link_uri": {"https://evil.example.test/me"}}, "", "/"},
		{"rule 118: a target on a host as long as ours", url.Values{"target_link_uri": {"https://bad.example.test/me"}}, "", "/"},
		{"rule 118: a target on http", url.Values{"target_link_uri": {"http://app.example.test/me"}}, "", "/"},
		{"rule 118: a target on another port", url.Values{"target_link_uri": {origin + ":8443/me"}}, "", "/"},
		{"rule 118: a target with our name as its user", url.Values{"target_link_uri": {origin + "@evil.example.test/"}}, "", "/"},
		{"rule 118: a target on a longer host", url.Values{"target_link_uri": {origin + ".evil.example.test/"}}, "", "/"},
		{"rule 118: a target with two slashes", url.Values{"target_link_uri": {origin + "//evil.example.test/"}}, "", "/"},
		{"rule 118: a target with a backslash", url.Values{"target_link_uri": {origin + `/\evil.example.test/`}}, "", "/"},
		{"rule 118: a target that is a path", url.Values{"target_link_uri": {"/me"}}, "", "/"},
		{"rule 118: a target that is a script", url.Values{"target_link_uri": {"javascript:alert(1)"}}, "", "/"},
		{"rule 118: the logout as a target", url.Values{"target_link_uri": {origin + "/auth/logout"}}, "", "/"},
		{"rule 118: what else there may be", url.Values{"return_to": {"/me"}, "provider": {"x"}, "prompt": {"none"}, "state": {"x"}}, "", "/"},
	} {
		test.query.Set("iss", issuer)
		for _, method := range []string{"GET", "POST"} {
			t.Run(test.name+", by "+method, func(t *testing.T) {
				t.Parallel()
				g := newRig(t)
				asked := g.elsewhere(method, test.query)
				to, err := url.Parse(asked.Header.Get("Location"))
				if err != nil || asked.Status != 303 || !strings.HasPrefix(to.String(), issuer+"/authorize?") {
					t.Fatalf("got %d to %v, %v", asked.Status, to, err)
				}
				query := to.Query()
				if query.Get("login_hint") != test.hint || query.Has("login_hint") != (test.hint != "") || query.Has("prompt") || query.Get("state") == "x" {
					t.Errorf("asks for %v", query)
				}
				callback := follow(t, g.browser, to.String())
				if got := g.visit(callback.String()).Header.Get("Location"); got != test.ends || g.whoAmI() != "I am ada" {
					t.Errorf("ends at %q as %q", got, g.whoAmI())
				}
			})
		}
	}
	t.Run("oidcc-client-test-3rd-party-init-login", func(t *testing.T) {
		t.Parallel()
		g := newSuite(t)
		page := g.elsewhere("GET", url.Values{"iss": {suiteIssuer}, "target_link_uri": {origin + "/me"}})
		if page := g.get(page.Header.Get("Location")); page.URL != origin+"/me" || string(page.Body) != "I am ada" {
			t.Errorf("got %d at %s: %s", page.Status, page.URL, page.Body)
		}
		if g.provider.Count(logintest.UserInfo) != 1 {
			t.Error("UserInfo was not asked")
		}
	})
}

// elsewhere has another site send the browser to the login path, by a link or by
// a form that it submits itself, and follows redirects within the application. To
// the form browsers add no Lax cookies.
func (g *rig) elsewhere(method string, query url.Values) *logintest.Page {
	g.t.Helper()
	to, body := origin+"/auth/login?"+query.Encode(), ""
	if method == "POST" {
		to, body = origin+"/auth/login", query.Encode()
	}
	for {
		r, err := http.NewRequest(method, to, strings.NewReader(body))
		if err != nil {
			g.t.Fatal(err)
		}
		r.Header = http.Header{
			"Accept": {"text/html"}, "Content-Type": {"application/x-www-form-urlencoded"}, "Origin": {"https://portal.example.test"},
			"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}, "Sec-Fetch-Site": {"cross-site"},
		}
		page, err := g.browser.Do(r)
		if err != nil {
			g.t.Fatal(err)
		}
		next := page.Header.Get("Location")
		if !strings.HasPrefix(next, "/auth/login") {
			return page
		}
		if len(page.Header["Set-Cookie"]) != 0 {
			g.t.Errorf("a %s sets %v, which nobody counts", method, page.Header["Set-Cookie"])
		}
		method, to, body = "GET", origin+next, ""
	}
}

// What cannot be begins nothing.
func TestThirdPartyInitiatedLoginRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		iss    []string
		change func(*core.Config)
	}{
		{"rule 118: iss of another", []string{"https://evil.example.test"}, nil},
		{"rule 118: iss empty", []string{""}, nil},
		{"rule 118: iss twice", []string{issuer, issuer}, nil},
		{"rule 118: iss with a slash", []string{issuer + "/"}, nil},
		{"rule 118: iss in capitals", []string{strings.ToUpper(issuer)}, nil},
		{"rule 118: iss by name", []string{"id.example.test"}, nil},
		{"rule 118: iss of a provider without OpenID Connect", []string{issuer}, plainOAuth2},
	} {
		for _, method := range []string{"GET", "POST"} {
			t.Run(test.name+", by "+method, func(t *testing.T) {
				t.Parallel()
				g := newRig(t, func(c *core.Config) {
					if test.change != nil {
						test.change(c)
					}
				})
				page := g.elsewhere(method, url.Values{"iss": test.iss, "target_link_uri": {origin + "/me"}})
				if page.Status != 404 || !strings.Contains(string(page.Body), "provider_unknown") || strings.Contains(string(page.Body), "evil") {
					t.Errorf("got %d: %s", page.Status, page.Body)
				}
				if g.began() != 0 || g.provider.Count(logintest.Discovery) != 0 {
					t.Errorf("%d logins begun", g.began())
				}
			})
		}
	}
	t.Run("rule 118: a frame, a script and a prefetch", func(t *testing.T) {
		t.Parallel()
		for _, header := range []http.Header{
			{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"iframe"}}, {"Sec-Fetch-Mode": {"no-cors"}, "Sec-Fetch-Dest": {"image"}},
			{"Sec-Purpose": {"prefetch"}},
		} {
			g := newRig(t)
			r, err := http.NewRequest("GET", origin+"/auth/login?iss="+url.QueryEscape(issuer), nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header = header
			if page, err := g.browser.Do(r); err != nil || page.Status != 403 || g.began() != 0 {
				t.Errorf("%v: got %v, %v", header, page, err)
			}
		}
	})
	t.Run("a form that is too long, or malformed", func(t *testing.T) {
		t.Parallel()
		for _, body := range []string{"iss=" + strings.Repeat("a", 20<<10), "iss=%zz"} {
			g := newRig(t)
			r, err := http.NewRequest("POST", origin+"/auth/login", strings.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}}
			page, err := g.browser.Do(r)
			if err != nil || page.Status != 400 || !strings.Contains(string(page.Body), "request_malformed") || g.began() != 0 {
				t.Errorf("got %v, %v", page, err)
			}
		}
	})
}

// iss says at which of several providers.
func TestThirdPartyInitiatedLoginAtOneOfSeveral(t *testing.T) {
	t.Parallel()
	t.Run("rule 118: the second", func(t *testing.T) {
		t.Parallel()
		g := newDuo(t)
		page := g.elsewhere("GET", url.Values{"iss": {otherIssuer}})
		if to := page.Header.Get("Location"); !strings.HasPrefix(to, otherIssuer+"/authorize?") {
			t.Errorf("leads to %s", to)
		}
	})
}

// However many logins another site begins by a form, to which browsers add no
// Lax cookies, those in flight stay few.
func TestThirdPartiesCannotPileUpLogins(t *testing.T) {
	t.Parallel()
	t.Run("rule 118: forms of another site", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		for range 20 {
			g.elsewhere("POST", url.Values{"iss": {issuer}})
		}
		if got := len(g.cookiesNamed("__Host-pixy-login-")); got != 8 {
			t.Errorf("%d logins in flight", got)
		}
	})
}
