package logintest

import (
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// A step is one page load.
type step struct {
	method  string
	address string
	form    url.Values // nil: no form
	site    string     // Sec-Fetch-Site
	from    string     // origin of the page that navigates by itself; "": the user navigates
}

// typed returns the step of a user who types an address.
func typed(address string) step { return step{method: http.MethodGet, address: address, site: "none"} }

// keepsCookiesBack reports whether a browser sends only cookies with
// SameSite=None.
func (s step) keepsCookiesBack() bool { return s.site == "cross-site" && s.method != http.MethodGet }

// follow returns the next step after page, the result of s: a redirect, a form
// that submits itself, or a refresh without delay. It returns nil if there is
// none.
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
		return nil, fmt.Errorf("logintest: %s leads to an invalid URL: %w", s.address, err)
	}
	if originOf(to) != originOf(from) {
		next.site = "cross-site" // also for the redirects that follow
	}
	next.address = to.String()
	return next, nil
}

// leadsTo returns the address to which a response sends the browser, or "".
func (h *Hop) leadsTo() string {
	if location := h.Header.Get("Location"); location != "" {
		return location
	}
	if next := h.onward(); next != nil {
		return next.address
	}
	return ""
}

// onward returns the next step of an HTML page that navigates by itself, or
// nil. It does not run scripts, and treats every form on a page with .submit()
// as submitted.
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

// doors returns the links and forms of a page, as the steps of a user who follows them.
// A form has a step for each of its buttons with a name.
func (h *Hop) doors() []step {
	base, err := url.Parse(h.URL)
	if err != nil {
		return nil
	}
	var steps []step
	all := tagsOf(h.Body)
	for i, t := range all {
		switch {
		case t.name == "a" && t.attributes["href"] != "":
			if to, err := base.Parse(t.attributes["href"]); err == nil {
				steps = append(steps, step{method: http.MethodGet, address: to.String(), site: "same-origin"})
			}
		case t.name == "form":
			to, err := base.Parse(t.attributes["action"])
			if err != nil {
				continue
			}
			for _, fields := range submissions(all[i+1:]) {
				steps = append(steps, submit(t, *to, fields))
			}
		}
	}
	return steps
}

// submissions returns the values that the buttons of a form send.
func submissions(all []tag) []url.Values {
	hidden := fieldsOf(all)
	var each []url.Values
	for _, t := range all {
		if t.name == "/form" {
			break
		}
		if name := t.attributes["name"]; name != "" && (t.name == "button" || strings.EqualFold(t.attributes["type"], "submit")) {
			with := maps.Clone(hidden)
			with.Add(name, t.attributes["value"])
			each = append(each, with)
		}
	}
	if each == nil {
		return []url.Values{hidden}
	}
	return each
}

// submit returns the step that sends a form.
func submit(form tag, to url.URL, fields url.Values) step {
	if strings.EqualFold(form.attributes["method"], "post") {
		return step{method: http.MethodPost, address: to.String(), form: fields, site: "same-origin"}
	}
	to.RawQuery = fields.Encode()
	return step{method: http.MethodGet, address: to.String(), site: "same-origin"}
}

// links returns the addresses of a page's links and forms, as they are written.
func (h *Hop) links() []string {
	var addresses []string
	for _, t := range tagsOf(h.Body) {
		for _, name := range []string{"href", "action", "formaction"} {
			if address := t.attributes[name]; address != "" {
				addresses = append(addresses, address)
			}
		}
	}
	return addresses
}

var (
	tags       = regexp.MustCompile(`(?s)<(/?[a-zA-Z]+)((?:[^>"']|"[^"]*"|'[^']*')*)>`)
	attributes = regexp.MustCompile(`(?s)([a-zA-Z-]+)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))`)
	refresh    = regexp.MustCompile(`(?is)^\s*0\s*[;,]\s*url\s*=\s*(?:"([^"]*)|'([^']*)|([^"'].*))`)
)

// A tag is an HTML tag, with its name in lower case and with unescaped
// attributes.
type tag struct {
	name       string
	attributes map[string]string
}

func tagsOf(page []byte) []tag {
	var all []tag
	for _, found := range tags.FindAllStringSubmatch(string(page), -1) {
		t := tag{strings.ToLower(found[1]), make(map[string]string)}
		for _, a := range attributes.FindAllStringSubmatch(found[2], -1) {
			if name := strings.ToLower(a[1]); t.attributes[name] == "" { // the first value counts
				t.attributes[name] = html.UnescapeString(a[2] + a[3] + a[4])
			}
		}
		all = append(all, t)
	}
	return all
}

// fieldsOf returns the hidden fields up to the end of the form.
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

// hiddenFields returns the hidden fields of all forms on a page.
func hiddenFields(page []byte) url.Values {
	fields := make(url.Values)
	for _, t := range tagsOf(page) {
		if t.isHidden() {
			fields.Set(t.attributes["name"], t.attributes["value"])
		}
	}
	return fields
}
