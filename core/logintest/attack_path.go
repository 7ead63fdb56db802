package logintest

import (
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
)

// Attacks by spelling a path in another way.
var pathAttacks = []attack{
	{"private page by another spelling",
		"decide by the path that the router uses, decoded and clean, and guard every page that is not public, for every method",
		pageBySpelling},
}

// Attacks on an application that shares its origin with others, each below a
// path of its own.
var baseAttacks = []attack{
	{"page to return to outside of the application",
		"return after a login only to pages below its own path, because other applications on the host may redirect to any site",
		returnsOutside},
}

// commonlyPublic are paths that guards often exempt.
var commonlyPublic = []string{
	"/static", "/assets", "/public", "/css", "/js", "/images", "/favicon.ico", "/robots.txt", "/health", "/healthz", "/api", "/.well-known",
}

// pageBySpelling requests the private page without a session, by paths that look
// public to a guard which compares other bytes than the router. A router may
// redirect to the usual spelling.
func pageBySpelling(s *siege) {
	private := s.privateTexts()
	if len(private) == 0 {
		return
	}
	for _, spelled := range s.spellings() {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			s.staysPrivate(method, spelled, private)
		}
	}
	for _, method := range []string{http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions, "PROPFIND", "get"} {
		s.staysPrivate(method, s.target.Private, private)
	}
}

// staysPrivate requires that an anonymous request does not get the private page.
func (s *siege) staysPrivate(method, spelled string, private []string) {
	if _, err := url.Parse(s.origin + spelled); err != nil {
		return
	}
	for _, hop := range s.within(s.newBrowser(), step{method: method, address: s.origin + spelled, site: "none"}) {
		if leaks(hop.Body, private) {
			found("an anonymous %s of %s got content of %s", method, spelled, s.target.Private)
		}
	}
}

// spellings returns spellings of the private page's path that some routers
// resolve to it.
func (s *siege) spellings() []string {
	page, _, _ := strings.Cut(s.target.Private, "?")
	name := page[1:]
	all := []string{
		"/" + page, "/." + page, "/x/.." + page, "/%2e" + page, "//x/.." + page, "/%5c" + name, `/\` + name, "/%2f" + name,
		page + "/", page + "/.", page + "/x/..", page + "%2f", page + "%20", page + "%09", page + "%00", page + "%3f", page + "?", page + ";x=y",
		page + "/.css", page + "/x.css", page + ";.css", page + "?.css", page + "%3f.css", page + "%00.css",
		strings.ToUpper(page), "/" + percented(name),
	}
	for _, public := range s.publicPaths() {
		up, rest := s.wayUp(public, page)
		all = append(all,
			public+up+rest, "/"+public+up+rest, public+"/x/.."+up+rest, public+"/."+up+rest, strings.ToUpper(public)+up+rest,
			public+strings.ReplaceAll(up, "/", "%2f")+rest, public+up+"%2f"+rest[1:],
			public+strings.ReplaceAll(up, "..", "%2e%2e")+rest, public+strings.ReplaceAll(up, "..", "%252e%252e")+rest,
			public+strings.ReplaceAll(up, "/", `\`)+rest, public+strings.ReplaceAll(up, "/", "%5c")+rest, public+"/"+strings.ReplaceAll(up[1:], "/", "%5c")+"%5c"+rest[1:],
			public+strings.ReplaceAll(up, "..", "..;")+rest, public+strings.ReplaceAll(up, "/", "%252f")+rest,
			page+"?"+public+"/", page+";"+public+"/", page+"%3f"+public+"/", page+"%23"+public+"/",
		)
	}
	return all
}

// wayUp returns the way from a public path to a page: up, and down again. It does
// not leave the application's base, which a proxy may remove.
func (s *siege) wayUp(public, page string) (up, rest string) {
	if s.base != "" && strings.HasPrefix(public, s.base+"/") {
		public, page = strings.TrimPrefix(public, s.base), strings.TrimPrefix(page, s.base)
	}
	return strings.Repeat("/..", strings.Count(public, "/")), page
}

// publicPaths returns paths that are public, or may be, without a slash at their
// ends.
func (s *siege) publicPaths() []string {
	login, _, _ := strings.Cut(s.target.LoginPath, "?")
	var all []string
	for _, public := range append([]string{s.target.Public, login, path.Dir(login), s.callback.Path}, commonlyPublic...) {
		if slices.Contains(commonlyPublic, public) {
			public = s.base + public
		}
		if public = strings.TrimRight(public, "/"); public != "" && !slices.Contains(all, public) {
			all = append(all, public)
		}
	}
	return all
}

// percented encodes each letter of a path.
func percented(name string) string {
	const digits = "0123456789abcdef"
	var b strings.Builder
	for _, c := range []byte(name) {
		if c == '/' {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', digits[c>>4], digits[c&15]})
	}
	return b.String()
}

// findBase returns the path that all pages of the application have in common, if
// there is nothing outside of it. It returns "" if there is.
func (s *siege) findBase() string {
	base := path.Dir(s.callback.Path)
	for _, page := range []string{s.target.LoginPath, s.target.LogoutPath, s.target.Private} {
		page, _, _ = strings.Cut(page, "?")
		for base != "/" && !within(base, page) {
			base = path.Dir(base)
		}
	}
	if base == "/" || s.get(s.newBrowser(), s.at("/", nil), "none").Status != http.StatusNotFound {
		return ""
	}
	return base
}

// outside is a path of another application.
const outside = "/other-application"

func returnsOutside(s *siege) {
	for _, name := range s.heeded() {
		for _, to := range []string{
			outside, s.base + "/.." + outside, s.base + "/%2e%2e" + outside, s.base + "/..%2f" + outside[1:], s.base + "%2f.." + outside,
			s.base + `/..\` + outside[1:], s.base + "/..%5c" + outside[1:], s.base + "/x/../.." + outside, s.base + "-too" + outside, strings.ToUpper(s.base) + outside,
		} {
			l := s.try(s.newBrowser(), s.ada, returning(to, name))
			hops := l.hops
			if l.callback != nil {
				hops = s.finish(l)
			}
			for _, hop := range hops {
				if s.leavesBase(&hop) {
					found("%q as the page to return to sent the browser out of %s, to %s", to, s.base, hop.leadsTo())
				}
			}
		}
	}
}

// leavesBase reports whether a page of the application leads to a path outside of
// its base, as a browser or a server may read it.
func (s *siege) leavesBase(hop *Hop) bool {
	from, err := url.Parse(hop.URL)
	if err != nil || originOf(from) != s.origin {
		return false
	}
	to, err := from.Parse(hop.leadsTo())
	if err != nil || originOf(to) != s.origin || !strings.Contains(to.Path, outside[1:]) {
		return false
	}
	return !within(s.base, path.Clean(strings.ReplaceAll(to.Path, `\`, "/")))
}
