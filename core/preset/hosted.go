package preset

import (
	"strings"

	"github.com/pixyauth/pixy/core"
)

// Google is for everybody who has a Google account.
//
// Register a client of type "Web application" and its authorized redirect URI.
// The subject is the account's number: unique, and never given to somebody else.
// The claim hd names the Google Workspace organization of an account that has
// one. To admit one organization only, set AuthParams hd, which is a request, and
// compare the claim in OnLogin, which is what counts. EmailVerified is as Google
// says it.
//
// https://developers.google.com/identity/openid-connect/openid-connect
func Google(client Client) core.Provider {
	return provider("Google", "https://accounts.google.com", client)
}

// Slack is Sign in with Slack.
//
// Create an app, add the redirect URL under "OAuth & Permissions" and the user
// scopes openid, profile and email. Leave the app's PKCE setting off: it makes a
// public client of the app, and Slack's OpenID Connect token endpoint has been
// reported to refuse such an app's secret together with a verifier. Without the
// setting Slack does not look at the challenge: what stops a stolen code is
// then its secret, the state, and the nonce, which Slack returns.
//
// The subject is the Slack user id. Ids are unique throughout Slack, but any
// workspace's members may log in: compare the claim https://slack.com/team_id in
// OnLogin to admit your own only.
//
// https://docs.slack.dev/authentication/sign-in-with-slack,
// https://docs.slack.dev/authentication/using-pkce
func Slack(client Client) core.Provider { return provider("Slack", "https://slack.com", client) }

// Okta is an Okta authorization server: https://example.okta.com for the
// organization's own, https://example.okta.com/oauth2/default or the like for
// another. The issuer has no final slash.
//
// Create an app integration of type "OIDC, Web Application" with the sign-in and
// sign-out redirect URIs. UserInfo is asked, because ID tokens that come with an
// access token leave out the profile. The subject is the Okta user id; at another
// server than the organization's, sub can be configured to be something that
// changes: leave it alone.
//
// https://developer.okta.com/docs/concepts/auth-servers
func Okta(issuer string, client Client) core.Provider {
	return withUserInfo(provider("Okta", address(issuer), client))
}

// Auth0 is an Auth0 tenant, by its domain such as example.eu.auth0.com, or by its
// custom domain.
//
// Create a "Regular Web Application" with the allowed callback and logout URLs.
// The issuer has a final slash, which is easily forgotten. The subject has the
// connection before the user's id there (such as auth0|123): accounts that are
// not linked in Auth0 are different users.
//
// https://auth0.com/docs/get-started/applications/application-settings
func Auth0(domain string, client Client) core.Provider {
	return provider("Auth0", below(address(domain), "%s", "/"), client)
}

// Cognito is an Amazon Cognito user pool, by its id such as
// eu-central-1_AbCdEfGhI, whose first part is the region.
//
// Create an app client with the authorization code grant, the scopes openid,
// profile and email, and its allowed callback and sign-out URLs; the pool needs a
// domain. Pools with the newer issuer need Issuer set to
// https://issuer-cognito-idp.region.amazonaws.com/pool-id. UserInfo is not
// asked: it spells email_verified as a string, while the ID token has a boolean.
// Logout calls its target logout_uri. The subject is the user's sub in the pool,
// a UUID that never changes.
//
// Users who came to the pool through another provider have been reported to get
// ID tokens with a nonce of the pool's own; their logins are refused.
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

// provider is an OpenID provider that does all by the book, unless the caller
// says otherwise.
func provider(name, issuer string, client Client) core.Provider {
	return core.Provider{Name: name, Issuer: issuer, ClientID: client.ID, ClientSecret: client.Secret}
}

// withUserInfo is for providers whose ID tokens do not have name and e-mail.
func withUserInfo(p core.Provider) core.Provider {
	p.Requests.UserInfo = true
	return p
}
