package logintest_test

import (
	"net/url"
	"slices"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

func TestOpenRedirectsIsACopyWithoutRepetition(t *testing.T) {
	t.Parallel()
	all := logintest.OpenRedirects()
	if len(all) < 50 || len(slices.Compact(slices.Sorted(slices.Values(all)))) != len(all) {
		t.Errorf("%d entries, or one of them twice", len(all))
	}
	all[0] = "/changed"
	if logintest.OpenRedirects()[0] == "/changed" {
		t.Error("the caller can change the list")
	}
}

// How browsers parse a Location: URL Standard, section 4.4.
func TestDestination(t *testing.T) {
	t.Parallel()
	const here, evil = "https://app.example.test", "https://evil.example.test"
	base, err := url.Parse(here + "/auth/callback")
	if err != nil {
		t.Fatal(err)
	}
	for location, want := range map[string]string{
		"": here, "/": here, "/me?x=//evil.example.test#//evil.example.test": here, "me": here, "?x": here, "#x": here,
		"//app.example.test/me": here, here: here, "HTTPS://APP.example.test/": here, "https:me": here, "https:/me": here,
		"/%2f%2fevil.example.test": here, "/.//evil.example.test": here, "evil.example.test": here, "@evil.example.test": here,
		"/a\\..\\b": here, "/?next=\\\\evil.example.test": here,

		"//evil.example.test": evil, "///evil.example.test": evil, `/\evil.example.test`: evil, `\\evil.example.test`: evil,
		`\/evil.example.test?x`: evil, "https:evil.example.test": here, "https://evil.example.test#x": evil, "https:\\\\evil.example.test": evil,
		"/\t/evil.example.test": evil, "/\n/evil.example.test": evil, "\x00//evil.example.test": evil, " https://evil.example.test": evil,
		"ht\ntps://evil.example.test": evil, "//app.example.test@evil.example.test/": evil, "//%65vil.example.test": evil,
		`https://evil.example.test\@app.example.test`: evil, "https:///evil.example.test": evil,
		"http://app.example.test/": "http://app.example.test", "http:evil.example.test": "http://evil.example.test",
		"http:/evil.example.test": "http://evil.example.test", "https://app.example.test.evil.example.test": here + ".evil.example.test",
		"javascript:alert(1)": "javascript:", "java\tscript:alert(1)": "javascript:", "DATA:x": "data:", "https://app.example.test:444/": here + ":444",
	} {
		if got := logintest.Destination(base, location); got != want {
			t.Errorf("%q: got %s, want %s", location, got, want)
		}
	}
}
