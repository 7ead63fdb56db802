package adapters_test

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gin-gonic/gin"
	echo4 "github.com/labstack/echo/v4"
	echo5 "github.com/labstack/echo/v5"

	"github.com/pixyauth/pixy/adapters/echo5login"
	"github.com/pixyauth/pixy/adapters/echologin"
	"github.com/pixyauth/pixy/adapters/ginlogin"
	"github.com/pixyauth/pixy/adapters/httplogin"
	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// customers is the table of an application whose administrators add providers while it
// runs. Its pages are /private/{provider}.
type customers struct {
	provider core.Provider // of each, but for its Issuer

	mu    sync.RWMutex
	table map[string]*core.Provider
}

// add is Target.AddCustomer.
func (c *customers) add(name, issuer string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.table == nil {
		c.table = make(map[string]*core.Provider)
	}
	found := c.provider
	found.Issuer = issuer
	c.table[name] = &found
}

// find is Lookup.Find.
func (c *customers) find(_ context.Context, name string) (*core.Provider, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.table[name], nil
}

// page shows a customer's page to a user of this customer.
func (c *customers) page(w http.ResponseWriter, r *http.Request) {
	user := core.UserFromContext(r.Context())
	if user.Provider != path.Base(r.URL.Path) {
		http.Error(w, "for users of this customer only", http.StatusForbidden)
		return
	}
	fmt.Fprint(w, "the private page of ", user.Subject)
}

// customersIn are such applications, in each framework.
var customersIn = map[string]func(*customers, *core.Authenticator) http.Handler{
	"httplogin": func(c *customers, auth *core.Authenticator) http.Handler {
		login, mux := httplogin.New(auth), http.NewServeMux()
		login.Mount(mux)
		mux.Handle("/private/{name}", login.RequireUser(http.HandlerFunc(c.page)))
		return mux
	},
	"ginlogin": func(c *customers, auth *core.Authenticator) http.Handler {
		login, router := ginlogin.New(auth), gin.New()
		login.Mount(router)
		router.Any("/private/:name", login.RequireUser, gin.WrapF(c.page))
		return router
	},
	"echologin": func(c *customers, auth *core.Authenticator) http.Handler {
		login, router := echologin.New(auth), echo4.New()
		login.Mount(router)
		router.Any("/private/:name", echo4.WrapHandler(http.HandlerFunc(c.page)), login.RequireUser)
		return router
	},
	"echo5login": func(c *customers, auth *core.Authenticator) http.Handler {
		login, router := echo5login.New(auth), echo5.New()
		login.Mount(router)
		router.Any("/private/:name", echo5.WrapHandler(http.HandlerFunc(c.page)), login.RequireUser)
		return router
	},
}

// between is a T that runs only the attacks between customers.
type between struct{ *testing.T }

func (t between) Run(name string, f func(between)) bool {
	return !strings.Contains(name, "customer") || t.T.Run(name, func(t *testing.T) { f(between{t}) })
}

// attackedCustomers is such an application, for logintest.Attack. Each provider is as
// change makes the only one of a configuration.
func attackedCustomers(t *testing.T, build func(*customers, *core.Authenticator) http.Handler, change ...func(*core.Config)) logintest.Target {
	config := attackedConfig(change...)
	all := &customers{provider: config.Providers[0]}
	config.Providers, config.Lookup = nil, core.LookupConfig{Find: all.find, AnyAddress: true} // the providers are in memory
	target := logintest.Target{
		RedirectURL: cmp.Or(all.provider.RedirectURL, origin+"/auth/callback/{provider}"), Private: "/private/{provider}", ClientSecret: "canary-client-secret",
		LoginPath: "/auth/login?provider={provider}", LogoutPath: "/auth/logout", AddCustomer: all.add,
		BackChannelLogout: "/auth/backchannel-logout/{provider}", FrontChannelLogout: "/auth/frontchannel-logout/{provider}",
	}
	target.Start = func(provider *logintest.Provider) http.Handler {
		config.HTTPClient = provider.HTTPClient()
		auth, err := core.New(config)
		if err != nil {
			t.Fatal(err)
		}
		return build(all, auth)
	}
	return target
}

// approveHosts lets each customer have a host.
func approveHosts(c *core.Config) {
	c.Hosts.Approve = func(_ context.Context, host string) (bool, error) {
		name, ok := strings.CutSuffix(host, ".customers.example.test")
		return ok && (name == "acme" || strings.HasPrefix(name, "mallory-")), nil
	}
}

func onOwnHosts(target logintest.Target) logintest.Target {
	target.RedirectURL = "https://{provider}.customers.example.test/auth/callback/{provider}"
	return target
}

// No attack of one customer on another succeeds, in any framework. Nor does any other
// attack on a customer.
func TestAttackCustomers(t *testing.T) {
	t.Parallel()
	for name, build := range customersIn {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			logintest.Attack(between{t}, attackedCustomers(t, build))
		})
		if raced && name != "httplogin" {
			continue // the rest of these is core's
		}
		t.Run(name+" with a shared callback", func(t *testing.T) {
			t.Parallel()
			logintest.Attack(between{t}, attackedCustomers(t, build, keepTokens, func(c *core.Config) { c.Providers[0].RedirectURL = origin + "/auth/callback" }))
		})
	}
	for name, build := range customersIn {
		if raced && name != "ginlogin" {
			continue
		}
		t.Run(name+" with a host for each", func(t *testing.T) {
			t.Parallel()
			logintest.Attack(between{t}, onOwnHosts(attackedCustomers(t, build, approveHosts)))
		})
	}
	if raced {
		return
	}
	for name, change := range map[string]func(*core.Config){
		"all attacks":                        func(*core.Config) {},
		"all attacks with a shared callback": func(c *core.Config) { c.Providers[0].RedirectURL = origin + "/auth/callback" },
		"all attacks with form_post":         func(c *core.Config) { c.Providers[0].Requests.FormPost = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			logintest.Attack(t, attackedCustomers(t, customersIn["httplogin"], change))
		})
	}
	t.Run("all attacks with a host for each", func(t *testing.T) {
		t.Parallel()
		logintest.Attack(t, onOwnHosts(attackedCustomers(t, customersIn["httplogin"], approveHosts)))
	})
}

// A customer's provider cannot lead the application into its own network, in any
// framework. No connection is made.
func TestCustomersReachNoPrivateNetwork(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	var connections atomic.Int32
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			_ = connection.Close()
		}
	}()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	for name, build := range customersIn {
		config := attackedConfig()
		all := &customers{provider: config.Providers[0]}
		config.Providers, config.Lookup.Find = nil, all.find
		auth, err := core.New(config)
		if err != nil {
			t.Fatal(err)
		}
		browser := logintest.NewBrowser()
		browser.Serve(origin, build(all, auth))
		for i, issuer := range []string{
			"https://127.0.0.1:" + port, "https://localhost:" + port, "https://app.localhost:" + port, "https://[::1]:" + port, "https://[::ffff:127.0.0.1]:" + port,
			"https://2130706433:" + port, "https://0x7f.1:" + port, "https://127.1:" + port, "https://0.0.0.0:" + port, "http://127.0.0.1:" + port,
			"https://127.0.0.1", "https://localhost", "https://169.254.169.254", "https://10.0.0.1", "https://192.168.0.1", "https://id.example.test:" + port, "http://id.example.test",
		} {
			customer := fmt.Sprint("mallory-", i)
			all.add(customer, issuer)
			page, err := browser.Visit(origin + "/auth/login?provider=" + customer)
			if err != nil {
				t.Fatal(err)
			}
			if page.Status != http.StatusServiceUnavailable || page.Header.Get("Location") != "" || strings.Contains(string(page.Body), "127.0.0.1") {
				t.Errorf("%s, a customer's provider at %s: got %d %s", name, issuer, page.Status, page.Body)
			}
		}
	}
	if got := connections.Load(); got != 0 {
		t.Errorf("%d connections", got)
	}
	config := attackedConfig()
	config.Providers[0].Issuer = "https://127.0.0.1:" + port
	auth, err := core.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if _ = auth.Discover(t.Context()); connections.Load() == 0 {
		t.Error("without the guard, there was no connection either")
	}
}
