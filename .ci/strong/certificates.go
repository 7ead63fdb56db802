package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// An authority issues certificates for loopback.
type authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

func newAuthority() (*authority, error) {
	made, err := issue(nil, "authority.example.test")
	if err != nil {
		return nil, err
	}
	return &authority{made.Leaf, made.PrivateKey.(crypto.Signer)}, nil
}

// issue returns a certificate for a name on loopback, by an authority or by itself.
func issue(by *authority, name string) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	parent, signer := template, crypto.Signer(key)
	if by == nil {
		template.IsCA, template.BasicConstraintsValid = true, true
		template.KeyUsage |= x509.KeyUsageCertSign
	} else {
		parent, signer = by.certificate, by.key
		template.DNSNames, template.IPAddresses = []string{name}, []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, err
}

// transport returns a transport that trusts the authority.
func (a *authority) transport() *http.Transport {
	roots := x509.NewCertPool()
	roots.AddCert(a.certificate)
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
}

func (a *authority) pem() string { return certificatePEM(a.certificate) }

func certificatePEM(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

func keyPEM(key crypto.PrivateKey) (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), err
}

// write writes the authority and a new certificate of it for a server into a folder.
func (a *authority) write(folder, name string) (ca, certificate, key string, err error) {
	issued, err := issue(a, name)
	if err != nil {
		return "", "", "", err
	}
	keyText, err := keyPEM(issued.PrivateKey)
	if err != nil {
		return "", "", "", err
	}
	ca, certificate, key = filepath.Join(folder, "ca.pem"), filepath.Join(folder, "server.pem"), filepath.Join(folder, "server.key")
	for file, text := range map[string]string{ca: a.pem(), certificate: certificatePEM(issued.Leaf), key: keyText} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return "", "", "", err
		}
	}
	return ca, certificate, key, nil
}
