package logintest

import (
	"net/http"
	"net/url"
	"strings"
)

// Attacks on an application where each customer has a host.
var hostAttacks = []attack{
	{"cookies of another customer's host",
		"bind a cookie's value to the host that set it, for example by authenticating the host with it",
		cookiesOfHost},
	{"provider of another customer at a customer's host",
		"let users log in at a customer's host, or see its pages, by this customer's provider only",
		providerAtHost},
	{"host of another customer in headers",
		"take the host from Host alone, once it has been approved, and neither from forwarded headers nor from an absolute request target",
		hostInHeaders},
}

// at returns the customer at the host of another customer.
func (s *siege) atHost(other *siege) *siege {
	here := *s
	callback := *s.callback
	callback.Host = other.callback.Host
	here.origin, here.callback, here.target.RedirectURL = other.origin, &callback, callback.String()
	return &here
}

// cookiesOfHost carries Ada's cookies, of her session and of a login, to the host of
// Mallory's customer.
func cookiesOfHost(s *siege) {
	c := s.customer(Faults{})
	b := s.newBrowser()
	s.signIn(b, s.ada)
	l := s.begin(s.newBrowser(), s.ada)
	carry(b, s, c)
	cause := "the cookies of a session, at another customer's host,"
	c.expect(b, nobody, cause)
	there := s.atHost(c)
	there.expect(b, nobody, cause)

	carry(l.browser, s, c)
	before := s.provider.Count(Token) + c.provider.Count(Token)
	for _, path := range []string{s.callback.Path, c.callback.Path} {
		at := url.URL{Scheme: c.callback.Scheme, Host: c.callback.Host, Path: path, RawQuery: l.callback.RawQuery}
		c.open(l.browser, at.String())
		cause = "the answer to a login, opened with its cookies at another customer's host,"
		there.expect(l.browser, nobody, cause)
		c.expect(l.browser, nobody, cause)
		if s.provider.Count(Token)+c.provider.Count(Token) != before {
			found("%s led to a token request", cause)
		}
	}
}

// providerAtHost logs in by Mallory's provider at the host of Ada's customer.
func providerAtHost(s *siege) {
	c := s.customer(Faults{})
	there := c.atHost(s)
	there.provider = there.newProvider(there.target.Issuer) // Mallory registers what it takes
	there.provider.User = s.ada
	there.misbehave(Faults{})
	there.joins()
	b := s.newBrowser()
	if l := there.from(b, there.at(there.target.LoginPath, nil)); l.callback != nil && l.request != nil { // it is this provider's
		there.finish(l)
	}
	s.expect(b, nobody, "a login by another customer's provider, at this customer's host,")
}

// hostInHeaders begins logins with the other customer's host in headers, and in a request
// target with a host.
func hostInHeaders(s *siege) {
	c := s.customer(Faults{})
	host := strings.TrimPrefix(c.origin, c.callback.Scheme+"://")
	for _, edit := range []func(*http.Request){
		func(r *http.Request) { r.Header.Set("X-Forwarded-Host", host) },
		func(r *http.Request) { r.Header.Set("Forwarded", "host="+host) },
		func(r *http.Request) { r.Header.Set("X-Original-Host", host) },
	} {
		s.edit = edit
		hops := s.within(s.newBrowser(), typed(s.at(s.target.LoginPath, nil)))
		s.edit = nil
		s.leadsBack(hops, "a header with another customer's host")
	}
	absolute := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.RequestURI = c.origin + r.RequestURI
		r.URL.Scheme, r.URL.Host = c.callback.Scheme, host
		s.app.ServeHTTP(w, r)
	})
	b := s.newBrowser()
	b.Serve(s.origin, absolute)
	s.leadsBack(s.within(b, typed(s.at(s.target.LoginPath, nil))), "a request target with another customer's host")

	s.edit = func(r *http.Request) { r.Host = evilHost }
	hops := s.within(s.newBrowser(), typed(s.at(s.target.LoginPath, nil)))
	s.edit = nil
	s.leadsBack(hops, "a host that is no customer's")
}

// leadsBack requires that an authorization request leads back to the customer's own
// callback.
func (s *siege) leadsBack(hops []Hop, cause string) {
	for _, hop := range hops {
		to, err := url.Parse(hop.leadsTo())
		if err != nil {
			continue
		}
		if back := s.provider.asked(to.Query()).Get("redirect_uri"); back != "" && back != s.target.RedirectURL {
			found("%s changed the redirect_uri to %s", cause, back)
		}
	}
}
