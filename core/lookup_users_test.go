package core_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// The application ends sessions of one provider, or of one user, wherever they began. There
// are two customers, a third that shares the registration of the first, and a listed
// provider with that registration. Find is not asked, so the customer may be gone.
func TestTheApplicationEndsSessionsOfLookedUpProviders(t *testing.T) {
	t.Parallel()
	names := []string{"one", "two", "same", "staff"}
	for name, test := range map[string]struct {
		end        func(*core.Authenticator) error
		left, told string
	}{
		"one customer":          {provider("one"), "two same staff", "logout provider=one by=application"},
		"another customer":      {provider("two"), "one same staff", "logout provider=two by=application"},
		"the same registration": {provider("same"), "one two staff", "logout provider=same by=application"},
		"a listed provider":     {provider("staff"), "one two same", "logout provider=staff by=application"},
		"a customer of nobody":  {provider("three"), "one two same staff", "logout provider=three by=application"},
		"a user":                {everywhere(issuer), "two", "logout provider=staff issuer=" + issuer + " subject=ada by=application"},
		"a user of a customer":  {everywhere(otherIssuer), "one same staff", "logout issuer=" + otherIssuer + " subject=ada by=application"},
		"a user of no provider": {everywhere("https://no.example.test"), "one two same staff", "logout issuer=https://no.example.test subject=ada by=application"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var heard audience
			c := newCustomers(t, func(c *core.Config) {
				c.Logout.Revocations = new(core.MemoryRevocations)
				c.Providers = []core.Provider{{Name: "staff", Issuer: issuer, ClientID: "app"}}
			}, heard.listen)
			same := *c.table["one"]
			same.Name, same.RedirectURL = "same", callbackURL
			c.table["same"] = &same
			people := make(map[string]*rig)
			for _, name := range names {
				people[name] = c.person()
				people[name].browser.Serve(otherIssuer, c.two)
				people[name].loginAt(name)
			}
			heard.heard("")
			c.asked.Store(0)
			c.advance(time.Second)
			if err := test.end(c.auth); err != nil {
				t.Fatal(err)
			}
			var left []string
			for _, name := range names {
				if people[name].whoAmI() != "" {
					left = append(left, name)
				}
			}
			if got := strings.Join(left, " "); got != test.left || c.asked.Load() != 0 {
				t.Errorf("left are %s, want %s; asked %d times", got, test.left, c.asked.Load())
			}
			if told := heard.heard(""); told != test.told {
				t.Errorf("told %s", told)
			}
			c.advance(time.Second)
			people["one"].loginAt("one")
		})
	}
}

func provider(name string) func(*core.Authenticator) error {
	return func(auth *core.Authenticator) error { return auth.LogoutProvider(context.Background(), name) }
}

func everywhere(issuer string) func(*core.Authenticator) error {
	return func(auth *core.Authenticator) error {
		return auth.LogoutEverywhere(context.Background(), issuer, "ada")
	}
}

func TestLogoutProviderThatCannotBe(t *testing.T) {
	t.Parallel()
	revocations := func(c *core.Config) { c.Logout.Revocations = new(core.MemoryRevocations) }
	for name, test := range map[string]struct {
		change func(*core.Config)
		name   string
		text   string
	}{
		"no revocations":         {func(*core.Config) {}, "id.example.test", "Revocations is not set"},
		"own sessions":           {func(c *core.Config) { new(ownApp).own(c) }, "id.example.test", "Sessions.Own is set"},
		"no such listed one":     {revocations, "acme", "no provider is named"},
		"not a name of any kind": {func(c *core.Config) { revocations(c); new(tenancy).lookUp(c) }, "a/b", "no provider is named"},
	} {
		g := newRig(t, test.change)
		err := g.auth.LogoutProvider(t.Context(), test.name)
		failure := new(core.Error)
		if !errors.As(err, &failure) || failure.Status != 500 || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// A user's key names the customer, because two customers may have one issuer.
func TestUserOfALookedUpProvider(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change        func(*tenancy, *core.Config)
		provider, key string
	}{
		"looked up":          {func(c *tenancy, config *core.Config) { c.lookUp(config) }, "acme", "acme " + issuer + " ada"},
		"listed":             {func(_ *tenancy, config *core.Config) { config.Providers[0].Name = "acme" }, "acme", issuer + " ada"},
		"listed, of no name": {func(*tenancy, *core.Config) {}, "id.example.test", issuer + " ada"},
	} {
		var c tenancy
		var seen []string
		see := func(u *core.User) bool {
			seen = append(seen, u.Provider+": "+u.Key())
			return true
		}
		v := &vault{rig: newRigOf(t, func(client *logintest.Client) { client.RedirectURIs = []string{callbackURL, callbackURL + "/acme"} }, func(config *core.Config) {
			test.change(&c, config)
			config.OnLogin = func(_ context.Context, login *core.Login) error { see(login.User); return nil }
		})}
		v.open("/vault", core.Requirement{Allow: see})
		v.get(origin + "/auth/login?return_to=/me&provider=" + test.provider)
		v.fetch("GET", origin+"/vault")
		for _, got := range seen {
			if got != test.provider+": "+test.key {
				t.Errorf("%s: got %s", name, got)
			}
		}
		if len(seen) != 2 {
			t.Errorf("%s: seen %q; %s", name, seen, v.log.String())
		}
	}
}
