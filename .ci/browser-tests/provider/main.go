// Command provider runs the examples' provider as a program, so that it can be
// on another site than the application, and behind TLS:
//
//	provider ISSUER REDIRECT_URI POST_LOGOUT_REDIRECT_URI
package main

import (
	"log"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/pixyauth/pixy/examples/devprovider"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: provider ISSUER REDIRECT_URI POST_LOGOUT_REDIRECT_URI")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("open http://%s/ in a browser", listener.Addr())
	server := &http.Server{
		Handler:           devprovider.New(os.Args[1], os.Args[2], os.Args[3]),
		ReadHeaderTimeout: 10 * time.Second,
	}
	log.Fatal(server.Serve(listener))
}
