package core

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/pixyauth/pixy/core/internal/provider"
	"github.com/pixyauth/pixy/core/internal/seal"
	"github.com/pixyauth/pixy/core/internal/told"
)

// HostConfig lets one process serve logins on several hosts, such as one for each
// customer. The zero value means one host, that of [Config.RedirectURL], whatever the Host
// header says.
//
// With Names or Approve, the Host header says on which host a request is, so a proxy must
// pass it on unchanged. X-Forwarded-Host and Forwarded are not read. Each host has its own
// callback: [Config.RedirectURL], or [Provider.RedirectURL], with the host replaced. Paths
// are the same on all hosts. Register the callback of each host.
// [Authenticator.Registrations] lists those of Names, and [Authenticator.RegistrationFor]
// takes the hosts of a customer.
//
// Sessions are good on their own host only, unless SharedDomain is set. They are sealed
// for it, so a copied cookie does not open on another host. A request on an unknown host
// gets status 421, host_unknown, from the routes of the login except KeysPath, and where
// a guard would redirect to the login. Nothing is derived from such a host. A guard does
// not check the host otherwise, because there are no sessions on an unknown host.
//
// Any user of any provider can log in on any host. To let customers log in on their own
// hosts only, compare [Login.Host] with [Login.Provider] in OnLogin.
type HostConfig struct {
	// Names are further hosts, as browsers send them in the Host header, such as
	// acme.example.com or acme.localhost:8080. The scheme is that of RedirectURL. A default
	// port is left out. Two hosts must differ in more than the port, which cookies ignore.
	// Another form is an error of [New]. Nil: there are none besides that of RedirectURL,
	// unless Approve is set.
	Names []string

	// Approve reports whether a host that is neither in Names nor that of RedirectURL
	// belongs to the application. The host has the form of Names, and need not exist. Look
	// it up, and do not compare suffixes: anyone can send any name. Approve is asked once
	// for each request of the login's routes except KeysPath, and before a guard redirects
	// to the login. It is not asked for a request that a guard lets through, so sessions on
	// a host that is no longer approved continue until they end.
	//
	// If it returns an error, the request fails with status 503, lookup_unavailable. Approve
	// must be safe for concurrent use. Nil: only the hosts of Names are approved.
	Approve func(ctx context.Context, host string) (bool, error)

	// SharedDomain shares sessions, their tokens and logouts among all hosts of a domain,
	// such as example.com for app.example.com and acme.example.com. All hosts must be this
	// domain or below it. The cookies have a Domain attribute, and the prefix __Secure-
	// instead of __Host-. Logins in progress still belong to one host.
	//
	// It costs safety. Every host below the domain gets the session's cookie, also one that
	// someone else controls, and can then act as the user on all hosts. Every such host can
	// also set the cookie: it can log a user out, or in as another user. So one host that is
	// taken over takes over all of them. Use it only if you control every host below the
	// domain.
	//
	// The domain needs two labels or more. Browsers refuse cookies for public suffixes,
	// such as com, co.uk and localhost; New knows only those of one label. For development,
	// use app.localhost. Empty: sessions are good on their own host only.
	SharedDomain string
}

// hosts know on which hosts browsers reach the application.
type hosts struct {
	own     string          // origin of RedirectURL
	scheme  string          // of all origins
	plain   bool            // plain http is for any host, not only for loopback
	several bool            // false: every request is on own, and values are sealed for no host
	names   map[string]bool // those known from the Config
	listed  []string        // the same, in order
	approve func(context.Context, string) (bool, error)
	domain  string // SharedDomain
	shared  string // what sessions of the domain are sealed for
}

// newHosts returns the hosts of a checked Config.
func newHosts(c *Config, redirectURL *url.URL) *hosts {
	h := &hosts{own: originOf(redirectURL), scheme: redirectURL.Scheme, plain: c.InsecureHTTP, several: c.Hosts.several(), approve: c.Hosts.Approve}
	own := strings.TrimPrefix(h.own, h.scheme+"://")
	h.listed = append([]string{own}, c.Hosts.Names...)
	h.names = make(map[string]bool, len(h.listed))
	for _, name := range h.listed {
		h.names[name] = true
	}
	if h.domain = c.Hosts.SharedDomain; h.domain != "" {
		h.shared = "." + h.domain // no name of a host
	}
	return h
}

func (c *HostConfig) several() bool { return len(c.Names) > 0 || c.Approve != nil }

// originFor returns the origin at which the application is reached, or an error if that of
// r is not the application's. Everything that has a host in it is derived from the result.
func (h *hosts) originFor(r *http.Request) (string, error) {
	if !h.several {
		return h.own, nil
	}
	name, ok := h.nameOf(r)
	switch {
	case !ok || h.domain != "" && !isBelow(name, h.domain):
		return "", errUnknownHost(r)
	case h.names[name]:
	case !h.mayApprove(name):
		return "", errUnknownHost(r)
	default:
		switch approved, err := h.approve(r.Context(), name); {
		case err != nil:
			return "", fail(codeLookup, fmt.Errorf("Hosts.Approve: %w", err))
		case !approved:
			return "", errUnknownHost(r)
		}
	}
	return h.scheme + "://" + name, nil
}

// mayApprove reports whether Approve may be asked for a host.
func (h *hosts) mayApprove(name string) bool {
	return h.approve != nil && (h.domain == "" || isBelow(name, h.domain)) &&
		(h.scheme == "https" || h.plain || provider.IsLocal(withoutPort(name)))
}

// errUnknownHost is a request on a host that is not the application's. The host comes from
// outside, so it is logged quoted and shortened.
func errUnknownHost(r *http.Request) *Error {
	return fail(codeUnknownHost, fmt.Errorf("the request is on the host %q, which is neither that of RedirectURL nor one of Config.Hosts; if browsers open another one, the proxy must pass the Host header on", told.Clip(r.Host)))
}

// nameOf returns the host that r names, in the form of HostConfig.Names, or false if that
// is no name of a host. It approves nothing, and allocates nothing for a usual name.
func (h *hosts) nameOf(r *http.Request) (string, bool) { return hostName(r.Host, h.scheme) }

// originIn returns the origin that r names, whether it is the application's or not, or "".
// It is for comparisons with what the same request says.
func (h *hosts) originIn(r *http.Request) string {
	if !h.several {
		return h.own
	}
	name, ok := h.nameOf(r)
	if !ok {
		return ""
	}
	return h.scheme + "://" + name
}

// of returns what the values of a login on the host of r are sealed for. Without several
// hosts it is "".
func (h *hosts) of(r *http.Request) string {
	if !h.several {
		return ""
	}
	if name, ok := h.nameOf(r); ok {
		return name
	}
	return noHost
}

// noHost is what values are sealed for if the request names no host. No host has this
// name.
const noHost = "-"

// ofSession is of for sessions and what belongs to them, which all hosts of SharedDomain
// share.
func (h *hosts) ofSession(r *http.Request) string {
	name := h.of(r)
	if h.shared != "" && isBelow(name, h.domain) {
		return h.shared
	}
	return name
}

// A hostSeal seals and opens values for the host of a request. Those who have no other seal
// cannot forget the host.
type hostSeal func(*http.Request) seal.HostSealer

func (h *hosts) seal(s *seal.Sealer) hostSeal {
	return func(r *http.Request) seal.HostSealer { return s.For(h.of(r)) }
}

// sealSessions is seal for sessions and what belongs to them.
func (h *hosts) sealSessions(s *seal.Sealer) hostSeal {
	return func(r *http.Request) seal.HostSealer { return s.For(h.ofSession(r)) }
}

// redirectURL returns the callback of a provider on origin, from the configured one. That
// is kept byte by byte on its own host, as it is registered.
func (h *hosts) redirectURL(configured, origin string) string {
	if origin == h.own {
		return configured
	}
	u, err := url.Parse(configured)
	if err != nil {
		return configured // impossible: New has checked it
	}
	return origin + u.EscapedPath()
}

// bind sets in attempt what depends on the origin of a request.
func (h *hosts) bind(attempt *attempt, origin string, at *registration) {
	attempt.host = strings.TrimPrefix(origin, h.scheme+"://")
	attempt.redirectURL = h.redirectURL(at.config.RedirectURL, origin)
}

// origins returns the origins of names of hosts, in the form of HostConfig.Names, or, if
// there are none, of all hosts that are known from the Config. The first of these is that of
// RedirectURL. Approve is not asked.
func (h *hosts) origins(names ...string) (origins []string, err error) {
	if len(names) == 0 {
		return onEach(h.listed, func(name string) string { return h.scheme + "://" + name }), nil
	}
	for _, name := range names {
		if found, ok := hostName(name, h.scheme); !ok || !h.names[found] && !h.mayApprove(found) {
			err = errors.Join(err, fmt.Errorf("pixy: host %q cannot be one of the application; give it as browsers send it in the Host header, and set Config.Hosts", told.Clip(name)))
		} else {
			origins = append(origins, h.scheme+"://"+found)
		}
	}
	return origins, err
}

// onEach returns what on returns for each host or origin.
func onEach(where []string, on func(string) string) (urls []string) {
	for _, one := range where {
		urls = append(urls, on(one))
	}
	return urls
}

// checkOrigin returns an error if a page of another origin has sent r (see
// [http.CrossOriginProtection]). Another host of the application is another origin.
func checkOrigin(r *http.Request, origin string) error {
	protection := http.NewCrossOriginProtection()
	// Without this, Origin is compared with Host, which a proxy may rewrite.
	if err := protection.AddTrustedOrigin(origin); err != nil {
		return err
	}
	if err := protection.Check(r); err != nil {
		return fail(codeCrossOrigin, err)
	}
	return nil
}
