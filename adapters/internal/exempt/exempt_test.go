package exempt

import (
	"net/http"
	"net/url"
	"path"
	"strings"
	"testing"
)

var exempted = paths{"/healthz", "/static/", "/.well-known/security.txt", "/api/v1.2/open/"}

// An exemption opens what it says, and nothing that a program may read as another path.
func TestMatch(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]bool{
		"/healthz":                   true,
		"/healthz?a=b":               true,
		"/static/":                   true,
		"/static/a.css":              true,
		"/static/a/b/":               true,
		"/static/a%20b.css":          true, // what browsers send for a blank
		"/static/%C3%BC.css":         true,
		"/static/..a/.b/c..":         true,
		"/static/a?b=../../private":  true, // a query is no path
		"/.well-known/security.txt":  true,
		"/api/v1.2/open/users":       true,
		"http://app.test/healthz":    true,
		"/":                          false,
		"":                           false,
		"/private":                   false,
		"/static":                    false,
		"/statics":                   false,
		"/healthz/":                  false,
		"/healthz/private":           false,
		"/healthzz":                  false,
		"/Healthz":                   false,
		"/STATIC/a.css":              false,
		"/private/static/a.css":      false,
		"/private?/static/a.css":     false,
		"//healthz":                  false,
		"//static/a.css":             false,
		"/static//a.css":             false,
		"/static//":                  false,
		"/static/a//b":               false,
		"/static/../private":         false,
		"/static/..":                 false,
		"/static/.":                  false,
		"/static/./a.css":            false,
		"/static/a/../../private":    false,
		"/static/%2e%2e/private":     false,
		"/static/.%2e/private":       false,
		"/static/%2E%2E/private":     false,
		"/static/%2e%2e%2fprivate":   false,
		"/static/..%2fprivate":       false,
		"/static/a%2fb":              false,
		"/static%2fa.css":            false,
		"/static/%252e%252e/private": false,
		"/static/%252fprivate":       false,
		"/static/100%25":             false,
		`/static/..\private`:         false,
		`/static/a\b`:                false,
		"/static/..%5cprivate":       false,
		"/static/..%5Cprivate":       false,
		"/static/..;/private":        false,
		"/static/..;a=b/private":     false,
		"/static/a;b":                false,
		"/healthz;a":                 false,
		"/static/a%3b":               false,
		"/static/a%3fb":              false,
		"/static/a%23b":              false,
		"/static/a%00":               false,
		"/static/a%00/../b":          false,
		"/static/a%0d%0ab":           false,
		"/static/a%09":               false,
		"/static/a%7f":               false,
		"/static/%C2%85":             false, // a control character above ASCII
		"/static/%E2%80%AE":          false, // one that turns the direction
		"/static/%C0%AE%C0%AE/a":     false, // dots in too many bytes
		"/static/%c0%ae%c0%ae/a":     false,
		"/static/%FF":                false,
		"/static/.../private":        false, // Windows ignores dots and blanks at the end
		"/static/..%20/private":      false,
		"/static/%20../private":      false,
		"/static/%20/private":        false,
		"/static/a/..%20.":           false,
		"/%73tatic/a.css":            false,
		"/static/%61.css":            false,
		"/api/v1.2/open":             false,
		"/api/v1.2/private":          false,
		"/api/v1x2/open/a":           false,
		"*":                          false,
	} {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			u = &url.URL{Path: target}
		}
		for _, method := range []string{"GET", "POST", "CONNECT", ""} {
			if got := exempted.match(&http.Request{Method: method, URL: u}); got != want {
				t.Errorf("%s %s: got %v", method, target, got)
			}
		}
	}
	if (paths{}).match(&http.Request{URL: &url.URL{Path: "/"}}) || paths(nil).match(&http.Request{URL: new(url.URL)}) {
		t.Error("nothing is exempted, and something passes")
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for pattern, fine := range map[string]bool{
		"/healthz": true, "/static/": true, "/a/b.c-d_e~f/": true, "/.well-known/": true, "/a@b+c=d&e!f$g(h)'": true,
		"": false, "/": false, "//": false, "healthz": false, "static/": false, " /healthz": false, "/healthz ": false,
		"GET /healthz": false, "https://app.test/healthz": false, "/static/*": false, "/static/{file}": false, "/static/:file": false,
		"/static//": false, "/a//b": false, "/a/./b": false, "/a/../b": false, "/..": false, "/static/..": false, "/static/../": false,
		"/a%20b": false, "/a%2fb": false, "/a b": false, `/a\b`: false, "/a?b": false, "/a#b": false, "/a;b": false, "/a,/b": false,
		"/a\nb": false, "/a\x7f": false, "/ü": false, "/a[b]": false, "/^a": false, "/a|/b": false, "/a$": true, "/(a)": true,
	} {
		text := panics(func() { parse("x: Wrap", []string{"/fine", pattern}) })
		if fine != (text == "") || !fine && (!strings.HasPrefix(text, "x: Wrap: ") || !strings.Contains(text, "cannot be an exempted path; give a plain path")) {
			t.Errorf("%q: got %q", pattern, text)
		}
	}
	given := []string{"/a"}
	kept := parse("x", given)
	if given[0] = "/b"; kept[0] != "/a" {
		t.Error("a later change has an effect")
	}
}

func panics(f func()) (text string) {
	defer func() {
		if found := recover(); found != nil {
			text = found.(string)
		}
	}()
	f()
	return ""
}

func TestMatchAllocatesNothing(t *testing.T) {
	for _, p := range []string{"/private", "/static/a/b.css", "/healthz"} {
		r := &http.Request{URL: &url.URL{Path: p}}
		if got := testing.AllocsPerRun(100, func() { exempted.match(r) }); got != 0 {
			t.Errorf("%s: %v allocations", p, got)
		}
	}
}

// Whatever a request asks for: if it is exempted, then every reading of its path is below
// an exempted one.
func FuzzExempt(f *testing.F) {
	for _, seed := range []string{
		"/healthz", "/static/a.css", "/static/../private", "/static/%2e%2e/private", "/static/%252e%252e%252fprivate", `/static/..\private`,
		"/static/..;/private", "/static//private", "/static/%00", "/static/.../private", "/api/v1.2/open/%C0%AE%C0%AE/", "/static/%5c..%5cprivate",
		"/static/a?b", "/static/%3f/../private", "/STATIC/a",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || !exempted.match(&http.Request{Method: "GET", URL: u}) {
			return
		}
		for name, read := range readings {
			if got := read(u); !below(got) {
				t.Fatalf("%q is exempted, and %s reads it as %q", target, name, got)
			}
		}
	})
}

// readings are the ways in which routers, file servers and proxies read a path.
var readings = map[string]func(*url.URL) string{
	"a router":                func(u *url.URL) string { return u.Path },
	"a router that cleans":    func(u *url.URL) string { return clean(u.Path) },
	"a router of raw paths":   func(u *url.URL) string { return clean(unescape(u.EscapedPath())) },
	"a second decoding":       func(u *url.URL) string { return clean(unescape(u.Path)) },
	"a third decoding":        func(u *url.URL) string { return clean(unescape(unescape(u.Path))) },
	"Windows":                 func(u *url.URL) string { return windows(u.Path) },
	"Windows, decoding again": func(u *url.URL) string { return windows(unescape(u.Path)) },
	"a server that cuts parameters off": func(u *url.URL) string {
		segments := strings.Split(u.Path, "/")
		for i, s := range segments {
			segments[i], _, _ = strings.Cut(s, ";")
		}
		return clean(strings.Join(segments, "/"))
	},
	"a program in C":       func(u *url.URL) string { before, _, _ := strings.Cut(u.Path, "\x00"); return clean(before) },
	"one that cuts a line": func(u *url.URL) string { before, _, _ := strings.Cut(u.Path, "\n"); return clean(before) },
	"one that parses again": func(u *url.URL) string {
		again, err := url.Parse(u.Path)
		if err != nil {
			return "/"
		}
		return clean(again.Path)
	},
	"a decoder of long UTF-8": func(u *url.URL) string {
		return clean(strings.NewReplacer("\xc0\xae", ".", "\xc0\xaf", "/", "\xe0\x80\xae", ".", "\xe0\x80\xaf", "/").Replace(u.Path))
	},
}

func unescape(p string) string {
	if decoded, err := url.PathUnescape(p); err == nil {
		return decoded
	}
	return p
}

// clean resolves dots, and keeps a final slash.
func clean(p string) string {
	if cleaned := path.Clean(p); strings.HasSuffix(p, "/") && cleaned != "/" {
		return cleaned + "/"
	} else {
		return cleaned
	}
}

// windows reads backslashes as slashes, and drops dots and blanks at the end of names.
func windows(p string) string {
	segments := strings.Split(strings.ReplaceAll(p, `\`, "/"), "/")
	for i, s := range segments {
		if trimmed := strings.TrimRight(s, ". "); trimmed != "" {
			segments[i] = trimmed
		} else if len(s) > 1 {
			segments[i] = ".."
		}
	}
	return clean(strings.Join(segments, "/"))
}

func below(p string) bool {
	for _, pattern := range exempted {
		if p == pattern || strings.HasSuffix(pattern, "/") && strings.HasPrefix(p+"/", pattern) {
			return true
		}
	}
	return false
}
