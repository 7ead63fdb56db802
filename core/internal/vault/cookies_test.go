package vault

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A value that fits in the browser's cookies is read back unchanged. For a larger one,
// Create returns an error and sets no cookie.
func TestCookieStoreAroundItsLimits(t *testing.T) {
	t.Parallel()
	store := &cookieStore{name: "__Host-pixy-session", cookies: Kind{Path: "/", Secure: true}}
	sizes := []int{0, 1, 2, 100}
	for _, limit := range []int{MaxValue, 2 * MaxValue, 3 * MaxValue} {
		for size := limit - 4; size <= limit+4; size++ {
			sizes = append(sizes, size)
		}
	}
	for _, size := range sizes {
		sealed := strings.Repeat("0123456789abcdef", 1+size/16)[:size] // no part is like another
		w := httptest.NewRecorder()
		err := store.Create(w, httptest.NewRequest("GET", "/", nil), sealed, Life{For: time.Hour})
		set := w.Result().Cookies()
		if fits := 1+size <= maxParts*MaxValue; !fits {
			if err == nil || len(set) != 0 {
				t.Errorf("%d bytes: %d cookies are set, and the error is %v", size, len(set), err)
			}
			continue
		}
		parts := 1 + size/MaxValue // one character says how many
		if err != nil || len(set) != parts {
			t.Errorf("%d bytes: %d cookies are set, want %d: %v", size, len(set), parts, err)
		}
		r := httptest.NewRequest("GET", "/", nil)
		for _, c := range set {
			if len(c.Value) > MaxValue || len(c.Name)+len(c.Value) > 4096 {
				t.Errorf("%d bytes: cookie %s has %d", size, c.Name, len(c.Value))
			}
			r.AddCookie(c)
		}
		if got, err := store.Read(r); got != sealed || err != nil {
			t.Errorf("%d bytes come back as %d: %v", size, len(got), err)
		}
	}
}

// A cookie that is longer than MaxValue was not set by us, so it is not read.
func TestCookieStoreReadsNoPartThatIsTooLong(t *testing.T) {
	t.Parallel()
	store := &cookieStore{name: "s", cookies: Kind{Path: "/"}}
	full := strings.Repeat("a", MaxValue)
	for name, test := range map[string]struct {
		first, second string
		want          int // bytes
	}{
		"one part, full":           {"1" + full[1:], "", MaxValue - 1},
		"one part, a byte more":    {"1" + full, "", 0},
		"two parts, full":          {"2" + full[1:], full, 2*MaxValue - 1},
		"first part, a byte more":  {"2" + full, full, 0},
		"second part, a byte more": {"2" + full[1:], full + "a", 0},
		"second part missing":      {"2" + full[1:], "", 0},
		"three parts":              {"3" + full[1:], full, 0},
		"no parts":                 {"0" + full[1:], full, 0},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.AddCookie(&http.Cookie{Name: "s", Value: test.first})
		if test.second != "" {
			r.AddCookie(&http.Cookie{Name: "s-2", Value: test.second})
		}
		if got, err := store.Read(r); len(got) != test.want || err != nil {
			t.Errorf("%s: got %d bytes, %v", name, len(got), err)
		}
	}
}

// More parts than maxParts are never set, so they are not read.
func TestCookieStoreReadsNoMorePartsThanItSets(t *testing.T) {
	t.Parallel()
	store := &cookieStore{name: "s", cookies: Kind{Path: "/"}}
	for parts := range 10 {
		r := httptest.NewRequest("GET", "/", nil)
		r.AddCookie(&http.Cookie{Name: "s", Value: strconv.Itoa(parts) + "a"})
		for i := 2; i <= parts; i++ {
			r.AddCookie(&http.Cookie{Name: store.partName(i), Value: "a"})
		}
		want := ""
		if 1 <= parts && parts <= maxParts {
			want = strings.Repeat("a", parts)
		}
		if got, err := store.Read(r); got != want || err != nil {
			t.Errorf("%d parts: got %q, %v", parts, got, err)
		}
	}
}

// Release replaces the cookies of the same names in the response, and no others.
func TestReleaseReplacesCookiesOfItsNames(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	kind := Kind{Path: "/"}
	kind.Set(w, "session", "former", time.Hour)
	kind.Set(w, "session-2", "another", time.Hour)
	held := Hold()
	kind.Set(held, "session", "new", time.Hour)
	held.Release(w)
	var got []string
	for _, c := range w.Result().Cookies() {
		got = append(got, c.Name+"="+c.Value)
	}
	if want := "session-2=another session=new"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A cookie that ends with the browser has neither Max-Age nor Expires, and is removed as
// any other.
func TestCookiesThatEndWithTheBrowser(t *testing.T) {
	t.Parallel()
	kind := Kind{Path: "/", Secure: true}
	for _, test := range []struct {
		life Life
		want string
	}{
		{Life{For: time.Hour}, "a=b; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax"},
		{Life{For: time.Hour, EndsWithBrowser: true}, "a=b; Path=/; HttpOnly; Secure; SameSite=Lax"},
		{Life{For: time.Second - 1, EndsWithBrowser: true}, "a=b; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"},
		{Life{For: -time.Hour, EndsWithBrowser: true}, "a=b; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"},
	} {
		w := httptest.NewRecorder()
		kind.Keep(w, "a", "b", test.life)
		if got := w.Header()["Set-Cookie"]; len(got) != 1 || got[0] != test.want {
			t.Errorf("%+v: got %q", test.life, got)
		}
	}
	held := Hold()
	held.Header()["Set-Cookie"] = []string{
		"a=b; path=/; MAX-AGE=1;EXPIRES=Thu, 01 Jan 1970 00:00:00 GMT;  Secure", "b=c", "d=; Max-Age", "e=f; X-Max-Age=1; Expires-Not=2",
	}
	held.endWithBrowser()
	want := []string{"a=b; path=/;  Secure", "b=c", "d=", "e=f; X-Max-Age=1; Expires-Not=2"}
	if got := held.Header()["Set-Cookie"]; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}
