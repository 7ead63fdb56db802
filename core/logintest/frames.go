package logintest

import (
	"net/http"
	"net/url"
)

// Frames opens the iframes of a page that the browser has opened (one of
// [Page.Hops]). For frames of another origin it sends only cookies with
// SameSite=None. It does not follow redirects in frames. It opens only frames
// in the page's HTML, not frames that a script creates.
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
