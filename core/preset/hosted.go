package preset

import (
	"strings"

	"github.com/pixyauth/pixy/core"
)

// Google is for all users with a Google account.
//
// Register a client of type "Web application" with its authorized redirect URI.
// The subject is the account's number: unique, and never reused. The claim hd
// names the Google Workspace organization of an account that has one. To admit
// one organization only, compare the claim hd in OnLogin. The parameter hd in
// AuthParams is only a request to Google. EmailVerified is what Google says.
//
// https://developers.google.com/identity/openid-connect/openid-connect
func Google(client Client) core.Provider {
	return famous("Google", "https://accounts.google.com", client)
}

// Slack is Sign in with Slack.
//
// Create an app. Under "OAuth & Permissions", add the redirect URL and the user
// scopes openid, profile and email. Leave the app's PKCE setting off. The
// setting makes the app a public client, and Slack's OpenID Connect token
// endpoint has been reported to reject the client secret of such an app
// together with a verifier. Without the setting, Slack ignores the challenge. A
// stolen code is then stopped by the client secret, the state, and the nonce,
// which Slack returns.
//
// The subject is the Slack user id, which is unique throughout Slack. Members
// of every workspace can log in: to admit one workspace only, compare the claim
// https://slack.com/team_id in OnLogin.
//
// https://docs.slack.dev/authentication/sign-in-with-slack,
// https://docs.slack.dev/authentication/using-pkce
func Slack(client Client) core.Provider { return famous("Slack", "https://slack.com", client) }

// Okta is an Okta authorization server: https://example.okta.com for the
// organization's own, or another one such as
// https://example.okta.com/oauth2/default. The issuer has no trailing slash.
//
// Create an app integration of type "OIDC, Web Application" with the sign-in
// and sign-out redirect URIs. The login requests UserInfo, because an ID token
// that comes with an access token has no profile claims. The subject is the
// Okta user id. On an authorization server other than the organization's own,
// do not configure sub to be a value that can change.
//
// SigningKeys: choose the client authentication "Public key / Private key", and
// save the keys in Okta or give the URL of the key set. Okta documents the token
// endpoint as the audience of assertions, so the preset sets that.
//
// https://developer.okta.com/docs/concepts/auth-servers,
// https://developer.okta.com/docs/guides/build-self-signed-jwt
func Okta(issuer string, client Client) core.Provider {
	issuer = address(issuer)
	token := below(issuer, "%s", "/v1/token")
	if !strings.Contains(issuer, "/oauth2") { // the organization's own server
		token = below(issuer, "%s", "/oauth2/v1/token")
	}
	return assertedTo(token, withUserInfo(provider("Okta", issuer, client)))
}

// Auth0 is an Auth0 tenant, by its domain such as example.eu.auth0.com, or by
// its custom domain.
//
// Create a "Regular Web Application" with the allowed callback and logout URLs.
// The issuer ends with a slash, which Auth0 adds to the domain. The subject
// consists of the connection and the user's id there (such as auth0|123):
// accounts that are not linked in Auth0 are different users.
//
// SigningKeys: under "Credentials", choose the method "Private Key JWT" and
// upload the public key as PEM. Auth0 verifies RS256, RS384 and PS256; set Alg
// to the one that you have chosen there, and KeyID to the key's id there.
//
// https://auth0.com/docs/get-started/applications/application-settings,
// https://auth0.com/docs/get-started/authentication-and-authorization-flow/authenticate-with-private-key-jwt
func Auth0(domain string, client Client) core.Provider {
	return provider("Auth0", below(address(domain), "%s", "/"), client)
}

// Cognito is an Amazon Cognito user pool, by its id such as
// eu-central-1_AbCdEfGhI, which begins with the region.
//
// Create an app client with the authorization code grant, the scopes openid,
// profile and email, and its allowed callback and sign-out URLs. The pool needs
// a domain. For a pool with the newer issuer, set Issuer to
// https://issuer-cognito-idp.region.amazonaws.com/pool-id. The login does not
// request UserInfo, which has email_verified as a string; the ID token has it
// as a boolean. The post-logout redirect parameter is logout_uri. The subject
// is the user's sub in the pool, a UUID that never changes.
//
// Users who come to the pool through another provider have been reported to get
// ID tokens with a nonce of the pool. Such logins fail.
//
// https://docs.aws.amazon.com/cognito/latest/developerguide/federation-endpoints.html,
// https://docs.aws.amazon.com/cognito/latest/developerguide/logout-endpoint.html
func Cognito(poolID string, client Client) core.Provider {
	issuer := ""
	if region, id, _ := strings.Cut(poolID, "_"); id != "" {
		suffix := ""
		if strings.HasPrefix(region, "cn-") { // Amazon Web Services in China
			suffix = ".cn"
		}
		issuer = "https://cognito-idp." + region + ".amazonaws.com" + suffix + "/" + poolID
	}
	p := provider("Cognito", issuer, client)
	p.Requests.LogoutRedirectParam = "logout_uri"
	return p
}

// provider returns a Provider that follows the standards. Callers set what
// differs.
func provider(name, issuer string, client Client) core.Provider {
	p := core.Provider{Name: name, Issuer: issuer, ClientID: client.ID, ClientSecret: client.Secret}
	if len(client.SigningKeys) > 0 {
		p.ClientSecret, p.Client.SigningKeys, p.Client.AuthMethod = "", client.SigningKeys, "private_key_jwt"
	}
	return p
}

// assertedTo sets the audience of client assertions, for providers that document another
// one than their issuer.
func assertedTo(audience string, p core.Provider) core.Provider {
	if len(p.Client.SigningKeys) > 0 {
		p.Client.AssertionAudience = audience
	}
	return p
}

// famous returns a provider whose users know it by name, whatever Name the application
// gives it. Users know any other provider by the organization that runs it.
func famous(name, issuer string, client Client) core.Provider {
	p := provider(name, issuer, client)
	p.Label = name
	return p
}

// withUserInfo is for providers whose ID tokens have no name and e-mail.
func withUserInfo(p core.Provider) core.Provider {
	p.Requests.UserInfo = true
	return p
}
