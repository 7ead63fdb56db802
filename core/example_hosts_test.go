package core_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"net/url"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A hostTable stands for the application's table of customers.
type hostTable map[string]bool

func (t hostTable) HasHost(_ context.Context, host string) (bool, error) { return t[host], nil }

// One process has a host of its own and one for each customer.
func ExampleHostConfig() {
	provider := logintest.NewProvider("https://id.example.test", logintest.Client{
		ID: "app", RedirectURIs: []string{"https://app.example.com/auth/callback", "https://acme.example.com/auth/callback"},
	})
	customers := hostTable{"acme.example.com": true}
	config := core.Config{
		Providers:   []core.Provider{{Issuer: provider.Issuer(), ClientID: "app"}},
		RedirectURL: "https://app.example.com/auth/callback",
		SessionKey:  []byte("thirty-two random bytes or more!"),
		HTTPClient:  provider.HTTPClient(),

		Hosts: core.HostConfig{
			Names:   []string{"admin.example.com"},
			Approve: func(ctx context.Context, host string) (bool, error) { return customers.HasHost(ctx, host) },
		},
	}
	auth, err := core.New(config)
	if err != nil {
		fmt.Println(err)
		return
	}
	w := httptest.NewRecorder()
	if err := auth.Login(w, httptest.NewRequest("GET", "https://acme.example.com/auth/login", nil)); err != nil {
		fmt.Println(err)
		return
	}
	to, _ := url.Parse(w.Header().Get("Location"))
	fmt.Println(to.Query().Get("redirect_uri"))
	// Output: https://acme.example.com/auth/callback
}
