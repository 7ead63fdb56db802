// Package logintest helps to test applications that log people in: a
// [Provider] that really is an OpenID provider and can be told to misbehave, and
// a [Browser] that keeps cookies and walks a login, by redirects or by form_post.
// Both work in memory, without a socket, and both are safe for parallel tests.
//
// [Attack] puts them to use: it attacks an application's login, whatever it is
// made with, and says in one sentence each what an attack has shown.
//
//	func TestAttack(t *testing.T) {
//		logintest.Attack(t, logintest.Target{Start: func(provider *logintest.Provider) http.Handler {
//			return newApp(provider.Issuer(), provider.HTTPClient())
//		}})
//	}
//
// [SignedIn] is for tests of what is behind the login: it signs a user in
// without any provider. For tests of your own there are the parts:
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
// The provider enforces what it should: PKCE by S256 (RFC 7636), client
// authentication, exact redirect URIs, codes that work once, refresh tokens that
// rotate. A test that passes against it does not pass because nobody looked.
//
// What comes after the login is there as well. Refreshes and refresh tokens that
// came twice are counted ([Provider.Refreshes], [Provider.Reused]), and tokens can
// be revoked (RFC 7009). ID tokens name a session (sid); when it ends at the
// end-session endpoint, [Provider.Outbound] has the applications told by
// Back-Channel Logout, and [Browser.Frames] by Front-Channel Logout. Logout tokens
// that are not as they should be are made by [Provider.LogoutToken]:
//
//	token := provider.LogoutToken("app", logintest.User{Subject: "ada"}, func(header, claims map[string]any) {
//		claims["nonce"] = "n"
//	})
//	client := logintest.InMemory(map[string]http.Handler{"https://app.example.test": app})
//	answer, err := logintest.PostLogoutToken(ctx, client, "https://app.example.test/auth/backchannel-logout", token)
//
// It is for tests and development. It keeps everything in memory, and believes
// whatever its Authenticate says.
package logintest
