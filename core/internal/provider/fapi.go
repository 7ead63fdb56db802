package provider

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core/internal/told"
)

// The FAPI 2.0 Security Profile, final version: what Config.FAPI2 demands of a provider.
// The other demands are those of the parts: PAR, client authentication, DPoP and mutual
// TLS.

// FAPIAlgorithms are the signature algorithms of the profile (section 5.4.1 (1)).
var FAPIAlgorithms = []jose.SignatureAlgorithm{jose.PS256, jose.ES256, jose.EdDSA}

// FAPIAlgorithm returns the algorithm of the profile by which a key signs. alg is what the
// configuration says, or empty. It returns false if there is none.
func FAPIAlgorithm(signer crypto.Signer, alg string) (string, bool) {
	key, err := NewSigningKey(signer, "", alg)
	if err != nil {
		return alg, true // New reports that error
	}
	for _, possible := range key.algorithms() {
		if slices.Contains(FAPIAlgorithms, jose.SignatureAlgorithm(possible)) && (alg == "" || alg == possible) {
			return possible, true
		}
	}
	return "", false
}

// checkFAPI returns an error for each clause of the profile that the metadata does not
// meet. It comes before the checks of the parts, which name no clause.
func (c *Config) checkFAPI(m *metadata) error {
	if !c.FAPI2 {
		return nil
	}
	var faults []error
	lacks := func(clause, field string, has any, needs string) {
		faults = append(faults, fmt.Errorf("FAPI2 is set, and the provider's %s is %s; %s is needed (FAPI 2.0 Security Profile section %s)",
			field, told.Clip(fmt.Sprintf("%q", has)), needs, clause))
	}
	if m.PAREndpoint == "" {
		lacks("5.3.2.2 (2)", "pushed_authorization_request_endpoint", "", "a URL")
	}
	if !slices.Contains(m.ChallengeMethods, "S256") {
		lacks("5.3.2.2 (5)", "code_challenge_methods_supported", m.ChallengeMethods, "S256")
	}
	if !m.IssParameter && !c.SignedResponse { // a signed response has iss in it
		lacks("5.3.2.2 (7)", "authorization_response_iss_parameter_supported", "false", "true")
	}
	if method, err := c.authMethod(m.AuthMethods); err != nil || !isFAPIMethod(method) || !slices.Contains(m.AuthMethods, method) {
		lacks("5.3.2.1 (6)", "token_endpoint_auth_methods_supported", m.AuthMethods, "the method of Client: private_key_jwt for SigningKeys, or tls_client_auth or self_signed_tls_client_auth for Certificate")
	}
	switch {
	case c.usesDPoP() && !slices.Contains(m.ProofAlgs, "ES256"):
		lacks("5.3.2.1 (5)", "dpop_signing_alg_values_supported", m.ProofAlgs, "ES256, by which Client.DPoP signs,")
	case !c.usesDPoP() && !m.BoundTokens:
		lacks("5.3.2.1 (5)", "tls_client_certificate_bound_access_tokens", "false", "true, or Client.DPoP,")
	}
	if c.FetchUser == nil && !anyFAPI(m.SigningAlgs) {
		lacks("5.4.1 (1)", "id_token_signing_alg_values_supported", m.SigningAlgs, "PS256, ES256 or EdDSA")
	}
	if c.SignedResponse && len(m.ResponseAlgs) > 0 && !anyFAPI(m.ResponseAlgs) {
		lacks("5.4.1 (1)", "authorization_signing_alg_values_supported", m.ResponseAlgs, "PS256, ES256 or EdDSA")
	}
	return errors.Join(faults...)
}

func isFAPIMethod(method string) bool {
	return method == authPrivateKeyJWT || strings.HasSuffix(method, authTLS) // self_signed_ as well
}

func anyFAPI(announced []string) bool {
	return slices.ContainsFunc(FAPIAlgorithms, func(alg jose.SignatureAlgorithm) bool { return slices.Contains(announced, string(alg)) })
}

// fapiSuites are the TLS 1.2 cipher suites that section 5.2.2 allows: those recommended by
// BCP 195 (RFC 9325 section 4.2). Suites of TLS 1.3 need no list.
var fapiSuites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
}

// withFAPITLS returns a copy of client, which is from NewClient, whose connections follow
// the profile.
func withFAPITLS(client *http.Client) *http.Client {
	capped, ok := client.Transport.(cappedTransport)
	base, ours := capped.base.(*http.Transport)
	if !ok || !ours {
		return client
	}
	capped.base = fapiTransport(base)
	result := *client
	result.Transport = capped
	return &result
}

// fapiTransport returns a copy of a transport whose connections follow sections 5.2.1 and
// 5.2.2. A transport that makes its own TLS connections, or another kind of
// [http.RoundTripper], decides itself.
func fapiTransport(base *http.Transport) *http.Transport {
	base = cloneForTLS(base)
	base.TLSClientConfig.MinVersion = max(base.TLSClientConfig.MinVersion, tls.VersionTLS12)
	base.TLSClientConfig.CipherSuites = fapiSuites
	return base
}

// StrongTransport returns a copy of a transport for APIs, with the TLS of the profile if
// fapi is set, and with a client certificate unless get is nil. It returns nil if there is
// nothing to change, or nothing can be changed. The text of the error begins with a verb,
// for a name before it.
func StrongTransport(base http.RoundTripper, fapi bool, get func() (*tls.Certificate, error)) (http.RoundTripper, error) {
	if ours, ok := base.(*http.Transport); ok && fapi {
		base, get = fapiTransport(ours), fapiCertificate(get)
		if get == nil {
			return base, nil
		}
	}
	if get == nil {
		return nil, nil
	}
	return CertifiedTransport(base, get)
}

// fapiCertificate returns a function that refuses certificates whose key is too short for
// section 5.4.1 (2) and (3).
func fapiCertificate(get func() (*tls.Certificate, error)) func() (*tls.Certificate, error) {
	if get == nil {
		return nil
	}
	return func() (*tls.Certificate, error) {
		certificate, err := get()
		if err != nil || certificate == nil || len(certificate.Certificate) == 0 {
			return certificate, err
		}
		leaf := certificate.Leaf
		if leaf == nil {
			if leaf, err = x509.ParseCertificate(certificate.Certificate[0]); err != nil {
				return nil, err
			}
		}
		switch key := leaf.PublicKey.(type) {
		case *rsa.PublicKey:
			if bits := key.N.BitLen(); bits < minRSABits {
				return nil, fmt.Errorf("the certificate has an RSA key of %d bits, and %d are needed (FAPI 2.0 Security Profile section 5.4.1 (2))", bits, minRSABits)
			}
		case *ecdsa.PublicKey:
			if bits := key.Params().BitSize; bits < 224 {
				return nil, fmt.Errorf("the certificate has an elliptic curve key of %d bits, and 224 are needed (FAPI 2.0 Security Profile section 5.4.1 (3))", bits)
			}
		}
		return certificate, nil
	}
}
