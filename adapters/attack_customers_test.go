package adapters_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"sync"
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
	c.table[name] = &core.Provider{Issuer: issuer, ClientID: "app", ClientSecret: "canary-client-secret"}
}

// find is Lookup.Find.
func (c *customers) find(_ context.Context, name string) (*core.Provider, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.table[name], nil
}

// page shows a customer's page to a user of this customer.
func (c *customers) page(w http.ResponseWriter, r *http.Request) {
	user, name := core.UserFromContext(r.Context()), path.Base(r.URL.Path)
	if at, _ := c.find(r.Context(), name); at == nil || at.Issuer != user.Issuer {
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

// attackedCustomers is such an application, for logintest.Attack.
func attackedCustomers(t *testing.T, build func(*customers, *core.Authenticator) http.Handler, change ...func(*core.Config)) logintest.Target {
	all := new(customers)
	target := logintest.Target{
		RedirectURL: origin + "/auth/callback/{provider}", Private: "/private/{provider}", ClientSecret: "canary-client-secret",
		LoginPath: "/auth/login?provider={provider}", LogoutPath: "/auth/logout", AddCustomer: all.add,
		BackChannelLogout: "/auth/backchannel-logout/{provider}", FrontChannelLogout: "/auth/frontchannel-logout/{provider}",
	}
	target.Start = func(provider *logintest.Provider) http.Handler {
		config := core.Config{
			RedirectURL: origin + "/auth/callback",
			SessionKey:  []byte("0123456789abcdef0123456789abcdef"),
			Lookup:      core.LookupConfig{Find: all.find, AnyAddress: true}, // the providers are in memory
			Logout:      core.LogoutConfig{Revocations: new(core.MemoryRevocations)},
			HTTPClient:  provider.HTTPClient(),
			Logger:      slog.New(slog.DiscardHandler),
		}
		for _, f := range change {
			f(&config)
		}
		auth, err := core.New(config)
		if err != nil {
			t.Fatal(err)
		}
		return build(all, auth)
	}
	return target
}

// No attack of one customer on another succeeds, in any framework. Nor does any other
// attack on a customer.
func TestAttackCustomers(t *testing.T) {
	t.Parallel()
	for name, build := range customersIn {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := attackedCustomers(t, build)
			if name == "httplogin" {
				logintest.Attack(t, target)
			} else {
				logintest.Attack(between{t}, target)
			}
		})
	}
}
