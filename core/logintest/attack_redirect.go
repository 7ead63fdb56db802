package logintest

import (
	"maps"
	"net/http"
	"net/url"
	"strings"
)

// Attacks on redirects (RFC 9700 section 4.11), and on the headers that
// influence them.
var redirectAttacks = []attack{
	{"open redirect at the login",
		"redirect only to paths that begin with one slash, have no slash or backslash after it, and contain no control characters or white space",
		redirectAtLogin},
	{"open redirect at the logout",
		"redirect after a logout only to a configured page, or check the page to return to as at the login",
		redirectAtLogout},
	{"header injection",
		"put no request value with control characters into a header",
		headersInjected},
	{"Host and forwarded headers",
		"take its own URL from its configuration, and trust neither Host nor forwarded headers",
		hostForged},
}

// returnNames are common names of the parameter with the page to return to.
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

const mark = "returned-here=1"

// heeded returns the names that the application's login uses.
func (s *siege) heeded() []string {
	var names []string
	for _, name := range returnNames {
		l := s.try(s.newBrowser(), s.ada, returning(s.marked(mark), name))
		if l.callback != nil && endsAtMark(s.finish(l)) {
			names = append(names, name)
		}
	}
	return names
}

func endsAtMark(hops []Hop) bool { return strings.Contains(hops[len(hops)-1].URL, mark) }

// marked returns the path of the private page with a parameter.
func (s *siege) marked(mark string) string {
	if strings.Contains(s.target.Private, "?") {
		return s.target.Private + "&" + mark
	}
	return s.target.Private + "?" + mark
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
		hops, next := s.walk(b, typed(s.origin+path), s.isCallback) // a guard may return to this path
		if next != nil && s.isCallback(next) {
			hops = append(hops, s.open(b, next.String())...)
		}
		s.staysHome(hops, path)
	}
}

// staysHome requires that the application redirects only to itself or to the
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
			found("%q as the page to return to sent the browser to %s", because, to)
		}
	}
}

func redirectAtLogout(s *siege) {
	for _, to := range openRedirects {
		b := s.newBrowser()
		r := s.logout(b, returning(to, returnNames...), "same-origin")
		query := r.URL.Query()
		maps.Copy(query, returning(to, returnNames...)) // a POST has them in query and body
		r.URL.RawQuery = query.Encode()
		page := s.send(b, r)
		s.staysHome(page.Hops, to)
		if at, err := url.Parse(page.Header.Get("Location")); err == nil && strings.Contains(at.Query().Get("post_logout_redirect_uri"), evilHost) {
			found("%q as the page to return to was sent to the provider", to)
		}
	}
}

func headersInjected(s *siege) {
	names := append([]string{"state", "code", "iss", "error", "error_description", "lang", "prompt", "login_hint"}, returnNames...)
	for _, end := range []string{"\r\n", "\n", "\r", "\u560d\u560a"} { // the low bytes of the last one are CR and LF
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

// forgedHeaders returns functions that each forge one header of a request.
func forgedHeaders() []func(*http.Request) {
	edits := []func(*http.Request){func(r *http.Request) { r.Host = evilHost }}
	for name, value := range map[string]string{
		"X-Forwarded-Host": evilHost, "X-Forwarded-Server": evilHost, "X-Host": evilHost, "X-Original-Host": evilHost,
		"Forwarded": "host=" + evilHost + ";proto=http", "X-Forwarded-Proto": "http", "X-Forwarded-Scheme": "http", "X-Forwarded-Port": "81",
		"X-Forwarded-Prefix": "//" + evilHost, "X-Forwarded-Uri": "//" + evilHost, "X-Original-Url": "//" + evilHost, "X-Rewrite-Url": "//" + evilHost,
		"Referer": evilOrigin + "/",
	} {
		edits = append(edits, func(r *http.Request) { r.Header.Set(name, value) })
	}
	return edits
}

func hostForged(s *siege) {
	insecure := s.setsInsecureCookies(s.everywhere(nil)) // without forged headers
	for _, edit := range forgedHeaders() {
		hops := s.everywhere(edit)
		s.checkHost(hops)
		if !insecure && s.setsInsecureCookies(hops) {
			found("a forged header made the application set a cookie that was not Secure")
		}
	}
}

// everywhere performs a login and a logout, and returns all hops. Edit forges
// the headers of requests to the application.
func (s *siege) everywhere(edit func(*http.Request)) []Hop {
	b := s.newBrowser()
	s.edit = edit
	hops := append(s.within(b, typed(s.at(s.target.LoginPath, nil))), s.within(b, typed(s.at(s.target.Private, nil)))...)
	s.edit = nil
	l := s.begin(b, s.ada)
	s.edit = edit
	hops = append(append(hops, s.finish(l)...), s.send(b, s.logout(b, url.Values{}, "same-origin")).Hop)
	s.edit = nil
	return hops
}

func (s *siege) setsInsecureCookies(hops []Hop) bool {
	for _, hop := range hops {
		for _, c := range kept(hop.Header) {
			if s.secure() && !c.Secure {
				return true
			}
		}
	}
	return false
}

// checkHost checks redirects and cookies for the forged host.
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
			if strings.Contains(c.Domain, evilHost) {
				found("a forged header set the Domain of cookie %s to %s", c.Name, c.Domain)
			}
		}
	}
}
