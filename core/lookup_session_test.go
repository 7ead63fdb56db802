package core_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A tenancy is the application's table, which counts how often it is asked.
type tenancy struct {
	mu    sync.Mutex
	table map[string]*core.Provider
	err   error
	asked int
}

// lookUp makes a configuration look up its only provider, as acme.
func (c *tenancy) lookUp(config *core.Config) {
	p := config.Providers[0]
	p.Name = "acme"
	c.table = map[string]*core.Provider{"acme": &p}
	config.Providers = nil
	config.Lookup.AnyAddress = true // the providers are in memory
	config.Lookup.Find = func(_ context.Context, name string) (*core.Provider, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.asked++
		return c.table[name], c.err
	}
}

// change replaces the provider of acme by a changed copy, or by none.
func (c *tenancy) change(f func(*core.Provider)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f == nil {
		c.table["acme"] = nil
		return
	}
	p := *c.table["acme"]
	f(&p)
	c.table["acme"] = &p
}

func (c *tenancy) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

// count returns how often Find was called since the last call.
func (c *tenancy) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.asked
	c.asked = 0
	return n
}

var errTable = errors.New("the table is down")

func gone(c *tenancy)          { c.change(nil) }
func down(c *tenancy)          { c.fail(errTable) }
func faulty(c *tenancy)        { c.change(func(p *core.Provider) { p.ClientID = "" }) }
func anotherClient(c *tenancy) { c.change(func(p *core.Provider) { p.ClientID = "other" }) }
func anotherIssuer(c *tenancy) {
	c.change(func(p *core.Provider) { p.Issuer = "https://other.example.test" })
}

// A customerRig is an application that keeps tokens, and looks up its provider.
type customerRig struct {
	*tokenRig
	tenancy
	audience
}

func newCustomerRig(t testing.TB, change ...func(*core.Config)) *customerRig {
	t.Helper()
	return newCustomerRigOf(t, func(*logintest.Client) {}, change...)
}

func newCustomerRigOf(t testing.TB, register func(*logintest.Client), change ...func(*core.Config)) *customerRig {
	t.Helper()
	g := new(customerRig)
	g.tokenRig = newTokenRigOf(t, func(c *logintest.Client) { atCustomer(c); register(c) },
		append(change, g.lookUp, g.listen)...)
	g.loginAt("acme")
	g.count()
	g.heard("")
	return g
}

// loginAt logs ada in at a customer's provider.
func (g *rig) loginAt(name string) {
	g.t.Helper()
	page := g.get(origin + "/auth/login?provider=" + name + "&return_to=/me")
	if string(page.Body) != "I am ada" {
		g.t.Fatalf("login ended with %d at %s: %s; %s", page.Status, page.URL, page.Body, g.log.String())
	}
}

// The table is asked when something needs the provider, and never by a request that does
// not. It may be down, and the provider gone: users with a session do not notice.
func TestGuardedRequestsDoNotLookUp(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		for name, change := range map[string]func(*tenancy){
			"nothing has changed": func(*tenancy) {}, "the table is down": down, "gone": gone, "a mistake": faulty,
			"another client": anotherClient, "another issuer": anotherIssuer,
		} {
			g := newCustomerRig(t, vault)
			token := g.token()
			change(&g.tenancy)
			for range 3 {
				if who := g.whoAmI(); who != "I am ada" || g.token() != token {
					t.Errorf("%s: got %q", name, who)
				}
			}
			if n := g.count(); n != 0 || g.log.String() != "" {
				t.Errorf("%s: asked %d times; the log: %s", name, n, g.log.String())
			}
		}
	})
}

func TestRefreshAtALookedUpProvider(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		for name, test := range map[string]struct {
			change func(*tenancy)
			over   bool
			pauses string // code of the failure after the old token's expiry; empty: refreshed
		}{
			"unchanged":            {change: func(*tenancy) {}},
			"another label":        {change: func(c *tenancy) { c.change(func(p *core.Provider) { p.Label = "Acme" }) }},
			"a new secret":         {change: func(c *tenancy) { c.change(func(p *core.Provider) { p.ClientSecret = "next" }) }},
			"gone, and added back": {change: func(c *tenancy) { was := *c.table["acme"]; c.change(nil); c.table["acme"] = &was }},
			"gone":                 {change: gone, over: true},
			"another client":       {change: anotherClient, over: true},
			"another issuer":       {change: anotherIssuer, over: true},
			"the table is down":    {change: down, pauses: "lookup_unavailable"},
			"a mistake in a field": {change: faulty, pauses: "provider_invalid"},
		} {
			t.Run(name, func(t *testing.T) {
				g := newCustomerRig(t, vault)
				former := g.token()
				var secrets []string
				g.provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, _ http.ResponseWriter, r *http.Request) bool {
					if _, secret, ok := r.BasicAuth(); ok && e == logintest.Token {
						secrets = append(secrets, secret)
						r.SetBasicAuth("app", "canary-client-secret")
					}
					return false
				}})
				test.change(&g.tenancy)
				g.ran.Store(0)
				g.advance(time.Hour - 30*time.Second)
				got := g.token()
				asked := g.count()
				switch {
				case test.over:
					g.isOver(got, "provider_unknown")
					if len(secrets) != 0 || asked != 1 {
						t.Errorf("sent %d requests, asked %d times", len(secrets), asked)
					}
					want := "refresh_failed provider=acme issuer=" + issuer + " subject=ada code=provider_unknown reference=R\n" +
						"session_ended provider=acme issuer=" + issuer + " subject=ada code=provider_unknown reference=R"
					if told := g.heard(g.log.String()); told != want {
						t.Errorf("told %s", told)
					}
				case test.pauses != "":
					if got != former || asked != 1 || !strings.Contains(g.log.String(), test.pauses) {
						t.Errorf("got %q, asked %d times; the log: %s", got, asked, g.log.String())
					}
					if again := g.token(); again != former || g.count() != 0 {
						t.Error("the table is asked again at once")
					}
					g.advance(45 * time.Second)
					if late := g.token(); late != test.pauses && late != "provider_unavailable" {
						t.Errorf("after the expiry: %q", late)
					}
					if who := g.whoAmI(); who != "I am ada" {
						t.Errorf("the session ended")
					}
					g.fail(nil)
					g.change(func(p *core.Provider) { p.ClientID = "app" })
					g.advance(15 * time.Second)
					if again := g.token(); again == former || len(again) < 20 {
						t.Errorf("afterwards: %q", again)
					}
				default:
					if got == former || len(got) < 20 || asked != 1 || len(secrets) != 1 {
						t.Errorf("got %q, asked %d times, sent %q", got, asked, secrets)
					}
				}
				if name == "a new secret" && (len(secrets) != 1 || secrets[0] != "next") {
					t.Errorf("sent %q", secrets)
				}
			})
		}
	})
}

// Requests of one browser share a refresh, and its one look at the table.
func TestOneRefreshLooksUpOnce(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*tenancy){"unchanged": func(*tenancy) {}, "gone": gone, "down": down} {
		t.Run(name, func(t *testing.T) {
			g := newCustomerRig(t)
			change(&g.tenancy)
			release := make(chan struct{})
			cookies := g.browser.Cookies(origin + "/token")
			g.advance(time.Hour + time.Minute)
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					<-release
					ask(g.app, cookies)
				})
			}
			close(release)
			all.Wait()
			if n := g.count(); n < 1 || name != "gone" && n > 1 {
				t.Errorf("asked %d times", n)
			}
			if g.provider.Reused() != 0 {
				t.Errorf("%d tokens used again", g.provider.Reused())
			}
		})
	}
}

// A customer's provider that becomes a listed one, as it is, keeps its sessions. They end
// where they are ended by its name, or where there is no Lookup any more.
func TestALookedUpProviderBecomesAListedOne(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		config func(*core.Config)
		ends   func(*core.Authenticator) error
		want   string
	}{
		{"nothing has changed", func(*core.Config) {}, nil, "I am ada"},
		{"ended by its name", func(*core.Config) {}, func(a *core.Authenticator) error { return a.LogoutProvider(t.Context(), "acme") }, ""},
		{"another is ended", func(*core.Config) {}, func(a *core.Authenticator) error { return a.LogoutProvider(t.Context(), "globex") }, "I am ada"},
		{"no Lookup", func(c *core.Config) { c.Lookup = core.LookupConfig{} }, nil, ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			customers := new(tenancy)
			revocations := func(c *core.Config) { c.Logout.Revocations = new(core.MemoryRevocations) }
			g := newRigOf(t, atCustomer, customers.lookUp, revocations)
			g.loginAt("acme")
			listed := g.newAuth(revocations, func(c *core.Config) {
				c.Providers[0].Name = "acme"
				c.Lookup.AnyAddress, c.Lookup.Find = true, func(context.Context, string) (*core.Provider, error) { return nil, nil }
				row.config(c)
			})
			g.browser.Serve(origin, g.app(listed))
			if row.ends != nil {
				g.advance(time.Second)
				if err := row.ends(listed); err != nil {
					t.Fatal(err)
				}
			}
			if got := g.whoAmI(); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}
