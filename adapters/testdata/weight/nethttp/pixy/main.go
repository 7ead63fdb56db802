// An application with pixy, for measurements. It prints that it listens, and exits.
package main

import (
	"fmt"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/core"
)

func main() {
	auth, err := core.New(core.Config{
		Providers:   []core.Provider{{Issuer: "https://id.example.com", ClientID: "my-app"}},
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
		fmt.Fprint(w, httplogin.User(r).Name)
	})))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	if os.Getenv("SERVE") == "" {
		os.Stdout.WriteString("listening\n")
		return
	}
	log.Fatal(http.Serve(listener, mux))
}
