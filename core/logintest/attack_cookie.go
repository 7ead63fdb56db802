package logintest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Attacks by cookies that are planted, repeated or exchanged (RFC 6265bis
// sections 4.1.3 and 8.6).
var cookieAttacks = []attack{
	{"cookie attributes",
		"set the login's cookies once in a response, HttpOnly, SameSite=Lax or Strict, without Domain, at most 4096 bytes, and on https Secure with the prefix __Host- (or __Secure-, if the Path excludes the callback and Private)",
		cookieAttributes},
	{"cookies planted by a sibling host",
		"name the login's cookies with the prefix __Host-, which no other host can set",
		cookiesPlanted},
	{"cookies doubled",
		"trust neither of two cookies with the same name, because one of them may have been planted",
		cookiesDoubled},
	{"cookie of one purpose used for another",
		"authenticate a cookie's purpose together with its value, for example with a key for each purpose",
		cookiesExchanged},
}

func (s *siege) secure() bool { return s.callback.Scheme == "https" }

// cookiesOf logs user in, and returns the cookies that the private page
// receives.
func (s *siege) cookiesOf(user User) []*http.Cookie {
	b := s.newBrowser()
	s.signIn(b, user)
	return b.Cookies(s.at(s.target.Private, nil))
}

// visitorWith returns the user of a request with exactly these cookies, in this
// order.
func (s *siege) visitorWith(cookies []*http.Cookie) string {
	return s.identify(s.send(s.newBrowser(), s.carrying(cookies)))
}

// carrying returns a request for the private page with exactly these cookies,
// in this order.
func (s *siege) carrying(cookies []*http.Cookie) *http.Request {
	r, err := NewBrowser().navigation(http.MethodGet, s.at(s.target.Private, nil), nil, "none")
	if err != nil {
		found("Target.Private is not a path (%v)", err)
	}
	var pairs []string
	for _, c := range cookies {
		value := c.Value
		if c.Quoted {
			value = `"` + value + `"`
		}
		pairs = append(pairs, c.Name+"="+value)
	}
	r.Header.Set("Cookie", strings.Join(pairs, "; "))
	return r
}

// carriers returns the cookies that carry Ada's session: the smallest sets that
// log her in. There is more than one set if either is enough.
func (s *siege) carriers(cookies []*http.Cookie) [][]*http.Cookie {
	var sets [][]*http.Cookie
	for s.visitorWith(cookies) == called(s.ada) {
		set, others := slices.Clone(cookies), []*http.Cookie(nil)
		for _, c := range cookies {
			fewer := without(set, c)
			if s.visitorWith(fewer) == called(s.ada) {
				set, others = fewer, append(others, c)
			}
		}
		if len(set) == 0 {
			found("%s shows %s to a browser without a cookie", s.target.Private, called(s.ada))
		}
		sets, cookies = append(sets, set), others
	}
	return sets
}

func without(cookies []*http.Cookie, dropped *http.Cookie) []*http.Cookie {
	return slices.DeleteFunc(slices.Clone(cookies), func(c *http.Cookie) bool { return c == dropped })
}

// replaced returns cookies with another value for the cookie called name.
func replaced(cookies []*http.Cookie, name, value string) []*http.Cookie {
	changed := slices.Clone(cookies)
	for i, c := range changed {
		if c.Name == name {
			changed[i] = &http.Cookie{Name: name, Value: value, Quoted: c.Quoted}
		}
	}
	return changed
}

func hasName(cookies []*http.Cookie, name string) bool {
	return slices.ContainsFunc(cookies, func(c *http.Cookie) bool { return c.Name == name })
}

// kept returns the cookies of a response that it does not delete.
func kept(header http.Header) []*http.Cookie {
	return slices.DeleteFunc((&http.Response{Header: header}).Cookies(), func(c *http.Cookie) bool {
		return c.MaxAge < 0 || c.Value == "" || !c.Expires.IsZero() && c.Expires.Before(time.Now())
	})
}

func cookieAttributes(s *siege) {
	b := s.newBrowser()
	hops := s.signIn(b, s.ada)
	hops = append(hops, s.logOut(b).Hop)
	for _, hop := range hops {
		if !strings.HasPrefix(hop.URL, s.origin+"/") {
			continue
		}
		names := make(map[string]bool)
		for _, c := range kept(hop.Header) {
			faults := s.faultsOf(c)
			if names[c.Name] {
				faults = append(faults, "was set twice in one response")
			}
			if len(faults) > 0 {
				found("cookie %s %s", c.Name, strings.Join(faults, ", "))
			}
			names[c.Name] = true
		}
	}
}

func (s *siege) faultsOf(c *http.Cookie) []string {
	var faults []string
	fault := func(is bool, what string) {
		if is {
			faults = append(faults, what)
		}
	}
	prefixed := !s.plantable(c.Name) || strings.HasPrefix(c.Name, "__Secure-") && !within(c.Path, s.callback.Path) && !within(c.Path, s.target.Private)
	fault(!c.HttpOnly, "was not HttpOnly")
	fault(c.SameSite != http.SameSiteLaxMode && c.SameSite != http.SameSiteStrictMode, "was not SameSite=Lax or Strict")
	fault(c.Domain != "", "had a Domain")
	fault(s.secure() && !c.Secure, "was not Secure")
	fault(s.secure() && !prefixed, "had no prefix")
	fault(len(c.Name)+len(c.Value) > maxCookie, fmt.Sprintf("had %d bytes", len(c.Name)+len(c.Value)))
	return faults
}

// plantable reports whether another host of the same site can set a cookie with
// this name.
func (s *siege) plantable(name string) bool { return !strings.HasPrefix(name, "__Host-") }

// within reports whether a cookie with this Path is sent to address (RFC 6265
// section 5.1.4). An empty Path can match any address.
func within(cookiePath, address string) bool {
	address, _, _ = strings.Cut(address, "?")
	return cookiePath == "" || address == cookiePath || strings.HasPrefix(address, strings.TrimSuffix(cookiePath, "/")+"/")
}

// cookiesPlanted lets another host of the same site plant Mallory's cookies in
// a new browser. Only the prefix __Host- prevents that. On http, which is for
// development, nothing prevents it.
func cookiesPlanted(s *siege) {
	if !s.secure() {
		return
	}
	plant := func(from []*http.Cookie) *Browser {
		b := s.newBrowser()
		for _, c := range from {
			if s.plantable(c.Name) {
				b.SetCookie(s.target.RedirectURL, &http.Cookie{Name: c.Name, Value: c.Value, Path: "/", Secure: true})
			}
		}
		return b
	}
	theirs := s.begin(s.newBrowser(), s.mallory)
	victim := plant(theirs.browser.Cookies(s.target.RedirectURL))
	s.open(victim, theirs.callback.String())
	s.expect(victim, nobody, "Mallory's callback, opened in a browser where a sibling host had planted her login's cookies,")
	s.expect(plant(s.cookiesOf(s.mallory)), nobody, "a sibling host that had planted Mallory's session cookies")
}

func cookiesDoubled(s *siege) {
	ada, mallory := s.cookiesOf(s.ada), s.cookiesOf(s.mallory)
	for _, both := range [][]*http.Cookie{slices.Concat(mallory, ada), slices.Concat(ada, mallory)} {
		if who := s.visitorWith(both); who != nobody && who != called(s.ada) {
			found("of two cookies with the same name, Ada's and Mallory's, Mallory's counted")
		}
	}
}

// cookiesExchanged gives each cookie of a login the values of all others:
// alone, and in its place in the session's cookies.
func cookiesExchanged(s *siege) {
	b := s.newBrowser()
	hops := s.signIn(b, s.ada)
	sets := s.carriers(b.Cookies(s.at(s.target.Private, nil)))
	hops = append(hops, s.logOut(b).Hop)
	var all []*http.Cookie
	for _, hop := range hops {
		if strings.HasPrefix(hop.URL, s.origin+"/") {
			all = append(all, kept(hop.Header)...)
		}
	}
	for _, to := range all {
		for _, from := range all {
			if from.Name == to.Name {
				continue
			}
			tries := [][]*http.Cookie{{{Name: to.Name, Value: from.Value, Quoted: from.Quoted}}}
			for _, set := range sets {
				if hasName(set, to.Name) {
					tries = append(tries, replaced(set, to.Name, from.Value))
				}
			}
			for _, try := range tries {
				if who := s.visitorWith(try); who != nobody {
					found("cookie %s with the value of cookie %s let %s in", to.Name, from.Name, who)
				}
			}
		}
	}
}
