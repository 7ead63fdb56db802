package logintest

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
)

// ParseClient reads a client's registration as JSON, by the names of RFC 7591
// section 2 and of the standards of strong clients. It reads what
// core.Registration writes: an application's own registration makes the provider
// demand what the application is configured to do. Members that are no fields of
// [Client], such as grant_types and scope, are ignored. Certificates, Scope,
// DPoPNonces and FAPI2 have no such name: set them afterwards.
//
// A client with authorization_signed_response_alg gets RequireSignedResponse. It
// must have the same algorithm for ID tokens, if it has one for them.
func ParseClient(registration []byte) (Client, error) {
	var r struct {
		ID             string          `json:"client_id"`
		Secret         string          `json:"client_secret"`
		RedirectURIs   []string        `json:"redirect_uris"`
		LogoutURIs     []string        `json:"post_logout_redirect_uris"`
		BackChannel    string          `json:"backchannel_logout_uri"`
		FrontChannel   string          `json:"frontchannel_logout_uri"`
		AuthMethod     string          `json:"token_endpoint_auth_method"`
		Keys           json.RawMessage `json:"jwks"`
		KeysURI        string          `json:"jwks_uri"`
		Bound          bool            `json:"tls_client_certificate_bound_access_tokens"`
		DPoP           bool            `json:"dpop_bound_access_tokens"`
		PAR            bool            `json:"require_pushed_authorization_requests"`
		SignedRequest  bool            `json:"require_signed_request_object"`
		Details        []string        `json:"authorization_details_types"`
		IDTokenAlg     string          `json:"id_token_signed_response_alg"`
		ResponseAlg    string          `json:"authorization_signed_response_alg"`
		IDTokenKeyAlg  string          `json:"id_token_encrypted_response_alg"`
		IDTokenEnc     string          `json:"id_token_encrypted_response_enc"`
		UserInfoKeyAlg string          `json:"userinfo_encrypted_response_alg"`
		UserInfoEnc    string          `json:"userinfo_encrypted_response_enc"`
	}
	if err := json.Unmarshal(registration, &r); err != nil {
		return Client{}, fmt.Errorf("logintest: a client's registration must be a JSON object: %w", err)
	}
	client := Client{
		ID: r.ID, Secret: r.Secret, RedirectURIs: r.RedirectURIs, PostLogoutRedirectURIs: r.LogoutURIs,
		BackChannelLogoutURI: r.BackChannel, FrontChannelLogoutURI: r.FrontChannel,
		AuthMethod: r.AuthMethod, Keys: r.Keys, KeysURI: r.KeysURI,
		CertificateBound: r.Bound, DPoP: r.DPoP, RequirePAR: r.PAR, RequireSignedRequest: r.SignedRequest,
		RequireSignedResponse: r.ResponseAlg != "", SigningAlg: cmp.Or(r.IDTokenAlg, r.ResponseAlg),
		AuthorizationDetailsTypes: r.Details,
		EncryptIDToken:            encryption(r.IDTokenKeyAlg, r.IDTokenEnc), EncryptUserInfo: encryption(r.UserInfoKeyAlg, r.UserInfoEnc),
	}
	err := client.check()
	switch {
	case r.ID == "":
		err = errors.New("client_id is missing")
	case r.ResponseAlg != "" && r.IDTokenAlg != "" && r.ResponseAlg != r.IDTokenAlg:
		err = errors.New("authorization_signed_response_alg must be id_token_signed_response_alg")
	case client.usesCertificate():
		err = nil // Certificates are set afterwards
	}
	if err != nil {
		return Client{}, fmt.Errorf("logintest: the registration of client %q: %w", r.ID, err)
	}
	return client, nil
}

// encryption returns how tokens are encrypted, by the default of OpenID Connect
// Dynamic Client Registration section 2.
func encryption(alg, enc string) Encryption {
	if alg != "" {
		enc = cmp.Or(enc, "A128CBC-HS256")
	}
	return Encryption{Alg: alg, Enc: enc}
}
