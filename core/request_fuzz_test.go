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

// Cookies that this application has not sealed mean nothing on any route: no
// session, no logout hint, no attempt. The rig looks at each cookie that an
// answer sets.
func FuzzRequestCookies(f *testing.F) {
	const zeros = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	for _, seed := range []string{
		"", "__Host-pixy-session=1" + zeros, "__Host-pixy-session=2A; __Host-pixy-session-2=" + zeros, "__Secure-pixy-logout=" + zeros,
		"__Secure-pixy-logout=a; __Secure-pixy-logout=b", "__Host-pixy-login-AAAAAAAAAAAA=" + zeros, "__Host-pixy-return=" + zeros, "__Host-pixy-return=; __Host-pixy-return=a",
		// More than there is room for, and none that an answer could set.
		"__Host-pixy-login-" + strings.Join(strings.Split(`a b|"|,|`+"\xff|\x80|\t|(|[|{|@|ä|/|?|<|>", "|"), "=; __Host-pixy-login-") + "=",
		"__Host-pixy-login-a=1; __Host-pixy-login-b=2; __Host-pixy-login-c=3; __Host-pixy-login-d=4; __Host-pixy-login-e=5; __Host-pixy-login-f=6; __Host-pixy-login-g=7; __Host-pixy-login-h=8",
		"__Host-pixy-login-a=" + strings.Repeat("A", 5000),
	} {
		f.Add(seed)
	}
	g := newRig(f)
	g.login()
	g.browser.Forget("", "")
	f.Fuzz(func(t *testing.T, header string) {
		if strings.ContainsFunc(header, func(c rune) bool { return c < 0x20 && c != '\t' || c == 0x7f }) {
			t.Skip("net/http refuses the request")
		}
		rig := &rig{t: t, auth: g.auth, provider: g.provider, browser: logintest.NewBrowser()}
		app := rig.app(g.auth)
		for _, test := range []struct {
			method, path string
			status       int
			to           string
		}{
			{"GET", "/me", 401, ""}, {"GET", "/auth/login", 303, issuer + "/authorize?"}, {"POST", "/auth/logout", 303, "/"},
			{"GET", "/auth/callback?state=" + strings.Repeat("A", 43) + "&code=x", 303, issuer + "/authorize?"},
		} {
			r := httptest.NewRequest(test.method, origin+test.path, nil)
			r.Header.Set("Cookie", header)
			w := httptest.NewRecorder()
			app.ServeHTTP(w, r)
			to := w.Header().Get("Location")
			if w.Code != test.status || test.to != "/" && !strings.HasPrefix(to, test.to) || test.to == "/" && to != "/" || setsSession(w.Header()) {
				t.Fatalf("%s %s with %q: got %d to %q: %s", test.method, test.path, header, w.Code, to, w.Body)
			}
		}
		if got := g.provider.Count(logintest.Token); got != 1 {
			t.Fatalf("%q: %d token requests", header, got)
		}
	})
}

// Where htmx says that it is may bring a person back after the login, if it is
// a place of this application, and leads nowhere else.
func FuzzCurrentURL(f *testing.F) {
	for _, seed := range []string{
		"", origin + "/me?tab=1#x", "/me", "//evil.example.test", "https://evil.example.test//evil.example.test/", "javascript:alert(1)", "mailto:a@b", "?x", "https:",
		origin + "/auth/login?return_to=/auth/login", origin + "/a%2f%2fb", origin + "/%0d%0aSet-Cookie:a=b", "http://[::1", origin + "/a\\b", origin + "/?a=b;c", "a:b/c", "/*",
	} {
		f.Add(seed)
	}
	g := newRig(f)
	f.Fuzz(func(t *testing.T, current string) {
		r := httptest.NewRequest("GET", origin+"/me", nil)
		r.Header["Hx-Request"], r.Header["Hx-Current-Url"] = []string{"true"}, []string{current}
		w := httptest.NewRecorder()
		_, err := g.auth.Authenticate(w, r)
		if err = g.auth.Challenge(w, r, err); !errors.Is(err, core.ErrNoSession) {
			t.Fatalf("got %v", err)
		}
		redirect := w.Header().Get("HX-Redirect")
		u, err := url.Parse(redirect)
		if err != nil || u.Scheme != "" || u.Host != "" || u.Path != "/auth/login" || strings.ContainsFunc(redirect, func(c rune) bool { return c <= 0x20 || c > 0x7e }) {
			t.Fatalf("%q leads to %q", current, redirect)
		}
		query, err := url.ParseQuery(u.RawQuery)
		if err != nil || len(query) > 1 || len(query["return_to"]) != len(query) {
			t.Fatalf("%q leads to %q", current, redirect)
		}
		to := query.Get("return_to")
		safe, _ := core.SafeReturnTo(to)
		reference, _, _ := strings.Cut(to, "#") // a fragment may hold anything
		back, err := r.URL.Parse(reference)
		if err != nil || back.Scheme+"://"+back.Host != origin || back.User != nil || safe != to {
			t.Fatalf("%q comes back to %q", current, to)
		}
		if page := w.Result(); page.StatusCode != http.StatusOK || len(page.Cookies()) != 0 {
			t.Fatalf("%q is answered", current)
		}
	})
}
