package core

import (
	"crypto"
	"reflect"
)

// sameAs reports whether two answers of Lookup.Find are one registration. Functions, which
// Go cannot compare, and secrets are not compared: the latest are used. Keys are compared
// by their public parts, because a Signer may be a connection to a KMS.
func (p *Provider) sameAs(q *Provider) bool {
	return p == q || p.confidential() == q.confidential() &&
		(p.FetchUser == nil) == (q.FetchUser == nil) &&
		(p.Client.Certificate == nil) == (q.Client.Certificate == nil) &&
		p.Endpoints.HTTPClient == q.Endpoints.HTTPClient &&
		reflect.DeepEqual(p.publicParts(), q.publicParts()) &&
		reflect.DeepEqual(p.comparable(), q.comparable())
}

// comparable returns the fields that are compared by their values.
func (p Provider) comparable() Provider {
	p.ClientSecret, p.FetchUser, p.Endpoints.HTTPClient = "", nil, nil
	p.Client.SecretFunc, p.Client.Certificate = nil, nil
	p.Client.SigningKeys, p.Client.DecryptionKeys = nil, nil
	return p
}

// publicParts returns the client's keys without their private parts.
func (p *Provider) publicParts() (parts []any) {
	for _, key := range p.Client.SigningKeys {
		parts = append(parts, key.KeyID, key.Alg, publicPart(key.Signer))
		if key.Certificate != nil {
			parts = append(parts, key.Certificate.Raw)
		}
	}
	parts = append(parts, "")
	for _, key := range p.Client.DecryptionKeys {
		parts = append(parts, publicPart(key))
	}
	return parts
}

// publicPart returns the public part of a private key, or nil for what is none. One that
// panics, such as a nil pointer, has none: the check of the new registration reports it.
func publicPart(key any) (public any) {
	defer func() {
		if recover() != nil {
			public = nil
		}
	}()
	if private, ok := key.(interface{ Public() crypto.PublicKey }); ok {
		return private.Public()
	}
	return nil
}
