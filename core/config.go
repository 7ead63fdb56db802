package core

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/sessions"
)

const (
	redacted               = "[redacted]"
	defaultSessionLifetime = 12 * time.Hour
	defaultTokenLifetime   = time.Hour
)

// Config says how an application logs people in. Providers, RedirectURL and
// SessionKey are needed; the zero value of everything else is a good default.
// [New] copies it: changes made later have no effect.
//
// A Config prints and logs without its secrets, unless it is an unexported field
// of another struct, whose methods fmt cannot call.
type Config struct {
	// Providers who may say who somebody is: one, or several with a Name each, of
	// which the person chooses one.
	Providers []Provider

	// RedirectURL is the callback's public URL, exactly as it is registered with
	// the provider, such as https://app.example.com/auth/callback. Its path is
	// where the callback is served. With several providers, each has a callback of
	// its own, and it is that URL followed by a slash and the provider's Name. Its
	// scheme decides whether cookies are Secure and carry the __Host- prefix: https,
	// or http for localhost, 127.0.0.0/8 and ::1 only. Open the application on the
	// very host that is in it: to a browser, localhost and 127.0.0.1 are two sites.
	// Nothing is ever derived from a request's Host or forwarded headers.
	RedirectURL string

	// SessionKey seals attempts and sessions: at least 32 bytes from a secure
	// random source, the same on every replica and after every restart: another
	// key logs everybody out. Keys are derived from it by HKDF-SHA-256 (RFC 5869),
	// one for each purpose, RedirectURL, CookieName and kind of session storage
	// (cookies or Store). A change of any of these logs everybody out, and what is
	// sealed with one does not open with another.
	SessionKey []byte

	// OldSessionKeys still open what they once sealed, but never seal. To rotate,
	// put the former SessionKey here until SessionLifetime has passed.
	OldSessionKeys [][]byte

	// CookieName is what the names of the cookies begin with: letters, digits and _,
	// 32 at most, and no _ first. Two logins on one host need two of them, or they log
	// each other's users out; so do two applications on localhost, whose ports
	// browsers do not tell apart. Another name logs everybody out: see SessionKey.
	// Empty: "pixy".
	CookieName string

	// Store keeps the sessions on a server, within limits of its own: those of
	// gorilla's stores are 30 days and 4 KB. Nil: sealed cookies, which need nothing
	// to run. Either way a session is sealed before it leaves this package; what
	// lies in the Store is useless to whoever reads it. A record is not bound to its
	// place in the Store: anyone who can write to the Store can put one user's record
	// in another's place, and act as that user. Restrict write access to the Store as
	// you restrict access to SessionKey. Logins in flight are always in cookies, so
	// that strangers cannot fill the Store. A change between cookies and a Store logs
	// everybody out.
	Store sessions.Store

	// KeepTokens keeps the access and the refresh token that come with a login, in
	// a sealed record of their own, for [TokenSource] and [Client]. The guard has
	// them refreshed when it is time, before the handler runs and once for all the
	// requests that come together. A provider that refuses a refresh has ended the
	// session; one that is down has not. Logout tells the provider to revoke them
	// (RFC 7009). Many providers give a refresh token only if asked, for example by
	// scope offline_access. In cookies, session and tokens may have some 5.8 KB
	// together, of which tokens that are JWTs count three quarters: a login with more
	// fails, and the remedy is a Store. False: tokens are forgotten when the login is
	// done.
	KeepTokens bool

	// TokenLifetime is how long an access token is assumed to live if the provider
	// does not say so in its token response. The guard refreshes by it; a token that
	// nothing can refresh is not taken for expired. Zero: one hour. Negative, or less
	// than a second: an error.
	TokenLifetime time.Duration

	// Refreshes let replicas share one refresh. With several replicas and
	// KeepTokens they are needed, or one user's requests that come together at two
	// of them use a refresh token twice. Nil: those of this process, which remember
	// what came of a refresh for five minutes, in 64 MB at most.
	Refreshes Refreshes

	// Revocations end sessions before their time, from outside the browser that
	// has them: by [Authenticator.LogoutEverywhere], by a provider (OpenID Connect
	// Back-Channel and Front-Channel Logout), and, for copies of its cookie, by a
	// logout. Each request of a user asks them; if they are out of order it gets 503
	// and nobody is logged out. What counts is whether a session began before it was
	// revoked: the clocks of replicas must agree, to within what may go on by
	// mistake. Nil: a session in a cookie ends in its browser, or when its time is
	// over.
	Revocations Revocations

	// SessionLifetime is how long a login lasts at most. A shorter one ends sessions
	// that exist, too; a longer one is for new logins. Zero: 12 hours.
	SessionLifetime time.Duration

	// SessionIdle ends a session that has not been used for so long, or for up to
	// a quarter less: that much has to pass before a use is written down. Zero: no
	// such limit.
	SessionIdle time.Duration

	// SessionClaims names the claims that a session keeps for [User.Claims]. Nil:
	// all that the provider sent, less the protocol's own (iss, aud, exp and so
	// on). Empty: none; the fields of [User] are kept always. Name the claims that
	// you read. Users with many groups, such as administrators, have larger claims
	// than the users of a test, and claims that do not fit in cookies fail the login
	// (session_too_large).
	SessionClaims []string

	// LoginPath is where a login begins. Empty: "login" beside the callback, as
	// /auth/login is beside /auth/callback.
	LoginPath string

	// LogoutPath is where a POST ends a session. Empty: "logout" beside the callback.
	LogoutPath string

	// BackChannelLogoutPath is where a provider posts its logout tokens, if there
	// are Revocations: register it with the provider as backchannel_logout_uri, an
	// absolute URL on RedirectURL's origin. Empty: "backchannel-logout" beside the
	// callback.
	BackChannelLogoutPath string

	// FrontChannelLogoutPath is what the provider's logout page opens in a frame,
	// if there are Revocations: register it as frontchannel_logout_uri, and
	// frontchannel_logout_session_required with it. Empty: "frontchannel-logout"
	// beside the callback.
	FrontChannelLogoutPath string

	// Home is the path of this application where a login ends if it has no other
	// place to end at, and where "Home" leads on the pages of this package. Set it
	// for an application that does not have its whole host, such as one under
	// /reader. Empty: "/".
	Home string

	// AfterLogout is the path of this application where a logout ends. It must be
	// registered with the provider, as an absolute URL on RedirectURL's origin,
	// if the provider ends its own session too. Empty: Home.
	AfterLogout string

	// OnLogin is called when a login has passed all checks and before a session
	// starts: to create the account, or to refuse by returning an error. The
	// session that was there before survives a refusal. The User has all claims,
	// whatever SessionClaims says, and what OnLogin changes in it is not kept.
	//
	// Any error refuses the person, status 403, unless it wraps [ErrUnavailable]:
	// then the answer cannot be had at the moment, status 503. An [*Error] chooses
	// what the person reads. OnLogin must be safe for concurrent use. Its context has
	// the request's values, and does not end when the browser leaves: the code is
	// spent by then, and a reload may be waiting for the outcome. [TokenSource] and
	// [Client] use the new login's access token there. Nil: everybody whom
	// the provider knows may come in.
	OnLogin func(context.Context, *User) error

	// HTTPClient reaches the provider. Nil: a client that uses a copy of the
	// default transport, which takes a header of 64 KB at most. Whatever is given,
	// no redirect is followed, except for metadata and keys within their own origin. A
	// body may have 1 MB, and, if its Timeout is zero, an answer takes 10 seconds at most. How large a header may be is for the
	// transport of your own to say: net/http's zero value is 10 MB. [Client] uses its
	// transport as well, without these bounds.
	HTTPClient *http.Client

	// Logger gets one line for each failure, at level Warn, or at Info if a browser
	// did not wait; and one at Info for a login that begins once more by itself, which
	// is a failure of the setup if it happens to everybody. Keys of a provider that
	// cannot be used are logged at Warn, once until they change. Nil: what
	// slog.Default() is when New is called.
	Logger *slog.Logger
}

// Provider is somebody who knows the users, and this application's registration
// there. ClientID is needed, and Issuer or OAuth2.
type Provider struct {
	// Name calls the provider by name in logs and, if there are several, to the
	// person who chooses, in the login's parameter provider, and at the end of the
	// callback's path: letters, digits, - and _. It is needed, and must be unique,
	// if there are several. Empty: the issuer's host.
	Name string

	// Issuer is the provider's identifier, exactly as the provider spells it,
	// final slash included: the https URL that has
	// /.well-known/openid-configuration under it. http is for loopback only, and
	// only if RedirectURL is http, too. Its metadata and its keys may be redirected
	// within their own origin, three times; no other redirect is followed.
	//
	// With OAuth2 and its URLs, Issuer may be empty, and is the scheme and host of
	// AuthURL then. Two such providers at one host need an Issuer each: the one that
	// the provider sends in the callback as iss (RFC 9207), or any two URLs of the
	// host if it sends none.
	Issuer string

	// Tenants are the ids of those tenants of Microsoft Entra whose users may log
	// in, where one registration is for many. Issuer is the template then that the
	// provider's metadata has, https://login.microsoftonline.com/{tenantid}/v2.0,
	// and the metadata is looked for under organizations, or under common if
	// Tenants has that of personal accounts. An ID token must come from the tenant
	// in its own claim tid; another tenant than these is refused as such, and
	// [User.Issuer] is the tenant's. There is no way to admit them all: anybody can
	// make a tenant, and be whoever they like in it. Nil: Issuer is one issuer.
	Tenants []string

	// OAuth2 is for a provider without OpenID Connect. Nil: it has OpenID Connect.
	OAuth2 *OAuth2

	// ClientID is what the provider calls this application.
	ClientID string

	// ClientSecret proves that it is this application. It is sent the way that
	// the provider's metadata asks for, by client_secret_basic if it has the
	// choice. Empty: a public client, which has PKCE alone.
	ClientSecret string

	// ClientSecretFunc makes the client secret anew for each token request, for
	// providers where it is a signed token of short life. It must be safe for
	// concurrent use, and its error is logged and must not hold the secret; the
	// login fails with status 503. Nil: ClientSecret. Only one of the two may be set.
	ClientSecretFunc func(context.Context) (string, error) `json:"-"`

	// Scopes to ask for. Nil: openid, profile and email, or none with OAuth2.
	// openid is needed, except with OAuth2. One scope for each element.
	Scopes []string

	// UserInfo asks the UserInfo endpoint at login too, if the provider has one:
	// many providers give name and e-mail nowhere else. It may answer with JSON or
	// with a signed token. The subject must be the same, or the login fails. What
	// the ID token says comes first. The login needs the answer: any 4xx, such as 403
	// for a scope that is missing, fails it with userinfo_untrusted, and an outage
	// (429, 5xx) with status 503. False: the ID token alone.
	UserInfo bool

	// FormPost has the provider send its answer as a form that the browser posts to
	// the callback, instead of in the callback's URL (OAuth 2.0 Form Post Response
	// Mode). Apple insists on it when scopes are asked for. The form comes from the
	// provider's site: whatever looks at forms in front of the application, such as
	// [http.CrossOriginProtection], must let a POST to the callback through. The
	// callback's GET, which follows it, has the code in its URL as it always has.
	//
	// False: the answer is in the URL.
	FormPost bool

	// FormPostUser takes the form's parameter user as claim "user", as Apple posts it
	// at a user's first login. preset.Apple sets it. The value is not signed, and
	// the browser can change it: use it as a display name, and never to identify or
	// authorize a user. It has to be a JSON object of at most 4 KB. A claim "user" of
	// the provider's own comes first. It needs FormPost. False: the parameter is ignored.
	FormPostUser bool

	// SigningAlg is the one algorithm by which the provider signs for this client:
	// RS256, RS384, RS512, ES256, ES384, ES512, PS256, PS384, PS512 or EdDSA. It is
	// what the registration has as id_token_signed_response_alg (OpenID Connect
	// Dynamic Client Registration section 2). ID tokens, logout tokens and a UserInfo
	// answer that is a signed token are refused if they have another one. Metadata
	// that announces algorithms for ID tokens without this one fails every login, and
	// [Authenticator.Discover]. Empty: any of these that the metadata announces, or
	// RS256 if it announces none of them.
	SigningAlg string

	// TrustedAudiences are others than ClientID whom the audience of an ID token
	// may name: whoever they are, they see this application's ID tokens, or this
	// application theirs. The token must then say in azp that it was issued to
	// ClientID (OpenID Connect Core section 3.1.3.7). Nil: nobody else.
	TrustedAudiences []string

	// LogoutRedirectParam is the parameter by which the provider's logout is told
	// where the browser goes afterwards. Empty: post_logout_redirect_uri, as
	// OpenID Connect RP-Initiated Logout has it.
	LogoutRedirectParam string

	// AuthParams are more parameters for the authorization request, such as
	// prompt. Those that the protocol needs cannot be set, and none twice but
	// resource (RFC 8707). A max_age, in seconds, is also checked: the ID token
	// must say that the person has authenticated since (auth_time). Of acr_values
	// and the like the outcome is OnLogin's to check. For one login there are
	// [LoginOptions], and for pages that need more than others a [Requirement].
	AuthParams url.Values
}

// LogValue leaves out the keys and the client secrets.
func (c Config) LogValue() slog.Value {
	providers := make([]slog.Attr, len(c.Providers))
	for i, p := range c.Providers {
		providers[i] = slog.Attr{Key: strconv.Itoa(i), Value: p.LogValue()}
	}
	return slog.GroupValue(
		slog.Attr{Key: "providers", Value: slog.GroupValue(providers...)},
		slog.String("redirect_url", c.RedirectURL),
		slog.String("session_key", redactedIf(len(c.SessionKey) > 0)),
		slog.Int("old_session_keys", len(c.OldSessionKeys)),
		slog.Bool("store", c.Store != nil),
		slog.Bool("keep_tokens", c.KeepTokens),
		slog.Duration("session_lifetime", c.SessionLifetime),
		slog.Duration("session_idle", c.SessionIdle),
	)
}

// LogValue leaves out the client secret.
func (p Provider) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("name", p.Name),
		slog.String("issuer", p.Issuer),
		slog.String("client_id", p.ClientID),
		slog.String("client_secret", redactedIf(p.confidential())),
		slog.String("scopes", strings.Join(p.Scopes, " ")),
	)
}

func redactedIf(present bool) string {
	if present {
		return redacted
	}
	return ""
}

// Format prints what LogValue gives, whatever the verb: %+v and %#v, too, would
// otherwise show the secrets.
func (c Config) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.LogValue().String()) }

// Format prints what LogValue gives, whatever the verb.
func (p Provider) Format(f fmt.State, _ rune) { fmt.Fprint(f, p.LogValue().String()) }

// MarshalJSON leaves out the client secret, because JSON is what loggers make
// of a slice of these.
func (p Provider) MarshalJSON() ([]byte, error) {
	type plain Provider
	p.ClientSecret = redactedIf(p.confidential())
	return json.Marshal(plain(p))
}
