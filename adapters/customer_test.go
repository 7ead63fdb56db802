package adapters_test

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// choose finds the customer by the domain of an address.
func choose(c *core.Config) {
	c.Lookup.Choose = func(_ *http.Request, typed string) (string, error) {
		if strings.HasSuffix(typed, "@acme.example.test") {
			return customer, nil
		}
		return "", nil
	}
}

// A user types an address, and logs in at the customer's provider, in each framework,
// behind Mount and behind a guard that serves the login's routes itself.
func TestACustomerIsFound(t *testing.T) {
	t.Parallel()
	apps := map[string]func(*app, *core.Authenticator) http.Handler{}
	for name, build := range frameworks {
		apps[name] = build
	}
	for name, build := range behindGuard {
		apps[name+" without Mount"] = build
	}
	for name, build := range apps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := new(app)
			s := newStageOf(t, atCustomer, a, build, lookUp, choose)
			page := s.page(s.browser.Get(origin + "/private?a=1"))
			if page.Status != 200 || !strings.Contains(string(page.Body), `<input type="hidden" name="return_to" value="/private?a=1">`) {
				t.Fatalf("no form: %d %s", page.Status, page.Body)
			}
			page = s.page(s.browser.Post(origin+"/auth/login", url.Values{"customer": {"ada@nowhere.example.test"}, "return_to": {"/private?a=1"}}))
			if page.Status != 200 || !strings.Contains(string(page.Body), `value="ada@nowhere.example.test"`) || s.provider.Count(logintest.Authorization) != 0 || a.ran.Load() != 0 {
				t.Errorf("unknown: got %d at %s: %s", page.Status, page.URL, page.Body)
			}
			page = s.page(s.browser.Post(origin+"/auth/login", url.Values{"customer": {"ada@acme.example.test"}, "return_to": {"/private?a=1"}}))
			if page.Status != 200 || string(page.Body) != "ada" || page.URL != origin+"/private?a=1" {
				t.Errorf("got %d at %s: %s", page.Status, page.URL, page.Body)
			}
			for _, r := range s.provider.Requests() {
				if r.Endpoint == logintest.Authorization && r.Query.Get("login_hint") != "ada@acme.example.test" {
					t.Errorf("asks with %v", r.Query)
				}
			}
		})
	}
}

// Each framework gives every user the same answer, sends the link afterwards, and only for what a
// user of this site typed.
func TestALinkForACustomer(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, start func(...func(*core.Config)) *stage) {
		links := make(chan string, 10)
		s := start(lookUp, choose, func(c *core.Config) {
			c.Lookup.SendLink = func(_ context.Context, _, link string) error { links <- link; return nil }
		})
		send := func(typed, site string) *logintest.Page {
			r, err := http.NewRequest("POST", origin+"/auth/login", strings.NewReader(url.Values{"customer": {typed}, "return_to": {"/private"}}.Encode()))
			if err != nil {
				t.Fatal(err)
			}
			r.Header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"text/html"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}, "Sec-Fetch-Site": {site}}
			return s.page(s.browser.Do(r))
		}
		send("ada@acme.example.test", "cross-site")
		unknown, known := send("ada@nowhere.example.test", "same-origin"), send("ada@acme.example.test", "same-origin")
		if unknown.Status != 200 || known.Status != 200 || string(unknown.Body) != string(known.Body) || !maps.EqualFunc(unknown.Header, known.Header, slices.Equal[[]string]) {
			t.Errorf("answers differ: %d %s, and %d %s", unknown.Status, unknown.Body, known.Status, known.Body)
		}
		link := <-links
		if !strings.HasPrefix(link, origin+"/auth/login?provider="+customer+"&return_to=%2Fprivate") {
			t.Errorf("sent %s", link)
		}
		if page := s.page(s.browser.Visit(link)); !strings.HasPrefix(page.Header.Get("Location"), issuer+"/authorize?") {
			t.Errorf("the link leads to %d %s", page.Status, page.Header.Get("Location"))
		}
		if len(links) != 0 {
			t.Errorf("%d more links", len(links))
		}
	})
}
