package core

import (
	"net/http"
	"slices"
	"strings"
)

// markPrivate marks a response as private to one user, so that shared caches do not keep
// it. Earlier values that are as strict remain.
func markPrivate(header http.Header) {
	values := [...]string{"private", "Cookie"} // one allocation for both
	switch control := header["Cache-Control"]; {
	case len(control) == 0:
		header["Cache-Control"] = values[:1:1]
	case !isPrivate(control):
		header["Cache-Control"] = privately(control)
	}
	if control := header[cdnCacheControl]; len(control) > 0 && !isPrivate(control) {
		header[cdnCacheControl] = privately(control)
	}
	switch vary := header["Vary"]; {
	case len(vary) == 0:
		header["Vary"] = values[1:]
	case !slices.Contains(vary, "Cookie"):
		header["Vary"] = append(vary, "Cookie")
	}
}

// cdnCacheControl is the header field that a CDN's shared caches use instead of
// Cache-Control (RFC 9213).
const cdnCacheControl = "Cdn-Cache-Control"

// isPrivate reports whether Cache-Control prevents shared caches from serving the
// response to another user (RFC 9111 section 5.2.2).
func isPrivate(control []string) bool {
	private := false
	for _, directive := range cacheDirectives(control) {
		switch name, _, _ := strings.Cut(directive, "="); name {
		case "public", "s-maxage":
			return false
		}
		private = private || keepsPrivate(directive)
	}
	return private
}

// keepsPrivate reports whether a directive does so. Directives that name header fields do
// not count, because they apply to those fields only.
func keepsPrivate(directive string) bool {
	return directive == "private" || directive == "no-store" || directive == "no-cache"
}

// privately returns control as private, without the directives that let shared caches
// keep the response.
func privately(control []string) []string {
	kept := []string{"private"}
	for _, directive := range cacheDirectives(control) {
		switch name, _, _ := strings.Cut(directive, "="); {
		case name == "public", name == "s-maxage", name == "private", name == "", strings.Contains(directive, `"`):
		default:
			kept = append(kept, directive)
		}
	}
	return []string{strings.Join(kept, ", ")}
}

// cacheDirectives returns the directives in lower case, because their names are
// case-insensitive.
func cacheDirectives(control []string) []string {
	directives := strings.Split(strings.ToLower(strings.Join(control, ",")), ",")
	for i, directive := range directives {
		directives[i] = strings.TrimSpace(directive)
	}
	return directives
}

// keepFromCaches prevents shared caches from storing a response that sets a session,
// which would give the session to other users. The second header (RFC 9213) is for
// handlers that remove the first, as net/http's file server does for an error.
func keepFromCaches(header http.Header) {
	header.Set("Cache-Control", "no-store")
	header.Set("CDN-Cache-Control", "no-store")
}
