package adapters_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

const (
	acme   = "https://acme.example.test"   // listed
	globex = "https://globex.example.test" // approved
	evil   = "https://evil.example.test"   // neither
)

// onHosts registers the callbacks of all hosts.
func onHosts(client *logintest.Client) {
	for _, host := range []string{acme, globex, evil} {
		client.RedirectURIs = append(client.RedirectURIs, host+"/auth/callback")
		client.PostLogoutRedirectURIs = append(client.PostLogoutRedirectURIs, host+"/maybe")
	}
}

func severalHosts(c *core.Config) {
	c.Hosts.Names = []string{"acme.example.test"}
	c.Hosts.Approve = func(_ context.Context, host string) (bool, error) { return host == "globex.example.test", nil }
}

// newStageOnHosts is the application on three hosts and, for browsers, on a fourth.
func newStageOnHosts(t *testing.T, a *app, build func(*app, *core.Authenticator) http.Handler, change ...func(*core.Config)) *stage {
	t.Helper()
	s := newStageOf(t, onHosts, a, build, append([]func(*core.Config){severalHosts}, change...)...)
	for _, host := range []string{acme, globex, evil} {
		s.browser.Serve(host, s.handler)
	}
	return s
}

// at sends a request to a host.
func (s *stage) at(method, address string, header http.Header) *logintest.Page {
	s.t.Helper()
	r, err := http.NewRequest(method, address, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header = header
	return s.page(s.browser.Do(r))
}

// sessions tells on which hosts the browser has a session. The private handler runs on no
// other.
func (s *stage) sessions() (hosts string) {
	s.t.Helper()
	before := s.app.ran.Load()
	for _, host := range []string{origin, acme, globex, evil} {
		switch page := s.at("GET", host+"/private", script); {
		case page.Status == http.StatusOK:
			hosts += " " + strings.TrimSuffix(strings.TrimPrefix(host, "https://"), ".example.test")
			before++
		case page.Status != http.StatusUnauthorized || s.app.ran.Load() != before:
			s.t.Errorf("%s: got %d", host, page.Status)
		}
	}
	return strings.TrimSpace(hosts)
}

// One Authenticator and one set of routes serve three hosts. A session is good on its own
// host, and a logout on one host leaves the others.
func TestSeveralHosts(t *testing.T) {
	t.Parallel()
	for name, build := range frameworks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStageOnHosts(t, new(app), build)
			seen := ""
			for _, host := range []string{origin, acme, globex} {
				if page := s.page(s.browser.Get(host + "/private?a=1")); page.Status != http.StatusOK || string(page.Body) != "ada" || page.URL != host+"/private?a=1" {
					t.Fatalf("%s: got %d at %s: %s", host, page.Status, page.URL, page.Body)
				}
				seen += " " + strings.TrimSuffix(strings.TrimPrefix(host, "https://"), ".example.test")
				if got := s.sessions(); got != seen[1:] {
					t.Fatalf("after a login on %s: sessions on %q", host, got)
				}
			}
			for _, c := range s.browser.Cookies(globex) { // all of another customer's host
				s.browser.SetCookie(evil, &http.Cookie{Name: c.Name, Value: c.Value, Path: "/", Secure: true})
			}
			if page := s.at("POST", acme+"/auth/logout", http.Header{"Origin": {globex}, "Sec-Fetch-Site": {"same-site"}}); page.Status != http.StatusForbidden || s.sessions() != seen[1:] {
				t.Errorf("a logout from another host: got %d, sessions on %q", page.Status, s.sessions())
			}
			if page := s.page(s.browser.Post(acme+"/auth/logout", nil)); page.URL != acme+"/maybe" || string(page.Body) != "anonymous" || s.sessions() != "app globex" {
				t.Errorf("a logout: ends with %d at %s, sessions on %q", page.Status, page.URL, s.sessions())
			}
			if got := s.provider.Count(logintest.Discovery); got != 1 {
				t.Errorf("metadata was fetched %d times", got)
			}
		})
	}
}

// An unknown host gets 421 from the login and where a guard would redirect to it, also
// through the framework's own error handling.
func TestUnknownHost(t *testing.T) {
	t.Parallel()
	for name, build := range frameworks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStageOnHosts(t, new(app), build)
			var failures []error
			own := newStageOnHosts(t, &app{own: func(err error) { failures = append(failures, err) }}, build)
			for _, path := range []string{"/auth/login", "/auth/callback?code=x&state=y", "/auth/logout", "/private", "/vault"} {
				page := s.page(s.browser.Visit(evil + path))
				if page.Status != http.StatusMisdirectedRequest || page.Header.Get("Location") != "" || page.Header["Set-Cookie"] != nil || strings.Contains(string(page.Body), "evil") {
					t.Errorf("%s: got %d with %v", path, page.Status, page.Header)
				}
				failures = nil
				page = own.page(own.browser.Visit(evil + path))
				failure := new(core.Error)
				if page.Status != http.StatusTeapot || len(failures) != 1 || !errors.As(failures[0], &failure) || failure.Code != "host_unknown" || failure.Status != http.StatusMisdirectedRequest {
					t.Errorf("%s: got %d and %v", path, page.Status, failures)
				}
			}
			if got := len(s.provider.Requests()); s.app.ran.Load() != 0 || got != 0 {
				t.Errorf("the handler ran %d times, and the provider got %d requests", s.app.ran.Load(), got)
			}
		})
	}
}

// The same where a guard serves the login's routes itself.
func TestSeveralHostsBehindAGuard(t *testing.T) {
	t.Parallel()
	for name, build := range behindGuard {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStageOnHosts(t, new(app), build)
			for _, host := range []string{origin, acme, globex} {
				if page := s.page(s.browser.Get(host + "/any?a=1")); string(page.Body) != "ada" || page.URL != host+"/any?a=1" {
					t.Errorf("got %d at %s: %s", page.Status, page.URL, page.Body)
				}
			}
			for _, path := range []string{"/auth/login", "/auth/callback?code=x&state=y", "/auth/logout", "/any"} {
				if page := s.page(s.browser.Visit(evil + path)); page.Status != http.StatusMisdirectedRequest || page.Header["Set-Cookie"] != nil {
					t.Errorf("%s: got %d with %v", path, page.Status, page.Header)
				}
			}
			if got := s.provider.Count(logintest.Token); got != 3 {
				t.Errorf("%d token requests", got)
			}
		})
	}
}

// A session of the domain is good on all its hosts, and ends on all.
func TestSharedDomain(t *testing.T) {
	t.Parallel()
	for name, build := range frameworks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStageOnHosts(t, new(app), build, func(c *core.Config) { c.Hosts.SharedDomain = "example.test" })
			s.page(s.browser.Get(acme + "/private"))
			if got := s.sessions(); got != "app acme globex evil" {
				t.Fatalf("sessions on %q", got)
			}
			if page := s.page(s.browser.Visit(evil + "/auth/logout")); page.Status != http.StatusMisdirectedRequest {
				t.Errorf("a logout on an unknown host of the domain: got %d", page.Status)
			}
			if page := s.page(s.browser.Post(globex+"/auth/logout", nil)); page.URL != globex+"/maybe" || s.sessions() != "" {
				t.Errorf("ends with %d at %s, sessions on %q", page.Status, page.URL, s.sessions())
			}
		})
	}
}
