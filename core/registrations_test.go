package core_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core"
)

// Registrations say what is true of the Config, and nothing else.
func TestRegistrations(t *testing.T) {
	t.Parallel()
	rsaToo, _ := rsa.GenerateKey(rand.Reader, 2048)
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	for _, test := range []struct {
		name   string
		change func(*core.Config)
		want   string // the JSON
		print  string
	}{
		{"public client", func(c *core.Config) { c.Providers[0].ClientSecret = "" },
			`{"client_id":"app","redirect_uris":["https://app.example.test/auth/callback"],"response_types":["code"],"grant_types":["authorization_code"],` +
				`"scope":"openid profile email","token_endpoint_auth_method":"none","initiate_login_uri":"https://app.example.test/auth/login",` +
				`"post_logout_redirect_uris":["https://app.example.test/"]}`,
			`register with https://id.example.test for client "app":
  redirect_uris: https://app.example.test/auth/callback
  post_logout_redirect_uris: https://app.example.test/
  initiate_login_uri: https://app.example.test/auth/login`},
		{"with a secret, revocations, tokens and paths", func(c *core.Config) {
			c.Providers[0].Name, c.Providers[0].RedirectURL, c.Providers[0].Checks.SigningAlg = "Work", origin+"/done", "ES256"
			c.Providers[0].Client.AuthMethod = "client_secret_post"
			c.Logout = core.LogoutConfig{Revocations: new(core.MemoryRevocations), After: "/goodbye?a=b", BackChannelPath: "/back"}
			c.Pages.LoginPath, c.Tokens.Keep = "/in", true
		},
			`{"client_id":"app","redirect_uris":["https://app.example.test/done"],"response_types":["code"],"grant_types":["authorization_code","refresh_token"],` +
				`"scope":"openid profile email","token_endpoint_auth_method":"client_secret_post","id_token_signed_response_alg":"ES256",` +
				`"initiate_login_uri":"https://app.example.test/in","post_logout_redirect_uris":["https://app.example.test/goodbye?a=b"],` +
				`"backchannel_logout_uri":"https://app.example.test/back","backchannel_logout_session_required":true,` +
				`"frontchannel_logout_uri":"https://app.example.test/auth/frontchannel-logout","frontchannel_logout_session_required":true}`,
			`register with https://id.example.test for client "app":
  redirect_uris: https://app.example.test/done
  post_logout_redirect_uris: https://app.example.test/goodbye?a=b
  initiate_login_uri: https://app.example.test/in
  backchannel_logout_uri: https://app.example.test/back
  frontchannel_logout_uri: https://app.example.test/auth/frontchannel-logout`},
		{"http", func(c *core.Config) {
			c.RedirectURL, c.Providers[0].Issuer = "http://localhost:8080/auth/callback", "http://localhost:9000"
			c.Providers[0].Scopes = []string{"openid", "offline_access"}
		},
			`{"client_id":"app","redirect_uris":["http://localhost:8080/auth/callback"],"response_types":["code"],"grant_types":["authorization_code","refresh_token"],` +
				`"scope":"openid offline_access","post_logout_redirect_uris":["http://localhost:8080/"]}`,
			`register with http://localhost:9000 for client "app":
  redirect_uris: http://localhost:8080/auth/callback
  post_logout_redirect_uris: http://localhost:8080/`},
		{"own sessions, which the provider can end, and a local logout", func(c *core.Config) {
			nothing := func(http.ResponseWriter, *http.Request) error { return nil }
			c.Sessions.Own = &core.OwnSessions{
				Start:         func(http.ResponseWriter, *http.Request, *core.Login) (bool, error) { return false, nil },
				End:           nothing,
				EndByProvider: func(context.Context, string, string, string, string) error { return nil },
			}
			c.Logout.Local = true
		},
			`{"client_id":"app","redirect_uris":["https://app.example.test/auth/callback"],"response_types":["code"],"grant_types":["authorization_code"],` +
				`"scope":"openid profile email","initiate_login_uri":"https://app.example.test/auth/login",` +
				`"backchannel_logout_uri":"https://app.example.test/auth/backchannel-logout","backchannel_logout_session_required":true,` +
				`"frontchannel_logout_uri":"https://app.example.test/auth/frontchannel-logout","frontchannel_logout_session_required":true}`,
			`register with https://id.example.test for client "app":
  redirect_uris: https://app.example.test/auth/callback
  initiate_login_uri: https://app.example.test/auth/login
  backchannel_logout_uri: https://app.example.test/auth/backchannel-logout
  frontchannel_logout_uri: https://app.example.test/auth/frontchannel-logout`},
		{"a strong client with a route for its keys", func(c *core.Config) {
			published(c)
			p := &c.Providers[0]
			p.ClientSecret, p.Client = "", core.ClientConfig{SigningKeys: []core.SigningKey{{Signer: clientKey}, {Signer: rsaKey}}, DecryptionKeys: []crypto.PrivateKey{rsaToo}, DPoP: true}
			p.Requests = core.RequestConfig{PAR: true, SignedRequest: true, SignedResponse: true, AuthorizationDetails: `[{"type":"a"},{"type":"b"},{"type":"a"}]`}
			p.Checks.SigningAlg, c.Pages.LoginPath, c.Logout.Local = "ES256", "/in", true
		},
			`{"client_id":"app","redirect_uris":["https://app.example.test/auth/callback"],"response_types":["code"],"grant_types":["authorization_code"],` +
				`"scope":"openid profile email","token_endpoint_auth_method":"private_key_jwt","token_endpoint_auth_signing_alg":"ES256","jwks_uri":"https://app.example.test/auth/jwks",` +
				`"dpop_bound_access_tokens":true,"require_pushed_authorization_requests":true,"require_signed_request_object":true,"request_object_signing_alg":"ES256",` +
				`"authorization_details_types":["a","b"],"id_token_signed_response_alg":"ES256","authorization_signed_response_alg":"ES256",` +
				`"id_token_encrypted_response_alg":"RSA-OAEP-256","id_token_encrypted_response_enc":"A256GCM","initiate_login_uri":"https://app.example.test/in"}`,
			`register with https://id.example.test for client "app":
  redirect_uris: https://app.example.test/auth/callback
  initiate_login_uri: https://app.example.test/in
  jwks_uri: https://app.example.test/auth/jwks`},
		{"a strong client that follows the metadata", func(c *core.Config) {
			c.Providers[0].Client = core.ClientConfig{SigningKeys: []core.SigningKey{{Signer: edKey, KeyID: "k"}}, DecryptionKeys: []crypto.PrivateKey{clientKey}}
			c.Logout.Local = true
		},
			`{"client_id":"app","redirect_uris":["https://app.example.test/auth/callback"],"response_types":["code"],"grant_types":["authorization_code"],"scope":"openid profile email",` +
				`"jwks":{"keys":[{"use":"sig","kty":"OKP","kid":"k","crv":"Ed25519","x":"` + encode(edKey.Public().(ed25519.PublicKey)) + `"},` + encryptionKeyJSON(t, clientKey) + `]},` +
				`"id_token_encrypted_response_alg":"ECDH-ES","id_token_encrypted_response_enc":"A256GCM","initiate_login_uri":"https://app.example.test/auth/login"}`,
			`register with https://id.example.test for client "app":
  redirect_uris: https://app.example.test/auth/callback
  initiate_login_uri: https://app.example.test/auth/login`},
		{"an RSA key, whose algorithm the metadata decides", func(c *core.Config) {
			published(c)
			c.Providers[0].ClientSecret, c.Providers[0].Client.SigningKeys, c.Logout.Local = "", []core.SigningKey{{Signer: rsaKey}}, true
		},
			`{"client_id":"app","redirect_uris":["https://app.example.test/auth/callback"],"response_types":["code"],"grant_types":["authorization_code"],"scope":"openid profile email",` +
				`"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://app.example.test/auth/jwks","initiate_login_uri":"https://app.example.test/auth/login"}`,
			`register with https://id.example.test for client "app":
  redirect_uris: https://app.example.test/auth/callback
  initiate_login_uri: https://app.example.test/auth/login
  jwks_uri: https://app.example.test/auth/jwks`},
		{"a certificate", func(c *core.Config) {
			c.HTTPClient = nil
			c.Providers[0].ClientSecret, c.Logout.Local = "", true
			c.Providers[0].Client = core.ClientConfig{AuthMethod: "tls_client_auth", Certificate: func() (*tls.Certificate, error) { return nil, nil }}
		},
			`{"client_id":"app","redirect_uris":["https://app.example.test/auth/callback"],"response_types":["code"],"grant_types":["authorization_code"],"scope":"openid profile email",` +
				`"token_endpoint_auth_method":"tls_client_auth","tls_client_certificate_bound_access_tokens":true,"initiate_login_uri":"https://app.example.test/auth/login"}`,
			`register with https://id.example.test for client "app":
  redirect_uris: https://app.example.test/auth/callback
  initiate_login_uri: https://app.example.test/auth/login`},
		{"without OpenID Connect", func(c *core.Config) {
			c.Logout.Revocations = new(core.MemoryRevocations)
			c.Providers[0] = core.Provider{Name: "Plain", ClientID: "app", FetchUser: fetchNobody, Endpoints: core.EndpointConfig{
				AuthURL: "https://plain.example.test/a", TokenURL: "https://plain.example.test/t",
			}}
		},
			`{"client_id":"app","redirect_uris":["https://app.example.test/auth/callback/Plain"],"response_types":["code"],"grant_types":["authorization_code"],` +
				`"token_endpoint_auth_method":"none"}`,
			`register with https://plain.example.test for client "app":
  redirect_uris: https://app.example.test/auth/callback/Plain`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := newRig(t, test.change).auth.Registrations()
			if len(got) != 1 {
				t.Fatalf("got %d registrations", len(got))
			}
			text, err := json.Marshal(got[0])
			if err != nil || string(text) != test.want {
				t.Errorf("got  %s\nwant %s\n%v", text, test.want, err)
			}
			if printed := fmt.Sprint(got[0]); printed != test.print {
				t.Errorf("prints\n%s\nwant\n%s", printed, test.print)
			}
			if strings.Contains(string(text)+fmt.Sprintf("%+v %#v", got, got), "canary") {
				t.Error("the secret is in it")
			}
		})
	}
}

// Each provider has its own, in the order of the Config, and the names to tell them apart.
// What a caller does to the result has no effect.
func TestRegistrationsOfSeveralProviders(t *testing.T) {
	t.Parallel()
	g := newDuo(t)
	for range 2 {
		got := g.auth.Registrations()
		if len(got) != 2 || got[0].Provider != "one" || got[0].Issuer != issuer || got[0].RedirectURIs[0] != callbackURL+"/one" ||
			got[1].Provider != "two" || got[1].Issuer != otherIssuer || got[1].RedirectURIs[0] != callbackURL+"/two" {
			t.Errorf("got %v", got)
		}
		got[0].RedirectURIs[0], got[1].Provider = "x", "x"
	}
}

func fetchNobody(context.Context, *http.Client) (map[string]any, error) { return nil, nil }

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// encryptionKeyJSON is the JWK of a decryption key.
func encryptionKeyJSON(t testing.TB, key *ecdsa.PrivateKey) string {
	t.Helper()
	encoded, err := json.Marshal(jose.JSONWebKey{Key: key.Public(), KeyID: thumbprint(t, key), Use: "enc"})
	if err != nil {
		t.Fatal(err)
	}
	return string(encoded)
}
