package vault

import (
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// cookies yields the cookies of a request, each as name=value; what is neither is
// among them as it is. It scans the header instead of parsing it: a guarded
// request needs one cookie among many. Only blanks and tabs are trimmed, as
// browsers do (RFC 6265bis section 5.6): another site of the domain can plant a
// cookie whose name is ours but for a Unicode space before it, which no prefix of
// ours stops a browser from taking.
func cookies(r *http.Request) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, header := range r.Header["Cookie"] {
			for header != "" {
				var pair string
				if pair, header, _ = strings.Cut(header, ";"); !yield(trimBlanks(pair)) {
					return
				}
			}
		}
	}
}

// valueOf returns the value of a cookie, if it is called name.
func valueOf(cookie, name string) (value string, ok bool) {
	if value, ok = strings.CutPrefix(cookie, name); !ok {
		return "", false
	}
	return strings.CutPrefix(value, "=")
}

// trimBlanks is [strings.Trim] of blanks and tabs, without making a set of them
// for each cookie.
func trimBlanks(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// Value returns the value of the only cookie called name. If there are
// two, somebody has planted one of them (RFC 6265bis section 8.6) and there is
// no telling which: neither counts.
func Value(r *http.Request, name string) (value string, ok bool) {
	for cookie := range cookies(r) {
		v, mine := valueOf(cookie, name)
		if !mine {
			continue
		}
		if ok {
			return "", false
		}
		value, ok = v, true
	}
	return value, ok
}

// Has reports whether a request carries a cookie called name at all.
func Has(r *http.Request, name string) bool {
	for cookie := range cookies(r) {
		if _, ok := valueOf(cookie, name); ok {
			return true
		}
	}
	return false
}

// WithPrefix yields each cookie whose name begins with prefix, once.
func WithPrefix(r *http.Request, prefix string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		seen := make(map[string]bool)
		for cookie := range cookies(r) {
			name, value, ok := strings.Cut(cookie, "=")
			if !ok || !strings.HasPrefix(name, prefix) || seen[name] {
				continue
			}
			seen[name] = true
			if !yield(name, value) {
				return
			}
		}
	}
}

// A Kind is what cookies have in common but for name, value and age.
type Kind struct {
	Path   string
	Secure bool
}

// Set gives the browser a cookie, or takes it away if maxAge is not positive.
// It writes what http.SetCookie would, at a fraction of the cost: names, paths
// and values are this package's own and need no checking.
//
// SameSite is Lax and not Strict: a Strict cookie is not sent on the navigation
// that follows the provider's redirect, nor on a link in an e-mail, and the
// person would look logged out.
func (k Kind) Set(w http.ResponseWriter, name, value string, maxAge time.Duration) {
	age := strconv.Itoa(max(0, int(maxAge/time.Second)))
	secure := ""
	if k.Secure {
		secure = "; Secure"
	}
	unset(w.Header(), name)
	w.Header().Add("Set-Cookie",
		name+"="+value+"; Path="+k.Path+"; Max-Age="+age+"; HttpOnly"+secure+"; SameSite=Lax")
}

// Remove takes a cookie away.
func (k Kind) Remove(w http.ResponseWriter, name string) { k.Set(w, name, "", 0) }

// unset takes back what this answer has set under a name so far: no answer
// may set a cookie twice (RFC 6265bis section 4.1.1).
func unset(header http.Header, name string) {
	if lines, ok := header["Set-Cookie"]; ok {
		header["Set-Cookie"] = slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, name+"=") })
	}
}
