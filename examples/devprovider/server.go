package devprovider

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
)

// A Server is the provider as a program of its own, for any application on this
// machine.
type Server struct {
	Issuer  string
	Users   []logintest.User
	Clients []logintest.Client // their redirect URIs are ignored

	// RedirectURIs are where logins and logouts may return to. Empty: every http
	// or https URL on loopback, localhost or *.localhost.
	RedirectURIs []string

	// InsecureAnyHost answers requests for every Host. False: only those for
	// Issuer's host and loopback, so that no other site reaches the provider
	// under a name of its own.
	InsecureAnyHost bool
}

// Handler serves the provider, and at its root a page that says how to use it.
func (s Server) Handler() http.Handler {
	clients := make([]logintest.Client, 0, len(s.Clients))
	for _, client := range s.Clients {
		client.RedirectURIs, client.PostLogoutRedirectURIs = s.RedirectURIs, s.RedirectURIs
		if len(s.RedirectURIs) == 0 {
			client.AllowURI = onLoopback
		}
		clients = append(clients, client)
	}
	provider := NewProvider(s.Issuer, s.Users, clients...)
	provider.Outbound = &http.Client{Timeout: 10 * time.Second} // reads jwks_uri, and notifies of logouts
	issuer, _ := url.Parse(s.Issuer)                            // a bad one has no host, and no path
	if issuer == nil {
		issuer = new(url.URL)
	}
	root := strings.TrimSuffix(issuer.Path, "/") + "/"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !s.InsecureAnyHost && r.Host != issuer.Host && !loopback(hostname(r.Host)):
			showMessage(w, http.StatusMisdirectedRequest, "Wrong host", "<p>This provider answers requests for its own host only.</p>")
		case r.URL.Path == root || r.URL.Path == "/":
			s.home(w)
		default:
			provider.ServeHTTP(w, r)
		}
	})
}

func (s Server) home(w http.ResponseWriter) {
	setups := make([]string, 0, len(s.Clients))
	for _, client := range s.Clients {
		setups = append(setups, s.Setup(client))
	}
	show(w, http.StatusOK, "home", map[string]any{
		"Setups": setups, "RedirectURIs": s.RedirectURIs, "Users": len(s.Users),
		"Metadata": strings.TrimSuffix(s.Issuer, "/") + string(logintest.Discovery),
	})
}

// Setup returns the fields of the core.Provider of an application.
func (s Server) Setup(client logintest.Client) string {
	setup := fmt.Sprintf("Issuer:       %q,\nClientID:     %q,", s.Issuer, client.ID)
	if client.Secret != "" {
		setup += fmt.Sprintf("\nClientSecret: %q,", client.Secret)
	}
	return setup
}

// onLoopback reports whether a URL is on this machine.
func onLoopback(uri string) bool {
	u, err := url.Parse(uri)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.User == nil && u.Fragment == "" && loopback(u.Hostname())
}

// loopback reports whether a host is this machine (RFC 6761 section 6.3).
func loopback(host string) bool {
	ip := net.ParseIP(host)
	host = strings.ToLower(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// hostname returns a host without its port.
func hostname(host string) string {
	return (&url.URL{Host: host}).Hostname()
}
