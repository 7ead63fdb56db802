package logintest_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

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

// The claims of a user decide what Allow decides.
func TestSignedInMeetsAllowByClaims(t *testing.T) {
	t.Parallel()
	auth, err := core.New(core.Config{
		Providers:   []core.Provider{{Issuer: issuer, ClientID: "app"}},
		RedirectURL: "https://app.example.test/auth/callback",
		SessionKey:  []byte("0123456789abcdef0123456789abcdef"),
		Logger:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	need := core.Requirement{
		MaxAge: time.Minute, ACR: []string{"gold"}, // which SignedIn meets
		Allow: func(u *core.User) bool { return u.Has("roles", "auditor") },
	}
	report := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		passed, err := auth.AuthenticateFor(w, r, need)
		if err != nil {
			auth.ServeError(w, r, err)
			return
		}
		if until := time.Until(auth.Session(passed).Ends); until < 11*time.Hour || until > 12*time.Hour {
			t.Errorf("the session ends in %s", until)
		}
	})
	for status, claims := range map[int]map[string]any{200: {"roles": []string{"auditor"}}, 403: {"roles": []string{"user"}}} {
		w := httptest.NewRecorder()
		logintest.SignedIn(report, logintest.User{Subject: "ada", Claims: claims}).ServeHTTP(w, httptest.NewRequest("GET", "/report", nil))
		if w.Code != status {
			t.Errorf("%v: got %d: %s", claims, w.Code, w.Body)
		}
	}
}
