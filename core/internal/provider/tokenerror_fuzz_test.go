package provider

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/internal/told"
)

// FuzzTokenRefusal checks that each response of a token endpoint gives a known code, and
// a short text without secrets.
func FuzzTokenRefusal(f *testing.F) {
	for _, body := range []string{
		`{"error":"invalid_grant","error_description":"canary-secret"}`, `{"error":"invalid_client"}`, `{"error":null}`, `{"error":7}`,
		`{"ok":false,"error":"invalid_code"}`, `{"error":{"message":"canary-secret","type":"OAuthException","code":100}}`,
		`error=bad_verification_code&error_description=canary%2Dsecret`, `<a href="?x&error=invalid_grant">`, `error=%zz`, ``, `{`,
	} {
		f.Add(400, body)
		f.Add(503, body)
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		const secret = "canary-secret"
		err := tokenRefusal("token endpoint", status, []byte(body), `client_id is "app"`, secret)
		codes := []string{CodeGrantRefused, CodeClientRefused, CodeTokenRefused, CodeUnavailable, CodeTokenResponse}
		if !slices.Contains(codes, err.Code) {
			t.Errorf("got %+v", err)
		}
		if text := err.Error(); strings.Contains(text, secret) || len(text) > 8*told.Max {
			t.Errorf("%d bytes: %s", len(text), text)
		}
		if status == http.StatusUnauthorized && err.Code != CodeGrantRefused && err.Code != CodeUnavailable && err.Code != CodeClientRefused {
			t.Errorf("401 is %s", err.Code)
		}
	})
}
