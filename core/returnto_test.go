package core

import (
	"net/url"
	"strings"
	"testing"
)

func TestReturnTo(t *testing.T) {
	t.Parallel()
	t.Run("rule 117: local paths are kept", func(t *testing.T) {
		t.Parallel()
		for _, good := range []string{
			"/", "/me", "/a/b/", "/me?tab=1", "/me?y=a%20b&next=https://other.example/x", "/me#part",
			"/search?q=%2F%2Fother.example", "/caf%C3%A9", "/café", "/a%25b", "/a:b@c", "/?x=//y",
			"/" + strings.Repeat("a", maxReturnTo-1),
		} {
			if got := safeReturnTo(good); got != good {
				t.Errorf("%.60q became %q", good, got)
			}
		}
	})
	t.Run("rule 117: everything else leads home", func(t *testing.T) {
		t.Parallel()
		for _, bad := range returnToAttacks {
			if got := safeReturnTo(bad); got != home {
				t.Errorf("%.60q became %q", bad, got)
			}
		}
	})
}

var returnToAttacks = []string{
	"", "me", "//h", "///h", "/\\h", "\\\\h", "\\/h", "https://h", "https:h", "HTTPS://h/", "javascript:alert(1)",
	"//user@h", "user@h", "/\t/h", "/\n/h", "/\r\nSet-Cookie:x=y", "\t//h", " //h", "/ h", "/a b", "/a\\b",
	"/%2f%2fh", "/%2fh", "/%5ch", "/%5c%5ch", "/a%5cb", "/%09/h", "/%0d%0aLocation:h", "/a%20b", "/a%00b", "/%",
	"/a%zz", "/\x00", "/\x7f", "/\u0085h", "/\u00a0h", "/\u2028h", "/\u3000h", "/\xff", "/%c2%a0",
	"?x", "#x", ".", "..", "../x", "/" + strings.Repeat("a", maxReturnTo),
}

func FuzzReturnTo(f *testing.F) {
	for _, seed := range returnToAttacks {
		f.Add(seed)
	}
	f.Add("/me?a=b#c")
	base, err := url.Parse("https://app.example/auth/callback")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := safeReturnTo(s)
		if got != home && got != s {
			t.Fatalf("%q became %q", s, got)
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
		if strings.HasPrefix(u.Path, "//") || strings.ContainsAny(got, "\\\r\n\t ") {
			t.Fatalf("%q is not safe", got)
		}
	})
}
