package logintest_test

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
)

// newCertificate returns a self-signed certificate for a client.
func newCertificate(t *testing.T, name string) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	key := strongKeys()["ES256"]
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// present makes the bench's connections have a certificate, or none.
func (s *strongBench) present(certificate *x509.Certificate) {
	with := func(handler http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if certificate != nil {
				r.TLS.PeerCertificates = []*x509.Certificate{certificate}
			}
			handler.ServeHTTP(w, r)
		})
	}
	s.http.Transport = logintest.InMemory(map[string]http.Handler{
		issuer: with(s.provider), "https://mtls.example.test": with(s.provider),
		"https://api.example.test": with(s.provider.Protect(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"sub":"the API"}`)
		}))),
	}).Transport
}

func TestCertificateAuthentication(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"tls_client_auth", "self_signed_tls_client_auth"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			first, second, other := newCertificate(t, "app").Leaf, newCertificate(t, "app").Leaf, newCertificate(t, "app").Leaf
			s := newStrongBench(t, logintest.Client{AuthMethod: method, Certificates: []*x509.Certificate{first, second}})
			code := s.newCode()
			for _, wrong := range []*x509.Certificate{nil, other} {
				s.present(wrong)
				for endpoint, form := range map[logintest.Endpoint]url.Values{
					logintest.PAR: s.request(), logintest.Revocation: {"token": {"x"}}, logintest.Token: s.form(code),
				} {
					s.send(endpoint, form).refused(t, 401, "invalid_client")
				}
			}
			s.present(second)
			form := s.form(code)
			form.Set("client_secret", "")
			s.post(logintest.Token, form).refused(t, 401, "invalid_client")
			form = s.form(code)
			form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
			form.Set("client_assertion", s.assertion("ES256"))
			s.post(logintest.Token, form).refused(t, 401, "invalid_client")
			if access := s.mustRedeem(code)["access_token"].(string); s.resource(issuer+"/userinfo", "Bearer", access).status != http.StatusOK {
				t.Error("the token is bound without CertificateBound")
			}
			s.present(first)
			s.push(s.request())
		})
	}
}

// Tokens work on connections with the certificate of their request, and on no
// others.
func TestCertificateBoundTokens(t *testing.T) {
	t.Parallel()
	for name, client := range map[string]logintest.Client{
		"private_key_jwt": keyClient(func(c *logintest.Client) { c.CertificateBound = true }),
		"public":          {CertificateBound: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mine, other := newCertificate(t, "app").Leaf, newCertificate(t, "app").Leaf
			s := newStrongBench(t, client)
			code := s.newCode()
			s.send(logintest.Token, s.form(code)).refused(t, 400, "invalid_request")
			s.present(mine)
			tokens := s.mustRedeem(code)
			access := tokens["access_token"].(string)
			refresh := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {tokens["refresh_token"].(string)}}
			if tokens["token_type"] != "Bearer" {
				t.Errorf("got %v", tokens)
			}
			for _, wrong := range []*x509.Certificate{nil, other} {
				s.present(wrong)
				for _, at := range []string{issuer + "/userinfo", api} {
					got := s.resource(at, "Bearer", access)
					if got.status != http.StatusUnauthorized || got.header.Get("WWW-Authenticate") != `Bearer error="invalid_token"` {
						t.Errorf("%s: got %d %v", at, got.status, got.header)
					}
				}
				if client.AuthMethod == "" || wrong == nil {
					code := map[bool]string{true: "invalid_request", false: "invalid_grant"}[wrong == nil]
					s.send(logintest.Token, refresh).refused(t, 400, code)
				}
			}
			s.present(mine)
			for _, at := range []string{issuer + "/userinfo", api} {
				if got := s.resource(at, "Bearer", access); got.status != http.StatusOK {
					t.Errorf("%s: got %d %v", at, got.status, got.header)
				}
			}
			if got := s.send(logintest.Token, refresh); got.status != http.StatusOK {
				t.Errorf("refresh: got %d %v", got.status, got.body)
			}
		})
	}
}

// Proofs are for the URL by which a request has arrived.
func TestAliases(t *testing.T) {
	t.Parallel()
	s := newStrongBench(t, dpopClient(func(c *logintest.Client) { c.CertificateBound = true }))
	s.provider.MTLSOrigin = "https://mtls.example.test"
	s.present(newCertificate(t, "app").Leaf)
	aliases, _ := s.metadata()["mtls_endpoint_aliases"].(map[string]any)
	for name, path := range map[string]string{"token_endpoint": "/token", "pushed_authorization_request_endpoint": "/par", "userinfo_endpoint": "/userinfo", "revocation_endpoint": "/revoke"} {
		if aliases[name] != "https://mtls.example.test"+path {
			t.Errorf("%s: got %v", name, aliases[name])
		}
	}
	at := "https://mtls.example.test/userinfo"
	access := s.login()["access_token"].(string)
	s.notFor(at, "DPoP", access, s.proof("GET", issuer+"/userinfo", access))
	s.notFor(issuer+"/userinfo", "DPoP", access, s.proof("GET", at, access))
	if got := s.resource(at, "DPoP", access, s.proof("GET", at, access)); got.status != http.StatusOK {
		t.Errorf("got %d", got.status)
	}
}

// On a real listener, TLS proves that the client has the key.
func TestCertificateOfAListener(t *testing.T) {
	t.Parallel()
	certificate := newCertificate(t, "app")
	server := httptest.NewUnstartedServer(nil)
	server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS13}
	at := "https://" + server.Listener.Addr().String()
	server.Config.Handler = logintest.NewProvider(at, logintest.Client{
		ID: "app", AuthMethod: "self_signed_tls_client_auth", Certificates: []*x509.Certificate{certificate.Leaf}, RedirectURIs: []string{callback},
	})
	server.StartTLS()
	defer server.Close()
	for _, presented := range []bool{false, true} {
		transport := server.Client().Transport.(*http.Transport).Clone()
		if presented {
			transport.TLSClientConfig.Certificates = []tls.Certificate{certificate}
		}
		response, err := (&http.Client{Transport: transport}).PostForm(at+"/revoke", url.Values{"client_id": {"app"}, "token": {"x"}})
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if want := map[bool]int{true: 200, false: 401}[presented]; response.StatusCode != want {
			t.Errorf("got %d, want %d", response.StatusCode, want)
		}
		transport.CloseIdleConnections()
	}
}
