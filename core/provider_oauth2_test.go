package core_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// plainOAuth2 makes the rig's provider one that issues no ID token, and whose
// API says who it is under an "id", as GitHub's does.
func plainOAuth2(c *core.Config) {
	c.Providers[0].Endpoints = core.EndpointConfig{AuthURL: issuer + "/authorize", TokenURL: issuer + "/token"}
	c.Providers[0].FetchUser = fetchUser
}

// fetchUser asks the UserInfo endpoint, which stands for a provider's own API.
func fetchUser(ctx context.Context, client *http.Client) (map[string]any, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, issuer+"/userinfo", nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the API answered %d to %s", response.StatusCode, response.Request.Header.Get("Authorization"))
	}
	var user map[string]any
	return user, json.NewDecoder(response.Body).Decode(&user)
}

// rule 1, 2, 17: PKCE without OpenID Connect, and neither a nonce nor openid.
func TestALoginWithoutOpenIDConnect(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*core.Config){
		"endpoints given":    func(*core.Config) {},
		"issuer given, too":  func(c *core.Config) { c.Providers[0].Issuer = issuer },
		"found by RFC 8414":  func(c *core.Config) { c.Providers[0].Endpoints.AuthURL, c.Providers[0].Endpoints.TokenURL = "", "" },
		"secret in the body": func(c *core.Config) { c.Providers[0].Client.AuthMethod = "client_secret_post" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var seen []string
			g := newRig(t, plainOAuth2, change, func(c *core.Config) { c.OnLogin = remember(&seen) })
			begun := g.visit(origin + "/me")
			to := begun.Header.Get("Location")
			for _, unwanted := range []string{"nonce=", "openid", "scope="} {
				if strings.Contains(to, unwanted) {
					t.Errorf("%s is in %s", unwanted, to)
				}
			}
			if !strings.Contains(to, "code_challenge_method=S256") {
				t.Errorf("no PKCE in %s", to)
			}
			g.login()
			if len(seen) != 1 || seen[0] != issuer+" ada" {
				t.Errorf("got %q", seen)
			}
			for _, request := range g.provider.Requests() {
				if request.Endpoint == logintest.Token && request.Form.Has("client_secret") != (name == "secret in the body") {
					t.Errorf("the secret is sent as %v", request.Form)
				}
			}
			out, err := g.browser.Post(origin+"/auth/logout", nil)
			if err != nil || out.URL != origin+"/" || g.whoAmI() != "" {
				t.Errorf("logout: %v %v", out, err)
			}
		})
	}
}

// Nobody is let in without an id that is one.
func TestFetchUserNamesSomebody(t *testing.T) {
	t.Parallel()
	gives := func(claims map[string]any, err error) func(context.Context, *http.Client) (map[string]any, error) {
		return func(context.Context, *http.Client) (map[string]any, error) { return claims, err }
	}
	for _, test := range []struct {
		name   string
		fetch  func(context.Context, *http.Client) (map[string]any, error)
		status int
		code   string
	}{
		{"nothing", gives(nil, nil), 502, "userinfo_untrusted"},
		{"no sub", gives(map[string]any{"email": "ada@example.test"}, nil), 502, "userinfo_untrusted"},
		{"an empty sub", gives(map[string]any{"sub": ""}, nil), 502, "userinfo_untrusted"},
		{"a number as sub", gives(map[string]any{"sub": 7}, nil), 502, "userinfo_untrusted"},
		{"a sub that is too long", gives(map[string]any{"sub": strings.Repeat("a", 256)}, nil), 502, "userinfo_untrusted"},
		{"what is not JSON", gives(map[string]any{"sub": "ada", "x": func() {}}, nil), 502, "userinfo_untrusted"},
		{"an error", gives(nil, errors.New("the API is odd")), 502, "userinfo_untrusted"},
		{"an outage", gives(nil, fmt.Errorf("the API: %w", core.ErrUnavailable)), 503, "provider_unavailable"},
		{"an error of its own", gives(nil, &core.Error{Status: 403, Code: "no_org", Public: "You are not of the organisation."}), 403, "no_org"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, plainOAuth2, func(c *core.Config) { c.Providers[0].FetchUser = test.fetch })
			page := g.get(origin + "/me")
			if page.Status != test.status || !strings.Contains(string(page.Body), "<code>"+test.code+"</code>") {
				t.Errorf("got %d: %s", page.Status, page.Body)
			}
			if got := g.logins.Load(); got != 0 || g.whoAmI() != "" {
				t.Errorf("%d calls of OnLogin, and %q is logged in", got, g.whoAmI())
			}
		})
	}
}

// The access token goes to the provider's API and nowhere else: to no other host
// by a redirect, and to no log.
func TestFetchUsersClientKeepsTheToken(t *testing.T) {
	t.Parallel()
	g := newRig(t, plainOAuth2)
	g.provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
		if e != logintest.UserInfo {
			return false
		}
		http.Redirect(w, r, "https://elsewhere.example.test/", http.StatusTemporaryRedirect)
		return true
	}})
	page := g.get(origin + "/me") // fetchUser repeats the token in its error
	if page.Status != 502 {
		t.Errorf("got %d: %s", page.Status, page.Body)
	}
	if logged := g.log.String(); !strings.Contains(logged, "answered 307 to Bearer [redacted]") {
		t.Errorf("logged as %s", logged)
	}
}

// What a provider without OpenID Connect answers is refused as the same.
func TestOAuth2AnswersAreChecked(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		faults logintest.Faults
		status int
		code   string
	}{
		{"token_type mac", logintest.Faults{Token: func(m map[string]any) { m["token_type"] = "mac" }}, 502, "token_response_untrusted"},
		{"no access token", logintest.Faults{Token: func(m map[string]any) { delete(m, "access_token") }}, 502, "token_response_untrusted"},
		{"iss of another", logintest.Faults{Authorization: func(q url.Values) { q.Set("iss", "https://x.test") }}, 400, "callback_untrusted"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, plainOAuth2)
			g.provider.Misbehave(test.faults)
			page := g.get(origin + "/me")
			if page.Status != test.status || !strings.Contains(string(page.Body), test.code) || g.logins.Load() != 0 || g.whoAmI() != "" {
				t.Errorf("got %d: %s", page.Status, page.Body)
			}
		})
	}
}
