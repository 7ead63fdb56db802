// Package logintest tests applications that log users in. [Provider] is a real
// OpenID provider that tests can make misbehave. [Browser] keeps cookies and
// follows a login, through redirects or form_post. Both work in memory, without
// a socket, and both are safe for parallel tests.
//
// [Attack] attacks an application's login, whatever library the application
// uses. It reports each successful attack in one sentence.
//
//	func TestAttack(t *testing.T) {
//		logintest.Attack(t, logintest.Target{Start: func(provider *logintest.Provider) http.Handler {
//			return newApp(provider.Issuer(), provider.HTTPClient())
//		}})
//	}
//
// [SignedIn] is for tests of the pages behind the login. It signs a user in
// without a provider. For other tests, use a Provider and a Browser directly:
//
//	provider := logintest.NewProvider("https://id.example.test", logintest.Client{
//		ID: "app", RedirectURIs: []string{"https://app.example.test/auth/callback"},
//	})
//	config.HTTPClient = provider.HTTPClient() // of the application under test
//
//	browser := logintest.NewBrowser()
//	browser.Serve("https://id.example.test", provider)
//	browser.Serve("https://app.example.test", app)
//	page, err := browser.Get("https://app.example.test/private")
//
// The provider enforces the standards: PKCE with S256 (RFC 7636), client
// authentication, exact redirect URIs, codes that work once, and refresh tokens
// that rotate. A request that breaks one of these rules fails the login, and
// the test.
//
// Fields of [Client] make it demand what strong clients do, each rule by
// itself: client authentication by a signed assertion (private_key_jwt,
// client_secret_jwt) or a certificate (RFC 8705), pushed authorization requests
// (RFC 9126), signed requests (RFC 9101) and responses (JARM), encrypted tokens,
// DPoP (RFC 9449) with nonces, certificate-bound tokens, authorization_details
// (RFC 9396), and all of the FAPI 2.0 Security Profile. [Provider.Protect] is a
// resource server with these rules.
//
// It also supports what follows a login. It counts refreshes
// ([Provider.Refreshes]) and reused refresh tokens ([Provider.Reused]), and
// revokes tokens (RFC 7009). ID tokens name a session (sid). When the session
// ends at the end-session endpoint, the provider notifies applications by
// Back-Channel Logout ([Provider.Outbound]) and by Front-Channel Logout
// ([Browser.Frames]). [Provider.LogoutToken] creates valid and invalid logout
// tokens:
//
//	token := provider.LogoutToken("app", logintest.User{Subject: "ada"}, func(header, claims map[string]any) {
//		claims["nonce"] = "n"
//	})
//	client := logintest.InMemory(map[string]http.Handler{"https://app.example.test": app})
//	answer, err := logintest.PostLogoutToken(ctx, client, "https://app.example.test/auth/backchannel-logout", token)
//
// The provider is for tests and development only. It keeps all state in memory,
// and accepts every user that its Authenticate returns.
package logintest
