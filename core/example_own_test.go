package core_test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A table stands for the sessions that an application has already.
type table struct{}

func (*table) Start(w http.ResponseWriter, _, _, _ string) error {
	http.SetCookie(w, &http.Cookie{Name: "app", Value: "a-new-id", Path: "/", HttpOnly: true, Secure: true})
	return nil
}
func (*table) End(http.ResponseWriter, *http.Request) error                { return nil }
func (*table) EndOf(context.Context, string, string, string, string) error { return nil }
func (*table) Has(r *http.Request) bool {
	c, err := r.Cookie("app")
	return err == nil && c.Value != ""
}

// An application keeps its own sessions, and has pixy log users in.
func ExampleOwnSessions() {
	provider := logintest.NewProvider("https://id.example.test", logintest.Client{
		ID: "app", RedirectURIs: []string{"https://app.example.test/auth/callback"},
	})
	config := core.Config{
		Providers:   []core.Provider{{Issuer: provider.Issuer(), ClientID: "app"}},
		RedirectURL: "https://app.example.test/auth/callback",
		SessionKey:  []byte("thirty-two random bytes or more!"),
		HTTPClient:  provider.HTTPClient(),
	}
	sessions := new(table)

	config.Sessions.Own = &core.OwnSessions{
		Start: func(w http.ResponseWriter, r *http.Request, login *core.Login) (answered bool, err error) {
			return false, sessions.Start(w, login.User.Issuer, login.User.Subject, login.SID)
		},
		End:           sessions.End,
		EndByProvider: sessions.EndOf,
	}
	auth, err := core.New(config)
	if err != nil {
		fmt.Println(err)
		return
	}

	guard := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "private")
			if sessions.Has(r) {
				next.ServeHTTP(w, r)
			} else if err := auth.Challenge(w, r, core.ErrNoSession); err != nil {
				auth.ServeError(w, r, err)
			}
		})
	}

	logout := func(w http.ResponseWriter, r *http.Request) {
		to, err := auth.EndSession(w, r)
		if err == nil {
			err = sessions.End(w, r)
		}
		if err != nil {
			auth.ServeError(w, r, err)
			return
		}
		http.Redirect(w, r, cmp.Or(to, "/"), http.StatusSeeOther)
	}

	mux := http.NewServeMux()
	for _, route := range auth.Routes() {
		mux.HandleFunc(route.Method+" "+route.Path, func(w http.ResponseWriter, r *http.Request) {
			if err := route.Handle(w, r); err != nil {
				auth.ServeError(w, r, err)
			}
		})
	}
	mux.HandleFunc("POST /auth/logout/here", logout)
	mux.Handle("/me", guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "hello") })))
	browser := logintest.NewBrowser()
	browser.Serve(provider.Issuer(), provider)
	browser.Serve("https://app.example.test", mux)
	page, err := browser.Get("https://app.example.test/me")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(page.Status, string(page.Body))
	// Output: 200 hello
}
