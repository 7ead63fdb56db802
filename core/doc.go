// Package core logs people in to a web application with the OAuth 2.0
// Authorization Code flow and PKCE (RFC 6749, RFC 7636), and OpenID Connect on
// top of it. It knows no framework. Applications mount it through one of the
// adapters: httplogin, ginlogin, echologin or echo5login.
//
// # How a login works
//
//  1. [Authenticator.Login] makes an attempt: a code verifier, a state and a
//     nonce of 32 random bytes each. It seals them into a cookie of their own,
//     which is good for ten minutes, and sends the browser to the provider with
//     the S256 challenge of the verifier.
//  2. The provider asks the person who they are, and sends the browser back to
//     RedirectURL with a code. If it sends a form ([RequestConfig.FormPost]), a page
//     leads from there to the same URL once more, with what the form had: cookies
//     do not come with another site's form.
//  3. [Authenticator.Callback] finds the attempt by the state, redeems the code
//     with the verifier, checks the ID token, and starts a session.
//  4. [Authenticator.Authenticate] opens the session on each guarded request,
//     without any network. [Authenticator.AuthenticateFor] also looks at how the
//     login was: a [Requirement] that it does not meet is met by another login.
//     If tokens are kept ([TokenConfig.Keep]), it has them refreshed when it is
//     time, and handlers use them by [Client] or [TokenSource].
//  5. [Authenticator.Logout] ends it, here and at the provider. With
//     [LogoutConfig.Revocations], so do [Authenticator.LogoutEverywhere] and the
//     provider itself, by [Authenticator.BackChannelLogout] and
//     [Authenticator.FrontChannelLogout].
//
// # What is checked, in this order
//
//   - exactly one state, to which an attempt in this very browser belongs: it
//     opens, is fresh, and was made for this provider and client, whose callback
//     this is. It is deleted, whatever comes next;
//   - iss (RFC 9207): equal if present, present if the provider promises it;
//   - error; then exactly one code;
//   - that the browser does not go in a circle: a login for this page has not ended a
//     moment ago without a session that its guard sees;
//   - the token response: the code is sent once, with the verifier, with the
//     client authentication that the metadata names; token_type is Bearer;
//   - the ID token: signature by a key of the provider's, by the algorithm that is
//     registered ([CheckConfig.SigningAlg]) or an asymmetric one that it announces; iss, aud, azp, exp, iat, nbf, nonce, sub;
//     at_hash if present; typ JWT if present; auth_time if max_age was
//     asked for, and acr if a Requirement names some;
//   - UserInfo, if asked for: the same sub. A provider without OpenID Connect has
//     no ID token, and FetchUser asks it instead: a sub;
//   - OnLogin, which is the application's own check.
//
// A logout token: one in a form; signature as above; iss, aud, exp, iat, nbf; a
// jti that was not seen before; the event of a logout; no nonce; sub or sid; typ,
// if there is one, JWT or logout+jwt.
//
// PKCE has no switch, and no metadata turns it off; a provider that supports
// only the plain method is refused.
//
// # What is not done
//
// This package does not decide who may do what: that is the application's. It
// keeps no list of users, and no tokens unless Tokens.Keep says so. Without
// [LogoutConfig.Revocations], a session in a cookie cannot be ended from the server
// before its time, and an answer that renews it may arrive after a logout. A Store
// alone leaves that gap, too: a renewal that overlaps a logout saves the session
// again, because a gorilla Store cannot save only what still exists.
// Front-Channel Logout does nothing where the provider is on another site, whose
// frames are sent no Lax cookies; Back-Channel Logout works everywhere. Parameters
// that ask the provider for something, such as prompt, are requests, and so is
// acr_values in AuthParams: what came of them is OnLogin's to look at. What a
// [Requirement] asks for is verified.
//
// # Several logins
//
// A session belongs to the Authenticator that began it. Authenticators that differ
// in RedirectURL, in [SessionConfig.CookieName], or in whether there is a [SessionConfig.Store],
// open nothing of each other's, even with one SessionKey: no session, token, login
// in flight or logout hint. Two Authenticators on one host need a Sessions.CookieName each,
// or they log each other's users out.
//
// A request may pass several guards. [UserFromContext] returns the answer of the
// innermost guard or loader, which may be nil. [Authenticator.User] returns the
// answer of one Authenticator.
//
// # Cookies
//
// All but -hint and -last are sealed (AES-256-GCM, a key for each purpose and login).
// All are HttpOnly, SameSite=Lax, and on https Secure with a prefix that ties them to
// this host. "pixy" is [SessionConfig.CookieName].
//
//	__Host-pixy-session     the session; a second one, -2, if claims are large
//	__Host-pixy-login-…     one for each login in flight: at most 8, and 4 KB
//	__Host-pixy-tokens      access and refresh token, if kept; a second one, -2, if large
//	__Secure-pixy-logout    the ID token, for the logout path alone
//	__Host-pixy-hint        where it is in the Store, if it is too large for a cookie
//	__Host-pixy-landed-…    where the last login ended, for a minute, to tell a circle
//	__Host-pixy-last        which session it belongs to: a hash of the session's id
//
// # Errors
//
// Every failure is an [*Error]: it is logged once, at Warn, with the code and a
// reference that the person sees too. A stranger at a guarded page, and a user at
// one that needs more, are not logged. At Info there is what was down for a browser
// that did not wait, a login that the user cancelled, and a login that is begun once
// more because its callback came without its cookie. Logouts by the provider that
// succeed are one line each at Info, which says what they were about and whether
// anything ended, without sid or sub. An ID token that is too large for the logout
// hint is one line at Warn for each provider.
//
// The callback's URL holds a code and a state, and access logs keep URLs. Both are
// spent when the line is written: a code is redeemed once, and only with the
// verifier, which no log has.
//
//	code                      status  cause; remedy
//	login_required            401     nobody is logged in; log in
//	token_missing             401     an API is to be called, and there is no token; log in again
//	step_up_required          401     the login is too old or too weak for the page; log in once more
//	step_up_failed            403     the provider did not confirm what a Requirement asks for; see the log
//	attempt_unknown           400     callback without its attempt, twice; try again, allow cookies; for all users: see SessionKey
//	callback_untrusted        400     iss, code or form of the callback is wrong; try again
//	access_denied             403     the user cancelled the login, or the provider denied access; logged at Info
//	provider_refused          403     the provider reports another error; see the log for its name
//	code_refused              403     the provider does not take the code or its verifier; try again
//	refresh_refused           403     the provider refreshes the tokens no more: the session has ended; in the log alone
//	tokens_lost               401     a refresh is due and the tokens are not there: the session has ended; in the log alone
//	login_refused             403     OnLogin said no
//	tenant_refused            403     somebody of a tenant that Checks.Tenants does not name; add it, or leave it so
//	login_unavailable         503     OnLogin wrapped ErrUnavailable; try again
//	provider_unknown          404     the login names a provider that is not configured; the log has the name
//	not_a_navigation          403     login from a prefetch, a frame or a script; open it as a page
//	cross_origin_logout       403     another site asked to log out; use a form of this site's
//	logout_token_untrusted    400     a logout token failed a check, and nobody was logged out; see the log
//	request_malformed         400     a form for the login path that cannot be read
//	method_not_allowed        405     wrong method for a route
//	client_refused            502     the provider does not accept this client; check ClientID, ClientSecret and the method in the log
//	token_request_refused     502     the provider refuses the token request or a revocation for another reason; see the log
//	token_response_untrusted  502     the token endpoint's answer is no token response; see the log
//	id_token_untrusted        502     the ID token failed a check; see the log
//	userinfo_untrusted        502     UserInfo is about somebody else, or unreadable; see the log
//	provider_metadata_invalid 502     metadata or keys are wrong; check Issuer; no user can mend it
//	client_secret_unavailable 503     Client.SecretFunc failed; see the log
//	provider_unavailable      503     the provider is down or slow; try again
//	session_lost              500     a login succeeded and did not last, so that the browser would go in
//	                                  circles; the log has the likely causes
//	store_unavailable         503     the Store is down; try again
//	revocations_unavailable   503     Revocations are down; try again
//	refreshes_unavailable     503     Refreshes are down, and a token has expired; try again
//	session_too_large         500     the claims do not fit in cookies; set Sessions.Claims or a Store
//	                                  before an administrator with many groups meets it in production
//	tokens_too_large          500     the tokens do not fit in cookies, or in the Store; use a Store that takes them
//	login_guarded             500     a guard is in front of the login's own routes; mount them outside of it
//	internal_error            500     an error of another kind was given to ServeError, or options of a
//	                                  login, or a Requirement, that cannot be; see the log
package core
