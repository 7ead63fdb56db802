// Package exempt decides which requests a guard lets pass by their path. It accepts a
// path only if every router, file server and proxy reads it in the same way. An
// exemption never opens more than it says.
package exempt

import (
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/pixyauth/pixy/core"
)

// Handler returns a handler that passes requests for public paths to open, and all others
// to guarded. The login's own routes are never public, whatever the paths say. It panics,
// in the name of a function, if a path is not plain.
func Handler(function string, auth *core.Authenticator, public []string, open, guarded http.Handler) http.Handler {
	exempted := parse(function, public)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ours := auth.RouteFor(r); !ours && exempted.match(r) {
			open.ServeHTTP(w, r)
		} else {
			guarded.ServeHTTP(w, r)
		}
	})
}

// paths are exempted paths: exact ones such as /healthz, and subtrees such as /static/,
// which end in a slash.
type paths []string

func parse(function string, patterns []string) paths {
	for _, p := range patterns {
		exact := strings.TrimSuffix(p, "/")
		if len(exact) < 2 || exact[0] != '/' || path.Clean(exact) != exact || strings.ContainsFunc(p, notPlain) {
			panic(fmt.Sprintf("%s: %q cannot be an exempted path; give a plain path such as /healthz, or a subtree such as /static/, "+
				"without a method, wildcards or escapes; to exempt all paths, do not use a guard", function, p))
		}
	}
	return slices.Clone(patterns)
}

// notPlain reports whether c is in no pattern: it has a meaning in a router, or must be
// escaped in a URL.
func notPlain(c rune) bool {
	return c <= ' ' || c > '~' || strings.ContainsRune("\"%*,:;<>?#[\\]^`{|}", c)
}

// match reports whether r is for an exempted path. It does not depend on the method.
func (p paths) match(r *http.Request) bool {
	if r.URL.RawPath != "" { // has unusual escapes, such as %2F
		return false
	}
	for _, pattern := range p {
		rest, ok := strings.CutPrefix(r.URL.Path, pattern)
		if ok && (rest == "" || strings.HasSuffix(pattern, "/")) {
			return isClean(rest)
		}
	}
	return false
}

// isClean reports whether all programs read the rest of a decoded path in the same way.
// It has no percent sign, which a second decoding would resolve; no semicolon, question
// mark or number sign, where some servers cut a path off; no backslash, which Windows
// reads as a slash; no control character or invalid UTF-8; and no segment that is empty
// or consists of dots and blanks, which Windows ignores at the end of a name.
func isClean(rest string) bool {
	if !utf8.ValidString(rest) || strings.ContainsAny(rest, `%;?#\`) || strings.ContainsFunc(rest, isUnprintable) {
		return false
	}
	for rest != "" {
		var segment string
		if segment, rest, _ = strings.Cut(rest, "/"); strings.Trim(segment, ". ") == "" {
			return false
		}
	}
	return true
}

func isUnprintable(c rune) bool { return !unicode.IsPrint(c) }
