package logintest

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
)

// Attacks on a logout by scripts: by fetch, htmx and Turbo.
var logoutAttacks = []attack{
	{"logout by a script of another site",
		"check Sec-Fetch-Site and Origin of every logout request, also if it accepts JSON, and end no session by GET",
		logoutByForeignScript},
	{"open redirect at a logout by script",
		"answer a script's logout with an address from its configuration only, whatever the request's parameters, Host and forwarded headers say",
		redirectAtScriptedLogout},
}

// logoutScripts returns a logout as scripts send it, with these fields.
func (s *siege) logoutScripts(method string, fields url.Values) []scripted {
	const form = "application/x-www-form-urlencoded"
	object := make(map[string]string)
	for name := range fields {
		object[name] = fields.Get(name)
	}
	text, _ := json.Marshal(object) // a map of strings: cannot fail
	all := []scripted{
		{contentType: form, body: fields.Encode(), accept: "application/json"},
		{contentType: "text/plain;charset=UTF-8", body: string(text), accept: "application/json"},
		{contentType: "application/json", body: string(text), accept: "application/json"},
		{contentType: form, body: fields.Encode(), accept: "application/json", header: http.Header{"X-Requested-With": {"XMLHttpRequest"}}},
		{contentType: form, body: fields.Encode(), header: http.Header{"Hx-Request": {"true"}}},
		{contentType: form, body: fields.Encode(), accept: "text/vnd.turbo-stream.html, text/html", header: http.Header{"X-Turbo-Request-Id": {"1"}}},
		{accept: "application/json"},
	}
	for i := range all {
		all[i].method, all[i].address = method, s.at(s.target.LogoutPath, nil)
		if method == http.MethodGet {
			all[i].contentType, all[i].body = "", ""
		}
	}
	return all
}

func logoutByForeignScript(s *siege) {
	b := s.newBrowser()
	s.signIn(b, s.ada)
	methods := []string{http.MethodPost, http.MethodGet}
	if s.target.LogoutMethod == http.MethodGet {
		methods = methods[1:]
	}
	for _, method := range methods {
		for _, f := range s.logoutScripts(method, url.Values{}) {
			for _, site := range otherSites {
				if method == http.MethodGet && s.target.LogoutMethod == http.MethodGet && site.fetch == "" {
					continue // nothing in the request says where it comes from
				}
				page := s.byForeign(b, f, site)
				if page == nil {
					continue
				}
				s.expect(b, called(s.ada), "a "+method+" to the logout by a script of another site")
				if page.readableBy(site.origin) {
					found("a script of another site could read the response of the logout")
				}
			}
		}
	}
	s.logoutByItsPage()
}

// logoutByItsPage opens the pages to which a script's logout leads, by links of another
// site, in a browser whose user did not log out.
func (s *siege) logoutByItsPage() {
	b := s.newBrowser()
	s.signIn(b, s.ada)
	for i := range s.logoutScripts(s.target.LogoutMethod, nil) {
		pages, _ := s.scriptedLogout(i, nil, nil)
		for _, page := range pages {
			if page == s.at(s.target.LogoutPath, nil) { // the attack "logout by a link" opens it
				continue
			}
			s.load(b, step{method: http.MethodGet, address: page, site: "cross-site"})
			s.expect(b, called(s.ada), "a link to "+strings.TrimPrefix(page, s.origin)+", to which a script's logout leads,")
		}
	}
}

// redirectAtScriptedLogout logs out by scripts with hostile parameters, and then with
// hostile headers, and compares the addresses in the responses with those of an honest
// logout.
func redirectAtScriptedLogout(s *siege) {
	usual := make(map[string]bool)
	for i := range s.logoutScripts(s.target.LogoutMethod, nil) {
		_, foreign := s.scriptedLogout(i, nil, nil)
		maps.Copy(usual, foreign)
	}
	check := func(kind int, fields url.Values, edit func(*http.Request), cause string) {
		_, foreign := s.scriptedLogout(kind, fields, edit)
		for to := range foreign {
			if !usual[to] {
				found("%s made the response to a script's logout lead to %s", cause, to)
			}
		}
	}
	for i, to := range openRedirects {
		check(i, returning(to, append([]string{"logout_url", "after"}, returnNames...)...), nil, "the parameter "+to)
	}
	for i, edit := range forgedHeaders() {
		check(i, nil, edit, "a forged header")
		check(i+4, nil, edit, "a forged header")
	}
}

// scriptedLogout logs Ada out by a script, and returns the pages of the application to which
// the response leads, and the other origins to which it or these pages lead.
func (s *siege) scriptedLogout(kind int, fields url.Values, edit func(*http.Request)) (pages []string, foreign map[string]bool) {
	b := s.newBrowser()
	s.signIn(b, s.ada)
	query := hiddenFields(s.private(b).Body)
	maps.Copy(query, fields)
	all := s.logoutScripts(s.target.LogoutMethod, query)
	f := all[kind%len(all)]
	f.address = s.at(s.target.LogoutPath, fields)
	s.edit = edit
	defer func() { s.edit = nil }()
	page := s.own(b, f)
	foreign = make(map[string]bool)
	for _, address := range page.addresses() {
		s.addOrigins(foreign, page.URL, address)
		if here, ok := s.pageHere(page, address); ok {
			pages = append(pages, here)
			for _, hop := range s.load(b, step{method: http.MethodGet, address: here, site: "same-origin"}).Hops {
				s.addOrigins(foreign, hop.URL, hop.leadsTo())
			}
		}
	}
	return pages, foreign
}

// pageHere returns the URL of an address, if it is a path or URL of the application.
func (s *siege) pageHere(from *Page, address string) (string, bool) {
	base, err := url.Parse(from.URL)
	if err != nil || destination(base, address) != s.origin || !strings.HasPrefix(address, "/") && !strings.HasPrefix(address, s.origin) {
		return "", false
	}
	here, err := base.Parse(address)
	if err != nil || originOf(here) != s.origin { // browsers and net/url may differ
		return "", false
	}
	return here.String(), true
}

// addOrigins adds the other origin to which an address leads, and that of the page after
// the provider's logout.
func (s *siege) addOrigins(to map[string]bool, page, address string) {
	base, err := url.Parse(page)
	if err != nil || address == "" {
		return
	}
	if origin := destination(base, address); origin != s.origin {
		to[origin] = true
	}
	if u, err := url.Parse(address); err == nil {
		for _, name := range []string{"post_logout_redirect_uri", "redirect_uri", "returnTo", "logout_uri"} {
			if after := u.Query().Get(name); after != "" {
				s.addOrigins(to, page, after)
			}
		}
	}
}

// addresses returns the addresses to which a script may send the browser after a
// response: of redirects, of htmx, and all strings of a JSON text.
func (h *Hop) addresses() []string {
	all := []string{h.leadsTo()}
	for _, name := range []string{"Hx-Redirect", "Hx-Location", "Turbo-Location", "X-Redirect", "Content-Location"} {
		all = append(all, h.Header.Get(name))
	}
	var body any
	if json.Unmarshal(h.Body, &body) == nil {
		all = append(all, stringsIn(body)...)
	}
	return all
}

// stringsIn returns all strings of a JSON value.
func stringsIn(value any) []string {
	var all []string
	switch value := value.(type) {
	case string:
		return []string{value}
	case []any:
		for _, part := range value {
			all = append(all, stringsIn(part)...)
		}
	case map[string]any:
		for _, part := range value {
			all = append(all, stringsIn(part)...)
		}
	}
	return all
}
