package provider

import (
	"cmp"
	"context"
	"crypto"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/pixyauth/pixy/core/internal/told"
)

// endpointAliases are the endpoints for clients with a certificate (RFC 8705 section 5).
type endpointAliases struct {
	Token      string `json:"token_endpoint"`
	Revocation string `json:"revocation_endpoint"`
	PAR        string `json:"pushed_authorization_request_endpoint"`
	UserInfo   string `json:"userinfo_endpoint"`
}

// useAliases replaces endpoints by those for clients with a certificate, if c is one.
func (m *metadata) useAliases(c *Config) error {
	if c.Certificate == nil || len(m.Aliases) == 0 {
		return nil
	}
	var aliases endpointAliases
	if err := json.Unmarshal(m.Aliases, &aliases); err != nil {
		return errors.New("mtls_endpoint_aliases is not an object of URLs")
	}
	var faults []error
	for _, alias := range []struct {
		name, url string
		of        *string
	}{
		{"token_endpoint", aliases.Token, &m.TokenEndpoint}, {"revocation_endpoint", aliases.Revocation, &m.RevocationEndpoint},
		{"pushed_authorization_request_endpoint", aliases.PAR, &m.PAREndpoint}, {"userinfo_endpoint", aliases.UserInfo, &m.UserInfoEndpoint},
	} {
		if alias.url == "" {
			continue
		}
		if err := c.checkRequested(alias.url); err != nil {
			faults = append(faults, fmt.Errorf("mtls_endpoint_aliases: %s %w", alias.name, err))
		}
		*alias.of = alias.url
	}
	return errors.Join(faults...)
}

// checkTLS returns an error if a client authenticates by its certificate, and the token
// endpoint is on plain http, where no certificate is presented.
func (m *metadata) checkTLS() error {
	if (m.authMethod == authTLS || m.authMethod == authSelfSignedTLS) && !strings.HasPrefix(strings.ToLower(m.TokenEndpoint), "https:") {
		return badMetadata("discovery: token_endpoint is %q, and %s needs https; use https, or another Client.AuthMethod", told.Clip(m.TokenEndpoint), m.authMethod)
	}
	return nil
}

// strongClient returns the client for requests that the client certificate belongs to:
// those of the registered client, and those with an access token. Metadata and keys are
// fetched without it.
func (c *Config) strongClient() *http.Client { return cmp.Or(c.certified, c.Client) }

// withCertificate returns a copy of client, which is from NewClient, that presents a
// certificate to servers that ask for one. Its connections are its own.
func withCertificate(client *http.Client, get func() (*tls.Certificate, error)) *http.Client {
	if get == nil {
		return nil
	}
	capped, ok := client.Transport.(cappedTransport)
	if !ok {
		return nil // impossible: NewClient
	}
	base, err := CertifiedTransport(capped.base, get)
	if err != nil {
		return nil // impossible: Config was checked
	}
	capped.base = base
	result := *client
	result.Transport = capped
	return &result
}

// CertifiedTransport returns a copy of a transport that presents a client certificate to
// servers that ask for one. The text of the error begins with a verb, for a name before
// it.
func CertifiedTransport(base http.RoundTripper, get func() (*tls.Certificate, error)) (*http.Transport, error) {
	transport, ok := base.(*http.Transport)
	switch {
	case !ok:
		return nil, fmt.Errorf("has a Transport of type %T, which cannot present a certificate; leave it nil, or give an *http.Transport", base)
	//lint:ignore SA1019 an application may still set DialTLS
	case transport.DialTLSContext != nil, transport.DialTLS != nil:
		return nil, errors.New("has a Transport that makes its own TLS connections; leave DialTLSContext and DialTLS nil")
	}
	transport = cloneForTLS(transport)
	transport.TLSClientConfig.GetClientCertificate = clientCertificate(get)
	// A resumed session has the certificate of its first connection, or none.
	transport.TLSClientConfig.ClientSessionCache = nil
	return transport, nil
}

// cloneForTLS returns a copy of a transport with a TLSClientConfig. The copy uses HTTP/2
// if the transport does. Clone alone would offer it to the server and not understand it.
func cloneForTLS(transport *http.Transport) *http.Transport {
	clone := transport.Clone()
	if clone.TLSClientConfig == nil {
		clone.TLSClientConfig = new(tls.Config)
	}
	if clone.IdleConnTimeout == 0 {
		clone.IdleConnTimeout = 90 * time.Second // then nothing is left of a dropped Provider
	}
	if transport.TLSNextProto["h2"] != nil { // set by net/http, at the latest in Clone
		clone.ForceAttemptHTTP2 = true
	}
	return clone
}

// A certificateError is an error of Client.Certificate or of its private key.
type certificateError struct{ error }

func (e certificateError) Unwrap() error { return e.error }

// clientCertificate returns get in the form that crypto/tls takes. net/http makes
// connections in goroutines of its own, where a panic would end the program.
// A handshake that is given up does not stop them, so their time and number are bounded.
func clientCertificate(get func() (*tls.Certificate, error)) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	busy := make(chan struct{}, maxKeyUses)
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		certificate, err := bounded(context.Background(), busy, func() (*tls.Certificate, error) { return certificateFrom(get, busy) })
		return certificate, ofCertificate("Client.Certificate", err)
	}
}

// certificateFrom returns a certificate whose key signs within the bounds of busy.
func certificateFrom(get func() (*tls.Certificate, error), busy chan struct{}) (_ *tls.Certificate, err error) {
	defer recovered("Client.Certificate panicked", &err)
	given, err := get()
	if err != nil {
		return nil, err
	}
	if given == nil || len(given.Certificate) == 0 {
		return nil, certificateError{errors.New("Client.Certificate returned no certificate")}
	}
	signer, ok := given.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, certificateError{errors.New("Client.Certificate returned a certificate without a private key that signs")}
	}
	certificate := *given
	certificate.PrivateKey = connectionSigner{signer, signer.Public(), busy}
	return &certificate, nil
}

// ofCertificate returns err as a certificateError, or nil for nil.
func ofCertificate(of string, err error) error {
	if err == nil || errors.As(err, new(certificateError)) {
		return err
	}
	return certificateError{fmt.Errorf("%s: %w", of, err)}
}

func recovered(text string, err *error) {
	if recover() != nil {
		*err = certificateError{errors.New(text)}
	}
}

// A connectionSigner is the private key of a certificate, which may be in a KMS.
type connectionSigner struct {
	crypto.Signer
	public crypto.PublicKey
	busy   chan struct{} // one element for each use under way
}

func (s connectionSigner) Public() crypto.PublicKey { return s.public }

func (s connectionSigner) Sign(random io.Reader, digest []byte, options crypto.SignerOpts) ([]byte, error) {
	digest = slices.Clone(digest) // it is the caller's, who may not wait
	signature, err := bounded(context.Background(), s.busy, func() (_ []byte, err error) {
		defer recovered("the private key of Client.Certificate panicked", &err)
		return s.Signer.Sign(random, digest, options)
	})
	return signature, ofCertificate("the private key of Client.Certificate", err)
}

// unsent returns the error for a request without a response.
func unsent(err error, secrets ...string) *Error {
	failure := unreachable(err, secrets...)
	if errors.As(err, new(certificateError)) {
		failure.Code = CodeCredential
	}
	return failure
}
