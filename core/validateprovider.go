package core

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core/internal/provider"
)

func (p *Provider) complete(prefix string, faults *faults) {
	if p.FetchUser != nil {
		p.completeOAuth2(prefix, faults)
	}
	p.completeEndpoints(prefix, faults)
	p.completeClient(prefix, faults)
	p.completeTenants(prefix, faults)
	if p.Requests.FormPostUser && !p.Requests.FormPost {
		faults.add("%sRequests.FormPostUser needs Requests.FormPost; set both, or neither", prefix)
	}
	if p.Requests.FormPostUser && p.Requests.SignedResponse {
		faults.add("%sRequests.FormPostUser and Requests.SignedResponse are both set; a signed response has no parameter user, so set one of them", prefix)
	}
	if slices.Contains([]string{"client_id", "id_token_hint", "state"}, p.Requests.LogoutRedirectParam) {
		faults.add("%sRequests.LogoutRedirectParam is %s, which the logout request uses already; leave it empty, or give the name that the provider documents", prefix, p.Requests.LogoutRedirectParam)
	}
	p.checkSigning(prefix, faults)
	p.checkRequests(prefix, faults)
	p.Checks.TrustedAudiences = slices.Clone(p.Checks.TrustedAudiences)
	switch {
	case p.Issuer == "" && p.FetchUser == nil:
		faults.add("%sIssuer is missing; give the provider's URL, exactly as the provider spells it, or set FetchUser and Endpoints for a provider without OpenID Connect", prefix)
	case provider.HasForeignHost(p.Issuer):
		faults.add("%sIssuer has a host that is not ASCII; give it in its xn-- form (punycode)", prefix)
	// Without a space, the id of a registration has one Issuer and one ClientID only.
	case p.Issuer != "" && (provider.CheckEndpoint(p.Issuer, p.mayBeHTTP()) != nil || strings.ContainsAny(p.Issuer, "?# ")):
		faults.add("%sIssuer is not an https URL without query and fragment; give the provider's URL, exactly as the provider spells it (http is for loopback only, or, with InsecureHTTP, for a private network)", prefix)
	case strings.Contains(p.Issuer, "/.well-known/"):
		faults.add("%sIssuer is where its metadata is; remove /.well-known and the rest of the path after it", prefix)
	}
	if p.ClientID == "" {
		faults.add("%sClientID is missing; the provider gives it to you when you register the application", prefix)
	}
	p.Scopes = slices.Clone(p.Scopes)
	switch {
	case p.FetchUser != nil:
	case p.Scopes == nil:
		p.Scopes = []string{"openid", "profile", "email"}
	case strings.Contains(strings.Join(p.Scopes, ""), " "):
		faults.add("%sScopes has several in one element; give each scope its own element", prefix)
	case !slices.Contains(p.Scopes, "openid"):
		faults.add("%sScopes lacks openid; add it, or leave Scopes nil (OpenID Connect Core section 3.1.2.1)", prefix)
	}
	p.Requests.AuthParams = cloneValues(p.Requests.AuthParams)
	for _, fault := range paramFaults(p.Requests.AuthParams) {
		faults.add("%sRequests.AuthParams %s", prefix, fault)
	}
}

// needsKeys reports whether the provider signs something for this application.
func (p *Provider) needsKeys() bool { return p.FetchUser == nil || p.Requests.SignedResponse }

// checkRequests checks how the provider is asked.
func (p *Provider) checkRequests(prefix string, faults *faults) {
	r := &p.Requests
	if r.AuthorizationDetails != "" {
		if err := provider.CheckDetails(r.AuthorizationDetails); err != nil {
			faults.add("%sRequests.AuthorizationDetails %v; give a JSON array of objects, each with a type (RFC 9396 section 2)", prefix, err)
		}
	}
	if !r.SignedRequest {
		return
	}
	if len(p.Client.SigningKeys) == 0 {
		faults.add("%sRequests.SignedRequest needs Client.SigningKeys; set both, or neither", prefix)
	}
	for _, name := range provider.RequestClaims {
		if r.AuthParams.Has(name) {
			faults.add("%sRequests.AuthParams has %s, which a signed request has as a claim of its own; remove it, or leave Requests.SignedRequest false", prefix, name)
		}
	}
}

func (p *Provider) checkSigning(prefix string, faults *faults) {
	switch {
	case p.Checks.SigningAlg == "":
	case p.FetchUser != nil && !p.Requests.SignedResponse:
		faults.add("%sChecks.SigningAlg is for OpenID Connect only; leave it empty", prefix)
	case !slices.Contains(provider.Asymmetric, jose.SignatureAlgorithm(p.Checks.SigningAlg)):
		faults.add("%sChecks.SigningAlg is %q; give one of %q, or leave it empty to accept the algorithms that the provider announces", prefix, p.Checks.SigningAlg, provider.Asymmetric)
	}
}

// paramFaults returns the mistakes in parameters for the authorization request.
func paramFaults(params url.Values) (faults []string) {
	for _, name := range slices.Sorted(maps.Keys(params)) {
		switch values := params[name]; {
		case name == "authorization_details":
			faults = append(faults, "sets authorization_details; use AuthorizationDetails instead")
		case provider.ReservedParam(name):
			faults = append(faults, fmt.Sprintf("sets %s, which this library sets itself; remove it", name))
		case len(values) != 1 && name != "resource":
			faults = append(faults, fmt.Sprintf("has %d values for %s; give one (RFC 6749 section 3.1)", len(values), name))
		case name == "max_age" && !provider.IsSeconds(values[0]):
			faults = append(faults, fmt.Sprintf("has max_age %q; give seconds, such as 3600 (OpenID Connect Core section 3.1.2.1)", values[0]))
		}
	}
	return faults
}

// completeOAuth2 checks the configuration of a provider without OpenID Connect, and
// sets its Issuer if it is empty.
func (p *Provider) completeOAuth2(prefix string, faults *faults) {
	if p.Requests.UserInfo {
		faults.add("%sRequests.UserInfo is for OpenID Connect only; leave it false, and ask the provider in FetchUser", prefix)
	}
	if p.Requests.AuthParams.Has("max_age") {
		faults.add("%sRequests.AuthParams has max_age, which only an ID token can confirm; remove it", prefix)
	}
	e := &p.Endpoints
	unused := []place{{"UserInfoURL", e.UserInfoURL}, {"EndSessionURL", e.EndSessionURL}}
	if !p.needsKeys() {
		unused = append(unused, place{"KeysURL", e.KeysURL}, place{"Keys", string(e.Keys)})
	}
	for _, place := range unused {
		if place.url != "" {
			faults.add("%sEndpoints.%s is for OpenID Connect only; leave it empty", prefix, place.field)
		}
	}
	if p.Issuer == "" && e.AuthURL == "" && e.TokenURL == "" {
		faults.add("%sEndpoints has no AuthURL and TokenURL; give both, or an Issuer that has metadata (RFC 8414)", prefix)
	}
	if u, err := url.Parse(e.AuthURL); err == nil && p.Issuer == "" && provider.CheckEndpoint(e.AuthURL, p.mayBeHTTP()) == nil {
		p.Issuer = u.Scheme + "://" + u.Host
	}
}

// completeEndpoints checks what the configuration says about the provider's endpoints.
func (p *Provider) completeEndpoints(prefix string, faults *faults) {
	e := &p.Endpoints
	e.Keys = slices.Clone(e.Keys)
	for _, place := range p.places() {
		remedy := "give the provider's URL, or leave it empty"
		if isPlainHTTP(place.url) {
			remedy = "use https, or set the provider's InsecureHTTP for a private network"
		}
		if err := provider.CheckEndpoint(place.url, p.mayBeHTTP()); err != nil && place.field != "Issuer" {
			faults.add("%s%s %v; %s", prefix, place.field, err, remedy)
		}
	}
	if err := provider.CheckOwnParams(e.AuthURL); err != nil {
		faults.add("%sEndpoints.AuthURL %v; remove it", prefix, err)
	}
	if u, err := url.Parse(e.InternalURL); err == nil && (strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.ForceQuery) {
		faults.add("%sEndpoints.InternalURL is more than an origin; give scheme, host and port only, such as https://keycloak.internal:8443", prefix)
	}
	byHand := e.AuthURL != "" && e.TokenURL != ""
	openID := p.FetchUser == nil
	switch {
	case e.AuthURL != "" && e.TokenURL == "":
		faults.add("%sEndpoints.TokenURL is missing; give AuthURL and TokenURL, or neither", prefix)
	case e.AuthURL == "" && e.TokenURL != "":
		faults.add("%sEndpoints.AuthURL is missing; give AuthURL and TokenURL, or neither", prefix)
	case byHand && e.MetadataURL != "":
		faults.add("%sEndpoints.MetadataURL is not used with AuthURL and TokenURL; give it, or them", prefix)
	case byHand && p.needsKeys() && e.KeysURL == "" && len(e.Keys) == 0:
		faults.add("%sEndpoints has AuthURL and TokenURL, and no keys; give KeysURL or Keys, or set FetchUser for a provider without OpenID Connect, and not Requests.SignedResponse", prefix)
	case byHand && p.Requests.UserInfo && openID && e.UserInfoURL == "":
		faults.add("%sEndpoints.UserInfoURL is missing, and Requests.UserInfo is set; set both, or neither", prefix)
	case byHand && p.Requests.PAR && e.PARURL == "":
		faults.add("%sEndpoints.PARURL is missing, and Requests.PAR is set; set both, or neither", prefix)
	case byHand && !p.Requests.PAR && !p.FAPI2 && e.PARURL != "":
		faults.add("%sEndpoints.PARURL needs Requests.PAR without metadata; set both, or neither", prefix)
	case openID && !p.Requests.UserInfo && e.UserInfoURL != "":
		faults.add("%sEndpoints.UserInfoURL needs Requests.UserInfo; set both, or neither", prefix)
	}
	if len(e.Keys) == 0 {
		e.Keys = nil
		return
	}
	if e.KeysURL != "" {
		faults.add("%sEndpoints.KeysURL and Endpoints.Keys are both set; give one of them", prefix)
	}
	if _, err := provider.ReadKeys(e.Keys); err != nil {
		faults.add("%sEndpoints.Keys %v; give the provider's public keys, as its jwks_uri has them", prefix, err)
	}
}

// A place is a field that has a URL of the provider.
type place struct{ field, url string }

// places returns the fields with URLs of the provider that are not empty. An Issuer that
// is made of AuthURL is not among them.
func (p *Provider) places() []place {
	e, issuer := &p.Endpoints, p.Issuer
	if p.issuerOfAuthURL() {
		issuer = ""
	}
	all := []place{
		{"Issuer", issuer}, {"Endpoints.InternalURL", e.InternalURL}, {"Endpoints.MetadataURL", e.MetadataURL},
		{"Endpoints.AuthURL", e.AuthURL}, {"Endpoints.TokenURL", e.TokenURL}, {"Endpoints.UserInfoURL", e.UserInfoURL},
		{"Endpoints.EndSessionURL", e.EndSessionURL}, {"Endpoints.RevocationURL", e.RevocationURL}, {"Endpoints.PARURL", e.PARURL}, {"Endpoints.KeysURL", e.KeysURL},
	}
	return slices.DeleteFunc(all, func(p place) bool { return p.url == "" })
}

// mayBeHTTP returns which URLs of the configuration may be on plain http. checkPlainHTTP
// is stricter, for an application on https.
func (p *Provider) mayBeHTTP() provider.PlainHTTP {
	if p.InsecureHTTP {
		return provider.AnyPlainHTTP
	}
	return provider.LoopbackHTTP
}

// completeTenants checks Issuer and Checks.Tenants, which must be set together.
func (p *Provider) completeTenants(prefix string, faults *faults) {
	p.Checks.Tenants = slices.Clone(p.Checks.Tenants)
	template := strings.Count(p.Issuer, "/"+provider.TenantPlaceholder+"/") == 1 && strings.Count(p.Issuer, "{") == 1
	switch {
	case len(p.Checks.Tenants) == 0 && strings.ContainsAny(p.Issuer, "{}"):
		faults.add("%sChecks.Tenants is empty, and Issuer is for many tenants; list the tenants whose users may log in, because anyone can create a tenant", prefix)
	case len(p.Checks.Tenants) > 0 && p.FetchUser != nil:
		faults.add("%sChecks.Tenants is for OpenID Connect only; leave it out, and check the tenant in FetchUser", prefix)
	case len(p.Checks.Tenants) > 0 && !template:
		faults.add("%sChecks.Tenants needs an Issuer with /%s/ in it, as the provider's metadata spells it", prefix, provider.TenantPlaceholder)
	}
	for i, tenant := range p.Checks.Tenants {
		if p.Checks.Tenants[i] = strings.ToLower(tenant); !provider.ValidTenant(p.Checks.Tenants[i]) {
			faults.add("%sChecks.Tenants has %q; give the tenant's id, such as aaaabbbb-0000-cccc-1111-dddd2222eeee, and not its name or domain", prefix, tenant)
		}
	}
}

func cloneValues(values url.Values) url.Values {
	clone := make(url.Values, len(values))
	for name, v := range values {
		clone[name] = slices.Clone(v)
	}
	return clone
}
