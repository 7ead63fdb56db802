package replicas_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

// A row is a customer in the table that all replicas read.
type row struct{ Issuer, ClientID, ClientSecret string }

// A customer has a provider, which a test may replace.
type customer struct {
	server  *httptest.Server
	handler atomic.Pointer[http.Handler]
	row     row
}

func newCustomer(t *testing.T, p *program, name, secret string) *customer {
	t.Helper()
	c := new(customer)
	c.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*c.handler.Load()).ServeHTTP(w, r) }))
	t.Cleanup(c.server.Close)
	c.issue(p, name, secret)
	return c
}

// issue gives the customer a new provider at its address, with new keys.
func (c *customer) issue(p *program, name, secret string) *logintest.Provider {
	provider := logintest.NewProvider(c.server.URL, logintest.Client{ID: client, Secret: secret, RedirectURIs: []string{p.url + "/auth/callback/" + name}})
	provider.Authenticate = byCookie
	provider.Misbehave(logintest.Faults{Token: shortLived})
	c.serve(provider)
	c.row = row{c.server.URL, client, secret}
	return provider
}

func (c *customer) serve(handler http.Handler) { c.handler.Store(&handler) }

// One customer's provider changes in every way while users of two others log in, and have
// their tokens refreshed. None of them notices.
func TestCustomersChangeUnderTraffic(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "customers.json")
	table := make(map[string]row)
	write := func() {
		t.Helper()
		text, err := json.Marshal(table)
		if err == nil {
			err = os.WriteFile(file+".new", text, 0o600)
		}
		if err == nil {
			err = os.Rename(file+".new", file)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write()
	p := start(t, "CUSTOMERS="+file, "CUSTOMERS_ANYWHERE=1")
	at := func(name string) string { return p.url + "/auth/login?provider=" + name + "&return_to=/me" }
	acme := newCustomer(t, p, "acme", "the first secret")
	others := []string{"globex", "initech"}
	for _, name := range others {
		table[name] = newCustomer(t, p, name, "secret of "+name).row
	}
	table["acme"] = acme.row
	write()
	traffic := p.trafficBy(t, 2, 2, func(user int) string { return at(others[user%2]) })

	logsIn := func(what string, want bool) {
		t.Helper()
		for range 3 { // at each replica
			page := open(t, p.person("wile"), at("acme"))
			if got := page.Status == 200 && page.URL == p.url+"/me"; got != want {
				t.Errorf("%s: a login ends with %d at %s, want a session: %t", what, page.Status, page.URL, want)
			}
		}
		traffic.rounds(t, 1)
	}
	change := func() { table["acme"] = acme.row; write() }
	logsIn("at the beginning", true)

	acme.issue(p, "acme", "the second secret")
	change()
	logsIn("with a new secret and new keys", true)

	delete(table, "acme")
	write()
	logsIn("removed", false)
	change()
	logsIn("added back", true)

	provider := acme.issue(p, "acme", "the second secret")
	logsIn("with new keys", true)
	provider.RotateKeys()
	logsIn("with new keys again", true)

	released := make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	t.Cleanup(release)
	former := acme
	acme = newCustomer(t, p, "acme", "the third secret")
	working := *acme.handler.Load()
	acme.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-released
		working.ServeHTTP(w, r)
	}))
	change()
	former.serve(http.NotFoundHandler())
	var waiting sync.WaitGroup
	for range 6 {
		browser := p.person("wile")
		waiting.Go(func() { _, _ = browser.Visit(at("acme")) })
	}
	traffic.rounds(t, 2) // while the new provider hangs
	release()
	waiting.Wait()
	logsIn("at another issuer", true)
	acme.serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }))
	logsIn("down", false)
	traffic.stop(t)
}
