package core_test

import (
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
)

func TestThePageBetween(t *testing.T) {
	t.Parallel()
	t.Run("rules 37, 38: nothing but a refresh and a link", func(t *testing.T) {
		t.Parallel()
		g := newRig(t, byForm)
		page := g.post(callbackURL, formType, g.toForm().Encode())
		if to := bouncesTo(t, page); to.Scheme+"://"+to.Host+to.Path != callbackURL {
			t.Errorf("leads to %s", to)
		}
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Content-Type": "text/html; charset=utf-8",
		} {
			if got := page.Header.Get(name); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
		policy := regexp.MustCompile(`^default-src 'none'; style-src 'sha256-[^']+'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$`)
		if got := page.Header.Get("Content-Security-Policy"); !policy.MatchString(got) || strings.Contains(string(page.Body), "<script") {
			t.Errorf("Content-Security-Policy: got %q with %s", got, page.Body)
		}
		if g.log.String() != "" {
			t.Errorf("logged %s", g.log.String())
		}
	})
	t.Run("rule 36: hostile values are escaped", func(t *testing.T) {
		t.Parallel()
		g := newRig(t, byForm)
		hostile := `"><script>alert(1)</script>' ;url=https://evil.example.test/&#x22;` + "\r\n\x00ä\xff"
		form := url.Values{"state": {hostile}, "code": {hostile, hostile}, hostile: {hostile}, "url": {"https://evil.example.test/"}}
		page := g.post(callbackURL, formType, form.Encode())
		want := url.Values{"state": form["state"], "code": form["code"]}
		if to := bouncesTo(t, page); to.Host != "app.example.test" || !maps.EqualFunc(to.Query(), want, slices.Equal) {
			t.Errorf("leads to %s", to)
		}
		if body := string(page.Body); strings.Contains(body, "<script") || strings.Contains(body, "//evil") {
			t.Errorf("got %s", body)
		}
	})
}

// A path may have what HTML has a meaning for.
func TestThePageBetweenAtAnOddPath(t *testing.T) {
	t.Parallel()
	const path = `/it's&lt/here`
	g := newRig(t)
	auth := g.newAuth(byForm, func(c *core.Config) { c.RedirectURL = origin + path })
	g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { auth.Callback(w, r) }))
	page := g.post(origin+path, formType, "state=x&code=y")
	if to := bouncesTo(t, page); to.Path != path || to.RawQuery != "code=y&state=x" {
		t.Errorf("leads to %s: %s", to, page.Body)
	}
}

func FuzzFormPost(f *testing.F) {
	g := newRig(f, byForm)
	for _, seed := range []string{
		"", "state=a&code=b&iss=c", "state=a&state=a", "code=%22%3E%3Cscript%3E", "error=x;y&state='", "state=%00%0d%0a%ff&user={}", "%", "&&=&",
		"code=0;url=https://evil.example.test/&url=//evil.example.test", "state=%26quot;&code=&quot;", "state=%3f%23%2f%5c", "user=" + strings.Repeat("<", 9<<10), "response=a.b.c&response=%3c", "response=e30.eyJzdGF0ZSI6NywiZXJyb3IiOltdfQ.&state=",
	} {
		f.Add(seed)
	}
	plain := string(g.post(callbackURL, formType, "").Body)
	f.Fuzz(func(t *testing.T, body string) {
		g := &rig{t: t, browser: g.browser, provider: g.provider}
		page := g.post(callbackURL, formType, body)
		if page.Status == http.StatusBadRequest && len(body) > 8<<10 {
			return
		}
		to := bouncesTo(t, page)
		if to.Scheme != "https" || to.Host != "app.example.test" || to.Path != "/auth/callback" || to.Fragment != "" {
			t.Fatalf("leads to %s", to)
		}
		posted, _ := url.ParseQuery(body)
		maps.DeleteFunc(posted, func(name string, _ []string) bool {
			return !slices.Contains([]string{"state", "code", "iss", "error", "error_description", "response", "user"}, name)
		})
		if got := to.Query(); !maps.EqualFunc(got, posted, slices.Equal) {
			t.Fatalf("leads on with %v, want %v", got, posted)
		}
		for _, c := range []string{"<", ">", `"`, "'"} {
			if got, want := strings.Count(string(page.Body), c), strings.Count(plain, c); got != want {
				t.Fatalf("%d times %s in the page, want %d: %s", got, c, want, page.Body)
			}
		}
	})
}
