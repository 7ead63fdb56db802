package main

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"

	"github.com/pixyauth/pixy/core"
)

// A provider is a core.Provider with the fields that JSON cannot have. All files are PEM.
type provider struct {
	core.Provider

	// UserURL is an API that returns the user. With FAPI 2.0 it is the accounts.
	UserURL string

	// Plain means that the provider has no OpenID Connect. Accounts means that it has no
	// user either: a login whose token can read UserURL succeeds.
	Plain, Accounts bool

	KeyFiles          []string // private keys (PKCS #8) of the client; the first signs
	CertFile, CertKey string   // of the client, for mutual TLS
}

// complete reads the files.
func (p *provider) complete() error {
	switch {
	case p.Accounts:
		p.FetchUser = fetchAccounts(p.UserURL)
	case p.Plain:
		p.FetchUser = fetchUser(p.UserURL)
	}
	for _, file := range p.KeyFiles {
		key, err := readKey(file)
		if err != nil {
			return err
		}
		p.Client.SigningKeys = append(p.Client.SigningKeys, core.SigningKey{Signer: key})
	}
	if p.CertFile != "" {
		p.Client.Certificate = func() (*tls.Certificate, error) {
			certificate, err := tls.LoadX509KeyPair(p.CertFile, p.CertKey)
			return &certificate, err
		}
	}
	return nil
}

// trusting returns a client that trusts the authority in file, and no other.
func trusting(file string) (*http.Client, error) {
	authority, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, fmt.Errorf("%s has no certificate", file)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	return &http.Client{Transport: transport}, nil
}

func readKey(file string) (crypto.Signer, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s is not PEM", file)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s has a key that cannot sign", file)
	}
	return signer, nil
}
