package core_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// What providers say of how long their tokens live, and what is assumed if they do
// not.
func TestLifetimesOfAccessTokens(t *testing.T) {
	t.Parallel()
	member := func(name string, value any) func(map[string]any) {
		return func(r map[string]any) {
			delete(r, "expires_in")
			if name != "" {
				r[name] = value
			}
		}
	}
	for name, test := range map[string]struct {
		response func(map[string]any)
		assumed  time.Duration // in the configuration
		form     bool          // the response is a form
		lives    time.Duration
	}{
		"expires_in":                         {response: member("expires_in", 1200), lives: 20 * time.Minute},
		"expires_in, and an assumption":      {response: member("expires_in", 1200), assumed: 5 * time.Hour, lives: 20 * time.Minute},
		"expires_in as a string":             {response: member("expires_in", "1200"), lives: 20 * time.Minute},
		"none":                               {response: member("", nil), lives: time.Hour},
		"none, and an assumption":            {response: member("", nil), assumed: 20 * time.Minute, lives: 20 * time.Minute},
		"null":                               {response: member("expires_in", nil), lives: time.Hour},
		"zero":                               {response: member("expires_in", 0), lives: time.Hour},
		"negative":                           {response: member("expires_in", -3600), lives: time.Hour},
		"expires, in seconds":                {response: member("expires", 1200), lives: 20 * time.Minute},
		"expires, as a string":               {response: member("expires", "1200"), lives: 20 * time.Minute},
		"expires, negative":                  {response: member("expires", -1), lives: time.Hour},
		"expires, of no number":              {response: member("expires", "soon"), lives: time.Hour},
		"expires, beyond all dates":          {response: member("expires", 1e12), lives: time.Hour},
		"a form with expires_in":             {response: member("expires_in", 1200), form: true, lives: 20 * time.Minute},
		"a form with expires":                {response: member("expires", 1200), form: true, lives: 20 * time.Minute},
		"a form with neither":                {response: member("", nil), form: true, lives: time.Hour},
		"a form with an expires_in of zero":  {response: member("expires_in", 0), form: true, lives: time.Hour},
		"a form with an expires_in of minus": {response: member("expires_in", -5), form: true, lives: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newTokenRig(t, plainOAuth2, func(c *core.Config) {
				c.Tokens.Lifetime = test.assumed
				if test.form {
					asForm(c)
				}
			})
			g.provider.Misbehave(logintest.Faults{Token: test.response})
			g.login()
			first := g.token()
			g.advance(test.lives - 2*time.Minute)
			if token := g.token(); token != first || g.provider.Refreshes() != 0 {
				t.Errorf("refreshed too early: got %q after %q, and %d refreshes", token, first, g.provider.Refreshes())
			}
			g.advance(90 * time.Second)
			token := g.token()
			if len(token) < 20 || token == first || g.provider.Refreshes() != 1 {
				t.Errorf("not refreshed: got %q, and %d refreshes", token, g.provider.Refreshes())
			}
			for range 3 {
				if again := g.token(); again != token || g.provider.Refreshes() != 1 {
					t.Errorf("refreshed at once: got %q after %d refreshes", again, g.provider.Refreshes())
				}
			}
		})
	}
	t.Run("expires, as a date", func(t *testing.T) {
		t.Parallel()
		g := newTokenRig(t)
		g.provider.Misbehave(logintest.Faults{Token: func(r map[string]any) {
			delete(r, "expires_in")
			r["expires"] = g.now().Add(20 * time.Minute).Unix()
		}})
		g.login()
		first := g.token()
		g.advance(18 * time.Minute)
		if g.token() != first {
			t.Error("refreshed too early")
		}
		g.advance(90 * time.Second)
		if g.token(); g.provider.Refreshes() != 1 {
			t.Errorf("%d refreshes", g.provider.Refreshes())
		}
	})
}

// asForm has the token endpoint answer in a form, as GitHub does, and Facebook did.
func asForm(c *core.Config) {
	base := c.HTTPClient.Transport
	c.HTTPClient = &http.Client{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		response, err := base.RoundTrip(r)
		if err != nil || r.URL.Path != "/token" {
			return response, err
		}
		defer response.Body.Close()
		var members map[string]any
		if err := json.NewDecoder(response.Body).Decode(&members); err != nil {
			return nil, err
		}
		form := make(url.Values)
		for name, value := range members {
			form.Set(name, fmt.Sprint(value))
		}
		response.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		response.Body = io.NopCloser(strings.NewReader(form.Encode()))
		return response, nil
	})}
}

// What is assumed may be wrong: nobody is refused for it before a refresh has failed.
func TestAnAssumedLifetimeIsNoExpiry(t *testing.T) {
	t.Parallel()
	noExpiry := func(r map[string]any) { delete(r, "expires_in") }
	t.Run("without a refresh token", func(t *testing.T) {
		t.Parallel()
		g := newTokenRig(t)
		g.provider.Misbehave(logintest.Faults{Token: func(r map[string]any) { noExpiry(r); delete(r, "refresh_token") }})
		g.login()
		first := g.token()
		g.advance(11 * time.Hour)
		if token := g.token(); token != first || g.whoAmI() != "I am ada" {
			t.Errorf("got %q, want %q", token, first)
		}
	})
	t.Run("while one that the provider names is", func(t *testing.T) {
		t.Parallel()
		g := newTokenRig(t)
		g.provider.Misbehave(logintest.Faults{Token: func(r map[string]any) { r["expires_in"] = 1200 }})
		g.login()
		token, err := core.TokenSource(g.pass().Context()).Token()
		if err != nil {
			t.Fatal(err)
		}
		if left := token.Expiry.Sub(g.now()); left <= 19*time.Minute || left > 20*time.Minute {
			t.Errorf("it expires in %s", left)
		}
	})
	t.Run("a handler that runs for longer", func(t *testing.T) {
		t.Parallel()
		g := newTokenRig(t)
		g.provider.Misbehave(logintest.Faults{Token: noExpiry})
		g.login()
		first := g.token()
		passed := g.pass()
		g.advance(2 * time.Hour)
		token, err := core.TokenSource(passed.Context()).Token()
		if err != nil || token.AccessToken != first || !token.Expiry.IsZero() {
			t.Errorf("got %v, %v", token, err)
		}
	})
	t.Run("a refresh that fails", func(t *testing.T) {
		t.Parallel()
		g := newTokenRig(t)
		g.provider.Misbehave(logintest.Faults{Token: noExpiry})
		g.login()
		first := g.token()
		g.provider.Misbehave(answering(status(503)))
		g.advance(59*time.Minute + 30*time.Second)
		if token := g.token(); token != first {
			t.Errorf("due, and assumed to be good: got %q", token)
		}
		g.advance(time.Minute)
		if got := g.token(); got != "provider_unavailable" || g.whoAmI() != "I am ada" {
			t.Errorf("assumed to have expired: got %q", got)
		}
	})
	t.Run("a known one is", func(t *testing.T) {
		t.Parallel()
		g := newTokenRig(t)
		g.login()
		passed := g.pass()
		g.advance(2 * time.Hour)
		if token, err := core.TokenSource(passed.Context()).Token(); err == nil {
			t.Errorf("got %v", token)
		}
	})
}

// pass lets a request of the browser through the guard.
func (g *tokenRig) pass() *http.Request {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), "GET", origin+"/token", nil)
	if err != nil {
		g.t.Fatal(err)
	}
	for _, c := range g.browser.Cookies(origin + "/token") {
		r.AddCookie(c)
	}
	passed, err := g.auth.Authenticate(discard{make(http.Header)}, r)
	if err != nil {
		g.t.Fatal(err)
	}
	return passed
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}
