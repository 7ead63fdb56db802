package logintest

import (
	"maps"
	"net/http"
	"net/url"
)

// customersMixedUp begins a login at Mallory's provider, which passes the browser on to
// the honest provider, with the state of this login (RFC 9700 section 4.4.1). The honest
// provider may be one that sends no iss.
func customersMixedUp(s *siege) {
	for _, silent := range []bool{false, true} {
		for _, announced := range []bool{false, true} {
			s.mixedUp(silent, announced)
		}
	}
}

func (s *siege) mixedUp(silent, announced bool) {
	s.misbehave(Faults{Authorization: func(query url.Values) {
		if silent {
			query.Del("iss")
		}
	}})
	c := s.customer(Faults{
		Discovery: func(metadata map[string]any) {
			if !announced {
				delete(metadata, "authorization_response_iss_parameter_supported")
			}
		},
		Intercept: func(e Endpoint, w http.ResponseWriter, r *http.Request) bool {
			if e != Authorization {
				return false
			}
			query := r.URL.Query()
			query.Set("redirect_uri", s.target.RedirectURL) // as it is registered there
			http.Redirect(w, r, s.provider.url(Authorization)+"?"+query.Encode(), http.StatusFound)
			return true
		},
	})
	cause := "the honest provider's answer to a login that began at another customer's provider"
	if silent {
		cause += ", without iss,"
	}
	s.passedOn(c, cause)
}

// passedOn begins a login at c's provider, and opens the callback that the browser comes
// to. The code of the honest provider must not be sent.
func (s *siege) passedOn(c *siege, cause string) {
	b := s.newBrowser()
	s.provider.User = s.ada
	_, answer := s.walk(b, typed(c.at(c.target.LoginPath, nil)), func(to *url.URL) bool { return s.isCallback(to) || c.isCallback(to) })
	if answer == nil {
		return
	}
	l := &login{callback: answer}
	before := s.provider.Count(Token)
	s.open(b, answer.String())
	if code := l.response().Get("code"); s.issued(code) {
		if c.received(code) {
			found("%s made the application send the honest provider's code to the other provider", cause)
		}
		s.expectNoTokenRequest(before, cause)
	}
	s.expectOutside(b, c, cause)
}

// issued reports whether a code is one of the provider's.
func (s *siege) issued(code string) bool {
	s.provider.mu.Lock()
	defer s.provider.mu.Unlock()
	return s.provider.codes[code] != nil
}

// answeredAtCustomer opens the answer to a login of one customer at the callback of the
// other.
func answeredAtCustomer(s *siege) {
	c := s.customer(Faults{})
	for _, way := range [][2]*siege{{s, c}, {c, s}} {
		from, to := way[0], way[1]
		b := s.newBrowser()
		l := from.begin(b, s.ada)
		carry(b, from, to)
		elsewhere := *to.callback
		elsewhere.RawQuery = l.callback.RawQuery
		before := from.provider.Count(Token) + to.provider.Count(Token)
		to.open(b, elsewhere.String())
		cause := "the answer to a login of one customer, opened at another customer's callback,"
		s.expectOutside(b, c, cause)
		if from.provider.Count(Token)+to.provider.Count(Token) != before {
			found("%s led to a token request", cause)
		}
	}
}

// carry copies the cookies of one customer's host to that of another.
func carry(b *Browser, from, to *siege) {
	if from.origin == to.origin {
		return
	}
	for _, cookie := range b.Cookies(from.target.RedirectURL) {
		b.SetCookie(to.target.RedirectURL, &http.Cookie{Name: cookie.Name, Value: cookie.Value, Quoted: cookie.Quoted, Path: "/", Secure: to.secure()})
	}
}

// metadataBorrowed lets the metadata of Mallory's provider name the honest one.
func metadataBorrowed(s *siege) {
	honest := s.metadata()
	for _, borrowed := range [][]string{
		{"issuer"}, {"authorization_endpoint"}, {"jwks_uri"}, {"token_endpoint", "userinfo_endpoint"},
		{"authorization_endpoint", "token_endpoint", "jwks_uri", "userinfo_endpoint", "pushed_authorization_request_endpoint"},
		{"issuer", "authorization_endpoint", "jwks_uri"},
	} {
		c := s.customer(Faults{
			Discovery: func(metadata map[string]any) {
				for _, name := range borrowed {
					if value, ok := honest[name]; ok {
						metadata[name] = value
					}
				}
			},
			IDToken: func(header, claims map[string]any) {
				if borrowed[0] == "jwks_uri" || borrowed[0] == "issuer" {
					header["kid"], claims["iss"] = s.provider.signingKeys().rsaID, s.target.Issuer
				}
			},
		})
		s.passedOn(c, "metadata with "+borrowed[0]+" of another customer's provider")
	}
}

// metadata returns the honest provider's metadata.
func (s *siege) metadata() map[string]any {
	metadata := make(map[string]any)
	s.misbehave(Faults{Discovery: func(honest map[string]any) { maps.Copy(metadata, honest) }})
	if _, err := s.newBrowser().Visit(s.provider.url(Discovery)); err != nil {
		found("the provider's metadata cannot be read (%v)", err)
	}
	s.misbehave(Faults{})
	return metadata
}

// idTokenBorrowed lets Mallory's provider issue ID tokens of the honest one: forged ones,
// and one that it has issued to Ada.
func idTokenBorrowed(s *siege) {
	var genuine string
	s.misbehave(Faults{SignedIDToken: func(token string) string { genuine = token; return token }})
	s.signIn(s.newBrowser(), s.ada)
	s.misbehave(Faults{})
	for cause, faults := range map[string]Faults{
		"an ID token with the issuer of another customer's provider": {IDToken: func(_, claims map[string]any) { claims["iss"] = s.target.Issuer }},
		"an ID token with issuer and key ID of another customer's provider": {IDToken: func(header, claims map[string]any) {
			header["kid"], claims["iss"] = s.provider.signingKeys().rsaID, s.target.Issuer
		}},
		"an ID token that another customer's provider had issued": {SignedIDToken: func(string) string { return genuine }},
	} {
		c := s.customer(faults)
		b := s.newBrowser()
		c.finish(c.begin(b, s.ada))
		s.expectOutside(b, c, cause)
	}
}

// twoProvidersNamed begins logins by a third party (OpenID Connect Core section 4), with
// the name of one provider and the issuer of another.
func twoProvidersNamed(s *siege) {
	c := s.customer(Faults{})
	for _, way := range [][2]*siege{{s, c}, {c, s}} {
		named, issuing := way[0], way[1]
		before := issuing.provider.Count(Authorization)
		b := s.newBrowser()
		s.walk(b, step{method: http.MethodGet, address: named.at(named.target.LoginPath, url.Values{"iss": {issuing.target.Issuer}}), site: "cross-site"},
			func(to *url.URL) bool { return s.isCallback(to) || c.isCallback(to) })
		if issuing.provider.Count(Authorization) != before {
			found("a link to a customer's login, with the iss of another customer's provider, began a login there")
		}
	}
}
