package core_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// Each way to log in, with an API call and a refresh. Every request has a proof where one
// is due, and the keys are the same at all of them.
func TestLoginsWithDPoP(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		register func(*logintest.Client)
		change   func(*core.Config)
	}{
		"confidential":      {func(*logintest.Client) {}, func(*core.Config) {}},
		"public":            {func(c *logintest.Client) { c.Secret = "" }, func(c *core.Config) { c.Providers[0].ClientSecret = "" }},
		"nonces":            {func(c *logintest.Client) { c.DPoPNonces = true }, func(*core.Config) {}},
		"UserInfo":          {func(c *logintest.Client) { c.DPoPNonces = true }, func(c *core.Config) { c.Providers[0].Requests.UserInfo = true }},
		"pushed":            {func(c *logintest.Client) { c.DPoPNonces, c.RequirePAR = true, true }, func(*core.Config) {}},
		"no OpenID Connect": {func(c *logintest.Client) { c.DPoPNonces = true }, plainOAuth2},
		"a Store":           {func(*logintest.Client) {}, func(c *core.Config) { c.Sessions.Store = newMemoryStore() }},
		"by a key": {func(c *logintest.Client) { byKey(t)(c); c.DPoPNonces = true }, func(c *core.Config) {
			signedBy(clientKey)(c)
		}},
	} {
		t.Run("rules 135, 140: "+name, func(t *testing.T) {
			t.Parallel()
			store := newMemoryStore()
			change := func(c *core.Config) {
				if test.change(c); c.Sessions.Store != nil {
					c.Sessions.Store = store
				}
			}
			g := newDPoPRig(t, test.register, change)
			g.fine()
			g.restart(change) // another replica, without a nonce
			g.advance(time.Hour)
			if got := g.accounts(); got != accounts {
				t.Fatalf("after the refresh: %s", got)
			}
			refreshes, keys := 0, make(map[string]bool)
			for _, r := range g.provider.Requests() {
				switch r.Endpoint {
				case logintest.Token, logintest.PAR, logintest.UserInfo:
					keys[proofKey(t, r.Header)] = true
				default:
					if r.Header.Get("DPoP") != "" {
						t.Errorf("a proof for %s", r.Endpoint)
					}
				}
				if r.Endpoint == logintest.Authorization && r.Query.Get("request_uri") == "" && len(r.Query.Get("dpop_jkt")) != 43 {
					t.Errorf("the code is bound to no key: %v", r.Query)
				}
				if r.Form.Get("grant_type") == "refresh_token" {
					refreshes++
				}
			}
			for _, r := range g.api.got {
				keys[proofKey(t, r.Header)] = true
			}
			if len(keys) != 1 || g.provider.Refreshes() != 1 || refreshes > 2 {
				t.Errorf("%d keys, %d refreshes in %d requests", len(keys), g.provider.Refreshes(), refreshes)
			}
			g.toldNothing()
		})
	}
}

// toldNothing checks that the log has neither a proof nor a nonce nor a line.
func (g *dpopRig) toldNothing() {
	g.t.Helper()
	if log := g.log.String(); log != "" {
		g.t.Errorf("logged %s", log)
	}
}

// A nonce costs a second request once, and none while it lasts, at the provider and at the
// API.
func TestNoncesAreUsedAgain(t *testing.T) {
	t.Parallel()
	g := newDPoPRig(t, func(c *logintest.Client) { c.DPoPNonces = true })
	g.fine()
	if n, m := g.provider.Count(logintest.Token), g.api.count(); n != 2 || m != 2 {
		t.Fatalf("first: %d token requests, %d API requests", n, m)
	}
	for i := 1; i <= 3; i++ {
		g.browser = anotherBrowser(g)
		g.advance(50 * time.Second) // each answer has the next nonce
		g.fine()
		if n, m := g.provider.Count(logintest.Token), g.api.count(); n != 2+i || m != 2+i {
			t.Errorf("login %d: %d token requests, %d API requests", i, n, m)
		}
	}
	g.advance(5 * time.Minute) // the nonces are over
	g.browser = anotherBrowser(g)
	g.fine()
	if n, m := g.provider.Count(logintest.Token), g.api.count(); n != 7 || m != 7 {
		t.Errorf("at last: %d token requests, %d API requests", n, m)
	}
	for _, r := range g.provider.Requests() {
		if r.Endpoint == logintest.Token && strings.Contains(g.log.String(), r.Header.Get("DPoP")) {
			t.Error("the log has a proof")
		}
	}
	g.toldNothing()
}

func anotherBrowser(g *dpopRig) *logintest.Browser {
	g.browser = logintest.NewBrowser()
	g.browser.Serve(issuer, g.provider)
	g.serve(g.auth)
	return g.browser
}

// A token that is not bound, and metadata that does not offer to bind one, start nothing.
func TestLoginsWithDPoPThatFail(t *testing.T) {
	t.Parallel()
	kind := func(kind any) logintest.Faults {
		return logintest.Faults{Token: func(m map[string]any) { m["token_type"] = kind }}
	}
	algs := func(algs any) logintest.Faults {
		return logintest.Faults{Discovery: func(m map[string]any) { m["dpop_signing_alg_values_supported"] = algs }}
	}
	refuses := func(code string, header ...string) logintest.Faults {
		return logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
			if e != logintest.Token {
				return false
			}
			if len(header) > 0 {
				w.Header().Set("DPoP-Nonce", fmt.Sprint(header[0], time.Now().UnixNano()))
			}
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"error":%q,"error_description":%q}`, code, "about the nonce "+w.Header().Get("DPoP-Nonce"))
			return true
		}}
	}
	for name, test := range map[string]struct {
		faults logintest.Faults
		bearer bool // DPoP is not configured
		code   string
		asked  int // token requests
	}{
		"rule 139: token_type Bearer":                 {kind("Bearer"), false, "token_response_untrusted", 1},
		"rule 139: no token_type":                     {kind(nil), false, "token_response_untrusted", 1},
		"rule 139: token_type DPoP, not asked for":    {kind("DPoP"), true, "token_response_untrusted", 1},
		"rule 141: by other algorithms":               {algs([]string{"PS256", "EdDSA"}), false, "provider_metadata_invalid", 0},
		"rule 141: DPoP is not offered":               {algs(nil), false, "provider_metadata_invalid", 0},
		"rule 136: nonces without end":                {refuses("use_dpop_nonce", "nonce-"), false, "token_request_refused", 2},
		"rule 136: a nonce is wanted, and none there": {refuses("use_dpop_nonce"), false, "token_request_refused", 1},
		"rule 136: the proof is refused":              {refuses("invalid_dpop_proof"), false, "token_request_refused", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newDPoPRig(t, func(c *logintest.Client) { c.DPoP = !test.bearer }, func(c *core.Config) { c.Providers[0].Client.DPoP = !test.bearer })
			g.provider.Misbehave(test.faults)
			page := g.get(origin + "/me")
			if page.Status < 400 || g.logins.Load() != 0 || setsSession(page.Header) || g.whoAmI() != "" {
				t.Errorf("got %d, %d logins: %v", page.Status, g.logins.Load(), page.Header)
			}
			if log := g.log.String(); !strings.Contains(log, `"code":"`+test.code) || strings.Contains(log, "nonce-") {
				t.Errorf("logged %s", log)
			}
			if n := g.provider.Count(logintest.Token); n != test.asked || g.provider.Count(logintest.UserInfo) != 0 {
				t.Errorf("%d token requests", n)
			}
			if test.asked == 0 && (!strings.Contains(g.log.String(), "dpop_signing_alg_values_supported") || g.provider.Count(logintest.Authorization) != 0) {
				t.Errorf("sent the browser away, or logged %s", g.log.String())
			}
		})
	}
}

// A refresh that answers with a bearer token is refused, and the session goes on.
func TestARefreshWithABearerToken(t *testing.T) {
	t.Parallel()
	g := newDPoPRig(t, func(*logintest.Client) {})
	g.fine()
	g.provider.Misbehave(logintest.Faults{Refresh: func(m map[string]any) { m["token_type"] = "Bearer" }})
	g.advance(time.Hour)
	if got := g.accounts(); !strings.Contains(got, "pixy:") || g.whoAmI() == "" || !strings.Contains(g.log.String(), "token_response_untrusted") {
		t.Errorf("got %s, logged %s", got, g.log.String())
	}
}

var newKey = []byte("another-key-another-key-another!")

// rotated is a Config after a change of SessionKey.
func rotated(c *core.Config) {
	c.SessionKey, c.Sessions.OldKeys = newKey, [][]byte{sessionKey}
}

// SessionKey is replaced while a user is at the provider, and while there are sessions.
func TestDPoPWhileSessionKeysChange(t *testing.T) {
	t.Parallel()
	for name, secret := range map[string]string{"confidential": "canary-client-secret", "public": ""} {
		t.Run("rule 140: "+name, func(t *testing.T) {
			t.Parallel()
			key := func(c *core.Config) { c.Providers[0].ClientSecret = secret }
			g := newDPoPRig(t, func(c *logintest.Client) { c.Secret = secret }, key)
			callback := g.toCallback()
			g.restart(key, rotated)
			if page := g.get(callback.String()); page.Status != http.StatusOK || g.whoAmI() == "" {
				t.Fatalf("got %d %s: %s", page.Status, page.Body, g.log.String())
			}
			if got := g.accounts(); got != accounts {
				t.Errorf("got %s", got)
			}
			g.advance(time.Hour) // the refresh token of a public client works with the former key only
			if got := g.accounts(); got != accounts || g.provider.Refreshes() != 1 {
				t.Errorf("after the refresh: got %s", got)
			}
			g.toldNothing()
			first := proofKey(t, g.api.got[0].Header)
			g.browser = anotherBrowser(g)
			g.fine()
			if last := proofKey(t, g.api.got[g.api.count()-1].Header); last == first {
				t.Error("a new login has the former key")
			}
		})
	}
}

// A key that is gone makes the access token useless, and the next refresh replaces it. A
// public client's refresh token was bound to it.
func TestDPoPKeysThatAreGone(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, secret, query string
		after               time.Duration
		want                string
	}{
		{"before the refresh", "canary-client-secret", "", 0, "Sessions.OldKeys"},
		{"the guard's refresh", "canary-client-secret", "", time.Hour, accounts},
		{"a refresh on demand", "canary-client-secret", "?refresh", 0, accounts},
		{"a public client's refresh", "", "?refresh", 0, "login_required"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			key := func(c *core.Config) { c.Providers[0].ClientSecret = test.secret }
			g := newDPoPRig(t, func(c *logintest.Client) { c.Secret = test.secret }, key)
			g.fine()
			g.restart(key, rotated)
			g.advance(time.Hour)
			if got := g.accounts(); got != accounts { // seals the session and its tokens by the new key
				t.Fatal(got)
			}
			calls := g.api.count()
			g.restart(key, func(c *core.Config) { c.SessionKey = newKey })
			g.advance(test.after)
			if test.after == 0 {
				g.advance(10 * time.Second) // not new any more
			}
			if got := g.accounts(test.query); !strings.Contains(got, test.want) {
				t.Errorf("got %s, want %s", got, test.want)
			}
			if test.want != accounts && g.api.count() != calls {
				t.Error("the API was asked")
			}
		})
	}
}

// TokenSource and Client work in OnLogin and FetchUser, with and without Tokens.Keep.
func TestDPoPInOnLogin(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*core.Config){
		"kept":              func(*core.Config) {},
		"not kept":          func(c *core.Config) { c.Tokens.Keep = false },
		"no OpenID Connect": plainOAuth2,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			look := func(ctx context.Context) {
				token, err := core.TokenSource(ctx).Token()
				if err != nil {
					got = append(got, err.Error())
					return
				}
				got = append(got, token.Type(), asked(core.Client(ctx, "api.example.test")))
			}
			g := newDPoPRig(t, func(c *logintest.Client) { c.DPoPNonces = true }, change, func(c *core.Config) {
				c.OnLogin = func(ctx context.Context, login *core.Login) error {
					look(ctx)
					got = append(got, login.Grant.Token.TokenType)
					return nil
				}
				if fetch := c.Providers[0].FetchUser; fetch != nil {
					c.Providers[0].FetchUser = func(ctx context.Context, client *http.Client) (map[string]any, error) {
						look(ctx)
						return fetch(ctx, client)
					}
				}
			})
			g.login()
			want := []string{"DPoP", accounts, "DPoP"}
			if name == "no OpenID Connect" {
				want = append([]string{"DPoP", accounts}, want...)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// Only named hosts get a proof, and each hop of a redirect gets its own.
func TestDPoPAndRedirects(t *testing.T) {
	t.Parallel()
	g := newDPoPRig(t, func(c *logintest.Client) { c.DPoPNonces = true })
	g.login()
	ctx := g.authenticated()
	for _, test := range []struct {
		to    string
		hosts []string
		want  string
		asks  int
	}{
		{"/elsewhere", []string{"api.example.test"}, "200 PUT /elsewhere order 7", 3},
		{"https://other.example.test/x", []string{"api.example.test", "other.example.test"}, "200 PUT /x order 7", 2}, // one handler, so one nonce
		{"https://other.example.test/x", []string{"api.example.test"}, "was not followed", 1},
		{"http://api.example.test/x", []string{"api.example.test"}, "was not followed", 1},
		{"/x", []string{"other.example.test"}, "is not sent to", 0},
		{"/x", nil, "is not sent to", 0},
	} {
		g.api.got = nil
		r, err := http.NewRequestWithContext(ctx, "PUT", apiOrigin+"/orders?to="+test.to, strings.NewReader("order 7"))
		if err != nil {
			t.Fatal(err)
		}
		got := done(core.Client(ctx, test.hosts...), r)
		if !strings.Contains(got, test.want) {
			t.Errorf("%s to %q: got %s", test.to, test.hosts, got)
		}
		if strings.Contains(test.want, "200") && g.api.count() < test.asks || !strings.Contains(test.want, "200") && g.api.count() > test.asks+1 {
			t.Errorf("%s: %d requests", test.to, g.api.count())
		}
		if r.Header.Get("DPoP") != "" || r.Header.Get("Authorization") != "" {
			t.Error("the caller's request was changed")
		}
		for _, r := range g.api.got {
			proofKey(t, r.Header)
		}
	}
}

func done(client *http.Client, r *http.Request) string {
	response, err := client.Do(r)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body := new(strings.Builder)
	response.Write(body)
	_, after, _ := strings.Cut(body.String(), "\r\n\r\n")
	return fmt.Sprintf("%d %s", response.StatusCode, after)
}

// authenticated returns the context of a request that has passed the guard.
func (g *dpopRig) authenticated() context.Context {
	g.t.Helper()
	r := httptest.NewRequest("GET", origin+"/me", nil)
	for _, c := range g.browser.Cookies(origin + "/me") {
		r.AddCookie(c)
	}
	authenticated, err := g.auth.Authenticate(httptest.NewRecorder(), r)
	if err != nil {
		g.t.Fatal(err)
	}
	return authenticated.Context()
}

// The token of TokenSource says that a bearer header does not do, and only Client has
// what does.
func TestTokensOfTheTypeDPoP(t *testing.T) {
	t.Parallel()
	g := newDPoPRig(t, func(*logintest.Client) {})
	g.login()
	token, err := core.TokenSource(g.authenticated()).Token()
	if err != nil || token.TokenType != "DPoP" || token.Type() != "DPoP" {
		t.Fatalf("got %v, %v", token, err)
	}
	lost := core.ContextWithToken(t.Context(), token)
	if got := asked(core.Client(lost, "api.example.test")); !strings.Contains(got, "GrantClient") || g.api.count() != 0 {
		t.Errorf("got %s", got)
	}
	if _, err := core.Client(lost, "api.example.test").Get(apiOrigin); !errors.Is(err, core.ErrNoToken) {
		t.Errorf("got %v", err)
	}
}

// Jobs call APIs with a grant that was stored as JSON, in any process of the application.
func TestGrantsWithDPoP(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, secret string
		change       func(*core.Config) // of the job's process
		after        time.Duration
		refreshes    int
		want         string
	}{
		{"fresh", "canary-client-secret", useDPoP, 0, 0, accounts},
		{"due", "canary-client-secret", useDPoP, time.Hour, 1, accounts},
		{"due, public", "", useDPoP, time.Hour, 1, accounts},
		{"with a former key", "canary-client-secret", rotated, 0, 0, accounts},
		{"with a former key, due", "canary-client-secret", rotated, time.Hour, 1, accounts},
		{"with a former key, due, public", "", rotated, time.Hour, 1, accounts},
		{"the key is gone", "canary-client-secret", func(c *core.Config) { c.SessionKey = newKey }, 0, 1, accounts},
		{"the key is gone, public", "", func(c *core.Config) { c.SessionKey = newKey }, 0, 0, "refresh"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var saved []byte
			save := func(_ context.Context, grant core.Grant) (err error) {
				saved, err = json.Marshal(grant)
				return err
			}
			base := func(c *core.Config) { c.Tokens.Keep, c.Providers[0].ClientSecret = false, test.secret }
			g := newDPoPRig(t, func(c *logintest.Client) { c.Secret, c.DPoPNonces = test.secret, true }, base, func(c *core.Config) {
				c.OnLogin = func(ctx context.Context, login *core.Login) error { return save(ctx, login.Grant) }
			})
			g.login()
			g.advance(test.after)
			job := g.newAuth(keepTokens, useDPoP, g.reaches, base, test.change)
			var grant core.Grant
			if err := json.Unmarshal(saved, &grant); err != nil || grant.Token.TokenType != "DPoP" || len(grant.KeyThumbprint) != 43 {
				t.Fatalf("%s: %v", saved, err)
			}
			for range 2 {
				if got := asked(job.GrantClient(t.Context(), grant, save, "api.example.test")); !strings.Contains(got, test.want) {
					t.Errorf("got %s", got)
				}
				json.Unmarshal(saved, &grant)
			}
			if got := g.provider.Refreshes(); got != test.refreshes {
				t.Errorf("%d refreshes", got)
			}
			if test.want == accounts {
				again, err := job.RefreshGrant(t.Context(), grant)
				if err != nil || again.Token.TokenType != "DPoP" || again.KeyThumbprint != grant.KeyThumbprint {
					t.Errorf("got %v, %v", again, err)
				}
				calls := g.api.count()
				if got := asked(job.GrantClient(t.Context(), again, save, "other.example.test")); !strings.Contains(got, "is not sent to") || g.api.count() != calls {
					t.Errorf("another host: got %s", got)
				}
			}
		})
	}
}

// A job may have a grant of a provider that is not configured any more, and whose key is
// therefore unknown. That is an error of the grant, and sends nothing.
func TestGrantsWithDPoPOfAFormerProvider(t *testing.T) {
	t.Parallel()
	g := newDPoPRig(t, func(*logintest.Client) {})
	grant := core.Grant{Provider: "former", Issuer: issuer, Subject: "ada", KeyThumbprint: strings.Repeat("A", 43),
		Token: oauth2.Token{AccessToken: "x", RefreshToken: "y", TokenType: "DPoP"}}
	save := func(context.Context, core.Grant) error { return nil }
	if got := asked(g.auth.GrantClient(t.Context(), grant, save, "api.example.test")); !strings.Contains(got, "is not configured") || g.api.count() != 0 {
		t.Errorf("got %s", got)
	}
}

// A grant of bearer tokens works as well, and as a bearer token.
func TestGrantClientWithBearerTokens(t *testing.T) {
	t.Parallel()
	g := newGrantRig(t)
	api := g.provider.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, strings.Fields(r.Header.Get("Authorization"))[0], r.Header.Get("DPoP"))
	}))
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, logintest.InMemory(map[string]http.Handler{apiOrigin: api}))
	if got := asked(g.auth.GrantClient(ctx, g.expired(), g.save, "api.example.test")); got != "200 Bearer" {
		t.Errorf("got %s", got)
	}
	g.counts(1)
}

// DPoP is switched on while there are sessions, and off again.
func TestDPoPIsSwitchedOnAndOff(t *testing.T) {
	t.Parallel()
	g := newDPoPRig(t, func(c *logintest.Client) { c.DPoP, c.AuthMethod = false, "client_secret_basic" }, func(c *core.Config) { c.Providers[0].Client.DPoP = false })
	g.fine()
	g.restart()
	if got := g.accounts(); got != accounts {
		t.Errorf("the bearer token: %s", got)
	}
	g.advance(time.Hour)
	if got := g.accounts(); got != accounts || g.api.got[g.api.count()-1].Header.Get("DPoP") == "" {
		t.Errorf("after the refresh: %s", got)
	}
	g.restart(func(c *core.Config) { c.Providers[0].Client.DPoP = false })
	if got := g.accounts(); !strings.Contains(got, "DPoP key") {
		t.Errorf("without keys: %s", got)
	}
	g.advance(time.Hour)
	if got := g.accounts(); got != accounts || g.api.got[g.api.count()-1].Header.Get("DPoP") != "" {
		t.Errorf("after the last refresh: %s", got)
	}
}

// Requests of many users at once, on two replicas, while nonces change.
func TestDPoPAtTheSameTime(t *testing.T) {
	t.Parallel()
	g := newDPoPRig(t, func(c *logintest.Client) { c.DPoPNonces = true })
	g.login()
	ctx := g.authenticated()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 5 {
				if got := asked(core.Client(ctx, "api.example.test")); got != accounts {
					t.Error(got)
				}
				g.advance(time.Second)
			}
		})
	}
	all.Wait()
}
