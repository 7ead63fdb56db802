package core

import (
	"iter"
	"net/http"
	"slices"
	"strings"
)

// cookies yields the name and value of each cookie of a request. It scans the
// header instead of parsing it: a guarded request needs one cookie among many.
// What is not a name and a value is passed over.
func cookies(r *http.Request) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for _, header := range r.Header["Cookie"] {
			for header != "" {
				var pair string
				pair, header, _ = strings.Cut(header, ";")
				name, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
				if ok && !yield(name, value) {
					return
				}
			}
		}
	}
}

// cookieValue returns the value of the only cookie called name. If there are
// two, somebody has planted one of them (RFC 6265bis section 8.6) and there is
// no telling which: neither counts.
func cookieValue(r *http.Request, name string) (value string, ok bool) {
	for n, v := range cookies(r) {
		if n != name {
			continue
		}
		if ok {
			return "", false
		}
		value, ok = v, true
	}
	return value, ok
}

// hasCookie reports whether a request carries a cookie called name at all.
func hasCookie(r *http.Request, name string) bool {
	for n := range cookies(r) {
		if n == name {
			return true
		}
	}
	return false
}

// cookiesWithPrefix yields each cookie whose name begins with prefix, once.
func cookiesWithPrefix(r *http.Request, prefix string) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		seen := make(map[string]bool)
		for name, value := range cookies(r) {
			if !strings.HasPrefix(name, prefix) || seen[name] {
				continue
			}
			seen[name] = true
			if !yield(name, value) {
				return
			}
		}
	}
}

// setCookie sets a cookie, in place of what this answer has set under the same
// name so far: no answer may have two (RFC 6265bis section 4.1.1).
func setCookie(w http.ResponseWriter, cookie *http.Cookie) {
	unsetCookie(w.Header(), cookie.Name)
	http.SetCookie(w, cookie)
}

func unsetCookie(header http.Header, name string) {
	if lines, ok := header["Set-Cookie"]; ok {
		header["Set-Cookie"] = slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, name+"=") })
	}
}
