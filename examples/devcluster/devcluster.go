// Package devcluster runs a program as replicas on one machine: Redis, an
// OpenID provider, three processes of the program, and a balancer in front of
// them. It is for demonstration and tests. In production, use your platform's
// services instead.
package devcluster

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pixyauth/pixy/examples/devprovider"
)

// A cluster is three replicas and their shared settings.
type cluster struct {
	replicas []*replica
	turn     atomic.Uint32 // counts requests; selects the next replica

	environment []string // of each replica, without keys and name
	rotating    sync.Mutex
	mu          sync.Mutex // guards what follows
	key         string
	oldKeys     []string
}

// Run returns at once in a process that is a replica. In any other process it
// runs the cluster until it is interrupted, and then exits the program.
//
// Replicas inherit the environment. Run sets more variables: REPLICA and ADDR
// differ for each replica; SESSION_KEY, OLD_SESSION_KEYS and OIDC_REDIRECT_URL
// are the same for all. It sets REDIS_URL, OIDC_ISSUER and the client for all,
// unless they are set. EMBEDDED_PROVIDER is set if Run starts the provider.
func Run() {
	if os.Getenv("REPLICA") != "" {
		signal.Ignore(os.Interrupt) // a terminal interrupts all processes; the parent stops this one
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			os.Exit(1) // the parent has died
		}()
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx); {
	case errors.Is(err, errNotStarted):
		os.Exit(1) // the replica has printed the reason
	case err != nil:
		log.Fatal(err)
	}
	os.Exit(0)
}

func run(ctx context.Context) error {
	listener, err := net.Listen("tcp", env("ADDR", "127.0.0.1:8080"))
	if err != nil {
		return errors.New("bad ADDR: " + err.Error())
	}
	if os.Getenv("SESSION_KEY") == "" {
		log.Print("warning: SESSION_KEY is not set; using a random one, so a restart logs all users out")
	}
	redirectURL := env("OIDC_REDIRECT_URL", "http://"+listener.Addr().String()+"/auth/callback")
	devprovider.NeedHost(redirectURL)
	c := &cluster{
		environment: append(os.Environ(), "OIDC_REDIRECT_URL="+redirectURL),
		key:         env("SESSION_KEY", rand.Text()+rand.Text()),
		oldKeys:     strings.Split(os.Getenv("OLD_SESSION_KEYS"), ","),
	}
	if os.Getenv("OIDC_ISSUER") == "" {
		issuer, clientID := devprovider.Start(redirectURL, "/")
		c.environment = append(c.environment, "OIDC_ISSUER="+issuer, "OIDC_CLIENT_ID="+clientID, "OIDC_CLIENT_SECRET=", "EMBEDDED_PROVIDER=1")
	}
	if os.Getenv("REDIS_URL") == "" {
		url, stop, err := startRedis(ctx)
		if err != nil {
			return err
		}
		defer stop()
		c.environment = append(c.environment, "REDIS_URL="+url)
	}
	defer c.stop()
	if err := c.start("1", "2", "3"); err != nil {
		return err
	}
	log.Printf("open http://%s/ in a browser", listener.Addr())
	return serve(ctx, listener, c.handler())
}

// serve serves requests until ctx is done, and then finishes the requests in
// progress.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return server.Shutdown(ctx)
}

func (c *cluster) start(names ...string) error {
	for _, name := range names {
		r := &replica{name: name, environment: c.environmentOf}
		c.replicas = append(c.replicas, r)
		if err := r.restart(); err != nil {
			return err
		}
	}
	return nil
}

func (c *cluster) stop() {
	for _, r := range c.replicas {
		r.end()
	}
}

func (c *cluster) environmentOf(name string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append(slices.Clone(c.environment), "REPLICA="+name, "ADDR=127.0.0.1:0",
		"SESSION_KEY="+c.key, "OLD_SESSION_KEYS="+strings.Join(c.oldKeys, ","))
}

// rotate changes the session key while the application is in use. Every replica
// must be able to open what any other replica has sealed. So all replicas learn
// the new key before the first one seals with it.
func (c *cluster) rotate() error {
	c.rotating.Lock()
	defer c.rotating.Unlock()
	next := rand.Text() + rand.Text()
	steps := []func(){
		func() { c.oldKeys = append([]string{next}, c.oldKeys...) },
		func() { c.oldKeys[0], c.key = c.key, next },
	}
	for i, step := range steps {
		c.mu.Lock()
		step()
		c.mu.Unlock()
		for _, r := range c.replicas {
			if err := r.restart(); err != nil {
				return err
			}
		}
		log.Printf("new session key: step %d of %d is done", i+1, len(steps))
	}
	return nil
}

func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
