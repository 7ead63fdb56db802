package core_test

import (
	"context"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A customerTable is what Lookup.Find reads. A test may change it between requests.
type customerTable map[string]*core.Provider

// lookUp makes a configuration look up its providers, in place of listing them.
func (t customerTable) lookUp(c *core.Config) {
	for _, p := range c.Providers {
		if p.Name == "" {
			p.Name = "acme"
		}
		t[p.Name] = &p
	}
	c.Providers = nil
	c.Lookup.AnyAddress = true // the providers are in memory
	c.Lookup.Find = func(_ context.Context, name string) (*core.Provider, error) { return t[name], nil }
}

// atCustomer registers the callback of a looked-up provider.
func atCustomer(client *logintest.Client) { client.RedirectURIs = []string{callbackURL + "/acme"} }

func TestALookedUpProviderLogsIn(t *testing.T) {
	t.Parallel()
	customers := customerTable{}
	g := newRigOf(t, atCustomer, customers.lookUp)
	page := g.get(origin + "/auth/login?provider=acme&return_to=/me")
	if want := "I am ada"; string(page.Body) != want {
		t.Fatalf("got %d %s at %s, want %q", page.Status, page.Body, page.URL, want)
	}
}
