// Package mount puts the login's routes into routers that may add a prefix.
package mount

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/pixyauth/pixy/core"
)

// Each calls add for each route of the login, spelled for Gin's and Echo's routers. add
// registers the route with a router, and returns the path at which the router serves it. If
// the router adds a prefix that is [core.Config.BasePath], a route is there once. Each
// panics, in the name of an adapter, if a route is not at its path.
func Each(adapter string, auth *core.Authenticator, add func(core.Route) (path string)) {
	mounted := make(map[string]bool)
	for _, route := range routes(auth) {
		if mounted[route.Method+route.Path] {
			continue
		}
		path := add(route)
		if public(auth, route.Method, path) != public(auth, route.Method, route.Path) {
			panic(misplaced(adapter, route.Path, path))
		}
		mounted[route.Method+path] = true
	}
}

// Below returns the login's routes below the prefix of a group, without the prefix, and
// spelled for Gin's and Echo's routers. It panics, in the name of an adapter, if a route is
// not there, neither with nor without [core.Config.BasePath].
func Below(adapter string, auth *core.Authenticator, prefix string) (below []core.Route) {
	prefix = strings.TrimSuffix(prefix, "/")
	there := make(map[string]bool)
	all := routes(auth)
	for _, route := range all {
		if path, ok := strings.CutPrefix(route.Path, prefix+"/"); ok {
			there[route.Method+public(auth, route.Method, route.Path)] = true
			route.Path = "/" + path
			below = append(below, route)
		}
	}
	for _, route := range all {
		if !there[route.Method+public(auth, route.Method, route.Path)] {
			panic(misplaced(adapter, route.Path, prefix+route.Path))
		}
	}
	return below
}

// routes returns the login's routes. A last segment {provider}, for all looked-up
// providers, is :provider in Gin's and Echo's routers.
func routes(auth *core.Authenticator) []core.Route {
	all := auth.Routes()
	for i, route := range all {
		if path, ok := strings.CutSuffix(route.Path, "/{provider}"); ok {
			all[i].Path = path + "/:provider"
		}
	}
	return all
}

// public returns the path, with BasePath, of the login's route at path, or an empty string.
func public(auth *core.Authenticator, method, path string) string {
	route, _ := auth.RouteFor(&http.Request{Method: method, URL: &url.URL{Path: path}})
	return route.Path
}

func misplaced(adapter, path, moved string) string {
	return fmt.Sprintf("%s: Mount: the group changes the login's path %q to %q; pass the router itself, or set BasePath "+
		"to the prefix that browsers see, and RedirectURL with the full path of the callback", adapter, path, moved)
}
