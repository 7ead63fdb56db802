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
		_, _ = fmt.Fprintf(w, "Hello, %s", core.UserFromContext(r.Context()).Subject)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest("GET", "/me", nil)

	r = r.WithContext(core.ContextWithUser(r.Context(), &core.User{Issuer: "test", Subject: "ada"}))

	handler(w, r)
	fmt.Println(w.Body)
	// Output: Hello, ada
}

// The application's accounts.
type account struct{ Closed bool }

type database map[string]account

func (d database) Upsert(_ context.Context, key, name, email string) (account, error) {
	return d[key], nil
}

// OnLogin creates accounts, and rejects users with a text of the application.
func ExampleConfig_onLogin() {
	accounts := database{"https://id.example.com bob": {Closed: true}}
	config := core.Config{
		OnLogin: func(ctx context.Context, login *core.Login) error {
			account, err := accounts.Upsert(ctx, login.User.Key(), login.User.Name, login.User.Email)
			if err != nil {
				return fmt.Errorf("%w: %w", core.ErrUnavailable, err) // status 503; any other error rejects the user with 403
			}
			if account.Closed {
				return &core.Error{Public: "Your account is closed.", Err: errors.New("the account is closed: " + login.User.Key())}
			}
			return nil
		},
	}
	fmt.Println(config.OnLogin(context.Background(), &core.Login{User: &core.User{Issuer: "https://id.example.com", Subject: "ada"}}))
	fmt.Println(config.OnLogin(context.Background(), &core.Login{User: &core.User{Issuer: "https://id.example.com", Subject: "bob"}}))
	// Output:
	// <nil>
	// pixy: the account is closed: https://id.example.com bob
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
