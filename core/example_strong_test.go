package core_test

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/pixyauth/pixy/core"
)

// The client authenticates by a private key, which the provider never has.
func ExampleSigningKey() {
	provider := func() (core.Provider, error) {
		file, err := os.ReadFile("client-key.pem") // from `openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256`
		if err != nil {
			return core.Provider{}, err
		}
		block, _ := pem.Decode(file)
		if block == nil {
			return core.Provider{}, errors.New("client-key.pem is not PEM")
		}
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			return core.Provider{}, err
		}
		signer, ok := key.(crypto.Signer)
		if !ok {
			return core.Provider{}, errors.New("client-key.pem has a key that cannot sign")
		}
		return core.Provider{
			Issuer: "https://id.example.com", ClientID: "app",
			Client: core.ClientConfig{SigningKeys: []core.SigningKey{{Signer: signer}}},
		}, nil
	}
	_, err := provider()
	fmt.Println(errors.Is(err, os.ErrNotExist))
	// Output: true
}

// A kmsKey signs by a key that never leaves the KMS.
type kmsKey struct {
	public crypto.PublicKey // fetched once, at the start
	sign   func(ctx context.Context, digest []byte) ([]byte, error)
}

func (k kmsKey) Public() crypto.PublicKey { return k.public }

func (k kmsKey) Sign(_ io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return k.sign(ctx, digest) // for an elliptic curve in ASN.1, which is what most of them return
}

// A key in a KMS or an HSM is any crypto.Signer.
func ExampleSigningKey_kms() {
	client := core.ClientConfig{SigningKeys: []core.SigningKey{{Signer: kmsKey{}, KeyID: "2026-11"}}}
	fmt.Println(client.SigningKeys[0].KeyID)
	// Output: 2026-11
}

// The client authenticates by a certificate, and tokens may be bound to it.
func ExampleClientConfig_certificate() {
	certificate := func() (*tls.Certificate, error) {
		loaded, err := tls.LoadX509KeyPair("client.pem", "client-key.pem") // a renewed certificate needs no restart
		return &loaded, err
	}
	provider := core.Provider{
		Issuer: "https://id.example.com", ClientID: "app",
		Client: core.ClientConfig{Certificate: certificate},
	}
	_, err := provider.Client.Certificate()
	fmt.Println(errors.Is(err, os.ErrNotExist))
	// Output: true
}
