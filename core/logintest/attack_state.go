package logintest

import (
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Attacks on the binding of a callback to the browser that began the login (RFC
// 6749 section 10.12, RFC 9700 sections 2.1 and 4.7).
var stateAttacks = []attack{
	{"login begun in another browser",
		"look up the state only among the logins that this browser began, and reject an unknown one before any token request",
		loginCSRF},
	{"state missing or empty",
		"reject a callback without exactly one non-empty state before any token request",
		stateMissing},
	{"parameters doubled",
		"reject a callback with a repeated parameter (RFC 6749 section 3.1)",
		parametersDoubled},
	{"callback opened twice",
		"end each login at its first callback, so that a second callback redeems no code and changes no session",
		callbackReplayed},
	{"page of another login",
		"keep the page to return to, and all else that belongs to one login, in the record of that login",
		pageSwapped},
	{"protocol values set by a link",
		"create state, nonce and verifier itself, and not let the browser's request choose protocol parameters",
		valuesPlanted},
	{"text in an error response",
		"show its own text for a failed login, because an attacker who makes a link chooses error_description",
		errorReflected},
}

// codeAttacks use the code of one login in another. A nonce stops them, or else
// only PKCE. Without either they are left out, because the attack "PKCE"
// reports it.
func (s *siege) codeAttacks() []attack {
	if s.plain && !s.verifies {
		return nil
	}
	injected := "require this login's nonce in the ID token, because a code_verifier helps only at a provider that checks it"
	if s.plain {
		injected = "generate a code_verifier for each login, and send this login's code_verifier with the code"
	}
	return []attack{
		{"state of another login",
			"keep a record for each login, and use the verifier and the nonce of the login that the state belongs to",
			stateSwapped},
		{"code of another login", injected, codeInjected},
	}
}

func loginCSRF(s *siege) {
	for _, victim := range []struct {
		what, who string
		prepare   func(*Browser)
	}{
		{"a fresh browser", nobody, func(*Browser) {}},
		{"a browser with a login in progress", nobody, func(b *Browser) { s.begin(b, s.ada) }},
		{"Ada's browser", called(s.ada), func(b *Browser) { s.signIn(b, s.ada) }},
	} {
		b := s.newBrowser()
		victim.prepare(b)
		theirs := s.begin(s.newBrowser(), s.mallory)
		before := s.provider.Count(Token)
		s.open(b, theirs.callback.String())
		cause := "the callback of Mallory's login, opened in " + victim.what + ","
		s.expectAsBefore(b, victim.who, before, cause, "")
	}
}

// stateMissing sends Mallory's code to a browser, without the state that she
// cannot know. A finished login may have left an empty state in the browser.
func stateMissing(s *siege) {
	for _, over := range []bool{false, true} {
		for _, empty := range []struct {
			cause string
			state []string
		}{{"a callback without a state", nil}, {"a callback with an empty state", []string{""}}} {
			b, who := s.newBrowser(), nobody
			if over {
				s.signIn(b, s.ada)
				who = called(s.ada)
				empty.cause += ", after a finished login,"
			} else {
				s.begin(b, s.ada)
			}
			theirs := s.begin(s.newBrowser(), s.mallory)
			before := s.provider.Count(Token)
			s.open(b, theirs.altered(func(q url.Values) { q["state"] = empty.state }))
			s.expectAsBefore(b, who, before, empty.cause, "")
		}
	}
}

func parametersDoubled(s *siege) {
	for _, name := range []string{"state", "code", "iss"} {
		for _, first := range []bool{false, true} {
			l := s.begin(s.newBrowser(), s.ada)
			theirs := s.begin(s.newBrowser(), s.mallory)
			before := s.provider.Count(Token)
			s.open(l.browser, l.altered(func(q url.Values) {
				values := []string{q.Get(name), theirs.response().Get(name)}
				if first {
					values[0], values[1] = values[1], values[0]
				}
				q[name] = values
			}))
			cause := "a callback with two " + name + " parameters"
			s.expect(l.browser, nobody, cause)
			s.expectNoTokenRequest(before, cause)
		}
	}
}

// stateSwapped mixes two logins of one browser, such as logins in two tabs.
func stateSwapped(s *siege) {
	for _, swap := range []bool{false, true} {
		b := s.newBrowser()
		one, two := s.begin(b, s.ada), s.begin(b, s.mallory)
		if swap {
			one, two = two, one
		}
		s.open(b, one.altered(func(q url.Values) { q.Set("code", two.response().Get("code")) }))
		s.expect(b, nobody, "a callback with the state of one login and the code of another in the same browser")
	}
}

// codeInjected puts Mallory's code into a login that Ada has begun in another
// browser. A provider without PKCE redeems it.
func codeInjected(s *siege) {
	at := "at a provider that does not check PKCE, "
	if s.plain {
		at = ""
	}
	theirs := s.begin(s.newBrowser(), s.mallory)
	l := s.begin(s.newBrowser(), s.ada)
	s.open(l.browser, l.altered(func(q url.Values) { q.Set("code", theirs.response().Get("code")) }))
	s.expect(l.browser, nobody, at+"Mallory's code, injected into Ada's login,")
}

func callbackReplayed(s *siege) {
	l := s.begin(s.newBrowser(), s.ada)
	s.finish(l)
	before := s.provider.Count(Token)
	cause := "a callback that was opened a second time"
	s.finish(l)
	s.expectNoTokenRequest(before, cause)
	s.expect(l.browser, called(s.ada), cause)
	s.logOut(l.browser)
	cause = "a callback that was opened again after the logout"
	s.finish(l)
	s.expectNoTokenRequest(before, cause)
	s.expect(l.browser, nobody, cause)
}

// pageSwapped begins two logins in tabs of one browser, each with its own page to
// return to, and finishes one of them.
func pageSwapped(s *siege) {
	for _, name := range s.heeded() {
		for first := range 2 {
			b := s.newBrowser()
			var tabs [2]*login
			for i, mark := range tabMarks {
				tabs[i] = s.try(b, s.ada, returning(s.marked(mark), name))
			}
			hops := s.finish(tabs[first])
			if strings.Contains(hops[len(hops)-1].URL, tabMarks[1-first]) {
				found("a login ended at the page that a login in another tab was for")
			}
		}
	}
}

var tabMarks = [2]string{"tab=one", "tab=two"}

// valuesPlanted sends parameters that the application must choose itself.
func valuesPlanted(s *siege) {
	planted := strings.Repeat("planted-by-a-link", 3)
	link := url.Values{"redirect_uri": {evilOrigin + "/" + planted}}
	for _, name := range []string{"state", "nonce", "code_challenge", "code_challenge_method", "code_verifier", "client_id", "client_secret"} {
		link.Set(name, planted)
	}
	l := s.try(s.newBrowser(), s.ada, link)
	for _, name := range slices.Sorted(maps.Keys(link)) {
		if strings.Contains(l.request.Get(name), planted) {
			found("the login took %s from the link that began it", name)
		}
	}
	l = s.begin(s.newBrowser(), s.ada)
	s.provider.forget()
	link.Del("state")
	s.open(l.browser, l.callback.String()+"&"+link.Encode())
	for _, request := range s.provider.Requests() {
		for name, values := range request.Form {
			if request.Endpoint == Token && strings.Contains(strings.Join(values, " "), planted) {
				found("the token request had a %s that came with the callback", name)
			}
		}
	}
}

// errorReflected sends texts to a callback without a login, and to one with a
// login. With a login the text comes from the provider, so only markup counts.
func errorReflected(s *siege) {
	const text = "reflectedtext"
	const markup = "<b>" + text + "</b>"
	response := url.Values{"error": {text}, "error_description": {markup}, "error_uri": {evilOrigin + "/" + text}}
	b := s.newBrowser()
	response.Set("state", "nobodys")
	for _, hop := range s.open(b, s.at(s.callback.Path, response)) {
		if hop.onward() == nil && strings.Contains(string(hop.Body), text) {
			found("a page showed the text of an error response that belongs to no login")
		}
	}
	l := s.begin(b, s.ada)
	for _, hop := range s.open(b, l.altered(func(q url.Values) {
		q.Del("code")
		q["error"], q["error_description"], q["error_uri"] = response["error"], response["error_description"], response["error_uri"]
	})) {
		if strings.Contains(string(hop.Body), markup) {
			found("a page showed the markup of an error response unescaped")
		}
	}
	s.expect(b, nobody, "an error response")
}
