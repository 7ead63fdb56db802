package logintest_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

// userInfo returns nil if the token is rejected.
func (b *bench) userInfo(access string) map[string]any {
	b.t.Helper()
	r, err := http.NewRequest("GET", issuer+"/userinfo", nil)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+access)
	response, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode == http.StatusUnauthorized && response.Header.Get("WWW-Authenticate") != "" {
		return nil
	}
	var claims map[string]any
	if err := json.NewDecoder(response.Body).Decode(&claims); err != nil {
		b.t.Fatal(err)
	}
	return claims
}

func TestScopesLimitClaims(t *testing.T) {
	t.Parallel()
	for scope, want := range map[string]string{"openid": "", "openid profile": "name", "openid email": "email", "openid profile email": "name email"} {
		b := newBench(t, clients["public"])
		b.provider.User = logintest.User{Subject: "s", Claims: map[string]any{"name": "N", "email": "e@example.test", "groups": "g"}}
		request := b.request()
		request.Set("scope", scope)
		_, answer := b.authorize(request)
		_, tokens := b.token(b.form(answer.Get("code")))
		for _, claims := range []map[string]any{payload(t, tokens["id_token"]), b.userInfo(tokens["access_token"].(string))} {
			for _, name := range []string{"name", "email"} {
				if _, got := claims[name]; got != strings.Contains(want, name) {
					t.Errorf("scope %q: %s is there: %v", scope, name, got)
				}
			}
			if claims["groups"] != "g" || claims["sub"] != "s" {
				t.Errorf("got %v", claims)
			}
		}
	}
}

func TestUserInfoTakesTheHeaderOnly(t *testing.T) {
	t.Parallel()
	b := newBench(t, clients["public"])
	_, tokens := b.token(b.form(b.code()))
	access := tokens["access_token"].(string)
	for _, wrong := range []string{"", "x", tokens["refresh_token"].(string)} {
		if got := b.userInfo(wrong); got != nil {
			t.Errorf("%q: got %v", wrong, got)
		}
	}
	response, err := b.http.Get(issuer + "/userinfo?access_token=" + access)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("in the URL: got %d", response.StatusCode)
	}
}
