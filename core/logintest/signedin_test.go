package logintest_test

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// seenBy returns the user that a handler gets behind SignedIn.
func seenBy(t *testing.T, user logintest.User) *core.User {
	t.Helper()
	var seen *core.User
	app := logintest.SignedIn(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen = core.UserFromContext(r.Context())
	}), user)
	app.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if seen == nil {
		t.Fatal("nobody is signed in")
	}
	return seen
}

func TestSignedInIsWhoItSays(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name                    string
		user                    logintest.User
		issuer, subject, called string
		want                    map[string]any
	}{
		{"the zero user", logintest.User{}, issuer, "ada", "Ada Lovelace", map[string]any{
			"sub": "ada", "name": "Ada Lovelace", "given_name": "Ada", "family_name": "Lovelace",
			"email": "ada@example.test", "email_verified": true,
		}},
		{"a subject", logintest.User{Subject: "grace"}, issuer, "grace", "", map[string]any{"sub": "grace"}},
		{"claims", logintest.User{Subject: "grace", Claims: map[string]any{"name": "Grace", "groups": []string{"navy"}}},
			issuer, "grace", "Grace", map[string]any{"sub": "grace", "name": "Grace", "groups": []any{"navy"}}},
		{"an issuer", logintest.User{Subject: "grace", Claims: map[string]any{"iss": "https://login.example.test"}},
			"https://login.example.test", "grace", "", map[string]any{"sub": "grace"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := seenBy(t, test.user)
			if got.Issuer != test.issuer || got.Subject != test.subject || got.Name != test.called {
				t.Errorf("got %+v", got)
			}
			var claims map[string]any
			if err := got.Claims(&claims); err != nil || !reflect.DeepEqual(claims, test.want) {
				t.Errorf("got claims %v, %v, want %v", claims, err, test.want)
			}
			if test.user.Claims["sub"] != nil {
				t.Error("the caller's claims were changed")
			}
		})
	}
}

func TestSignedInPanicsForWhoCannotBe(t *testing.T) {
	t.Parallel()
	for name, user := range map[string]logintest.User{
		"no subject":   {Claims: map[string]any{"groups": []string{"navy"}}},
		"long subject": {Subject: strings.Repeat("a", 256)},
		"no JSON":      {Subject: "ada", Claims: map[string]any{"x": func() {}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			logintest.SignedIn(http.NotFoundHandler(), user)
		})
	}
}
