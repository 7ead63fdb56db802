// Command formpost is an application whose provider answers by form_post. It
// reads the same environment variables as the examples, and its pages have the
// same headings and links.
package main

import (
	"encoding/json"
	"html/template"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/core"
)

var page = template.Must(template.New("page").Parse(`<!doctype html><html lang="en"><title>form_post</title>
<h1>{{if .Path}}{{.User.Name}}{{else}}{{if .User}}Hello, {{.User.Name}}{{else}}You are not logged in{{end}}{{end}}</h1>
<a href="/me">private page</a> <a href="/">Home</a>
<form method="post" action="/auth/logout"><button>Log out</button></form></html>`))

func main() {
	redirectURL := os.Getenv("OIDC_REDIRECT_URL")
	if redirectURL == "" {
		redirectURL = "http://" + os.Getenv("ADDR") + "/auth/callback"
	}
	auth, err := core.New(core.Config{
		Providers:   []core.Provider{{Issuer: os.Getenv("OIDC_ISSUER"), ClientID: os.Getenv("OIDC_CLIENT_ID"), Requests: core.RequestConfig{FormPost: true}}},
		RedirectURL: redirectURL,
		SessionKey:  []byte(os.Getenv("SESSION_KEY")),
		Logout:      core.LogoutConfig{After: "/"},
	})
	if err != nil {
		log.Fatal(err)
	}
	login := httplogin.New(auth)
	mux := http.NewServeMux()
	login.Mount(mux)
	mux.Handle("GET /{$}", login.LoadUser(http.HandlerFunc(show)))
	mux.HandleFunc("GET /quietly", func(w http.ResponseWriter, r *http.Request) {
		options := core.LoginOptions{ReturnTo: "/", AuthParams: url.Values{"prompt": {"none"}}}
		if err := auth.LoginWith(w, r, options); err != nil {
			auth.ServeError(w, r, err)
		}
	})
	mux.Handle("/me", login.RequireUser(http.HandlerFunc(show)))
	listener, err := net.Listen("tcp", os.Getenv("ADDR"))
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("open http://%s/ in a browser", listener.Addr())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.Serve(listener))
}

func show(w http.ResponseWriter, r *http.Request) {
	user := httplogin.User(r)
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{"name": user.Name, "email": user.Email})
		return
	}
	page.Execute(w, map[string]any{"User": user, "Path": strings.Trim(r.URL.Path, "/")})
}
