package core

import (
	"net/url"
	"strings"
)

// maxReturnTo is the maximum length of a return-to, in bytes, after percent-encoding. It
// is part of the attempt's cookie, which must stay small.
const maxReturnTo = 2 << 10

// home is the default page where a login ends.
const home = "/"

// safeReturnTo returns returnTo percent-encoded, or false if it is not a path of this
// application. It is the only defense against open redirects (RFC 9700 section 4.11). The
// result is ASCII, begins with exactly one slash, and does not change if it is passed to
// safeReturnTo again.
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
	path, _ := url.PathUnescape(safe) // safeReturnTo has checked this
	return path
}

// isLocalPath reports whether a path stays on this host. It checks the path as written,
// and decoded once, as servers and proxies may read it. A browser drops control
// characters, and treats a backslash as a slash (URL Standard section 4.4).
func isLocalPath(path string) bool {
	decoded, err := url.PathUnescape(path)
	return err == nil && strings.HasPrefix(path, "/") && !strings.HasPrefix(decoded, "//") &&
		!strings.Contains(decoded, `\`) && !hasControl(decoded) && !hasDotSegment(decoded)
}

// hasControl reports whether s has an ASCII control character.
func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(c rune) bool { return c < 0x20 || c == 0x7f })
}

// hasDotSegment reports whether a path has a segment "." or "..". Browsers resolve these
// before a request, and "/.//host" would become "//host".
func hasDotSegment(path string) bool {
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return true
		}
	}
	return false
}

// percentEncode encodes the bytes that a Location must not contain (RFC 3986 section 2):
// spaces, non-ASCII bytes, and a few others that browsers encode. It does not change
// existing escapes, or other characters that browsers send unencoded.
func percentEncode(s string) string {
	const hex = "0123456789ABCDEF"
	first := 0
	for first < len(s) && !mustEncode(s[first]) {
		first++
	}
	if first == len(s) {
		return s // the common case
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
