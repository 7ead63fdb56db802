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

// A page that needs a login of the last five minutes, by a second factor.
func ExampleLogin_Require() {
	var login *httplogin.Login // from New
	transfer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = fmt.Fprint(w, "done") })
	mux := http.NewServeMux()

	needs := core.Requirement{
		MaxAge: 5 * time.Minute,             // since the provider has asked for the password, or whatever it asks for
		ACR:    []string{"urn:example:2fa"}, // any one of these classes, which are the provider's to define
	}
	mux.Handle("/transfer", login.Require(needs)(transfer))
}

// What the provider says beyond name and e-mail is in the claims.
func ExampleUser() {
	var login *httplogin.Login // from New
	mux := http.NewServeMux()

	mux.Handle("/admin", login.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !httplogin.User(r).Has("roles", "admin") {
			http.Error(w, "This page is for administrators.", http.StatusForbidden)
			return
		}
		_, _ = fmt.Fprint(w, "Hello, administrator")
	})))
}

// A page of the application's own for what goes wrong.
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

// A login that the application begins itself, by what its own code says.
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

// An API that is called in the user's name.
func ExampleClient() {
	var auth *core.Authenticator // from core.New, with Tokens.Keep
	login := httplogin.New(auth)
	mux := http.NewServeMux()

	mux.Handle("/repos", login.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		response, err := httplogin.Client(r, "api.example.com").Get("https://api.example.com/v1/repos")
		if errors.Is(err, core.ErrNoToken) { // or it has expired, and the provider gave none to refresh it with
			if err := auth.LoginWith(w, r, core.LoginOptions{ReturnTo: "/repos"}); err != nil {
				auth.ServeError(w, r, err)
			}
			return
		}
		if err != nil {
			http.Error(w, "The list cannot be had at the moment.", http.StatusBadGateway)
			return
		}
		defer func() { _ = response.Body.Close() }()
		w.Header().Set("Content-Type", "application/json") // else it is guessed, and may become HTML of your origin
		w.Header().Set("X-Content-Type-Options", "nosniff")
		_, _ = io.Copy(w, response.Body)
	})))
}

// An API that does not take the token any more, though it should be good for a while.
func ExampleLogin_Refresh() {
	var login *httplogin.Login // from New, with Tokens.Keep
	mux := http.NewServeMux()

	mux.Handle("/repos", login.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		response, err := httplogin.Client(r, "api.example.com").Get("https://api.example.com/v1/repos")
		if err == nil && response.StatusCode == http.StatusUnauthorized {
			response.Body.Close()
			if err = login.Refresh(w, r); err == nil { // before anything is written
				response, err = httplogin.Client(r, "api.example.com").Get("https://api.example.com/v1/repos")
			}
		}
		if err != nil {
			http.Error(w, "The list cannot be had at the moment.", http.StatusBadGateway)
			return
		}
		defer response.Body.Close()
		w.WriteHeader(response.StatusCode)
	})))
}

// A user's sessions can be ended in all browsers, by the application and by the
// provider.
func Example_logoutEverywhere() {
	var config core.Config       // as above
	var auth *core.Authenticator // from core.New

	config.Logout.Revocations = new(core.MemoryRevocations)

	closeAccount := func(ctx context.Context, user *core.User) error {
		if err := auth.LogoutEverywhere(ctx, user.Issuer, user.Subject); err != nil {
			return err // nobody was logged out; try again
		}
		return nil
	}
	_ = closeAccount
}
