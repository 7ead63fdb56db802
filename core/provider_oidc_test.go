package core_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// CHECKLIST 43 to 45: how the client proves itself.
func TestClientAuthentication(t *testing.T) {
	t.Parallel()
	const secret = "s:e%c+r/e t&=ü"
	for _, test := range []struct {
		name    string
		secret  string
		methods []string
		basic   bool
		body    bool
	}{
		{"basic by default", secret, nil, true, false},
		{"basic if there is a choice", secret, []string{"client_secret_post", "client_secret_basic"}, true, false},
		{"post if asked for", secret, []string{"client_secret_post", "private_key_jwt"}, false, true},
		{"public", "", []string{"none"}, false, false},
		{"public, although nobody says so", "", nil, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			provider := logintest.NewProvider(issuer, logintest.Client{ID: "an app:1", Secret: test.secret, RedirectURIs: []string{callbackURL}})
			provider.Misbehave(logintest.Faults{Discovery: func(m map[string]any) {
				m["token_endpoint_auth_methods_supported"] = test.methods
			}})
			g := &rig{t: t, provider: provider, browser: logintest.NewBrowser()}
			g.browser.Serve(issuer, provider)
			g.auth = g.newAuth(func(c *core.Config) {
				c.Providers[0].ClientID, c.Providers[0].ClientSecret = "an app:1", test.secret
			})
			g.browser.Serve(origin, g.app(g.auth))
			g.login()
			if got := provider.Count(logintest.Token); got != 1 {
				t.Errorf("%d token requests, want 1", got)
			}
			for _, request := range provider.Requests() {
				if request.Endpoint != logintest.Token {
					continue
				}
				if got := request.Header.Get("Authorization") != ""; got != test.basic {
					t.Errorf("Authorization header: got %v", got)
				}
				if got := request.Form.Has("client_secret"); got != test.body {
					t.Errorf("secret in the body: got %v", got)
				}
				if !test.basic && request.Form.Get("client_id") != "an app:1" {
					t.Errorf("client_id: got %q", request.Form.Get("client_id"))
				}
				if request.Method != "POST" || len(request.Query) != 0 || request.Form.Get("redirect_uri") != callbackURL {
					t.Errorf("got %+v", request)
				}
			}
		})
	}
}

// CHECKLIST 85, 87, 88 and oidcc-client-test-scope-userinfo-claims.
func TestUserInfoFillsInWhatTheIDTokenLacks(t *testing.T) {
	t.Parallel()
	g := newRig(t, func(c *core.Config) { c.Providers[0].UserInfo = true })
	g.provider.Misbehave(logintest.Faults{
		IDToken: func(_, claims map[string]any) { delete(claims, "email") },
		UserInfo: func(claims map[string]any) {
			claims["name"] = "Somebody Else" // the signed name stays
			claims["iss"] = "https://evil.example.test"
			claims["_claim_sources"] = map[string]any{"src1": map[string]any{"endpoint": "https://evil.example.test/"}}
		},
	})
	g.login()
	r := httptest.NewRequest("GET", origin+"/", nil)
	for _, c := range g.browser.Cookies(origin) {
		r.AddCookie(c)
	}
	r, err := g.auth.Authenticate(httptest.NewRecorder(), r)
	if err != nil {
		t.Fatal(err)
	}
	user := core.UserFromContext(r.Context())
	if user.Email != "ada@example.test" || user.Name != "Ada Lovelace" || user.Issuer != issuer {
		t.Errorf("got %+v", user)
	}
	for _, request := range g.provider.Requests() {
		if request.Endpoint == logintest.UserInfo && (!strings.HasPrefix(request.Header.Get("Authorization"), "Bearer ") || len(request.Query) != 0) {
			t.Errorf("the token is not in the header alone: %v", request.Query)
		}
	}
}
