package logintest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// serveDiscovery serves the metadata of OpenID Connect Discovery section 3, RFC
// 8414 section 2, and OpenID Connect Back- and Front-Channel Logout.
func (p *Provider) serveDiscovery(w http.ResponseWriter, _ *http.Request) {
	metadata := map[string]any{
		"issuer":                                         p.issuer,
		"authorization_endpoint":                         p.url(Authorization),
		"token_endpoint":                                 p.url(Token),
		"jwks_uri":                                       p.url(JWKS),
		"userinfo_endpoint":                              p.url(UserInfo),
		"end_session_endpoint":                           p.url(EndSession),
		"revocation_endpoint":                            p.url(Revocation),
		"response_types_supported":                       []string{"code"},
		"response_modes_supported":                       []string{"query", "form_post"},
		"grant_types_supported":                          []string{"authorization_code", "refresh_token"},
		"subject_types_supported":                        []string{"public"},
		"id_token_signing_alg_values_supported":          []string{"RS256", "ES256"},
		"token_endpoint_auth_methods_supported":          []string{"client_secret_basic", "client_secret_post", "none"},
		"revocation_endpoint_auth_methods_supported":     []string{"client_secret_basic", "client_secret_post", "none"},
		"code_challenge_methods_supported":               []string{"S256"},
		"authorization_response_iss_parameter_supported": true,
		"scopes_supported":                               []string{"openid", "profile", "email", "offline_access"},
		"claims_supported":                               []string{"sub", "name", "email", "email_verified", "auth_time", "acr", "sid"},
		"backchannel_logout_supported":                   true,
		"backchannel_logout_session_supported":           true,
		"frontchannel_logout_supported":                  true,
		"frontchannel_logout_session_supported":          true,
	}
	p.announce(metadata)
	if edit := p.misbehaviour().Discovery; edit != nil {
		edit(metadata)
	}
	writeJSON(w, http.StatusOK, metadata)
}

// signingAlgs are the algorithms with which the provider signs.
var signingAlgs = []string{"RS256", "PS256", "ES256", "EdDSA"}

// announce adds what strong clients use, if there are any.
func (p *Provider) announce(metadata map[string]any) {
	clients := slices.Collect(maps.Values(p.clients))
	all := func(has func(Client) bool) bool {
		return !slices.ContainsFunc(clients, func(c Client) bool { return !has(c) })
	}
	if all(func(c Client) bool { return !c.strong() }) {
		return
	}
	var methods []string
	for _, client := range clients {
		methods = append(methods, client.authMethods()...)
	}
	slices.Sort(methods)
	methods = slices.Compact(methods)
	algs := strings.Fields(join(asymmetric))
	metadata["pushed_authorization_request_endpoint"] = p.url(PAR)
	metadata["require_pushed_authorization_requests"] = all(func(c Client) bool { return c.RequirePAR })
	metadata["dpop_signing_alg_values_supported"] = algs
	metadata["request_parameter_supported"] = true
	metadata["request_uri_parameter_supported"] = false // only those of pushed requests
	metadata["require_signed_request_object"] = all(func(c Client) bool { return c.RequireSignedRequest })
	metadata["request_object_signing_alg_values_supported"] = algs
	metadata["response_modes_supported"] = responseModes
	for _, signed := range []string{"id_token", "userinfo", "authorization"} {
		metadata[signed+"_signing_alg_values_supported"] = signingAlgs
	}
	for _, encrypted := range []string{"id_token", "userinfo"} {
		metadata[encrypted+"_encryption_alg_values_supported"] = keyAlgs
		metadata[encrypted+"_encryption_enc_values_supported"] = contentEncs
	}
	if slices.Contains(methods, methodSecretJWT) {
		algs = append(algs, "HS256", "HS384", "HS512")
	}
	for _, endpoint := range []string{"token_endpoint", "revocation_endpoint"} {
		metadata[endpoint+"_auth_methods_supported"] = methods
		metadata[endpoint+"_auth_signing_alg_values_supported"] = algs
	}
}

func writeJSON(w http.ResponseWriter, status int, value any) {
	body, err := json.Marshal(value)
	if err != nil { // a fault has inserted a value that JSON cannot encode
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body)
}
