package preset

import "github.com/pixyauth/pixy/core"

// GitLab is gitlab.com, or your own GitLab at a URL such as
// https://gitlab.example.com. An empty url means gitlab.com.
//
// Create an application with the redirect URI, "Confidential", and the scopes
// openid, profile and email. The login requests UserInfo, because older
// versions have name and e-mail only there. The subject is the account's
// number. Everyone can create an account at gitlab.com: in OnLogin, check the
// claim groups_direct or another criterion of your own.
//
// https://docs.gitlab.com/integration/openid_connect_provider
func GitLab(url string, client Client) core.Provider {
	if url == "" {
		return withUserInfo(famous("GitLab", "https://gitlab.com", client))
	}
	return withUserInfo(provider("GitLab", address(url), client))
}

// Keycloak is a realm of a Keycloak at a URL such as
// https://keycloak.example.com. Before version 17, the URL ends with /auth.
//
// Create an OpenID Connect client with client authentication, the standard
// flow, and its valid redirect and post-logout redirect URIs. Set its PKCE
// method to S256 to make Keycloak require PKCE. The subject is the user's id in
// the realm, a UUID that never changes. EmailVerified is what the realm says.
// Claims come from the ID token: for roles, add a mapper that puts them there.
//
// The url is the one that browsers use. If the application reaches Keycloak by
// another one, set Endpoints.InternalURL of the result, and configure Keycloak's
// option hostname with the url.
//
// SigningKeys: choose the client authenticator "Signed Jwt", and under "Keys"
// the JWKS URL, or import the keys. FAPI2 of the result fits Keycloak's client
// profiles for FAPI 2. With Requests.SignedResponse, switch on "Exclude Issuer
// From Authentication Response" in the client's compatibility modes. Otherwise
// Keycloak's signed response has the claim iss twice, and is refused. Keycloak
// encrypts only to keys whose alg is that of the encryption. The key set at
// KeysPath has none: for Client.DecryptionKeys, import the keys with alg.
//
// https://www.keycloak.org/securing-apps/oidc-layers,
// https://www.keycloak.org/docs/latest/server_admin/#_client-credentials
func Keycloak(url, realm string, client Client) core.Provider {
	return provider("Keycloak", below(address(url), "/realms/%s", realm), client)
}

// ZITADEL is an instance of ZITADEL, by its domain or URL. Audiences are the
// project's id and the client ids of the other applications in the project.
//
// Create a web application with authentication method Basic, or PKCE for a
// public client, and its redirect and post-logout URIs. The audience of
// ZITADEL's ID tokens contains the project and all its applications. A token
// with an audience that is not listed is rejected, and the log names that
// audience. To keep the list short, give the application its own project. The
// login requests UserInfo, because ID tokens contain name and e-mail only if
// the application is configured so. The subject is the user's id, which never
// changes.
//
// SigningKeys: choose the authentication method Private Key JWT, and add a key
// of type JSON. [ZITADELKey] reads the file.
//
// https://zitadel.com/docs/apis/openidoauth/claims,
// https://zitadel.com/docs/apis/openidoauth/authn-methods
func ZITADEL(domain string, client Client, audiences ...string) core.Provider {
	p := withUserInfo(provider("ZITADEL", address(domain), client))
	p.Checks.TrustedAudiences = audiences
	return p
}

// Authentik is an application, by its slug, of an authentik at a URL such as
// https://authentik.example.com.
//
// Create an OAuth2/OpenID provider with the redirect URI and a signing key.
// Without a signing key, authentik signs with the client secret (HS256), and
// such tokens are rejected. Leave the issuer mode at its default ("each
// provider has a different issuer"). The issuer ends with a slash. Since
// 2025.10, authentik reports all e-mail addresses as unverified, unless a scope
// mapping says otherwise. The subject is a hash of the user's id, unless its
// mode was changed.
//
// https://docs.goauthentik.io/add-secure-apps/providers/oauth2/
func Authentik(url, slug string, client Client) core.Provider {
	return provider("Authentik", below(address(url), "/application/o/%s/", slug), client)
}

// Dex is a Dex, by its issuer exactly as in Dex's configuration.
//
// Add a static client with the redirect URI. The subject is derived from the
// connector's id and the user's id there: after a connector is renamed, its
// users have new subjects. EmailVerified is what the connector says, or what
// Dex is configured to assume.
//
// https://dexidp.io/docs/configuration/custom-scopes-claims-clients/
func Dex(issuer string, client Client) core.Provider { return provider("Dex", issuer, client) }

// Ory is a project of Ory Network (https://slug.projects.oryapis.com, or its
// custom domain), or your own Ory Hydra. The issuer must be exactly the
// configured one: Hydra before version 2 appends a slash.
//
// Create an OAuth 2.0 client with the authorization code grant, the scopes
// openid, profile and email, client_secret_basic, and its redirect and
// post-logout redirect URIs. The login requests UserInfo, because the content
// of an ID token depends on how consent is configured. The subject is the
// identity's id, a UUID, or the one that your own consent application sets.
//
// https://www.ory.com/docs/oauth2-oidc
func Ory(issuer string, client Client) core.Provider {
	return withUserInfo(provider("Ory", issuer, client))
}
