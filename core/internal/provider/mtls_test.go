package provider

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/pixyauth/pixy/core/internal/hostile"
)

// A transport keeps its settings when it gets a certificate, and the original has none.
// Sessions are not resumed from connections without the certificate.
func TestCertifiedTransports(t *testing.T) {
	t.Parallel()
	custom := &http.Transport{MaxIdleConns: 7, TLSClientConfig: &tls.Config{ServerName: "x", ClientSessionCache: tls.NewLRUClientSessionCache(1)}}
	bare := new(http.Transport)
	for _, base := range []*http.Transport{custom, bare} {
		got, err := CertifiedTransport(base, noCert)
		if err != nil || got == base || got.MaxIdleConns != base.MaxIdleConns || got.TLSClientConfig.ClientSessionCache != nil {
			t.Fatalf("got %+v %v", got, err)
		}
		if _, err := got.TLSClientConfig.GetClientCertificate(nil); !errors.As(err, new(certificateError)) {
			t.Errorf("got %v", err)
		}
		if got.ForceAttemptHTTP2 != (base == bare) { // the default of each
			t.Error("HTTP/2 is not as before")
		}
		if c := base.TLSClientConfig; c != nil && (c.GetClientCertificate != nil || base == custom && c.ClientSessionCache == nil || got.TLSClientConfig.ServerName != c.ServerName) {
			t.Errorf("it has become %+v", c)
		}
	}
	for _, test := range []struct {
		base http.RoundTripper
		want string
	}{
		{hostile.RoundTrip(nil), "has a Transport of type hostile.RoundTrip, which cannot present a certificate"},
		{nil, "has a Transport of type <nil>"},
		//lint:ignore SA1019 an application may still set DialTLS
		{&http.Transport{DialTLS: func(string, string) (net.Conn, error) { return nil, nil }}, "makes its own TLS connections"},
		{&http.Transport{DialTLSContext: new(tls.Dialer).DialContext}, "makes its own TLS connections"},
	} {
		if got, err := CertifiedTransport(test.base, noCert); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%T: got %v %v", test.base, got, err)
		}
	}
	if withCertificate(NewClient(nil), nil) != nil || withCertificate(new(http.Client), noCert) != nil {
		t.Error("a client is made without a certificate")
	}
}

// A copy speaks the protocols that the original speaks, also if that has been used.
func TestCertifiedTransportsSpeakHTTP2(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Proto) }))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	for name, base := range map[string]*http.Transport{
		"HTTP/2.0": new(http.Transport), "HTTP/2.0 of a default": defaultTransport().(*http.Transport),
		"HTTP/1.1": {TLSNextProto: make(map[string]func(string, *tls.Conn) http.RoundTripper)},
	} {
		for range 2 {
			certified, err := CertifiedTransport(base, noCert)
			if err != nil {
				t.Fatal(err)
			}
			certified.TLSClientConfig.InsecureSkipVerify = true
			response, err := (&http.Client{Transport: certified}).Get(server.URL)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			body, _ := io.ReadAll(response.Body)
			response.Body.Close()
			certified.CloseIdleConnections()
			if !strings.HasPrefix(name, string(body)) || len(body) == 0 {
				t.Errorf("%s: got %s", name, body)
			}
			_, _ = (&http.Client{Transport: base}).Get(server.URL) // its certificate is unknown
		}
	}
}

// The certificate cannot authenticate over plain http, and tokens can be asked for there by
// other means.
func TestCertificatesNeedTLS(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		endpoint, method string
		ok               bool
	}{
		{"https://id.example.test/token", authTLS, true},
		{"HTTPS://id.example.test/token", authSelfSignedTLS, true},
		{"http://127.0.0.1/token", authTLS, false},
		{"http://127.0.0.1/token", authSelfSignedTLS, false},
		{"http://127.0.0.1/token", authPrivateKeyJWT, true},
		{"http://127.0.0.1/token", authNone, true},
	} {
		m := &metadata{TokenEndpoint: test.endpoint, authMethod: test.method}
		if err := m.checkTLS(); (err == nil) != test.ok || err != nil && !strings.Contains(err.Error(), "token_endpoint is") {
			t.Errorf("%s, %s: got %v", test.endpoint, test.method, err)
		}
	}
}

// Aliases at the issuer's origin are reached at InternalURL as well.
func TestAliasesAtInternalURL(t *testing.T) {
	t.Parallel()
	at := &clerk{metadata: map[string]any{"mtls_endpoint_aliases": map[string]any{
		"token_endpoint": hostile.Issuer + "/mtls/token", "revocation_endpoint": "https://mtls.example.test/revoke",
	}}}
	for _, certified := range []bool{true, false} {
		config := Config{Issuer: hostile.Issuer, Client: NewClient(&http.Client{Transport: at}), Endpoints: Endpoints{InternalURL: "https://internal.example.test"}}
		token, revocation := "https://internal.example.test/token", "https://internal.example.test/revoke"
		if certified {
			config.Certificate, token, revocation = noCert, "https://internal.example.test/mtls/token", "https://mtls.example.test/revoke"
		}
		m, err := config.discover(t.Context(), hostile.Issuer)
		if err != nil || m.TokenEndpoint != token || m.RevocationEndpoint != revocation {
			t.Errorf("%v: got %+v %v", certified, m, err)
		}
	}
}

// A certificate or a key that hangs, in a KMS, holds up a limited number of goroutines,
// for a limited time. net/http gives up a connection without telling them.
func TestCertificatesThatHang(t *testing.T) {
	t.Parallel()
	for name, hangs := range map[string]bool{"the function": true, "the key": false} {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan bool)
			var asked atomic.Int32
			hang := func() error { asked.Add(1); <-release; return errKMS }
			get := clientCertificate(func() (*tls.Certificate, error) {
				if hangs {
					return nil, hang()
				}
				return &tls.Certificate{Certificate: [][]byte{{1}}, PrivateKey: brokenSigner{p256Key, func([]byte) ([]byte, error) { return nil, hang() }}}, nil
			})
			var all sync.WaitGroup
			for range maxKeyUses + 10 {
				all.Go(func() {
					certificate, err := get(nil)
					if err == nil {
						_, err = certificate.PrivateKey.(crypto.Signer).Sign(rand.Reader, make([]byte, 32), crypto.SHA256)
					}
					if !errors.As(err, new(certificateError)) || !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("%s: got %v", name, err)
					}
				})
			}
			all.Wait()
			if got := asked.Load(); got > maxKeyUses {
				t.Errorf("%s: %d at a time", name, got)
			}
			close(release)
		})
	}
}
