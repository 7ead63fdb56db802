package core_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A customer's provider ends that customer's sessions, with its own tokens, at its own
// path, and no other sessions.
func TestBackChannelLogoutOfALookedUpProvider(t *testing.T) {
	t.Parallel()
	about := logintest.User{Subject: "ada"}
	one := func(c *customers) string { return c.provider.LogoutToken("app", about, nil) }
	two := func(c *customers) string { return c.two.LogoutToken("app", about, nil) }
	for _, test := range []struct {
		name, path string
		token      func(*customers) string
		meanwhile  func(*customers)
		status     int
		code       string // of the answer
		left       string // at one, at two
		asked      int32
	}{
		{"rule 121: its own token", "/one", one, nil, 200, "", "- ada", 1},
		{"rule 121: the other's token at the other's path", "/two", two, nil, 200, "", "ada -", 1},
		{"rule 121: the token of another customer's provider", "/one", two, nil, 400, "logout_token_untrusted", "ada ada", 1},
		{"rule 121: a customer that there is not", "/three", one, nil, 400, "logout_token_untrusted", "ada ada", 1},
		{"rule 121: no name", "/a..b", one, nil, 400, "logout_token_untrusted", "ada ada", 0},
		{"rule 121: the path of listed providers", "", one, nil, 400, "logout_token_untrusted", "ada ada", 0},
		{"rule 121: a listed provider's", "/staff", one, nil, 400, "logout_token_untrusted", "ada ada", 0},
		{"the customer is gone", "/one", one, func(c *customers) { delete(c.table, "one") }, 400, "logout_token_untrusted", "", 1},
		{"another client", "/one", one, changed(func(p *core.Provider) { p.ClientID = "app2" }), 400, "logout_token_untrusted", "", 1},
		{"the table is down", "/one", one, func(c *customers) { c.down = errors.New("down") }, 503, "lookup_unavailable", "", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := new(ledger)
			c := newCustomers(t, func(c *core.Config) {
				c.Logout.Revocations = l
				c.Providers = []core.Provider{{Name: "staff", Issuer: thirdIssuer, ClientID: "app"}}
			})
			people := map[string]*rig{}
			for name, provider := range map[string]*logintest.Provider{"one": c.provider, "two": c.two} {
				provider.User = about
				people[name] = c.person()
				people[name].browser.Serve(otherIssuer, c.two)
				if page := people[name].get(origin + "/auth/login?return_to=/me&provider=" + name); string(page.Body) != "I am ada" {
					t.Fatalf("got %d %s", page.Status, page.Body)
				}
			}
			token := test.token(c)
			if test.meanwhile != nil {
				test.meanwhile(c)
			}
			c.asked.Store(0)
			_, before := l.counts()
			w := c.backChannel(token, func(r *http.Request) { r.URL.Path += test.path })
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.code) || c.asked.Load() != test.asked {
				t.Errorf("got %d %s after Find was asked %d times", w.Code, w.Body, c.asked.Load())
			}
			if _, after := l.counts(); (after-before != 0) != (test.status == 200) {
				t.Errorf("%d writes", after-before)
			}
			if test.left == "" {
				return
			}
			if got := who(people["one"]) + " " + who(people["two"]); got != test.left {
				t.Errorf("left are %s, want %s", got, test.left)
			}
			for name := range people {
				if w := c.backChannel(token, func(r *http.Request) { r.URL.Path += test.path; r.Method = "GET" }); w.Code != http.StatusMethodNotAllowed {
					t.Errorf("%s: GET gets %d", name, w.Code)
				}
			}
		})
	}
}

func who(g *rig) string {
	if who := strings.TrimPrefix(g.whoAmI(), "I am "); who != "" {
		return who
	}
	return "-"
}

// A frame of a customer's provider ends the session of that customer in this browser. Only
// that provider's pages may frame the answer.
func TestFrontChannelLogoutOfALookedUpProvider(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, path, iss, sid string
		down                 error
		status               int
		ends                 bool
		by                   string // who may frame the answer
	}{
		{"rule 126: iss and sid of the session", "/one", issuer, "first", nil, 200, true, issuer},
		{"rule 126: another sid", "/one", issuer, "second", nil, 200, false, issuer},
		{"rule 126: another customer's path", "/two", otherIssuer, "first", nil, 200, false, otherIssuer},
		{"rule 126: another customer's path with this one's iss", "/two", issuer, "first", nil, 200, false, "'none'"},
		{"rule 126: another customer's iss", "/one", otherIssuer, "first", nil, 200, false, "'none'"},
		{"rule 126: a customer with the same issuer", "/same", issuer, "first", nil, 200, false, issuer},
		{"rule 126: a listed provider with the same issuer", "", issuer, "first", nil, 200, false, issuer},
		{"rule 126: a customer that there is not", "/three", issuer, "first", nil, 200, false, "'none'"},
		{"the table is down", "/one", issuer, "first", errors.New("down"), 503, false, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for where, vault := range map[string]func(*core.Config){"cookies": func(*core.Config) {}, "a Store": func(c *core.Config) { c.Sessions.Store = newMemoryStore() }} {
				c := newCustomers(t, vault, func(c *core.Config) {
					c.Logout.Revocations = new(core.MemoryRevocations)
					c.Providers = []core.Provider{{Name: "staff", Issuer: issuer, ClientID: "app"}}
				})
				same := *c.table["one"]
				same.Name, same.RedirectURL = "same", callbackURL
				c.table["same"] = &same
				c.provider.User = logintest.User{Subject: "ada", SessionID: "first"}
				if page := c.get(origin + "/auth/login?return_to=/me&provider=one"); string(page.Body) != "I am ada" {
					t.Fatalf("got %d %s", page.Status, page.Body)
				}
				c.down = test.down
				r, _ := http.NewRequest("GET", origin+"/auth/frontchannel-logout"+test.path+"?"+url.Values{"iss": {test.iss}, "sid": {test.sid}}.Encode(), nil)
				page, err := c.browser.Do(r)
				if err != nil || page.Status != test.status || test.by != "" && page.Header.Get("Content-Security-Policy") != frontChannelPolicy+test.by {
					t.Errorf("%s: got %d %v", where, page.Status, page.Header)
				}
				c.down = nil
				if got := c.whoAmI(); (got == "") != test.ends {
					t.Errorf("%s: %q is logged in", where, got)
				}
			}
		})
	}
}

// The same for sessions of the application's own.
func TestFrontChannelLogoutOfALookedUpProviderWithOwnSessions(t *testing.T) {
	t.Parallel()
	var ended []string
	c := newCustomers(t, func(c *core.Config) {
		c.Sessions.Own = &core.OwnSessions{
			Start: func(http.ResponseWriter, *http.Request, *core.Login) (bool, error) { return false, nil },
			EndByProvider: func(_ context.Context, provider, issuer, _, sid string) error {
				if provider != "one" {
					t.Errorf("ended at %q", provider)
				}
				ended = append(ended, issuer+" "+sid)
				return nil
			},
		}
	})
	c.provider.User = logintest.User{Subject: "ada", SessionID: "first"}
	c.visit(c.at("one").String())
	for _, test := range []struct {
		path, iss string
		ends      int
	}{{"/two", otherIssuer, 0}, {"/two", issuer, 0}, {"/one", otherIssuer, 0}, {"", issuer, 0}, {"/one", issuer, 1}} {
		ended = nil
		r := httptest.NewRequest("GET", origin+"/auth/frontchannel-logout"+test.path+"?"+url.Values{"iss": {test.iss}, "sid": {"first"}}.Encode(), nil)
		if page, err := c.browser.Do(r); err != nil || page.Status != 200 || len(ended) != test.ends {
			t.Errorf("%s %s: ended %q, %v", test.path, test.iss, ended, err)
		}
	}
}

// A provider that signs logout tokens without end fills no memory: each token ends the
// sessions of all its users, which takes one record. Another's users go on. Later, a token
// ends what it names again.
func TestALookedUpProviderSendsLogoutTokensWithoutEnd(t *testing.T) {
	t.Parallel()
	l := new(ledger)
	c := newCustomers(t, func(c *core.Config) { c.Logout.Revocations = l })
	login := func(name string) *rig {
		person := c.person()
		person.browser.Serve(otherIssuer, c.two)
		if page := person.get(origin + "/auth/login?return_to=/me&provider=" + name); !strings.HasPrefix(string(page.Body), "I am ") {
			t.Fatalf("got %d %s", page.Status, page.Body)
		}
		return person
	}
	send := func(subject string) (records int) {
		before := l.keys()
		token := c.provider.LogoutToken("app", logintest.User{Subject: subject}, nil)
		if w := c.backChannel(token, func(r *http.Request) { r.URL.Path += "/one" }); w.Code != http.StatusOK {
			t.Fatalf("got %d %s", w.Code, w.Body)
		}
		return l.keys() - before
	}
	one, two := login("one"), login("two")
	if spent := c.auth.SpendLogouts("one"); spent < 10_000 || spent > 10_001 {
		t.Errorf("a provider may send %d logout tokens at once", spent)
	}
	if records := send("bob"); records != 1 {
		t.Errorf("the first token that is too many took %d records", records)
	}
	for range 3 {
		if records := send("bob"); records != 0 {
			t.Errorf("one more token took %d records", records)
		}
	}
	if got := who(one) + " " + who(two); got != "- ada" {
		t.Errorf("left are %s, want the other provider's user only", got)
	}
	c.advance(time.Minute)
	one = login("one")
	if records := send("bob"); records != 2 {
		t.Errorf("a token took %d records a minute later, want one for the user and one for the token", records)
	}
	if got := who(one); got != "ada" {
		t.Errorf("the token of another user ended this session: %s", got)
	}
}
