package preset

import "github.com/pixyauth/pixy/core"

// GitLab is gitlab.com, or, with an address such as https://gitlab.example.com, a
// GitLab of your own. An empty address is gitlab.com.
//
// Create an application with the redirect URI, "Confidential", and the scopes
// openid, profile and email. UserInfo is asked, because older versions have name
// and e-mail nowhere else. The subject is the number of the account. Anybody
// can have an account at gitlab.com: look at the claim groups_direct, or at what
// else you go by, in OnLogin.
//
// https://docs.gitlab.com/integration/openid_connect_provider
func GitLab(url string, client Client) core.Provider {
	if url == "" {
		url = "https://gitlab.com"
	}
	return withUserInfo(provider("GitLab", address(url), client))
}

// Keycloak is a realm of a Keycloak at an address such as
// https://keycloak.example.com (with /auth at its end before version 17).
//
// Create an OpenID Connect client with client authentication, the standard flow,
// and its valid redirect and post-logout redirect URIs. Set the method of PKCE to
// S256 there to have it demanded. The subject is the user's id in the realm, a
// UUID that never changes. EmailVerified is as the realm says it. Claims are from the
// ID token: for roles, have a mapper add them to it.
//
// https://www.keycloak.org/securing-apps/oidc-layers
func Keycloak(url, realm string, client Client) core.Provider {
	return provider("Keycloak", below(address(url), "/realms/%s", realm), client)
}

// ZITADEL is an instance of ZITADEL, by its domain or address. Audiences are the
// project's id and the client ids of the project's other applications.
//
// Create a web application with authentication method Basic, or PKCE for a public
// client, and its redirect and post-logout URIs. The audience of ZITADEL's ID
// tokens is not the application alone but its project and all applications of
// it, and a token that names somebody whom nobody has said to trust is refused;
// the log says whom. A project of its own for the application keeps the list
// short. UserInfo is asked, because ID tokens have name and e-mail only if the
// application is set so. The subject is the user's id, which never changes.
//
// https://zitadel.com/docs/apis/openidoauth/claims
func ZITADEL(domain string, client Client, audiences ...string) core.Provider {
	p := withUserInfo(provider("ZITADEL", address(domain), client))
	p.Checks.TrustedAudiences = audiences
	return p
}

// Authentik is an application of an authentik at an address such as
// https://authentik.example.com, by its slug.
//
// Create an OAuth2/OpenID provider with the redirect URI and a signing key:
// without one, authentik signs with the client secret (HS256), and such tokens
// are refused. The issuer has a final slash, and is of the application, which is
// authentik's default ("each provider has a different issuer"). Since 2025.10,
// authentik says of all e-mail addresses that they are not verified, unless a
// scope mapping says otherwise. The subject is a hash of the user's id, if it is
// left at the default.
//
// https://docs.goauthentik.io/add-secure-apps/providers/oauth2/
func Authentik(url, slug string, client Client) core.Provider {
	return provider("Authentik", below(address(url), "/application/o/%s/", slug), client)
}

// Dex is a Dex, by its issuer exactly as Dex's configuration has it.
//
// Add a static client with the redirect URI. The subject is made of the
// connector's id and the user's id there: renaming a connector makes other users
// of its people. EmailVerified is what the connector says, or what Dex was told to
// assume.
//
// https://dexidp.io/docs/configuration/custom-scopes-claims-clients/
func Dex(issuer string, client Client) core.Provider { return provider("Dex", issuer, client) }

// Ory is a project of Ory Network (https://slug.projects.oryapis.com, or its
// custom domain) or an Ory Hydra of your own, by its issuer exactly as the
// configuration has it: Hydra before version 2 puts a slash at its end.
//
// Create an OAuth 2.0 client with the authorization code grant, the scopes openid,
// profile and email, client_secret_basic, and its redirect and post-logout
// redirect URIs. UserInfo is asked, because what an ID token has depends on how
// consent is configured. The subject is the identity's id, a UUID, or what your own
// consent application says.
//
// https://www.ory.com/docs/oauth2-oidc
func Ory(issuer string, client Client) core.Provider {
	return withUserInfo(provider("Ory", issuer, client))
}
