package provider

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

// fapiMetadata is of a provider that keeps the profile.
func fapiMetadata() *metadata {
	return &metadata{
		PAREndpoint: "https://id.example.test/par", ChallengeMethods: []string{"S256"}, IssParameter: true,
		AuthMethods: []string{authPrivateKeyJWT, authTLS}, SigningAlgs: []string{"PS256"},
		ProofAlgs: []string{"ES256"}, BoundTokens: true,
	}
}

func TestFAPIMetadataLacksOneThing(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*Config, *metadata)
		field  string // "": accepted
		clause string
	}{
		{"nothing", func(*Config, *metadata) {}, "", ""},
		{"mutual TLS", func(c *Config, m *metadata) {
			c.SigningKeys, c.Certificate, c.ProofKeys, m.ProofAlgs = nil, noCertificate, nil, nil
		}, "", ""},
		{"a signed response has iss in it", func(c *Config, m *metadata) { c.SignedResponse, m.IssParameter = true, false }, "", ""},
		{"DPoP needs no bound certificates", func(c *Config, m *metadata) { m.BoundTokens = false }, "", ""},
		{"no ID token, no algorithm", func(c *Config, m *metadata) { c.FetchUser, m.SigningAlgs = noUser, nil }, "", ""},
		{"RS256 as well", func(c *Config, m *metadata) { m.SigningAlgs = []string{"RS256", "EdDSA"} }, "", ""},
		{"no PAR", func(c *Config, m *metadata) { m.PAREndpoint = "" }, "pushed_authorization_request_endpoint", "5.3.2.2 (2)"},
		{"no PKCE", func(c *Config, m *metadata) { m.ChallengeMethods = nil }, "code_challenge_methods_supported", "5.3.2.2 (5)"},
		{"no iss", func(c *Config, m *metadata) { m.IssParameter = false }, "authorization_response_iss_parameter_supported", "5.3.2.2 (7)"},
		{"the method is not offered", func(c *Config, m *metadata) { m.AuthMethods = []string{authTLS} }, "token_endpoint_auth_methods_supported", "5.3.2.1 (6)"},
		{"no method is offered, which means client_secret_basic", func(c *Config, m *metadata) { m.AuthMethods = nil }, "token_endpoint_auth_methods_supported", "5.3.2.1 (6)"},
		{"a secret", func(c *Config, m *metadata) {
			c.SigningKeys, c.Secret, m.AuthMethods = nil, noSecret, []string{authSecretJWT}
		}, "token_endpoint_auth_methods_supported", "5.3.2.1 (6)"},
		{"no DPoP", func(c *Config, m *metadata) { m.ProofAlgs = nil }, "dpop_signing_alg_values_supported", "5.3.2.1 (5)"},
		{"DPoP by others", func(c *Config, m *metadata) { m.ProofAlgs = []string{"PS256"} }, "dpop_signing_alg_values_supported", "5.3.2.1 (5)"},
		{"tokens that are not bound", func(c *Config, m *metadata) { c.ProofKeys, m.BoundTokens = nil, false }, "tls_client_certificate_bound_access_tokens", "5.3.2.1 (5)"},
		{"RS256 only", func(c *Config, m *metadata) { m.SigningAlgs = []string{"RS256", "PS384"} }, "id_token_signing_alg_values_supported", "5.4.1 (1)"},
		{"no algorithm, which means RS256", func(c *Config, m *metadata) { m.SigningAlgs = nil }, "id_token_signing_alg_values_supported", "5.4.1 (1)"},
		{"signed responses by RS256", func(c *Config, m *metadata) { c.SignedResponse, m.ResponseAlgs = true, []string{"RS256"} }, "authorization_signing_alg_values_supported", "5.4.1 (1)"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c, m := &Config{FAPI2: true, SigningKeys: make([]*SigningKey, 1), ProofKeys: make([]*ProofKey, 1)}, fapiMetadata()
			test.change(c, m)
			err := c.checkFAPI(m)
			if test.field == "" {
				if err != nil {
					t.Errorf("got %v", err)
				}
				return
			}
			if err == nil || strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "FAPI2 is set, and the provider's "+test.field+" is ") || !strings.HasSuffix(err.Error(), " is needed (FAPI 2.0 Security Profile section "+test.clause+")") {
				t.Errorf("got %v, want %s and %s", err, test.field, test.clause)
			}
			if c.FAPI2 = false; c.checkFAPI(m) != nil {
				t.Error("refused without FAPI2")
			}
		})
	}
}

func TestFAPIAcceptsItsAlgorithmsOnly(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ announced, want []string }{
		{[]string{"RS256", "ES256", "none"}, []string{"ES256"}},
		{[]string{"ES384", "EdDSA", "PS256"}, []string{"PS256", "EdDSA"}},
		{[]string{"RS256"}, []string{"PS256", "ES256", "EdDSA"}},
		{nil, []string{"PS256", "ES256", "EdDSA"}},
	} {
		var got []string
		for _, alg := range (&Config{FAPI2: true}).algorithms(test.announced) {
			got = append(got, string(alg))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%q: got %q, want %q", test.announced, got, test.want)
		}
	}
}

// Connections have the profile's versions and suites, whatever the transport allows.
func TestFAPIConnections(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		server *tls.Config
		ok     bool
	}{
		{"TLS 1.3", &tls.Config{MinVersion: tls.VersionTLS13}, true},
		{"TLS 1.2, AES-128-GCM", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: fapiSuites[:1]}, true},
		{"TLS 1.2, AES-256-GCM", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: fapiSuites[1:2]}, true},
		{"TLS 1.2, CBC", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}, false},
		{"TLS 1.2, ChaCha20", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256}}, false},
		{"TLS 1.1", &tls.Config{MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS11, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Proto) }))
			certificate, roots := newCertificate(t, newP256(t), true)
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.TLS = test.server.Clone()
			server.TLS.Certificates = []tls.Certificate{*certificate}
			server.EnableHTTP2 = true
			server.StartTLS()
			defer server.Close()
			lax := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS10}}
			defer lax.CloseIdleConnections()
			plain := NewClient(&http.Client{Transport: lax})
			strict := withFAPITLS(plain)
			if response, err := plain.Get(server.URL); err != nil {
				t.Errorf("without FAPI2: %v", err)
			} else {
				response.Body.Close()
			}
			response, err := strict.Get(server.URL)
			if err == nil {
				response.Body.Close()
			}
			if ok := err == nil; ok != test.ok {
				t.Errorf("got %v, want success: %v", err, test.ok)
			}
			if lax.TLSClientConfig.MinVersion != tls.VersionTLS10 || lax.TLSClientConfig.CipherSuites != nil {
				t.Error("the application's transport has changed")
			}
		})
	}
	t.Run("the default transport speaks HTTP/2", func(t *testing.T) {
		t.Parallel()
		base := withFAPITLS(NewClient(nil)).Transport.(cappedTransport).base.(*http.Transport)
		if config := base.TLSClientConfig; !base.ForceAttemptHTTP2 || config.MinVersion != tls.VersionTLS12 || !slices.Equal(config.CipherSuites, fapiSuites) {
			t.Errorf("got %+v", config)
		}
	})
	t.Run("another kind of transport stays", func(t *testing.T) {
		t.Parallel()
		client := NewClient(&http.Client{Transport: http.NewFileTransport(http.Dir(t.TempDir()))})
		if withFAPITLS(client) != client {
			t.Error("it is another one")
		}
	})
}

func TestFAPICertificateHasALongKey(t *testing.T) {
	t.Parallel()
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip(err) // a Go that makes no such key
	}
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	down := errors.New("the HSM is down")
	good, _ := newCertificate(t, newP256(t), false)
	weak, _ := newCertificate(t, short, false)
	rsaGood, _ := newCertificate(t, long, true)
	for _, test := range []struct {
		name  string
		given *tls.Certificate
		err   error
		want  string
	}{
		{"P-256", good, nil, ""},
		{"RSA of 2048 bits, parsed before", rsaGood, nil, ""},
		{"RSA of 1024 bits", weak, nil, "an RSA key of 1024 bits, and 2048 are needed (FAPI 2.0 Security Profile section 5.4.1 (2))"},
		{"none", nil, nil, ""},
		{"an error", nil, down, "the HSM is down"},
		{"rubbish", &tls.Certificate{Certificate: [][]byte{{1}}}, nil, "x509"},
	} {
		got, err := fapiCertificate(func() (*tls.Certificate, error) { return test.given, test.err })()
		switch {
		case test.want == "" && (err != nil || got != test.given):
			t.Errorf("%s: got %v, %v", test.name, got, err)
		case test.want != "" && (err == nil || got != nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: got %v, want %s", test.name, err, test.want)
		}
	}
	if fapiCertificate(nil) != nil {
		t.Error("there is a certificate where there was none")
	}
}

func newP256(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newCertificate returns a certificate for 127.0.0.1 that has signed itself.
func newCertificate(t *testing.T, key crypto.Signer, parsed bool) (*tls.Certificate, *x509.CertPool) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	certificate := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	if parsed {
		certificate.Leaf = leaf
	}
	return certificate, roots
}

func noUser(context.Context, *http.Client, *Tokens) (map[string]any, error) { return nil, nil }

func noCertificate() (*tls.Certificate, error) { return nil, nil }

func noSecret(context.Context) (string, error) { return "", nil }

func TestFAPIAlgorithmOfAKey(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		key       crypto.Signer
		alg, want string
		ok        bool
	}{
		{rsaKey, "", "PS256", true},
		{rsaKey, "PS256", "PS256", true},
		{rsaKey, "RS256", "", false},
		{rsaKey, "PS512", "", false},
		{newP256(t), "", "ES256", true},
		{p384, "", "", false},
		{p384, "ES384", "", false},
		{nil, "ES256", "ES256", true}, // New reports the key
		{newP256(t), "EdDSA", "EdDSA", true},
	} {
		if got, ok := FAPIAlgorithm(test.key, test.alg); got != test.want || ok != test.ok {
			t.Errorf("%T for %q: got %q, %v", test.key, test.alg, got, ok)
		}
	}
}
