package logintest

import (
	"fmt"
	"net/http"
	"net/url"
)

// Attacks on the linking of another account. An attacker who gets an account of their
// own linked with Ada's can log in as Ada from then on.
var linkAttacks = []attack{
	{"link begun in another browser",
		"link only in the browser that began it: keep the link in the record of that browser's login",
		linkCSRF},
	{"link begun by another site",
		"begin a link only by a request of its own pages: check Sec-Fetch-Site and Origin, or a token in the form",
		linkForged},
	{"link finished by another user",
		"keep the user who began the link in the record of the login, and require at its end that this user is still logged in",
		linkTakenOver},
	{"link that has lost its login",
		"let a link fail whose record is gone, and not go on as a login",
		linkLost},
	{"login mistaken for a link",
		"keep in the record of each login whether it is a link, and not in the session or in a cookie for all tabs",
		loginAsLink},
}

// account returns a new account of the provider, which no user has yet.
func (s *siege) account() User {
	s.accounts++
	return s.person(fmt.Sprint("account-", s.accounts), fmt.Sprint("Account Number ", s.accounts), fmt.Sprintf("account%d@example.test", s.accounts))
}

// link begins to link account with that of the browser's user.
func (s *siege) link(b *Browser, account User, method string) *login {
	now := s.linkStep(method, "same-origin")
	if now.form != nil {
		now.form = hiddenFields(s.private(b).Body)
	}
	s.provider.User = account
	return s.fromStep(b, now)
}

func (s *siege) linkStep(method, site string) step {
	now := step{method: method, address: s.at(s.target.Link, nil), site: site}
	if method == http.MethodPost {
		now.form = url.Values{}
	}
	return now
}

func (s *siege) mustLink(b *Browser, account User) *login {
	l := s.link(b, account, s.linkBy)
	if l.callback == nil {
		found("a %s to %s did not return from the provider", s.linkBy, s.target.Link)
	}
	return l
}

// owner returns the user whom a login with account shows.
func (s *siege) owner(account User) string {
	b := s.newBrowser()
	s.finish(s.begin(b, account))
	return s.visitor(b)
}

// expectUnlinked requires that account belongs neither to Ada nor to Mallory.
func (s *siege) expectUnlinked(account User, cause string) {
	if who := s.owner(account); who == called(s.ada) || who == called(s.mallory) {
		found("%s linked an account with that of %s", cause, who)
	}
}

// linkedHonestly links an account with Ada's.
func (s *siege) linkedHonestly() {
	if s.target.Link == "" {
		return
	}
	b := s.newBrowser()
	s.signIn(b, s.ada)
	account := s.account()
	var l *login
	for _, s.linkBy = range []string{http.MethodPost, http.MethodGet} {
		if l = s.link(b, account, s.linkBy); l.callback != nil {
			break
		}
	}
	if l.callback == nil {
		found("Target.Link is %s, where neither a POST nor a GET begins a login", s.target.Link)
	}
	s.finish(l)
	s.expect(b, called(s.ada), "a link at "+s.target.Link)
	if who := s.owner(account); who != called(s.ada) {
		found("Target.Link is %s, but a login with an account that was linked there does not show %s", s.target.Link, called(s.ada))
	}
}

// linkCSRF opens the callback of a link that Mallory has begun in Ada's browser:
// with an account of Mallory's own, to log in as Ada, or with one of Ada's, to
// have what Ada does there. The second time, a sibling host has planted the
// cookies of Mallory's link, as far as that is possible.
func linkCSRF(s *siege) {
	for _, planted := range []bool{false, true} {
		theirs := s.newBrowser()
		s.signIn(theirs, s.mallory)
		session := theirs.Cookies(s.target.RedirectURL)
		account := s.account()
		l := s.mustLink(theirs, account)
		b := s.newBrowser()
		s.signIn(b, s.ada)
		cause := "the callback of Mallory's link, opened in Ada's browser,"
		if planted {
			if !s.secure() {
				continue // nothing prevents it
			}
			for _, c := range theirs.Cookies(s.target.RedirectURL) {
				if !hasName(session, c.Name) && s.plantable(c.Name) {
					b.SetCookie(s.target.RedirectURL, &http.Cookie{Name: c.Name, Value: c.Value, Path: "/", Secure: true})
				}
			}
			cause += " where a sibling host had planted the link's cookies,"
		}
		before := s.provider.Count(Token)
		s.open(b, l.callback.String())
		requested := s.provider.Count(Token) != before
		s.expect(b, called(s.ada), cause)
		s.expectUnlinked(account, cause)
		if requested && !planted {
			found("%s led to a token request", cause)
		}
	}
}

// linkForged begins a link in Ada's browser from another site, when the provider
// knows this browser by an account of Mallory's.
func linkForged(s *siege) {
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		b := s.newBrowser()
		s.signIn(b, s.ada)
		account := s.account()
		s.provider.User = account
		now := s.linkStep(method, "cross-site")
		if method == http.MethodPost {
			now.from = evilOrigin
		}
		s.walk(b, now, never)
		s.expectUnlinked(account, "a "+method+" to "+s.target.Link+" from a page of another site")
	}
}

func never(*url.URL) bool { return false }

// linkTakenOver finishes a link that Ada has begun, after she has logged out, or
// another user has logged in with the same browser.
func linkTakenOver(s *siege) {
	for _, then := range []struct {
		what, who string
		happens   func(*Browser)
	}{
		{"the logout", nobody, func(b *Browser) { s.logOut(b) }},
		{"a login by Mallory", called(s.mallory), func(b *Browser) { s.signIn(b, s.mallory) }},
	} {
		b := s.newBrowser()
		s.signIn(b, s.ada)
		account := s.account()
		l := s.mustLink(b, account)
		then.happens(b)
		s.finish(l)
		cause := "a link that Ada had begun, finished after " + then.what + ","
		s.expect(b, then.who, cause)
		s.expectUnlinked(account, cause)
	}
}

// linkLost finishes a link without its cookies, and then follows the browser to
// wherever it is sent. It also lets the provider deny a link.
func linkLost(s *siege) {
	b := s.newBrowser()
	s.signIn(b, s.ada)
	session := b.Cookies(s.target.RedirectURL)
	account := s.account()
	l := s.mustLink(b, account)
	for _, c := range b.Cookies(s.target.RedirectURL) {
		if !hasName(session, c.Name) {
			b.Forget(s.target.RedirectURL, c.Name)
		}
	}
	s.walk(b, s.arrival(l.callback), never)
	cause := "a link that had lost its cookies"
	s.expect(b, called(s.ada), cause)
	s.expectUnlinked(account, cause)

	l = s.mustLink(b, account)
	s.open(b, l.altered(func(q url.Values) {
		q.Del("code")
		q.Set("error", "access_denied")
	}))
	s.expect(b, called(s.ada), "a link that the provider denied")
}

// loginAsLink begins a link in one tab, and logs in with another account in a
// second tab.
func loginAsLink(s *siege) {
	b := s.newBrowser()
	s.signIn(b, s.ada)
	s.mustLink(b, s.account())
	account := s.account()
	s.finish(s.begin(b, account))
	s.expectUnlinked(account, "a login, finished while a link was in progress in another tab,")
}
