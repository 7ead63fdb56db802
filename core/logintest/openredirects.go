package logintest

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// openRedirects lead to evil.example.test from an application that mistakes
// them for its own paths. Some exploit how browsers parse URLs (URL Standard,
// section 4.4), others exploit servers and proxies that decode twice or prepend
// their own origin.
var openRedirects = []string{
	"https://evil.example.test", "https://evil.example.test/", "http://evil.example.test", "HTTPS://evil.example.test",
	"ftp://evil.example.test", "https:evil.example.test", "https:/evil.example.test", `https:\\evil.example.test`,
	`https:/\evil.example.test`, "http:evil.example.test", "http:/evil.example.test", " https://evil.example.test",
	"\thttps://evil.example.test", "ht\ntps://evil.example.test", "\x01https://evil.example.test", "\x00//evil.example.test",

	"//evil.example.test", "///evil.example.test", "////evil.example.test", "//evil.example.test/%2e%2e", "//evil.example.test//",
	`/\evil.example.test`, `\/evil.example.test`, `\\evil.example.test`, `/\/evil.example.test`, `\evil.example.test`, `//\evil.example.test`,
	"/\t/evil.example.test", "/\n/evil.example.test", "/\r/evil.example.test", "/\r\n/evil.example.test", "\t//evil.example.test",
	" //evil.example.test", "/ /evil.example.test", "/\x00/evil.example.test", "/\u00a0/evil.example.test", "/\u2028/evil.example.test",

	"//evil%2eexample%2etest", "//evil\u3002example\u3002test", "//\u24d4vil.example.test", "//%65vil.example.test",
	"//app.example.test@evil.example.test", "https://app.example.test@evil.example.test", "https://app.example.test:443@evil.example.test",
	`https://evil.example.test\@app.example.test`, `//evil.example.test\@app.example.test`, "https://evil.example.test#@app.example.test",
	"https://evil.example.test?app.example.test", "https://app.example.test.evil.example.test", "https://evil.example.test/app.example.test",

	".evil.example.test", "@evil.example.test", ":443@evil.example.test", "evil.example.test",
	"/%2fevil.example.test", "/%2f%2fevil.example.test", "/%5cevil.example.test", "/%5c%5cevil.example.test", "%2f%2fevil.example.test",
	"/%2F/evil.example.test", "/%2f%5cevil.example.test", "/%5C/evil.example.test", "/%5c%2fevil.example.test",
	"/.//evil.example.test", "/./%2fevil.example.test", "/%2e//evil.example.test", "/a/..//evil.example.test", "/a/%2E%2e//evil.example.test", `/a/..\evil.example.test`,
	"/%0d/evil.example.test", "/%7f/evil.example.test", "/\u00e9/../..//evil.example.test",
	"/%09/evil.example.test", "/%0a/evil.example.test", "/%00/evil.example.test", "/%20/evil.example.test", "/%0d%0aLocation:%20https://evil.example.test",

	"javascript:location='https://evil.example.test'", "JaVaScRiPt:location='//evil.example.test'", "java\tscript:location='//evil.example.test'",
	"data:text/html,evil.example.test", "vbscript:evil.example.test",
}

// OpenRedirects returns values for parameters that name the page after a login.
// An application must not follow any of them: each would send the browser to
// evil.example.test in a vulnerable application. [Attack] tries all of them.
// They are also good seeds for a fuzz test.
func OpenRedirects() []string { return slices.Clone(openRedirects) }

var (
	scheme  = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*):`)
	dropped = strings.NewReplacer("\t", "", "\n", "", "\r", "")
)

// destination returns the origin to which a browser goes from base for a
// Location. It parses like the URL Standard (section 4.4), which differs from
// RFC 3986 and net/url. For a URL without a host, it returns the scheme.
func destination(base *url.URL, location string) string {
	s := dropped.Replace(strings.TrimFunc(location, func(c rune) bool { return c <= ' ' }))
	to := base.Scheme
	absolute := false
	if m := scheme.FindStringSubmatch(s); m != nil {
		to = strings.ToLower(m[1])
		switch s = s[len(m[0]):]; {
		case !slices.Contains([]string{"http", "https", "ws", "wss", "ftp"}, to):
			return to + ":"
		case to != base.Scheme:
			absolute = true
		}
	}
	path, _, _ := strings.Cut(s, "#")
	path, _, _ = strings.Cut(path, "?")
	path = strings.ReplaceAll(path, `\`, "/")
	if !absolute && !strings.HasPrefix(path, "//") {
		return originOf(base)
	}
	authority, _, _ := strings.Cut(strings.TrimLeft(path, "/"), "/")
	host := authority[strings.LastIndex(authority, "@")+1:]
	if decoded, err := url.PathUnescape(host); err == nil {
		host = decoded
	}
	return to + "://" + strings.ToLower(host)
}
