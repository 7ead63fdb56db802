package logintest

import (
	"net/http"
	"net/url"
	"strings"
)

// Attacks by forms that are posted to the callback, also if the application
// does not use them (OAuth 2.0 Form Post Response Mode).
var formAttacks = []attack{
	{"answer in a form",
		"look up the state of a posted form only among the logins that this browser began, before any token request",
		formForged},
	{"markup in a form",
		"escape the form values that it repeats, and redirect only to its own callback",
		formReflected},
}

// formForged posts Mallory's response from pages of another site, and of a
// sibling host, whose forms carry Lax cookies. If the application uses forms,
// it also tries a link.
func formForged(s *siege) {
	must := ""
	if !s.byForm { // set by the honest login
		must = "reject a form that is posted to its callback, because its logins do not use response_mode=form_post"
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
			cause := "a form with the response of Mallory's login, posted in " + victim.what + ","
			if from == "a link" {
				if !s.byForm {
					continue
				}
				now = step{method: http.MethodGet, address: theirs.callback.String(), site: "cross-site"}
				cause = "a link with the response of Mallory's login, opened in " + victim.what + ","
			}
			before := s.provider.Count(Token)
			s.within(b, now)
			s.expectAsBefore(b, victim.who, before, cause, must)
		}
	}
}

// formReflected posts values that could end an attribute, a tag or a URL.
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
				found("a page repeated the markup of a posted form unescaped")
			}
		}
		s.staysHome(hops, hostile)
		s.expect(b, nobody, "an invalid form")
	}
}
