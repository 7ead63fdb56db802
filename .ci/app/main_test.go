package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

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

func keyFile(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return writePEM(t, "key.pem", "PRIVATE KEY", der)
}

// A client of FAPI 2.0, with OpenID Connect and without, logs in and reads its accounts.
func TestFAPI2(t *testing.T) {
	for _, plain := range []bool{false, true} {
		t.Run(map[bool]string{false: "oidc", true: "plain_oauth"}[plain], func(t *testing.T) {
			server := httptest.NewUnstartedServer(nil)
			issuer := "https://" + server.Listener.Addr().String()
			fake := logintest.NewProvider(issuer, logintest.Client{
				ID: "app", RedirectURIs: []string{origin + "/auth/callback"}, AuthMethod: "private_key_jwt", KeysURI: origin + "/auth/jwks",
				RequirePAR: true, DPoP: true, DPoPNonces: true, SigningAlg: "ES256",
			})
			accounts := 0
			mux := http.NewServeMux()
			mux.Handle("/", fake)
			mux.Handle("/accounts", fake.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				accounts++
				w.Write([]byte(`{"accounts":[]}`))
			})))
			server.Config.Handler = mux
			server.StartTLS()
			defer server.Close()

			scope := "openid"
			if plain {
				scope = "accounts"
			}
			providers, err := json.Marshal([]map[string]any{{
				"Issuer": issuer, "ClientID": "app", "FAPI2": true, "Scopes": []string{scope}, "KeyFiles": []string{keyFile(t)},
				"Client": map[string]any{"DPoP": true}, "UserURL": issuer + "/accounts", "Accounts": plain,
			}})
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
