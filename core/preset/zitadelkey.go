package preset

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"

	"github.com/pixyauth/pixy/core"
)

// ZITADELKey reads the file with the private key of an application that ZITADEL
// offers to download: JSON with type application, keyId, key and clientId. The
// result is for [ZITADEL]. ZITADEL verifies RS256 only. ZITADELKey returns an
// error if a field is missing, or for the key of a service account. The error
// does not contain the file.
//
// https://zitadel.com/docs/apis/openidoauth/authn-methods
func ZITADELKey(file []byte) (Client, error) {
	var content struct{ Type, KeyID, Key, ClientID string }
	if json.Unmarshal(file, &content) != nil {
		return Client{}, errors.New("pixy: preset.ZITADELKey: this is not JSON; give the content of the key's file")
	}
	switch {
	case content.Type != "application":
		return Client{}, errors.New("pixy: preset.ZITADELKey: type is not application; add the key to the application, not to a service account")
	case content.KeyID == "" || content.ClientID == "":
		return Client{}, errors.New("pixy: preset.ZITADELKey: keyId or clientId is missing; give the content of the key's file")
	}
	block, _ := pem.Decode([]byte(content.Key))
	if block == nil {
		return Client{}, errors.New("pixy: preset.ZITADELKey: key is not PEM; give the content of the key's file")
	}
	var signer crypto.Signer
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		signer = key
	} else if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		signer, _ = key.(crypto.Signer)
	}
	if signer == nil {
		return Client{}, errors.New("pixy: preset.ZITADELKey: key cannot be read; give the content of the key's file")
	}
	return Client{ID: content.ClientID, SigningKeys: []core.SigningKey{{Signer: signer, KeyID: content.KeyID, Alg: "RS256"}}}, nil
}
