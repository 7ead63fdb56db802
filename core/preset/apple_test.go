package preset_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
	"github.com/pixyauth/pixy/core/preset"
)

const appleIssuer = "https://appleid.apple.com"

func appleClient(t *testing.T, key any) preset.AppleClient {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return preset.AppleClient{
		ServicesID: "app", TeamID: "TEAM567890", KeyID: "KEY4567890",
		PrivateKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	}
}

func newKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// checkSecret validates a client secret as Apple does.
func checkSecret(secret string, key *ecdsa.PublicKey, now time.Time) error {
	signed, err := jose.ParseSignedCompact(secret, []jose.SignatureAlgorithm{jose.ES256})
	if err != nil {
		return err
	}
	payload, err := signed.Verify(key)
	if err != nil {
		return err
	}
	var claims struct {
		Iss, Sub, Aud string
		Iat, Exp      int64
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		return err
	}
	switch {
	case signed.Signatures[0].Protected.KeyID != "KEY4567890":
		return fmt.Errorf("kid is %q", signed.Signatures[0].Protected.KeyID)
	case claims.Iss != "TEAM567890" || claims.Sub != "app" || claims.Aud != appleIssuer:
		return fmt.Errorf("got %+v", claims)
	case claims.Iat > now.Unix() || claims.Exp <= now.Unix() || claims.Exp-claims.Iat > 600:
		return fmt.Errorf("issued at %d, expires at %d, and it is %d", claims.Iat, claims.Exp, now.Unix())
	}
	return nil
}

// apple returns a test provider that accepts only such secrets, in the body.
func apple(t *testing.T, key *ecdsa.PublicKey, now time.Time, faults logintest.Faults) (web, *logintest.Provider) {
	discovery := faults.Discovery
	faults.Discovery = func(m map[string]any) {
		m["token_endpoint_auth_methods_supported"] = []string{"client_secret_post"}
		m["response_modes_supported"] = []string{"query", "fragment", "form_post"}
		delete(m, "userinfo_endpoint")
		delete(m, "end_session_endpoint")
		if discovery != nil {
			discovery(m)
		}
	}
	provider := newProvider(appleIssuer, silent(faults))
	return web{"appleid.apple.com": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			body, err := io.ReadAll(r.Body)
			form, err2 := url.ParseQuery(string(body))
			if err != nil || err2 != nil {
				t.Errorf("got %v %v", err, err2)
			}
			if err := checkSecret(form.Get("client_secret"), key, now); err != nil {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprint(w, `{"error":"invalid_client"}`)
				return
			}
			form.Set("client_secret", client.Secret)
			r.Body = io.NopCloser(strings.NewReader(form.Encode()))
		}
		provider.ServeHTTP(w, r)
	})}, provider
}

func TestApple(t *testing.T) {
	t.Parallel()
	key, now := newKey(t, elliptic.P256()), time.Now()
	clock := func() time.Time { return now }
	made := func(t *testing.T, key *ecdsa.PrivateKey) core.Provider {
		p, err := preset.AppleAt(appleClient(t, key), clock)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, test := range []struct {
		name     string
		verified any // as Apple sends it
		want     bool
	}{{"a boolean", true, true}, {"a string", "true", false}, {"nothing", nil, false}} {
		t.Run("a signed secret, and email_verified is "+test.name, func(t *testing.T) {
			t.Parallel()
			web, provider := apple(t, &key.PublicKey, now, logintest.Faults{IDToken: func(_, c map[string]any) {
				c["email"], c["nonce_supported"] = "x@privaterelay.appleid.com", true
				if c["email_verified"] = test.verified; test.verified == nil {
					delete(c, "email_verified")
				}
			}})
			a := newApp(t, made(t, key), web)
			user := a.login()
			if user.Key() != appleIssuer+" ada" || user.Email != "x@privaterelay.appleid.com" || user.EmailVerified != test.want {
				t.Errorf("got %+v", user)
			}
			for _, request := range provider.Requests() {
				if query := request.Query; request.Endpoint == logintest.Authorization &&
					(query.Get("scope") != "openid name email" || query.Get("response_mode") != "form_post") {
					t.Errorf("asks %v", query)
				}
				if request.Endpoint == logintest.Token && request.Header.Get("Authorization") != "" {
					t.Errorf("the secret is also in the header")
				}
			}
		})
	}
	t.Run("refuses the nonce of another login", func(t *testing.T) {
		t.Parallel()
		web, _ := apple(t, &key.PublicKey, now, logintest.Faults{IDToken: func(_, c map[string]any) { delete(c, "nonce"); c["nonce_supported"] = false }})
		newApp(t, made(t, key), web).refused(502, "id_token_untrusted")
	})
	t.Run("the secret of another key", func(t *testing.T) {
		t.Parallel()
		web, _ := apple(t, &key.PublicKey, now, logintest.Faults{})
		newApp(t, made(t, newKey(t, elliptic.P256())), web).refused(502, "client_refused")
	})
}

func TestAppleSecret(t *testing.T) {
	t.Parallel()
	key, now := newKey(t, elliptic.P256()), time.Unix(1_700_000_000, 0)
	p, err := preset.AppleAt(appleClient(t, key), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	secret, err := p.Client.SecretFunc(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := checkSecret(secret, &key.PublicKey, now); err != nil {
		t.Error(err)
	}
	if err := checkSecret(secret, &key.PublicKey, now.Add(5*time.Minute)); err == nil {
		t.Error("it is good for longer than five minutes")
	}
	now = now.Add(time.Hour)
	if secret, err = p.Client.SecretFunc(t.Context()); err != nil || checkSecret(secret, &key.PublicKey, now) != nil {
		t.Errorf("an hour later: %v", err)
	}
}

// A kms has a private key that nobody can read.
type kms struct {
	public crypto.PublicKey
	sign   func(digest []byte, options crypto.SignerOpts) ([]byte, error)
}

func (k kms) Public() crypto.PublicKey { return k.public }

func (k kms) Sign(_ io.Reader, digest []byte, options crypto.SignerOpts) ([]byte, error) {
	return k.sign(digest, options)
}

func TestAppleWithAKMS(t *testing.T) {
	t.Parallel()
	key, now := newKey(t, elliptic.P256()), time.Now()
	down := false
	c := appleClient(t, key)
	c.PrivateKey, c.Signer = nil, kms{key.Public(), func(digest []byte, options crypto.SignerOpts) ([]byte, error) {
		if down {
			return nil, errors.New("the KMS is down")
		}
		return key.Sign(rand.Reader, digest, options)
	}}
	p, err := preset.AppleAt(c, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	web, provider := apple(t, &key.PublicKey, now, logintest.Faults{})
	newApp(t, p, web).login()
	down = true
	a := newApp(t, p, web)
	a.refused(503, "client_credential_unavailable")
	if got := provider.Count(logintest.Token); got != 1 {
		t.Errorf("%d token requests, want that of the first login", got)
	}
	if log := a.log.String(); !strings.Contains(log, "Client.SecretFunc: the signer of the client's key: the KMS is down") {
		t.Errorf("logged %s", log)
	}
}

func TestAppleKeys(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	good := appleClient(t, newKey(t, elliptic.P256()))
	for _, test := range []struct {
		name   string
		client preset.AppleClient
		change func(*preset.AppleClient)
		want   string
	}{
		{"all is there", good, func(*preset.AppleClient) {}, ""},
		{"no team", good, func(c *preset.AppleClient) { c.TeamID = "" }, "TeamID is missing"},
		{"no key id", good, func(c *preset.AppleClient) { c.KeyID = "" }, "KeyID is missing"},
		{"no client", good, func(c *preset.AppleClient) { c.ServicesID = "" }, "ServicesID is missing"},
		{"no key", good, func(c *preset.AppleClient) { c.PrivateKey = nil }, "PrivateKey is not PEM"},
		{"a key that is torn", good, func(c *preset.AppleClient) {
			c.PrivateKey = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("canary")})
		}, "PrivateKey cannot be read"},
		{"a key on another curve", appleClient(t, newKey(t, elliptic.P384())), func(*preset.AppleClient) {}, "not an ECDSA key on curve P-256"},
		{"two keys", good, func(c *preset.AppleClient) { c.Signer = rsaKey }, "PrivateKey and Signer are both set"},
		{"a signer by RSA", good, func(c *preset.AppleClient) { c.PrivateKey, c.Signer = nil, rsaKey }, "Signer is not an ECDSA key on curve P-256"},
		{"an RSA key", appleClient(t, rsaKey), func(*preset.AppleClient) {}, "not an ECDSA key on curve P-256"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.change(&test.client)
			_, err := preset.Apple(test.client)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
