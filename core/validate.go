package core

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/pixyauth/pixy/core/internal/provider"
	"github.com/pixyauth/pixy/core/internal/seal"
)

// withDefaults checks c and sets the defaults of zero fields. It reports all faults at
// once, each with the field and the remedy. With SkipFaultyProviders, the faults of single
// providers are in skipped, and c continues without these providers.
func (c Config) withDefaults() (_ Config, skipped []error, _ error) {
	var faults faults
	c.Providers = slices.Clone(c.Providers)
	if len(c.Providers) == 0 && !c.SkipFaultyProviders && c.Lookup.Find == nil {
		faults.add("Providers is empty; give at least one, or set Lookup.Find, or set SkipFaultyProviders to start without")
	}
	own := c.completeProviders()
	c.Sessions.CookieName = cmp.Or(c.Sessions.CookieName, cookieNameFor(c.BasePath))
	if !validName(c.Sessions.CookieName) || len(c.Sessions.CookieName) > 32 || c.Sessions.CookieName[0] == '_' || strings.Contains(c.Sessions.CookieName, "-") {
		faults.add("Sessions.CookieName cannot begin the name of a cookie; give at most 32 letters, digits or _, not beginning with _")
	}
	c.checkKeys(&faults)
	c.completeLookup(&faults)
	c.checkOwn(&faults)
	c.completePaths(own, &faults)
	c.completeHosts(&faults)
	if c.Sessions.Lifetime < 0 {
		faults.add("Sessions.Lifetime is negative; leave it zero for %s", defaultSessionLifetime)
	} else if c.Sessions.Lifetime == 0 {
		c.Sessions.Lifetime = defaultSessionLifetime
	} else if c.Sessions.Lifetime < time.Second {
		faults.add("Sessions.Lifetime is %s; give a second or more, because cookies count whole seconds", c.Sessions.Lifetime)
	}
	if c.Sessions.Idle < 0 || 0 < c.Sessions.Idle && c.Sessions.Idle < time.Second {
		faults.add("Sessions.Idle is %s; give a second or more, or zero for no limit", c.Sessions.Idle)
	}
	c.Tokens.Lifetime = cmp.Or(c.Tokens.Lifetime, defaultTokenLifetime)
	if c.Tokens.Lifetime < time.Second {
		faults.add("Tokens.Lifetime is %s; give a second or more, or leave it zero for %s", c.Tokens.Lifetime, defaultTokenLifetime)
	}
	c.Sessions.Claims = slices.Clone(c.Sessions.Claims)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.SkipFaultyProviders {
		skipped = c.leaveOut(own)
		own = nil
	}
	return c, skipped, errors.Join(slices.Concat(append(own, faults)...)...)
}

// faults are the mistakes in a Config.
type faults []error

func (f *faults) add(format string, args ...any) {
	*f = append(*f, fmt.Errorf("pixy: Config."+format, args...))
}

// checkPlainHTTP rejects a provider on plain http for an application on https, unless
// InsecureHTTP is set. Loopback is for development: in production, any program that
// listens on that port would get the codes.
func (c *Config) checkPlainHTTP(own []faults) {
	if isPlainHTTP(c.RedirectURL) {
		return
	}
	for i, p := range c.Providers {
		for _, place := range p.places() {
			if !p.InsecureHTTP && isPlainHTTP(place.url) && provider.CheckEndpoint(place.url, provider.LoopbackHTTP) == nil {
				own[i].add("Providers[%d].%s is plain http, and RedirectURL is not; use https for the provider, or, for development, http://localhost or http://127.0.0.1 for both (or set the provider's InsecureHTTP, for a private network)", i, place.field)
			}
		}
	}
}

// warnOfPlainHTTP logs what InsecureHTTP allows, if it makes a difference.
func (c *Config) warnOfPlainHTTP() {
	if u, err := url.Parse(c.RedirectURL); err == nil && u.Scheme == "http" && !provider.IsLocal(u.Hostname()) {
		c.Logger.Warn("pixy: InsecureHTTP: the application is on plain http, so anyone on the network can read codes and cookies, and take over sessions",
			"redirect_url", c.RedirectURL)
	}
	for i := range c.Providers {
		c.warnOfPlainProvider(&c.Providers[i])
	}
}

func (c *Config) warnOfPlainProvider(p *Provider) {
	if p.plainHTTP(c.RedirectURL) == provider.AnyPlainHTTP {
		c.Logger.Warn("pixy: InsecureHTTP: the provider is on plain http, so anyone on the network can read codes, tokens and the client secret, and log in as any user",
			"provider", p.Name, "issuer", p.Issuer)
	}
}

// plainHTTP returns which endpoints of the metadata may be on plain http: none, unless a
// URL of the configuration is.
func (p *Provider) plainHTTP(redirectURL string) provider.PlainHTTP {
	allowed := provider.NoPlainHTTP
	for _, place := range p.places() {
		if u, err := url.Parse(place.url); err == nil && u.Scheme == "http" {
			allowed = max(allowed, provider.LoopbackHTTP)
			if !provider.IsLocal(u.Hostname()) || !isPlainHTTP(redirectURL) {
				return provider.AnyPlainHTTP // New has found that InsecureHTTP is set
			}
		}
	}
	return allowed
}

func isPlainHTTP(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Scheme == "http"
}

func validName(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(c rune) bool {
		return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_')
	})
}

func (c *Config) checkKeys(faults *faults) {
	check := func(name string, key []byte) {
		switch {
		case len(key) == 0:
			faults.add("%s is empty; is its variable set? Give %d or more random bytes, for example from `openssl rand -base64 32`", name, seal.MinKeyBytes)
		case len(key) < seal.MinKeyBytes:
			faults.add("%s has %d bytes; give %d or more random ones, for example from `openssl rand -base64 32`", name, len(key), seal.MinKeyBytes)
		case bytes.Count(key, key[:1]) == len(key): // such as a new slice that was never filled
			faults.add("%s is one byte, repeated; give random bytes, for example from `openssl rand -base64 32`", name)
		}
	}
	check("SessionKey", c.SessionKey)
	for i, key := range c.Sessions.OldKeys {
		check(fmt.Sprintf("Sessions.OldKeys[%d]", i), key)
	}
}

func (c *Config) completePaths(own []faults, faults *faults) {
	u, err := url.Parse(c.RedirectURL)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		faults.add("RedirectURL is not an absolute https URL; give the registered one, such as https://app.example.com/auth/callback")
		return
	case provider.HasForeignHost(c.RedirectURL): // a redirect_uri is ASCII, and compared byte by byte
		faults.add("RedirectURL has a host that is not ASCII; give it in its xn-- form (punycode), as browsers send it, and register that")
	case u.Scheme == "http" && !provider.IsLocal(u.Hostname()) && !c.InsecureHTTP:
		faults.add("RedirectURL is plain http; use https (http is for localhost, *.localhost, 127.0.0.0/8 and ::1 only), or set InsecureHTTP for a private network")
	case u.User != nil, u.RawQuery != "", u.ForceQuery, strings.Contains(c.RedirectURL, "#"):
		faults.add("RedirectURL has a user name, query or fragment; remove it (RFC 6749 section 3.1.2)")
	}
	c.checkBasePath(u.Path, faults)
	beside := path.Dir(path.Clean("/" + u.Path))
	c.Pages.LoginPath = cmp.Or(c.Pages.LoginPath, path.Join(beside, "login"))
	c.Logout.Path = cmp.Or(c.Logout.Path, path.Join(beside, "logout"))
	c.Pages.Home = cmp.Or(c.Pages.Home, c.BasePath+home)
	if !c.hasLogout() { // and so no page of ours
		c.Logout.After = cmp.Or(c.Logout.After, c.Pages.Home)
	}
	checkRoute(faults, "RedirectURL's path", u.EscapedPath(), "/auth/callback")
	checkRoute(faults, "Pages.LoginPath", c.Pages.LoginPath, "/auth/login")
	checkRoute(faults, "Logout.Path", c.Logout.Path, "/auth/logout")
	routes := append([]string{c.Pages.LoginPath, c.Logout.Path, u.Path}, c.completeProviderLogout(beside, faults)...)
	routes = append(routes, c.checkKeysPath(faults)...)
	if after, ok := safeReturnTo(c.Logout.After); ok && under(after, c.BasePath) {
		c.Logout.After = after
	} else if c.Logout.After != "" {
		faults.add("Logout.After is not a path of this application%s; give one such as %s/goodbye", c.underBasePath(), c.BasePath)
	}
	for _, route := range routes[:len(routes):len(routes)] {
		if stripped, ok := strings.CutPrefix(route, c.BasePath); ok && stripped != route { // both are mounted
			routes = append(routes, stripped)
		}
	}
	callbacks := c.checkCallbacks(routes, own)
	if home, ok := safeReturnTo(c.Pages.Home); ok && under(home, c.BasePath) && !slices.Contains(append(callbacks, routes...), pathOf(home)) && !c.isBelowRoute(pathOf(home)) {
		c.Pages.Home = home
	} else {
		faults.add("Pages.Home is not a page of this application%s; give the path of one, such as %s/start, and not a route of the login", c.underBasePath(), c.BasePath)
	}
	if name := c.Pages.AppName; name != "" && !isLabel(name) {
		faults.add("Pages.AppName cannot be shown; give at most %d printable characters, without spaces at the ends, or leave it empty", maxLabel)
	}
	c.completeSignIn(append(callbacks, routes...), faults)
	slices.Sort(routes)
	if len(slices.Compact(routes)) < len(routes) {
		faults.add("Pages.LoginPath, Logout.Path, Logout.BackChannelPath, Logout.FrontChannelPath, KeysPath and RedirectURL's path must be different paths, and two of them are equal; change one")
	}
}

// completeSignIn checks the application's own sign-in page. It has no route of ours, so
// routers may have any path there.
func (c *Config) completeSignIn(routes []string, faults *faults) {
	given := c.Pages.SignInPath
	if given == "" {
		return
	}
	page, ok := safeReturnTo(given)
	if !ok || strings.ContainsAny(given, "?#") || !under(page, c.BasePath) || slices.Contains(routes, strings.TrimSuffix(pathOf(page), "/")) || c.isBelowRoute(strings.TrimSuffix(pathOf(page), "/")) {
		faults.add("Pages.SignInPath is not a page of this application%s; give the path of one, such as %s/signin, without a query, and not a route of the login", c.underBasePath(), c.BasePath)
		return
	}
	c.Pages.SignInPath = page
}

// completeProviderLogout returns the routes of the logouts that a provider starts.
// There are none without Revocations or Own.EndByProvider.
func (c *Config) completeProviderLogout(beside string, faults *faults) (routes []string) {
	for _, route := range [...]struct {
		name, standard string
		path           *string
	}{
		{"Logout.BackChannelPath", "backchannel-logout", &c.Logout.BackChannelPath},
		{"Logout.FrontChannelPath", "frontchannel-logout", &c.Logout.FrontChannelPath},
	} {
		if !c.endsByProvider() {
			if *route.path != "" {
				faults.add("%s needs Logout.Revocations, or Sessions.Own.EndByProvider, and neither is set; set one, or leave %[1]s empty", route.name)
			}
			continue
		}
		*route.path = cmp.Or(*route.path, path.Join(beside, route.standard))
		checkRoute(faults, route.name, *route.path, "/auth/"+route.standard)
		routes = append(routes, *route.path)
	}
	return routes
}

// checkRoute accepts paths that all routers, and the Path attribute of a cookie, take
// literally.
func checkRoute(faults *faults, name, p, such string) {
	if !isPlainPath(p) {
		faults.add("%s cannot be a route; give a plain path such as %s, without a final slash, escapes or wildcards", name, such)
	}
}

func isPlainPath(p string) bool {
	return len(p) >= 2 && path.Clean(p) == p && p[0] == '/' && !strings.ContainsAny(p, `{}:*%?#\;, `) && provider.IsPrintable(p)
}
