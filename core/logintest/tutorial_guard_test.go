package logintest_test

import (
	"net/http"
	"path"
	"slices"
	"strings"
)

// guardAll puts a guard in front of the router, if the tutorial has one.
func (a *tutorial) guardAll(router http.Handler) http.Handler {
	if a.exempt == nil {
		return router
	}
	public := []string{"/auth/login", "/auth/callback", "/auth/logout"}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := readCookie(r, "session"); !ok && !slices.Contains(public, r.URL.Path) && !a.exempt(r) {
			http.Redirect(w, r, "/auth/login", http.StatusFound)
			return
		}
		r.URL.RawPath = ""
		if a.resolve != nil {
			r.URL.Path = a.resolve(r.URL.Path)
		}
		router.ServeHTTP(w, r)
	})
}

// Requests that a guard lets through.

func below(prefix string) func(*http.Request) bool {
	return func(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, prefix) }
}

// spelled excepts what the request's line has literally.
func spelled(exempt func(*http.Request) bool, not ...string) func(*http.Request) bool {
	return func(r *http.Request) bool {
		return exempt(r) && !slices.ContainsFunc(not, func(part string) bool { return strings.Contains(r.RequestURI, part) })
	}
}

func ends(suffix string) func(*http.Request) bool {
	return func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, suffix) }
}

func other(methods ...string) func(*http.Request) bool {
	return func(r *http.Request) bool { return !slices.Contains(methods, r.Method) }
}

func butFor(page string) func(*http.Request) bool {
	return func(r *http.Request) bool { return path.Clean(r.URL.Path) != page }
}

func beforeSemicolon(path string) string {
	path, _, _ = strings.Cut(path, ";")
	return path
}

func backslashes(p string) string { return path.Clean(strings.ReplaceAll(p, `\`, "/")) }
