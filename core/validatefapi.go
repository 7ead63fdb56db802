package core

import (
	"net/http"
	"slices"
	"strings"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core/internal/provider"
)

// completeFAPI checks that a provider with FAPI2 is configured as the FAPI 2.0 Security
// Profile (final version) demands, and sets what follows from it. Each fault names the
// clause.
func (c *Config) completeFAPI(i int, prefix string, faults *faults) {
	p := &c.Providers[i]
	if !p.FAPI2 {
		return
	}
	p.Requests.PAR = true // section 5.3.3.2 (2)
	lacks := func(clause, fault string) {
		faults.add("%s%s, and FAPI2 is set (FAPI 2.0 Security Profile section %s)", prefix, fault, clause)
	}
	if isPlainHTTP(p.RedirectURL) {
		lacks("5.3.2.2 (8)", "RedirectURL is plain http; use https")
	}
	if isPlainHTTP(p.Issuer) {
		lacks("5.2.1 (1)", "Issuer is plain http; use https")
	}
	if p.InsecureHTTP {
		lacks("5.2.1 (1)", "InsecureHTTP is true; leave it false")
	}
	if skipsVerification(p.Endpoints.HTTPClient) || p.Endpoints.HTTPClient == nil && skipsVerification(c.HTTPClient) {
		lacks("5.2.1 (5)", "Endpoints.HTTPClient, or HTTPClient of Config, does not verify certificates; leave InsecureSkipVerify false, and give RootCAs for a private authority")
	}
	for _, place := range append(p.places(), place{"Endpoints.Keys", string(p.Endpoints.Keys)}) {
		if place.url != "" && place.field != "Issuer" && place.field != "Endpoints.MetadataURL" {
			lacks("5.3.3.1 (9)", place.field+" replaces the metadata; leave it empty")
		}
	}
	if len(p.Checks.Tenants) > 0 {
		lacks("5.3.3.1 (11)", "Checks.Tenants is for an Issuer that is a template; give the one issuer of one tenant")
	}
	if p.Requests.SignedResponse && p.Requests.FormPost {
		faults.add("%sRequests.FormPost is set, and so are FAPI2 and SignedResponse; leave it false (FAPI 2.0 Message Signing section 5.4.2)", prefix)
	}
	p.completeFAPIClient(lacks)
}

// completeFAPIClient checks keys, certificate and algorithms for FAPI2. lacks adds a
// fault.
func (p *Provider) completeFAPIClient(lacks func(clause, fault string)) {
	c := &p.Client
	switch {
	case p.confidential():
		lacks("5.3.3.1 (2)", "ClientSecret or Client.SecretFunc is set; remove it, and give Client.SigningKeys or Client.Certificate")
	case len(c.SigningKeys) == 0 && c.Certificate == nil:
		lacks("5.3.3.1 (2)", "Client has neither SigningKeys nor Certificate; give one of them")
	case strings.HasPrefix(c.AuthMethod, "client_secret"):
		lacks("5.3.3.1 (2)", "Client.AuthMethod is "+c.AuthMethod+"; give private_key_jwt, tls_client_auth or self_signed_tls_client_auth, or leave it empty")
	}
	if c.AssertionAudience != "" {
		lacks("5.3.3.1 (5)", "Client.AssertionAudience is set; leave it empty, which means the issuer")
	}
	if !c.DPoP && c.Certificate == nil {
		lacks("5.3.3.1 (1)", "Client has neither DPoP nor Certificate, so tokens would be bearer tokens; set one of them")
	}
	for i := range c.SigningKeys {
		if alg, ok := provider.FAPIAlgorithm(c.SigningKeys[i].Signer, c.SigningKeys[i].Alg); ok {
			c.SigningKeys[i].Alg = alg
		} else {
			lacks("5.4.1 (1)", "Client.SigningKeys has a key that cannot sign by PS256, ES256 or EdDSA, or another Alg; give an RSA key, one on P-256 or Ed25519, and leave Alg empty")
		}
	}
	if alg := p.Checks.SigningAlg; alg != "" && !slices.Contains(provider.FAPIAlgorithms, jose.SignatureAlgorithm(alg)) {
		lacks("5.4.1 (1)", "Checks.SigningAlg is "+alg+"; give PS256, ES256 or EdDSA, or leave it empty to accept these three")
	}
}

// skipsVerification reports whether a client accepts any certificate of a server.
func skipsVerification(client *http.Client) bool {
	if client == nil {
		return false
	}
	transport, ok := client.Transport.(*http.Transport)
	return ok && transport.TLSClientConfig != nil && transport.TLSClientConfig.InsecureSkipVerify
}
