package preset

import (
	"net/url"

	"github.com/pixyauth/pixy/core"
)

// LoginGov is Login.gov of the government of the United States, by its domain:
// secure.login.gov, or idp.int.identitysandbox.gov for the sandbox.
//
// Create an application with the protocol OpenID Connect and the method
// private_key_jwt, its redirect URIs (also those after logout), and a public
// certificate, which is for an RSA key of at least 2048 bits. Give that key in
// SigningKeys. There are no client secrets: without SigningKeys, the
// application is a public client, for the method PKCE. PKCE is used in any case.
//
// Login.gov documents RS256 as the algorithm and the token endpoint as the
// audience of assertions, so the preset sets both. Each request must say the
// service level in acr_values. The preset asks for urn:acr.login.gov:auth-only,
// without identity verification. For another level, change the parameter, and
// compare the claim acr in OnLogin:
//
//	p.Requests.AuthParams.Set("acr_values", "urn:acr.login.gov:verified")
//
// The scopes are openid and email. The login requests UserInfo, because ID
// tokens have no e-mail address. Other attributes need other scopes, and some an
// identity that was verified. The subject is a UUID that is specific to the user
// and the agency. Login.gov asks the user to confirm a logout.
//
// https://developers.login.gov/oidc/getting-started,
// https://developers.login.gov/oidc/token, https://developers.login.gov/attributes
func LoginGov(domain string, client Client) core.Provider {
	issuer := below(address(domain), "%s", "/")
	p := withUserInfo(famous("Login.gov", issuer, client))
	p.Name = "LoginGov"
	p.Scopes = []string{"openid", "email"}
	p.Requests.AuthParams = url.Values{"acr_values": {"urn:acr.login.gov:auth-only"}}
	p.Client.SigningKeys = nil
	for _, key := range client.SigningKeys { // a copy, which belongs to the result
		if key.Alg == "" {
			key.Alg = "RS256"
		}
		p.Client.SigningKeys = append(p.Client.SigningKeys, key)
	}
	return assertedTo(below(address(domain), "%s", "/api/openid_connect/token"), p)
}
