package replicas_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

// The attack kit, by way of the balancer.
func TestAttacks(t *testing.T) {
	t.Parallel()
	const redirectURL = "https://app.example.test/auth/callback"
	server := httptest.NewUnstartedServer(nil)
	t.Cleanup(server.Close)
	issuer := "http://" + server.Listener.Addr().String()
	logintest.Attack(t, logintest.Target{
		RedirectURL: redirectURL, Issuer: issuer, ClientID: client, ClientSecret: secret,
		Start: func(provider *logintest.Provider) http.Handler {
			server.Config.Handler = provider
			server.Start()
			return forward(t, run(t, append(environment(issuer), "OIDC_REDIRECT_URL="+redirectURL)...).url)
		},
	})
}

// forward is a proxy that ends TLS, and passes on whatever is wrong with a request.
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
