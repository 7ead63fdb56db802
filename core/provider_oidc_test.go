package core_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// CHECKLIST 16, 50, 77 to 79, and the modules oidcc-client-test-discovery-*.
func TestDiscoverChecksTheMetadata(t *testing.T) {
	t.Parallel()
	set := func(name string, value any) func(map[string]any) {
		return func(m map[string]any) {
			if m[name] = value; value == nil {
				delete(m, name)
			}
		}
	}
	for _, test := range []struct {
		name     string
		metadata func(map[string]any)
		want     string // in the error; "": accepted
	}{
		{"nothing unusual", func(map[string]any) {}, ""},
		{"PKCE not announced", set("code_challenge_methods_supported", nil), ""},
		{"no logout", set("end_session_endpoint", nil), ""},
		{"no UserInfo", set("userinfo_endpoint", nil), ""},
		{"client_secret_post only", set("token_endpoint_auth_methods_supported", []string{"client_secret_post"}), ""},
		{"no authentication methods", set("token_endpoint_auth_methods_supported", nil), ""},
		{"authorization endpoint with a query", set("authorization_endpoint", issuer+"/authorize?tenant=a"), ""},

		{"issuer of another", set("issuer", issuer+"INVALID"), "must be equal"},
		{"issuer with a slash", set("issuer", issuer+"/"), "must be equal"},
		{"issuer missing", set("issuer", nil), "must be equal"},
		{"plain PKCE only", set("code_challenge_methods_supported", []string{"plain"}), "S256 is needed"},
		{"no authorization endpoint", set("authorization_endpoint", nil), "authorization_endpoint is missing"},
		{"no token endpoint", set("token_endpoint", nil), "token_endpoint is missing"},
		{"no keys", set("jwks_uri", nil), "jwks_uri is missing"},
		{"http token endpoint", set("token_endpoint", "http://id.example.test/token"), "token_endpoint is not https"},
		{"http on loopback, though the issuer is not", set("token_endpoint", "http://127.0.0.1/token"), "token_endpoint is not https"},
		{"javascript", set("end_session_endpoint", "javascript:alert(1)"), "end_session_endpoint is not"},
		{"host confusion", set("userinfo_endpoint", "https://id.example.test@evil.example.test/"), "userinfo_endpoint has a user name"},
		{"relative endpoint", set("jwks_uri", "/jwks"), "jwks_uri is not an absolute URL"},
		{"fragment", set("authorization_endpoint", issuer+"/a#b"), "authorization_endpoint has a fragment"},
		{"endpoint that sets a state", set("authorization_endpoint", issuer+"/a?state=x"), "a parameter \"state\" of its own"},
		{"authentication methods of others", set("token_endpoint_auth_methods_supported", []string{"private_key_jwt"}), "private_key_jwt"},
		{"wrong type", set("token_endpoint", 7), "not the JSON it should be"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			g.provider.Misbehave(logintest.Faults{Discovery: test.metadata})
			err := g.auth.Discover(t.Context())
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if test.name != "authorization endpoint with a query" {
					g.login()
				}
				return
			}
			if !errors.Is(err, core.ErrUntrusted) || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want %q in it", err, test.want)
			}
			page := g.visit(origin + "/me")
			if page.Status != http.StatusBadGateway || len(g.browser.Cookies(origin)) != 0 {
				t.Errorf("login: got %d and %d cookies", page.Status, len(g.browser.Cookies(origin)))
			}
		})
	}
}

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

// CHECKLIST 80: the modules oidcc-client-test-signing-key-rotation*.
func TestKeysMayRotateAtAnyTime(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	for range 4 {
		g.browser.Forget("", "")
		g.login()
		g.provider.RotateKeys()
	}
	callback := g.toCallback()
	g.provider.RotateKeys() // just before signing
	if page := g.get(callback.String()); page.Status != 200 {
		t.Errorf("got %d", page.Status)
	}
}

// CHECKLIST 81.
func TestUnknownKeysDoNotFloodTheProvider(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	start := time.Now()
	frozen, err := core.NewAt(g.config(), func() time.Time { return start })
	if err != nil {
		t.Fatal(err)
	}
	g.provider.Now = func() time.Time { return start }
	g.browser.Serve(origin, g.app(frozen))
	g.login()
	n := 0
	g.provider.Misbehave(logintest.Faults{IDToken: func(header, _ map[string]any) {
		n++
		header["kid"] = fmt.Sprint("unknown", n)
	}})
	before := g.provider.Count(logintest.JWKS)
	for range 100 {
		if page := g.visit(g.toCallback().String()); page.Status != http.StatusBadGateway {
			t.Fatalf("got %d", page.Status)
		}
	}
	if got := g.provider.Count(logintest.JWKS) - before; got > 5 {
		t.Errorf("%d fetches of the keys, want 5 at most", got)
	}
	// Keys that cannot be had say nothing about the token.
	start = start.Add(time.Minute)
	g.provider.Misbehave(logintest.Faults{
		IDToken: func(header, _ map[string]any) { header["kid"] = "unknown" },
		Intercept: func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
			if e == logintest.JWKS {
				w.WriteHeader(http.StatusInternalServerError)
			}
			return e == logintest.JWKS
		},
	})
	if page := g.visit(g.toCallback().String()); page.Status != http.StatusServiceUnavailable {
		t.Errorf("with the keys down: got %d", page.Status)
	}
	// The provider's clock goes on, and so does its real rotation.
	g.provider.Misbehave(logintest.Faults{})
	g.provider.RotateKeys()
	start = start.Add(time.Second)
	if page := g.visit(g.toCallback().String()); page.Status != http.StatusSeeOther {
		t.Errorf("a real rotation is not let through: %d", page.Status)
	}
}

// CHECKLIST 82, 83, and 6 and 7 of the basic modules.
func TestKeySetsHoldMoreThanIsUnderstood(t *testing.T) {
	t.Parallel()
	decoy, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(jose.JSONWebKey{Key: decoy.Public(), Use: "sig", Algorithm: "ES256"})
	if err != nil {
		t.Fatal(err)
	}
	for name, kid := range map[string]bool{"with key ids": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			g.provider.Misbehave(logintest.Faults{
				JWKS: func(set map[string]any) {
					keys := set["keys"].([]any)
					rsa := keys[0].(map[string]any)
					var other map[string]any
					if err := json.Unmarshal(encoded, &other); err != nil {
						panic(err)
					}
					other["kid"] = rsa["kid"] // a decoy of the same name
					set["keys"] = append([]any{
						map[string]any{"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA", "kid": "k"},
						map[string]any{"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"},
						map[string]any{"kty": "oct", "k": "AAAA", "kid": rsa["kid"]},
						"junk", 7, nil, other,
					}, keys...)
					if !kid {
						for _, key := range set["keys"].([]any) {
							if key, ok := key.(map[string]any); ok {
								delete(key, "kid")
							}
						}
					}
				},
				IDToken: func(header, _ map[string]any) {
					if !kid {
						delete(header, "kid")
					}
				},
			})
			g.login()
		})
	}
	t.Run("a key for encryption does not verify", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.provider.Misbehave(logintest.Faults{JWKS: func(set map[string]any) {
			for _, key := range set["keys"].([]any) {
				key.(map[string]any)["use"] = "enc"
			}
		}})
		if page := g.visit(g.toCallback().String()); page.Status != http.StatusBadGateway {
			t.Errorf("got %d", page.Status)
		}
	})
}

// Section 6 of the design: kept, refreshed on use, the last good copy stays.
func TestMetadataIsKept(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	var logins sync.WaitGroup
	for range 20 {
		logins.Go(func() {
			if _, err := g.browser.Visit(origin + "/auth/login"); err != nil {
				t.Error(err)
			}
		})
	}
	logins.Wait()
	if got := g.provider.Count(logintest.Discovery); got != 1 {
		t.Errorf("%d discoveries for 20 logins at once, want 1", got)
	}
	g.advance(2 * time.Hour)
	g.visit(origin + "/auth/login")
	if got := g.provider.Count(logintest.Discovery); got != 2 {
		t.Errorf("%d discoveries, want 2: stale metadata was not refreshed", got)
	}
	down := logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
		if e == logintest.Discovery {
			w.WriteHeader(http.StatusInternalServerError)
		}
		return e == logintest.Discovery
	}}
	g.provider.Misbehave(down)
	g.advance(2 * time.Hour)
	for range 10 {
		if page := g.visit(origin + "/auth/login"); page.Status != http.StatusSeeOther {
			t.Fatalf("got %d while a refresh fails", page.Status)
		}
	}
	if got := g.provider.Count(logintest.Discovery); got != 3 {
		t.Errorf("%d discoveries, want 3: a failed refresh is repeated at once", got)
	}

	// A process that has never seen the provider.
	second := g.newAuth()
	before := g.provider.Count(logintest.Discovery)
	for range 10 {
		if err := second.Discover(t.Context()); !errors.Is(err, core.ErrUnavailable) {
			t.Fatalf("got %v", err)
		}
	}
	if got := g.provider.Count(logintest.Discovery) - before; got != 1 {
		t.Errorf("%d requests to a provider that is down, want 1", got)
	}
	g.provider.Misbehave(logintest.Faults{})
	g.advance(3 * time.Second)
	if err := second.Discover(t.Context()); err != nil {
		t.Errorf("when it is back: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	third := g.newAuth()
	if err := third.Discover(cancelled); !errors.Is(err, core.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	if err := third.Discover(t.Context()); err != nil {
		t.Errorf("a caller who went away spoils it for the next: %v", err)
	}
}

// CHECKLIST 49 to 51, over a real socket.
func TestTheWireIsBounded(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("a redirect was followed to %s", r.URL)
	}))
	t.Cleanup(elsewhere.Close)
	for name, misbehave := range map[string]func(w http.ResponseWriter, r *http.Request){
		"stalls": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"redirects": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		},
		"is huge": func(w http.ResponseWriter, r *http.Request) {
			junk := []byte(strings.Repeat(" ", 1<<20))
			for {
				if _, err := w.Write(junk); err != nil {
					return
				}
			}
		},
		"drips": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				fmt.Fprint(w, " ")
				w.(http.Flusher).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(time.Millisecond):
				}
			}
		},
		"closes": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		for _, endpoint := range []logintest.Endpoint{logintest.Discovery, logintest.Token, logintest.JWKS} {
			t.Run(string(endpoint)+" "+name, func(t *testing.T) {
				t.Parallel()
				listener, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				local := "http://" + listener.Addr().String()
				provider := logintest.NewProvider(local, logintest.Client{ID: "app", RedirectURIs: []string{callbackURL}})
				provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
					if e == endpoint {
						misbehave(w, r)
					}
					return e == endpoint
				}})
				server := httptest.NewUnstartedServer(provider)
				server.Listener.Close()
				server.Listener = listener
				server.Start()
				t.Cleanup(server.Close)

				g := &rig{t: t, provider: provider, browser: logintest.NewBrowser()}
				g.auth = g.newAuth(func(c *core.Config) {
					c.Providers = []core.Provider{{Issuer: local, ClientID: "app"}}
					c.HTTPClient = &http.Client{Timeout: 300 * time.Millisecond}
				})
				g.browser.Serve(origin, g.app(g.auth))
				page := g.get(origin + "/me")
				if page.Status != http.StatusBadGateway && page.Status != http.StatusServiceUnavailable {
					t.Errorf("got %d: %s", page.Status, page.Body)
				}
				if !strings.Contains(string(page.Body), "Try again") || setsSession(page.Header) {
					t.Errorf("no way on: %s", page.Body)
				}
			})
		}
	}
}

// CHECKLIST 79: an issuer with a path and a final slash.
func TestIssuersWithPathAndSlash(t *testing.T) {
	t.Parallel()
	for _, issuer := range []string{"https://id.example.test/", "https://id.example.test/realms/a", "https://id.example.test/realms/a/"} {
		provider := logintest.NewProvider(issuer, logintest.Client{ID: "app", RedirectURIs: []string{callbackURL}})
		g := &rig{t: t, provider: provider, browser: logintest.NewBrowser()}
		g.browser.Serve("https://id.example.test", provider)
		g.auth = g.newAuth(func(c *core.Config) { c.Providers = []core.Provider{{Issuer: issuer, ClientID: "app"}} })
		g.browser.Serve(origin, g.app(g.auth))
		g.login()
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
