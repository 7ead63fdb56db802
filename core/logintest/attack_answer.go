package logintest

import (
	"net/url"
	"strings"
)

// Attacks on what a login's responses leave in browsers and caches (RFC 9700
// section 4.2.4).
var answerAttacks = []attack{
	{"code in the address bar",
		"answer a callback with a redirect to a URL without code and state, because URLs remain in the browser's history and in Referer",
		codeKept},
	{"answers in caches",
		"answer the login and the callback with Cache-Control: no-store",
		answersCached},
}

func codeKept(s *siege) {
	l := s.begin(s.newBrowser(), s.ada)
	hops := s.finish(l)
	answer := l.response()
	if at, err := url.Parse(hops[len(hops)-1].URL); err == nil && s.isCallback(at) {
		found("the callback was answered with a page, so the code remained in its URL")
	}
	for _, name := range []string{"code", "state"} {
		for _, hop := range hops {
			if strings.Contains(hop.Header.Get("Location"), answer.Get(name)) {
				found("the callback's %s was in the URL of the page after it", name)
			}
		}
	}
}

func answersCached(s *siege) {
	check := func(what string, hop Hop) {
		if !strings.Contains(hop.Header.Get("Cache-Control"), "no-store") {
			found("%s was answered without Cache-Control: no-store", what)
		}
	}
	b := s.newBrowser()
	check("a login", s.get(b, s.at(s.target.LoginPath, nil), "none").Hop)
	for _, hop := range s.finish(s.begin(b, s.ada)) {
		if at, err := url.Parse(hop.URL); err == nil && s.isCallback(at) {
			check("a callback", hop)
		}
	}
	check("a callback with an unknown state", s.get(b, s.at(s.callback.Path, url.Values{"code": {"x"}, "state": {"nobodys"}}), "cross-site").Hop)
	s.misbehave(Faults{IDToken: func(_, claims map[string]any) { claims["nonce"] = "another-nonce" }})
	check("a callback with a bad ID token", s.finish(s.begin(b, s.ada))[0])
}
