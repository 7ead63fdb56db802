package logintest

import (
	"encoding/json"
	"net/http"
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
