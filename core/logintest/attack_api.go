package logintest

import (
	"encoding/json"
	"mime"
	"net/http"
	"strings"
)

// Attacks on an API that the application's own scripts call with the session's cookies
// (OAuth 2.0 for Browser-Based Applications, section 6.1).
var (
	apiReadAttacks = []attack{
		{"API answers in caches",
			"answer its API with Cache-Control: no-store, so that no cache shows them after a logout or to another user",
			apiCached},
		{"API answers taken for pages",
			"answer its API with Content-Type application/json and X-Content-Type-Options: nosniff, so that no browser runs a user's text as a page or a script",
			apiSniffed},
		{"API read by another site",
			"allow no other origin to read its API with cookies: neither by CORS nor by JSONP",
			apiReadElsewhere},
		{"API without a session",
			"answer its API without a session with 401 or 403, or with JSON that says so, because a script cannot follow a redirect to a login",
			apiWithoutSession},
		{"secrets in API answers",
			"keep tokens and session cookies out of all that its scripts can read",
			apiTellsSecrets},
	}
	apiWriteAttacks = []attack{
		{"API called by another site",
			"reject a POST to its API by a page of another site: check Sec-Fetch-Site and Origin, or require a content type or header that needs a preflight",
			apiForged},
	}
)

func (s *siege) apiAttacks() []attack {
	var all []attack
	if len(s.calls(http.MethodGet)) > 0 {
		all = append(all, apiReadAttacks...)
	}
	if len(s.calls(http.MethodPost)) > 0 {
		all = append(all, apiWriteAttacks...)
	}
	return all
}

// calls returns the requests of Target.API with a method.
func (s *siege) calls(method string) []scripted {
	var all []scripted
	for _, call := range s.target.API {
		of, path, _ := strings.Cut(call, " ")
		if of != method {
			continue
		}
		f := scripted{method: method, address: s.at(path, nil), accept: "application/json"}
		if method == http.MethodPost {
			f.contentType, f.body = "application/json", "{}"
		}
		all = append(all, f)
	}
	return all
}

// path returns the path of a request, for findings.
func (f scripted) path() string { return pathOf(f.address) }

// calledHonestly calls the API as a user.
func (s *siege) calledHonestly() {
	b := s.newBrowser()
	if len(s.target.API) > 0 {
		s.signIn(b, s.ada)
	}
	for _, f := range append(s.calls(http.MethodGet), s.calls(http.MethodPost)...) {
		if page := s.own(b, f); page.Status/100 != 2 || f.method == http.MethodGet && !json.Valid(page.Body) {
			found("Target.API has %s %s, which answered a logged-in user with status %d and %.40q", f.method, f.path(), page.Status, page.Body)
		}
	}
}

// eachAnswer calls each GET of the API as Ada.
func (s *siege) eachAnswer(check func(f scripted, b *Browser, page *Page)) {
	b := s.newBrowser()
	s.signIn(b, s.ada)
	for _, f := range s.calls(http.MethodGet) {
		check(f, b, s.own(b, f))
	}
}

func apiCached(s *siege) {
	s.eachAnswer(func(f scripted, _ *Browser, page *Page) {
		anonymous := s.own(s.newBrowser(), f)
		for _, hop := range []Hop{page.Hop, anonymous.Hop} {
			if hop.Status/100 == 2 && !strings.Contains(hop.Header.Get("Cache-Control"), "no-store") {
				found("%s was answered without Cache-Control: no-store", f.path())
			}
		}
	})
}

func apiSniffed(s *siege) {
	s.eachAnswer(func(f scripted, _ *Browser, page *Page) {
		kind, _, _ := mime.ParseMediaType(page.Header.Get("Content-Type"))
		switch {
		case kind != "application/json" && !strings.HasSuffix(kind, "+json"):
			found("%s was answered with Content-Type %q", f.path(), page.Header.Get("Content-Type"))
		case !strings.EqualFold(page.Header.Get("X-Content-Type-Options"), "nosniff"):
			found("%s was answered without X-Content-Type-Options: nosniff", f.path())
		}
	})
}

func apiReadElsewhere(s *siege) {
	_, host, _ := strings.Cut(s.origin, "://")
	others := []string{evilOrigin, "null", s.origin + "." + evilHost, "https://evil" + host, "https://evil." + host, "ftp://" + host}
	s.eachAnswer(func(f scripted, b *Browser, _ *Page) {
		for _, origin := range others {
			if page := s.send(b, f.request("cross-site", origin)); page.Status/100 == 2 && page.readableBy(origin) {
				found("%s may be read by scripts of %s, with the user's cookies", f.path(), origin)
			}
		}
		const function = "readbyanothersite"
		padded := f
		padded.accept = ""
		padded.address = s.at(strings.TrimPrefix(f.address, s.origin), returning(function, "callback", "jsonp", "cb", "jsoncallback", "_callback"))
		if page := s.send(b, padded.request("cross-site", "")); strings.Contains(string(page.Body), function+"(") {
			found("%s answers with a script that calls a function of any page", f.path())
		}
	})
}

// apiWithoutSession calls the API as fetch does by itself, as the application's script
// does, and as older scripts do.
func apiWithoutSession(s *siege) {
	for _, f := range append(s.calls(http.MethodGet), s.calls(http.MethodPost)...) {
		for _, accept := range []string{"", f.accept} {
			f.accept = accept
			page := s.own(s.newBrowser(), f)
			kind, _, _ := mime.ParseMediaType(page.Header.Get("Content-Type"))
			switch {
			case page.Status == http.StatusUnauthorized, page.Status == http.StatusForbidden:
				if kind == "text/html" {
					found("%s answered an anonymous request by a script with a page", f.path())
				}
			case page.Status/100 != 2 || f.method != http.MethodGet || !json.Valid(page.Body):
				found("%s %s answered an anonymous request by a script with status %d and %q", f.method, f.path(), page.Status, kind)
			}
		}
	}
}

// apiTellsSecrets looks for the login's tokens and for the cookies that scripts cannot
// read.
func apiTellsSecrets(s *siege) {
	secrets := make(map[string]string)
	s.misbehave(Faults{Token: func(response map[string]any) {
		for _, name := range []string{"access_token", "refresh_token", "id_token"} {
			if token, _ := response[name].(string); token != "" {
				secrets[token] = name
			}
		}
	}})
	b := s.newBrowser()
	for _, hop := range s.signIn(b, s.ada) {
		for _, c := range kept(hop.Header) {
			if c.HttpOnly && len(c.Value) >= 16 { // a shorter one may be a word
				secrets[c.Value] = "value of cookie " + c.Name
			}
		}
	}
	for _, f := range s.calls(http.MethodGet) {
		page := s.own(b, f)
		for secret, name := range secrets {
			if reveals(string(page.Body), secret, 2) {
				found("%s answered with the %s", f.path(), name)
			}
		}
	}
}

// apiForged posts to the API from pages of other sites.
func apiForged(s *siege) {
	b := s.newBrowser()
	s.signIn(b, s.ada)
	for _, f := range s.calls(http.MethodPost) {
		for _, contentType := range []string{"application/json", "text/plain", "text/plain;application/json", "application/x-www-form-urlencoded", ""} {
			for _, site := range otherSites {
				f.contentType = contentType
				if page := s.byForeign(b, f, site); page != nil && page.Status/100 == 2 {
					found("a POST to %s by a page of another site got status %d", f.path(), page.Status)
				}
			}
		}
	}
}
