package main

// DELETE THIS FILE in your own application.

import (
	"context"
	"crypto/rand"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
	"github.com/pixyauth/pixy/examples/devprovider"
)

// addToyCustomers adds two customers, and starts their providers. It starts a
// third provider, for a customer that you add yourself.
func addToyCustomers(ctx context.Context, config *core.Config, table *customers) error {
	// The toy providers are on loopback. Without this, a provider that a customer
	// chooses must have a public address and port 443, so that no customer can use
	// this application to reach what is beside it. Never set it in production.
	config.Lookup.AnyAddress = true

	for _, name := range []string{"acme", "globex"} {
		secret := rand.Text()
		issuer, err := startToyProvider(name+"-client", secret)
		if err != nil {
			return err
		}
		c := customer{Name: name, Issuer: issuer, ClientID: name + "-client", Domains: name + ".test"}
		if err := table.add(ctx, c, secret); err != nil {
			return err
		}
	}
	issuer, err := startToyProvider("toy-client", "toy-secret")
	if err != nil {
		return err
	}
	log.Printf("the providers of acme and globex accept any name; here is one more, for a customer that you add: issuer %s, client ID toy-client, secret toy-secret", issuer)
	return nil
}

// startToyProvider starts a provider on loopback, with one client. Logins may
// return to every URL on *.localhost.
func startToyProvider(clientID, secret string) (issuer string, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	issuer = "http://" + listener.Addr().String()
	provider := devprovider.Server{Issuer: issuer, Clients: []logintest.Client{{ID: clientID, Secret: secret}}}
	server := &http.Server{Handler: provider.Handler(), ReadHeaderTimeout: 10 * time.Second}
	go func() { log.Fatal("toy provider: ", server.Serve(listener)) }()
	return issuer, nil
}
