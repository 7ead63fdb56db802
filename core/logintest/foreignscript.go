package logintest

import (
	"net/http"
	"slices"
	"strings"
)

// A scripted is a request of a page's script, with the cookies of the session.
type scripted struct {
	method      string
	address     string
	contentType string // "": no body
	body        string
	header      http.Header // beside Sec-Fetch-*, Accept and Content-Type
	accept      string      // "": */*, as fetch sends it
}

// request returns the request that a browser sends for a page of the origin from.
// Site is what it says in Sec-Fetch-Site; "": it is an older browser.
func (f scripted) request(site, from string) *http.Request {
	r, err := http.NewRequest(f.method, f.address, strings.NewReader(f.body))
	if err != nil {
		found("the target has an invalid path (%v)", err)
	}
	for name, values := range f.header {
		r.Header[name] = values
	}
	r.Header.Set("Accept", "*/*")
	if f.accept != "" {
		r.Header.Set("Accept", f.accept)
	}
	if f.contentType != "" {
		r.Header.Set("Content-Type", f.contentType)
	}
	if site != "" {
		r.Header.Set("Sec-Fetch-Site", site)
		r.Header.Set("Sec-Fetch-Mode", "cors")
		r.Header.Set("Sec-Fetch-Dest", "empty")
	}
	if from != "" {
		r.Header.Set("Origin", from)
	}
	return r
}

// own sends f for a page of the application.
func (s *siege) own(b *Browser, f scripted) *Page {
	from := ""
	if f.method != http.MethodGet {
		from = s.origin
	}
	return s.send(b, f.request("same-origin", from))
}

// anotherSite is a page that is not the application's.
type anotherSite struct{ fetch, origin string }

// otherSites are pages of another site, without an origin, on a sibling host, and in
// older browsers.
var otherSites = []anotherSite{
	{"cross-site", evilOrigin}, {"cross-site", "null"}, {"same-site", evilOrigin}, {"", evilOrigin}, {"", "null"},
}

// byForeign sends f for a page of another site, as browsers do (Fetch Standard, section
// 4.8). If the request is not a simple one, they ask the application first, without
// cookies. byForeign returns nil if the application does not allow it.
func (s *siege) byForeign(b *Browser, f scripted, site anotherSite) *Page {
	r := f.request(site.fetch, site.origin)
	if asked := f.unsafe(); len(asked) > 0 {
		preflight, err := http.NewRequest(http.MethodOptions, f.address, nil)
		if err != nil {
			return nil
		}
		preflight.Header.Set("Origin", site.origin)
		preflight.Header.Set("Access-Control-Request-Method", f.method)
		preflight.Header.Set("Access-Control-Request-Headers", strings.ToLower(strings.Join(asked, ",")))
		answer := s.send(s.newBrowser(), preflight)
		if answer.Status/100 != 2 || !answer.readableBy(site.origin) || !answer.allows(asked) {
			return nil
		}
	}
	return s.send(b, r)
}

// unsafe returns the header fields that no form and no simple request can have.
func (f scripted) unsafe() []string {
	var names []string
	for name := range f.header {
		names = append(names, name)
	}
	simple := []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data"}
	if kind, _, _ := strings.Cut(f.contentType, ";"); !slices.Contains(simple, kind) {
		names = append(names, "Content-Type")
	}
	slices.Sort(names)
	return names
}

// readableBy reports whether a script of another origin, which sends cookies, gets the
// response to read.
func (h *Hop) readableBy(origin string) bool {
	return h.Header.Get("Access-Control-Allow-Origin") == origin && h.Header.Get("Access-Control-Allow-Credentials") == "true"
}

// allows reports whether a preflight's response allows all header fields.
func (h *Hop) allows(names []string) bool {
	allowed := strings.ToLower(strings.Join(h.Header.Values("Access-Control-Allow-Headers"), ","))
	return !slices.ContainsFunc(names, func(name string) bool {
		return !slices.ContainsFunc(strings.Split(allowed, ","), func(a string) bool { return strings.TrimSpace(a) == strings.ToLower(name) })
	})
}
