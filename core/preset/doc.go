// Package preset gives a [core.Provider] for login providers that many people
// have, from what only their registration there can tell.
//
//	Providers: []core.Provider{
//		preset.Google(preset.Client{ID: googleID, Secret: googleSecret}),
//		preset.GitHub(preset.Client{ID: gitHubID, Secret: gitHubSecret}),
//	},
//
// What comes back is an ordinary value, whose fields may be changed before
// [core.New] has it: Name, Scopes, AuthParams. A preset weakens no check. Where a
// provider departs from the standards, its comment says how, and what that
// means for the application.
//
// The comments go by the providers' own documentation. Each preset is tested
// against a test provider with the same quirks, and none against the live
// service.
//
// # What to register
//
// The redirect URI is Config.RedirectURL if there is one provider, and
// Config.RedirectURL + "/" + Name if there are several, to the byte. Each preset
// sets Name, so https://app.example.com/auth/callback/Google is an example. Where
// the provider ends sessions of its own, register the URL of Logout.After, too.
//
// # Who somebody is
//
// By [core.User.Key] alone, whatever the provider. An e-mail address is a label;
// EmailVerified is true only where the provider says so, literally.
//
// # None for LinkedIn
//
// LinkedIn's token endpoint answers invalid_client to a web application that
// sends a code verifier (RFC 7636), and its ID tokens lack the nonce. Only native
// applications on a loopback address get PKCE, if LinkedIn grants it to them
// (https://learn.microsoft.com/linkedin/shared/authentication/authorization-code-flow-native).
// There is no login without PKCE here, so there is no preset.
package preset
