package logintest

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// OtherLogin is a second login of an application, with its own guard, such as a
// login for staff beside one for customers. Both log in at the same provider,
// with the same ClientID.
type OtherLogin struct {
	// Private is the path of a page that only this login guards. It shows the
	// user's subject, name or e-mail address, like [Target.Private].
	Private string

	// RedirectURL is this login's callback, on the origin of
	// [Target.RedirectURL].
	RedirectURL string

	// LoginPath is the path where a GET begins this login. Empty: "login"
	// beside the callback.
	LoginPath string
}

// Attacks that confuse the two logins of an application, in both directions.
var twoLoginAttacks = []attack{
	{"session of another login",
		"accept in a guard only sessions of its own login, whatever other guard or loader surrounds it",
		eitherWay(sessionOfOther)},
	{"cookies of another login",
		"bind a cookie's value to the login that set it, for example with a key for each login",
		eitherWay(cookiesOfOther)},
	{"callback of another login",
		"reject a callback that belongs to another of its logins before any token request",
		eitherWay(callbackOfOther)},
}

func eitherWay(try func(from, to *siege)) func(*siege) {
	return func(s *siege) {
		try(s, s.other)
		try(s.other, s)
	}
}

// twoHonestly performs a login at the other login.
func (s *siege) twoHonestly() {
	if s.target.Other == (OtherLogin{}) {
		return
	}
	other := *s
	other.target.Private, other.target.RedirectURL, other.target.LoginPath = s.target.Other.Private, s.target.Other.RedirectURL, s.target.Other.LoginPath
	other.callback, _ = url.Parse(other.target.RedirectURL) // complete has checked it
	s.other = &other
	b := s.newBrowser()
	other.anonymous = other.private(b).Status
	other.signIn(b, s.ada)
}

func (o OtherLogin) complete(origin string) (OtherLogin, error) {
	if o == (OtherLogin{}) {
		return o, nil
	}
	u, err := url.Parse(o.RedirectURL)
	if err != nil || originOf(u) != origin || u.Path == "" {
		return o, fmt.Errorf("Target.Other.RedirectURL %q is not the URL of a callback on %s", o.RedirectURL, origin)
	}
	if o.LoginPath == "" {
		o.LoginPath = path.Join(path.Dir(u.Path), "login")
	}
	if !strings.HasPrefix(o.Private, "/") || !strings.HasPrefix(o.LoginPath, "/") {
		return o, errors.New("Target.Other.Private or Target.Other.LoginPath is not a path; it must begin with a slash")
	}
	return o, nil
}

func sessionOfOther(from, to *siege) {
	b := from.newBrowser()
	from.signIn(b, from.ada)
	if who := to.visitor(b); who != nobody {
		found("a session of the login at %s let %s in to %s", from.target.LoginPath, who, to.target.Private)
	}
	from.expect(b, called(from.ada), "a visit to "+to.target.Private)
}

// cookiesOfOther gives the cookies of one login the values of the other login's
// cookies: one alone, one in place of each session cookie, and all of them.
func cookiesOfOther(from, to *siege) {
	theirs := from.cookiesOf(from.mallory)
	own := to.cookiesOf(to.ada)
	tries := [][]*http.Cookie{renamed(theirs, own)}
	for _, name := range own {
		for _, value := range theirs {
			one := []*http.Cookie{{Name: name.Name, Value: value.Value, Quoted: value.Quoted}}
			tries = append(tries, one, append(one, theirs...))
		}
	}
	for _, try := range tries {
		if who := to.visitorWith(try); who != nobody {
			found("cookies of the login at %s, renamed to those of %s, let %s in to %s",
				from.target.LoginPath, to.target.LoginPath, who, to.target.Private)
		}
	}
}

// callbackOfOther opens the response to one login at the callback of the other.
// The browser has the cookies of the login in progress under both names.
func callbackOfOther(from, to *siege) {
	l := from.begin(from.newBrowser(), from.mallory)
	callback := *to.callback
	callback.RawQuery = l.callback.RawQuery
	b := to.newBrowser()
	flying := l.browser.Cookies(from.target.RedirectURL)
	for _, c := range append(renamed(flying, to.cookiesOf(to.ada), from.cookiesOf(from.ada)...), flying...) {
		b.SetCookie(to.target.RedirectURL, &http.Cookie{Name: c.Name, Value: c.Value, Quoted: c.Quoted, Path: "/", Secure: to.secure()})
	}
	before := to.provider.Count(Token)
	to.open(b, callback.String())
	cause := fmt.Sprintf("the response to a login at %s, opened at the callback of %s,", from.target.LoginPath, to.target.LoginPath)
	to.expectNoTokenRequest(before, cause)
	to.expect(b, nobody, cause)
}

// renamed returns cookies with the names that another login would use. It
// learns the difference from the session cookies own and theirs. If theirs is
// empty, it uses cookies.
func renamed(cookies, own []*http.Cookie, theirs ...*http.Cookie) []*http.Cookie {
	if theirs == nil {
		theirs = cookies
	}
	var changed []*http.Cookie
	for i := range min(len(own), len(theirs)) {
		old, now := difference(theirs[i].Name, own[i].Name)
		for _, c := range cookies {
			name := strings.Replace(c.Name, old, now, 1)
			if name != c.Name && !hasName(changed, name) {
				changed = append(changed, &http.Cookie{Name: name, Value: c.Value, Quoted: c.Quoted})
			}
		}
	}
	return slices.Clip(changed)
}

// difference returns the parts of two names between their common prefix and
// suffix.
func difference(a, b string) (string, string) {
	for a != "" && b != "" && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for a != "" && b != "" && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	return a, b
}
