package logintest

import (
	"net/http"
	"net/url"
	"strings"
)

// send makes one request. An error is a finding, because an application must
// respond under attack.
func (s *siege) send(b *Browser, r *http.Request) *Page { return s.sendWith(b.Do, r) }

func (s *siege) sendWith(do func(*http.Request) (*Page, error), r *http.Request) *Page {
	if s.edit != nil && originOf(r.URL) == s.origin {
		s.edit(r)
	}
	page, err := do(r)
	if err != nil {
		why, _, _ := strings.Cut(err.Error(), "\n") // a stack trace may follow
		found("%s %.100s got no response (%s)", r.Method, r.URL.Path, why)
	}
	return page
}

// get opens a page and does not follow redirects.
func (s *siege) get(b *Browser, address, site string) *Page {
	return s.take(b, step{method: http.MethodGet, address: address, site: site})
}

// take makes one step, with the cookies that a browser would send.
func (s *siege) take(b *Browser, now step) *Page {
	r, err := b.request(now)
	if err != nil {
		found("a redirect leads to an invalid URL (%v)", err)
	}
	return s.sendWith(func(r *http.Request) (*Page, error) { return b.send(r, now.keepsCookiesBack()) }, r)
}

// walk opens a page and follows it, until leave returns true for the next
// address. It returns that address. For a form that is about to be posted, the
// address has the form's values as its query.
func (s *siege) walk(b *Browser, now step, leave func(*url.URL) bool) ([]Hop, *url.URL) {
	var hops []Hop
	for len(hops) < maxHops {
		page := s.take(b, now)
		hops = append(hops, page.Hop)
		next, err := now.follow(page)
		if err != nil || next == nil {
			return hops, nil
		}
		to, err := url.Parse(next.address)
		if err == nil && next.form != nil {
			to.RawQuery = next.form.Encode()
		}
		if err != nil || leave(to) {
			return hops, to
		}
		now = *next
	}
	found("%s redirects in circles", s.target.LoginPath)
	return nil, nil
}

// load opens a page, and follows redirects to the callback, or within the
// application.
func (s *siege) load(b *Browser, now step) *Page {
	hops, _ := s.walk(b, now, func(next *url.URL) bool { return originOf(next) != s.origin || s.isCallback(next) })
	return &Page{Hop: hops[len(hops)-1], Hops: hops}
}

// A login has returned from the provider, and its callback has not been opened
// yet.
type login struct {
	browser  *Browser
	hops     []Hop
	callback *url.URL   // with the response; nil if the login did not return
	request  url.Values // the authorization request, also if it was pushed or signed
}

// try begins a login of user, which may fail.
func (s *siege) try(b *Browser, user User, query url.Values) *login {
	s.provider.User = user
	return s.from(b, s.at(s.target.LoginPath, query))
}

// from begins a login of the provider's user by opening a page.
func (s *siege) from(b *Browser, address string) *login { return s.fromStep(b, typed(address)) }

// fromStep begins a login of the provider's user by any page load.
func (s *siege) fromStep(b *Browser, now step) *login {
	l := &login{browser: b}
	var next *url.URL
	l.hops, next = s.walk(b, now, s.leaves)
	if next != nil && s.isCallback(next) {
		l.callback = next
	}
	for _, hop := range l.hops {
		if endpoint, query, _ := strings.Cut(hop.URL, "?"); endpoint == s.provider.url(Authorization) {
			l.request, _ = url.ParseQuery(query)
			l.request = s.provider.asked(l.request)
			s.byForm = strings.HasPrefix(l.request.Get("response_mode"), "form_post")
		}
	}
	return l
}

// begin begins a login that must return to the callback.
func (s *siege) begin(b *Browser, user User) *login {
	l := s.try(b, user, nil)
	if l.callback == nil {
		last := l.hops[len(l.hops)-1]
		where, _, _ := strings.Cut(last.URL, "?")
		found("a login, begun at %s, ended with status %d at %s and did not return from the provider", s.target.LoginPath, last.Status, where)
	}
	return l
}

func (s *siege) isCallback(u *url.URL) bool {
	return originOf(u) == s.origin && u.Path == s.callback.Path
}

// leaves reports whether a step ends a login's way: at the callback, or outside of
// the application and its provider.
func (s *siege) leaves(next *url.URL) bool {
	issuer, err := url.Parse(s.target.Issuer)
	return s.isCallback(next) || originOf(next) != s.origin && (err != nil || originOf(next) != originOf(issuer))
}

// open opens a page of the application from another site, and follows redirects
// within the application. It opens the callback like the provider: with a form,
// if the application uses response_mode=form_post.
func (s *siege) open(b *Browser, address string) []Hop {
	u, err := url.Parse(address)
	if err != nil {
		return s.within(b, step{method: http.MethodGet, address: address, site: "cross-site"})
	}
	return s.within(b, s.arrival(u))
}

// arrival returns the step that opens a page of the application from another
// site.
func (s *siege) arrival(u *url.URL) step {
	now := step{method: http.MethodGet, address: u.String(), site: "cross-site"}
	if s.byForm && s.isCallback(u) {
		now = s.asForm(u, now.site)
	}
	return now
}

// asForm returns the step that posts the callback's query as a form.
func (s *siege) asForm(callback *url.URL, site string) step {
	action := *callback
	action.RawQuery = ""
	return step{http.MethodPost, action.String(), callback.Query(), site, evilOrigin}
}

// within follows redirects from a step, as long as they stay in the
// application.
func (s *siege) within(b *Browser, now step) []Hop {
	hops, _ := s.walk(b, now, func(next *url.URL) bool { return originOf(next) != s.origin })
	return hops
}

// finish opens a login's callback.
func (s *siege) finish(l *login) []Hop { return s.open(l.browser, l.callback.String()) }

// altered returns a login's callback with another query. A response that was
// signed is not signed then, because an attacker has no key.
func (l *login) altered(edit func(url.Values)) string {
	u := *l.callback
	query := l.response()
	edit(query)
	u.RawQuery = query.Encode()
	return u.String()
}

// signIn logs user in and returns all hops.
func (s *siege) signIn(b *Browser, user User) []Hop {
	l := s.begin(b, user)
	hops := append(l.hops, s.finish(l)...)
	if page := s.private(b); s.identify(page) != called(user) {
		found("after a login by %s, %s answered %d and did not show the user", called(user), s.target.Private, page.Status)
	}
	return hops
}

// logOut ends the session with the application's own form.
func (s *siege) logOut(b *Browser) *Page {
	page := s.send(b, s.logout(b, hiddenFields(s.private(b).Body), "same-origin"))
	if who := s.visitor(b); who != nobody {
		found("a %s to %s got status %d, and %s still shows %s", s.target.LogoutMethod, s.target.LogoutPath, page.Status, s.target.Private, who)
	}
	return page
}

// logout returns the request that ends the session, with the target's method.
func (s *siege) logout(b *Browser, form url.Values, site string) *http.Request {
	query, body := url.Values(nil), form
	if s.target.LogoutMethod == http.MethodGet {
		query, body = form, nil
	}
	r, err := b.navigation(s.target.LogoutMethod, s.at(s.target.LogoutPath, query), body, site)
	if err != nil {
		found("Target.LogoutPath is not a path (%v)", err)
	}
	return r
}
