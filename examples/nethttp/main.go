// Command nethttp is a small application that logs users in with net/http and
// pixy. Run it, open the URL that it prints, and copy it.
package main

import (
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"html/template"
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
			Scopes:       strings.Fields(env("OIDC_SCOPES", "openid profile email")),
			Requests:     core.RequestConfig{UserInfo: true}, // some providers have name and e-mail only there
		}},
		RedirectURL: env("OIDC_REDIRECT_URL", "http://"+addr+"/auth/callback"),
		SessionKey:  []byte(os.Getenv("SESSION_KEY")),
		Pages:       core.PageConfig{LoginPath: "/auth/login"},
		Logout:      core.LogoutConfig{Path: "/auth/logout", After: "/"},
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
	mux := http.NewServeMux()
	login.Mount(mux)
	mux.Handle("GET /{$}", login.LoadUser(http.HandlerFunc(home)))
	mux.Handle("/me", login.RequireUser(http.HandlerFunc(me)))

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

func home(w http.ResponseWriter, r *http.Request) {
	show(w, "home", httplogin.User(r))
}

func me(w http.ResponseWriter, r *http.Request) {
	user := httplogin.User(r)
	var claims map[string]json.RawMessage
	if err := user.Claims(&claims); err != nil {
		http.Error(w, "your claims cannot be read", http.StatusInternalServerError)
		return
	}
	w.Header().Add("Vary", "Accept")
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{
			"subject": user.Subject, "issuer": user.Issuer, "name": user.Name, "email": user.Email, "claims": claims,
		})
		return
	}
	show(w, "me", map[string]any{"User": user, "Claims": claims})
}

func show(w http.ResponseWriter, name string, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if err := page.ExecuteTemplate(w, name, data); err != nil {
		log.Print(err) // the browser may have disconnected
	}
}

//go:embed page.html
var pageHTML string

var page = template.Must(template.New("page").Parse(pageHTML))

func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
