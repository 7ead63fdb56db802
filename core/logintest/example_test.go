package logintest_test

import (
	"fmt"
	"net/http"

	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A test of an application's own login: nothing listens, nothing is mocked.
func Example() {
	provider := logintest.NewProvider("https://id.example.test", logintest.Client{
		ID:           "my-app",
		RedirectURIs: []string{"https://app.example.test/auth/callback"},
	})
	provider.User = logintest.User{Subject: "grace", Claims: map[string]any{"name": "Grace Hopper"}}

	auth, err := core.New(core.Config{
		Providers:   []core.Provider{{Issuer: provider.Issuer(), ClientID: "my-app"}},
		RedirectURL: "https://app.example.test/auth/callback",
		SessionKey:  []byte("thirty-two random bytes or more!"),
		HTTPClient:  provider.HTTPClient(),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	login := httplogin.New(auth)
	app := http.NewServeMux()
	login.Mount(app)
	app.Handle("/me", login.RequireUser(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Hello, %s", httplogin.User(r).Name)
	})))

	browser := logintest.NewBrowser()
	browser.Serve("https://app.example.test", app)
	browser.Serve("https://id.example.test", provider)
	page, err := browser.Get("https://app.example.test/me")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(page.Status, string(page.Body), "after", len(page.Hops), "hops")
	// Output: 200 Hello, Grace Hopper after 4 hops
}
