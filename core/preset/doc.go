// Package preset returns a [core.Provider] for common login providers. It needs
// only what you get when you register your application there.
//
//	Providers: []core.Provider{
//		preset.Google(preset.Client{ID: googleID, Secret: googleSecret}),
//		preset.GitHub(preset.Client{ID: gitHubID, Secret: gitHubSecret}),
//	},
//
// The result is an ordinary value. You can change its fields before you call
// [core.New]: Name, Scopes, AuthParams. A preset weakens no check. Where a
// provider departs from the standards, the comment of its preset says how, and
// what that means for the application.
//
// The comments follow the providers' own documentation. Each preset is tested
// against a test provider with the same quirks. None is tested against the live
// service.
//
// # What to register
//
// Each preset sets Name. So the redirect URI is Config.RedirectURL + "/" + Name,
// such as https://app.example.com/auth/callback/Google, whether there are other
// providers or not. To keep another URI that is registered already, set
// RedirectURL of the result. If the provider supports logout, also register the
// absolute URL of Logout.After as post-logout redirect URI.
// [core.Authenticator.Registrations] returns these URIs.
//
// # Keys in place of secrets
//
// With [Client].SigningKeys, the application authenticates by private_key_jwt, if
// the provider supports it. Set KeysPath of the Config to publish the keys.
//
// # Identifying users
//
// Identify a user by [core.User.Key] only, with every provider. An e-mail
// address is for display. EmailVerified is true only if the provider states it
// as the boolean true.
//
// # No preset for LinkedIn
//
// LinkedIn's token endpoint answers invalid_client to a web application that
// sends a code verifier (RFC 7636), and its ID tokens have no nonce. Only
// native applications on a loopback address can use PKCE, if LinkedIn enables
// it for them
// (https://learn.microsoft.com/linkedin/shared/authentication/authorization-code-flow-native).
// Pixy never logs in without PKCE, so there is no preset.
package preset
