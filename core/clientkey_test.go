package core_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// The keys of applications in tests.
var (
	clientKey, _ = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	rsaKey, _    = rsa.GenerateKey(rand.Reader, 2048)
	longSecret   = "canary-client-secret-of-32-bytes-and-more"
)

// jwksOf returns a JWK set of public keys. They have no kid, so any kid fits.
func jwksOf(t testing.TB, signers ...crypto.Signer) []byte {
	t.Helper()
	var set jose.JSONWebKeySet
	for _, signer := range signers {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: signer.Public(), KeyID: thumbprint(t, signer), Use: "sig"})
	}
	encoded, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

func thumbprint(t testing.TB, signer crypto.Signer) string {
	t.Helper()
	sum, err := (&jose.JSONWebKey{Key: signer.Public()}).Thumbprint(crypto.SHA256)
	if err != nil {
		t.Fatal(err)
	}
	return base64.RawURLEncoding.EncodeToString(sum)
}

// byKey registers clientKey in place of the secret.
func byKey(t testing.TB) func(*logintest.Client) {
	return func(c *logintest.Client) {
		c.Secret, c.AuthMethod, c.Keys = "", "private_key_jwt", jwksOf(t, clientKey)
	}
}

// signedBy makes an application sign with a key in place of the secret.
func signedBy(signer crypto.Signer) func(*core.Config) {
	return func(c *core.Config) {
		c.Providers[0].ClientSecret, c.Providers[0].Client.SigningKeys = "", []core.SigningKey{{Signer: signer}}
	}
}

// A client that signs logs in, refreshes, and revokes its tokens at logout, each with an
// assertion of its own and nothing else.
func TestClientsThatSign(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		register func(*logintest.Client)
		change   func(*core.Config)
	}{
		{"rule 46: private_key_jwt", byKey(t), signedBy(clientKey)},
		{"private_key_jwt by name", byKey(t), func(c *core.Config) {
			signedBy(clientKey)(c)
			c.Providers[0].Client.AuthMethod = "private_key_jwt"
		}},
		{"private_key_jwt with an RSA key", func(c *logintest.Client) { byKey(t)(c); c.Keys = jwksOf(t, clientKey, rsaKey) }, signedBy(rsaKey)},
		{"private_key_jwt beside a secret that is not used", byKey(t), func(c *core.Config) {
			signedBy(clientKey)(c)
			c.Providers[0].ClientSecret = "canary-client-secret"
		}},
		{"rule 46: client_secret_jwt", func(c *logintest.Client) { c.AuthMethod, c.Secret = "client_secret_jwt", longSecret },
			func(c *core.Config) { c.Providers[0].ClientSecret = longSecret }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newTokenRigOf(t, test.register, test.change)
			g.login()
			first := g.token()
			g.advance(time.Hour)
			if got := g.token(); got == first || strings.Contains(got, "login") || g.provider.Count(logintest.Token) != 2 {
				t.Errorf("got the token %q after %q", got, first)
			}
			r, _ := http.NewRequest("POST", origin+"/auth/logout", nil)
			r.Header.Set("Origin", origin)
			if page, err := g.browser.Do(r); err != nil || page.Status != http.StatusSeeOther {
				t.Fatalf("the logout: %v %v", page, err)
			}
			seen := make(map[string]bool)
			for _, request := range g.provider.Requests() {
				if request.Endpoint != logintest.Token && request.Endpoint != logintest.Revocation {
					continue
				}
				assertion := request.Form.Get("client_assertion")
				if assertion == "" || seen[assertion] || request.Form.Has("client_secret") || request.Header.Get("Authorization") != "" {
					t.Errorf("%s: %v %v", request.Endpoint, request.Form, request.Header)
				}
				seen[assertion] = true
			}
			if len(seen) != 3 || g.whoAmI() != "" {
				t.Errorf("%d requests with assertions", len(seen))
			}
		})
	}
}

// kms is a signer whose error tells what it was to sign.
type kms struct {
	crypto.Signer
	down *atomic.Bool
}

func (s kms) Sign(random io.Reader, digest []byte, options crypto.SignerOpts) ([]byte, error) {
	if s.down.Load() {
		return nil, errors.New("kms: cannot sign canary " + string(digest))
	}
	return s.Signer.Sign(random, digest, options)
}

// A signer that fails is an outage: nothing is sent, the log has the reason and not the
// input, and an existing session goes on, also at a refresh.
func TestSignersThatFailAreOutages(t *testing.T) {
	t.Parallel()
	signer := kms{clientKey, new(atomic.Bool)}
	g := newTokenRigOf(t, byKey(t), signedBy(signer))
	signer.down.Store(true)
	page := g.get(origin + "/me")
	if page.Status != http.StatusServiceUnavailable || !strings.Contains(string(page.Body), "client_credential_unavailable") || g.whoAmI() != "" {
		t.Errorf("a login: got %d %s", page.Status, page.Body)
	}
	if g.provider.Count(logintest.Token) != 0 || g.logins.Load() != 0 {
		t.Errorf("%d token requests, %d logins", g.provider.Count(logintest.Token), g.logins.Load())
	}
	if logged := g.log.String(); !strings.Contains(logged, "kms: cannot sign canary [redacted]") {
		t.Errorf("logged as %s", logged)
	}
	signer.down.Store(false)
	g.login()
	first := g.token()
	signer.down.Store(true)
	g.advance(time.Hour - 30*time.Second) // due, and not expired
	requests := g.provider.Count(logintest.Token)
	if got := g.token(); got != first || g.whoAmI() == "" {
		t.Errorf("a refresh that is due: got %q", got)
	}
	g.advance(time.Minute)
	if got := g.token(); got != "client_credential_unavailable" {
		t.Errorf("a refresh that is overdue: got %q", got)
	}
	if got := g.provider.Count(logintest.Token); got != requests || g.whoAmI() == "" {
		t.Errorf("a refresh that is overdue: %d requests, and then %q", got-requests, g.whoAmI())
	}
	signer.down.Store(false)
	g.advance(time.Minute)
	g.token()
	if got := g.provider.Count(logintest.Token); got != requests+1 || g.whoAmI() == "" {
		t.Errorf("afterwards: %d requests, and then %q", got-requests, g.whoAmI())
	}
}

// Without a signature, no request is pushed, and the browser is not sent away.
func TestASignerThatFailsBeforeAPushedRequest(t *testing.T) {
	t.Parallel()
	signer := kms{clientKey, new(atomic.Bool)}
	g := newRigOf(t, func(c *logintest.Client) { byKey(t)(c); c.RequirePAR = true }, signedBy(signer))
	g.login()
	who := g.whoAmI()
	signer.down.Store(true)
	pushed := g.provider.Count(logintest.PAR)
	page := g.visit(origin + "/auth/login?return_to=/me")
	if page.Status != http.StatusServiceUnavailable || !strings.Contains(string(page.Body), "client_credential_unavailable") || page.Header.Get("Location") != "" {
		t.Errorf("got %d %v %s", page.Status, page.Header, page.Body)
	}
	if got := g.provider.Count(logintest.PAR); got != pushed || pushed != 1 || g.whoAmI() != who {
		t.Errorf("%d pushed requests, and then %q", got, g.whoAmI())
	}
	if logged := g.log.String(); !strings.Contains(logged, "kms: cannot sign canary [redacted]") {
		t.Errorf("logged as %s", logged)
	}
}

// Metadata that does not offer what is configured ends a login before the browser is sent
// away, and the log names the field.
func TestAnOfferThatDoesNotFit(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		field string
		value []string
		says  string
	}{
		{"token_endpoint_auth_methods_supported", []string{"client_secret_basic", "none"}, "this client can use"},
		{"token_endpoint_auth_signing_alg_values_supported", []string{"RS256", "PS256"}, "signs by"},
	} {
		g := newRigOf(t, byKey(t), signedBy(clientKey))
		g.provider.Misbehave(logintest.Faults{Discovery: func(m map[string]any) { m[test.field] = test.value }})
		page := g.get(origin + "/auth/login")
		if page.Status != http.StatusBadGateway || !strings.Contains(string(page.Body), "provider_metadata_invalid") {
			t.Errorf("%s: got %d %s", test.field, page.Status, page.Body)
		}
		if logged := g.log.String(); !strings.Contains(logged, test.field) || !strings.Contains(logged, test.says) {
			t.Errorf("%s: logged as %s", test.field, logged)
		}
		if g.provider.Count(logintest.Authorization) != 0 {
			t.Errorf("%s: the browser was sent away", test.field)
		}
	}
}

// For a client that is refused, the log says how it authenticated, and what to check.
func TestARefusedClientThatSigns(t *testing.T) {
	t.Parallel()
	another, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	g := newRigOf(t, byKey(t), signedBy(another))
	var assertion string
	if page := g.get(origin + "/me"); page.Status != http.StatusBadGateway || !strings.Contains(string(page.Body), "client_refused") || g.whoAmI() != "" {
		t.Errorf("got %d: %s", page.Status, page.Body)
	}
	for _, request := range g.provider.Requests() {
		assertion += request.Form.Get("client_assertion")
	}
	logged := g.log.String()
	for _, says := range []string{"private_key_jwt", thumbprint(t, another), `\"` + issuer + `\"`} {
		if !strings.Contains(logged, says) {
			t.Errorf("%s is not in %s", says, logged)
		}
	}
	if assertion == "" || strings.Contains(logged, assertion) || strings.Contains(logged, url.QueryEscape(assertion)) {
		t.Errorf("%q in %s", assertion, logged)
	}
}
