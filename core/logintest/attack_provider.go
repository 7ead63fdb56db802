package logintest

import (
	"net/http"
	"net/url"
)

// Attacks by a second provider, which Mallory controls (mix-up: RFC 9700
// section 4.4, RFC 9207).
var providerAttacks = []attack{
	{"answer of another provider",
		"compare the callback's iss with the issuer of this login before any token request (RFC 9207 section 2.4)",
		mixUp},
	{"answer without iss",
		"reject a callback without iss before any token request, if the provider's metadata announces one (RFC 9207 section 2.4)",
		issuerMissing},
}

// Attacks on the callbacks of an application with several providers.
var otherProviderAttacks = []attack{
	{"answer at the callback of another provider",
		"give each provider its own callback, and reject there what belongs to another provider, before any token request (RFC 9700 section 4.4.2.2)",
		answeredElsewhere},
}

// answeredElsewhere opens the response of this provider at the callback of
// another one.
func answeredElsewhere(s *siege) {
	l := s.begin(s.newBrowser(), s.ada)
	elsewhere := *l.callback
	elsewhere.Path, elsewhere.RawPath = s.target.OtherCallback, ""
	now := step{method: http.MethodGet, address: elsewhere.String(), site: "cross-site"}
	if s.byForm {
		now = s.asForm(&elsewhere, now.site)
	}
	before := s.provider.Count(Token)
	s.within(l.browser, now)
	cause := "the response of a provider, opened at the callback of another provider,"
	s.expect(l.browser, nobody, cause)
	s.expectNoTokenRequest(before, cause)
}

// mixUp sends the response of another provider to a login at the honest
// provider.
func mixUp(s *siege) {
	evil := NewProvider(evilOrigin, Client{ // it demands nothing
		ID: s.target.ClientID, RedirectURIs: []string{s.target.RedirectURL},
		RequireSignedResponse: s.target.Client.RequireSignedResponse, SigningAlg: s.target.Client.SigningAlg,
	})
	evil.Misbehave(Faults{NoPKCE: true})
	b := s.newBrowser()
	b.Serve(evilOrigin, evil)
	l := s.begin(b, s.ada)
	asked := step{method: http.MethodGet, address: evil.url(Authorization) + "?" + l.request.Encode(), site: "cross-site"}
	_, answer := s.walk(b, asked, s.isCallback)
	if answer == nil {
		found("another provider rejected the authorization request")
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
		return // the application has not read the metadata
	}
	l := s.begin(s.newBrowser(), s.ada)
	before := s.provider.Count(Token)
	s.open(l.browser, l.altered(func(q url.Values) { q.Del("iss") }))
	s.expect(l.browser, nobody, "a callback without iss")
	s.expectNoTokenRequest(before, "a callback without iss")
}
