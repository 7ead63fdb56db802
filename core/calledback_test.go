package core_test

import (
	"context"
	"crypto"
	"crypto/elliptic"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// customers is an application with two looked-up providers, one and two, each at its own
// callback.
type customers struct {
	*duo
	table customerTable
	asked atomic.Int32 // calls of Find
	down  error        // what Find returns
}

func newCustomers(t *testing.T, change ...func(*core.Config)) *customers {
	t.Helper()
	c := &customers{duo: &duo{rig: &rig{t: t, browser: logintest.NewBrowser()}}, table: customerTable{}}
	provide := func(issuer, name string) *logintest.Provider {
		provider := logintest.NewProvider(issuer, logintest.Client{ID: "app", RedirectURIs: []string{callbackURL + "/" + name, callbackURL, callbackURL + "/staff"}})
		provider.Now = c.now
		c.browser.Serve(issuer, provider)
		return provider
	}
	c.provider, c.two = provide(issuer, "one"), provide(otherIssuer, "two")
	c.auth = c.newAuth(append([]func(*core.Config){c.both, c.table.lookUp, c.count}, change...)...)
	c.browser.Serve(origin, c.app(c.auth))
	return c
}

func (c *customers) count(config *core.Config) {
	find := config.Lookup.Find
	config.Lookup.Find = func(ctx context.Context, name string) (*core.Provider, error) {
		if c.asked.Add(1); c.down != nil {
			return nil, c.down
		}
		return find(ctx, name)
	}
}

// change replaces what the table says about a customer.
func (c *customers) change(name string, how func(*core.Provider)) {
	changed := *c.table[name]
	how(&changed)
	c.table[name] = &changed
}

// share gives both customers the same callback.
func (c *customers) share() {
	for name := range c.table {
		c.change(name, func(p *core.Provider) { p.RedirectURL = callbackURL })
	}
}

// started is how many token requests and calls of OnLogin there were.
func (c *customers) started() int {
	return c.provider.Count(logintest.Token) + c.two.Count(logintest.Token) + int(c.logins.Load())
}

func changed(how func(*core.Provider)) func(*customers) {
	return func(c *customers) { c.change("one", how) }
}

// at is a callback's URL at another path.
func atPath(path string) func(mine, _ *url.URL) string {
	return func(mine, _ *url.URL) string {
		moved := *mine
		moved.Path = path
		return moved.String()
	}
}

// A callback counts for the customer whose login it ends, at that customer's callback, and
// for the registration with which the login began. Nothing is started otherwise, and Find
// is not asked more often than needed.
func TestCallbacksOfLookedUpProviders(t *testing.T) {
	t.Parallel()
	mine := func(mine, _ *url.URL) string { return mine.String() }
	const again = "/auth/login?provider=one&return_to=%2Fme"
	for _, test := range []struct {
		name      string
		shared    bool // both customers have one callback
		meanwhile func(*customers)
		callback  func(mine, theirs *url.URL) string // nil: as the provider sends it
		status    int                                // zero: 400
		code      string                             // empty: the login succeeds
		again     string                             // empty: a link to the customer's login
		asked     int32
		kept      bool // a reload may succeed
	}{
		{name: "own callback", asked: 1},
		{name: "rules 25, 47: the other customer's callback", callback: atPath("/auth/callback/two"), code: "callback_untrusted"},
		{name: "rules 25, 47: a callback of no customer", callback: atPath("/auth/callback/three"), code: "callback_untrusted"},
		{name: "rules 25, 47: a callback whose name is none", callback: atPath("/auth/callback/a..b"), code: "callback_untrusted", asked: 1},
		{name: "rules 25, 47: the shared callback, for a customer with an own one", callback: atPath("/auth/callback"), code: "callback_untrusted", asked: 1},
		{name: "rules 25, 47: the other's whole answer with this one's state", callback: func(mine, theirs *url.URL) string { return swap(theirs, "state", mine) }, code: "callback_untrusted"},
		{name: "rules 25, 47: the other's answer at this one's callback", callback: func(mine, theirs *url.URL) string { return swap(mine, "code", theirs, "iss") }, code: "callback_untrusted", asked: 1},

		{name: "shared callback", shared: true, asked: 1},
		{name: "rules 25, 47: the other's answer at the shared callback", shared: true, callback: func(mine, theirs *url.URL) string { return swap(theirs, "state", mine) }, code: "callback_untrusted", asked: 1},
		{name: "rule 28: an answer without iss at the shared callback", shared: true, callback: func(mine, _ *url.URL) string { return withoutParam(mine, "iss") }, code: "callback_untrusted", asked: 1},
		{name: "rules 25, 47: the other's own callback, for a customer with the shared one", shared: true, callback: atPath("/auth/callback/two"), code: "callback_untrusted"},
		{name: "the customer's own callback, for a customer with the shared one", shared: true, callback: atPath("/auth/callback/one"), code: "provider_changed", asked: 1},

		{name: "the customer is gone", meanwhile: func(c *customers) { delete(c.table, "one") }, code: "provider_changed", again: "/auth/login?return_to=%2Fme", asked: 1},
		{name: "the customer is gone, shared callback", shared: true, meanwhile: func(c *customers) { delete(c.table, "one") }, code: "provider_changed", again: "/auth/login?return_to=%2Fme", asked: 1},
		{name: "another client", meanwhile: changed(func(p *core.Provider) { p.ClientID = "app2" }), code: "provider_changed", asked: 1},
		{name: "another issuer", meanwhile: changed(func(p *core.Provider) { p.Issuer = otherIssuer }), code: "provider_changed", asked: 1},
		{name: "another client, shared callback", shared: true, meanwhile: changed(func(p *core.Provider) { p.ClientID = "app2" }), code: "provider_changed", asked: 1},
		{name: "the callback is shared now", meanwhile: changed(func(p *core.Provider) { p.RedirectURL = callbackURL }), code: "provider_changed", asked: 1},
		{name: "other scopes", meanwhile: changed(func(p *core.Provider) { p.Scopes = []string{"openid"} }), asked: 1},
		{name: "the other customer is gone", meanwhile: func(c *customers) { delete(c.table, "two") }, asked: 1},
		{name: "the table is down", meanwhile: func(c *customers) { c.down = errors.New("down") }, status: 503, code: "lookup_unavailable", asked: 1, kept: true},
		{name: "the table is down, shared callback", shared: true, meanwhile: func(c *customers) { c.down = errors.New("down") }, status: 503, code: "lookup_unavailable", asked: 1, kept: true},
		{name: "the customer cannot be used", meanwhile: changed(func(p *core.Provider) { p.Issuer = "http://id.example.test" }), status: 503, code: "provider_invalid", asked: 1, kept: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := newCustomers(t)
			if test.shared {
				c.share()
			}
			begun, theirs := c.at("one"), c.at("two")
			former := *c.table["one"]
			if test.meanwhile != nil {
				test.meanwhile(c)
			}
			if test.callback == nil {
				test.callback = mine
			}
			if test.status == 0 {
				test.status = 400
			}
			if test.again == "" {
				test.again = again
			}
			c.asked.Store(0)
			callback := test.callback(begun, theirs)
			page := c.visit(callback)
			if got := c.asked.Load(); got != test.asked {
				t.Errorf("Find was asked %d times, want %d", got, test.asked)
			}
			if test.code == "" {
				if page.Status != 303 || page.Header.Get("Location") != "/me" || c.whoAmI() != "I am ada" {
					t.Errorf("got %d %s", page.Status, page.Body)
				}
				return
			}
			link := `href="` + strings.ReplaceAll(test.again, "&", "&amp;") + `"`
			if page.Status != test.status || !strings.Contains(string(page.Body), test.code) || c.whoAmI() != "" || c.started() != 0 {
				t.Errorf("got %d after %d token requests: %s", page.Status, c.started(), page.Body)
			}
			if !strings.Contains(string(page.Body), link) && test.code != "provider_invalid" && !strings.Contains(test.name, "whole answer") {
				t.Errorf("no link %s: %s", link, page.Body)
			}
			c.table["one"], c.down = &former, nil
			if page := c.get(callback); test.kept != (string(page.Body) == "I am ada" && page.URL == origin+"/me" && len(page.Hops) == 2) {
				t.Errorf("a reload ends with %d at %s after %d hops", page.Status, page.URL, len(page.Hops))
			}
		})
	}
}

func withoutParam(u *url.URL, name string) string {
	changed, query := *u, u.Query()
	query.Del(name)
	changed.RawQuery = query.Encode()
	return changed.String()
}

// At a shared callback, an answer must say who has sent it. Otherwise no login begins.
func TestASharedCallbackNeedsIss(t *testing.T) {
	t.Parallel()
	silent := func(m map[string]any) { delete(m, "authorization_response_iss_parameter_supported") }
	listed := func(change func(*core.Provider)) func(*core.Config) {
		return func(c *core.Config) {
			p := core.Provider{Name: "staff", Issuer: issuer, ClientID: "app", RedirectURL: callbackURL}
			if change != nil {
				change(&p)
			}
			c.Providers = []core.Provider{p}
		}
	}
	for _, test := range []struct {
		name     string
		config   func(*core.Config)
		customer func(*core.Provider)
		metadata func(map[string]any)
		code     string // of the login; empty: it succeeds
		callback func(*url.URL) string
	}{
		{name: "iss is announced"},
		{name: "rule 28: iss is not announced", metadata: silent, code: "provider_metadata_invalid"},
		{name: "rule 28: iss is announced as false", metadata: func(m map[string]any) { m["authorization_response_iss_parameter_supported"] = false }, code: "provider_metadata_invalid"},
		{name: "iss is not announced, own callback", customer: func(p *core.Provider) { p.RedirectURL = "" }, metadata: silent},
		{name: "iss is not announced, own callback in full", customer: func(p *core.Provider) { p.RedirectURL = callbackURL + "/one" }, metadata: silent},
		{name: "iss is not announced, and a listed provider there is the same registration", config: listed(nil), metadata: silent,
			callback: func(u *url.URL) string { return withoutParam(u, "iss") }},
		{name: "rule 28: the listed provider there has another client", config: listed(func(p *core.Provider) { p.ClientID = "app2" }), metadata: silent, code: "provider_metadata_invalid"},
		{name: "rule 28: the listed provider there has another issuer", config: listed(func(p *core.Provider) { p.Issuer = otherIssuer }), metadata: silent, code: "provider_metadata_invalid"},
		{name: "rule 28: the same registration is listed, at another callback", config: listed(func(p *core.Provider) { p.RedirectURL = "" }), metadata: silent, code: "provider_metadata_invalid"},
		{name: "the callback of a listed provider", config: listed(func(p *core.Provider) { p.RedirectURL, p.ClientID = "", "app2" }),
			customer: func(p *core.Provider) { p.RedirectURL = callbackURL + "/staff" }},
		{name: "rule 28: the callback of a listed provider, and iss is not announced", config: listed(func(p *core.Provider) { p.RedirectURL, p.ClientID = "", "app2" }),
			customer: func(p *core.Provider) { p.RedirectURL = callbackURL + "/staff" }, metadata: silent, code: "provider_metadata_invalid"},
		{name: "rule 28: without metadata", customer: func(p *core.Provider) {
			p.Endpoints = core.EndpointConfig{AuthURL: issuer + "/authorize", TokenURL: issuer + "/token", KeysURL: issuer + "/keys"}
		}, code: "provider_invalid"},
		{name: "an encrypted response", customer: func(p *core.Provider) {
			p.Requests.SignedResponse, p.Client.DecryptionKeys = true, []crypto.PrivateKey{onCurve(elliptic.P256())}
		}, code: "provider_invalid"},
		{name: "a callback that does not exist", customer: func(p *core.Provider) { p.RedirectURL = origin + "/auth/elsewhere" }, code: "provider_invalid"},
		{name: "the callback of another customer", customer: func(p *core.Provider) { p.RedirectURL = callbackURL + "/two" }, code: "provider_invalid"},
		{name: "a callback of another host", customer: func(p *core.Provider) { p.RedirectURL = otherIssuer + "/auth/callback" }, code: "provider_invalid"},
		{name: "another route of the login", customer: func(p *core.Provider) { p.RedirectURL = origin + "/auth/logout" }, code: "provider_invalid"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if test.config == nil {
				test.config = func(*core.Config) {}
			}
			c := newCustomers(t, test.config)
			c.share()
			if test.customer != nil {
				c.change("one", test.customer)
			}
			if test.metadata != nil {
				c.provider.Misbehave(logintest.Faults{Discovery: test.metadata})
			}
			begun := c.visit(origin + "/auth/login?provider=one&return_to=/me")
			if test.code != "" {
				if begun.Status/100 != 5 || !strings.Contains(string(begun.Body), test.code) || len(begun.Header["Set-Cookie"]) != 0 {
					t.Errorf("got %d %s", begun.Status, begun.Body)
				}
				return
			}
			answered := follow(t, c.browser, begun.Header.Get("Location"))
			if test.callback == nil {
				test.callback = func(u *url.URL) string { return u.String() }
			}
			if page := c.get(test.callback(answered)); string(page.Body) != "I am ada" {
				t.Errorf("got %d at %s: %s", page.Status, page.URL, page.Body)
			}
		})
	}
}

// A callback without its login begins one new login, at the customer whose callback it is.
func TestStrayCallbacksOfLookedUpProviders(t *testing.T) {
	t.Parallel()
	state := "?code=x&state=" + strings.Repeat("A", 43)
	for _, test := range []struct {
		name, callback string
		down           error
		status         int
		leads          string // what the Location or the page has
		asked          int32
	}{
		{"own callback", "/one" + state + "&iss=" + issuer, nil, 303, issuer + "/authorize", 1},
		{"a customer that there is not", "/three" + state, nil, 404, "provider_unknown", 1},
		{"the table is down", "/one" + state, errors.New("down"), 503, "lookup_unavailable", 1},
		{"no name", "/a..b" + state, nil, 303, "/auth/login", 0},
		{"shared callback", state, nil, 303, "/auth/login", 0},
		{"a listed provider's", "/staff" + state, nil, 303, issuer + "/authorize", 0},
		{"a listed provider's, which another one shares", "/staff" + state + "&iss=" + otherIssuer, nil, 303, "/auth/login", 0},
		{"an error response", "/one?error=x&state=" + strings.Repeat("A", 43), nil, 400, `href="/auth/login?provider=one"`, 0},
		{"a second restart", "/one" + state + "-r", errors.New("down"), 400, `href="/auth/login?provider=one"`, 0},
		{"a form of nobody's", "/one", nil, 400, `href="/auth/login?provider=one"`, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := newCustomers(t, func(c *core.Config) {
				c.Providers = []core.Provider{{Name: "staff", Issuer: issuer, ClientID: "app"}}
			})
			c.down = test.down
			page := c.visit(callbackURL + test.callback)
			if said := page.Header.Get("Location") + string(page.Body); page.Status != test.status || !strings.Contains(said, test.leads) || c.asked.Load() != test.asked || c.started() != 0 {
				t.Errorf("got %d %s after Find was asked %d times", page.Status, said, c.asked.Load())
			}
		})
	}
}

// A user who is logged in already gets to a page, also while the table is down.
func TestACallbackOnceMoreAsksForNobody(t *testing.T) {
	t.Parallel()
	c := newCustomers(t)
	callback := c.at("one").String()
	if page := c.get(callback); string(page.Body) != "I am ada" {
		t.Fatalf("got %d %s", page.Status, page.Body)
	}
	before := c.asked.Load()
	if page := c.visit(callback); page.Status != 303 || page.Header.Get("Location") != "/me" || c.asked.Load() > before+1 {
		t.Errorf("got %d to %s after Find was asked %d times", page.Status, page.Header.Get("Location"), c.asked.Load()-before)
	}
}

// A provider posts its answer as a form, to its own callback or to a shared one. The form
// asks for nobody, and a customer whose provider sends none loses nothing.
func TestFormsOfLookedUpProviders(t *testing.T) {
	t.Parallel()
	for name, share := range map[string]bool{"own callback": false, "shared callback": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCustomers(t)
			if share {
				c.share()
			}
			c.change("one", func(p *core.Provider) { p.Requests.FormPost = true })
			if page := c.get(origin + "/auth/login?provider=one&return_to=/me"); string(page.Body) != "I am ada" {
				t.Fatalf("got %d at %s: %s", page.Status, page.URL, page.Body)
			}
			c.asked.Store(0)
			for _, at := range []string{"", "/one", "/three"} {
				r, _ := http.NewRequest("POST", callbackURL+at, strings.NewReader(`code=x&state="><script>`))
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				page, err := c.browser.Do(r)
				if err != nil || page.Status != 200 || !strings.Contains(string(page.Body), "/auth/callback"+at+"?code=x&amp;state=%22%3E%3Cscript%3E") {
					t.Errorf("a form at %q: got %d %s, %v", at, page.Status, page.Body, err)
				}
			}
			for _, at := range []string{"/a..b", "/-", "/" + strings.Repeat("a", 65)} {
				page, err := c.browser.Post(callbackURL+at, url.Values{"code": {"x"}})
				if err != nil || page.Status != 400 || !strings.Contains(string(page.Body), "callback_untrusted") {
					t.Errorf("a form at %q: got %d %s, %v", at, page.Status, page.Body, err)
				}
			}
			if got := c.asked.Load(); got != 0 {
				t.Errorf("Find was asked %d times", got)
			}
		})
	}
}

// At an own callback, an answer may be signed and encrypted. It is decrypted for browsers
// with a login only, and Find is asked only then.
func TestEncryptedResponsesOfLookedUpProviders(t *testing.T) {
	t.Parallel()
	key := onCurve(elliptic.P256())
	c := newCustomers(t)
	signs := logintest.NewProvider(issuer, logintest.Client{ID: "app", RedirectURIs: []string{callbackURL + "/one"}, RequireSignedResponse: true})
	signs.Now, c.provider = c.now, signs
	c.browser.Serve(issuer, signs)
	c.change("one", func(p *core.Provider) {
		p.Requests.SignedResponse, p.Client.DecryptionKeys = true, []crypto.PrivateKey{key}
		p.Endpoints.HTTPClient = signs.HTTPClient()
	})
	begun := c.at("one")
	begun.RawQuery = url.Values{"response": {encrypted(t, begun.Query().Get("response"), key.Public(), "ECDH-ES", "A256GCM")}}.Encode()
	c.asked.Store(0)
	latecomer := c.person()
	if page := latecomer.visit(begun.String()); page.Status != 400 || c.asked.Load() != 0 {
		t.Errorf("a browser without a login: got %d, and Find was asked %d times", page.Status, c.asked.Load())
	}
	c.down = errors.New("down")
	if page := c.visit(begun.String()); page.Status != 503 || !strings.Contains(string(page.Body), "lookup_unavailable") {
		t.Errorf("the table is down: got %d %s", page.Status, page.Body)
	}
	c.down = nil
	other := *begun
	other.Path = "/auth/callback/two"
	if page := c.visit(other.String()); page.Status == 303 && page.Header.Get("Location") == "/me" || c.started() != 0 {
		t.Errorf("the other customer's callback: got %d after %d token requests", page.Status, c.started())
	}
	if page := c.get(begun.String()); string(page.Body) != "I am ada" {
		t.Errorf("got %d %s", page.Status, page.Body)
	}
}
