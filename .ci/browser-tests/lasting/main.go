// Command lasting is an application with two kinds of sessions: sessions that
// outlive their tokens, and sessions that end before their lifetime. It is also
// a provider that reports the requests it received:
//
//	lasting
//	lasting provider ISSUER APPLICATION
//
// The application reads the same environment variables as the examples. Its
// client id selects how the provider notifies it of a logout: back or front
// channel.
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

// onLoopback returns a client that connects to 127.0.0.1 for every host, like
// the browser in these tests, because no name server knows the hosts. Servers
// still need a valid certificate.
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
