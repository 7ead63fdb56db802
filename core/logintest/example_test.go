package logintest_test

import (
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A test of an application's login, without a listener and without mocks.
func Example() {
	provider := logintest.NewProvider("https://id.example.test", logintest.Client{
		ID:                     "app",
		RedirectURIs:           []string{"https://app.example.test/auth/callback"},
		PostLogoutRedirectURIs: []string{"https://app.example.test/"},
	})
	provider.User = logintest.User{Subject: "grace", Claims: map[string]any{"name": "Grace Hopper"}}

	browser := logintest.NewBrowser()
	browser.Serve("https://app.example.test", newApp(provider.Issuer(), provider.HTTPClient()))
	browser.Serve("https://id.example.test", provider)
	page, err := browser.Get("https://app.example.test/me")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(page.Status, string(page.Body), "after", len(page.Hops), "hops")
	// Output: 200 Hello, Grace Hopper after 4 hops
}

// newApp returns the application as in production, with the given provider.
func newApp(issuer string, client *http.Client) http.Handler {
	auth, err := core.New(core.Config{
		Providers:   []core.Provider{{Issuer: issuer, ClientID: "app"}},
		RedirectURL: "https://app.example.test/auth/callback",
		SessionKey:  []byte("thirty-two random bytes or more!"),
		HTTPClient:  client,
		Logger:      slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	login := httplogin.New(auth)
	app := http.NewServeMux()
	login.Mount(app)
	app.Handle("/me", login.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "Hello, %s", httplogin.User(r).Name)
	})))
	return app
}

// The test that every application should have.
func TestAttack(t *testing.T) {
	logintest.Attack(t, logintest.Target{Start: func(provider *logintest.Provider) http.Handler {
		return newApp(provider.Issuer(), provider.HTTPClient())
	}})
}

func ExampleAttack() {
	var t *testing.T // the argument of a test function
	logintest.Attack(t, logintest.Target{Start: func(provider *logintest.Provider) http.Handler {
		return newApp(provider.Issuer(), provider.HTTPClient())
	}})
}

// An application that looks up each customer's provider, in its own table.
func ExampleTarget() {
	var t *testing.T // the argument of a test function
	var customers table
	start := func(provider *logintest.Provider) http.Handler {
		return newApp(provider.Issuer(), provider.HTTPClient())
	}
	logintest.Attack(t, logintest.Target{
		Start:       start, // provider.HTTPClient() reaches the providers of all customers
		AddCustomer: customers.add,
		RedirectURL: "https://app.example.test/auth/callback/{provider}",
		LoginPath:   "/auth/login?provider={provider}",
		LogoutPath:  "/auth/logout",
		Private:     "/customers/{provider}",
	})
}

type table map[string]string

func (t *table) add(name, issuer string) { (*t)[name] = issuer }

// A test of a page behind the guard, without a login.
func ExampleSignedIn() {
	ada := logintest.User{Subject: "ada", Claims: map[string]any{"name": "Ada"}}
	app := logintest.SignedIn(newApp("https://id.example.test", nil), ada)

	answer := httptest.NewRecorder()
	app.ServeHTTP(answer, httptest.NewRequest("GET", "/me", nil))
	fmt.Println(answer.Code, answer.Body)
	// Output: 200 Hello, Ada
}
