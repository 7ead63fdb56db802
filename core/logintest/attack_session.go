package logintest

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// Attacks on how a session begins and ends.
var sessionAttacks = []attack{
	{"session fixation",
		"start a new session at each login, and never reuse a value that the browser had before",
		sessionFixed},
	{"session after a failed login",
		"keep the session until a new login has passed all checks",
		sessionKept},
	{"session changed by a failed login",
		"change nothing of a session before the new login has passed all checks",
		sessionChanged},
	{"login over another session",
		"end the former session when a login has passed all checks, and start one for the user who has logged in",
		loginOverSession},
	{"session from a leftover login",
		"start its own session once for each login, and end the login's session together with it",
		sessionLeftOver},
	{"logout by another site",
		"check that a logout request comes from its own pages, by Sec-Fetch-Site and Origin or by a token in the form",
		logoutForged},
	{"logout by a link",
		"end sessions by POST only, because any page can make a browser send a GET",
		logoutByLink},
}

// sessionFixed plants cookies in Ada's browser before she logs in, and then
// checks which user they belong to.
func sessionFixed(s *siege) {
	private := s.at(s.target.Private, nil)
	visitor := s.newBrowser() // Mallory's browser before any login
	s.private(visitor)
	s.try(visitor, s.mallory, nil)
	chosen := make(map[string]*http.Cookie)
	for _, c := range slices.Concat(s.carriers(s.cookiesOf(s.ada))...) {
		chosen[c.Name] = &http.Cookie{Name: c.Name, Value: "chosenbymallory0123456789"}
	}
	for _, c := range visitor.Cookies(private) {
		chosen[c.Name] = c
	}
	var planted []*http.Cookie
	for _, c := range chosen {
		planted = append(planted, c)
	}
	for _, plant := range []struct {
		what    string
		cookies []*http.Cookie
	}{
		{"a session that Mallory had planted before", planted},
		{"Mallory's own session, planted before,", s.cookiesOf(s.mallory)},
	} {
		b := s.newBrowser()
		for _, c := range plant.cookies {
			b.SetCookie(private, &http.Cookie{Name: c.Name, Value: c.Value, Path: "/", Secure: s.secure()})
		}
		s.finish(s.begin(b, s.ada))
		if who := s.visitorWith(plant.cookies); who == called(s.ada) {
			found("%s became %s's when she logged in", plant.what, called(s.ada))
		}
	}
}

func sessionKept(s *siege) {
	b := s.newBrowser()
	s.signIn(b, s.ada)
	s.open(b, s.at(s.callback.Path, url.Values{"code": {"x"}, "state": {"nobodys"}}))
	s.expect(b, called(s.ada), "a callback with an unknown state")
	s.open(b, s.begin(b, s.ada).altered(func(q url.Values) {
		q.Del("code")
		q.Set("error", "access_denied")
	}))
	s.expect(b, called(s.ada), "a login that the provider denied")
	if s.plain {
		return
	}
	s.misbehave(Faults{IDToken: func(_, claims map[string]any) { claims["nonce"] = "another-nonce" }})
	s.finish(s.begin(b, s.mallory))
	s.expect(b, called(s.ada), "a login with a bad ID token")
}

// sessionChanged lets logins of Mallory fail in Ada's browser, and compares what
// the private page shows before and after. A page that changes by itself cannot
// be compared.
func sessionChanged(s *siege) {
	b := s.newBrowser()
	s.signIn(b, s.ada)
	before := s.private(b).Body
	if !bytes.Equal(before, s.private(b).Body) {
		return
	}
	for _, failed := range []struct {
		what   string
		plain  bool // also without an ID token
		faults Faults
	}{
		{"a login with a bad ID token", false, Faults{IDToken: func(_, claims map[string]any) { claims["nonce"] = "another-nonce" }}},
		{"a login whose code was rejected", true, Faults{Intercept: func(e Endpoint, w http.ResponseWriter, _ *http.Request) bool {
			if e == Token {
				http.Error(w, `{"error":"invalid_grant"}`, http.StatusBadRequest)
			}
			return e == Token
		}}},
		{"a login without an access token", true, Faults{Token: func(response map[string]any) { delete(response, "access_token") }}},
	} {
		if s.plain && !failed.plain {
			continue
		}
		s.misbehave(failed.faults)
		s.finish(s.begin(b, s.mallory))
		s.misbehave(Faults{})
		after := s.private(b)
		if who := s.identify(after); who == nobody || who == called(s.mallory) {
			return // other attacks report sessions that end, and logins that must fail
		}
		if !bytes.Equal(before, after.Body) {
			found("%s, of Mallory's, changed what %s shows to %s", failed.what, s.target.Private, called(s.ada))
		}
	}
}

func loginOverSession(s *siege) {
	b := s.newBrowser()
	s.signIn(b, s.ada)
	s.finish(s.begin(b, s.mallory))
	if who := s.visitor(b); who != called(s.mallory) {
		found("after a login by %s over the session of %s, %s shows %s", called(s.mallory), called(s.ada), s.target.Private, who)
	}
}

// sessionLeftOver opens the login's path and the pages of a finished login again:
// after the logout, and after the session cookie of the private page is gone.
func sessionLeftOver(s *siege) {
	for _, gone := range []struct {
		what string
		end  func(*Browser)
	}{
		{"after the logout", func(b *Browser) { s.logOut(b) }},
		{"after the session was gone", func(b *Browser) {
			private := s.at(s.target.Private, nil)
			for _, set := range s.carriers(b.Cookies(private)) {
				b.Forget(private, set[0].Name)
			}
		}},
	} {
		pages := append([]string{s.at(s.target.LoginPath, nil)}, s.pagesOf(s.signIn(s.newBrowser(), s.ada))...)
		for _, page := range pages {
			b := s.newBrowser()
			s.signIn(b, s.ada)
			gone.end(b)
			s.open(b, page)
			if who := s.visitor(b); who != nobody {
				path, _, _ := strings.Cut(strings.TrimPrefix(page, s.origin), "?")
				found("%s, a link to %s logged the browser in as %s without the provider", gone.what, path, who)
			}
		}
	}
}

// pagesOf returns the application's pages that a login visits after the
// callback.
func (s *siege) pagesOf(hops []Hop) []string {
	var pages []string
	for _, hop := range hops {
		u, err := url.Parse(hop.URL)
		switch {
		case err != nil || originOf(u) != s.origin:
		case s.isCallback(u):
			pages = make([]string, 0) // the pages before it began the login
		case pages != nil && hop.Method == http.MethodGet:
			pages = append(pages, hop.URL)
		}
	}
	return pages
}

func logoutForged(s *siege) {
	b := s.newBrowser()
	s.signIn(b, s.ada)
	for _, site := range []struct{ fetch, origin string }{
		{"cross-site", evilOrigin}, {"cross-site", "null"}, {"same-site", evilOrigin}, {"", evilOrigin}, {"", "null"},
	} {
		r := s.logout(b, url.Values{}, site.fetch)
		if r.Method == http.MethodPost {
			r.Header.Set("Origin", site.origin)
		}
		if site.fetch == "" { // an older browser
			for name := range r.Header {
				if strings.HasPrefix(name, "Sec-Fetch-") {
					r.Header.Del(name)
				}
			}
		}
		s.send(b, r)
		s.expect(b, called(s.ada), "a "+r.Method+" to the logout from a page of another site")
	}
}

func logoutByLink(s *siege) {
	b := s.newBrowser()
	s.signIn(b, s.ada)
	sites := []string{"cross-site", "none"} // none: the user typed the address
	if s.target.LogoutMethod == http.MethodGet {
		sites = sites[:1]
	}
	for _, site := range sites {
		s.get(b, s.at(s.target.LogoutPath, nil), site)
		s.expect(b, called(s.ada), "a GET of the logout")
	}
}
