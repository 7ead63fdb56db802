// Command lasting is an application whose sessions outlive their tokens and end
// before their time, and a provider for it, that says what it has seen:
//
//	lasting
//	lasting provider ISSUER APPLICATION
//
// The application takes the environment of the examples. Its client id says by
// which channel the provider tells it of a logout: back, or front.
package main

import (
	"context"
	"log"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	address, handler := os.Getenv("ADDR"), http.Handler(nil)
	if len(os.Args) == 4 && os.Args[1] == "provider" {
		address, handler = "127.0.0.1:0", newProvider(os.Args[2], os.Args[3])
	} else {
		handler = newApplication()
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("open http://%s/ in a browser", listener.Addr())
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.Serve(listener))
}

// onLoopback finds every host on this machine, as the browser does: no name
// server knows the names of a test. Who answers still has to have a certificate.
func onLoopback() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
	}
	return &http.Client{Transport: transport, Timeout: 10 * time.Second}
}
