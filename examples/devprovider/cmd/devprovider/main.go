// Command devprovider is an OpenID provider for development: for an application
// of your own, on this machine. It believes anybody, without a password.
//
//	go run github.com/pixyauth/pixy/examples/devprovider/cmd/devprovider@latest
//
// It prints what to write into the application. The flag -h lists its settings.
package main

import (
	"cmp"
	"errors"
	"flag"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
	"github.com/pixyauth/pixy/examples/devprovider"
)

func main() {
	log.SetFlags(0)
	server, addr := settings()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		log.Fatal("bad -addr: ", err)
	}
	if server.Issuer == "" {
		server.Issuer = issuerAt(addr, listener.Addr())
	}
	log.Print("For development only: this provider believes anybody and asks for no password. It must never be reachable from outside.")
	if server.InsecureAnyHost {
		log.Printf("warning: -insecure-listen is set; everybody who reaches %s can log in as any user", listener.Addr())
	}
	log.Printf("\nFor the core.Provider of your application:\n\n%s\n\n", indent(server.Setup(server.Clients[0])))
	for _, public := range server.Clients[1:] {
		log.Printf("or without a secret:\n\n%s\n\n", indent(server.Setup(public)))
	}
	log.Printf("open %s/ in a browser", strings.TrimSuffix(server.Issuer, "/"))
	program := &http.Server{Handler: server.Handler(), ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(program.Serve(listener))
}

// settings reads the flags. It exits the program if one is bad.
func settings() (server devprovider.Server, addr string) {
	flag.StringVar(&addr, "addr", cmp.Or(os.Getenv("ADDR"), "127.0.0.1:9000"), "the `address` to listen on; the variable ADDR sets it as well")
	flag.StringVar(&server.Issuer, "issuer", "", "the provider's `URL` in the browser, if that is not http://ADDR")
	users := flag.String("users", "", "a JSON `file` with the users to choose from: [{\"email\": \"ada@example.test\", \"roles\": [\"admin\"]}]")
	id := flag.String("client-id", "dev", "the client `id`; with -public at its end, it is a client without a secret")
	secret := flag.String("client-secret", "dev-secret", "the client `secret`")
	client := flag.String("client", "", "a JSON `file` with the registration of the only client, by the names of RFC 7591, such as {\"client_id\": \"dev\", \"require_pushed_authorization_requests\": true}")
	flag.Func("redirect-uri", "a `URL` that logins and logouts may return to, once for each (default every URL on localhost, *.localhost and loopback)", func(uri string) error {
		server.RedirectURIs = append(server.RedirectURIs, uri)
		return nil
	})
	flag.BoolVar(&server.InsecureAnyHost, "insecure-listen", false, "listen on an address that others may reach, as in a container")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		log.Fatalf("bad argument %q: there are only flags; -h lists them", flag.Arg(0))
	case *id == "" || *secret == "":
		log.Fatal("bad -client-id or -client-secret: it is empty; for a client without a secret, use the id with -public at its end")
	}
	if server.Issuer != "" && (!absolute(server.Issuer) || strings.ContainsAny(server.Issuer, "?#@")) {
		log.Fatalf("bad -issuer %q: it must be a URL such as http://localhost:9000, without ?, # and @", server.Issuer)
	}
	for _, uri := range server.RedirectURIs {
		if !absolute(uri) || strings.Contains(uri, "#") {
			log.Fatalf("bad -redirect-uri %q: it must be a URL such as http://localhost:8080/auth/callback, without #", uri)
		}
	}
	if !server.InsecureAnyHost && !onlyHere(addr) {
		log.Fatalf("bad -addr %q: others could reach it, and log in as any user; use 127.0.0.1, or set -insecure-listen in a container", addr)
	}
	if *users != "" {
		source, err := os.ReadFile(*users)
		if err == nil {
			server.Users, err = devprovider.ParseUsers(source)
		}
		if err != nil {
			log.Fatalf("bad -users: %s: %v", *users, strings.TrimPrefix(err.Error(), "open "+*users+": "))
		}
	}
	server.Clients = []logintest.Client{{ID: *id, Secret: *secret}, {ID: *id + "-public"}}
	if *client != "" {
		registered, err := readClient(*client)
		if err != nil {
			log.Fatalf("bad -client: %v", err)
		}
		server.Clients = []logintest.Client{registered}
	}
	return server, addr
}

func readClient(file string) (logintest.Client, error) {
	source, err := os.ReadFile(file)
	if err != nil {
		return logintest.Client{}, err
	}
	client, err := logintest.ParseClient(source)
	if strings.Contains(client.AuthMethod, "tls") || client.CertificateBound {
		err = errors.New("this provider has no TLS, so clients cannot have certificates")
	}
	return client, err
}

func absolute(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// onlyHere reports whether only this machine reaches an address. The listener
// reports an address that is none.
func onlyHere(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return err != nil || host == "localhost" || ip != nil && ip.IsLoopback()
}

// issuerAt returns the URL of an address that a browser on this machine can open.
func issuerAt(addr string, listening net.Addr) string {
	host, _, _ := net.SplitHostPort(addr) // net.Listen has accepted it
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	_, port, _ := net.SplitHostPort(listening.String()) // which the system chooses for port 0
	return "http://" + net.JoinHostPort(host, port)
}

func indent(text string) string { return "\t" + strings.ReplaceAll(text, "\n", "\n\t") }
