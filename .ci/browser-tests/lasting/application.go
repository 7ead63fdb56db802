package main

import (
	"cmp"
	"encoding/json"
	"html/template"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/core"
)

var page = template.Must(template.New("page").Parse(`<!doctype html><html lang="en"><title>lasting</title>
<h1>{{.Heading}}</h1>
<a href="/me">private page</a> <a href="/api">Call an API</a> <a href="/">Home</a>
<form method="post" action="/auth/logout"><button>Log out</button></form>
<form method="post" action="/logout-everywhere"><button>Log out everywhere</button></form></html>`))

func newApplication() http.Handler {
	issuer, err := url.Parse(os.Getenv("OIDC_ISSUER"))
	if err != nil {
		log.Fatal(err)
	}
	auth, err := core.New(core.Config{
		Providers: []core.Provider{{
			Issuer: issuer.String(), ClientID: os.Getenv("OIDC_CLIENT_ID"),
			Scopes: []string{"openid", "profile", "email", "offline_access"},
		}},
		RedirectURL: cmp.Or(os.Getenv("OIDC_REDIRECT_URL"), "http://"+os.Getenv("ADDR")+"/auth/callback"),
		SessionKey:  []byte(os.Getenv("SESSION_KEY")),
		Tokens:      core.TokenConfig{Keep: true},
		Logout:      core.LogoutConfig{After: "/", Revocations: new(core.MemoryRevocations)},
		HTTPClient:  onLoopback(),
	})
	if err != nil {
		log.Fatal(err)
	}
	login := httplogin.New(auth)
	mux := http.NewServeMux()
	login.Mount(mux)
	mux.Handle("GET /{$}", login.LoadUser(http.HandlerFunc(home)))
	mux.Handle("/me", login.RequireUser(http.HandlerFunc(me)))
	mux.HandleFunc("GET /quietly", quietly(auth))
	auditors := core.Requirement{Allow: func(u *core.User) bool { return strings.HasPrefix(u.Email, "auditor@") }}
	mux.Handle("/report", login.Require(auditors)(http.HandlerFunc(me)))
	mux.Handle("GET /api", login.RequireUser(callAPI(auth, issuer)))
	own := http.NewCrossOriginProtection()
	mux.Handle("POST /logout-everywhere", own.Handler(login.RequireUser(logoutEverywhere(auth))))
	return mux
}

func home(w http.ResponseWriter, r *http.Request) {
	heading := "You are not logged in"
	if user := httplogin.User(r); user != nil {
		heading = "Hello, " + user.Name
	}
	page.Execute(w, map[string]any{"Heading": heading})
}

func me(w http.ResponseWriter, r *http.Request) {
	user := httplogin.User(r)
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{"name": user.Name, "email": user.Email})
		return
	}
	page.Execute(w, map[string]any{"Heading": user.Name})
}

// quietly logs in without asking the user.
func quietly(auth *core.Authenticator) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		options := core.LoginOptions{ReturnTo: "/", AuthParams: url.Values{"prompt": {"none"}}}
		if err := auth.LoginWith(w, r, options); err != nil {
			auth.ServeError(w, r, err)
		}
	}
}

// callAPI calls the provider's UserInfo endpoint, and shows its response.
func callAPI(auth *core.Authenticator, issuer *url.URL) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		response, err := httplogin.Client(r, issuer.Host).Get(issuer.String() + "/userinfo")
		if err != nil {
			auth.ServeError(w, r, err)
			return
		}
		defer response.Body.Close()
		var claims struct{ Email string }
		if err := json.NewDecoder(response.Body).Decode(&claims); err != nil || response.StatusCode != http.StatusOK {
			http.Error(w, "the API answered "+response.Status, http.StatusBadGateway)
			return
		}
		page.Execute(w, map[string]any{"Heading": "The API knows " + claims.Email})
	}
}

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
