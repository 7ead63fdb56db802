package logintest_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

func TestParseClient(t *testing.T) {
	t.Parallel()
	keys := string(jwks("ES256"))
	for name, test := range map[string]struct {
		registration string
		want         logintest.Client
	}{
		"public": {`{"client_id":"app","redirect_uris":["` + callback + `"],"scope":"openid","grant_types":["authorization_code"]}`,
			logintest.Client{ID: "app", RedirectURIs: []string{callback}}},
		"logouts": {`{"client_id":"app","client_secret":"s","post_logout_redirect_uris":["https://app.example.test/"],"backchannel_logout_uri":"https://app.example.test/b","frontchannel_logout_uri":"https://app.example.test/f"}`,
			logintest.Client{ID: "app", Secret: "s", PostLogoutRedirectURIs: []string{"https://app.example.test/"}, BackChannelLogoutURI: "https://app.example.test/b", FrontChannelLogoutURI: "https://app.example.test/f"}},
		"strong": {`{"client_id":"app","token_endpoint_auth_method":"private_key_jwt","jwks":` + keys + `,"require_pushed_authorization_requests":true,
			"require_signed_request_object":true,"dpop_bound_access_tokens":true,"tls_client_certificate_bound_access_tokens":true,"authorization_details_types":["x"],
			"id_token_signed_response_alg":"ES256","authorization_signed_response_alg":"ES256","id_token_encrypted_response_alg":"ECDH-ES",
			"userinfo_encrypted_response_alg":"RSA-OAEP-256","userinfo_encrypted_response_enc":"A256GCM"}`,
			logintest.Client{ID: "app", AuthMethod: "private_key_jwt", Keys: []byte(keys), RequirePAR: true, RequireSignedRequest: true, DPoP: true, CertificateBound: true,
				AuthorizationDetailsTypes: []string{"x"}, RequireSignedResponse: true, SigningAlg: "ES256",
				EncryptIDToken: logintest.Encryption{Alg: "ECDH-ES", Enc: "A128CBC-HS256"}, EncryptUserInfo: logintest.Encryption{Alg: "RSA-OAEP-256", Enc: "A256GCM"}}},
		"a certificate": {`{"client_id":"app","token_endpoint_auth_method":"tls_client_auth"}`, logintest.Client{ID: "app", AuthMethod: "tls_client_auth"}},
		"jwks_uri":      {`{"client_id":"app","token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://app.example.test/jwks"}`, logintest.Client{ID: "app", AuthMethod: "private_key_jwt", KeysURI: "https://app.example.test/jwks"}},
	} {
		got, err := logintest.ParseClient([]byte(test.registration))
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	for registration, want := range map[string]string{
		`[]`: "a JSON object", `{}`: "client_id is missing", `{"client_id":"app","token_endpoint_auth_method":"x"}`: "AuthMethod must be one of",
		`{"client_id":"app","token_endpoint_auth_method":"private_key_jwt"}`:                                     "needs Keys or KeysURI",
		`{"client_id":"app","jwks":{}}`:                                                                          "Keys: the JWKS has no key",
		`{"client_id":"app","id_token_signed_response_alg":"ES256","authorization_signed_response_alg":"PS256"}`: "must be id_token_signed_response_alg",
		`{"client_id":"app","id_token_encrypted_response_alg":"RSA1_5"}`:                                         "Encryption.Alg must be one of",
	} {
		if got, err := logintest.ParseClient([]byte(registration)); err == nil || !strings.Contains(err.Error(), want) || got.ID != "" {
			t.Errorf("%s: got %+v, %v", registration, got, err)
		}
	}
}
