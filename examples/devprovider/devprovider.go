// Package devprovider is an OpenID provider for development. It believes
// anybody, without a password. The examples embed it, so that they work without
// any setup: it then listens on loopback only, and rejects applications that are
// not on loopback. The command cmd/devprovider runs it for an application of
// your own.
package devprovider

import (
	"cmp"
	"log"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

const clientID = "pixy-example"

// Use starts a provider and sets it in config, if config's provider has no
// Issuer. It exits the program if that fails, or if RedirectURL has no host.
func Use(config *core.Config) {
	NeedHost(config.RedirectURL)
	if len(config.Providers) != 1 || config.Providers[0].Issuer != "" {
		return
	}
	issuer, id := Start(config.RedirectURL, config.BasePath+"/")
	config.Providers[0].Issuer = issuer
	config.Providers[0].ClientID = id
	config.Providers[0].ClientSecret = ""
}

// NeedHost exits the program if a callback has no host that a browser can open.
// An ADDR such as ":8080" is enough to listen, but not for a callback.
func NeedHost(redirectURL string) {
	redirect, err := url.Parse(redirectURL)
	if err != nil {
		return // core.New reports the error
	}
	if ip := net.ParseIP(redirect.Hostname()); redirect.Host != "" && (redirect.Hostname() == "" || ip != nil && ip.IsUnspecified()) {
		log.Fatalf("bad ADDR: the callback %s has no host; set ADDR=127.0.0.1:%s, or set OIDC_REDIRECT_URL to the callback's public URL",
			redirectURL, cmp.Or(redirect.Port(), "8080"))
	}
}

// Start runs a provider in this process, for an application that may be in
// other processes. Home is the path where its logout ends. Start returns the
// application's Issuer and ClientID. It exits the program if the provider
// cannot start.
func Start(redirectURL, home string) (issuer, id string) {
	redirect, err := url.Parse(redirectURL)
	if err != nil || !loopback(redirect.Hostname()) {
		log.Fatal("OIDC_ISSUER is not set, and the embedded provider serves applications on loopback only; set OIDC_ISSUER, or OIDC_REDIRECT_URL to a callback on 127.0.0.1")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal("embedded provider: ", err)
	}
	provider := New("http://"+listener.Addr().String(), redirectURL, redirect.Scheme+"://"+redirect.Host+home)
	server := &http.Server{Handler: provider, ReadHeaderTimeout: 10 * time.Second}
	go func() { log.Fatal("embedded provider: ", server.Serve(listener)) }()

	log.Printf("OIDC_ISSUER is not set; using an embedded provider at %s, which believes anybody", provider.Issuer())
	return provider.Issuer(), clientID
}

// New returns a provider that asks for the user's name. It has one public
// client, pixy-example.
func New(issuer, redirectURI, postLogoutRedirectURI string) *logintest.Provider {
	return NewProvider(issuer, nil, logintest.Client{
		ID:                     clientID,
		RedirectURIs:           []string{redirectURI},
		PostLogoutRedirectURIs: []string{postLogoutRedirectURI},
	})
}
