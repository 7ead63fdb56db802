package core_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A refusal is a callback in which exactly one thing is wrong.
type refusal struct {
	name     string
	config   func(*core.Config)
	faults   logintest.Faults            // of the provider
	callback func(query url.Values)      // changed on the way to the application
	claim    func(claims map[string]any) // of the ID token
	header   func(header map[string]any) // of the ID token
	token    func(answer map[string]any) // of the token endpoint
	metadata func(document map[string]any)
	userInfo func(claims map[string]any)

	status int    // zero: 400
	code   string // of the error; empty: accepted
	spent  bool   // whether the code was sent to the token endpoint
}

// Each row is run by somebody who is logged in already: nothing may start, and
// the session that was there must survive.
func TestCallbackRefuses(t *testing.T) {
	t.Parallel()
	for _, row := range refusals() {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, func(c *core.Config) {
				if row.config != nil {
					row.config(c)
				}
			})
			g.provider.User = logintest.User{Subject: "before"}
			g.login()
			logins, tokens, infos := g.logins.Load(), g.provider.Count(logintest.Token), g.provider.Count(logintest.UserInfo)

			second := g.newAuth(row.change) // fresh: it has not seen the metadata yet
			g.browser.Serve(origin, g.app(second))
			g.provider.User = logintest.User{Subject: "after"}
			row.install(g.provider)
			callback := g.toCallback()
			if row.callback != nil {
				query := callback.Query()
				row.callback(query)
				callback.RawQuery = query.Encode()
			}
			page := g.get(callback.String())

			if row.code == "" {
				if got := g.whoAmI(); got != "I am after" {
					t.Fatalf("not accepted: %d %s (%q)\n%s", page.Status, page.Body, got, g.log.String())
				}
				return
			}
			if row.status == 0 {
				row.status = http.StatusBadRequest
			}
			if page.Status != row.status || !strings.Contains(string(page.Body), "<code>"+row.code+"</code>") {
				t.Fatalf("got %d, want %d %s:\n%s\n%s", page.Status, row.status, row.code, page.Body, g.log.String())
			}
			for _, hop := range page.Hops {
				if setsSession(hop.Header) {
					t.Error("started a session")
				}
			}
			if got := g.logins.Load() - logins; got != 0 && !strings.HasPrefix(row.name, "OnLogin") {
				t.Errorf("called OnLogin %d times", got)
			}
			if got := g.provider.Count(logintest.Token) - tokens; got != map[bool]int{true: 1}[row.spent] {
				t.Errorf("sent %d token requests", got)
			}
			if got := g.provider.Count(logintest.UserInfo) - infos; got != 0 && row.userInfo == nil {
				t.Errorf("sent %d UserInfo requests", got)
			}
			if got := g.whoAmI(); got != "I am before" {
				t.Errorf("the former session is gone: %q", got)
			}
			if left := g.cookiesNamed("__Host-pixy-login-"); len(left) != 0 {
				t.Errorf("the attempt was not deleted: %d left", len(left))
			}
			if lines := strings.Count(g.log.String(), "\n"); lines != 1 {
				t.Errorf("%d log lines, want 1:\n%s", lines, g.log.String())
			}
		})
	}
}

func (row refusal) change(c *core.Config) {
	if row.config != nil {
		row.config(c)
	}
}

func (row refusal) install(provider *logintest.Provider) {
	faults := row.faults
	if row.claim != nil || row.header != nil {
		faults.IDToken = func(header, claims map[string]any) {
			if row.claim != nil {
				row.claim(claims)
			}
			if row.header != nil {
				row.header(header)
			}
		}
	}
	if row.token != nil {
		faults.Token = row.token
	}
	if row.metadata != nil {
		faults.Discovery = row.metadata
	}
	if row.userInfo != nil {
		faults.UserInfo = row.userInfo
	}
	provider.Misbehave(faults)
}

func TestCallbackTakesGETOnly(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	callback := g.toCallback()
	for _, method := range []string{"HEAD", "POST", "PUT"} {
		r, err := http.NewRequest(method, callback.String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		page, err := g.browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if page.Status != http.StatusMethodNotAllowed || page.Header.Get("Allow") == "" {
			t.Errorf("%s: got %d, Allow %q", method, page.Status, page.Header.Get("Allow"))
		}
	}
	if got := g.provider.Count(logintest.Token); got != 0 {
		t.Errorf("%d token requests", got)
	}
	if page := g.get(callback.String()); string(page.Body) != "I am ada" {
		t.Errorf("the attempt is used up: %s", page.Body)
	}
}

func FuzzCallbackQuery(f *testing.F) {
	g := newRig(f)
	for _, seed := range []string{
		"", "state=a&code=b", "state=&code=", "state=a&state=a", "error=x&state=y", "code=%00", "%", ";", "a=%zz",
		"state=" + strings.Repeat("A", 43) + "&code=x", "state=" + strings.Repeat("A", 43) + "-r&code=x", "iss=x&state=\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := &http.Request{
			Method: "GET", URL: &url.URL{Scheme: "https", Host: "app.example.test", Path: "/auth/callback", RawQuery: query},
			Header: http.Header{"Accept": {"text/html"}},
		}
		page, err := g.browser.Do(r.WithContext(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		if page.Status >= 500 || setsSession(page.Header) {
			t.Fatalf("%q: got %d", query, page.Status)
		}
		if g.provider.Count(logintest.Token) != 0 {
			t.Fatalf("%q: a token request", query)
		}
	})
}
