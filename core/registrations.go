package core

import (
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pixyauth/pixy/core/internal/provider"
)

// Registration is what to register with a provider. In JSON, it is client metadata (RFC
// 7591 section 2). It uses the names of OpenID Connect Dynamic Client Registration,
// RP-Initiated Logout, Back-Channel Logout and Front-Channel Logout, too. It contains no
// secret.
type Registration struct {
	// Provider is the provider's name, and Issuer its issuer. They are not part of the
	// registration, nor of the JSON.
	Provider string `json:"-"`
	Issuer   string `json:"-"`

	ClientID      string   `json:"client_id,omitempty"`
	RedirectURIs  []string `json:"redirect_uris"`
	ResponseTypes []string `json:"response_types"`
	GrantTypes    []string `json:"grant_types"`

	// Scope has the scopes that a login asks for, separated by spaces.
	Scope string `json:"scope,omitempty"`

	// TokenEndpointAuthMethod is "none" for a public client. It is empty if the client
	// authenticates in the way that the provider's metadata says.
	// TokenEndpointAuthSigningAlg is the algorithm of private_key_jwt. It is empty if it
	// follows from the metadata as well.
	TokenEndpointAuthMethod     string `json:"token_endpoint_auth_method,omitempty"`
	TokenEndpointAuthSigningAlg string `json:"token_endpoint_auth_signing_alg,omitempty"`

	// JWKSURI is the URL of Config.KeysPath. For a looked-up provider, a slash and its name
	// follow. Without KeysPath, JWKS has the public keys themselves. Both are empty without
	// keys. A client that authenticates by a certificate also has to register its subject or
	// key (RFC 8705 section 2), which only the certificate has.
	JWKSURI string          `json:"jwks_uri,omitempty"`
	JWKS    json.RawMessage `json:"jwks,omitempty"`

	// The following are set if Client or Requests ask for them (RFC 8705 section 3.4, RFC
	// 9449 section 5.2, RFC 9126 section 6, RFC 9101 section 10.5, RFC 9396 section 10).
	TLSClientCertificateBoundAccessTokens bool     `json:"tls_client_certificate_bound_access_tokens,omitempty"`
	DPoPBoundAccessTokens                 bool     `json:"dpop_bound_access_tokens,omitempty"`
	RequirePushedAuthorizationRequests    bool     `json:"require_pushed_authorization_requests,omitempty"`
	RequireSignedRequestObject            bool     `json:"require_signed_request_object,omitempty"`
	RequestObjectSigningAlg               string   `json:"request_object_signing_alg,omitempty"`
	AuthorizationDetailsTypes             []string `json:"authorization_details_types,omitempty"`

	// IDTokenSignedResponseAlg is Checks.SigningAlg, and so is
	// AuthorizationSignedResponseAlg with Requests.SignedResponse (JARM section 3).
	IDTokenSignedResponseAlg       string `json:"id_token_signed_response_alg,omitempty"`
	AuthorizationSignedResponseAlg string `json:"authorization_signed_response_alg,omitempty"`

	// IDTokenEncryptedResponseAlg and IDTokenEncryptedResponseEnc fit the first of
	// Client.DecryptionKeys. Other algorithms that fit are accepted as well.
	IDTokenEncryptedResponseAlg string `json:"id_token_encrypted_response_alg,omitempty"`
	IDTokenEncryptedResponseEnc string `json:"id_token_encrypted_response_enc,omitempty"`

	// InitiateLoginURI is the login path, where third parties can start a login. For a
	// looked-up provider, it has the parameter provider. It is empty with http, which OpenID
	// Connect does not allow for it.
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
// [Config.SkipFaultyProviders] left out are missing. For looked-up providers, see
// [Authenticator.RegistrationFor].
func (a *Authenticator) Registrations() []Registration {
	all := make([]Registration, len(a.registrations))
	origins, _ := a.hosts.origins() // New has checked them
	for i, at := range a.registrations {
		all[i] = a.toRegister(&at.config, "", origins)
	}
	return all
}

// RegistrationFor returns what to register with a provider that [LookupConfig.Find] would
// return, for a page where an administrator adds one. It also checks the provider: the
// error lists everything that is wrong with it. It uses only the Config and p, and neither
// Find nor the network, so it does not tell whether the provider works.
//
// Name is required. ClientID may be empty, because an administrator gets it by registering.
//
// The redirect and post-logout URIs are on each of hosts, which have the form of
// [HostConfig.Names]. URIs of which there is one are on the first host. Approve is not
// asked. Without hosts, they are that of [Config.RedirectURL] and [HostConfig.Names].
//
// The error is no [*Error], and is not logged. It names fields and remedies, and has no
// secret, so the administrator's page may show it.
func (a *Authenticator) RegistrationFor(p Provider, hosts ...string) (Registration, error) {
	name, unregistered := p.Name, p.ClientID == ""
	if unregistered {
		p.ClientID = "-"
	}
	complete, faults := a.config.withLookedUp(name, p, "Provider.")
	switch {
	case name == "":
		faults = append(faults, errors.New("pixy: Provider.Name is missing; give the name by which Lookup.Find finds the provider"))
	case a.registrations.named(name) != nil:
		faults = append(faults, fmt.Errorf("pixy: Provider.Name is that of one of Config.Providers, for which Lookup.Find is not asked; give another name than %q", name))
	}
	origins, err := a.hosts.origins(hosts...)
	if err = errors.Join(append(faults, err)...); err != nil {
		return Registration{}, err
	}
	if unregistered {
		complete.ClientID = ""
	}
	return a.toRegister(&complete, "/"+name, origins), nil
}

// toRegister returns what to register with a provider, on origins. below is the end of the
// paths that a looked-up provider has for itself.
func (a *Authenticator) toRegister(p *Provider, below string, origins []string) Registration {
	r := Registration{
		Provider: p.Name, Issuer: p.Issuer, ClientID: p.ClientID,
		RedirectURIs: onEach(origins, func(origin string) string { return a.hosts.redirectURL(p.RedirectURL, origin) }), ResponseTypes: []string{"code"}, GrantTypes: []string{"authorization_code"},
		Scope: strings.Join(p.Scopes, " "), IDTokenSignedResponseAlg: p.Checks.SigningAlg,
	}
	a.registerClient(&r, p, origins[0], below)
	if a.config.Tokens.Keep || slices.Contains(p.Scopes, "offline_access") {
		r.GrantTypes = append(r.GrantTypes, "refresh_token")
	}
	if p.FetchUser != nil { // the rest is for OpenID Connect
		return r
	}
	if !a.config.Logout.Local {
		r.PostLogoutRedirectURIs = onEach(origins, a.afterLogout)
	}
	if a.hosts.scheme == "https" {
		r.InitiateLoginURI = origins[0] + a.config.Pages.LoginPath
		if below != "" {
			r.InitiateLoginURI += "?provider=" + p.Name
		}
	}
	if a.config.endsByProvider() {
		r.BackChannelLogoutURI = origins[0] + a.config.Logout.BackChannelPath + below
		r.FrontChannelLogoutURI = origins[0] + a.config.Logout.FrontChannelPath + below
	}
	// Without sid, a logout token ends all sessions of the user, and a frame ends none.
	r.BackChannelLogoutSessionRequired = r.BackChannelLogoutURI != ""
	r.FrontChannelLogoutSessionRequired = r.FrontChannelLogoutURI != ""
	return r
}

// registerClient sets how the client authenticates, and what its requests are like.
func (a *Authenticator) registerClient(r *Registration, p *Provider, origin, below string) {
	c := &p.Client
	r.TokenEndpointAuthMethod = p.onlyAuthMethod()
	if r.TokenEndpointAuthMethod == "private_key_jwt" {
		r.TokenEndpointAuthSigningAlg = c.signingAlg()
	}
	if keys, _ := p.publicKeys(); len(keys) > 0 && a.config.KeysPath != "" {
		r.JWKSURI = origin + a.config.KeysPath + below
	} else if len(keys) > 0 {
		r.JWKS, _ = json.Marshal(provider.PublishedKeys{Keys: keys}) // New has marshaled them
	}
	r.TLSClientCertificateBoundAccessTokens = c.Certificate != nil && !c.DPoP
	r.DPoPBoundAccessTokens = c.DPoP
	r.RequirePushedAuthorizationRequests = p.Requests.PAR
	if p.Requests.SignedRequest {
		r.RequireSignedRequestObject, r.RequestObjectSigningAlg = true, c.signingAlg()
	}
	if p.Requests.SignedResponse {
		r.AuthorizationSignedResponseAlg = p.Checks.SigningAlg
	}
	r.AuthorizationDetailsTypes = detailTypes(p.Requests.AuthorizationDetails)
	if p.FetchUser == nil && len(c.DecryptionKeys) > 0 {
		r.IDTokenEncryptedResponseAlg, r.IDTokenEncryptedResponseEnc = "ECDH-ES", "A256GCM"
		if key, err := provider.PublicEncryptionKey(c.DecryptionKeys[0]); err == nil && isRSA(key.Key) {
			r.IDTokenEncryptedResponseAlg = "RSA-OAEP-256"
		}
	}
}

// onlyAuthMethod returns the authentication method that follows from the configuration
// alone, or an empty string.
func (p *Provider) onlyAuthMethod() string {
	c := &p.Client
	usable := c.AuthMethod == "" || p.lacksFor(c.AuthMethod) == "" && (p.confidential() || !strings.HasPrefix(c.AuthMethod, "client_secret"))
	switch {
	case !usable:
		return "none" // a secret that is not set
	case c.AuthMethod != "":
		return c.AuthMethod
	case len(c.SigningKeys) > 0 && c.Certificate == nil && !p.confidential():
		return "private_key_jwt"
	case len(c.SigningKeys) == 0 && c.Certificate == nil && !p.confidential():
		return "none"
	}
	return ""
}

// signingAlg returns the algorithm of the first signing key, or an empty string if it
// depends on the provider.
func (c *ClientConfig) signingAlg() string {
	if len(c.SigningKeys) == 0 {
		return ""
	}
	return provider.OnlyAlgorithm(c.SigningKeys[0].Signer, c.SigningKeys[0].Alg)
}

// detailTypes returns the types in authorization_details (RFC 9396 section 2), which New
// has checked.
func detailTypes(details string) (types []string) {
	var list []struct{ Type string }
	if details == "" || json.Unmarshal([]byte(details), &list) != nil {
		return nil
	}
	for _, detail := range list {
		if !slices.Contains(types, detail.Type) {
			types = append(types, detail.Type)
		}
	}
	return types
}

func isRSA(key any) bool {
	_, ok := key.(*rsa.PublicKey)
	return ok
}

// String returns the URIs to register, one on each line, by their names in RFC 7591.
func (r Registration) String() string {
	lines := "register with " + r.Issuer
	if r.ClientID != "" {
		lines += fmt.Sprintf(" for client %q", r.ClientID)
	}
	lines += ":"
	for _, uri := range [...]struct {
		name string
		uris []string
	}{
		{"redirect_uris", r.RedirectURIs},
		{"post_logout_redirect_uris", r.PostLogoutRedirectURIs},
		{"initiate_login_uri", []string{r.InitiateLoginURI}},
		{"jwks_uri", []string{r.JWKSURI}},
		{"backchannel_logout_uri", []string{r.BackChannelLogoutURI}},
		{"frontchannel_logout_uri", []string{r.FrontChannelLogoutURI}},
	} {
		if joined := strings.Join(uri.uris, " "); joined != "" {
			lines += "\n  " + uri.name + ": " + joined
		}
	}
	return lines
}
