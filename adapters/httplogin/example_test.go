package httplogin_test

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"io"
	"log"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/core"
)

func Example() {
	auth, err := core.New(core.Config{
		Providers: []core.Provider{{
			Issuer:       "https://id.example.com",
			ClientID:     "my-app",
			ClientSecret: os.Getenv("OIDC_CLIENT_SECRET"),
		}},
		RedirectURL: "http://localhost:8080/auth/callback", // in production https://app.example.com/auth/callback
		SessionKey:  []byte(os.Getenv("SESSION_KEY")),
	})
	if err != nil {
		log.Fatal(err)
	}
	login := httplogin.New(auth)
	mux := http.NewServeMux()
	login.Mount(mux)
	mux.Handle("/me", login.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "Hello, %s", httplogin.User(r).Name)
	})))
	log.Fatal(http.ListenAndServe("localhost:8080", mux))
}

// A page that requires a login with a second factor in the last five minutes.
func ExampleLogin_Require() {
	var login *httplogin.Login // from New
	transfer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, "done") })
	mux := http.NewServeMux()

	needs := core.Requirement{
		MaxAge: 5 * time.Minute,             // since the user last authenticated at the provider
		ACR:    []string{"urn:example:2fa"}, // any one of these classes, which the provider defines
	}
	mux.Handle("/transfer", login.Require(needs)(transfer))
}

// A page for users with a role, which is a claim.
func ExampleUser() {
	var login *httplogin.Login // from New
	mux := http.NewServeMux()

	mux.Handle("/admin", login.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !httplogin.User(r).Has("roles", "admin") { // a claim that is a string or a list of strings
			http.Error(w, "This page is for administrators.", http.StatusForbidden)
			return
		}
		_, _ = fmt.Fprint(w, "Hello, administrator")
	})))
}

// The application shows its own error page.
func ExampleLogin_errorHandler() {
	var auth *core.Authenticator     // from core.New
	var errorPage *template.Template // of the application
	login := httplogin.New(auth)

	// The template has {{.Public}}, {{.Reference}}, and, if there is one, a link to {{.LoginURL}}.
	login.ErrorHandler = func(w http.ResponseWriter, r *http.Request, err error) {
		failure := new(core.Error)
		if !errors.As(err, &failure) || !strings.Contains(r.Header.Get("Accept"), "text/html") {
			auth.ServeError(w, r, err)
			return
		}
		w.WriteHeader(failure.Status)
		_ = errorPage.Execute(w, failure)
	}
}

// The application begins a login with its own parameters.
func Example_loginWith() {
	var auth *core.Authenticator // from core.New
	mux := http.NewServeMux()

	mux.HandleFunc("GET /confirm", func(w http.ResponseWriter, r *http.Request) {
		if err := auth.LoginWith(w, r, core.LoginOptions{
			ReturnTo:   "/settings",
			AuthParams: url.Values{"ui_locales": {"de"}},
			Require:    core.Requirement{MaxAge: time.Minute},
		}); err != nil {
			auth.ServeError(w, r, err)
		}
	})
}

// A handler calls an API with the user's access token.
func ExampleClient() {
	var auth *core.Authenticator // from core.New, with Tokens.Keep
	login := httplogin.New(auth)
	mux := http.NewServeMux()

	mux.Handle("/repos", login.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		response, err := httplogin.Client(r, "api.example.com").Get("https://api.example.com/v1/repos")
		if errors.Is(err, core.ErrNoToken) { // or it has expired, and the provider gave no refresh token
			if err := auth.LoginWith(w, r, core.LoginOptions{ReturnTo: "/repos"}); err != nil {
				auth.ServeError(w, r, err)
			}
			return
		}
		if err != nil {
			http.Error(w, "The list is not available at the moment.", http.StatusBadGateway)
			return
		}
		defer func() { _ = response.Body.Close() }()
		w.Header().Set("Content-Type", "application/json") // net/http would guess a type, perhaps HTML
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = io.Copy(w, response.Body)
	})))
}

// If an API answers 401, refresh the tokens and call it again.
func ExampleLogin_Refresh() {
	var login *httplogin.Login // from New, with Tokens.Keep
	mux := http.NewServeMux()

	mux.Handle("/repos", login.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		response, err := httplogin.Client(r, "api.example.com").Get("https://api.example.com/v1/repos")
		if err == nil && response.StatusCode == http.StatusUnauthorized {
			_ = response.Body.Close()
			if err = login.Refresh(w, r); err == nil { // before anything is written
				response, err = httplogin.Client(r, "api.example.com").Get("https://api.example.com/v1/repos")
			}
		}
		if err != nil {
			http.Error(w, "The list is not available at the moment.", http.StatusBadGateway)
			return
		}
		defer func() { _ = response.Body.Close() }()
		w.WriteHeader(response.StatusCode)
	})))
}

// The application ends all sessions of a user.
func Example_logoutEverywhere() {
	var config core.Config       // as above
	var auth *core.Authenticator // from core.New

	config.Logout.Revocations = new(core.MemoryRevocations)

	closeAccount := func(ctx context.Context, user *core.User) error {
		if err := auth.LogoutEverywhere(ctx, user.Issuer, user.Subject); err != nil {
			return err // no session was ended; try again
		}
		return nil
	}
	_ = closeAccount
}

// Any other router: gorilla/mux, httprouter, or a switch over the path.
func ExampleLogin_ServeLogin() {
	var login *httplogin.Login // from New
	var router http.Handler    // the application's

	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !login.ServeLogin(w, r) {
			router.ServeHTTP(w, r)
		}
	})
	log.Fatal(http.ListenAndServe("localhost:8080", handler))
}

// The whole application is for users, except the login and two public paths.
func ExampleLogin_Wrap() {
	var login *httplogin.Login // from New
	var app http.Handler       // the whole application

	log.Fatal(http.ListenAndServe("localhost:8080", login.Wrap(app, "/healthz", "/static/")))
}
