package logintest_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

func (s *strongBench) metadata() map[string]any {
	s.t.Helper()
	r, err := http.NewRequest("GET", issuer+string(logintest.Discovery), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.do(r).body
}

// The metadata announces what strong clients use, and only if there are any.
func TestMetadataOfStrongClients(t *testing.T) {
	t.Parallel()
	const algs = "[PS256 ES256 EdDSA RS256 PS384 PS512 ES384 ES512 RS384 RS512]"
	for _, test := range []struct {
		name   string
		client logintest.Client
		want   map[string]string
	}{
		{"none", logintest.Client{}, map[string]string{
			"pushed_authorization_request_endpoint": "<nil>", "dpop_signing_alg_values_supported": "<nil>",
			"token_endpoint_auth_methods_supported": "[client_secret_basic client_secret_post none]",
		}},
		{"private_key_jwt", keyClient(nil), map[string]string{
			"pushed_authorization_request_endpoint": issuer + "/par", "require_pushed_authorization_requests": "false",
			"token_endpoint_auth_methods_supported":                 "[client_secret_basic client_secret_post none private_key_jwt]",
			"revocation_endpoint_auth_methods_supported":            "[client_secret_basic client_secret_post none private_key_jwt]",
			"token_endpoint_auth_signing_alg_values_supported":      algs,
			"revocation_endpoint_auth_signing_alg_values_supported": algs,
			"dpop_signing_alg_values_supported":                     algs,
			"request_object_signing_alg_values_supported":           algs,
			"request_parameter_supported":                           "true", "request_uri_parameter_supported": "false", "require_signed_request_object": "false",
			"response_modes_supported":                   "[query form_post jwt query.jwt form_post.jwt]",
			"id_token_signing_alg_values_supported":      "[RS256 PS256 ES256 EdDSA]",
			"userinfo_signing_alg_values_supported":      "[RS256 PS256 ES256 EdDSA]",
			"authorization_signing_alg_values_supported": "[RS256 PS256 ES256 EdDSA]",
			"id_token_encryption_alg_values_supported":   "[RSA-OAEP RSA-OAEP-256 ECDH-ES ECDH-ES+A128KW ECDH-ES+A256KW]",
			"userinfo_encryption_enc_values_supported":   "[A128GCM A256GCM A128CBC-HS256 A256CBC-HS512]",
		}},
		{"client_secret_jwt", logintest.Client{AuthMethod: "client_secret_jwt", Secret: "x"}, map[string]string{
			"token_endpoint_auth_signing_alg_values_supported": algs[:len(algs)-1] + " HS256 HS384 HS512]",
			"dpop_signing_alg_values_supported":                algs,
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := newStrongBench(t, test.client).metadata()
			for name, want := range test.want {
				if got := fmt.Sprint(got[name]); got != want {
					t.Errorf("%s: got %s, want %s", name, got, want)
				}
			}
		})
	}
	t.Run("all clients push and sign", func(t *testing.T) {
		t.Parallel()
		s := newStrongBench(t, keyClient(func(c *logintest.Client) { c.RequirePAR, c.RequireSignedRequest = true, true }))
		s.provider = logintest.NewProvider(issuer, s.client)
		s.http.Transport = s.provider.HTTPClient().Transport
		got := s.metadata()
		if got["require_pushed_authorization_requests"] != true || got["require_signed_request_object"] != true || fmt.Sprint(got["token_endpoint_auth_methods_supported"]) != "[private_key_jwt]" {
			t.Errorf("got %v", got)
		}
	})
}
