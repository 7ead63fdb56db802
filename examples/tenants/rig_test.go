package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

const (
	password = "the administrator's password"
	mainSite = "https://app.example.test"
)

func site(customer string) string { return "https://" + customer + ".example.test" }

// A rig is the application with the providers of its customers, all in memory.
type rig struct {
	*testing.T
	*app
	network *network
}

// A network has what answers requests to an origin.
type network struct {
	mu       sync.Mutex
	handlers map[string]http.Handler
}

func (n *network) serve(origin string, handler http.Handler) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.handlers[origin] = handler
}

// RoundTrip passes a request to the handler of its origin.
func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	origin := r.URL.Scheme + "://" + r.URL.Host
	client := logintest.InMemory(map[string]http.Handler{origin: n.handlers[origin]})
	n.mu.Unlock()
	return client.Transport.RoundTrip(r)
}

// newRig starts the application with the customers acme and globex.
func newRig(t *testing.T) *rig {
	t.Helper()
	net := &network{handlers: make(map[string]http.Handler)}
	r := &rig{T: t, app: start(t, &http.Client{Transport: net}), network: net}
	for _, name := range []string{"acme", "globex"} {
		r.startProvider(name, "hidden-"+name)
		if err := r.customers.add(t.Context(), r.customerOf(name), "hidden-"+name); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// start starts the application without customers.
func start(t *testing.T, client *http.Client) *app {
	t.Helper()
	table, err := openCustomers(t.Context(), filepath.Join(t.TempDir(), "db"), []byte("a database key of thirty-two bytes or more"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = table.db.Close() })
	a, err := newApp(core.Config{
		Lookup:      core.LookupConfig{AnyAddress: true}, // the client is in memory
		RedirectURL: mainSite + "/auth/callback",
		SessionKey:  []byte("a session key of thirty-two bytes or more"),
		Logout:      core.LogoutConfig{Revocations: new(core.MemoryRevocations)},
		HTTPClient:  client,
		Logger:      slog.New(slog.DiscardHandler),
	}, table, password)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (r *rig) customerOf(name string) customer {
	return customer{Name: name, Issuer: "https://id." + name + ".test", ClientID: "app", Domains: name + ".test"}
}

// startProvider starts a customer's provider, or replaces it. Its user Ada has
// the same subject as that of every other provider.
func (r *rig) startProvider(name, secret string) *logintest.Provider {
	provider := logintest.NewProvider(r.customerOf(name).Issuer, logintest.Client{
		ID: "app", Secret: secret,
		RedirectURIs:           []string{mainSite + "/auth/callback/" + name, site(name) + "/auth/callback/" + name},
		PostLogoutRedirectURIs: []string{mainSite + "/auth/logout", site(name) + "/auth/logout"},
	})
	provider.User = logintest.User{Subject: "ada", Claims: map[string]any{"name": "Ada of " + name, "email": "ada@" + name + ".test"}}
	r.network.serve(provider.Issuer(), provider)
	return provider
}

func (r *rig) newBrowser() *logintest.Browser {
	browser := logintest.NewBrowser()
	browser.Transport = r.network
	for _, host := range []string{"app", "acme", "globex", "initech", "unknown"} {
		browser.Serve(site(host), r.app)
	}
	return browser
}

// administrator returns a browser that knows the password.
func (r *rig) administrator() *logintest.Browser {
	browser := r.newBrowser()
	request := &http.Request{Header: make(http.Header)}
	request.SetBasicAuth("", password)
	browser.Header = request.Header
	return browser
}

func (r *rig) get(browser *logintest.Browser, address string) *logintest.Page {
	r.Helper()
	page, err := browser.Get(address)
	if err != nil {
		r.Fatal(err)
	}
	return page
}

func (r *rig) post(browser *logintest.Browser, address string, form url.Values) *logintest.Page {
	r.Helper()
	page, err := browser.Post(address, form)
	if err != nil {
		r.Fatal(err)
	}
	return page
}

// logIn logs in on a customer's site.
func (r *rig) logIn(browser *logintest.Browser, name string) {
	r.Helper()
	page := r.get(browser, site(name)+"/")
	if want := "Hello, Ada of " + name; page.Status != http.StatusOK || page.URL != site(name)+"/" || !strings.Contains(string(page.Body), want) {
		r.Fatalf("the login at %s ends with %d at %s: %s", name, page.Status, page.URL, page.Body)
	}
}

// userAt returns what /me says to a program: provider and subject, or nothing to
// an anonymous request.
func (r *rig) userAt(browser *logintest.Browser, origin string) string {
	r.Helper()
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, origin+"/me", nil)
	if err != nil {
		r.Fatal(err)
	}
	request.Header.Set("Accept", "application/json")
	page, err := browser.Do(request)
	if err != nil {
		r.Fatal(err)
	}
	if page.Status == http.StatusUnauthorized {
		return ""
	}
	var user struct{ Provider, Subject string }
	if err := json.Unmarshal(page.Body, &user); err != nil || page.Status != http.StatusOK {
		r.Fatalf("/me of %s: got %d %s", origin, page.Status, page.Body)
	}
	return user.Provider + " " + user.Subject
}
