package core

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/pixyauth/pixy/core/internal/provider"
)

// completeHosts checks Hosts. completePaths has checked RedirectURL.
func (c *Config) completeHosts(faults *faults) {
	h := &c.Hosts
	h.Names = slices.Clone(h.Names)
	u, err := url.Parse(c.RedirectURL)
	if err != nil || u.Hostname() == "" || !h.several() && h.SharedDomain == "" {
		return
	}
	own := strings.TrimPrefix(originOf(u), u.Scheme+"://")
	if name, ok := hostName(own, u.Scheme); !ok || name != own {
		faults.add("RedirectURL has a host that no browser sends as it is, so Hosts cannot compare it; give a name without a final dot, or an address, as browsers show it")
		return
	}
	known := map[string]string{own: "of RedirectURL"}
	byName := map[string]string{withoutPort(own): "RedirectURL"}
	for i, name := range h.Names {
		field := fmt.Sprintf("Hosts.Names[%d]", i)
		if clean, ok := hostName(name, u.Scheme); !ok || clean != name {
			faults.add("%s is not a host as browsers send it; give one such as acme.example.com, in lower case and ASCII (xn--), without scheme, path, user name, wildcard, default port or final dot", field)
			continue
		}
		bare := withoutPort(name)
		switch {
		case known[name] != "":
			faults.add("%s is the host %s already; remove it", field, known[name])
		case byName[bare] != "":
			faults.add("%s differs from the host of %s in its port only, and cookies ignore ports, so each would log the other's users out; give it another name", field, byName[bare])
		case u.Scheme == "http" && !c.InsecureHTTP && !provider.IsLocal(bare):
			faults.add("%s would be on plain http, like RedirectURL; give a host such as acme.localhost:8080, or set InsecureHTTP for a private network, or use https", field)
		}
		known[name], byName[bare] = "of "+field, field
	}
	c.checkSharedDomain(own, faults)
}

// checkSharedDomain checks that cookies of Hosts.SharedDomain can reach all hosts.
func (c *Config) checkSharedDomain(own string, faults *faults) {
	h := &c.Hosts
	domain := h.SharedDomain
	if domain == "" {
		return
	}
	clean, ok := hostName(domain, "")
	switch {
	case !h.several():
		faults.add("Hosts.SharedDomain is set, and there is one host; give Hosts.Names or Hosts.Approve, or leave SharedDomain empty")
	case !ok || clean != domain || strings.ContainsAny(domain, ":[") || net.ParseIP(domain) != nil:
		faults.add("Hosts.SharedDomain is not a domain; give one such as example.com, in lower case and ASCII (xn--), without scheme, port, wildcard or dots at the ends")
	case !strings.Contains(domain, "."):
		faults.add("Hosts.SharedDomain is a single label, and browsers refuse cookies for it; give a domain of your own such as example.com, or for development app.localhost")
	case !isBelow(own, domain):
		faults.add("Hosts.SharedDomain is not the domain of RedirectURL's host; give one that RedirectURL is in, or leave it empty")
	default:
		for i, name := range h.Names {
			if _, ok := hostName(name, ""); ok && !isBelow(name, domain) {
				faults.add("Hosts.Names[%d] is not in Hosts.SharedDomain; remove it, or leave SharedDomain empty", i)
			}
		}
	}
}
