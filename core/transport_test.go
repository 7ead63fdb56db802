package core_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// loopback is the origin of an application whose provider is plain http.
const loopback = "http://127.0.0.1:8080"

// Over a real socket.
func TestTheWireIsBounded(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirect was followed to %s", r.URL)
	}))
	t.Cleanup(elsewhere.Close)
	for name, misbehave := range map[string]func(w http.ResponseWriter, r *http.Request){
		"rule 51: stalls": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"rule 49: redirects": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		},
		"rule 51: is huge": func(w http.ResponseWriter, r *http.Request) {
			junk := []byte(strings.Repeat(" ", 1<<20))
			for {
				if _, err := w.Write(junk); err != nil {
					return
				}
			}
		},
		"rule 51: drips": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				fmt.Fprint(w, " ")
				w.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(time.Millisecond):
				}
			}
		},
		"rule 51: closes": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		for _, endpoint := range []logintest.Endpoint{logintest.Discovery, logintest.Token, logintest.JWKS, logintest.UserInfo} {
			t.Run(name+", at "+path.Base(string(endpoint)), func(t *testing.T) {
				t.Parallel()
				listener, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				local := "http://" + listener.Addr().String()
				provider := logintest.NewProvider(local, logintest.Client{ID: "app", RedirectURIs: []string{loopback + "/auth/callback"}})
				provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
					if e == endpoint {
						misbehave(w, r)
					}
					return e == endpoint
				}})
				server := httptest.NewUnstartedServer(provider)
				server.Listener.Close()
				server.Listener = listener
				server.Start()
				t.Cleanup(server.Close)

				g := &rig{t: t, provider: provider, browser: logintest.NewBrowser()}
				g.auth = g.newAuth(func(c *core.Config) {
					c.Providers = []core.Provider{{Issuer: local, ClientID: "app", Requests: core.RequestConfig{UserInfo: true}}}
					c.RedirectURL = loopback + "/auth/callback"
					c.HTTPClient = &http.Client{Timeout: 300 * time.Millisecond}
				})
				g.browser.Serve(loopback, g.app(g.auth))
				page := g.get(loopback + "/me")
				if page.Status != http.StatusBadGateway && page.Status != http.StatusServiceUnavailable {
					t.Errorf("got %d: %s", page.Status, page.Body)
				}
				if !strings.Contains(string(page.Body), `href="/auth/login`) || setsSession(page.Header) {
					t.Errorf("no way on: %s", page.Body)
				}
			})
		}
	}
}

// Over TLS, by the client that New makes when none is given but for the roots.
func TestCertificatesAreChecked(t *testing.T) {
	t.Parallel()
	authority := newAuthority(t)
	now := time.Now()
	for _, test := range []struct {
		name        string
		host        string
		expires     time.Time
		known       bool // whether the client knows the authority
		unavailable bool
	}{
		{"rule 50: a certificate that is right", "127.0.0.1", now.Add(time.Hour), true, false},
		{"rule 50: of an unknown authority", "127.0.0.1", now.Add(time.Hour), false, true},
		{"rule 50: for another host", "127.0.0.2", now.Add(time.Hour), true, true},
		{"rule 50: expired", "127.0.0.1", now.Add(-time.Hour), true, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewUnstartedServer(nil)
			local := "https://" + server.Listener.Addr().String()
			provider := logintest.NewProvider(local, logintest.Client{ID: "app", RedirectURIs: []string{callbackURL}})
			server.Config.Handler = provider
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.TLS = &tls.Config{Certificates: []tls.Certificate{authority.issue(t, test.host, test.expires)}}
			server.StartTLS()
			t.Cleanup(server.Close)
			roots := x509.NewCertPool()
			if test.known {
				roots.AddCert(authority.certificate)
			}
			g := &rig{t: t, provider: provider}
			auth := g.newAuth(func(c *core.Config) {
				c.Providers = []core.Provider{{Issuer: local, ClientID: "app"}}
				c.HTTPClient = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
			})
			if err := auth.Discover(t.Context()); errors.Is(err, core.ErrUnavailable) != test.unavailable || (err != nil) != test.unavailable {
				t.Errorf("got %v", err)
			}
			if got := provider.Count(logintest.Discovery); (got == 0) != test.unavailable {
				t.Errorf("%d requests were sent", got)
			}
		})
	}
}

// authority issues certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key}
	a.certificate = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pixy test authority"},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der := a.sign(t, a.certificate, key)
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *authority) issue(t *testing.T, host string, expires time.Time) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der := a.sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.ParseIP(host)},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: expires,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *authority) sign(t *testing.T, template *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}
