package core

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/pixyauth/pixy/core/internal/provider"
)

// completeClient checks how the application authenticates at a provider.
func (p *Provider) completeClient(prefix string, faults *faults) {
	c := &p.Client
	if m := c.AuthMethod; m != "" && !slices.Contains(provider.AuthMethods, m) {
		faults.add("%sClient.AuthMethod is %q; give one of %q, or leave it empty", prefix, m, provider.AuthMethods)
	}
	if needs := p.lacksFor(c.AuthMethod); needs != "" {
		faults.add("%sClient.AuthMethod is %s, and %s is not set; set both, or neither", prefix, c.AuthMethod, needs)
	}
	if aud := c.AssertionAudience; aud != "" {
		if u, err := url.Parse(aud); err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
			faults.add("%sClient.AssertionAudience is %q; give the https URL that the provider documents, or leave it empty", prefix, aud)
		} else if c.AuthMethod != "client_secret_jwt" && len(c.SigningKeys) == 0 {
			faults.add("%sClient.AssertionAudience is set, and the client signs no assertions; give Client.SigningKeys or Client.AuthMethod client_secret_jwt, or leave it empty", prefix)
		}
	}
	if p.ClientSecret != "" && p.Client.SecretFunc != nil {
		faults.add("%sClientSecret and Client.SecretFunc are both set; give one of them", prefix)
	}
	if n := len(p.ClientSecret); c.AuthMethod == "client_secret_jwt" && 0 < n && n < provider.MinSecretJWT {
		faults.add("%sClientSecret has %d bytes, and Client.AuthMethod client_secret_jwt needs %d or more; have the provider make a longer one, or use another method (RFC 7518 section 3.2)", prefix, n, provider.MinSecretJWT)
	}
	if strings.ContainsFunc(p.ClientSecret, unicode.IsControl) {
		faults.add("%sClientSecret has a line break or another control character; trim a secret that is read from a file (RFC 6749 appendix A.2)", prefix)
	}
	c.SigningKeys = slices.Clone(c.SigningKeys)
	for i, key := range c.SigningKeys {
		if _, err := key.forRoom(); err != nil {
			faults.add("%sClient.SigningKeys[%d] %v", prefix, i, err)
		}
	}
	if len(c.DecryptionKeys) > 0 && !p.needsKeys() {
		faults.add("%sClient.DecryptionKeys is not used with FetchUser, unless Requests.SignedResponse is set; leave it nil", prefix)
	}
	c.DecryptionKeys = slices.Clone(c.DecryptionKeys)
	for i, key := range c.DecryptionKeys {
		if _, err := provider.NewDecryptionKey(key); err != nil {
			faults.add("%sClient.DecryptionKeys[%d] %v", prefix, i, err)
		}
	}
}

// checkCertificate checks that the transports for a provider with Client.Certificate can
// present it.
func (c *Config) checkCertificate(i int, faults *faults) {
	p := &c.Providers[i]
	if p.Client.Certificate == nil {
		return
	}
	check := func(field string, client *http.Client) {
		if _, err := provider.CertifiedTransport(transportOf(client), p.Client.Certificate); err != nil {
			faults.add("%s %v, because Providers[%d].Client.Certificate is set", field, err, i)
		}
	}
	check("HTTPClient", c.HTTPClient)
	if p.Endpoints.HTTPClient != nil {
		check(fmt.Sprintf("Providers[%d].Endpoints.HTTPClient", i), p.Endpoints.HTTPClient)
	}
}

// checkPublicOnly checks that a provider with Endpoints.PublicOnly can be reached, and that
// its client can be guarded.
func (c *Config) checkPublicOnly(i int, faults *faults) {
	p := &c.Providers[i]
	if !p.Endpoints.PublicOnly {
		return
	}
	const remedy = "leave Endpoints.PublicOnly false (for a looked-up provider, set Lookup.AnyAddress)"
	for _, place := range p.places() {
		if place.field == "Endpoints.AuthURL" || place.field == "Endpoints.EndSessionURL" {
			continue // the browser opens them
		}
		if err := provider.CheckPublic(place.url); err != nil {
			faults.add("Providers[%d].%s %v; give an https URL with a public host and without a port, or %s", i, place.field, err, remedy)
		}
	}
	field, client := "HTTPClient", c.HTTPClient
	if p.Endpoints.HTTPClient != nil {
		field, client = fmt.Sprintf("Providers[%d].Endpoints.HTTPClient", i), p.Endpoints.HTTPClient
	}
	if err := provider.CheckPublicClient(client); err != nil {
		faults.add("%s %v, because Providers[%d].Endpoints.PublicOnly is set, or %s and let that transport refuse private addresses", field, err, i, remedy)
	}
}

// lacksFor returns the field that an authentication method needs, if it is not set. A
// client secret may be missing, because its variable may be empty in development.
func (p *Provider) lacksFor(method string) string {
	switch {
	case method == "private_key_jwt" && len(p.Client.SigningKeys) == 0:
		return "Client.SigningKeys"
	case strings.HasSuffix(method, "tls_client_auth") && p.Client.Certificate == nil:
		return "Client.Certificate"
	case method == "client_secret_jwt" && !p.confidential():
		return "ClientSecret"
	}
	return ""
}
