package core_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

const payment = `[{"type":"payment","actions":["initiate"],"amount":{"currency":"EUR","value":"12.30"}}]`

// grantsDetails is a registration that may ask for payments and accounts.
func grantsDetails(c *logintest.Client) {
	c.AuthorizationDetailsTypes = []string{"payment", "account"}
}

func asksFor(details string) func(*core.Config) {
	return func(c *core.Config) { c.Providers[0].Requests.AuthorizationDetails = details }
}

// A detailsRig keeps the grant of each login.
type detailsRig struct {
	*rig
	grants []core.Grant
}

func newDetailsRig(t testing.TB, register func(*logintest.Client), change ...func(*core.Config)) *detailsRig {
	g := new(detailsRig)
	g.rig = newRigOf(t, func(c *logintest.Client) { grantsDetails(c); register(c) }, append([]func(*core.Config){func(c *core.Config) {
		c.Providers[0].Scopes = []string{"openid", "offline_access"}
		c.OnLogin = func(_ context.Context, login *core.Login) error {
			g.grants = append(g.grants, login.Grant)
			return nil
		}
	}}, change...)...)
	return g
}

// with has the page /with begin a login with options.
func (g *detailsRig) with(options core.LoginOptions) {
	app := g.app(g.auth)
	g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/with" {
			app.ServeHTTP(w, r)
		} else if err := g.auth.LoginWith(w, r, options); err != nil {
			g.auth.ServeError(w, r, err)
		}
	}))
}

// What is asked for is what the provider grants, in each kind of request.
func TestAuthorizationDetails(t *testing.T) {
	t.Parallel()
	const account = ` [ {"type":"account", "identifier":"DE 40 100", "ü":[1,2.50,null,true]} ] `
	for _, test := range []struct {
		name     string
		register func(*logintest.Client)
		change   func(*core.Config)
		options  string // empty: none
		want     string
	}{
		{"in the URL", func(*logintest.Client) {}, asksFor(payment), "", payment},
		{"pushed", requiresPAR, asksFor(payment), "", payment},
		{"signed", requiresSigned(t, clientKey), func(c *core.Config) { signs(clientKey)(c); asksFor(payment)(c) }, "", payment},
		{"signed and pushed", func(c *logintest.Client) { requiresSigned(t, clientKey)(c); requiresPAR(c) }, func(c *core.Config) { signs(clientKey)(c); asksFor(payment)(c) }, "", payment},
		{"of one login", func(*logintest.Client) {}, func(*core.Config) {}, account, account},
		{"of one login, pushed", requiresPAR, func(*core.Config) {}, account, account},
		{"of one login, in place of those of the configuration", requiresPAR, asksFor(payment), account, account},
		{"16 KB", requiresPAR, asksFor(detailsOf(16 << 10)), "", detailsOf(16 << 10)},
		{"none", func(*logintest.Client) {}, func(*core.Config) {}, "", ""},
	} {
		t.Run("rule 149: "+test.name, func(t *testing.T) {
			t.Parallel()
			g := newDetailsRig(t, test.register, test.change)
			if test.want == "" {
				g.login()
			} else {
				g.with(core.LoginOptions{ReturnTo: "/me", AuthorizationDetails: test.options})
				if page := g.get(origin + "/with"); string(page.Body) != "I am ada" {
					t.Fatalf("got %d at %s: %s, logged %s", page.Status, page.URL, page.Body, g.log.String())
				}
			}
			var got, want any
			if test.want != "" {
				if err := json.Unmarshal([]byte(test.want), &want); err != nil {
					t.Fatal(err)
				}
				if err := json.Unmarshal([]byte(g.grants[0].AuthorizationDetails), &got); err != nil {
					t.Fatalf("%q: %v", g.grants[0].AuthorizationDetails, err)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got %v, want %v", got, want)
			}
			if strings.Contains(fmt.Sprintf("%v %+v", g.grants[0], g.grants[0]), "payment") {
				t.Error("a grant prints its details")
			}
		})
	}
}

// detailsOf returns details of n bytes.
func detailsOf(n int) string {
	const begin, end = `[{"type":"payment","x":"`, `"}]`
	return begin + strings.Repeat("x", n-len(begin)-len(end)) + end
}

// badDetails are no authorization details.
var badDetails = map[string]string{
	"not a JSON array":      `{"type":"payment"}`,
	"is not a JSON array":   `[{"type":"payment"}`,
	"is not a JSON array ":  `[{"type":"payment"}] x`,
	"is not a JSON array  ": "[{\"type\":\"\xff\"}]",
	"no JSON object":        `["payment"]`,
	"element 1 that is no":  `[{"type":"payment"},null]`,
	"without a type":        `[{"actions":["x"]}]`,
	"without a type ":       `[{"type":1}]`,
	"without a type  ":      `[{"type":""}]`,
	"without a type   ":     `[{"type":null}]`,
	"a member twice":        `[{"type":"payment","type":"account"}]`,
	"a member twice ":       `[{"type":"payment","a":[{"b":{"c":1,"c":2}}]}]`,
	"has 16385 bytes":       detailsOf(16<<10 + 1),
}

// Details that cannot be are found before anything is sent.
func TestAuthorizationDetailsOfALoginAreChecked(t *testing.T) {
	t.Parallel()
	g := newDetailsRig(t, requiresPAR)
	try := func(details string) (status int, log string) {
		t.Helper()
		g.log.reset()
		g.with(core.LoginOptions{AuthorizationDetails: details})
		page := g.visit(origin + "/with")
		if g.provider.Count(logintest.PAR) != 0 || len(g.cookiesNamed("")) != 0 {
			t.Errorf("%.50s: a login began", details)
		}
		return page.Status, g.log.String()
	}
	for want, details := range badDetails {
		if status, log := try(details); status != 500 || !strings.Contains(log, "LoginOptions.AuthorizationDetails ") || !strings.Contains(log, strings.TrimSpace(want)) {
			t.Errorf("%.50s: got %d, logged %s", details, status, log)
		}
	}
	if status, log := try(`[]`); status != 500 || !strings.Contains(log, "has no element") {
		t.Errorf("an empty list: got %d, logged %s", status, log)
	}
	if status, log := try(`[{"type":"payment"},{"type":"vote"}]`); status != 502 || !strings.Contains(log, "request_refused") || !strings.Contains(log, `authorization_details_types_supported has \"account payment\", and AuthorizationDetails has type \"vote\"`) {
		t.Errorf("a type that is not offered: got %d, logged %s", status, log)
	}
	g.with(core.LoginOptions{AuthParams: url.Values{"authorization_details": {payment}}})
	if page := g.visit(origin + "/with"); page.Status != 500 || !strings.Contains(g.log.String(), "use AuthorizationDetails instead") {
		t.Errorf("got %d, logged %s", page.Status, g.log.String())
	}
}

// So are types that the provider does not offer, and requests that no URL can have.
func TestDiscoverChecksForAuthorizationDetails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		register func(*logintest.Client)
		change   func(*core.Config)
		offers   any
		status   int
		want     string
	}{
		{"offered", func(*logintest.Client) {}, asksFor(payment), []string{"payment"}, 303, ""},
		{"nothing listed", func(*logintest.Client) {}, asksFor(payment), nil, 303, ""},
		{"another type offered", func(*logintest.Client) {}, asksFor(payment), []string{"account"}, 502, "authorization_details_types_supported has"},
		{"4 KB in a URL", func(*logintest.Client) {}, asksFor(detailsOf(4 << 10)), nil, 303, ""},
		{"8 KB in a URL", func(*logintest.Client) {}, asksFor(detailsOf(8 << 10)), nil, 500, "Requests.PAR"},
		{"8 KB pushed", requiresPAR, asksFor(detailsOf(8 << 10)), nil, 303, ""},
		{"8 KB signed, in a URL", requiresSigned(t, clientKey), func(c *core.Config) { signs(clientKey)(c); asksFor(detailsOf(8 << 10))(c) }, nil, 500, "Requests.PAR"},
		{"too many listed", func(*logintest.Client) {}, asksFor(payment), make([]string, 101), 502, "authorization_details_types_supported has 101 values"},
	} {
		t.Run("rule 151: "+test.name, func(t *testing.T) {
			t.Parallel()
			g := newDetailsRig(t, test.register, test.change)
			g.provider.Misbehave(metadata(map[string]any{"authorization_details_types_supported": test.offers}))
			err := g.auth.Discover(t.Context())
			page := g.visit(origin + "/me")
			if page.Status != test.status || (err == nil) != (test.want == "") || !strings.Contains(fmt.Sprint(err), test.want) {
				t.Errorf("got %d, and %v", page.Status, err)
			}
			if test.want != "" && (len(g.cookiesNamed("")) != 0 || strings.Contains(string(page.Body), ">Try again<")) {
				t.Errorf("got %s", page.Body)
			}
		})
	}
	for _, test := range []struct {
		register func(*logintest.Client)
		change   func(*core.Config)
		bytes    int
		want     string
	}{
		{func(*logintest.Client) {}, func(*core.Config) {}, 4 << 10, ""},
		{func(*logintest.Client) {}, func(*core.Config) {}, 9 << 10, "request_too_large"},
		{requiresSigned(t, clientKey), signs(clientKey), 7 << 10, "request_too_large"},
		{requiresPAR, func(*core.Config) {}, 9 << 10, ""},
	} {
		g := newDetailsRig(t, test.register, test.change)
		g.with(core.LoginOptions{AuthorizationDetails: detailsOf(test.bytes)})
		page := g.visit(origin + "/with")
		if (page.Status == 303) != (test.want == "") || !strings.Contains(g.log.String(), test.want) || page.Status != 303 && (page.Status != 500 || len(g.cookiesNamed("")) != 0) {
			t.Errorf("%d bytes: got %d, logged %s", test.bytes, page.Status, g.log.String())
		}
	}
}

// What the provider grants must be what it can be, because the application relies on it.
func TestGrantedDetailsAreChecked(t *testing.T) {
	t.Parallel()
	granting := func(details string) logintest.Faults {
		return logintest.Faults{Token: func(m map[string]any) { m["authorization_details"] = json.RawMessage(details) }}
	}
	for want, details := range badDetails {
		if strings.HasPrefix(want, "is not a JSON array") { // no response has it
			continue
		}
		t.Run("rule 150: "+want, func(t *testing.T) {
			t.Parallel()
			g := newDetailsRig(t, func(*logintest.Client) {}, asksFor(payment))
			g.provider.Misbehave(granting(details))
			page := g.get(origin + "/me")
			if log := g.log.String(); page.Status != 502 || !strings.Contains(log, "token_response_untrusted") || !strings.Contains(log, strings.TrimSpace(want)) || len(g.grants) != 0 || g.whoAmI() != "" {
				t.Errorf("got %d, logged %s", page.Status, log)
			}
		})
	}
	for granted, want := range map[string]string{`[]`: "[]", `null`: "", `[{"type":"other"}]`: `[{"type":"other"}]`, detailsOf(16 << 10): detailsOf(16 << 10)} {
		g := newDetailsRig(t, func(*logintest.Client) {}, asksFor(payment))
		g.provider.Misbehave(granting(granted))
		if g.login(); g.grants[0].AuthorizationDetails != want {
			t.Errorf("%.50s: got %.50q", granted, g.grants[0].AuthorizationDetails)
		}
	}
}

// A refresh keeps them, unless the provider grants others, on every replica.
func TestRefreshedDetails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		refresh any // nil: none
		want    string
	}{
		{"none", nil, payment},
		{"others", json.RawMessage(`[{"type":"account"}]`), `[{"type":"account"}]`},
		{"none any more", json.RawMessage(`[]`), `[]`},
		{"bad ones", "payment", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newDetailsRig(t, func(*logintest.Client) {}, asksFor(payment))
			g.login()
			g.provider.Misbehave(logintest.Faults{Refresh: func(m map[string]any) {
				if m["authorization_details"] = test.refresh; test.refresh == nil {
					delete(m, "authorization_details")
				}
			}})
			stored, err := json.Marshal(g.grants[0])
			if err != nil {
				t.Fatal(err)
			}
			var grant core.Grant
			if err := json.Unmarshal(stored, &grant); err != nil {
				t.Fatal(err)
			}
			g.advance(time.Hour)
			for range 2 { // the second one gets the outcome of the first
				fresh, err := g.auth.RefreshGrant(t.Context(), grant)
				switch {
				case test.want == "":
					if err == nil || fresh.AuthorizationDetails != payment {
						t.Errorf("got %q, %v", fresh.AuthorizationDetails, err)
					}
				case err != nil || fresh.AuthorizationDetails != test.want || fresh.Token.AccessToken == grant.Token.AccessToken:
					t.Errorf("got %q, %v", fresh.AuthorizationDetails, err)
				}
			}
		})
	}
	t.Run("a session does not keep them", func(t *testing.T) {
		t.Parallel()
		g := newDetailsRig(t, requiresPAR, asksFor(detailsOf(16<<10)), keepTokens)
		g.provider.User = logintest.User{Subject: "ada"}
		g.login()
		size := len(g.cookiesNamed("__Host-pixy-tokens")[0].Value)
		g.advance(time.Hour)
		g.login()
		if after := len(g.cookiesNamed("__Host-pixy-tokens")[0].Value); size > 1000 || after > 1000 || g.provider.Refreshes() != 1 {
			t.Errorf("%d and %d bytes, after %d refreshes", size, after, g.provider.Refreshes())
		}
	})
}

// The page where the user chooses a provider keeps them, as does the one that offers
// another login, as far as a link can.
func TestDetailsPassThroughLinks(t *testing.T) {
	t.Parallel()
	two := func(c *core.Config) {
		other := c.Providers[0]
		other.Name, other.Issuer = "other", "https://other.example.test"
		c.Providers[0].RedirectURL = callbackURL
		c.Providers[0].Name = "one"
		c.Providers = append(c.Providers, other)
	}
	t.Run("a choice", func(t *testing.T) {
		t.Parallel()
		g := newDetailsRig(t, requiresPAR, two)
		details := detailsOf(2 << 10)
		g.with(core.LoginOptions{ReturnTo: "/me", AuthorizationDetails: details})
		link := linkTo(t, g.get(origin+"/with"), "provider=one")
		if page := g.get(link); string(page.Body) != "I am ada" || g.grants[0].AuthorizationDetails != details {
			t.Errorf("got %d at %s, logged %s", page.Status, page.URL, g.log.String())
		}
		if strings.Contains(link, "payment") || len(link) > 4000 {
			t.Errorf("the link is %s", link)
		}
		g.with(core.LoginOptions{AuthorizationDetails: detailsOf(2<<10 + 1)})
		if page := g.visit(origin + "/with"); page.Status != 500 || !strings.Contains(g.log.String(), "set LoginOptions.Provider") {
			t.Errorf("got %d, logged %s", page.Status, g.log.String())
		}
	})
	t.Run("another try", func(t *testing.T) {
		t.Parallel()
		for details, want := range map[string]int{payment: 1, detailsOf(2<<10 + 1): 0} {
			g := newDetailsRig(t, requiresPAR)
			g.with(core.LoginOptions{AuthorizationDetails: details})
			g.provider.Misbehave(on(logintest.PAR, fail))
			page := g.get(origin + "/with")
			g.provider.Misbehave(logintest.Faults{})
			link := linkTo(t, page, "/auth/login")
			g.get(link)
			if got := len(g.pushed()["authorization_details"]); got != want || len(link) > 1000 {
				t.Errorf("got %d, want %d, by %s", got, want, link)
			}
		}
	})
}

// linkTo returns the address of the page's link that contains part.
func linkTo(t testing.TB, page *logintest.Page, part string) string {
	t.Helper()
	for _, rest := range strings.Split(string(page.Body), `href="`)[1:] {
		link, _, _ := strings.Cut(rest, `"`)
		if link = strings.ReplaceAll(link, "&amp;", "&"); strings.Contains(link, part) {
			return origin + link
		}
	}
	t.Fatalf("no link to %s on %d: %s", part, page.Status, page.Body)
	return ""
}
