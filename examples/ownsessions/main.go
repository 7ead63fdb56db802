// Command ownsessions is an application that had accounts and sessions of its
// own, in SQLite, before it had pixy. pixy logs its users in, and the sessions
// stay its own. A user can link several logins to one account. A background job
// uses the users' tokens while they are away. Run it, open the URL that it
// prints, and copy what you need.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/examples/devprovider"
)

func main() {
	addr, basePath := env("ADDR", "127.0.0.1:8080"), os.Getenv("BASE_PATH")
	config := core.Config{
		Providers: []core.Provider{{
			Issuer:       os.Getenv("OIDC_ISSUER"),
			ClientID:     os.Getenv("OIDC_CLIENT_ID"),
			ClientSecret: os.Getenv("OIDC_CLIENT_SECRET"),
			// Many providers return a refresh token only for offline_access.
			Scopes:   strings.Fields(env("OIDC_SCOPES", "openid profile email offline_access")),
			Requests: core.RequestConfig{UserInfo: true}, // some providers have name and e-mail only there
		}},
		RedirectURL: env("OIDC_REDIRECT_URL", "http://"+addr+path.Join("/", basePath, "auth/callback")),
		BasePath:    basePath,
		SessionKey:  []byte(os.Getenv("SESSION_KEY")),
		Logout:      core.LogoutConfig{After: basePath + "/"},
	}
	if len(config.SessionKey) == 0 {
		log.Print("warning: SESSION_KEY is not set; using a random one, so stored tokens are lost at a restart")
		config.SessionKey = []byte(rand.Text() + rand.Text())
	}
	devprovider.Use(&config) // DELETE THIS LINE in your own application: it starts a toy provider if OIDC_ISSUER is not set

	if err := run(addr, config); err != nil {
		log.Fatal(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
}

// run serves the application until SIGINT or SIGTERM.
func run(addr string, config core.Config) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	file := os.Getenv("DATABASE")
	if file == "" {
		log.Print("DATABASE is not set; using a database in memory, so a restart loses all accounts and sessions")
	}
	db, err := openDatabase(ctx, file)
	if err != nil {
		return fmt.Errorf("bad DATABASE: %w", err)
	}
	defer func() { _ = db.Close() }()
	userInfo := env("USERINFO_URL", strings.TrimSuffix(config.Providers[0].Issuer, "/")+"/userinfo")
	a, err := newApp(config, db, userInfo)
	if err != nil {
		return fmt.Errorf("bad configuration: %w", err)
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("bad ADDR: %w", err)
	}
	if os.Getenv("OIDC_ISSUER") != "" {
		log.Print(a.auth.Registrations()[0]) // what to register with the provider
	}
	var job sync.WaitGroup
	job.Go(func() { a.work(ctx) })
	defer func() { stop(); job.Wait() }() // before the database closes

	log.Printf("open http://%s%s in a browser", listener.Addr(), a.path("/"))
	if !strings.HasPrefix(config.RedirectURL, "http://"+listener.Addr().String()+"/") {
		log.Printf("use the host of %s instead, because logins return there", config.RedirectURL)
	}
	return serve(ctx, listener, a.handler())
}

// serve serves requests until ctx ends, and then finishes those in progress.
func serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
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
