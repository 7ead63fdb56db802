package logintest

import (
	"net/http"
	"net/url"
	"strings"
)

// Attacks on where browsers are sent (RFC 9700 section 4.11), and on the headers
// that say so.
var redirectAttacks = []attack{
	{"open redirect at the login",
		"send browsers only to paths that begin with one slash, neither slash nor backslash after it, and hold no control character or white space",
		redirectAtLogin},
	{"open redirect at the logout",
		"end a logout at a page that its configuration names, or check where to go as at the login",
		redirectAtLogout},
	{"header injection",
		"put nothing that a request brings into a header unless it is free of control characters",
		headersInjected},
	{"Host and forwarded headers",
		"take its own URL from its configuration, and believe neither Host nor forwarded headers",
		hostForged},
}

// returnNames are what applications call the parameter that says where to go.
var returnNames = []string{
	"return_to", "returnTo", "return", "return_url", "returnUrl", "ReturnUrl", "redirect", "redirect_to", "redirectTo", "redirect_uri",
	"redirect_url", "redirectUrl", "next", "url", "to", "target", "dest", "destination", "continue", "goto", "rd", "back", "from",
	"callback", "callbackUrl", "origin", "r", "u", "post_logout_redirect_uri",
}

func returning(to string, names ...string) url.Values {
	query := make(url.Values)
	for _, name := range names {
		query.Set(name, to)
	}
	return query
}

// heeded returns the names that the application heeds.
func (s *siege) heeded() []string {
	const mark = "returned-here=1"
	to := s.target.Private + "?" + mark
	if strings.Contains(s.target.Private, "?") {
		to = s.target.Private + "&" + mark
	}
	var names []string
	for _, name := range returnNames {
		l := s.try(s.newBrowser(), s.ada, returning(to, name))
		if l.callback == nil {
			continue
		}
		if hops := s.finish(l); strings.Contains(hops[len(hops)-1].URL, mark) {
			names = append(names, name)
		}
	}
	return names
}

func redirectAtLogin(s *siege) {
	tries := [][]string{returnNames}
	for _, name := range s.heeded() {
		tries = append(tries, []string{name})
	}
	for _, to := range openRedirects {
		for _, names := range tries {
			if l := s.try(s.newBrowser(), s.ada, returning(to, names...)); l.callback != nil {
				s.staysHome(s.finish(l), to)
			} else {
				s.staysHome(l.hops, to)
			}
		}
	}
	for _, path := range []string{"//" + evilHost, "//" + evilHost + s.target.Private, `/\` + evilHost, "/%2f" + evilHost, "/%5c" + evilHost} {
		b := s.newBrowser()
		hops, next := s.walk(b, typed(s.origin+path), s.isCallback) // a guard may bring the browser back here
		if next != nil && s.isCallback(next) {
			hops = append(hops, s.open(b, next.String())...)
		}
		s.staysHome(hops, path)
	}
}

// staysHome demands that the application's answers lead to itself or to the
// provider.
func (s *siege) staysHome(hops []Hop, because string) {
	issuer, err := url.Parse(s.target.Issuer)
	if err != nil {
		return
	}
	for _, hop := range hops {
		base, err := url.Parse(hop.URL)
		location := hop.leadsTo()
		if err != nil || originOf(base) != s.origin || location == "" {
			continue
		}
		if to := destination(base, location); to != s.origin && to != originOf(issuer) {
			found("%q as the place to go on to sent the browser to %s", because, to)
		}
	}
}

func redirectAtLogout(s *siege) {
	for _, to := range openRedirects {
		b := s.newBrowser()
		r, err := b.navigation(http.MethodPost, s.at(s.target.LogoutPath, returning(to, returnNames...)), returning(to, returnNames...), "same-origin")
		if err != nil {
			found("Target.LogoutPath is no path (%v)", err)
		}
		page := s.send(b, r)
		s.staysHome(page.Hops, to)
		if at, err := url.Parse(page.Header.Get("Location")); err == nil && strings.Contains(at.Query().Get("post_logout_redirect_uri"), evilHost) {
			found("%q as the place to go on to was handed to the provider", to)
		}
	}
}

func headersInjected(s *siege) {
	names := append([]string{"state", "code", "iss", "error", "error_description", "lang", "prompt", "login_hint"}, returnNames...)
	for _, end := range []string{"\r\n", "\n", "\r", "\u560d\u560a"} { // the low bytes of the last are CR and LF
		hostile := "/x" + end + "X-Injected: 1" + end + "Set-Cookie: injected=1"
		if l := s.try(s.newBrowser(), s.ada, returning(hostile, names...)); l.callback != nil {
			checkHeaders(append(l.hops, s.finish(l)...))
		} else {
			checkHeaders(l.hops)
		}
		b := s.newBrowser()
		checkHeaders(s.open(b, s.at(s.callback.Path, returning(hostile, names...))))
		checkHeaders(s.open(b, s.at(s.target.LogoutPath, returning(hostile, names...))))
		checkHeaders(s.open(b, s.at(s.target.Private, returning(hostile, names...))))
	}
}

func checkHeaders(hops []Hop) {
	for _, hop := range hops {
		for name, values := range hop.Header {
			if strings.ContainsAny(strings.Join(values, ""), "\r\n") || name == "X-Injected" {
				found("a line break in a parameter got into header %s", name)
			}
		}
	}
}

func hostForged(s *siege) {
	edits := []func(*http.Request){func(r *http.Request) { r.Host = evilHost }}
	for name, value := range map[string]string{
		"X-Forwarded-Host": evilHost, "X-Forwarded-Server": evilHost, "X-Host": evilHost, "X-Original-Host": evilHost,
		"Forwarded": "host=" + evilHost + ";proto=http", "X-Forwarded-Proto": "http", "X-Forwarded-Scheme": "http", "X-Forwarded-Port": "81",
		"X-Forwarded-Prefix": "//" + evilHost, "X-Forwarded-Uri": "//" + evilHost, "X-Original-Url": "//" + evilHost, "X-Rewrite-Url": "//" + evilHost,
		"Referer": evilOrigin + "/",
	} {
		edits = append(edits, func(r *http.Request) { r.Header.Set(name, value) })
	}
	for _, edit := range edits {
		b := s.newBrowser()
		s.edit = edit
		for _, path := range []string{s.target.LoginPath, s.target.Private} {
			s.checkHost(s.within(b, typed(s.at(path, nil))))
		}
		s.edit = nil
		l := s.begin(b, s.ada)
		s.edit = edit
		s.checkHost(s.finish(l))
		r, err := b.navigation(http.MethodPost, s.at(s.target.LogoutPath, nil), url.Values{}, "same-origin")
		if err != nil {
			found("Target.LogoutPath is no path (%v)", err)
		}
		s.checkHost(s.send(b, r).Hops)
		s.edit = nil
	}
}

// checkHost looks for what a forged header has done.
func (s *siege) checkHost(hops []Hop) {
	for _, hop := range hops {
		location := hop.leadsTo()
		to, err := url.Parse(location)
		if err == nil && to.Query().Has("redirect_uri") && to.Query().Get("redirect_uri") != s.target.RedirectURL {
			found("a forged header changed the redirect_uri to %s", to.Query().Get("redirect_uri"))
		}
		if strings.Contains(location, evilHost) {
			found("a forged header got into a redirect")
		}
		for _, c := range kept(hop.Header) {
			if strings.Contains(c.Domain, evilHost) || s.secure() && !c.Secure {
				found("a forged header changed cookie %s", c.Name)
			}
		}
	}
}
