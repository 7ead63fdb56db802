package examples_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

// testAttacks runs the attack kit against an example over real sockets:
// directly on loopback, and behind a proxy that terminates TLS.
func testAttacks(t *testing.T, name string) {
	addr := freeAddr(t)
	t.Run("on loopback", func(t *testing.T) { attack(t, name, addr, "http://"+addr+"/auth/callback") })
	t.Run("behind a proxy", func(t *testing.T) {
		attack(t, name, freeAddr(t), "https://app.example.test/auth/callback")
	})
}

func attack(t *testing.T, name, addr, redirectURL string) {
	server := httptest.NewUnstartedServer(nil)
	t.Cleanup(server.Close)
	scheme, _, _ := strings.Cut(redirectURL, ":") // also the provider's: both use http, or both use https
	issuer := scheme + "://" + server.Listener.Addr().String()
	target := logintest.Target{
		RedirectURL: redirectURL, Issuer: issuer, ClientID: "example", ClientSecret: "canary-client-secret",
		Start: func(provider *logintest.Provider) http.Handler {
			server.Config.Handler = provider
			if scheme == "https" {
				server.StartTLS()
			} else {
				server.Start()
			}
			app := start(t, name, "SSL_CERT_FILE="+authority(t, server), "ADDR="+addr, "OIDC_REDIRECT_URL="+redirectURL, "OIDC_ISSUER="+issuer,
				"OIDC_CLIENT_ID=example", "OIDC_CLIENT_SECRET=canary-client-secret", "SESSION_KEY="+sessionKey)
			return forward(t, app.url)
		},
	}
	if name == "spa" { // its page is the same for all users: attack what its script gets
		target.KeepsTokens = true
		target.API = []string{"GET /api/session", "GET /me", "GET /api/profile", "GET /api/note", "POST /api/note"}
		serve := target.Start
		target.Start = func(provider *logintest.Provider) http.Handler {
			app := serve(provider)
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Header.Set("Accept", "application/json")
				app.ServeHTTP(w, r)
			})
		}
	}
	logintest.Attack(t, target)
}

// authority returns a file with the certificate that a process needs to trust
// the server, or "" for a server without TLS.
func authority(t *testing.T, server *httptest.Server) string {
	t.Helper()
	if server.Certificate() == nil {
		return ""
	}
	name := filepath.Join(t.TempDir(), "authority.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(name, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// forward passes requests on to a process without changes, also invalid ones.
func forward(t *testing.T, to string) http.Handler {
	t.Helper()
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
		r.Out.Header = r.In.Header.Clone() // including a forged X-Forwarded-Host
		r.Out.URL.RawQuery = r.In.URL.RawQuery
	}}
}
