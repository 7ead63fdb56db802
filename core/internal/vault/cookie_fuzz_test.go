package vault

import (
	"bytes"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// The scanner of the Cookie header and net/http find the same cookies, except those that
// net/http drops.
func FuzzCookieHeader(f *testing.F) {
	for _, seed := range []string{
		"", "a=b", "a=b; c=d", "a=b;c=d", "a=b; a=c", "a=\"b\"", "a", "=b", ";;=;", "a=b=c", " a = b ", "\ta=b", "\u00a0a=b",
		"__Host-pixy-session=1AAAA; __Host-pixy-session-2=BBBB", "a=b,c", "a=\\", "ä=ö",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		if strings.ContainsAny(header, "\r\n") {
			t.Skip("not one header")
		}
		r := &http.Request{Header: http.Header{"Cookie": {header}}}
		type pair struct{ name, value string }
		var ours []pair
		blank := false // net/http trims a name that no browser sends
		for cookie := range cookies(r) {
			name, value, ok := strings.Cut(cookie, "=")
			if !ok {
				continue
			}
			ours = append(ours, pair{name, value})
			blank = blank || strings.TrimRight(name, " \t") != name
		}
		if blank {
			t.Skip("a name ends in a blank")
		}
		rest := ours
		for _, theirs := range r.Cookies() {
			value := theirs.Value
			if theirs.Quoted {
				value = `"` + value + `"`
			}
			if value == "" {
				continue // it may have had no =, and then it is not a pair
			}
			i := slices.Index(rest, pair{theirs.Name, value})
			if i < 0 {
				t.Fatalf("%q: net/http sees %s=%s, and the scanner %q", header, theirs.Name, value, ours)
			}
			rest = rest[i+1:]
		}
		for _, p := range ours {
			value, ok := Value(r, p.name)
			if once := occurrences(ours, func(q pair) bool { return q.name == p.name }) == 1; ok != once || ok && value != p.value {
				t.Fatalf("%q: %q is %q, %v", header, p.name, value, ok)
			}
			theirs := occurrences(r.CookiesNamed(p.name), func(c *http.Cookie) bool { return c.Quoted || c.Value != "" })
			if ok && theirs > 1 {
				t.Fatalf("%q: one %q for the scanner, %d for net/http", header, p.name, theirs)
			}
			if !Has(r, p.name) {
				t.Fatalf("%q has no %q", header, p.name)
			}
			if !strings.Contains(edged(header), edged(p.name+"="+p.value)) {
				t.Fatalf("%q: %q=%q is not written there", header, p.name, p.value)
			}
		}
	})
}

// edged replaces spaces and tabs by semicolons, and adds one at each end.
func edged(s string) string { return ";" + strings.NewReplacer(" ", ";", "\t", ";").Replace(s) + ";" }

func occurrences[T any](all []T, is func(T) bool) (n int) {
	for _, one := range all {
		if is(one) {
			n++
		}
	}
	return n
}

// The cookie store reads what it wrote, whatever cookies the browser had before. The size
// that it reads is limited.
func FuzzCookieParts(f *testing.F) {
	f.Add("", []byte("sealed"), uint16(1))
	f.Add("s=2AAA; s-2=BBB", []byte("sealed"), uint16(1))
	f.Add("s=9; s-2=; s-3=x", []byte("sealed"), uint16(800))
	f.Add("s=1"+strings.Repeat("A", 3*MaxValue), []byte("sealed"), uint16(1))
	f.Add("s=1A; s=1B", []byte("sealed"), uint16(2000))
	f.Fuzz(func(t *testing.T, header string, content []byte, times uint16) {
		store := &cookieStore{name: "s", cookies: Kind{Path: "/", Secure: true}}
		r := &http.Request{Header: http.Header{"Cookie": {header}}}
		found, err := store.Read(r)
		if err != nil || len(found) > maxParts*MaxValue {
			t.Fatalf("%q: %d bytes, %v", header, len(found), err)
		}
		content = bytes.Repeat(content, int(times))
		if len(content) > 20<<10 {
			t.Skip("no session is that large")
		}
		sealed := base64.RawURLEncoding.EncodeToString(content)
		w := httptest.NewRecorder()
		if err := store.Create(w, r, sealed, Life{For: time.Hour}); err != nil {
			if len(sealed) < maxParts*MaxValue || len(w.Header()) != 0 {
				t.Fatalf("%d bytes: %v, and %v", len(sealed), err, w.Header())
			}
			return
		}
		after := httptest.NewRequest("GET", "/", nil)
		held := browserAfter(t, r, w)
		if _, second := held[store.partName(2)]; second && len(sealed) < MaxValue {
			t.Fatalf("%q keeps a part that is not needed", header)
		}
		for name, value := range held {
			after.Header.Add("Cookie", name+"="+value)
		}
		if got, err := store.Read(after); got != sealed || err != nil {
			t.Fatalf("wrote %q over %q and read %q, %v", sealed, header, got, err)
		}
		w = httptest.NewRecorder()
		if err := store.Erase(w, after); err != nil {
			t.Fatal(err)
		}
		for name := range browserAfter(t, after, w) {
			if name == store.name || name == store.partName(2) {
				t.Fatalf("%q stays", name)
			}
		}
	})
}

// browserAfter returns the cookies of a browser that has sent r and received w.
func browserAfter(t *testing.T, r *http.Request, w *httptest.ResponseRecorder) map[string]string {
	t.Helper()
	held := make(map[string]string)
	for cookie := range cookies(r) {
		if name, value, ok := strings.Cut(cookie, "="); ok {
			held[name] = value
		}
	}
	for _, line := range w.Header()["Set-Cookie"] {
		cookie, err := http.ParseSetCookie(line)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if held[cookie.Name] = cookie.Value; cookie.MaxAge < 0 {
			delete(held, cookie.Name)
		}
	}
	return held
}

func BenchmarkFindCookie(b *testing.B) {
	r := &http.Request{Header: http.Header{"Cookie": {"theme=dark; _ga=GA1.2.1234567890.1234567890; session=" + strings.Repeat("x", 900) + "; csrf=0123456789abcdef"}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := Value(r, "session"); !ok {
			b.Fatal("not found")
		}
	}
}
