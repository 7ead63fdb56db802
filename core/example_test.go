package core_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"time"

	"golang.org/x/oauth2"

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

type grantsTable map[string]core.Grant

func (g grantsTable) Save(_ context.Context, user string, grant core.Grant) error {
	g[user] = grant
	return nil
}

// A job works for users who are away, with the grants that OnLogin stored.
func ExampleAuthenticator_GrantClient() {
	auth, err := core.New(core.Config{
		Providers:   []core.Provider{{Name: "Work", Issuer: "https://id.example.com", ClientID: "app"}},
		RedirectURL: "https://app.example.com/auth/callback",
		SessionKey:  []byte("thirty-two random bytes or more!"),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	api := roundTripper(func(r *http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		_, _ = fmt.Fprint(w, r.Header.Get("Authorization"))
		return w.Result(), nil
	})
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, &http.Client{Transport: api})
	const user = "https://id.example.com ada"
	grants := grantsTable{user: {
		Provider: "Work", Issuer: "https://id.example.com", Subject: "ada",
		Token: oauth2.Token{AccessToken: "the-token", RefreshToken: "another", Expiry: time.Now().Add(time.Hour)},
	}}

	grant := grants[user]
	client := auth.GrantClient(ctx, grant, func(ctx context.Context, fresh core.Grant) error {
		return grants.Save(ctx, user, fresh) // in place of the old one
	}, "api.example.com")

	response, err := client.Get("https://api.example.com/orders")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(os.Stdout, response.Body)
	// Output: Bearer the-token
}
