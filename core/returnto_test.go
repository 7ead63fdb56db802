package core_test

import (
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
			"/", "/me", "/a/b/", "/me?tab=1", "/me?y=a%20b&next=https://other.example/x", "/me#part",
			"/search?q=%2F%2Fother.example", "/caf%C3%A9", "/café", "/a%25b", "/a:b@c", "/?x=//y",
			"/" + strings.Repeat("a", core.MaxReturnTo-1),
		} {
			if got := core.SafeReturnTo(good); got != good {
				t.Errorf("%.60q became %q", good, got)
			}
		}
	})
	t.Run("rule 117: everything else leads home", func(t *testing.T) {
		t.Parallel()
		for _, bad := range slices.Concat(returnToAttacks, dotSegments, logintest.OpenRedirects()) {
			if got := core.SafeReturnTo(bad); got != core.Home {
				t.Errorf("%.60q became %q", bad, got)
			}
		}
	})
}

// returnToAttacks are what logintest.OpenRedirects leaves out: what leads
// nowhere, and is no path of the application either.
var returnToAttacks = []string{
	"", "me", "user@h", "/ h", "/a b", "/a\\b", "/a%5cb", "/a%20b", "/a%00b", "/%", "/a%zz", "/\r\nSet-Cookie:x=y",
	"/\x00", "/\x7f", "/\u0085h", "/\u00a0h", "/\u2028h", "/\u3000h", "/\xff", "/%c2%a0",
	"?x", "#x", ".", "..", "../x", "/" + strings.Repeat("a", core.MaxReturnTo),
}

// dotSegments are what a browser resolves before it asks: "/.//h" is "//h".
var dotSegments = []string{"/.//h", "/..//h", "/%2e//h", "/%2E%2e//h", "/a/../..//h", "/./", "/a/..", "/.", "/auth/./login"}

func FuzzReturnTo(f *testing.F) {
	for _, seed := range slices.Concat(returnToAttacks, logintest.OpenRedirects()) {
		f.Add(seed)
	}
	f.Add("/me?a=b#c")
	base, err := url.Parse("https://app.example/auth/callback")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := core.SafeReturnTo(s)
		if got != core.Home && got != s {
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
