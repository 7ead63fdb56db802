// An application without pixy, for measurements. It prints that it listens, and exits.
package main

import (
	"log"
	"net"
	"net/http"
	"os"

	"github.com/labstack/echo/v4"
)

func main() {
	router := echo.New()
	router.GET("/me", func(c echo.Context) error { return c.String(200, "hello") })
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
