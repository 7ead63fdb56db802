// Command spa is a single-page application without a build step, and the API
// behind it. pixy logs its users in, and no script sees a token (OAuth 2.0 for
// Browser-Based Applications, section 6.1). Run it, open the URL that it prints,
// and copy it.
package main

import (
	"crypto/rand"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/examples/devprovider"
)

func main() {
	addr := env("ADDR", "127.0.0.1:8080")
	config := core.Config{
		Providers: []core.Provider{{
			Issuer:       os.Getenv("OIDC_ISSUER"),
			ClientID:     os.Getenv("OIDC_CLIENT_ID"),
			ClientSecret: os.Getenv("OIDC_CLIENT_SECRET"),
			// Many providers return a refresh token only for offline_access.
			Scopes:   strings.Fields(env("OIDC_SCOPES", "openid profile email offline_access")),
			Requests: core.RequestConfig{UserInfo: true}, // some providers have name and e-mail only there
		}},
		RedirectURL: env("OIDC_REDIRECT_URL", "http://"+addr+"/auth/callback"),
		SessionKey:  []byte(os.Getenv("SESSION_KEY")),
		Tokens:      core.TokenConfig{Keep: true}, // for the API to call another API
		Pages:       core.PageConfig{LoginPath: "/auth/login"},
		Logout:      core.LogoutConfig{Path: "/auth/logout", After: "/", Revocations: new(core.MemoryRevocations)},
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
	devprovider.Use(&config) // DELETE THIS LINE in your own application: it starts a toy provider if OIDC_ISSUER is not set

	auth, err := core.New(config)
	if err != nil {
		log.Fatal("bad configuration: ", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	login := httplogin.New(auth)
	api, err := newAPI(auth, login, env("USERINFO_URL", strings.TrimSuffix(config.Providers[0].Issuer, "/")+"/userinfo"))
	if err != nil {
		log.Fatal("bad USERINFO_URL: ", err)
	}
	mux := http.NewServeMux()
	login.Mount(mux)
	mux.Handle("/api/", api)
	mux.Handle("/me", login.RequireUser(http.HandlerFunc(me)))
	for path, name := range map[string]string{"GET /{$}": "index.html", "GET /app.js": "app.js", "GET /style.css": "style.css", "GET /icon.svg": "icon.svg"} {
		mux.Handle(path, file(name))
	}

	listener, err := net.Listen("tcp", addr)
	if err != nil {
		log.Fatal("bad ADDR: ", err)
	}
	log.Printf("open http://%s/ in a browser", listener.Addr())
	if !strings.HasPrefix(config.RedirectURL, "http://"+listener.Addr().String()+"/") {
		log.Printf("use the host of %s instead, because logins return there", config.RedirectURL)
	}
	if os.Getenv("OIDC_ISSUER") != "" {
		log.Print(auth.Registrations()[0]) // what to register with the provider
	}
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.Serve(listener))
}

func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
