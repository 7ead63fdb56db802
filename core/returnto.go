package core

import (
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxReturnTo is how long a return-to may be, in bytes. It travels in the
// attempt's cookie, which has to stay small.
const maxReturnTo = 2 << 10

// home is where a login ends when nothing better is known.
const home = "/"

// safeReturnTo gives returnTo back if it names a place in this application,
// and home otherwise. It is the whole defence against open redirects (RFC 9700
// section 4.11): a local path begins with exactly one slash and contains
// nothing that a browser drops or rewrites while it parses a URL, neither as
// written nor once its path is decoded. Query and fragment may hold anything
// that is printable; they cannot change the host.
func safeReturnTo(returnTo string) string {
	if len(returnTo) > maxReturnTo || !localPath(returnTo) {
		return home
	}
	path := returnTo
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path = path[:i]
	}
	// Servers and proxies that decode too eagerly must find nothing either.
	decoded, err := url.PathUnescape(path)
	if err != nil || !localPath(decoded) || hasDotSegment(decoded) {
		return home
	}
	return returnTo
}

// hasDotSegment reports whether a path has "." or ".." in it, which no browser
// asks for: it resolves them first, and "/.//host" would become "//host".
func hasDotSegment(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// requestedURL is what the browser has asked for, without the host: a router
// may have taken a prefix away from r.URL.
func requestedURL(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}

// localPath reports whether s begins with exactly one slash and holds no
// control character, white space or backslash.
func localPath(s string) bool {
	if s == "" || s[0] != '/' || strings.HasPrefix(s, "//") || !utf8.ValidString(s) {
		return false
	}
	for _, c := range s {
		if c == '\\' || unicode.IsControl(c) || unicode.IsSpace(c) {
			return false
		}
	}
	return true
}
