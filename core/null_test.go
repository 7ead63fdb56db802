package core_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A member that is null says nothing, in whatever the provider sends.
func TestNullSaysNothing(t *testing.T) {
	t.Parallel()
	null := func(c map[string]any, names ...string) {
		for _, name := range names {
			c[name] = nil
		}
	}
	t.Run("in an ID token", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.provider.Misbehave(logintest.Faults{IDToken: func(header, c map[string]any) {
			null(header, "typ", "jku")
			null(c, "azp", "at_hash", "nbf", "auth_time", "acr", "events", "sid", "name")
		}})
		g.login()
	})
	t.Run("in an ID token, where something is needed", func(t *testing.T) {
		t.Parallel()
		for _, name := range []string{"iss", "aud", "sub", "exp", "iat", "nonce"} {
			g := newRig(t)
			g.provider.Misbehave(logintest.Faults{IDToken: func(_, c map[string]any) { null(c, name) }})
			if page := g.get(origin + "/me"); page.Status != 502 || g.logins.Load() != 0 {
				t.Errorf("%s: got %d, and %d logins", name, page.Status, g.logins.Load())
			}
		}
	})
	t.Run("in a refreshed ID token", func(t *testing.T) {
		t.Parallel()
		g := newTokenRig(t)
		g.provider.Misbehave(logintest.Faults{RefreshedIDToken: func(_, c map[string]any) {
			null(c, "azp", "at_hash", "nonce", "auth_time", "c_hash", "events")
		}})
		g.login()
		for range 2 {
			g.advance(time.Hour)
			if token := g.token(); len(token) < 20 {
				t.Fatalf("got %q", token)
			}
		}
	})
	t.Run("in a token response", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.provider.Misbehave(logintest.Faults{Token: func(answer map[string]any) {
			null(answer, "error", "error_description", "refresh_token", "expires_in", "scope")
		}})
		g.login()
	})
	t.Run("in a key", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.provider.Misbehave(logintest.Faults{JWKS: func(set map[string]any) {
			null(rsaIn(set), "alg", "use", "key_ops", "x5c", "x5t", "d", "issuer")
		}})
		g.login()
	})
	t.Run("and hides nothing", func(t *testing.T) {
		t.Parallel()
		var user core.User
		g := newRig(t, askUserInfo, func(c *core.Config) {
			c.OnLogin = func(_ context.Context, login *core.Login) error { user = *login.User; return nil }
		})
		g.provider.Misbehave(logintest.Faults{
			IDToken:  func(_, c map[string]any) { null(c, "name", "email", "email_verified", "picture") },
			UserInfo: func(c map[string]any) { null(c, "zoneinfo", "acr") },
		})
		g.login()
		var claims map[string]any
		if err := user.Claims(&claims); err != nil {
			t.Fatal(err)
		}
		_, kept := claims["zoneinfo"]
		if user.Name != "Ada Lovelace" || user.Email != "ada@example.test" || !user.EmailVerified || kept {
			t.Errorf("got %+v, %v", user, claims)
		}
	})
	t.Run("but occurs once", func(t *testing.T) {
		t.Parallel()
		for _, twice := range []string{`{"sub":"ada","sub":null,`, `{"sub":null,"sub":"ada",`, `{"x":null,"x":null,`} {
			g := newRig(t, askUserInfo)
			g.provider.Misbehave(logintest.Faults{Intercept: userInfoOf(strings.TrimSuffix(twice, ",") + "}")})
			if page := g.get(origin + "/me"); page.Status != 502 || g.logins.Load() != 0 {
				t.Errorf("%s: got %d, and %d logins", twice, page.Status, g.logins.Load())
			}
		}
	})
}

// userInfoOf answers UserInfo requests.
func userInfoOf(body string) func(logintest.Endpoint, http.ResponseWriter, *http.Request) bool {
	return func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
		if e == logintest.UserInfo {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, body)
		}
		return e == logintest.UserInfo
	}
}
