package core_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A test of one guarded handler needs no login: put the user in.
func ExampleContextWithUser() {
	handler := func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Hello, %s", core.UserFromContext(r.Context()).Subject)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/me", nil)

	r = r.WithContext(core.ContextWithUser(r.Context(), &core.User{Issuer: "test", Subject: "ada"}))

	handler(w, r)
	fmt.Println(w.Body)
	// Output: Hello, ada
}

// OnLogin creates accounts, and refuses with words of the application's.
func ExampleConfig_onLogin() {
	accounts := map[string]string{"https://id.example.com ada": "account 1"}
	config := core.Config{
		OnLogin: func(_ context.Context, user *core.User) error {
			if _, ok := accounts[user.Key()]; !ok {
				return &core.Error{Code: "no_account", Public: "You have no account here. Ask your administrator for one."}
			}
			return nil
		},
	}
	fmt.Println(config.OnLogin(context.Background(), &core.User{Issuer: "https://id.example.com", Subject: "bob"}))
	// Output: pixy: no_account
}

// An application of its own kind can do without an adapter: a core handler
// answers the request or returns an error.
func ExampleAuthenticator_Authenticate() {
	provider := logintest.NewProvider("https://id.example.test", logintest.Client{
		ID: "app", RedirectURIs: []string{"https://app.example.test/auth/callback"},
	})
	auth, err := core.New(core.Config{
		Providers:   []core.Provider{{Issuer: provider.Issuer(), ClientID: "app"}},
		RedirectURL: "https://app.example.test/auth/callback",
		SessionKey:  []byte("thirty-two random bytes or more!"),
		HTTPClient:  provider.HTTPClient(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	r := httptest.NewRequest("GET", "https://app.example.test/me", nil)
	_, err = auth.Authenticate(httptest.NewRecorder(), r)
	fmt.Println(errors.Is(err, core.ErrNoSession))
	// Output: true
}
