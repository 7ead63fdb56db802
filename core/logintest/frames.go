package logintest

import (
	"net/http"
	"net/url"
)

// Frames opens the iframes of a page, as a browser does that has opened the page
// (one of [Page.Hops]): those of another origin are sent only the cookies that have
// SameSite=None. It does not go where they lead, and it opens only frames that are
// in the page's HTML: frames that a script makes are not opened.
func (b *Browser) Frames(page Hop) ([]Hop, error) {
	base, err := url.Parse(page.URL)
	if err != nil {
		return nil, err
	}
	var opened []Hop
	for _, t := range tagsOf(page.Body) {
		if t.name != "iframe" {
			continue
		}
		to, err := base.Parse(t.attributes["src"])
		if err != nil {
			return nil, err
		}
		site := "same-origin"
		if originOf(to) != originOf(base) {
			site = "cross-site"
		}
		r, err := b.navigation(http.MethodGet, to.String(), nil, site)
		if err != nil {
			return nil, err
		}
		r.Header.Set("Sec-Fetch-Dest", "iframe")
		r.Header.Del("Sec-Fetch-User")
		frame, err := b.send(r, site == "cross-site")
		if err != nil {
			return nil, err
		}
		opened = append(opened, frame.Hop)
	}
	return opened, nil
}
