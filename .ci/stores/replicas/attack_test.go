package replicas_test

import (
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

// The attack kit, through the balancer.
func TestAttacks(t *testing.T) {
	t.Parallel()
	const redirectURL = "https://app.example.test/auth/callback"
	server := httptest.NewUnstartedServer(nil)
	t.Cleanup(server.Close)
	issuer := "https://" + server.Listener.Addr().String()
	logintest.Attack(t, logintest.Target{
		RedirectURL: redirectURL, Issuer: issuer, ClientID: client, ClientSecret: secret,
		Start: func(provider *logintest.Provider) http.Handler {
			server.Config.Handler = provider
			server.StartTLS()
			authority := filepath.Join(t.TempDir(), "authority.pem")
			block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
			if err := os.WriteFile(authority, block, 0o600); err != nil {
				t.Fatal(err)
			}
			return forward(t, run(t, append(environment(issuer), "OIDC_REDIRECT_URL="+redirectURL, "SSL_CERT_FILE="+authority)...).url)
		},
	})
}

// forward is a proxy that terminates TLS, and passes on requests without changes.
func forward(t *testing.T, to string) http.Handler {
	target, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host
		r.Out.Header = r.In.Header.Clone()
		r.Out.URL.RawQuery = r.In.URL.RawQuery
	}}
}
