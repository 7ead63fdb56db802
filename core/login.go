package core

import (
	"net/http"
	"net/url"
	"strings"
)

// Login begins a login: it seals a new attempt into a cookie and sends the
// browser to the provider with the S256 challenge of its verifier. Where the
// person ends afterwards is the query parameter return_to, if it is a path of
// this application, else "/". It does not look whether somebody is logged in.
//
// Only a navigation begins a login. Prefetches, frames and fetch requests get
// an [*Error] with status 403: each would leave an attempt that nobody ends.
// While the provider is down and has never been up, it is [ErrUnavailable].
func (a *Authenticator) Login(w http.ResponseWriter, r *http.Request) error {
	noStore(w)
	returnTo := r.URL.Query().Get("return_to")
	if !mayNavigate(r) {
		return a.report(w, r, withLogin(&Error{
			Status: http.StatusForbidden, Code: "not_a_navigation",
			Public: "Logging in works only when a page is opened, not from within one. Please open the login page.",
		}, a.loginURL(returnTo)))
	}
	return a.report(w, r, a.begin(w, r, returnTo, false))
}

// begin sends the browser to the provider with a new attempt.
func (a *Authenticator) begin(w http.ResponseWriter, r *http.Request, returnTo string, restart bool) error {
	attempt := newAttempt(a.providerID, a.returnTo(returnTo), restart, a.now())
	to, err := a.provider.authorizationURL(r.Context(), attempt)
	if err != nil {
		return withLogin(err, a.loginURL(returnTo))
	}
	a.attempts.save(w, r, attempt)
	redirect(w, to)
	return nil
}

// returnTo is safeReturnTo, and never one of the login's own routes: that would
// be a circle.
func (a *Authenticator) returnTo(s string) string {
	s = safeReturnTo(s)
	path, _, _ := strings.Cut(s, "?")
	path, _, _ = strings.Cut(path, "#")
	path, _ = url.PathUnescape(path) // it can be: s is safe
	switch path {
	case a.callbackPath, a.config.LoginPath, a.config.LogoutPath:
		return home
	}
	return s
}

// loginURL is where a login that ends at returnTo can be begun.
func (a *Authenticator) loginURL(returnTo string) string {
	if returnTo = a.returnTo(returnTo); returnTo == home {
		return a.config.LoginPath
	}
	return a.config.LoginPath + "?return_to=" + url.QueryEscape(returnTo)
}

// mayNavigate reports whether r can be a page being opened at the top of a
// window. Browsers say so (Fetch Metadata); what says nothing is given the
// benefit of the doubt.
func mayNavigate(r *http.Request) bool {
	if isPrefetch(r) {
		return false
	}
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		dest := r.Header.Get("Sec-Fetch-Dest")
		return mode == "navigate" && (dest == "document" || dest == "")
	}
	return r.Header.Get("X-Requested-With") == "" && r.Header.Get("HX-Request") == ""
}

func isPrefetch(r *http.Request) bool {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
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
