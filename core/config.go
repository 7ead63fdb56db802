package core

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/gorilla/sessions"
)

const (
	redacted               = "[redacted]"
	defaultSessionLifetime = 12 * time.Hour
	defaultTokenLifetime   = time.Hour
)

// Config says how an application logs users in. Providers or Lookup, RedirectURL and
// SessionKey are required. The zero value of everything else is a good default.
// [New] copies the Config: later changes have no effect.
//
// A Config prints and logs without its secrets, unless it is an unexported field
// of another struct, whose methods fmt cannot call.
type Config struct {
	// Providers are the login providers. All but one need a Name. With several, the
	// user chooses one. It may be empty if Lookup.Find is set.
	Providers []Provider

	// Lookup finds further providers by name, while the application runs. Its zero value
	// finds none.
	Lookup LookupConfig

	// SkipFaultyProviders lets the application start with those providers that are
	// configured correctly, or with none yet. A provider with a mistake in its fields
	// is left out, and each mistake is logged at Warn. If two providers have the same
	// name, issuer or callback, the later one is left out. A login at a provider that
	// was left out fails with provider_unknown, and its sessions count as none. Without
	// any provider, logins fail with provider_missing, status 503. False: a mistake in
	// any provider, or an empty list without Lookup.Find, is an error of [New].
	SkipFaultyProviders bool

	// RedirectURL is the public URL of the callback, exactly as it is registered
	// with the provider, such as https://app.example.com/auth/callback. Its path is
	// the callback's route. The callback of a provider with a Name is this URL, a
	// slash and the Name. [Provider.RedirectURL] replaces it. A callback does not
	// depend on the number or the order of the providers.
	//
	// The scheme must be https, or http for localhost, *.localhost, 127.0.0.0/8 and ::1,
	// or for any host with InsecureHTTP. With https, cookies are Secure and have the
	// __Host- prefix, or __Secure- with Hosts.SharedDomain. Open the application on the same
	// host: browsers treat localhost and 127.0.0.1 as different sites. Without Hosts, nothing
	// is derived from the Host header. Nothing is ever derived from forwarded headers.
	RedirectURL string

	// InsecureHTTP accepts a RedirectURL on plain http for any host, for an application
	// inside a private network. It gives up what https protects: anyone on the network
	// can read codes and cookies, and take over sessions. Cookies are neither Secure nor
	// prefixed, so other hosts of the domain can set them. PKCE does not help against
	// someone who reads the whole exchange. If it makes a difference, New logs that at
	// Warn. False: https, or http on loopback.
	InsecureHTTP bool

	// BasePath is where browsers find an application that shares its host with others,
	// such as /reader. RedirectURL and all paths of this Config are below it, written as
	// browsers see them. Logins and logouts end below it, and links of our pages stay
	// there. Empty: the application has its whole host.
	//
	// Requests may arrive with BasePath or without it, because a proxy has removed it.
	// [Authenticator.Routes] has both forms, and a login returns to the page as the
	// browser sees it. One case is ambiguous: behind a proxy that removes BasePath, a
	// page of yours that itself begins with it, /reader/reader/list, is taken for
	// /reader/list.
	BasePath string

	// SessionKey seals cookies and sessions. It must have at least 32 bytes from a
	// secure random source, and must be the same on every replica and after a
	// restart. Keys are derived from it by HKDF-SHA-256 (RFC 5869), one for each
	// purpose, RedirectURL, Sessions.CookieName and kind of session storage (cookies
	// or Store). Changing any of these logs all users out.
	SessionKey []byte

	// Hosts lets one process serve logins on several hosts. Its zero value means one host,
	// that of RedirectURL, whatever the Host header says.
	Hosts HostConfig

	// OnLogin is called once for each login, after all checks and before the session
	// starts. Use it to create the account, to choose what the session keeps and how
	// long it lasts, or return an error to reject the user. An existing session survives
	// a rejected login.
	//
	// An error rejects the login with status 403. An error that wraps
	// [ErrUnavailable] means that a dependency is down, and gives status 503. Return
	// an [*Error] to choose the text that the user reads.
	//
	// OnLogin must be safe for concurrent use. Its context has the request's values
	// but is not canceled when the browser disconnects, because the code has been
	// used by then. [TokenSource] of this context gives the access token of this
	// login, even without Tokens.Keep. Nil: every user of the provider may log in.
	OnLogin func(context.Context, *Login) error

	// OnEvent is told what happens to logins and sessions, for audits and metrics: see
	// [Event]. It cannot reject anything. Anonymous requests, prefetches, guarded requests
	// and sessions that expire are no events.
	//
	// It is called at once, after the event, and must be safe for concurrent use. The
	// request waits for it, so leave slow work to a goroutine. Its context has the values
	// of the request or call, and is never canceled. A panic in it is logged at Warn, and
	// changes nothing else.
	//
	// One login, however many callbacks it has, is one event, and so are one refresh and
	// one session's end. Each replica tells what it has done itself; a double click that
	// reaches two replicas may be told twice. Nil: nothing is told.
	OnEvent func(context.Context, Event)

	// Sessions configures what keeps a user logged in, and for how long.
	Sessions SessionConfig

	// Tokens configures access tokens, for applications that call APIs.
	Tokens TokenConfig

	// Logout configures how sessions end.
	Logout LogoutConfig

	// Pages configures the login route and our own pages.
	Pages PageConfig

	// KeysPath is a route that publishes the public keys of all providers' SigningKeys and
	// DecryptionKeys as a JWK set (RFC 7517), such as /auth/jwks. Register its absolute URL
	// as jwks_uri. It has the keys of listed providers. The keys of each looked-up provider
	// are at KeysPath, a slash and its name. Empty: no route.
	KeysPath string

	// HTTPClient reaches the providers that have no [EndpointConfig.HTTPClient]. Bodies
	// are limited to 1 MB, and a zero Timeout means 10 seconds. Redirects are followed
	// for metadata and keys only, within one origin. [Client] uses the same transport,
	// without these limits. Nil: a client with a copy of the default transport. It accepts
	// at most 64 KB of response header. It resolves *.localhost to loopback (RFC 6761
	// section 6.3), which other clients leave to DNS.
	HTTPClient *http.Client

	// Logger gets one line for each failure at level Warn. At level Info, it gets what is
	// unusual but no failure, such as a canceled request or a login that starts again by
	// itself. Keys of a provider that cannot be used are logged at Warn, once until
	// they change. Nil: slog.Default(), as it is when New is called.
	Logger *slog.Logger
}

// SessionConfig configures sessions. The zero value keeps sessions in sealed
// cookies for 12 hours, with all claims.
type SessionConfig struct {
	// OldKeys open values that were sealed by a former SessionKey. They never seal.
	// To rotate, move the former SessionKey here until Lifetime has passed.
	OldKeys [][]byte

	// CookieName is the prefix of all cookie names: at most 32 letters, digits and
	// underscores, not starting with an underscore. Two logins on one host need
	// different names, or they log each other's users out. The same is true for two
	// applications on localhost, because cookies ignore ports. Changing it logs all
	// users out. Empty: "pixy", or with a BasePath such as /reader "pixy_reader".
	CookieName string

	// Store keeps sessions on a server. Sessions are sealed before they reach the
	// Store, so reading the Store reveals nothing. A record is not bound to its place
	// in the Store: anyone who can write to the Store can put one user's record in
	// the place of another's, and act as that user. Restrict write access as you
	// restrict access to SessionKey. gorilla's own stores default to 30 days and
	// 4 KB. Anonymous requests and logins in progress never reach the Store. Changing
	// between cookies and a Store logs all users out. Nil: sealed cookies, which need
	// no server.
	Store sessions.Store

	// Own is for an application that has sessions of its own: pixy then keeps none.
	// Store, Idle, Claims and Tokens.Keep must then be unset, and Lifetime is how long the
	// application's sessions last at most. Nil: sessions of pixy.
	Own *OwnSessions

	// Lifetime limits a session, counted from the login. A shorter Lifetime also ends
	// existing sessions earlier; a longer one applies to new sessions only. Zero: 12
	// hours.
	Lifetime time.Duration

	// Idle ends a session that has not been used for this long. Use is recorded at
	// most once in a quarter of Idle, so a session may end up to a quarter early.
	// Zero: no limit.
	Idle time.Duration

	// Claims names the claims to keep for [User.Claims], [User.Claim] and
	// [User.Has]. If the claims do not fit, logins fail with session_too_large.
	// Users with many groups, often administrators, meet this first, and usually in
	// production. Nil: all claims that the provider sent, except those of the
	// protocol (iss, aud, exp and so on). Empty: none. The fields of [User] are
	// always kept.
	Claims []string
}

// TokenConfig configures access and refresh tokens. The zero value forgets tokens
// when the login is done.
type TokenConfig struct {
	// Keep keeps the access and the refresh token of a login for [TokenSource] and
	// [Client], in a sealed record of their own. The guard refreshes them before
	// they expire, once for all concurrent requests. A refused refresh ends the
	// session. An unavailable provider does not. Logout revokes the tokens (RFC
	// 7009). Many providers return a refresh token only if asked, for example by
	// the scope offline_access. In cookies, session and tokens may have about 5.8 KB
	// together; larger ones fail with tokens_too_large and need a Store.
	Keep bool

	// Lifetime is the assumed lifetime of an access token whose response has no
	// expires_in, which RFC 6749 only recommends. The guard refreshes by it. A token
	// that cannot be refreshed is not treated as expired. Zero: one hour. Less than a
	// second is an error.
	Lifetime time.Duration

	// Refreshes lets replicas share one refresh. Set it if there are several replicas,
	// and Keep is set or grants are stored. Otherwise two replicas may use one refresh
	// token twice. adapters/redislogin has an implementation. Nil: refreshes are shared
	// within this process, which keeps their outcomes for five minutes, in at most 64 MB.
	Refreshes Refreshes
}

// LogoutConfig configures how sessions end. With the zero value, a session in a
// cookie ends in its browser or when its lifetime is over.
type LogoutConfig struct {
	// Path is the route of [Authenticator.Logout]. Browsers send the logout hint only there
	// and below, so a handler that calls [Authenticator.EndSession] must have a path below
	// it, such as /auth/logout/all. Without [OwnSessions.End], Path has no route, and is
	// for that handler. Empty: "logout" beside the callback, such as /auth/logout.
	Path string

	// Local makes the logout route end the session here only. The provider's session
	// goes on, so the next login may not ask for a password. False: the browser goes on
	// to the provider's logout.
	Local bool

	// After is the page of this application, below BasePath, where a logout ends. A guard
	// there would log the user in again at once, if the provider keeps its session. Empty:
	// a page of ours at Path, or Pages.Home if Path has no route. If the provider supports
	// logout, register the page's absolute URL there as post-logout redirect URI.
	After string

	// Revocations end sessions before their time and from outside the browser: by
	// [Authenticator.LogoutEverywhere], by a provider (OpenID Connect Back-Channel
	// and Front-Channel Logout), and for copies of a cookie by a logout. Each request
	// with a session asks Revocations once. If they are unavailable, users get status
	// 503 and nobody is logged out. The clocks of replicas must agree, because
	// revocations compare times. Nil: none.
	Revocations Revocations

	// BackChannelPath is the route for logout tokens, used only with Revocations or
	// [OwnSessions.EndByProvider]. Register its absolute URL with the provider as
	// backchannel_logout_uri. For a looked-up provider, a slash and its name follow. Empty:
	// "backchannel-logout" beside the callback.
	BackChannelPath string

	// FrontChannelPath is the route that the provider's logout page opens in a
	// frame, used under the same condition. Register its absolute URL as
	// frontchannel_logout_uri, with frontchannel_logout_session_required. For a looked-up
	// provider, a slash and its name follow. Empty: "frontchannel-logout" beside the
	// callback.
	FrontChannelPath string
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
		slog.Int("old_session_keys", len(c.Sessions.OldKeys)),
		slog.Bool("store", c.Sessions.Store != nil),
		slog.Bool("keep_tokens", c.Tokens.Keep),
		slog.Duration("session_lifetime", c.Sessions.Lifetime),
		slog.Duration("session_idle", c.Sessions.Idle),
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
