package logintest_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

// RFC 7518 section 3.5: the salt of PS256 is as long as the hash.
func TestTheSaltOfAnAssertion(t *testing.T) {
	t.Parallel()
	for salt, accepted := range map[int]bool{rsa.PSSSaltLengthEqualsHash: true, rsa.PSSSaltLengthAuto: false, 20: false} {
		t.Run(fmt.Sprint(salt), func(t *testing.T) {
			t.Parallel()
			s := newStrongBench(t, keyClient(nil))
			form := s.authenticated(s.form(s.newCode()))
			assertion := s.assertion("PS256")
			content := assertion[:strings.LastIndex(assertion, ".")]
			digest := sha256.Sum256([]byte(content))
			signature, err := rsa.SignPSS(rand.Reader, strongKeys()["PS256"].(*rsa.PrivateKey), crypto.SHA256, digest[:], &rsa.PSSOptions{SaltLength: salt})
			if err != nil {
				t.Fatal(err)
			}
			form.Set("client_assertion", content+"."+base64.RawURLEncoding.EncodeToString(signature))
			if got := s.post(logintest.Token, form); !accepted {
				got.refused(t, 401, "invalid_client")
			} else if got.status != 200 {
				t.Errorf("got %d %v", got.status, got.body)
			}
		})
	}
}
