package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
)

const origin = "https://app.example.test"

// writePEM writes a file, and returns its name.
func writePEM(t *testing.T, name, kind string, der []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// keyFiles writes a private key and a certificate for it.
func keyFiles(t *testing.T) (keyFile, certFile string, certificate *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if certificate, err = x509.ParseCertificate(signed); err != nil {
		t.Fatal(err)
	}
	return writePEM(t, "key.pem", "PRIVATE KEY", encoded), writePEM(t, "cert.pem", "CERTIFICATE", signed), certificate
}

// A client of FAPI 2.0 logs in and reads its accounts.
func TestFAPI2(t *testing.T) {
	keyFile, certFile, certificate := keyFiles(t)
	for _, test := range []struct {
		name     string
		settings map[string]any
		client   logintest.Client
	}{
		{"private_key_jwt and DPoP", map[string]any{
			"Scopes": []string{"openid"}, "KeyFiles": []string{keyFile}, "Client": map[string]any{"DPoP": true},
		}, logintest.Client{AuthMethod: "private_key_jwt", KeysURI: origin + "/auth/jwks", DPoPNonces: true}},
		{"without OpenID Connect", map[string]any{
			"Scopes": []string{"accounts"}, "KeyFiles": []string{keyFile}, "Client": map[string]any{"DPoP": true}, "Accounts": true,
		}, logintest.Client{AuthMethod: "private_key_jwt", KeysURI: origin + "/auth/jwks", DPoPNonces: true}},
		{"mutual TLS and signed messages", map[string]any{
			"Scopes": []string{"openid"}, "KeyFiles": []string{keyFile}, "CertFile": certFile, "CertKey": keyFile,
			"Client": map[string]any{"AuthMethod": "tls_client_auth"}, "Requests": map[string]any{"SignedRequest": true, "SignedResponse": true},
		}, logintest.Client{
			AuthMethod: "tls_client_auth", Certificates: []*x509.Certificate{certificate}, KeysURI: origin + "/auth/jwks",
			CertificateBound: true, RequireSignedRequest: true, RequireSignedResponse: true,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(nil)
			issuer := "https://" + server.Listener.Addr().String()
			test.client.ID, test.client.FAPI2, test.client.RedirectURIs = "app", true, []string{origin + "/auth/callback"}
			fake := logintest.NewProvider(issuer, test.client)
			accounts := 0
			mux := http.NewServeMux()
			mux.Handle("/", fake)
			mux.Handle("/accounts", fake.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				accounts++
				w.Write([]byte(`{"accounts":[]}`))
			})))
			server.Config.Handler = mux
			server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
			server.StartTLS()
			defer server.Close()

			test.settings["Issuer"], test.settings["ClientID"], test.settings["FAPI2"], test.settings["UserURL"] = issuer, "app", true, issuer+"/accounts"
			providers, err := json.Marshal([]any{test.settings})
			if err != nil {
				t.Fatal(err)
			}
			app, err := newApp(func(name string) string {
				return map[string]string{
					"PROVIDERS": string(providers), "ORIGIN": origin, "SESSION_KEY": "a session key of thirty-two bytes or more",
					"KEEP_TOKENS": "true", "CA_FILE": writePEM(t, "ca.pem", "CERTIFICATE", server.Certificate().Raw),
				}[name]
			})
			if err != nil {
				t.Fatal(err)
			}
			fake.Outbound = logintest.InMemory(map[string]http.Handler{origin: app})
			browser := logintest.NewBrowser()
			browser.Transport = server.Client().Transport
			browser.Serve(origin, app)
			if page, err := browser.Get(origin + "/me"); err != nil || page.Status != http.StatusOK || !strings.Contains(string(page.Body), `"subject"`) {
				t.Fatalf("got %v, %v", page, err)
			}
			before := accounts
			if page, err := browser.Get(origin + "/api"); err != nil || page.Status != http.StatusOK || accounts != before+1 {
				t.Errorf("got %v, %v, and %d requests for accounts", page, err, accounts-before)
			}
		})
	}
}

// A client without keys publishes none.
func TestWithoutKeys(t *testing.T) {
	_, err := newApp(func(name string) string {
		return map[string]string{
			"PROVIDERS": `[{"Issuer":"https://id.example.test","ClientID":"app","ClientSecret":"secret"}]`, "ORIGIN": origin,
			"SESSION_KEY": "a session key of thirty-two bytes or more",
		}[name]
	})
	if err != nil {
		t.Error(err)
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	noKey := writePEM(t, "none.pem", "PRIVATE KEY", []byte("none"))
	for name, variables := range map[string]map[string]string{
		"PROVIDERS is no JSON":  {"PROVIDERS": "none"},
		"a key that is not one": {"PROVIDERS": `[{"KeyFiles":["` + noKey + `"]}]`},
		"a key that is not PEM": {"PROVIDERS": `[{"KeyFiles":["main.go"]}]`},
		"no key":                {"PROVIDERS": `[{"KeyFiles":["none.pem"]}]`},
		"no authority":          {"PROVIDERS": `[]`, "CA_FILE": noKey},
		"no authority's file":   {"PROVIDERS": `[]`, "CA_FILE": "none.pem"},
		"no provider":           {"PROVIDERS": `[]`},
	} {
		if app, err := newApp(func(name string) string { return variables[name] }); err == nil || app != nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
