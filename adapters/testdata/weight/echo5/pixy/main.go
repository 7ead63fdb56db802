// An application with pixy, for measurements. It prints that it listens, and exits.
package main

import (
	"log"
	"net"
	"net/http"
	"os"

	"github.com/labstack/echo/v5"

	"github.com/pixyauth/pixy/adapters/echo5login"
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
	login := echo5login.New(auth)
	router := echo.New()
	login.Mount(router)
	router.GET("/me", func(c *echo.Context) error { return c.String(200, echo5login.User(c).Name) }, login.RequireUser)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	if os.Getenv("SERVE") == "" {
		os.Stdout.WriteString("listening\n")
		return
	}
	log.Fatal(http.Serve(listener, router))
}
