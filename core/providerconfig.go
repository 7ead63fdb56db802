package core

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
)

// Provider is a login provider and this application's registration there.
// ClientID is required, and Issuer or, with FetchUser, Endpoints.
type Provider struct {
	// Name identifies the provider in logs and in the login's query parameter "provider". It
	// is the end of the callback's path. It has 1 to 64 letters, digits, -, _ and ., begins
	// and ends with a letter or digit, has no "..", and must be unique. One provider of a
	// Config may have none. Empty: the issuer's host, and the callback is
	// Config.RedirectURL.
	Name string

	// Label is what users see on the page where they choose a provider: at most 64
	// printable characters, such as "Müller GmbH". It must differ from the labels of the
	// other providers. Empty: Name.
	Label string

	// RedirectURL is the URL of this provider's callback, exactly as it is registered
	// there. It must have the scheme and host of Config.RedirectURL, and a path of its
	// own. Set it to keep a registration whatever other providers there are. With
	// [Config.Hosts], the host is replaced by that of the request. Empty:
	// Config.RedirectURL, a slash and Name, or Config.RedirectURL without a Name.
	//
	// A looked-up provider may have Config.RedirectURL, or the RedirectURL of a listed
	// provider, and so share it with others. Its responses must then have iss, which its
	// metadata announces (RFC 9207), or be signed. Neither is needed if a listed provider
	// with that callback has the same Issuer and ClientID. Otherwise logins fail.
	RedirectURL string

	// Issuer is the https URL under which /.well-known/openid-configuration is
	// found, exactly as the provider spells it, including a final slash. http is accepted
	// for localhost, *.localhost, 127.0.0.0/8 and ::1 if RedirectURL is http as well, and
	// for any host with InsecureHTTP. Metadata and keys may redirect within their own
	// origin, three times. No other redirect is followed.
	//
	// With FetchUser and Endpoints.AuthURL, Issuer may be empty: the scheme and host of
	// AuthURL are used then. Two such providers on one host need an Issuer each. It is the
	// iss that the provider sends to the callback (RFC 9207), or any URL of the host.
	Issuer string

	// ClientID identifies this application at the provider.
	ClientID string

	// ClientSecret authenticates this application, as the provider's metadata says. There
	// are stronger ways: see [ClientConfig]. Empty: without any of those, a public client,
	// which relies on PKCE alone.
	ClientSecret string

	// Scopes to request, one for each element. They must include openid, except
	// with FetchUser. Nil: openid, profile and email, or none with FetchUser.
	Scopes []string

	// FetchUser is for a provider that does not speak OpenID Connect, such as GitHub. It
	// asks the provider for the user. Its client sends the access token, follows no
	// redirect, and limits each response in time and size. It returns claims by the names
	// of OpenID Connect Core section 5.1. "sub" is required: a string that never changes
	// and never passes to another user. Give the number of an account, and not an e-mail
	// address or a login name. PKCE is used all the same.
	//
	// FetchUser must be safe for concurrent use. An error that wraps [ErrUnavailable] is
	// an outage. An [*Error] is answered as it is. Any other error means that the
	// provider's response cannot be used. Nil: OpenID Connect.
	FetchUser func(ctx context.Context, client *http.Client) (claims map[string]any, err error) `json:"-"`

	// Endpoints configures where the provider is, beyond its metadata.
	Endpoints EndpointConfig

	// InsecureHTTP accepts Issuer and Endpoints on plain http for any host, for a provider
	// inside a private network. If one of them is, the metadata may have endpoints on plain
	// http as well. Anyone on the network can then read codes, tokens and the client
	// secret. Anyone who can change traffic can log in as any user. PKCE does not help
	// against them. If InsecureHTTP makes a difference, New logs that at Warn. RedirectURL
	// may be https. False: https, or http on loopback.
	InsecureHTTP bool

	// FAPI2 demands the whole FAPI 2.0 Security Profile of the configuration and of the
	// provider: PAR, client authentication by a key or a certificate, tokens that are bound
	// by DPoP or to the certificate, iss in the callback, the profile's algorithms, key sizes and TLS. With
	// SignedRequest and SignedResponse it is FAPI 2.0 Message Signing. What the
	// configuration lacks is an error of New, and what the provider lacks is an error of
	// discovery. Both name the clause. All endpoints come from the metadata, so of Endpoints
	// only MetadataURL and HTTPClient may be set. A transport that is no [*http.Transport]
	// chooses its TLS versions and suites itself. False: each part can be used alone.
	FAPI2 bool

	// Client configures how this application authenticates.
	Client ClientConfig

	// Requests configures what the provider is asked, and how it answers.
	Requests RequestConfig

	// Checks configures what is accepted beyond the standard checks.
	Checks CheckConfig
}

// RequestConfig configures requests to a provider. The zero value sends the
// standard parameters.
type RequestConfig struct {
	// AuthParams are additional parameters of the authorization request, such as
	// prompt. Parameters of the protocol cannot be set. Only resource (RFC 8707) may
	// have several values. A max_age, in seconds, is verified in the ID token.
	// acr_values is not: check the claim in OnLogin, or use a [Requirement]. For one
	// login only, use [LoginOptions].
	AuthParams url.Values

	// UserInfo also requests the UserInfo endpoint at login, if the provider has
	// one. Many providers give name and e-mail only there. The answer is JSON or a
	// signed token, and must have the ID token's subject. Claims of the ID token take
	// precedence. Any status but 200 fails the login: 5xx, 408 and 429 as an outage
	// with status 503, others with userinfo_untrusted.
	UserInfo bool

	// FormPost asks the provider to post its answer to the callback as a form (OAuth
	// 2.0 Form Post Response Mode). Apple requires it when scopes are requested. The
	// form comes from the provider's site, so middleware against cross-site requests
	// must let a POST to the callback through. False: the answer is in the URL.
	FormPost bool

	// FormPostUser takes the form's parameter user as claim "user", as Apple posts it
	// at a user's first login. preset.Apple sets it. The browser can change the
	// value, which is not signed: use it as a display name, never to identify or
	// authorize a user. It must be a JSON object of at most 4 KB. A claim "user" of
	// the provider takes precedence. It needs FormPost. False: the parameter is
	// ignored.
	FormPostUser bool

	// PAR sends the authorization request to the provider directly, and the browser with
	// a reference to it (Pushed Authorization Requests, RFC 9126). So it cannot be read or
	// changed in the browser. Each login then begins with a request of the application. It
	// fails with status 503 if the provider is down, and is limited like the token
	// request. If the metadata has no endpoint for it, logins and [Authenticator.Discover]
	// fail. False: only if the provider requires it.
	PAR bool

	// SignedRequest signs the authorization request with the first of
	// [ClientConfig.SigningKeys] (JWT-Secured Authorization Request, RFC 9101). With PAR,
	// the signed request is pushed. Its algorithm is that of the key, and must be in the
	// metadata, if that lists some. False: only if the provider requires it and there is a
	// key.
	SignedRequest bool

	// SignedResponse asks the provider to sign the parameters of the callback (JWT Secured
	// Authorization Response Mode, JARM). A callback without a valid signature is then
	// refused. With FormPost, the response mode is form_post.jwt. The algorithm is
	// Checks.SigningAlg, or one that the metadata lists for such responses, or, if it lists
	// none, for ID tokens. A provider whose metadata lists response modes without this one
	// fails discovery. A response may be encrypted to [ClientConfig.DecryptionKeys], and is
	// then read only in a browser with a login in progress. FormPostUser cannot be set as
	// well. False: the response is not signed.
	SignedResponse bool

	// AuthorizationDetails says in detail what the application may do with the tokens: a
	// JSON array of objects that have a type each (Rich Authorization Requests, RFC 9396), of
	// at most 16 KB. If the metadata lists types, it must have these. About 4 KB fit in a
	// URL; more needs PAR: see code request_too_large. What the provider has granted is in
	// [Grant.AuthorizationDetails]. [LoginOptions.AuthorizationDetails] replaces it for one
	// login. Empty: none.
	AuthorizationDetails string

	// LogoutRedirectParam is the name of the post-logout redirect parameter. Empty:
	// post_logout_redirect_uri (OpenID Connect RP-Initiated Logout).
	LogoutRedirectParam string
}

// CheckConfig configures checks of a provider's answers. The zero value accepts
// tokens of the one issuer, for ClientID alone, signed by any asymmetric algorithm
// that the provider's metadata lists.
type CheckConfig struct {
	// SigningAlg is the algorithm that ID tokens, logout tokens, signed UserInfo and signed
	// authorization responses must have: RS256, RS384, RS512, ES256, ES384, ES512, PS256,
	// PS384, PS512 or EdDSA. It is id_token_signed_response_alg of the registration (OpenID Connect
	// Dynamic Client Registration section 2). If the metadata lists algorithms
	// without this one, logins and [Authenticator.Discover] fail. Empty: any of these
	// that the metadata lists, or RS256 if it lists none of them.
	SigningAlg string

	// TrustedAudiences are additional audiences accepted in ID tokens. A token with
	// one of them must name ClientID in azp (OpenID Connect Core section 3.1.3.7).
	// Nil: none.
	TrustedAudiences []string

	// Tenants are the ids of the Microsoft Entra tenants whose users may log in, if
	// one registration serves many tenants. Issuer is then the template from the
	// metadata, https://login.microsoftonline.com/{tenantid}/v2.0. ID tokens must
	// come from the tenant in their tid claim, and [User.Issuer] is that tenant's
	// issuer. Other tenants are refused. Not all tenants can be accepted, because
	// any user can create one and choose its users' names. Nil: Issuer is one issuer.
	Tenants []string
}

// EndpointConfig says where the provider is. The zero value takes everything from the
// metadata of [Provider.Issuer]. All URLs are https. http is accepted on loopback if
// RedirectURL is http as well, and on any host with [Provider.InsecureHTTP].
type EndpointConfig struct {
	// InternalURL is the origin at which the application, and not the browser, reaches
	// the provider, such as https://keycloak.internal:8443. Requests for metadata, keys,
	// tokens, UserInfo and revocation that would go to Issuer's origin go there, with the
	// same path. Endpoints that are at InternalURL according to the metadata are accepted
	// as well, but not the authorization and the logout endpoint, which the browser opens.
	// The issuer in the metadata must still be Issuer. A FetchUser chooses its own URLs.
	// Empty: Issuer's origin.
	InternalURL string

	// MetadataURL is where the metadata is, if it is not below Issuer, as in Azure AD B2C.
	// The issuer in the metadata must be Issuer. Empty: the standard path (OpenID Connect
	// Discovery section 4, RFC 8414 section 3).
	MetadataURL string

	// AuthURL and TokenURL are the authorization and the token endpoint of a provider
	// without metadata. Set both, and KeysURL or Keys, unless FetchUser is set: no metadata
	// is requested then. Tokens may be signed by Checks.SigningAlg, or by any asymmetric
	// algorithm that fits a key. With FetchUser, two providers with AuthURL on one host
	// need an Issuer each. Both empty: those of the metadata.
	AuthURL  string
	TokenURL string

	// The following endpoints replace those of the metadata. UserInfoURL is used with
	// Requests.UserInfo. EndSessionURL ends sessions at the provider. Both are for OpenID
	// Connect only. RevocationURL revokes tokens (RFC 7009). PARURL takes
	// authorization requests (RFC 9126). Empty: those of the metadata,
	// or none without metadata.
	UserInfoURL   string
	EndSessionURL string
	RevocationURL string
	PARURL        string

	// KeysURL is where the signing keys are. Empty: jwks_uri of the metadata.
	KeysURL string

	// Keys are the signing keys: a JWK set (RFC 7517 section 5) with public keys only, of
	// at most 1 MB. They are never fetched. If the provider changes its keys, logins fail
	// until the application starts with the new ones. Set either this or KeysURL. Nil:
	// keys are fetched, and again when the provider uses a new one.
	Keys []byte

	// PublicOnly is the network guard, for an issuer that you do not trust with your network.
	// All requests to the provider then go to port 443 of public addresses, by https.
	// Loopback, private, link-local and other special-purpose addresses are refused
	// (RFC 6890), after the name is resolved and for each connection. A refused address is
	// an outage: status 503, as if nothing answered there. The log names it. URLs with an
	// IP address or another port are errors, in the configuration and in the metadata.
	//
	// Proxies are not used, because a proxy hides the address. The transport of HTTPClient,
	// or of [Config.HTTPClient], must be nil or an [*http.Transport] without dial functions
	// of its own. A copy of it is used, and a [net.Dialer] in it is replaced. The guard cannot
	// refuse public addresses of your own network. [Client] is not guarded, because you name
	// its hosts. False: any address, for listed providers; looked-up ones are guarded
	// unless [LookupConfig.AnyAddress] is set.
	PublicOnly bool

	// HTTPClient reaches this provider, for example one with a private certificate
	// authority. It has the limits of [Config.HTTPClient], and FetchUser's client is made
	// of it. [Client] does not use it. Nil: [Config.HTTPClient].
	HTTPClient *http.Client `json:"-"`
}

// LogValue leaves out the client secret and the keys.
func (p Provider) LogValue() slog.Value {
	return slog.GroupValue(
		slog.String("name", p.Name),
		slog.String("issuer", p.Issuer),
		slog.String("client_id", p.ClientID),
		slog.String("client_secret", redactedIf(p.confidential())),
		slog.String("redirect_url", p.RedirectURL),
		slog.String("scopes", strings.Join(p.Scopes, " ")),
		slog.Any("client", p.Client),
	)
}

// Format prints what LogValue gives, whatever the verb.
func (p Provider) Format(f fmt.State, _ rune) { fmt.Fprint(f, p.LogValue().String()) }

// MarshalJSON leaves out the client secret, because JSON is what loggers make
// of a slice of these.
func (p Provider) MarshalJSON() ([]byte, error) {
	type plain Provider
	p.ClientSecret = redactedIf(p.confidential())
	return json.Marshal(plain(p))
}
