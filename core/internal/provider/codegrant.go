package provider

import (
	"cmp"
	"context"
	"maps"
	"net/url"
	"slices"
	"strings"
)

// A codeGrant makes the requests of the authorization code grant with PKCE (RFC 6749
// section 4.1), for one registration.
type codeGrant struct {
	config   Config
	metadata *document[metadata] // set by newOIDCProvider or newOAuth2Provider
	idTokens *idTokens           // set by verifySignatures; nil: the provider signs nothing
	opening  chan struct{}       // one element for each call of Open that decrypts

	// DPoP nonces of the authorization server, and of resources. Both may have one origin.
	nonces, resourceNonces nonces
}

func (g *codeGrant) Discover(ctx context.Context) error {
	_, err := g.metadata.get(ctx)
	return err
}

func (g *codeGrant) Issues(issuer string) bool { return g.config.Issues(issuer) }

// ReservedParam reports whether only this library may set an authorization parameter.
func ReservedParam(name string) bool {
	return slices.Contains([]string{
		detailsParam, "client_id", "client_secret", "code", "code_challenge", "code_challenge_method", "dpop_jkt", "nonce",
		"redirect_uri", "request", "request_uri", "response_mode", "response_type", "scope", "state",
	}, name)
}

// commonParams returns the parameters of the authorization request that do not depend on
// the attempt (RFC 6749 section 4.1.1). Those in more replace those of AuthParams.
func (g *codeGrant) commonParams(m *metadata, redirectURL string, more url.Values) url.Values {
	query := url.Values{
		"response_type": {"code"},
		"client_id":     {g.config.ClientID},
		"redirect_uri":  {redirectURL},
	}
	if len(g.config.Scopes) > 0 {
		query.Set("scope", strings.Join(g.config.Scopes, " "))
	}
	if m.responseMode != "" {
		query.Set("response_mode", m.responseMode)
	}
	if g.config.AuthorizationDetails != "" {
		query.Set(detailsParam, g.config.AuthorizationDetails)
	}
	maps.Copy(query, g.config.AuthParams)
	maps.Copy(query, more)
	return query
}

// redirectURL returns the redirect_uri of a login, in its authorization request and in its
// token request, which must be equal (RFC 6749 section 4.1.3).
func (g *codeGrant) redirectURL(a Request) string { return cmp.Or(a.RedirectURL, g.config.RedirectURL) }

// AuthorizationURL implements [Provider].
func (g *codeGrant) AuthorizationURL(ctx context.Context, a Request, more url.Values) (string, error) {
	m, err := g.metadata.get(ctx)
	if err != nil {
		return "", err
	}
	if err := m.checkDetails(more.Get(detailsParam)); err != nil {
		return "", &Error{CodeRequestRefused, err}
	}
	if !m.pushes && m.requestAlg == "" {
		return g.plainRequest(m, a, more)
	}
	params := g.commonParams(m, g.redirectURL(a), more)
	params.Set("state", a.State)
	params.Set("code_challenge_method", "S256")
	params.Set("code_challenge", a.Challenge())
	if g.isOpenID() {
		params.Set("nonce", a.Nonce)
	}
	if a.Key != "" { // the code works with this DPoP key only (RFC 9449 section 10)
		params.Set("dpop_jkt", a.Key)
	}
	if m.requestAlg != "" {
		if params, err = g.signRequest(ctx, m, params); err != nil {
			return "", err
		}
	}
	if m.pushes {
		reference, err := g.push(ctx, m, params, g.proofKey(a.Key), a.State, a.Nonce, params.Get("request"))
		if err != nil {
			return "", err
		}
		params = url.Values{"client_id": {g.config.ClientID}, "request_uri": {reference}}
	}
	to := WithQuery(m.AuthorizationEndpoint, params)
	return to, checkLength(to)
}

// plainRequest returns the URL of an authorization request with all parameters. It adds
// those of the attempt: state, and the challenge of RFC 7636 section 4.3, whatever the
// metadata says about PKCE, and the nonce. The values are base64url and need no escapes in
// a query.
func (g *codeGrant) plainRequest(m *metadata, a Request, more url.Values) (string, error) {
	common := m.commonRequest
	if to := g.redirectURL(a); len(more) > 0 || to != g.config.RedirectURL {
		common = WithQuery(m.AuthorizationEndpoint, g.commonParams(m, to, more))
	}
	to := common + "&state=" + a.State + "&code_challenge_method=S256&code_challenge=" + a.Challenge()
	if g.isOpenID() {
		to += "&nonce=" + a.Nonce
	}
	if a.Key != "" {
		to += "&dpop_jkt=" + a.Key
	}
	if g.config.AuthorizationDetails == "" && !more.Has(detailsParam) {
		return to, nil
	}
	return to, checkLength(to)
}

// maxRequestURL is the limit for the URL of an authorization request with authorization
// details, or with a signed request, in bytes: what servers and proxies usually accept.
const maxRequestURL = 8 << 10

// checkLength returns an error if the URL of an authorization request is too long.
func checkLength(to string) error {
	if len(to) <= maxRequestURL {
		return nil
	}
	return bad(CodeRequestSize, "the URL of the authorization request has %d bytes, and servers accept about %d; set Requests.PAR, which sends the request in a form, or ask for less", len(to), maxRequestURL)
}

func (g *codeGrant) isOpenID() bool { return g.config.FetchUser == nil }

// prepare checks that this client can use the provider's endpoints. So such a fault is
// found before a user is sent to the provider. AuthMethod replaces what m announces.
func (g *codeGrant) prepare(m *metadata) error {
	err := g.config.checkFAPI(m)
	if err != nil {
		return badMetadata("discovery: %w", err)
	}
	if g.config.NeedsIss && !m.IssParameter { // checkIssuer demands one that is announced
		return badMetadata("discovery: authorization_response_iss_parameter_supported is not true, and the provider shares its RedirectURL with others, so that responses could be mixed up (RFC 9207); leave RedirectURL empty, or set Requests.SignedResponse")
	}
	if m.responseMode, err = g.config.responseMode(m); err != nil {
		return err
	}
	m.commonRequest = WithQuery(m.AuthorizationEndpoint, g.commonParams(m, g.config.RedirectURL, nil))
	if err := g.prepareRequest(m); err != nil {
		return err
	}
	if m.authMethod, err = g.config.authMethod(m.AuthMethods); err != nil {
		return err
	}
	if err := m.checkTLS(); err != nil {
		return err
	}
	if m.assertionAlg, err = g.config.assertionAlg(m.authMethod, m.AssertionAlgs); err != nil {
		return err
	}
	return nil
}

// prepareRequest checks that the provider takes authorization requests in the form in
// which they are made.
func (g *codeGrant) prepareRequest(m *metadata) error {
	if err := g.preparePush(m); err != nil {
		return err
	}
	if err := g.prepareSigning(m); err != nil {
		return err
	}
	if g.config.AuthorizationDetails == "" {
		return nil
	}
	if err := m.checkDetails(g.config.AuthorizationDetails); err != nil {
		return badMetadata("discovery: %w", err)
	}
	if m.pushes {
		return nil
	}
	return checkLength(m.commonRequest)
}

// WithQuery appends a query to endpoint, which may have one already (RFC 6749 section
// 3.1).
func WithQuery(endpoint string, query url.Values) string {
	if strings.Contains(endpoint, "?") {
		return endpoint + "&" + query.Encode()
	}
	return endpoint + "?" + query.Encode()
}
