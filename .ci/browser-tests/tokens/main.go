// Command tokens is an application that keeps tokens, and shows what an API says
// by them: the provider's UserInfo. It takes the environment of the examples.
package main

import (
	"encoding/json"
	"fmt"
	"html/template"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/core"
)

var page = template.Must(template.New("page").Parse(`<!doctype html><html lang="en"><title>tokens</title>
<h1>{{.}}</h1><form method="post" action="/auth/logout"><button>Log out</button></form></html>`))

func main() {
	redirectURL := os.Getenv("OIDC_REDIRECT_URL")
	if redirectURL == "" {
		redirectURL = "http://" + os.Getenv("ADDR") + "/auth/callback"
	}
	issuer := os.Getenv("OIDC_ISSUER")
	auth, err := core.New(core.Config{
		Providers: []core.Provider{{
			Issuer: issuer, ClientID: os.Getenv("OIDC_CLIENT_ID"), Scopes: []string{"openid", "profile", "offline_access"},
		}},
		RedirectURL: redirectURL,
		SessionKey:  []byte(os.Getenv("SESSION_KEY")),
		KeepTokens:  true,
	})
	if err != nil {
		log.Fatal(err)
	}
	api, err := url.Parse(issuer)
	if err != nil {
		log.Fatal(err)
	}
	login := httplogin.New(auth)
	mux := http.NewServeMux()
	login.Mount(mux)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { page.Execute(w, "Home") })
	mux.Handle("/me", login.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page.Execute(w, answer(httplogin.Client(r, api.Host), issuer))
	})))
	listener, err := net.Listen("tcp", os.Getenv("ADDR"))
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("open http://%s/ in a browser", listener.Addr())
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.Serve(listener))
}

// answer is whom the API knows.
func answer(client *http.Client, issuer string) string {
	response, err := client.Get(issuer + "/userinfo")
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	var user struct{ Name string }
	if err := json.NewDecoder(response.Body).Decode(&user); err != nil {
		return fmt.Sprint("The API answered ", response.Status)
	}
	return "The API knows " + user.Name
}
