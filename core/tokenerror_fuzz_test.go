package core

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

// FuzzTokenRefusal: whatever a token endpoint answers, what comes of it is one of the
// failures that there are, its text is short, and no secret is in it.
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
		codes := []string{codeGrantRefused, codeClientRefused, codeTokenRefused, "provider_unavailable", "token_response_untrusted"}
		if !slices.Contains(codes, err.Code) || err.Status < 400 || err.Public == "" {
			t.Errorf("got %+v", err)
		}
		if told := err.Error(); strings.Contains(told, secret) || len(told) > 8*maxTold {
			t.Errorf("%d bytes: %s", len(told), told)
		}
		if status == http.StatusUnauthorized && err.Code != codeGrantRefused && err.Code != "provider_unavailable" && err.Code != codeClientRefused {
			t.Errorf("401 is %s", err.Code)
		}
	})
}
