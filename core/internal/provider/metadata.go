package provider

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core/internal/told"
)

// metadata is the part of a provider's metadata that this package uses (OpenID Connect
// Discovery section 3, RFC 8414 section 2).
type metadata struct {
	Issuer                string   `json:"issuer"`
	AuthorizationEndpoint string   `json:"authorization_endpoint"`
	TokenEndpoint         string   `json:"token_endpoint"`
	JWKSURI               string   `json:"jwks_uri"`
	UserInfoEndpoint      string   `json:"userinfo_endpoint"`
	EndSessionEndpoint    string   `json:"end_session_endpoint"`
	RevocationEndpoint    string   `json:"revocation_endpoint"`
	ChallengeMethods      []string `json:"code_challenge_methods_supported"`
	AuthMethods           []string `json:"token_endpoint_auth_methods_supported"`
	SigningAlgs           []string `json:"id_token_signing_alg_values_supported"`
	UserInfoAlgs          []string `json:"userinfo_signing_alg_values_supported"`
	IssParameter          bool     `json:"authorization_response_iss_parameter_supported"`

	// RFC 9126 section 5, RFC 9101 section 10.5
	PAREndpoint    string   `json:"pushed_authorization_request_endpoint"`
	PARRequired    bool     `json:"require_pushed_authorization_requests"`
	RequestAlgs    []string `json:"request_object_signing_alg_values_supported"`
	SignedRequired bool     `json:"require_signed_request_object"`
	AssertionAlgs  []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	ResponseAlgs   []string `json:"authorization_signing_alg_values_supported"` // JARM section 3
	ResponseModes  []string `json:"response_modes_supported"`
	DetailTypes    []string `json:"authorization_details_types_supported"`      // RFC 9396 section 10
	ProofAlgs      []string `json:"dpop_signing_alg_values_supported"`          // RFC 9449 section 5.1
	BoundTokens    bool     `json:"tls_client_certificate_bound_access_tokens"` // RFC 8705 section 3.3

	Aliases json.RawMessage `json:"mtls_endpoint_aliases"` // see useAliases

	authMethod    string                  // how the client authenticates
	assertionAlg  jose.SignatureAlgorithm // of client assertions; empty: none are used
	responseMode  string                  // how the callback comes; empty: as the provider likes
	commonRequest string                  // the URL of a plain request without the parameters of the attempt
	pushes        bool                    // authorization requests are pushed
	requestAlg    jose.SignatureAlgorithm // of authorization requests; empty: they are not signed

	// at are the URLs of endpoints as the provider publishes them, by the URL at which
	// the application reaches them, if that is another. A proof names the former.
	at map[string]*url.URL
}

// published returns the URL of an endpoint as the provider publishes it.
func (m *metadata) published(reached *url.URL) *url.URL {
	if len(m.at) > 0 {
		if u := m.at[reached.String()]; u != nil {
			return u
		}
	}
	return reached
}

const (
	maxEndpoint = 4096 // bytes of an endpoint's URL, which responses to anonymous requests contain
	maxListed   = 100  // values of a list in the metadata
)

func (m *metadata) check(c *Config) error {
	if m.Issuer != c.Issuer { // section 4.3: identical, byte by byte
		return fmt.Errorf("the provider calls itself %q, and Issuer is %q: they must be equal, also in a final slash",
			told.Clip(m.Issuer), c.Issuer)
	}
	if len(m.ChallengeMethods) > 0 && !slices.Contains(m.ChallengeMethods, "S256") {
		return fmt.Errorf("the provider supports PKCE by %q only; S256 is needed (RFC 7636 section 4.2)",
			told.Clip(strings.Join(m.ChallengeMethods, " ")))
	}
	var faults []error
	if err := c.checkProofs(m.ProofAlgs); err != nil {
		faults = append(faults, err)
	}
	for name, list := range map[string][]string{
		"code_challenge_methods_supported":                 m.ChallengeMethods,
		"token_endpoint_auth_methods_supported":            m.AuthMethods,
		"id_token_signing_alg_values_supported":            m.SigningAlgs,
		"userinfo_signing_alg_values_supported":            m.UserInfoAlgs,
		"request_object_signing_alg_values_supported":      m.RequestAlgs,
		"token_endpoint_auth_signing_alg_values_supported": m.AssertionAlgs,
		"authorization_signing_alg_values_supported":       m.ResponseAlgs,
		"response_modes_supported":                         m.ResponseModes,
		"authorization_details_types_supported":            m.DetailTypes,
		"dpop_signing_alg_values_supported":                m.ProofAlgs,
	} {
		if len(list) > maxListed { // each login searches them
			faults = append(faults, fmt.Errorf("%s has %d values; this library accepts at most %d", name, len(list), maxListed))
		}
	}
	type endpoint struct {
		name, url string
		required  bool
		browser   bool // opened by the browser, and not by the application
	}
	endpoints := []endpoint{
		{"authorization_endpoint", m.AuthorizationEndpoint, true, true},
		{"token_endpoint", m.TokenEndpoint, true, false},
		{"userinfo_endpoint", m.UserInfoEndpoint, false, false},
		{"end_session_endpoint", m.EndSessionEndpoint, false, true},
		{"revocation_endpoint", m.RevocationEndpoint, false, false},
		{"pushed_authorization_request_endpoint", m.PAREndpoint, false, false},
	}
	if (c.FetchUser == nil || c.SignedResponse) && c.Keys == nil {
		endpoints = append(endpoints, endpoint{"jwks_uri", m.JWKSURI, true, false})
	}
	for _, endpoint := range endpoints {
		if endpoint.url == "" && !endpoint.required {
			continue
		}
		check := c.checkRequested
		if endpoint.browser {
			check = c.checkOpened
		}
		if err := check(endpoint.url); err != nil {
			faults = append(faults, fmt.Errorf("%s %w", endpoint.name, err))
		}
	}
	if err := CheckOwnParams(m.AuthorizationEndpoint); err != nil {
		faults = append(faults, fmt.Errorf("authorization_endpoint %w", err))
	}
	return errors.Join(faults...)
}

// checkOpened checks an endpoint that the browser opens.
func (c *Config) checkOpened(endpoint string) error { return CheckEndpoint(endpoint, c.PlainHTTP) }

// checkRequested checks an endpoint that the application requests.
func (c *Config) checkRequested(endpoint string) error {
	if err := CheckEndpoint(endpoint, c.PlainHTTP); err != nil || !c.PublicOnly {
		return err
	}
	return CheckPublic(endpoint)
}

// CheckOwnParams returns an error if the query of an authorization endpoint has a
// [ReservedParam]. The endpoint may have other parameters (RFC 6749 section 3.1).
func CheckOwnParams(endpoint string) error {
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil // CheckEndpoint returns that error
	}
	for _, name := range slices.Sorted(maps.Keys(u.Query())) {
		if ReservedParam(name) {
			return fmt.Errorf("has a parameter %q of its own", told.Clip(name))
		}
	}
	return nil
}

// checkIssuer checks the iss parameter. If it is present, it must be the provider. It
// must be present if the metadata announces it. RFC 9207 section 2.4 requires a simple
// string comparison.
func (m *metadata) checkIssuer(iss []string, c *Config) error {
	switch {
	case len(iss) > 1:
		return bad(CodeCallback, "%d iss parameters", len(iss))
	case len(iss) == 0 && m.IssParameter:
		return bad(CodeCallback, "no iss parameter, although the provider announces one (RFC 9207)")
	case len(iss) == 1 && !c.mayAnswer(iss[0]):
		return bad(CodeCallback, "the iss parameter is not the provider (RFC 9207)")
	}
	return nil
}

// PlainHTTP says which endpoints may be http URLs.
type PlainHTTP int

// In the order of what they allow.
const (
	NoPlainHTTP PlainHTTP = iota
	LoopbackHTTP
	AnyPlainHTTP // anyone on the network can read codes, tokens and secrets
)

// CheckEndpoint returns an error if endpoint is neither an https URL nor an http URL that
// is allowed. The text of the error begins with a verb, for a name before it.
func CheckEndpoint(endpoint string, allowed PlainHTTP) error {
	if endpoint == "" {
		return errors.New("is missing")
	}
	if len(endpoint) > maxEndpoint {
		return fmt.Errorf("is longer than %d bytes", maxEndpoint)
	}
	u, err := url.Parse(endpoint)
	switch {
	case err != nil || u.Hostname() == "":
		return errors.New("is not an absolute URL")
	case HasForeignHost(endpoint):
		return errors.New("has a host that is not ASCII, which has to be in its xn-- form")
	case strings.ContainsAny(u.Host, " !\"$&'()*+,;<=>\\^`{|}~"): // a host is in policies of pages, where some of these are syntax
		return errors.New("has a character in its host that no name has")
	case u.User != nil:
		return errors.New("has a user name or password in it")
	case strings.Contains(endpoint, "#"):
		return errors.New("has a fragment")
	case u.Scheme == "https", u.Scheme == "http" && (allowed == AnyPlainHTTP || allowed == LoopbackHTTP && IsLocal(u.Hostname())):
		return nil
	}
	return errors.New("is not https (http is for loopback only)")
}

// IsLoopback reports whether host is localhost or a loopback IP address.
func IsLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// IsLocal is IsLoopback, or true for a name below localhost, which browsers and our own
// transport resolve to loopback (RFC 6761 section 6.3). Other clients may not.
func IsLocal(host string) bool { return IsLoopback(host) || isLocalName(host) }

func isLocalName(host string) bool { return strings.HasSuffix(host, ".localhost") }

// Asymmetric are the accepted signature algorithms of tokens. none is never accepted, nor
// HMAC, whose key would be the client secret.
var Asymmetric = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512, jose.PS256, jose.PS384, jose.PS512, jose.EdDSA,
}

// checkSigningAlg returns an error if the provider does not announce Checks.SigningAlg.
// So the mistake is found before a user is sent to the provider.
func (c *Config) checkSigningAlg(what string, announced []string) error {
	if c.SigningAlg == "" || len(announced) == 0 || slices.Contains(announced, c.SigningAlg) {
		return nil
	}
	return fmt.Errorf("Checks.SigningAlg is %q, and the provider signs %s by %q only; give one of these, or leave Checks.SigningAlg empty",
		c.SigningAlg, what, told.Clip(strings.Join(announced, " ")))
}

// algorithms returns the accepted algorithms of a signed response: Checks.SigningAlg, or,
// if it is empty, those of Asymmetric that the provider announces. If there are none, it
// is RS256, which every provider must support (Discovery section 3). With FAPI2, it is
// never another one than those of the profile.
func (c *Config) algorithms(announced []string) []jose.SignatureAlgorithm {
	if c.SigningAlg != "" {
		return []jose.SignatureAlgorithm{jose.SignatureAlgorithm(c.SigningAlg)}
	}
	possible, usual := Asymmetric, []jose.SignatureAlgorithm{jose.RS256}
	if c.FAPI2 {
		possible, usual = FAPIAlgorithms, FAPIAlgorithms
	}
	var algs []jose.SignatureAlgorithm
	for _, alg := range possible {
		if slices.Contains(announced, string(alg)) {
			algs = append(algs, alg)
		}
	}
	if len(algs) == 0 {
		return usual
	}
	return algs
}

// HasForeignHost reports whether a URL has a host that is not ASCII. Providers and
// browsers use only the xn-- form of such a host (RFC 5890 section 2.3.2.1).
func HasForeignHost(s string) bool {
	u, err := url.Parse(s)
	return err == nil && !IsPrintable(u.Hostname())
}

// IsPrintable reports whether s has only printable ASCII characters: VSCHAR in RFC 6749
// appendix A.
func IsPrintable(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c < 0x20 || c > 0x7e })
}
