package core_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A logout ends the session here whatever has become of the provider. It leads there, and
// revokes the tokens there, only if the provider is the one of the session.
func TestLogoutAtALookedUpProvider(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		for name, test := range map[string]struct {
			change func(*tenancy)
			after  func(*tenancy) // between the logout here and the page that leads on
			here   bool           // the logout ends here
			logged string
		}{
			"unchanged":           {change: func(*tenancy) {}},
			"a new secret":        {change: func(c *tenancy) { c.change(func(p *core.Provider) { p.ClientSecret = "next" }) }, logged: "client_refused"},
			"gone":                {change: gone, here: true},
			"another client":      {change: anotherClient, here: true},
			"another issuer":      {change: anotherIssuer, here: true},
			"the table is down":   {change: down, here: true, logged: "lookup_unavailable"},
			"gone meanwhile":      {change: func(*tenancy) {}, after: gone, here: true},
			"another meanwhile":   {change: func(*tenancy) {}, after: anotherIssuer, here: true},
			"the table goes down": {change: func(*tenancy) {}, after: down, here: true, logged: "lookup_unavailable"},
		} {
			t.Run(name, func(t *testing.T) {
				g := newCustomerRig(t, vault)
				test.change(&g.tenancy)
				page := g.fetch("POST", origin+"/auth/logout")
				if page.Status != 200 || g.whoAmI() != "" {
					t.Fatalf("got %d %s, and the user is %q", page.Status, page.Body, g.whoAmI())
				}
				revoked := 1
				if test.here && test.after == nil {
					revoked = 0
				}
				if n := g.provider.Count(logintest.Revocation); n != revoked {
					t.Errorf("%d revocations", n)
				}
				if told := g.heard(""); told != "logout provider=acme issuer="+issuer+" subject=ada by=user" {
					t.Errorf("told %s", told)
				}
				if test.after != nil {
					test.after(&g.tenancy)
				}
				to, err := url.Parse(g.visit(origin + "/auth/logout?continue").Header.Get("Location"))
				if err != nil {
					t.Fatal(err)
				}
				there := strings.HasPrefix(to.String(), issuer+"/end-session?")
				if there == test.here || there && (strings.Count(to.Query().Get("id_token_hint"), ".") != 2 || to.Query().Get("client_id") != "app") {
					t.Errorf("leads to %s", to)
				}
				if got := g.log.String(); test.logged == "" && got != "" || !strings.Contains(got, test.logged) {
					t.Errorf("the log: %s", got)
				}
			})
		}
	})
}

// After the session has expired here, the browser's hint names the provider.
func TestLateLogoutAtALookedUpProvider(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*tenancy)
		there  bool
	}{
		"unchanged":      {func(*tenancy) {}, true},
		"gone":           {gone, false},
		"another client": {anotherClient, false},
		"another issuer": {anotherIssuer, false},
		"down":           {down, false},
	} {
		g := newCustomerRig(t)
		g.advance(48 * time.Hour)
		if g.whoAmI() != "" {
			t.Fatal("the session goes on")
		}
		test.change(&g.tenancy)
		g.fetch("POST", origin+"/auth/logout")
		to := g.visit(origin + "/auth/logout?continue").Header.Get("Location")
		if there := strings.HasPrefix(to, issuer+"/end-session?") && strings.Contains(to, "id_token_hint="); there != test.there {
			t.Errorf("%s: leads to %s; the log: %s", name, to, g.log.String())
		}
	}
}

// A refresh renews the hint without its login's registration, so what a login seals and
// what a refresh seals opens alike.
func TestRefreshedHintOfALookedUpProvider(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		g := newCustomerRig(t, vault)
		g.advance(time.Hour)
		g.provider.Misbehave(logintest.Faults{IDToken: func(_, claims map[string]any) { claims["acr"] = "refreshed" }})
		g.token()
		g.fetch("POST", origin+"/auth/logout")
		to, _ := url.Parse(g.visit(origin + "/auth/logout?continue").Header.Get("Location"))
		if hint := to.Query().Get("id_token_hint"); strings.Count(hint, ".") != 2 || g.provider.Refreshes() != 1 {
			t.Errorf("leads to %s", to)
		}
	})
}

func TestStepUpAtALookedUpProvider(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*tenancy)
		code   string // of the answer to a script; the login is at acme if it is step_up_required
	}{
		"unchanged":         {func(*tenancy) {}, "step_up_required"},
		"gone":              {gone, "login_required"},
		"another client":    {anotherClient, "login_required"},
		"another issuer":    {anotherIssuer, "login_required"},
		"the table is down": {down, "lookup_unavailable"},
	} {
		for kind, guards := range map[string][]core.Requirement{"": {recent}, ", behind another guard": {{}, recent}} {
			t.Run(name+kind, func(t *testing.T) {
				t.Parallel()
				var c tenancy
				var heard audience
				v := &vault{rig: newRigOf(t, atCustomer, c.lookUp, heard.listen)}
				v.open("/vault", guards...)
				v.provider.User.AuthTime = v.now().Add(-time.Hour)
				v.loginAt("acme")
				heard.heard("")
				c.count()
				test.change(&c)
				page := v.fetch("GET", origin+"/vault")
				if got := codeIn(t, page.Body); got != test.code || c.count() != 1 || v.ran.Load() != 0 {
					t.Fatalf("got %s, the handler ran %d times", page.Body, v.ran.Load())
				}
				c.fail(nil)
				over := test.code == "login_required"
				if who := v.whoAmI(); (who == "") != over || over != (len(v.cookiesNamed("__Host-pixy-session")) == 0) {
					t.Errorf("afterwards %q", who)
				}
				told := heard.heard(v.log.String())
				if want := "session_ended provider=acme issuer=" + issuer + " subject=ada code=provider_unknown reference=R"; over != (told == want) {
					t.Errorf("told %s", told)
				}
				if test.code != "step_up_required" {
					return
				}
				if want := `"login_url":"/auth/login?provider=acme\u0026`; !strings.Contains(string(page.Body), want) {
					t.Errorf("got %s", page.Body)
				}
				v.provider.User.AuthTime = v.now()
				if page := v.get(origin + "/vault"); string(page.Body) != "the vault of ada" {
					t.Errorf("ends with %d at %s: %s", page.Status, page.URL, page.Body)
				}
			})
		}
	}
}

// A failure of a guard names the provider without asking for it.
func TestRefusedUserOfALookedUpProvider(t *testing.T) {
	t.Parallel()
	var c tenancy
	v := &vault{rig: newRigOf(t, atCustomer, c.lookUp)}
	v.open("/vault", core.Requirement{Allow: func(*core.User) bool { return false }})
	v.loginAt("acme")
	c.count()
	page := v.fetch("GET", origin+"/vault")
	if page.Status != 403 || c.count() != 0 || !strings.Contains(v.log.String(), `"provider":"acme","issuer":"`+issuer+`"`) {
		t.Errorf("got %s; the log: %s", page.Body, v.log.String())
	}
}

// Only tokens that are bound to something of the client need the provider.
func TestClientOfALookedUpProvider(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*tenancy)
		want   string
	}{
		"unchanged":         {func(*tenancy) {}, accounts},
		"gone":              {gone, "no access token"},
		"another client":    {anotherClient, "no access token"},
		"another issuer":    {anotherIssuer, "no access token"},
		"the table is down": {down, "temporarily unavailable"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c tenancy
			g := newDPoPRig(t, atCustomer)
			g.restart(c.lookUp)
			g.loginAt("acme")
			c.count()
			test.change(&c)
			g.api.got = nil
			if got := g.accounts(); !strings.Contains(got, test.want) || c.count() != 1 {
				t.Errorf("got %s", got)
			}
			if called := g.api.count() > 0; called != (test.want == accounts) {
				t.Errorf("the API was called %d times", g.api.count())
			}
			c.fail(nil)
			if who := g.whoAmI(); who != "I am ada" {
				t.Errorf("the session ended: %q", who)
			}
		})
	}
	t.Run("a bearer token", func(t *testing.T) {
		t.Parallel()
		g := newCustomerRig(t)
		gone(&g.tenancy)
		if g.token(); g.count() != 0 {
			t.Error("the table was asked")
		}
	})
}

func TestGrantOfALookedUpProvider(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*tenancy)
		grant  func(*core.Grant)
		kind   error // nil: it is refreshed
		code   string
		status int
	}{
		"unchanged":              {},
		"a new secret":           {change: func(c *tenancy) { c.change(func(p *core.Provider) { p.ClientSecret = "wrong" }) }, kind: core.ErrUnavailable, code: "client_refused", status: 502},
		"gone":                   {change: gone, kind: core.ErrRefused, code: "refresh_refused", status: 403},
		"another issuer":         {change: anotherIssuer, kind: core.ErrRefused, code: "refresh_refused", status: 403},
		"the table is down":      {change: down, kind: core.ErrUnavailable, code: "lookup_unavailable", status: 503},
		"a mistake":              {change: faulty, kind: core.ErrUnavailable, code: "provider_invalid", status: 503},
		"a name that cannot be":  {grant: func(g *core.Grant) { g.Provider = "a/b" }, code: "internal_error", status: 500},
		"a name of nobody":       {grant: func(g *core.Grant) { g.Provider = "beta" }, kind: core.ErrRefused, code: "refresh_refused", status: 403},
		"an issuer of its own":   {grant: func(g *core.Grant) { g.Issuer = "https://other.example.test" }, kind: core.ErrRefused, code: "refresh_refused", status: 403},
		"without an issuer":      {grant: func(g *core.Grant) { g.Issuer = "" }, kind: core.ErrRefused, code: "refresh_refused", status: 403},
		"without a refreshtoken": {grant: func(g *core.Grant) { g.Token.RefreshToken = "" }, kind: core.ErrNoToken, code: "token_missing", status: 401},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c tenancy
			g := new(grantRig)
			g.rig = newRigOf(t, atCustomer, keepTokens, func(conf *core.Config) {
				conf.Tokens.Keep = false
				conf.OnLogin = func(ctx context.Context, login *core.Login) error { return g.save(ctx, login.Grant) }
			}, c.lookUp)
			g.loginAt("acme")
			grant := g.expired()
			if grant.Provider != "acme" {
				t.Errorf("a grant of %q", grant.Provider)
			}
			if test.change != nil {
				test.change(&c)
			}
			if test.grant != nil {
				test.grant(&grant)
			}
			before := g.provider.Count(logintest.Token)
			fresh, err := g.auth.RefreshGrant(t.Context(), grant)
			if test.code == "" {
				if err != nil || fresh.Token.AccessToken == grant.Token.AccessToken {
					t.Errorf("got %v", err)
				}
				return
			}
			fails(t, err, test.kind, test.code, test.status)
			if sent := g.provider.Count(logintest.Token) - before; sent != 0 && test.code != "client_refused" {
				t.Errorf("sent %d token requests", sent)
			}
			// What is gone may come back.
			if test.change != nil && test.kind == core.ErrRefused {
				c.restore(g)
				if _, err := g.auth.RefreshGrant(t.Context(), grant); err != nil {
					t.Errorf("added back: %v", err)
				}
			}
		})
	}
}

// restore puts the provider of acme back.
func (c *tenancy) restore(g *grantRig) {
	config := g.config()
	keepTokens(&config)
	p := config.Providers[0]
	p.Name = "acme"
	c.mu.Lock()
	defer c.mu.Unlock()
	c.table["acme"], c.err = &p, nil
}

// A grant's token is used without the table while it is fresh, if it is a bearer token. A
// client asks once for each new grant, whatever it calls.
func TestGrantClientOfALookedUpProvider(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*tenancy)
		kind   error
	}{
		"unchanged":         {func(*tenancy) {}, nil},
		"gone":              {gone, core.ErrRefused},
		"another issuer":    {anotherIssuer, core.ErrRefused},
		"the table is down": {down, core.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c tenancy
			var grant core.Grant
			g := newDPoPRig(t, atCustomer)
			g.restart(func(conf *core.Config) {
				conf.OnLogin = func(_ context.Context, login *core.Login) error { grant = login.Grant; return nil }
			}, c.lookUp)
			g.loginAt("acme")
			c.count()
			test.change(&c)
			g.api.got = nil
			save := func(context.Context, core.Grant) error { return nil }
			client := g.auth.GrantClient(t.Context(), grant, save, "api.example.test")
			for range 3 {
				response, err := client.Get(apiOrigin + "/accounts")
				if (err == nil) != (test.kind == nil) || !errors.Is(err, test.kind) {
					t.Fatalf("got %v", err)
				}
				if err == nil {
					if response.Body.Close(); response.StatusCode != http.StatusOK {
						t.Errorf("the API answers %d", response.StatusCode)
					}
				}
			}
			if n := c.count(); test.kind == nil && n != 1 {
				t.Errorf("asked %d times", n)
			}
			if test.kind != nil && g.api.count() != 0 {
				t.Error("the API was called")
			}
		})
	}
}
