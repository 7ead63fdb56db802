package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"

	"github.com/pixyauth/pixy/core"
)

func byKey(a *application) object {
	return object{"token_endpoint_auth_method": "private_key_jwt", "token_endpoint_auth_signing_alg": a.algorithm(), "jwks_uri": a.url + "/auth/jwks"}
}

func bySecret(a *application) object {
	return object{"token_endpoint_auth_method": "client_secret_basic", "client_secret": a.secret}
}

// and returns both registrations in one.
func and(one, two func(*application) object) func(*application) object {
	return func(a *application) object {
		all := one(a)
		for name, value := range two(a) {
			all[name] = value
		}
		return all
	}
}

func withKey(p *core.Provider, a *application) {
	p.Client.SigningKeys = []core.SigningKey{{Signer: a.signing}}
}

func withSecret(p *core.Provider, a *application) {
	p.ClientSecret, p.Client.AuthMethod = a.secret, "client_secret_basic"
}

func withCertificate(p *core.Provider, a *application) {
	p.Client.Certificate = func() (*tls.Certificate, error) { return a.certificate, nil }
	p.Client.AuthMethod = "tls_client_auth"
}

// renamed gives a weak application a certificate of the same authority for another name.
func renamed(p *core.Provider, client *application) {
	p.Client.Certificate = func() (*tls.Certificate, error) { return issue(client.ca, "other.example.test") }
}

// same leaves a weak application with keys of its own, which no server has.
func same(*core.Provider, *application) {}

func (v *variant) algorithm() string {
	if v.alg == "" {
		return "ES256"
	}
	return v.alg
}

func (v *variant) newKey() (crypto.Signer, error) {
	switch v.algorithm() {
	case "PS256":
		return rsa.GenerateKey(rand.Reader, 2048)
	case "EdDSA":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	default:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
}
