package logintest_test

import (
	"crypto"
	"io"
	"net/http"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core/logintest"
)

func decrypted(t *testing.T, token string, key crypto.Signer, e logintest.Encryption) string {
	t.Helper()
	object, err := jose.ParseEncryptedCompact(token, []jose.KeyAlgorithm{jose.KeyAlgorithm(e.Alg)}, []jose.ContentEncryption{jose.ContentEncryption(e.Enc)})
	if err != nil {
		t.Fatal(err)
	}
	text, err := object.Decrypt(key)
	if err != nil || object.Header.ExtraHeaders[jose.HeaderContentType] != "JWT" {
		t.Fatalf("got %v, %v", object.Header, err)
	}
	return string(text)
}

func (s *strongBench) userInfoText(access string) (text, kind string) {
	s.t.Helper()
	r, err := http.NewRequest("GET", issuer+"/userinfo", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+access)
	response, err := s.http.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(body), response.Header.Get("Content-Type")
}

func encryptionKeys() []byte {
	return []byte(`{"keys":[` + publicKey("ES256", "sig", "sign-ec") + `,` + publicKey("PS256", "sig", "sign-rsa") + `,` +
		publicKey("ES256", "enc", "ec") + `,` + publicKey("PS256", "enc", "rsa") + `]}`)
}

func publicKey(name, use, id string) string {
	encoded, err := jose.JSONWebKey{Key: strongKeys()[name].Public(), Use: use, KeyID: id}.MarshalJSON()
	if err != nil {
		panic(err)
	}
	return string(encoded)
}

// Tokens are signed, and then encrypted to the client's key for encryption.
func TestEncryptedTokens(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"RSA-OAEP", "RSA-OAEP-256", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW"} {
		for _, enc := range []string{"A128GCM", "A256GCM", "A128CBC-HS256", "A256CBC-HS512"} {
			t.Run(alg+" "+enc, func(t *testing.T) {
				t.Parallel()
				e := logintest.Encryption{Alg: alg, Enc: enc}
				s := newStrongBench(t, logintest.Client{Keys: encryptionKeys(), EncryptIDToken: e, EncryptUserInfo: e, SigningAlg: "ES256"})
				tokens := s.login()
				key := strongKeys()["PS256"]
				if alg[0] == 'E' {
					key = strongKeys()["ES256"]
				}
				if claims := s.verified(decrypted(t, tokens["id_token"].(string), key, e), jose.ES256); claims["nonce"] != "the-nonce" {
					t.Errorf("got %v", claims)
				}
				text, kind := s.userInfoText(tokens["access_token"].(string))
				if claims := s.verified(decrypted(t, text, key, e), jose.ES256); kind != "application/jwt" || claims["sub"] != "ada" || claims["iss"] != issuer || claims["aud"] != "app" {
					t.Errorf("got %s %v", kind, claims)
				}
			})
		}
	}
}

func TestEncryptionMisbehaves(t *testing.T) {
	t.Parallel()
	e := logintest.Encryption{Alg: "ECDH-ES", Enc: "A256GCM"}
	s := newStrongBench(t, logintest.Client{Keys: encryptionKeys(), EncryptIDToken: e})
	s.provider.Misbehave(logintest.Faults{Encrypted: func(signed, encrypted string) string {
		if decrypted(t, encrypted, strongKeys()["ES256"], e) != signed {
			t.Error("got another token")
		}
		return signed
	}})
	if claims := s.verified(s.login()["id_token"].(string), jose.RS256); claims["sub"] != "ada" {
		t.Errorf("got %v", claims)
	}
}

// A client without a fitting key gets an error, and no token in clear text.
func TestNoKeyToEncryptTo(t *testing.T) {
	t.Parallel()
	for _, alg := range []string{"RSA-OAEP-256", "ECDH-ES"} {
		s := newStrongBench(t, logintest.Client{Keys: jwks("EdDSA"), EncryptIDToken: logintest.Encryption{Alg: alg, Enc: "A256GCM"}})
		s.send(logintest.Token, s.form(s.newCode())).refused(t, 400, "invalid_request")
		s = newStrongBench(t, logintest.Client{Keys: jwks("EdDSA"), EncryptUserInfo: logintest.Encryption{Alg: alg, Enc: "A256GCM"}})
		if got := s.resource(issuer+"/userinfo", "Bearer", s.login()["access_token"].(string)); got.status != http.StatusInternalServerError || got.body != nil {
			t.Errorf("got %d %v", got.status, got.body)
		}
	}
}
