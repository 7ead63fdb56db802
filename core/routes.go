package core

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"

	"github.com/pixyauth/pixy/core/internal/told"
)

// RouteFor returns the login's route for r, and false if r is for a page of the
// application. It does not serve the route: call [Route.Handle]. A guard that does so
// before it authenticates needs no other place for the login's routes, and the handler
// behind it never sees them. The guards of the adapters do.
//
// The path must be exactly that of a route, with or without [Config.BasePath]. Where the
// route ends in {provider}, any one segment matches. A path with escapes is never one. For
// a route's path with another method, RouteFor returns a Route without Method, whose Handle
// returns an error with status 405. Route.Path has BasePath, even if r.URL.Path does not.
// RouteFor allocates nothing.
//
// Behind [http.StripPrefix], r.URL.Path is the rest of a path, which may be that of a
// route: /api/auth/logout behind StripPrefix("/api") is taken for the logout. Give such
// pages other paths, or guard outside of StripPrefix.
func (a *Authenticator) RouteFor(r *http.Request) (Route, bool) {
	path := r.URL.Path
	if !strings.HasPrefix(path, a.own.public) && !strings.HasPrefix(path, a.own.stripped) {
		return Route{}, false // almost every guarded request
	}
	if raw := r.URL.RawPath; raw != "" && raw != path {
		return Route{}, false
	}
	routes := a.own.find(path)
	for i := range routes {
		if routes[i].Method == r.Method || i == len(routes)-1 {
			return routes[i], true
		}
	}
	return Route{}, false
}

// ownRoutes finds the login's routes by path.
type ownRoutes struct {
	public, stripped string             // how all paths begin, with and without BasePath
	at               map[string][]Route // by path, with and without BasePath; the last one is for all other methods
	below            map[string][]Route // by the beginning of the path, for routes that end in anyProvider
}

// anyProvider is the last segment of a route for all looked-up providers. It matches one
// segment.
const anyProvider = "{provider}"

// find returns the routes at a path.
func (o *ownRoutes) find(path string) []Route {
	if routes := o.at[path]; routes != nil || o.below == nil {
		return routes
	}
	end := strings.LastIndexByte(path, '/') + 1
	if end == len(path) {
		return nil
	}
	return o.below[path[:end]]
}

// setRoutes sets the routes of a from those with BasePath.
func (a *Authenticator) setRoutes(public []Route) {
	a.routes, a.own = public, ownRoutes{public: public[0].Path, at: make(map[string][]Route)}
	for _, route := range public {
		a.own.public = commonPrefix(a.own.public, route.Path)
		a.own.at[route.Path] = append(a.own.at[route.Path], route)
	}
	for path, routes := range a.own.at {
		a.own.at[path] = append(routes, a.wrongMethod(routes))
	}
	base := a.config.BasePath
	defer a.own.index()
	if a.own.stripped = strings.TrimPrefix(a.own.public, base); base == "" {
		return
	}
	a.routes = make([]Route, 0, 2*len(public))
	for _, route := range public {
		path := strings.TrimPrefix(route.Path, base)
		a.own.at[path] = a.own.at[route.Path]
		a.routes = append(a.routes, Route{route.Method, path, route.Handle})
	}
	a.routes = append(a.routes, public...)
}

// index fills below from at.
func (o *ownRoutes) index() {
	for path, routes := range o.at {
		if beginning, ok := strings.CutSuffix(path, anyProvider); ok {
			if o.below == nil {
				o.below = make(map[string][]Route)
			}
			o.below[beginning] = routes
		}
	}
}

// wrongMethod returns the route for all methods that routes, which have one path, do not
// have.
func (a *Authenticator) wrongMethod(routes []Route) Route {
	methods := make([]string, len(routes))
	for i, route := range routes {
		methods[i] = route.Method
	}
	allowed := strings.Join(methods, ", ")
	return Route{Path: routes[0].Path, Handle: func(w http.ResponseWriter, r *http.Request) error {
		noStore(w)
		return a.report(w, r, errMethod(w, allowed))
	}}
}

func commonPrefix(one, two string) string {
	n := 0
	for n < min(len(one), len(two)) && one[n] == two[n] {
		n++
	}
	return one[:n]
}

// publicPath returns the path of r, with BasePath if it is that of a route.
func (a *Authenticator) publicPath(r *http.Request) string {
	route, ok := a.RouteFor(r)
	if !ok {
		return r.URL.Path
	}
	if beginning, ok := strings.CutSuffix(route.Path, anyProvider); ok {
		return beginning + lastSegment(r.URL.Path)
	}
	return route.Path
}

// nameIn returns the name of the provider that r is for, and false if the path of r is not
// that of a route for all looked-up providers. The name may be invalid.
func (a *Authenticator) nameIn(r *http.Request) (name string, ok bool) {
	route, ok := a.RouteFor(r)
	if !ok || !strings.HasSuffix(route.Path, anyProvider) {
		return "", false
	}
	return lastSegment(r.URL.Path), true
}

func lastSegment(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// isRoute reports whether a path, as a browser shows it, may lead to one of the login's
// routes, or to the application's own logout. A proxy may remove BasePath, or not.
func (a *Authenticator) isRoute(path string) bool {
	whole, stripped := a.own.find(path), a.own.find(strings.TrimPrefix(path, a.config.BasePath))
	return whole != nil || stripped != nil || path == a.config.Logout.Path
}

// misplaced returns an error if a router serves the login under a prefix other than
// BasePath. The callback would get 404 after the user has logged in.
func (a *Authenticator) misplaced(r *http.Request) error {
	asked := r.URL.Path
	if strings.HasPrefix(r.RequestURI, "/") { // includes a prefix that a router has removed
		asked, _, _ = strings.Cut(r.RequestURI, "?")
	}
	login := strings.TrimPrefix(a.config.Pages.LoginPath, a.config.BasePath)
	prefix, ok := strings.CutSuffix(asked, login)
	if !ok || prefix == a.config.BasePath || !strings.HasPrefix(prefix, "/") {
		return nil
	}
	failure := fail(codeInternal, fmt.Errorf(
		"a router serves the login's path %s under the prefix %q, so the callback would not be found; mount the routes without a prefix, "+
			"or set BasePath to the prefix that browsers see, and RedirectURL to the full URL of the callback", login, told.Clip(prefix)))
	failure.Public, failure.operator = cannotLogIn, true
	return failure
}

// circles reports whether r must not be redirected to the login, because it is for the
// sign-in page or one of the login's own routes. It would lead back to r without a session, or, from the page of
// the logout, log the user in again. The login's route is not such a route if there is
// one provider or none, because Challenge then redirects nobody to it.
func (a *Authenticator) circles(r *http.Request) bool {
	if a.isSignIn(pathOf(a.requestedURL(r))) {
		return true
	}
	route, ok := a.RouteFor(r)
	if !ok || route.Method != r.Method || route.Path == a.config.Logout.Path && r.Method == http.MethodPost {
		return false
	}
	return route.Path != a.config.Pages.LoginPath || len(a.registrations) > 1 || a.lookup != nil
}

func errGuarded(r *http.Request) *Error {
	return fail(codeGuarded, fmt.Errorf("a guard is in front of %s, which is Pages.SignInPath or a route of the login; "+
		"let anonymous requests see the sign-in page; mount the login's routes outside of the guard, or let the guard serve the route that RouteFor returns", r.URL.Path))
}

// isBelowRoute reports whether a path could be a route of a looked-up provider.
func (c *Config) isBelowRoute(p string) bool {
	if c.Lookup.Find == nil {
		return false
	}
	for _, route := range []string{urlPath(c.RedirectURL), c.Logout.BackChannelPath, c.Logout.FrontChannelPath, c.KeysPath} {
		if above := path.Dir(p); route != "" && (above == route || above == strings.TrimPrefix(route, c.BasePath)) {
			return true
		}
	}
	return false
}

// checkBasePath checks that BasePath is the beginning of all paths that are given. It
// clears a BasePath that cannot be, so that each mistake is reported once.
func (c *Config) checkBasePath(callback string, faults *faults) {
	base := c.BasePath
	switch {
	case base == "":
		return
	case !isPlainPath(base):
		faults.add("BasePath is not a plain path; give one such as /reader, without a final slash, escapes or wildcards, or leave it empty if the application has its whole host")
		c.BasePath = ""
		return
	case !strings.HasPrefix(callback, base+"/"):
		faults.add("RedirectURL has the path %s, which is not below BasePath %s; give the URL that browsers see, such as https://app.example.com%[2]s/auth/callback, or change BasePath", callback, base)
		c.BasePath = ""
		return
	}
	for name, given := range map[string]string{
		"Pages.LoginPath": c.Pages.LoginPath, "Logout.Path": c.Logout.Path,
		"Logout.BackChannelPath": c.Logout.BackChannelPath, "Logout.FrontChannelPath": c.Logout.FrontChannelPath,
		"KeysPath": c.KeysPath,
	} {
		if isPlainPath(given) && !strings.HasPrefix(given, base+"/") {
			faults.add("%s is not below BasePath %s; give it as browsers see it: %[2]s%[3]s", name, base, given)
		}
	}
}

// underBasePath completes the text of a fault.
func (c *Config) underBasePath() string {
	if c.BasePath == "" {
		return ""
	}
	return " under BasePath " + c.BasePath
}

// cookieNameFor returns the default of Sessions.CookieName. It differs for every BasePath,
// so that applications on one host do not log each other's users out.
//
// The Path attribute cannot separate them. The prefix __Host- demands Path=/ (RFC 6265bis
// section 4.1.3.2), and protects against other hosts of the domain. Path would protect
// against nothing: a script of one application can read the pages of the others.
func cookieNameFor(base string) string {
	const name, most = "pixy", 12
	if base == "" {
		return name
	}
	readable := strings.Map(func(c rune) rune {
		if c == '-' || !validName(string(c)) {
			return '_'
		}
		return c
	}, base[1:])
	if readable == base[1:] && len(readable) <= most && !strings.Contains(readable, "_") {
		return name + "_" + readable
	}
	sum := sha256.Sum256([]byte(base)) // /a/b, /a-b and /a_b look alike
	return name + "_" + readable[:min(len(readable), most)] + "_" + hex.EncodeToString(sum[:4])
}

// requestedURL returns the URL that the browser requested, without the host. It prefers
// RequestURI, because a router may have removed a prefix from r.URL. A proxy may have
// removed BasePath from both. Then requestedURL adds it.
func (a *Authenticator) requestedURL(r *http.Request) string {
	asked := r.RequestURI
	if !strings.HasPrefix(asked, "/") {
		asked = r.URL.RequestURI()
	}
	if under(asked, a.config.BasePath) {
		return asked
	}
	return a.config.BasePath + asked
}

// under reports whether a URL without host is base, a page below it, or one of these with
// a query or fragment. It compares the URL as it is written: a base has no escapes.
func under(u, base string) bool {
	rest, ok := strings.CutPrefix(u, base)
	return ok && (rest == "" || slices.Contains([]byte("/?#"), rest[0]))
}
