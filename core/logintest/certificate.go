package logintest

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
)

func (c Client) usesCertificate() bool {
	return c.AuthMethod == methodTLS || c.AuthMethod == methodSelfSigned
}

// presents reports whether a request comes with one of the client's
// certificates. Who has opened the connection has proved to have its key.
func (c Client) presents(r *http.Request) bool {
	presented := peerCertificate(r)
	return presented != nil && slices.ContainsFunc(c.Certificates, func(registered *x509.Certificate) bool {
		return bytes.Equal(registered.Raw, presented.Raw)
	})
}

func peerCertificate(r *http.Request) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	return r.TLS.PeerCertificates[0]
}

// certificateOf returns the thumbprint of the client's certificate (RFC 8705
// section 3.1, x5t#S256), or "".
func certificateOf(r *http.Request) string {
	presented := peerCertificate(r)
	if presented == nil {
		return ""
	}
	sum := sha256.Sum256(presented.Raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// alias returns the URL of an endpoint for clients with certificates (RFC 8705
// section 5).
func (p *Provider) alias(e Endpoint) string {
	if p.MTLSOrigin == "" {
		return p.url(e)
	}
	return p.MTLSOrigin + p.path + string(e)
}

// urlFor returns the URL of an endpoint by which a request has reached it.
func (p *Provider) urlFor(r *http.Request, e Endpoint) string {
	if at, err := url.Parse(p.MTLSOrigin); err == nil && p.MTLSOrigin != "" && r.Host == at.Host {
		return p.alias(e)
	}
	return p.url(e)
}
