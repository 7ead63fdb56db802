package core

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// Registration is what to register with a provider for one of [Config.Providers]. In
// JSON, it is client metadata (RFC 7591 section 2). It uses the names of OpenID Connect
// Dynamic Client Registration, RP-Initiated Logout, Back-Channel Logout and Front-Channel
// Logout, too. It contains no secret.
type Registration struct {
	// Provider is the provider's name, and Issuer its issuer. They are not part of the
	// registration, nor of the JSON.
	Provider string `json:"-"`
	Issuer   string `json:"-"`

	ClientID      string   `json:"client_id"`
	RedirectURIs  []string `json:"redirect_uris"`
	ResponseTypes []string `json:"response_types"`
	GrantTypes    []string `json:"grant_types"`

	// Scope has the scopes that a login asks for, separated by spaces.
	Scope string `json:"scope,omitempty"`

	// TokenEndpointAuthMethod is "none" for a public client. It is empty if the client
	// authenticates in the way that the provider's metadata says.
	TokenEndpointAuthMethod string `json:"token_endpoint_auth_method,omitempty"`

	// IDTokenSignedResponseAlg is Checks.SigningAlg.
	IDTokenSignedResponseAlg string `json:"id_token_signed_response_alg,omitempty"`

	// InitiateLoginURI is the login path, where third parties can start a login. It is
	// empty with http, which OpenID Connect does not allow for it.
	InitiateLoginURI string `json:"initiate_login_uri,omitempty"`

	// PostLogoutRedirectURIs has the URL of Logout.After, or of Logout.Path if After is
	// empty. It is empty with Logout.Local: register that URL if a handler of yours calls
	// [Authenticator.EndSession].
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"`

	// The following are set if these routes exist.
	BackChannelLogoutURI              string `json:"backchannel_logout_uri,omitempty"`
	BackChannelLogoutSessionRequired  bool   `json:"backchannel_logout_session_required,omitempty"`
	FrontChannelLogoutURI             string `json:"frontchannel_logout_uri,omitempty"`
	FrontChannelLogoutSessionRequired bool   `json:"frontchannel_logout_session_required,omitempty"`
}

// Registrations returns what to register with each provider, in the order of
// [Config.Providers]. It uses only the Config, and not the network. Providers that
// [Config.SkipFaultyProviders] left out are missing.
func (a *Authenticator) Registrations() []Registration {
	all := make([]Registration, len(a.registrations))
	for i, at := range a.registrations {
		all[i] = a.toRegister(at)
	}
	return all
}

func (a *Authenticator) toRegister(at *registration) Registration {
	p := &at.config
	r := Registration{
		Provider: p.Name, Issuer: p.Issuer, ClientID: p.ClientID,
		RedirectURIs: []string{p.RedirectURL}, ResponseTypes: []string{"code"}, GrantTypes: []string{"authorization_code"},
		Scope: strings.Join(p.Scopes, " "), TokenEndpointAuthMethod: p.Client.AuthMethod, IDTokenSignedResponseAlg: p.Checks.SigningAlg,
	}
	if a.config.Tokens.Keep || slices.Contains(p.Scopes, "offline_access") {
		r.GrantTypes = append(r.GrantTypes, "refresh_token")
	}
	if !p.confidential() {
		r.TokenEndpointAuthMethod = "none"
	}
	if p.FetchUser != nil { // the rest is for OpenID Connect
		return r
	}
	if !a.config.Logout.Local {
		r.PostLogoutRedirectURIs = []string{a.afterLogout()}
	}
	if strings.HasPrefix(a.origin, "https:") {
		r.InitiateLoginURI = a.urlOf(http.MethodGet, a.config.Pages.LoginPath)
	}
	r.BackChannelLogoutURI = a.urlOf(http.MethodPost, a.config.Logout.BackChannelPath)
	r.FrontChannelLogoutURI = a.urlOf(http.MethodGet, a.config.Logout.FrontChannelPath)
	// Without sid, a logout token ends all sessions of the user, and a frame ends none.
	r.BackChannelLogoutSessionRequired = r.BackChannelLogoutURI != ""
	r.FrontChannelLogoutSessionRequired = r.FrontChannelLogoutURI != ""
	return r
}

// urlOf returns the URL of a route, or an empty string if there is no such route.
func (a *Authenticator) urlOf(method, path string) string {
	if !slices.ContainsFunc(a.routes, func(route Route) bool { return route.Method == method && route.Path == path }) {
		return ""
	}
	return a.origin + path
}

// String returns the URIs to register, one on each line, by their names in RFC 7591.
func (r Registration) String() string {
	lines := fmt.Sprintf("register with %s for client %q:", r.Issuer, r.ClientID)
	for _, uri := range [...]struct {
		name string
		uris []string
	}{
		{"redirect_uris", r.RedirectURIs},
		{"post_logout_redirect_uris", r.PostLogoutRedirectURIs},
		{"initiate_login_uri", []string{r.InitiateLoginURI}},
		{"backchannel_logout_uri", []string{r.BackChannelLogoutURI}},
		{"frontchannel_logout_uri", []string{r.FrontChannelLogoutURI}},
	} {
		if joined := strings.Join(uri.uris, " "); joined != "" {
			lines += "\n  " + uri.name + ": " + joined
		}
	}
	return lines
}
