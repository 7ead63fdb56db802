// Command tenants is a small business application with many customers. Each
// customer has an OpenID provider and a host of its own, in a SQLite table that an
// administrator changes while the application runs. Run it, open the URLs that it
// prints, and copy what you need.
package main

import (
	"context"
	"crypto/rand"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/pixyauth/pixy/core"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		log.Fatal(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
}

// run serves the application until ctx ends.
func run(ctx context.Context) error {
	addr := env("ADDR", "127.0.0.1:8080")
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return errors.New("bad ADDR: " + err.Error())
	}
	config := core.Config{
		RedirectURL: env("OIDC_REDIRECT_URL", "http://"+mainLabel+".localhost:"+port+"/auth/callback"),
		SessionKey:  []byte(os.Getenv("SESSION_KEY")),
		// For one process. Replicas share those of package redislogin. There is no After,
		// because most hosts have no page for anonymous users.
		Logout: core.LogoutConfig{Revocations: new(core.MemoryRevocations)},
	}
	for key := range strings.SplitSeq(os.Getenv("OLD_SESSION_KEYS"), ",") {
		if key != "" {
			config.Sessions.OldKeys = append(config.Sessions.OldKeys, []byte(key))
		}
	}
	if len(config.SessionKey) == 0 {
		log.Print("warning: SESSION_KEY is not set; using a random one, so a restart logs all users out")
		config.SessionKey = []byte(rand.Text() + rand.Text())
	}
	file, key := os.Getenv("DATABASE"), os.Getenv("DATABASE_KEY")
	if file == "" {
		key = rand.Text() + rand.Text() // for a database in memory
	}
	table, err := openCustomers(ctx, file, []byte(key))
	if err != nil {
		return err
	}
	defer func() { _ = table.db.Close() }()
	if file == "" {
		log.Print("DATABASE is not set; using a database in memory, so a restart loses all customers")
		err = addToyCustomers(ctx, &config, table) // DELETE THIS LINE in your own application: it adds two customers with toy providers
	}
	if err != nil {
		return err
	}
	return serve(ctx, addr, config, table)
}

func serve(ctx context.Context, addr string, config core.Config, table *customers) error {
	password := os.Getenv("ADMIN_PASSWORD")
	if password == "" {
		password = rand.Text()
		log.Printf("ADMIN_PASSWORD is not set; using %s", password)
	}
	a, err := newApp(config, table, password)
	if err != nil {
		return errors.New("bad configuration: " + err.Error())
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return errors.New("bad ADDR: " + err.Error())
	}
	all, err := table.all(ctx)
	if err != nil {
		return err
	}
	for _, c := range all[:min(len(all), 10)] {
		log.Printf("%s is at %s://%s/, its users have addresses at: %s", c.Name, a.scheme, a.hostOf(c.Name), c.Domains)
	}
	log.Printf("administrators are at %s://%s/admin", a.scheme, a.hostOf(mainLabel))
	log.Printf("open %s://%s/ in a browser", a.scheme, a.hostOf(mainLabel))

	server := &http.Server{Handler: a, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	patience, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return server.Shutdown(patience)
}

func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
