package preset_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/preset"
)

func TestZITADELKey(t *testing.T) {
	t.Parallel()
	pkcs8, err := x509.MarshalPKCS8PrivateKey(rsaKey)
	if err != nil {
		t.Fatal(err)
	}
	file := func(change map[string]any) []byte {
		content := map[string]any{
			"type": "application", "keyId": "81693565968962154", "clientId": "78366401571920522@acme", "appId": "78366403256846242",
			"key": string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey)})),
		}
		for name, value := range change {
			content[name] = value
		}
		encoded, err := json.Marshal(content)
		if err != nil {
			t.Fatal(err)
		}
		return encoded
	}
	for _, test := range []struct {
		name string
		file []byte
		want string // an error; empty: none
	}{
		{"as it is", file(nil), ""},
		{"a key as PKCS #8", file(map[string]any{"key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))}), ""},
		{"of a service account", file(map[string]any{"type": "serviceaccount"}), "type is not application"},
		{"no id of the key", file(map[string]any{"keyId": ""}), "keyId or clientId is missing"},
		{"no client", file(map[string]any{"clientId": ""}), "keyId or clientId is missing"},
		{"no key", file(map[string]any{"key": "canary"}), "key is not PEM"},
		{"a key that is torn", file(map[string]any{"key": "-----BEGIN RSA PRIVATE KEY-----\nY2FuYXJ5\n-----END RSA PRIVATE KEY-----\n"}), "key cannot be read"},
		{"no JSON", []byte("canary"), "this is not JSON"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := preset.ZITADELKey(test.file)
			if test.want != "" {
				if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "canary") || got.ID != "" {
					t.Errorf("got %+v, %v, want %q", got, err, test.want)
				}
				return
			}
			if err != nil || got.ID != "78366401571920522@acme" || len(got.SigningKeys) != 1 {
				t.Fatalf("got %+v, %v", got, err)
			}
			if key := got.SigningKeys[0]; key.KeyID != "81693565968962154" || key.Alg != "RS256" || !rsaKey.PublicKey.Equal(key.Signer.Public()) {
				t.Errorf("got %+v", key)
			}
		})
	}
}
