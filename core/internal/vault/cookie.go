package vault

import (
	"iter"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// cookies yields the cookies of a request, each as name=value. It also yields elements
// without "=". It scans the header instead of parsing it, because a guarded request
// needs one cookie among many.
//
// It trims only spaces and tabs, as browsers do (RFC 6265bis section 5.6). Another site
// of the domain can set a cookie whose name is a Unicode space and then our name, and
// the prefix in our name does not prevent that. Trimming Unicode spaces would take that
// cookie for ours.
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

// valueOf returns the value of a cookie, if its name is name.
func valueOf(cookie, name string) (value string, ok bool) {
	if value, ok = strings.CutPrefix(cookie, name); !ok {
		return "", false
	}
	return strings.CutPrefix(value, "=")
}

// trimBlanks is [strings.Trim] for spaces and tabs. It does not build a set of
// characters for each cookie.
func trimBlanks(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// Value returns the value of the only cookie called name. If there are two, another
// site may have set one of them (RFC 6265bis section 8.6). Nothing shows which, so
// Value returns neither.
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

// Has reports whether a request has at least one cookie called name.
func Has(r *http.Request, name string) bool {
	for cookie := range cookies(r) {
		if _, ok := valueOf(cookie, name); ok {
			return true
		}
	}
	return false
}

// WithPrefix yields the name and value of each cookie whose name begins with prefix. Of
// several cookies with one name, it yields the first.
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

// A Kind is the attributes that cookies share.
type Kind struct {
	Path   string
	Domain string // empty: the cookie is for one host
	Secure bool
}

// Set sets a cookie, or removes it if maxAge is less than a second.
func (k Kind) Set(w http.ResponseWriter, name, value string, maxAge time.Duration) {
	k.Keep(w, name, value, Life{For: maxAge})
}

// Keep sets a cookie with the given life, or removes it if that is less than a second. It
// writes what http.SetCookie would, at a fraction of the cost: names, paths and values are
// our own and need no check.
//
// SameSite is Lax, not Strict. Browsers do not send a Strict cookie with the redirect
// from the provider, nor with a link in an e-mail, so the user would seem to be logged
// out.
func (k Kind) Keep(w http.ResponseWriter, name, value string, life Life) {
	label, age, secure := "; Max-Age=", strconv.Itoa(max(0, int(life.For/time.Second))), ""
	if life.EndsWithBrowser && age != "0" {
		label, age = "", ""
	}
	if k.Secure {
		secure = "; Secure"
	}
	domain := ""
	if k.Domain != "" {
		domain = "; Domain=" + k.Domain
	}
	unset(w.Header(), name)
	w.Header().Add("Set-Cookie",
		name+"="+value+"; Path="+k.Path+domain+label+age+"; HttpOnly"+secure+"; SameSite=Lax")
}

// Remove removes a cookie from the browser.
func (k Kind) Remove(w http.ResponseWriter, name string) { k.Set(w, name, "", 0) }

// unset removes the Set-Cookie lines for name from a response header. A response must
// not set a cookie twice (RFC 6265bis section 4.1.1).
func unset(header http.Header, name string) {
	if lines, ok := header["Set-Cookie"]; ok {
		header["Set-Cookie"] = slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(line, name+"=") })
	}
}
