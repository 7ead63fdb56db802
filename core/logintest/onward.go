package logintest

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// A step is the opening of a page.
type step struct {
	method  string
	address string
	form    url.Values // nil: none
	site    string     // Sec-Fetch-Site
	from    string     // origin of the page that leads there by itself; "": none does
}

// typed is the opening of an address by a person.
func typed(address string) step { return step{method: http.MethodGet, address: address, site: "none"} }

// keepsCookiesBack reports whether a browser sends none but cookies with SameSite=None.
func (s step) keepsCookiesBack() bool { return s.site == "cross-site" && s.method != http.MethodGet }

// follow returns the step that a page, to which s has led, sends the browser on
// by itself: by a redirect, a form that submits itself, or a refresh without
// delay. It is nil if the page stays.
func (s step) follow(page *Page) (*step, error) {
	from, err := url.Parse(page.URL)
	if err != nil {
		return nil, err
	}
	next := page.onward()
	if location := page.Header.Get("Location"); page.Status/100 == 3 && location != "" {
		next = &step{method: http.MethodGet, address: location, site: s.site, from: s.from}
		if page.Status == http.StatusTemporaryRedirect || page.Status == http.StatusPermanentRedirect {
			next.method, next.form = s.method, s.form
		}
	}
	if next == nil {
		return nil, nil
	}
	to, err := from.Parse(next.address)
	if err != nil {
		return nil, fmt.Errorf("logintest: %s leads to what is no URL: %w", s.address, err)
	}
	if originOf(to) != originOf(from) {
		next.site = "cross-site" // and stays so while redirects follow
	}
	next.address = to.String()
	return next, nil
}

// leadsTo is the address to which an answer sends the browser on, or "".
func (h *Hop) leadsTo() string {
	if location := h.Header.Get("Location"); location != "" {
		return location
	}
	if next := h.onward(); next != nil {
		return next.address
	}
	return ""
}

// onward is where a page of HTML goes by itself. Scripts are not run, but one
// that calls submit is taken at its word.
func (h *Hop) onward() *step {
	if !strings.HasPrefix(h.Header.Get("Content-Type"), "text/html") {
		return nil
	}
	var origin string
	if u, err := url.Parse(h.URL); err == nil {
		origin = originOf(u)
	}
	all := tagsOf(h.Body)
	for i, t := range all {
		switch {
		case t.name == "form" && strings.EqualFold(t.attributes["method"], "post") && strings.Contains(string(h.Body), ".submit()"):
			return &step{http.MethodPost, t.attributes["action"], fieldsOf(all[i+1:]), "same-origin", origin}
		case t.name == "meta" && strings.EqualFold(t.attributes["http-equiv"], "refresh"):
			if to := refresh.FindStringSubmatch(t.attributes["content"]); to != nil {
				return &step{http.MethodGet, to[1] + to[2] + to[3], nil, "same-origin", origin}
			}
		}
	}
	return nil
}

var (
	tags       = regexp.MustCompile(`(?s)<(/?[a-zA-Z]+)((?:[^>"']|"[^"]*"|'[^']*')*)>`)
	attributes = regexp.MustCompile(`(?s)([a-zA-Z-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))`)
	refresh    = regexp.MustCompile(`(?is)^\s*0\s*[;,]\s*url\s*=\s*(?:"([^"]*)|'([^']*)|([^"'].*))`)
)

// A tag is one of a page's, with its name in small letters, and as a browser
// understands its attributes.
type tag struct {
	name       string
	attributes map[string]string
}

func tagsOf(page []byte) []tag {
	var all []tag
	for _, found := range tags.FindAllStringSubmatch(string(page), -1) {
		t := tag{strings.ToLower(found[1]), make(map[string]string)}
		for _, a := range attributes.FindAllStringSubmatch(found[2], -1) {
			if name := strings.ToLower(a[1]); t.attributes[name] == "" { // the first one counts
				t.attributes[name] = html.UnescapeString(a[2] + a[3] + a[4])
			}
		}
		all = append(all, t)
	}
	return all
}

// fieldsOf are the hidden fields up to the end of the form.
func fieldsOf(all []tag) url.Values {
	fields := make(url.Values)
	for _, t := range all {
		if t.name == "/form" {
			break
		}
		if t.isHidden() {
			fields.Add(t.attributes["name"], t.attributes["value"])
		}
	}
	return fields
}

// isHidden reports whether a tag is a hidden field with a name.
func (t tag) isHidden() bool {
	return t.name == "input" && strings.EqualFold(t.attributes["type"], "hidden") && t.attributes["name"] != ""
}

// hiddenFields are those of all forms on a page.
func hiddenFields(page []byte) url.Values {
	fields := make(url.Values)
	for _, t := range tagsOf(page) {
		if t.isHidden() {
			fields.Set(t.attributes["name"], t.attributes["value"])
		}
	}
	return fields
}
