package core_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A fapiKeySet has the keys of the suite's server and of its client.
type fapiKeySet struct {
	server      tls.Certificate // for 127.0.0.1
	client      crypto.Signer
	published   []byte          // the JWKS of client
	certificate tls.Certificate // of the client
}

// fapiKeys are made once, because they are slow.
var fapiKeys = sync.OnceValue(func() *fapiKeySet {
	key := ecdsaKey()
	public := jose.JSONWebKey{Key: key.Public(), Use: "sig", Algorithm: "ES256"} // no kid fits any
	published, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{withThumbprint(public)}})
	if err != nil {
		panic(err)
	}
	return &fapiKeySet{server: certificateOf("suite"), client: key, published: published, certificate: certificateOf("app")}
})

func withThumbprint(key jose.JSONWebKey) jose.JSONWebKey {
	sum, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		panic(err)
	}
	key.KeyID = base64.RawURLEncoding.EncodeToString(sum)
	return key
}

func ecdsaKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

// certificateOf returns a certificate that has signed itself, for 127.0.0.1.
func certificateOf(name string) tls.Certificate {
	key := ecdsaKey()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// claimsOf returns the claims of a token, without verifying it.
func claimsOf(t testing.TB, token string) map[string]any {
	t.Helper()
	var claims map[string]any
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Errorf("%q is no token", token)
		return nil
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(payload, &claims)
	}
	if err != nil {
		t.Error(err)
	}
	return claims
}
