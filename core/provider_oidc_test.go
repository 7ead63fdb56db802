package core_test

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// How the client proves itself.
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
		{"rules 43, 44: basic by default", secret, nil, true, false},
		{"rules 43, 44: basic if there is a choice", secret, []string{"client_secret_post", "client_secret_basic"}, true, false},
		{"rule 43: post if asked for", secret, []string{"client_secret_post", "private_key_jwt"}, false, true},
		{"rule 45: public", "", []string{"none"}, false, false},
		{"rule 45: public, although nobody says so", "", nil, false, false},
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

func TestTokenRequest(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.login()
	var authorization, token logintest.Request
	for _, request := range g.provider.Requests() {
		switch request.Endpoint {
		case logintest.Authorization:
			authorization = request
		case logintest.Token:
			token = request
		}
	}
	verifier := token.Form.Get("code_verifier")
	t.Run("rule 40: a POST of a form, and nothing in the URL", func(t *testing.T) {
		kind := token.Header.Get("Content-Type")
		if token.Method != "POST" || kind != "application/x-www-form-urlencoded" || len(token.Query) != 0 {
			t.Errorf("got %s %v %s", token.Method, token.Query, kind)
		}
		if got := token.Form.Get("grant_type"); got != "authorization_code" {
			t.Errorf("grant_type: got %q", got)
		}
	})
	t.Run("rule 3: the verifier has 43 to 128 unreserved characters", func(t *testing.T) {
		if !regexp.MustCompile(`^[A-Za-z0-9._~-]{43,128}$`).MatchString(verifier) {
			t.Errorf("got %q", verifier)
		}
	})
	t.Run("rule 41: with the verifier of the challenge", func(t *testing.T) {
		sum := sha256.Sum256([]byte(verifier))
		if got, want := base64.RawURLEncoding.EncodeToString(sum[:]), authorization.Query.Get("code_challenge"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("rule 42: with the redirect_uri of before", func(t *testing.T) {
		if got, want := token.Form.Get("redirect_uri"), authorization.Query.Get("redirect_uri"); got != want || got != callbackURL {
			t.Errorf("got %q, want %q", got, want)
		}
	})
	t.Run("rule 48: once", func(t *testing.T) {
		if got := g.provider.Count(logintest.Token); got != 1 {
			t.Errorf("%d token requests, want 1", got)
		}
	})
}

func TestUserInfoFillsInWhatTheIDTokenLacks(t *testing.T) {
	t.Parallel()
	var foreign foreignRequests
	g := newRig(t, askUserInfo, func(c *core.Config) {
		foreign.base = c.HTTPClient.Transport
		c.HTTPClient = &http.Client{Transport: &foreign}
	})
	g.provider.Misbehave(logintest.Faults{
		IDToken: func(_, claims map[string]any) { delete(claims, "email") },
		UserInfo: func(claims map[string]any) {
			claims["name"] = "Somebody Else" // the signed name stays
			claims["iss"] = "https://evil.example.test"
			claims["_claim_names"] = map[string]any{"address": "src1"}
			claims["_claim_sources"] = map[string]any{"src1": map[string]any{
				"endpoint": "https://evil.example.test/claims", "access_token": "x",
			}}
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
	t.Run("rule 88: the signed issuer and name stay", func(t *testing.T) {
		user := core.UserFromContext(r.Context())
		if user.Email != "ada@example.test" || user.Name != "Ada Lovelace" || user.Issuer != issuer || user.Subject != "ada" {
			t.Errorf("got %+v", user)
		}
	})
	t.Run("rule 85: the access token is in the header alone", func(t *testing.T) {
		if got := g.provider.Count(logintest.UserInfo); got != 1 {
			t.Errorf("%d UserInfo requests, want 1", got)
		}
		for _, request := range g.provider.Requests() {
			if request.Endpoint == logintest.UserInfo && (!strings.HasPrefix(request.Header.Get("Authorization"), "Bearer ") ||
				len(request.Query)+len(request.Form) != 0) {
				t.Errorf("got %v %v", request.Query, request.Form)
			}
		}
	})
	t.Run("rule 87: claim sources are not fetched", func(t *testing.T) {
		if got := foreign.count.Load(); got != 0 {
			t.Errorf("%d requests to other hosts", got)
		}
	})
}

// foreignRequests counts requests to any host but the provider's.
type foreignRequests struct {
	base  http.RoundTripper
	count atomic.Int32
}

func (f *foreignRequests) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme+"://"+r.URL.Host != issuer {
		f.count.Add(1)
	}
	return f.base.RoundTrip(r)
}
