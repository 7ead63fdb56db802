package core

import (
	"context"
	"net/http"
	"testing"
	"time"
)

// Guarded providers without a client of their own share one, with its connections.
func TestGuardedProvidersShareAClient(t *testing.T) {
	t.Parallel()
	config := goodConfig()
	config.HTTPClient = new(http.Client)
	config.Lookup.Find = func(context.Context, string) (*Provider, error) { return nil, nil }
	config, _, err := config.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	m := newRegistrar(&config, time.Now, nil)
	client := func(e EndpointConfig) *http.Client {
		client, err := m.clientFor(&e)
		if err != nil {
			t.Fatal(err)
		}
		return client
	}
	guarded, own := EndpointConfig{PublicOnly: true}, EndpointConfig{PublicOnly: true, HTTPClient: new(http.Client)}
	shared := client(guarded)
	if shared != client(guarded) {
		t.Error("two guarded providers have two clients")
	}
	if usual := client(EndpointConfig{}); usual == shared || usual != client(EndpointConfig{}) {
		t.Error("a guarded provider has the client of the others")
	}
	if client(own) == shared || client(EndpointConfig{HTTPClient: own.HTTPClient}) == client(EndpointConfig{}) {
		t.Error("a client of its own is not used")
	}
	p, err := config.completeLookedUp("acme", goodConfig().Providers[0])
	if err != nil || !p.Endpoints.PublicOnly || client(p.Endpoints) != shared {
		t.Errorf("a looked-up provider is not guarded: %+v %v", p.Endpoints, err)
	}
	config.Lookup.AnyAddress = true
	if p, err := config.completeLookedUp("acme", goodConfig().Providers[0]); err != nil || p.Endpoints.PublicOnly {
		t.Errorf("with AnyAddress, it is: %v", err)
	}
}
