package logintest

import (
	"net/http"
	"net/url"
	"strings"
)

// Attacks by forms that are posted to the callback, whether the application has
// asked for its answers so or not (OAuth 2.0 Form Post Response Mode).
var formAttacks = []attack{
	{"answer in a form",
		"look up what a form brings among the logins that this very browser has begun, as what a link brings, before any token request",
		formForged},
	{"markup in a form",
		"escape whatever it repeats of a form, and lead on to its own callback only",
		formReflected},
}

// formForged has pages of other sites, and of a sibling host, from which cookies
// that are Lax come along, post an answer of Mallory's. Where a form is what is
// asked for, a link is tried as well.
func formForged(s *siege) {
	must := ""
	if !s.byForm { // known since the honest login
		must = "refuse a form that is posted to its callback, because none of its logins asks for one (response_mode=form_post)"
	}
	for _, victim := range []struct {
		what, who string
		prepare   func(*Browser)
	}{
		{"a fresh browser", nobody, func(*Browser) {}},
		{"Ada's browser", called(s.ada), func(b *Browser) { s.signIn(b, s.ada) }},
	} {
		for _, from := range []string{"cross-site", "same-site", "a link"} {
			b := s.newBrowser()
			victim.prepare(b)
			theirs := s.begin(s.newBrowser(), s.mallory)
			now := s.asForm(theirs.callback, from)
			cause := "a form with the answer of a login by Mallory, posted in " + victim.what + ","
			if from == "a link" {
				if !s.byForm {
					continue
				}
				now = step{method: http.MethodGet, address: theirs.callback.String(), site: "cross-site"}
				cause = "the answer of a login by Mallory as a link, opened in " + victim.what + ","
			}
			before := s.provider.Count(Token)
			s.within(b, now)
			s.expectAsBefore(b, victim.who, before, cause, must)
		}
	}
}

// formReflected posts what would end an attribute, a tag or a URL.
func formReflected(s *siege) {
	const markup = `"'><b>reflectedtext</b>`
	for _, hostile := range []string{markup, "0;url=" + evilOrigin + "/", "//" + evilHost + "/"} {
		form := make(url.Values)
		for _, name := range []string{"state", "code", "iss", "error", "error_description", "user", "url", hostile} {
			form.Set(name, hostile)
		}
		b := s.newBrowser()
		hops := s.within(b, s.asForm(&url.URL{Scheme: s.callback.Scheme, Host: s.callback.Host, Path: s.callback.Path, RawQuery: form.Encode()}, "cross-site"))
		for _, hop := range hops {
			if strings.Contains(string(hop.Body), "<b>reflectedtext") {
				found("a form posted to the callback had its markup repeated as such")
			}
		}
		s.staysHome(hops, hostile)
		s.expect(b, nobody, "a form that made no sense")
	}
}
