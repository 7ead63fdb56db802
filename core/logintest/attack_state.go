package logintest

import (
	"maps"
	"net/url"
	"slices"
	"strings"
)

// Attacks on what ties a callback to the browser that began the login (RFC 6749
// section 10.12, RFC 9700 sections 2.1 and 4.7).
var stateAttacks = []attack{
	{"login begun in another browser",
		"look a state up only among the logins that this very browser has begun, and refuse it before any token request",
		loginCSRF},
	{"state missing or empty",
		"refuse a callback without its one, non-empty state before any token request",
		stateMissing},
	{"parameters doubled",
		"refuse a callback that has a parameter twice (RFC 6749 section 3.1)",
		parametersDoubled},
	{"callback opened twice",
		"use a login up with its first callback, so that a second one redeems nothing and changes no session",
		callbackReplayed},
	{"protocol values set by a link",
		"make state, nonce and verifier itself, and take no parameter of the protocol from a request of the browser's",
		valuesPlanted},
	{"text in an error response",
		"answer a failed login in words of its own, because whoever makes a link chooses what error_description says",
		errorReflected},
}

// codeAttacks bring the code of one login to another. A nonce stops them, or else
// PKCE alone: without either, they are left out, because the attack "PKCE" says so.
func (s *siege) codeAttacks() []attack {
	if s.plain && !s.verifies {
		return nil
	}
	injected := "demand this login's nonce in the ID token, because its code_verifier stops this only at a provider that checks it"
	if s.plain {
		injected = "draw a code_verifier for each login, and send this login's with the code"
	}
	return []attack{
		{"state of another login",
			"keep a record for each login, and use only the verifier and the nonce of the one that the state belongs to",
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
		{"a browser with a login under way", nobody, func(b *Browser) { s.begin(b, s.ada) }},
		{"Ada's browser", called(s.ada), func(b *Browser) { s.signIn(b, s.ada) }},
	} {
		b := s.newBrowser()
		victim.prepare(b)
		theirs := s.begin(s.newBrowser(), s.mallory)
		before := s.provider.Count(Token)
		s.open(b, theirs.callback.String())
		cause := "the callback of a login by Mallory, opened in " + victim.what + ","
		s.expectAsBefore(b, victim.who, before, cause, "")
	}
}

// stateMissing brings Mallory's code to a browser without the state that it
// cannot know. A login that is over may have left an empty state behind.
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
				empty.cause += ", after a login that was over,"
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
				values := []string{q.Get(name), theirs.callback.Query().Get(name)}
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

// stateSwapped crosses two logins of one browser, as two tabs may have.
func stateSwapped(s *siege) {
	for _, swap := range []bool{false, true} {
		b := s.newBrowser()
		one, two := s.begin(b, s.ada), s.begin(b, s.mallory)
		if swap {
			one, two = two, one
		}
		s.open(b, one.altered(func(q url.Values) { q.Set("code", two.callback.Query().Get("code")) }))
		s.expect(b, nobody, "a callback with the state of one login and the code of another in the same browser")
	}
}

// codeInjected brings a code of Mallory's, from a browser of hers, to a login
// that Ada has begun. A provider that does without PKCE redeems it.
func codeInjected(s *siege) {
	at := "at a provider that does not check PKCE, "
	if s.plain {
		at = ""
	}
	theirs := s.begin(s.newBrowser(), s.mallory)
	l := s.begin(s.newBrowser(), s.ada)
	s.open(l.browser, l.altered(func(q url.Values) { q.Set("code", theirs.callback.Query().Get("code")) }))
	s.expect(l.browser, nobody, at+"a code of Mallory's, put into a login that Ada had begun,")
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

// valuesPlanted has the browser bring parameters that are the application's to
// choose.
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

// errorReflected sends texts by a callback of nobody's, and by one of a login's.
// The latter is the provider's text if all is well, so that only markup counts.
func errorReflected(s *siege) {
	const text = "reflectedtext"
	const markup = "<b>" + text + "</b>"
	response := url.Values{"error": {text}, "error_description": {markup}, "error_uri": {evilOrigin + "/" + text}}
	b := s.newBrowser()
	response.Set("state", "nobodys")
	for _, hop := range s.open(b, s.at(s.callback.Path, response)) {
		if hop.onward() == nil && strings.Contains(string(hop.Body), text) {
			found("an error response that no login was waiting for had its text shown")
		}
	}
	l := s.begin(b, s.ada)
	for _, hop := range s.open(b, l.altered(func(q url.Values) {
		q.Del("code")
		q["error"], q["error_description"], q["error_uri"] = response["error"], response["error_description"], response["error_uri"]
	})) {
		if strings.Contains(string(hop.Body), markup) {
			found("an error response had its markup shown as such")
		}
	}
	s.expect(b, nobody, "an error response")
}
