package logintest

import (
	"net/http"
	"net/url"
)

// Attacks by another provider, which is Mallory's (mix-up: RFC 9700 section 4.4,
// RFC 9207).
var providerAttacks = []attack{
	{"answer of another provider",
		"compare the callback's iss with the issuer at which this login was begun, before any token request (RFC 9207 section 2.4)",
		mixUp},
	{"answer without iss",
		"refuse a callback without iss, before any token request, if the provider's metadata promises one (RFC 9207 section 2.4)",
		issuerMissing},
}

// mixUp brings an answer of another provider's to a login that waits for one of
// the honest provider's.
func mixUp(s *siege) {
	evil := s.newProvider(evilOrigin)
	evil.Misbehave(Faults{NoPKCE: true})
	b := s.newBrowser()
	b.Serve(evilOrigin, evil)
	l := s.begin(b, s.ada)
	asked := step{method: http.MethodGet, address: evil.url(Authorization) + "?" + l.request.Encode(), site: "cross-site"}
	_, answer := s.walk(b, asked, s.isCallback)
	if answer == nil {
		found("another provider cannot make sense of the authorization request")
	}
	before := s.provider.Count(Token)
	s.open(b, answer.String())
	s.expect(b, nobody, "a callback with the iss of another provider")
	s.expectNoTokenRequest(before, "a callback with the iss and the code of another provider")

	l = s.begin(b, s.ada)
	s.open(b, l.altered(func(q url.Values) { q.Set("iss", evilOrigin) }))
	s.expect(b, nobody, "a callback with the iss of another provider")
	s.expectNoTokenRequest(before, "a callback with the iss of another provider")
}

func issuerMissing(s *siege) {
	if s.plain && !s.reads {
		return // nobody has promised it anything
	}
	l := s.begin(s.newBrowser(), s.ada)
	before := s.provider.Count(Token)
	s.open(l.browser, l.altered(func(q url.Values) { q.Del("iss") }))
	s.expect(l.browser, nobody, "a callback without iss")
	s.expectNoTokenRequest(before, "a callback without iss")
}
