package logintest

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
)

// sessionOfCustomer opens a customer's page with the session of another customer's user,
// whom this provider calls Ada.
func sessionOfCustomer(s *siege) {
	c := s.customer(Faults{})
	b := s.newBrowser()
	c.signIn(b, s.ada)
	cause := "a login at another customer's provider, which gives its user Ada's subject and e-mail address,"
	s.expect(b, nobody, cause)
	carry(b, c, s)
	s.expect(b, nobody, cause)
}

// issuerOfCustomer logs in at a customer of Mallory's that names the issuer of Ada's
// company.
func issuerOfCustomer(s *siege) {
	c := s.sharing()
	b := s.newBrowser()
	c.finish(c.begin(b, s.ada))
	s.expect(b, nobody, "a login at another customer that names the same issuer")
	carry(b, c, s)
	s.expect(b, nobody, "a login at another customer that names the same issuer")
}

// held remembers the tokens that a provider has issued.
type held struct {
	mu     sync.Mutex
	tokens []string
}

func (h *held) keep(response map[string]any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, name := range []string{"id_token", "access_token", "refresh_token"} {
		if token, ok := response[name].(string); ok && token != "" {
			h.tokens = append(h.tokens, token)
		}
	}
}

// keptFrom requires that a provider has got none of the tokens.
func (h *held) keptFrom(c *siege, cause string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, token := range h.tokens {
		if c.received(token) {
			found("%s, a token of one provider was sent to another", cause)
		}
	}
}

// leave logs out, and follows the browser to the provider.
func (s *siege) leave(b *Browser) {
	form := hiddenFields(s.private(b).Body)
	now := step{method: s.target.LogoutMethod, address: s.at(s.target.LogoutPath, nil), form: form, site: "same-origin"}
	if now.method == http.MethodGet {
		now.address, now.form = s.at(s.target.LogoutPath, form), nil
	} else if form == nil {
		now.form = url.Values{}
	}
	s.walk(b, now, func(to *url.URL) bool { return !s.network.has(originOf(to)) })
}

// tokensCrossed logs in at two customers with one browser, and logs out.
func tokensCrossed(s *siege) {
	for _, last := range []bool{false, true} {
		var held held
		s.misbehave(Faults{Token: held.keep})
		c := s.customer(Faults{})
		b := s.newBrowser()
		first, second := s, c
		if last {
			first, second = c, s
		}
		first.finish(first.begin(b, s.ada))
		second.finish(second.begin(b, s.ada))
		for _, at := range []*siege{first, second} {
			at.private(b)
			at.leave(b)
			held.keptFrom(c, "after logins at two customers in one browser")
		}
	}
}

// customerChanged gives a customer another provider, during a login and during a session.
// Where each customer has a callback, no provider sends iss.
func customerChanged(s *siege) {
	var silent Faults
	if strings.Contains(s.template.RedirectURL, providerMark) {
		silent.Authorization = func(query url.Values) { query.Del("iss") }
		silent.Discovery = func(metadata map[string]any) { delete(metadata, "authorization_response_iss_parameter_supported") }
	}
	c := s.customer(silent)
	l := c.begin(s.newBrowser(), s.ada)
	moved := c.moved(silent)
	moved.finish(l)
	cause := "the answer to a login, after the customer had changed its provider,"
	if moved.received(l.response().Get("code")) {
		found("%s made the application send the code to the new provider", cause)
	}
	moved.expect(l.browser, nobody, cause)

	var held held
	c = s.customer(Faults{Token: held.keep})
	b := s.newBrowser()
	c.signIn(b, s.ada)
	moved = c.moved(Faults{})
	moved.private(b)
	moved.leave(b)
	held.keptFrom(moved, "after a customer had changed its provider")
}

// toldByCustomer posts logout tokens about Ada's session: of Mallory's provider, and of
// one that pretends to be the honest one.
func toldByCustomer(s *siege) {
	b, user := s.signedIn()
	c := s.customer(Faults{})
	pretend := func(_, claims map[string]any) { claims["iss"] = s.target.Issuer }
	same := func(header, claims map[string]any) {
		pretend(header, claims)
		header["kid"] = s.provider.signingKeys().rsaID
	}
	for _, edit := range []func(_, _ map[string]any){nil, pretend, same} {
		for _, about := range []User{{Subject: user.Subject}, {SessionID: user.SessionID}, {Subject: user.Subject, SessionID: user.SessionID}} {
			for _, at := range []*siege{s, c} {
				at.tell(c.provider.LogoutToken(s.target.ClientID, about, edit))
				s.expect(b, called(s.ada), "a logout token of another customer's provider")
			}
		}
	}
}

// framedByCustomer opens the pages for logouts in frames with the issuer of Mallory's
// provider.
func framedByCustomer(s *siege) {
	b, user := s.signedIn()
	c := s.customer(Faults{})
	for _, at := range []*siege{s, c} {
		at.frame(b, url.Values{"iss": {c.target.Issuer}, "sid": {user.SessionID}})
		s.expect(b, called(s.ada), "a front-channel logout with the issuer of another customer's provider")
	}
}
