// Package core adds login to web applications: OAuth 2.0 Authorization Code flow
// with PKCE (RFC 6749, RFC 7636), and OpenID Connect. It depends on no framework.
// Mount it with one of the adapters: httplogin, ginlogin, echologin or echo5login.
//
// # How a login works
//
//  1. [Authenticator.Login] creates an attempt: a code verifier, a state and a
//     nonce of 32 random bytes each. It seals them into a cookie that is valid for
//     ten minutes, and redirects the browser to the provider with the S256 challenge
//     of the verifier.
//  2. The provider authenticates the user, and redirects the browser to RedirectURL
//     with a code. If it posts a form instead ([RequestConfig.FormPost]), a page opens
//     the same URL by GET with the form's values, because browsers do not send our
//     cookies with forms of other sites.
//  3. [Authenticator.Callback] finds the attempt by the state, exchanges the code and
//     the verifier for tokens, checks the ID token, and starts a session.
//  4. [Authenticator.Authenticate] opens the session on each guarded request, without
//     using the network. [Authenticator.AuthenticateFor] also checks a [Requirement],
//     and asks for another login if the session does not meet it. If tokens are kept
//     ([TokenConfig.Keep]), the guard refreshes them in time, and handlers use them
//     with [Client] or [TokenSource].
//  5. [Authenticator.Logout] ends the session here and at the provider. With
//     [LogoutConfig.Revocations], [Authenticator.LogoutEverywhere] and the provider
//     end sessions, too: see [Authenticator.BackChannelLogout] and
//     [Authenticator.FrontChannelLogout].
//
// # Checks of a callback, in this order
//
//   - There is exactly one state. This browser has an attempt for it, which opens, is
//     fresh, and belongs to this provider, client and callback. The attempt is deleted,
//     whatever happens next.
//   - iss (RFC 9207): equal if present, and present if the metadata announces it. With
//     [RequestConfig.SignedResponse], all parameters are in a JWT, and none is beside it.
//     Its signature is by a key of the provider. iss is the provider, aud this client
//     alone, and exp and nbf allow the current time.
//   - There is no error, and exactly one code.
//   - The browser does not go in circles: no login for this page has just ended without
//     a session that the page's guard sees.
//   - The token response: the code is sent once, with the verifier and with the client's
//     authentication. token_type is Bearer, or DPoP with [ClientConfig.DPoP].
//   - The ID token, which is decrypted first if it is encrypted
//     ([ClientConfig.DecryptionKeys]): a signature by a key of the provider, with the
//     registered algorithm ([CheckConfig.SigningAlg]) or an asymmetric one from the
//     metadata; iss, aud, azp, exp, iat, nbf, nonce, sub; at_hash and typ JWT if present;
//     auth_time if max_age was sent, and acr if a Requirement names some.
//   - UserInfo, if it is requested: the same sub. A provider without OpenID Connect has
//     no ID token: FetchUser must return a sub.
//   - OnLogin, which is the application's own check.
//
// A logout token is checked as follows: it is the only one in the form; signature as
// above; iss, aud, exp, iat, nbf; a jti that was not seen before; the logout event; no
// nonce; sub or sid; typ JWT or logout+jwt if present.
//
// Nothing turns PKCE off. A provider that supports only the plain method is refused.
//
// # What this package does not do
//
// It does not decide what a user may do: [Requirement.Allow] does. It keeps no list of users, and keeps tokens
// only with Tokens.Keep. An application that works while the user is away stores a
// [Grant], and refreshes it with [Authenticator.GrantSource].
//
// Without [LogoutConfig.Revocations], the server cannot end a session that is in a
// cookie, and a response that renews a session may arrive after a logout. A Store alone
// leaves that gap, too: a renewal that overlaps a logout saves the session again, because
// a gorilla Store cannot save only what still exists.
//
// Front-Channel Logout has no effect if the provider is on another site, because
// browsers do not send Lax cookies to its frames. Back-Channel Logout works everywhere.
//
// Parameters such as prompt, and acr_values in AuthParams, are requests to the provider:
// check the result in OnLogin. A [Requirement] is verified.
//
// # Sessions of the application's own
//
// With [SessionConfig.Own], [Authenticator.Callback] starts no session. It calls
// [OwnSessions.Start], for each callback of a login, and the application guards its pages
// itself, with [Authenticator.Challenge] for anonymous requests. The guards of this
// package return an error. [Authenticator.EndSession] is for logout handlers of the
// application's own.
//
// # Providers and hosts of customers
//
// With [Config.Lookup], one Authenticator serves a provider for each customer. It finds
// them by name in a table of the application, so users can log in at a new one without a
// restart. Their addresses come from customers, so requests to them go to the Internet only
// ([EndpointConfig.PublicOnly]). [Authenticator.RegistrationFor] says what to register with
// such a provider, [Authenticator.Discover] tries it, and [Authenticator.LogoutProvider]
// ends the sessions of its users. Two customers can have one issuer, so identify users by
// [User.Key].
//
// With [Config.Hosts], it serves several hosts, such as one for each customer. Each host
// has its own callback and sessions.
//
// # Several logins
//
// A session belongs to the Authenticator that started it. Authenticators that differ in
// RedirectURL, in [SessionConfig.CookieName], or in whether there is a
// [SessionConfig.Store], cannot open anything of one another, even with the same
// SessionKey: no session, token, login in progress or logout hint. Two Authenticators on
// one host need different values of Sessions.CookieName. Otherwise they log each other's
// users out. With different [Config.BasePath], the defaults differ.
//
// A request may pass several guards. [UserFromContext] returns the answer of the innermost
// guard or loader, which may be nil. [Authenticator.User] returns the answer of one
// Authenticator.
//
// # Cookies
//
// All cookies except -hint, -last and -browser are sealed (AES-256-GCM, with a key for
// each purpose and login). All are HttpOnly and SameSite=Lax. With https, they are also
// Secure, with a prefix that binds them to this host. "pixy" is
// [SessionConfig.CookieName].
//
//	__Host-pixy-session     the session; a second one, -2, if the claims are large
//	__Host-pixy-login-…     one for each login in progress: at most 8, and 4 KB
//	__Host-pixy-return      the page of a login in progress, if its address is long
//	__Host-pixy-browser     a random key of the browser, if it has been given a link with a payload; 10 minutes
//	__Host-pixy-tokens      access and refresh token, if kept; a second one, -2, if large
//	__Host-pixy-landed-…    the page where the last login ended, for a minute, to detect circles
//	__Secure-pixy-logout    the ID token, for the logout path only
//	__Host-pixy-hint        the place of the ID token in the Store, if it is too large for a cookie
//	__Host-pixy-leaving     leads a logout on to the provider; 5 minutes
//	__Host-pixy-last        a hash of the id of the session that the ID token belongs to; with
//	                        Sessions.Own, also the sealed origin of that session
//
// With [HostConfig.SharedDomain], -session, -tokens, -logout, -hint and -last have the
// prefix __Secure- and a Domain attribute. With [Config.Hosts], the seals are for the host,
// or the shared domain, as well.
//
// # Errors
//
// Every failure is an [*Error]. It is logged once, at Warn, with the code and the
// reference that the user sees. Anonymous requests and step-ups are expected, so they are
// not logged.
//
// These are logged at Info: an outage during a request that the browser canceled, a login
// that the user canceled, a page that [Requirement.Allow] keeps a user from, a login that
// starts again because its callback came without its cookie, and each logout by the
// provider that succeeds. The line of such a logout says what it was about and whether a
// session ended, without sid or sub. An ID token that is too large for the logout hint is
// logged at Warn, once for each provider.
//
// [Config.OnEvent] is told of logins, logouts and refreshes, those that succeed included. A
// failure has the reference of its log line: see [Event].
//
// Access logs contain the callback's URL, which has a code and a state. Both are used by
// then: a code works once, and only with the verifier, which no log contains.
//
//	code                      status  cause; remedy
//	login_required            401     the request is anonymous; log in
//	token_missing             401     there is no access token to call an API with; log in again
//	step_up_required          401     the login is too old or too weak for the page; log in again
//	step_up_failed            403     the provider did not confirm what a Requirement asks for; see the log
//	attempt_unknown           400     the attempt of a callback is missing, twice; allow cookies and try again;
//	                                  for all users: wrong host, or different values of SessionKey
//	callback_untrusted        400     iss, code, form or signature of the callback is wrong; try again
//	access_denied             403     the user canceled the login, or the provider denied access; logged at Info
//	provider_refused          403     the provider reports another error; see the log for its name
//	code_refused              403     the provider refuses the code or its verifier; try again
//	refresh_refused           403     the provider refuses a refresh, which ends the session or the grant
//	tokens_lost               401     a refresh is due and the tokens are missing, which ends the session; only in the log
//	login_refused             403     OnLogin returned an error; see the log
//	not_allowed               403     Requirement.Allow does not let the user open the page; logged at Info, or at Warn
//	                                  if Allow panicked
//	tenant_refused            403     the user's tenant is not in Checks.Tenants; add it to let its users log in
//	login_unavailable         503     OnLogin wrapped ErrUnavailable; try again
//	unavailable               503     the application gave ServeError an error that wraps ErrUnavailable
//	provider_unknown          404     the login names a provider that is not configured, not found or left out;
//	                                  the log has the name. In session_ended: the session's looked-up
//	                                  provider is gone, or has another Issuer or ClientID
//	provider_changed          400     Issuer, ClientID or callback of a looked-up provider changed during the login,
//	                                  or the provider was removed; log in again
//	provider_invalid          503     Lookup.Find returned a provider with a mistake in its fields; the log names them
//	lookup_unavailable        503     Lookup.Find, Lookup.Choose or Hosts.Approve returned an error; or, only in the log,
//	                                  SendLink
//	provider_missing          503     there is no provider, or SkipFaultyProviders left all out; see the log of the start
//	not_a_navigation          403     login from a prefetch, a frame or a script; open it as a page
//	cross_origin_logout       403     another site asked for a logout; use a form on a page of this site
//	logout_token_untrusted    400     a logout token failed a check, and no session ended; see the log
//	request_malformed         400     a form for the login path cannot be read
//	host_unknown              421     the request is on a host that is neither RedirectURL's nor one of Config.Hosts;
//	                                  the log has the host; see that the proxy passes the Host header on
//	method_not_allowed        405     wrong method for a route
//	request_refused           502     the provider refuses a pushed authorization request; see the log for its reason
//	client_refused            502     the provider does not accept this client; check ClientID, ClientSecret and the method in the log
//	token_request_refused     502     the provider refuses the token request or a revocation for another reason; see the log
//	pushed_response_untrusted 502     the answer to a pushed authorization request has no usable request_uri; see the log
//	token_response_untrusted  502     the token endpoint's answer is no token response; see the log
//	id_token_untrusted        502     the ID token failed a check; see the log
//	userinfo_untrusted        502     UserInfo is about another user, or cannot be read; see the log
//	provider_metadata_invalid 502     metadata or keys are wrong; check Issuer
//	client_credential_unavailable 503 Client.SecretFunc, a private key or Certificate failed; see the log
//	provider_unavailable      503     the provider is down or slow; try again
//	session_lost              500     a login succeeded, and its session is gone, so the browser would go
//	                                  in circles; the log has the likely causes
//	store_unavailable         503     the Store is down; try again
//	revocations_unavailable   503     Revocations are down; try again
//	refreshes_unavailable     503     Refreshes are down, and a token has expired; try again
//	session_too_large         500     the claims do not fit in cookies; set Sessions.Claims or a Store;
//	                                  administrators with many groups often meet this first
//	tokens_too_large          500     the tokens do not fit in cookies, or in the Store; use a Store with a higher limit
//	data_too_large            500     Login.Data or LoginOptions.Payload has more than 1 KB; keep an id only
//	request_too_large         500     the authorization request is too long for a URL; set Requests.PAR
//	login_guarded             500     a guard of your own is in front of the login's own routes; mount them outside of it,
//	                                  or let it serve RouteFor (the adapters' guards do); or
//	                                  a guard is in front of Pages.SignInPath: make that page public
//	internal_error            500     ServeError was given another kind of error; LoginOptions, a
//	                                  Requirement, a Grant or what OnLogin decided is invalid; or the
//	                                  application could not save a Grant; see the log
package core
