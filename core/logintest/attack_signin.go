package logintest

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// An entry is the sign-in page, where a user chooses how to log in.
type entry struct {
	page     string          // path, and the query that is always there
	entrance string          // path to which its links or forms lead
	leadsTo  map[string]bool // origins to which the page links
	names    []string        // of the parameter with the page to return to
}

// Attacks on the sign-in page, which passes a page to return to on from a link
// of any site to the login (RFC 9700 section 4.11).
var signInAttacks = []attack{
	{"open redirect through the sign-in page",
		"let links and forms of its sign-in page lead to its own login only, and check there the page to return to as in any login",
		redirectThroughSignIn},
	{"parameters through the sign-in page",
		"encode the page to return to in the links of its sign-in page, and take no other parameter of the request over",
		parametersThroughSignIn},
	{"text on the sign-in page",
		"escape all that its sign-in page repeats, and show messages of its own only, because any site can link to that page",
		signInReflects},
	{"circle through the sign-in page",
		"end a login at a page of the application, and neither at the sign-in page nor at a route of the login",
		signInCircles},
}

// enteredHonestly looks for the sign-in page, and logs in with a link or a form of
// it.
func (s *siege) enteredHonestly() {
	b := s.newBrowser()
	page := s.private(b)
	if s.target.SignIn != "" {
		b = s.newBrowser()
		page = s.load(b, typed(s.at(s.target.SignIn, nil)))
	}
	if s.target.SignIn == "" && (!s.elsewhere || page.Status/100 != 2) {
		return
	}
	s.provider.User = s.ada
	for _, door := range page.doors() {
		if !strings.HasPrefix(door.address, s.origin+"/") {
			continue
		}
		l := s.fromStep(b, door)
		if l.callback == nil {
			continue
		}
		s.finish(l)
		if s.visitor(b) == called(s.ada) {
			s.entry = entry{page: s.signInPage(page), entrance: pathOf(door.address), leadsTo: s.foreign(&page.Hop)}
			s.entry.names = s.heededAtSignIn()
			return
		}
	}
	if s.target.SignIn != "" {
		found("Target.SignIn is %s, which answered %d without a link or a form that logs in", s.target.SignIn, page.Status)
	}
}

// heededAtSignIn returns the names that the sign-in page uses.
func (s *siege) heededAtSignIn() []string {
	var names []string
	for _, name := range returnNames {
		ends := false
		s.enter(s.fromElsewhere(returning(s.marked(mark), name)), func(door *step, l *login) {
			ends = ends || door != nil && l.callback != nil && endsAtMark(l.hops)
		})
		if ends {
			names = append(names, name)
		}
	}
	return names
}

// signInPage returns the path of the sign-in page, with what its query always has.
func (s *siege) signInPage(page *Page) string {
	u, err := url.Parse(page.URL)
	if s.target.SignIn != "" || err != nil {
		return s.target.SignIn
	}
	query := u.Query()
	maps.DeleteFunc(query, func(_ string, values []string) bool {
		return slices.ContainsFunc(values, func(value string) bool { return strings.Contains(value, pathOf(s.target.Private)) })
	})
	u.RawQuery = query.Encode()
	return strings.TrimPrefix(u.String(), originOf(u))
}

// foreign returns the other origins to which a page's links and forms lead.
func (s *siege) foreign(page *Hop) map[string]bool {
	to := make(map[string]bool)
	base, err := url.Parse(page.URL)
	if err != nil {
		return to
	}
	for _, address := range page.links() {
		if origin := destination(base, address); origin != s.origin {
			to[origin] = true
		}
	}
	return to
}

// enter opens the sign-in page, and logs in with each link and form that leads to
// the login. Check gets what the browser has seen: first with the page, and then with
// each of these steps.
func (s *siege) enter(now step, check func(door *step, l *login)) {
	s.provider.User = s.ada
	b := s.newBrowser()
	through := func(door *step, now step) *login {
		l := s.fromStep(b, now)
		if l.callback != nil {
			l.hops = append(l.hops, s.finish(l)...)
		}
		check(door, l)
		return l
	}
	l := through(nil, now)
	if l.callback != nil { // the page begins the login by itself
		return
	}
	for _, door := range s.entrances(&l.hops[len(l.hops)-1]) {
		through(&door, door)
	}
}

// entrances returns the links and forms of the sign-in page that lead to the login.
func (s *siege) entrances(page *Hop) []step {
	return slices.DeleteFunc(page.doors(), func(door step) bool {
		return !strings.HasPrefix(door.address, s.origin+"/") || pathOf(door.address) != s.entry.entrance
	})
}

// fromElsewhere returns the step that opens the sign-in page by a link of another
// site.
func (s *siege) fromElsewhere(query url.Values) step {
	return step{method: http.MethodGet, address: s.at(s.entry.page, query), site: "cross-site"}
}

func redirectThroughSignIn(s *siege) {
	tries := [][]string{returnNames}
	for _, name := range s.entry.names {
		tries = append(tries, []string{name})
	}
	for _, to := range openRedirects {
		for _, names := range tries {
			s.entersHome(s.fromElsewhere(returning(to, names...)), to)
		}
	}
	for _, path := range []string{"//" + evilHost, "//" + evilHost + s.target.Private, `/\` + evilHost, "/%2f" + evilHost, "/%5c" + evilHost} {
		s.entersHome(typed(s.origin+path), path) // a guard may return to this path
	}
}

// entersHome requires that the sign-in page, its links, and the logins behind them
// lead only to the application or to the provider.
func (s *siege) entersHome(now step, because string) {
	s.enter(now, func(door *step, l *login) {
		s.staysHome(l.hops, because)
		if door != nil {
			return
		}
		for to := range s.foreign(&l.hops[len(l.hops)-1]) {
			if !s.entry.leadsTo[to] {
				found("%q as the page to return to made a link of the sign-in page lead to %s", because, to)
			}
		}
	})
}

// parametersThroughSignIn adds parameters to a link to the sign-in page: beside the
// page to return to, and within it.
func parametersThroughSignIn(s *siege) {
	const mark = "chosen-by-mallory"
	names := []string{
		"provider", "iss", "issuer", "idp", "connection", "client_id", "redirect_uri", "scope", "state", "nonce", "code_verifier", "code_challenge", "response_mode",
	}
	hostile := returning(mark, names...)
	tries := []url.Values{hostile, returning(s.marked(hostile.Encode()), returnNames...)}
	for _, name := range s.entry.names {
		tries = append(tries, returning(s.marked(hostile.Encode()), name))
	}
	for _, query := range tries {
		s.enter(s.fromElsewhere(query), func(door *step, l *login) {
			values := make(url.Values)
			if door != nil {
				_, query, _ := strings.Cut(door.address, "?")
				values, _ = url.ParseQuery(query)
				maps.Copy(values, door.form)
			}
			for _, name := range names {
				if slices.Contains(values[name], mark) || slices.Contains(l.request[name], mark) {
					found("a link to the sign-in page chose the login's parameter %s", name)
				}
			}
		})
	}
}

// signInReflects opens the sign-in page with markup in all parameters, and with text
// in those for messages.
func signInReflects(s *siege) {
	const text = "reflectedtext"
	messages := []string{"error", "error_description", "error_message", "message", "msg", "reason", "notice", "info", "alert", "flash", "title", "hint"}
	page := s.load(s.newBrowser(), s.fromElsewhere(returning(text, messages...)))
	for _, hop := range page.Hops {
		if strings.Contains(string(hop.Body), text) {
			found("the sign-in page showed a message that a link to it chose")
		}
	}
	for _, markup := range []string{"<b>" + text + "</b>", `" onfocus="` + text, "' onfocus='" + text} {
		for _, to := range []string{markup, s.marked(markup)} {
			page := s.load(s.newBrowser(), s.fromElsewhere(returning(to, append(messages, returnNames...)...)))
			for _, hop := range page.Hops {
				if strings.Contains(string(hop.Body), markup) {
					found("the sign-in page repeated the markup of a link to it unescaped")
				}
			}
		}
	}
}

// signInCircles logs in for pages that would begin another login, or end it.
func signInCircles(s *siege) {
	home := "" // where a login ends by itself
	s.enter(s.fromElsewhere(nil), func(_ *step, l *login) { home = pathOf(l.hops[len(l.hops)-1].URL) })
	within := s.at(s.entry.page, returning(s.at(s.entry.page, nil)[len(s.origin):], s.entry.names...))[len(s.origin):]
	for _, to := range []string{s.entry.page, within, s.entry.entrance, s.target.LoginPath, s.target.LogoutPath, s.callback.Path} {
		for _, name := range s.entry.names {
			s.enter(s.fromElsewhere(returning(to, name)), func(door *step, l *login) {
				if l.callback == nil {
					return
				}
				last := l.hops[len(l.hops)-1]
				cause := "a login through the sign-in page, with " + to + " as the page to return to,"
				switch at := pathOf(last.URL); {
				case s.leadsToProvider(&last):
					found("%s began another login", cause)
				case at == home:
				case at == pathOf(s.entry.page) || at == s.callback.Path || at == pathOf(s.target.LogoutPath):
					found("%s ended at %s", cause, at)
				}
				s.expect(l.browser, called(s.ada), cause)
			})
		}
	}
}

// leadsToProvider reports whether a response leads to another origin.
func (s *siege) leadsToProvider(hop *Hop) bool {
	base, err := url.Parse(hop.URL)
	to := hop.leadsTo()
	return err == nil && to != "" && destination(base, to) != s.origin
}
