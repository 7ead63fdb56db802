package core

import (
	"net/http"
	"net/url"
	"strings"
)

// maxReturnTo is how long a return-to may be, in bytes, once it is percent-encoded.
// It travels in the attempt's cookie, which has to stay small.
const maxReturnTo = 2 << 10

// home is where a login ends when nothing better is known.
const home = "/"

// safeReturnTo returns returnTo percent-encoded, or false if it is no place in
// this application. It is the whole defence against open redirects (RFC 9700
// section 4.11). The result is ASCII, begins with exactly one slash, and is its
// own safe return-to.
func safeReturnTo(returnTo string) (string, bool) {
	path, rest := returnTo, ""
	if i := strings.IndexAny(path, "?#"); i >= 0 {
		path, rest = path[:i], path[i:]
	}
	if !isLocalPath(path) || hasControl(rest) {
		return "", false
	}
	encoded := percentEncode(returnTo)
	if len(encoded) > maxReturnTo {
		return "", false
	}
	return encoded, true
}

// pathOf returns the decoded path of a safe return-to.
func pathOf(safe string) string {
	if i := strings.IndexAny(safe, "?#"); i >= 0 {
		safe = safe[:i]
	}
	path, _ := url.PathUnescape(safe) // which safeReturnTo has done
	return path
}

// isLocalPath reports whether a path stays on this host: as written, and decoded
// once, as servers and proxies may read it. A browser drops control characters
// and takes a backslash for a slash (URL Standard section 4.4).
func isLocalPath(path string) bool {
	decoded, err := url.PathUnescape(path)
	return err == nil && strings.HasPrefix(path, "/") && !strings.HasPrefix(decoded, "//") &&
		!strings.Contains(decoded, `\`) && !hasControl(decoded) && !hasDotSegment(decoded)
}

// hasControl reports whether s has an ASCII control character.
func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(c rune) bool { return c < 0x20 || c == 0x7f })
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

// percentEncode encodes the bytes that a Location cannot have (RFC 3986 section 2):
// blanks, those that are not ASCII, and a few that browsers encode as well. It
// leaves escapes as they are, and other characters that browsers send unencoded.
func percentEncode(s string) string {
	const hex = "0123456789ABCDEF"
	first := 0
	for first < len(s) && !mustEncode(s[first]) {
		first++
	}
	if first == len(s) {
		return s // as nearly all are
	}
	b := append(make([]byte, 0, len(s)+32), s[:first]...)
	for _, c := range []byte(s[first:]) {
		if mustEncode(c) {
			b = append(b, '%', hex[c>>4], hex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return string(b)
}

func mustEncode(c byte) bool {
	return c <= 0x20 || c >= 0x7f || c == '"' || c == '<' || c == '>' || c == '\\'
}

// requestedURL is what the browser has asked for, without the host: a router
// may have taken a prefix away from r.URL.
func requestedURL(r *http.Request) string {
	if strings.HasPrefix(r.RequestURI, "/") {
		return r.RequestURI
	}
	return r.URL.RequestURI()
}
