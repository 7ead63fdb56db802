package main

import (
	"net/http"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

func TestAttack(t *testing.T) {
	t.Parallel()
	var a *app
	logintest.Attack(t, logintest.Target{
		RedirectURL:        "https://{provider}.example.test/auth/callback/{provider}",
		LoginPath:          "/auth/login",
		LogoutPath:         "/auth/logout",
		BackChannelLogout:  "/auth/backchannel-logout/{provider}",
		FrontChannelLogout: "/auth/frontchannel-logout/{provider}",
		ClientSecret:       "the secret of all customers",
		Start: func(provider *logintest.Provider) http.Handler {
			a = start(t, provider.HTTPClient())
			return a
		},
		AddCustomer: func(name, issuer string) {
			c := customer{Name: name, Issuer: issuer, ClientID: "app", Domains: name + ".test"}
			_ = a.customers.remove(t.Context(), name) // if there is one
			if err := a.customers.add(t.Context(), c, "the secret of all customers"); err != nil {
				t.Error(err)
			}
		},
	})
}
