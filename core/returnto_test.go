package core_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

func TestReturnTo(t *testing.T) {
	t.Parallel()
	t.Run("rule 117: local paths are kept", func(t *testing.T) {
		t.Parallel()
		for _, good := range []string{
			"/", "/me", "/a/b/", "/me?tab=1", "/me?y=a%20b&next=https://other.example/x", "/me#part", "/#/users/7",
			"/search?q=%2F%2Fother.example", "/caf%C3%A9", "/caf%E9", "/a%25b", "/a:b@c", "/?x=//y", "/a//b", "/x?q=100%",
			"/a%20b", "/%20", "/%c2%a0", "/%E3%80%80", "/x?q=%0d%0a%00", "/x?q=%5C%5C", "/x|y^z`{}", "/x?left={[]}|x^y`'", "/a;v=1/b,c/(d)/@e/~f/$g/!h",
			"/.well-known/x", "/...", "/a/..b", "/" + strings.Repeat("a", core.MaxReturnTo-1),
		} {
			if got, ok := core.SafeReturnTo(good); got != good || !ok {
				t.Errorf("%.60q became %.60q, %v", good, got, ok)
			}
		}
	})
	t.Run("rule 117: local paths are percent-encoded", func(t *testing.T) {
		t.Parallel()
		for given, want := range map[string]string{
			"/café": "/caf%C3%A9", "/a b": "/a%20b", "/ h": "/%20h", "/x?q=日本#ü": "/x?q=%E6%97%A5%E6%9C%AC#%C3%BC", "/\xff": "/%FF",
			`/x?q=C:\Users`: "/x?q=C:%5CUsers", `/#\\h`: "/#%5C%5Ch", `/"<>`: "/%22%3C%3E", "/\u00a0h": "/%C2%A0h", "/\u2028h": "/%E2%80%A8h", "/\u0085h": "/%C2%85h",
			"/\uff0fh": "/%EF%BC%8Fh", "/\u560d\u560a": "/%E5%98%8D%E5%98%8A",
			"/" + strings.Repeat("é", 341): "/" + strings.Repeat("%C3%A9", 341),
		} {
			if got, ok := core.SafeReturnTo(given); got != want || !ok {
				t.Errorf("%.60q became %q, %v; want %q", given, got, ok, want)
			}
		}
	})
	t.Run("rule 117: everything else leads home", func(t *testing.T) {
		t.Parallel()
		for _, bad := range slices.Concat(returnToAttacks, dotSegments, logintest.OpenRedirects()) {
			if slices.Contains(blanksOnly, bad) {
				continue
			}
			if got, ok := core.SafeReturnTo(bad); ok || got != "" {
				t.Errorf("%.60q became %.60q", bad, got)
			}
		}
		for _, blank := range blanksOnly {
			if got, ok := core.SafeReturnTo(blank); !ok || !strings.HasPrefix(got, "/%") {
				t.Errorf("%q became %q", blank, got)
			}
		}
	})
}

// returnToAttacks are what logintest.OpenRedirects leaves out: what leads
// nowhere, and is no path of the application either.
var returnToAttacks = []string{
	"", "me", "user@h", "/a\\b", "/a%5cb", "/a%00b", "/%", "/a%zz", "/\r\nSet-Cookie:x=y", "/x?a=\r\nSet-Cookie:x=y", "/x#\t", "/x?\x7f",
	"/\x00", "/\x7f", "/%7f", "/%1f", "?x", "#x", ".", "..", "../x", "\u00a0//h",
	"/" + strings.Repeat("a", core.MaxReturnTo), "/" + strings.Repeat("é", 342), "/?" + strings.Repeat("a", core.MaxReturnTo),
}

// blanksOnly are paths of the application once their blanks are percent-encoded,
// although others have sent browsers elsewhere by them.
var blanksOnly = []string{"/ /evil.example.test", "/%20/evil.example.test", "/\u00a0/evil.example.test", "/\u2028/evil.example.test"}

// dotSegments are what a browser resolves before it asks: "/.//h" is "//h".
var dotSegments = []string{"/.//h", "/..//h", "/%2e//h", "/%2E%2e//h", "/a/../..//h", "/./", "/a/..", "/.", "/auth/./login"}

// The address of a page comes from several headers and parameters.
func TestPagesComeBackFromEverySource(t *testing.T) {
	t.Parallel()
	const page, raw = `/guarded/a%20b/%E6%9D%B1%E3%80%80x?q=C:%5C&r=a%20b^`, "/guarded/a b/\u6771\u3000x?q=C:\\&r=a b^"
	const thirdParty = "/auth/login?iss=" + issuer + "&target_link_uri="
	for _, test := range []struct {
		name, method, target string
		header               http.Header
	}{
		{"a guarded page", "GET", page, http.Header{"Accept": {"text/html"}}},
		{"return_to", "GET", "/auth/login?return_to=" + url.QueryEscape(raw), nil},
		{"return_to of a POST", "POST", "/auth/login?return_to=" + url.QueryEscape(raw), nil},
		{"target_link_uri", "GET", thirdParty + url.QueryEscape(origin+raw), nil},
		{"target_link_uri of a POST", "POST", thirdParty + url.QueryEscape(origin+raw), nil},
		{"htmx", "GET", "/guarded", http.Header{"Hx-Request": {"true"}, "Hx-Current-Url": {origin + page}}},
		{"Referer", "GET", "/guarded", http.Header{"Accept": {"application/json"}, "Referer": {origin + page}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			app := g.app(g.auth)
			g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !strings.HasPrefix(r.URL.Path, "/guarded") {
					app.ServeHTTP(w, r)
					return
				}
				_, err := g.auth.Authenticate(w, r)
				if err = g.auth.Challenge(w, r, err); err != nil {
					g.auth.ServeError(w, r, err)
				}
			}))
			r, err := http.NewRequest(test.method, origin+test.target, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header = test.header
			if r.Header == nil {
				r.Header = make(http.Header)
			}
			answer, err := g.browser.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			var problem struct {
				LoginURL string `json:"login_url"`
			}
			login := answer.Header.Get("Location") + answer.Header.Get("HX-Redirect")
			if login == "" && json.Unmarshal(answer.Body, &problem) == nil {
				login = problem.LoginURL
			}
			if strings.HasPrefix(login, "/") {
				login = origin + login
			}
			if got := g.visit(follow(t, g.browser, login).String()).Header.Get("Location"); got != page {
				t.Errorf("got to %q, want %q", got, page)
			}
		})
	}
}

func FuzzReturnTo(f *testing.F) {
	for _, seed := range slices.Concat(returnToAttacks, blanksOnly, logintest.OpenRedirects()) {
		f.Add(seed)
	}
	f.Add("/me?a=b#c")
	f.Add(`/café/a b?q=C:\ü#"<>`)
	base, err := url.Parse("https://app.example/auth/callback")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := core.SafeReturnTo(s)
		if !ok {
			if got != "" {
				t.Fatalf("%q is refused and became %q", s, got)
			}
			return
		}
		if again, ok := core.SafeReturnTo(got); !ok || again != got {
			t.Fatalf("%q became %q, and then %q", s, got, again)
		}
		if strings.ContainsFunc(got, func(c rune) bool { return c <= 0x20 || c >= 0x7f }) || strings.Contains(got, `\`) || len(got) > core.MaxReturnTo {
			t.Fatalf("%q became %q, which is not safe", s, got)
		}
		// What a browser would make of it: same scheme, same host.
		reference, _, _ := strings.Cut(got, "#") // a fragment may hold anything
		u, err := base.Parse(reference)
		if err != nil {
			t.Fatalf("%q is no URL reference: %v", got, err)
		}
		if u.Scheme != base.Scheme || u.Host != base.Host || u.User != nil {
			t.Fatalf("%q leads to %v", got, u)
		}
		if !strings.HasPrefix(got, "/") || strings.HasPrefix(got, "//") || strings.HasPrefix(u.Path, "//") || strings.ContainsAny(u.Path, "\\\r\n\t\x00") {
			t.Fatalf("%q is not safe", got)
		}
	})
}
