// Command keycloak tests logins at a Keycloak server on http, in the folder that is its
// argument. Browsers reach the server at http://sso.localhost. Two applications reach it
// at other names, which browsers do not resolve, and do not resolve that one: the first
// reaches the server itself, whose metadata then has endpoints with that name; the second
// reaches a proxy that sends on the public name, so the metadata has it everywhere. The
// command prints one line for each step, and ends with status 1 at the first that fails.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
	t := new(story)
	err := t.run(ctx, os.Args[1])
	cancel()
	stop()
	if err == nil {
		return
	}
	fmt.Printf("FAILED  %v\n", err)
	for _, a := range t.apps {
		fmt.Printf("the application %s logged:\n%s", a.name, a.log.String())
	}
	fmt.Printf("Keycloak printed:\n%s", t.printed)
	os.Exit(1)
}

// A story is one run.
type story struct {
	apps    []*application
	printed string // by Keycloak
}

func (t *story) run(ctx context.Context, home string) error {
	for _, of := range [...]struct{ name, internal string }{{"direct", "keycloak.internal"}, {"proxied", "proxy.internal"}} {
		a, err := newApplication(of.name, of.internal)
		if err != nil {
			return err
		}
		t.apps = append(t.apps, a)
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	begun := time.Now()
	server, err := startKeycloak(ctx, home, port, t.apps)
	if server != nil {
		defer func() {
			server.stop()
			t.printed = server.output.String()
		}()
	}
	if err != nil {
		return err
	}
	say("Keycloak started with the realm after %s, on http at port %d", time.Since(begun).Round(time.Second), port)
	proxyPort, err := startProxy(server)
	if err != nil {
		return err
	}
	var running sync.WaitGroup // at once, because most of the time is for tokens to expire
	errs := make([]error, len(t.apps))
	for i, a := range t.apps {
		at := port
		if a.name == "proxied" {
			at = proxyPort
		}
		if err := a.serve(server.issuer(), at); err != nil {
			return err
		}
		running.Go(func() { errs[i] = a.story(ctx, server) })
	}
	running.Wait()
	for i, a := range t.apps {
		fmt.Print(a.steps.String())
		if errs[i] != nil {
			errs[i] = fmt.Errorf("%s, which reaches Keycloak at http://%s: %w", a.name, a.internal, errs[i])
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return singleLogout(t.apps)
}

func say(format string, args ...any) { fmt.Printf("ok      "+format+"\n", args...) }

// startProxy starts a proxy to Keycloak whose requests name the public host.
func startProxy(server *keycloak) (port int, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", server.port)})
		r.Out.Host = fmt.Sprintf("%s:%d", public, server.port)
	}}
	go func() { _ = http.Serve(listener, proxy) }()
	return listener.Addr().(*net.TCPAddr).Port, nil
}
