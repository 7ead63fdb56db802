// Command strong tests clients that prove who they are by more than a secret, at servers
// by other authors, behind TLS:
//
//	strong oidc-provider FOLDER [VARIANT...]   the folder has strong.mjs and its packages
//	strong keycloak HOME [VARIANT...]          the folder has a built Keycloak
//
// Each variant is an application that logs in, calls an API, refreshes and logs out. Before
// that, an application that lacks what the variant is about must be refused. The command
// prints one line for each step, and ends with status 1 if one fails.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"
)

// A server is a running provider.
type server interface {
	// start starts the server, with the registrations of these applications.
	start(context.Context, *authority, []*application) error
	issuer(*variant) string
	// api returns a URL that accepts access tokens, for clients with or without a certificate.
	api(v *variant) string
	// lifespan is that of access tokens.
	lifespan() time.Duration
	stop()
	printed() string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	var at server
	switch name := os.Args[1]; name {
	case "oidc-provider":
		at = &oidcProvider{folder: os.Args[2]}
	case "keycloak":
		at = &keycloak{home: os.Args[2]}
	default:
		panic("no such server: " + name)
	}
	err := run(ctx, os.Args[1], at)
	at.stop()
	cancel()
	stop()
	if err != nil {
		fmt.Printf("FAILED  %v\nthe server printed:\n%s", err, at.printed())
		os.Exit(1)
	}
}

func run(ctx context.Context, name string, at server) error {
	ca, err := newAuthority()
	if err != nil {
		return err
	}
	var apps []*application
	for _, v := range variants() {
		if only := os.Args[3:]; !v.possible(name) || len(only) > 0 && !slices.Contains(only, v.name) {
			continue
		}
		strong, err := newApplication(v, ca)
		if err != nil {
			return err
		}
		apps = append(apps, strong)
	}
	begun := time.Now()
	if err := at.start(ctx, ca, apps); err != nil {
		return err
	}
	fmt.Printf("ok      %s started after %s, behind TLS, with %d clients\n", name, time.Since(begun).Round(time.Second), len(apps))
	var running sync.WaitGroup // at once, because most of the time is for tokens to expire
	errs := make([]error, len(apps))
	for i, a := range apps {
		running.Go(func() { errs[i] = a.story(ctx, at) })
	}
	running.Wait()
	for i, a := range apps {
		fmt.Print(a.steps.String())
		if errs[i] != nil {
			errs[i] = fmt.Errorf("%s: %w\nthe application logged:\n%s", a.name, errs[i], a.log.String())
		}
	}
	return errors.Join(errs...)
}
