package core

import (
	"net/http"
	"strings"
)

// loadInFull answers a GET by htmx or Turbo with a response that makes them load the same
// URL in full, as the browser does: their scripts cannot follow a redirect to another
// site. Nothing else happens. It returns false for other requests.
func (a *Authenticator) loadInFull(w http.ResponseWriter, r *http.Request) bool {
	to := percentEncode(a.requestedURL(r))
	path, _, _ := strings.Cut(to, "?")
	if r.Method != http.MethodGet || !isLocalPath(path) {
		return false
	}
	switch {
	case isHTMX(r):
		noStore(w)
		w.Header().Set("HX-Redirect", to)
		w.WriteHeader(http.StatusOK)
	case isTurbo(r):
		a.serveOneMoment(w, r, "", to)
	default:
		return false
	}
	return true
}

// isHTMX reports whether htmx has sent r.
func isHTMX(r *http.Request) bool { return r.Header.Get("HX-Request") == "true" }

// isTurbo reports whether Turbo (8 or newer) has sent r.
func isTurbo(r *http.Request) bool { return r.Header.Get("X-Turbo-Request-Id") != "" }

// mayNavigate reports whether r may load a page at the top level of a window. Browsers
// say so with Fetch Metadata. Requests without Fetch Metadata are accepted, except for
// the headers of known scripts. A HEAD shows no page.
func mayNavigate(r *http.Request) bool {
	if isPrefetch(r) || r.Method == http.MethodHead {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		dest := r.Header.Get("Sec-Fetch-Dest")
		return mode == "navigate" && (dest == "document" || dest == "")
	}
	// Android's WebViews send the name of their application in X-Requested-With.
	return !strings.EqualFold(r.Header.Get("X-Requested-With"), "XMLHttpRequest") && r.Header.Get("HX-Request") == "" && !isTurbo(r)
}

func isPrefetch(r *http.Request) bool {
	for _, name := range []string{"Sec-Purpose", "X-Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		purpose := r.Header.Get(name)
		if purpose == "" {
			continue
		}
		purpose = strings.ToLower(purpose)
		if strings.Contains(purpose, "prefetch") || strings.Contains(purpose, "preview") {
			return true
		}
	}
	return false
}

// isNavigation reports whether r loads a page, so that the user sees the response.
// Browsers without Fetch Metadata accept HTML for pages, and not for data.
func isNavigation(r *http.Request) bool {
	if r.Method != http.MethodGet || !mayNavigate(r) {
		return false
	}
	return r.Header.Get("Sec-Fetch-Mode") != "" || acceptsHTML(r)
}

// sendsForm reports whether r is a form that a page has sent. A redirect to the login
// would lose the form's values without telling the user.
func sendsForm(r *http.Request) bool {
	return r.Method != http.MethodGet && r.Method != http.MethodHead && acceptsHTML(r) && mayNavigate(r)
}
