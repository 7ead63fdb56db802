package httplogin_test

import (
	"fmt"
	"log"
	"net/http"
	"os"

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
		RedirectURL: "https://app.example.com/auth/callback",
		SessionKey:  []byte(os.Getenv("SESSION_KEY")),
	})
	if err != nil {
		log.Fatal(err)
	}
	login := httplogin.New(auth)
	mux := http.NewServeMux()
	login.Mount(mux)
	mux.Handle("/me", login.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Hello, %s", httplogin.User(r).Name)
	})))
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", mux))
}
