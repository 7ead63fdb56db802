// Command replicas is a small application that runs as several replicas behind
// a balancer. The replicas share a key, and they share state in Redis. Run it,
// open the URL that it prints, and copy it.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"html/template"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/adapters/redislogin"
	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/examples/devcluster"
)

func main() {
	devcluster.Run() // DELETE THIS LINE in your own application: it starts Redis, a toy provider, three replicas of this program, and a balancer
	addr := env("ADDR", "127.0.0.1:8080")
	options, err := redis.ParseURL(env("REDIS_URL", "redis://127.0.0.1:6379/0"))
	if err != nil {
		log.Fatal("bad REDIS_URL") // the error may show a password
	}
	shared := redislogin.New(redis.NewClient(options))
	shared.MaxStale = -1 // ask Redis for each request, so that a session ends on all replicas at once
	config := core.Config{
		Providers: []core.Provider{{
			Issuer:       os.Getenv("OIDC_ISSUER"),
			ClientID:     os.Getenv("OIDC_CLIENT_ID"),
			ClientSecret: os.Getenv("OIDC_CLIENT_SECRET"),
			// Many providers return a refresh token only for offline_access.
			Scopes:   strings.Fields(env("OIDC_SCOPES", "openid profile email offline_access")),
			Requests: core.RequestConfig{UserInfo: true}, // some providers have name and e-mail only there
		}},
		Lookup:      customers(os.Getenv("CUSTOMERS"), os.Getenv("CUSTOMERS_ANYWHERE") != ""),
		RedirectURL: env("OIDC_REDIRECT_URL", "http://"+addr+"/auth/callback"),
		SessionKey:  []byte(os.Getenv("SESSION_KEY")),
		Pages:       core.PageConfig{LoginPath: "/auth/login"},
		Logout:      core.LogoutConfig{Path: "/auth/logout", After: "/", Revocations: shared},
		Tokens:      core.TokenConfig{Keep: true, Refreshes: shared},
	}
	for key := range strings.SplitSeq(os.Getenv("OLD_SESSION_KEYS"), ",") {
		if key != "" {
			config.Sessions.OldKeys = append(config.Sessions.OldKeys, []byte(key))
		}
	}
	auth, err := core.New(config)
	if err != nil {
		log.Fatal("bad configuration: ", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		log.Fatal("bad ADDR: ", err)
	}
	if env("REPLICA", "1") == "1" && os.Getenv("EMBEDDED_PROVIDER") == "" {
		log.Print(auth.Registrations()[0]) // what to register with the provider
	}
	if err := serve(listener, routes(auth)); err != nil {
		log.Fatal(err)
	}
}

// serve serves requests until SIGTERM, which stops a replica. It then finishes
// the requests in progress.
func serve(listener net.Listener, handler http.Handler) error {
	told, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	log.Printf("listening on http://%s/", listener.Addr())
	select {
	case err := <-failed:
		return err
	case <-told.Done():
	}
	patience, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return server.Shutdown(patience)
}

func routes(auth *core.Authenticator) http.Handler {
	login := httplogin.New(auth)
	mux := http.NewServeMux()
	login.Mount(mux)
	mux.Handle("GET /{$}", login.LoadUser(http.HandlerFunc(home)))
	mux.Handle("/me", login.RequireUser(http.HandlerFunc(me)))
	mux.Handle("GET /api", login.RequireUser(callAPI(auth)))
	own := http.NewCrossOriginProtection() // other sites must not post this form
	mux.Handle("POST /logout-everywhere", own.Handler(login.RequireUser(logoutEverywhere(auth))))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Replica", os.Getenv("REPLICA"))
		mux.ServeHTTP(w, r)
	})
}

func home(w http.ResponseWriter, r *http.Request) {
	show(w, "home", map[string]any{"User": httplogin.User(r)})
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

// callAPI calls an API with the user's access token. Here the API is the
// provider's UserInfo endpoint.
func callAPI(auth *core.Authenticator) http.HandlerFunc {
	api, err := url.Parse(env("API_URL", strings.TrimSuffix(os.Getenv("OIDC_ISSUER"), "/")+"/userinfo"))
	if err != nil {
		log.Fatal("bad API_URL: ", err)
	}
	return func(w http.ResponseWriter, r *http.Request) {
		status, answer, err := get(r.Context(), api)
		if err != nil {
			auth.ServeError(w, r, err)
			return
		}
		show(w, "api", map[string]any{"URL": api.String(), "Status": status, "Answer": string(answer)})
	}
}

func get(ctx context.Context, api *url.URL) (status string, answer []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, api.String(), nil)
	if err != nil {
		return "", nil, err
	}
	response, err := core.Client(ctx, api.Host).Do(r) // sends the access token to this host only
	if err != nil {
		return "", nil, err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err = io.ReadAll(io.LimitReader(response.Body, 64<<10))
	return response.Status, answer, err
}

// logoutEverywhere ends all sessions of the user, in every browser.
func logoutEverywhere(auth *core.Authenticator) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		user := httplogin.User(r)
		if err := auth.LogoutEverywhere(r.Context(), user.Issuer, user.Subject); err != nil {
			auth.ServeError(w, r, err)
			return
		}
		http.Redirect(w, r, "/", http.StatusSeeOther)
	}
}

func show(w http.ResponseWriter, name string, data map[string]any) {
	data["Replica"] = os.Getenv("REPLICA")
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
