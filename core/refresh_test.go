package core_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

func keepTokens(c *core.Config) {
	c.KeepTokens = true
	c.Providers[0].Scopes = []string{"openid", "profile", "offline_access"}
}

// A tokenRig is an application whose /token shows a user's access token.
type tokenRig struct {
	*rig
	app http.Handler
	ran atomic.Int32 // the handler of /token
}

func newTokenRig(t testing.TB, change ...func(*core.Config)) *tokenRig {
	t.Helper()
	g := &tokenRig{rig: newRig(t, append([]func(*core.Config){keepTokens}, change...)...)}
	g.app = g.tokenApp(g.auth)
	g.browser.Serve(origin, g.app)
	return g
}

// tokenApp is one process of the application.
func (g *tokenRig) tokenApp(auth *core.Authenticator) http.Handler {
	app := g.rig.app(auth)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/token" {
			app.ServeHTTP(w, r)
			return
		}
		authenticated, err := auth.Authenticate(w, r)
		if err == nil {
			g.ran.Add(1)
			var token string
			if token, err = tokenOf(authenticated.Context()); err == nil {
				fmt.Fprint(w, token)
				return
			}
		}
		auth.ServeError(w, r, err)
	})
}

func tokenOf(ctx context.Context) (string, error) {
	token, err := core.TokenSource(ctx).Token()
	if err != nil {
		return "", err
	}
	return token.AccessToken, nil
}

// token is what /token shows: an access token, or the code of a failure.
func (g *tokenRig) token() string {
	g.t.Helper()
	page := g.fetch("GET", origin+"/token")
	if page.Status == http.StatusOK {
		return string(page.Body)
	}
	return codeIn(g.t, page.Body)
}

// ask makes a request to app with the cookies that the browser has had.
func ask(app http.Handler, cookies []*http.Cookie) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", origin+"/token", nil)
	r.Header.Set("Accept", "application/json")
	for _, c := range cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	app.ServeHTTP(w, r)
	return w
}

func TestTokensAreRefreshedWhenItIsTime(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		t.Run("rule 90: the new refresh token replaces the old one", func(t *testing.T) {
			g := newTokenRig(t, vault)
			g.login()
			seen := map[string]bool{}
			for i := range 4 { // the provider takes each refresh token once
				token := g.token()
				if again := g.token(); again != token || seen[token] || len(token) < 20 {
					t.Fatalf("round %d: got %q, then %q", i, token, again)
				}
				seen[token] = true
				g.advance(time.Hour - 30*time.Second)
			}
			if g.provider.Refreshes() != 3 || g.provider.Reused() != 0 {
				t.Errorf("%d refreshes, %d tokens used again", g.provider.Refreshes(), g.provider.Reused())
			}
		})
		t.Run("not before", func(t *testing.T) {
			g := newTokenRig(t, vault)
			g.login()
			g.advance(time.Hour - 2*time.Minute)
			if g.token(); g.provider.Refreshes() != 0 {
				t.Error("refreshed")
			}
		})
		t.Run("a provider that does not rotate", func(t *testing.T) {
			g := newTokenRig(t, vault)
			g.provider.Misbehave(logintest.Faults{NoRotation: true})
			g.login()
			tokens := map[string]bool{}
			for range 3 {
				tokens[g.token()] = true
				g.advance(time.Hour)
			}
			if len(tokens) != 3 || g.provider.Refreshes() != 2 {
				t.Errorf("%d tokens after %d refreshes", len(tokens), g.provider.Refreshes())
			}
		})
		t.Run("tokens of a minute", func(t *testing.T) {
			g := newTokenRig(t, vault)
			g.provider.AccessTokenLifetime = time.Minute
			g.login()
			g.token()
			g.advance(40 * time.Second)
			if g.token(); g.provider.Refreshes() != 0 {
				t.Error("refreshed before three quarters of its life")
			}
			g.advance(6 * time.Second)
			if g.token(); g.provider.Refreshes() != 1 {
				t.Error("not refreshed")
			}
		})
		t.Run("rule 91: no scope is asked for", func(t *testing.T) {
			g := newTokenRig(t, vault)
			g.login()
			g.advance(time.Hour)
			g.token()
			for _, r := range g.provider.Requests() {
				if r.Form.Get("grant_type") == "refresh_token" && r.Form.Has("scope") {
					t.Errorf("got %q", r.Form.Get("scope"))
				}
			}
			if g.provider.Refreshes() != 1 {
				t.Error("not refreshed")
			}
		})
	})
}

// What the provider may not change while a login goes on.
func TestRefreshedIDTokens(t *testing.T) {
	t.Parallel()
	set := func(name string, value any) func(header, claims map[string]any) {
		return func(_, claims map[string]any) { claims[name] = value }
	}
	for name, test := range map[string]struct {
		change func(header, claims map[string]any)
		good   bool
	}{
		"rule 89: as it was":            {func(_, claims map[string]any) {}, true},
		"rule 89: no auth_time":         {func(_, claims map[string]any) { delete(claims, "auth_time") }, true},
		"rule 89: another iss":          {set("iss", "https://other.example.test"), false},
		"rule 89: another sub":          {set("sub", "eve"), false},
		"rule 89: another aud":          {set("aud", "other"), false},
		"rule 89: another azp":          {set("azp", "other"), false},
		"rule 89: another nonce":        {set("nonce", "another"), false},
		"rule 89: a nonce of no text":   {set("nonce", 7), false},
		"rule 89: another auth_time":    {set("auth_time", 1_000_000_000), false},
		"rule 89: auth_time of no date": {set("auth_time", "now"), false},
		"rule 89: expired":              {set("exp", 1_000_000_000), false},
		"rule 89: of no signature":      {func(header, _ map[string]any) { header["alg"] = "none" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newTokenRig(t)
			g.provider.Misbehave(logintest.Faults{RefreshedIDToken: test.change})
			g.login()
			g.advance(time.Hour)
			token := g.token()
			if g.provider.Refreshes() != 1 {
				t.Fatal("not refreshed")
			}
			if test.good && len(token) < 20 {
				t.Errorf("got %q", token)
			}
			if !test.good {
				g.isOver(token, "id_token_untrusted")
			}
		})
	}
	t.Run("rule 89: the nonce of the login", func(t *testing.T) {
		t.Parallel()
		g := newTokenRig(t)
		var nonce any
		g.provider.Misbehave(logintest.Faults{
			IDToken:          func(_, claims map[string]any) { nonce = orElse(claims["nonce"], nonce) },
			RefreshedIDToken: func(_, claims map[string]any) { claims["nonce"] = nonce },
		})
		g.login()
		g.advance(time.Hour)
		if token := g.token(); len(token) < 20 {
			t.Errorf("got %q", token)
		}
	})
}

func orElse(value, otherwise any) any {
	if value != nil {
		return value
	}
	return otherwise
}

// isOver holds that a session has ended, and that the log says why, once.
func (g *tokenRig) isOver(code, why string) {
	g.t.Helper()
	if code != "login_required" || g.ran.Load() != 0 {
		g.t.Errorf("got %q, and the handler ran %d times", code, g.ran.Load())
	}
	if strings.Count(g.log.String(), `"code":"`+why) != 1 {
		g.t.Errorf("the log does not say %q once: %s", why, g.log.String())
	}
	if left := g.cookiesNamed("__Host-pixy"); len(left) != 0 {
		g.t.Errorf("%v are left", left)
	}
	if who := g.whoAmI(); who != "" {
		g.t.Errorf("got %q", who)
	}
}

func TestARefusedRefreshEndsTheSession(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		for name, refuse := range map[string]func(*tokenRig){
			"rule 93: invalid_grant":                  func(g *tokenRig) { g.provider.Misbehave(logintest.Faults{RefreshError: "invalid_grant"}) },
			"rule 115: the refresh token has expired": func(g *tokenRig) { g.advance(20 * time.Hour) },
			"in GitHub's words":                       func(g *tokenRig) { g.provider.Misbehave(logintest.Faults{RefreshError: "bad_refresh_token"}) },
		} {
			t.Run(name, func(t *testing.T) {
				g := newTokenRig(t, vault, func(c *core.Config) { c.SessionLifetime = 48 * time.Hour })
				g.login()
				g.advance(5 * time.Hour)
				refuse(g)
				copied := g.browser.Cookies(origin + "/token")
				g.isOver(g.token(), "refresh_refused")
				sent := g.provider.Count(logintest.Token)
				// Who comes late is told so, and the provider is not asked again.
				if late := ask(g.app, copied); late.Code != http.StatusUnauthorized || g.provider.Count(logintest.Token) != sent {
					t.Errorf("late: got %d, and %d more requests", late.Code, g.provider.Count(logintest.Token)-sent)
				}
				g.provider.Misbehave(logintest.Faults{})
				g.login()
				if token := g.token(); len(token) < 20 {
					t.Errorf("after a new login: got %q", token)
				}
			})
		}
	})
}

// An outage is the provider's, and no reason to lose anybody.
func TestAnOutageKeepsTheSession(t *testing.T) {
	t.Parallel()
	answer := func(status int, body string) logintest.Faults {
		return logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
			if e != logintest.Token {
				return false
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprint(w, body)
			return true
		}}
	}
	for name, outage := range map[string]logintest.Faults{
		"503":               answer(503, ""),
		"a page":            answer(200, "<html>"),
		"invalid_client":    answer(401, `{"error":"invalid_client"}`),
		"no bearer token":   answer(200, `{"access_token":"x","token_type":"mac"}`),
		"an error page":     answer(404, ""),
		"too many requests": answer(429, ""),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everyVault(t, func(t *testing.T, vault func(*core.Config)) {
				g := newTokenRig(t, vault)
				g.login()
				first := g.token()
				g.provider.Misbehave(outage)
				g.advance(time.Hour - 30*time.Second)
				if token := g.token(); token != first {
					t.Errorf("while it is good: got %q, want the old one", token)
				}
				sent := g.provider.Count(logintest.Token)
				if g.token(); g.provider.Count(logintest.Token) != sent {
					t.Error("the provider is asked again at once")
				}
				g.advance(time.Minute)
				if got := g.token(); got != "provider_unavailable" && got != "token_response_untrusted" && got != "client_refused" {
					t.Errorf("when it has expired: got %q", got)
				}
				if g.whoAmI() != "I am ada" {
					t.Error("the session has ended")
				}
				g.provider.Misbehave(logintest.Faults{})
				g.advance(time.Minute)
				if token := g.token(); len(token) < 20 || token == first {
					t.Errorf("when it is over: got %q", token)
				}
			})
		})
	}
}

// However many requests come with a token that has expired, one of them
// refreshes it. The provider takes one that comes twice for stolen.
func TestRequestsThatComeTogetherRefreshOnce(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		for name, processes := range map[string]int{
			"rule 92: one process":     1,
			"rule 92: three processes": 3,
		} {
			t.Run(name, func(t *testing.T) {
				shared := &sharedRefreshes{outcomes: make(map[string]string), claimed: make(map[string]chan struct{})}
				config := func(c *core.Config) {
					if processes > 1 {
						c.Refreshes = shared
					}
				}
				g := newTokenRig(t, vault, config)
				apps := []http.Handler{g.app}
				for range processes - 1 {
					apps = append(apps, g.tokenApp(g.newAuth(keepTokens, vault, config)))
				}
				g.login()
				g.advance(2 * time.Hour)
				cookies := g.browser.Cookies(origin + "/token")
				const requests = 200
				tokens := make([]string, requests)
				var all sync.WaitGroup
				for i := range requests {
					all.Go(func() {
						if w := ask(apps[i%processes], cookies); w.Code == http.StatusOK {
							tokens[i] = w.Body.String()
						}
					})
				}
				all.Wait()
				for i, token := range tokens {
					if token == "" || token != tokens[0] {
						t.Fatalf("request %d: got %q, want %q", i, token, tokens[0])
					}
				}
				// The last answer to arrive is what the browser keeps.
				late := ask(apps[len(apps)-1], cookies)
				if got := late.Body.String(); got != tokens[0] {
					t.Errorf("late: got %q", got)
				}
				if g.provider.Refreshes() != 1 || g.provider.Reused() != 0 {
					t.Errorf("%d refreshes, %d tokens used again", g.provider.Refreshes(), g.provider.Reused())
				}
				// It goes on from what any of them got.
				g.advance(2 * time.Hour)
				for _, c := range late.Result().Cookies() {
					g.browser.SetCookie(origin, c)
				}
				if token := g.token(); len(token) < 20 || token == tokens[0] || g.provider.Reused() != 0 {
					t.Errorf("the next refresh: got %q", token)
				}
			})
		}
	})
}

// sharedRefreshes are those of several processes, as Redis has them.
type sharedRefreshes struct {
	mu       sync.Mutex
	outcomes map[string]string
	claimed  map[string]chan struct{}
	broken   error
}

func (s *sharedRefreshes) Begin(ctx context.Context, key string, _ time.Duration) (string, error) {
	for {
		s.mu.Lock()
		outcome, ended, broken := s.outcomes[key], s.claimed[key], s.broken
		if outcome == "" && ended == nil {
			s.claimed[key] = make(chan struct{})
		}
		s.mu.Unlock()
		if outcome != "" || ended == nil || broken != nil {
			return outcome, broken
		}
		select {
		case <-ended:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

func (s *sharedRefreshes) Finish(_ context.Context, key, outcome string, _ time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.outcomes[key] = outcome
	close(s.claimed[key])
	delete(s.claimed, key)
	return s.broken
}

// What replicas share is sealed, and its being down is an outage.
func TestSharedRefreshes(t *testing.T) {
	t.Parallel()
	shared := &sharedRefreshes{outcomes: make(map[string]string), claimed: make(map[string]chan struct{})}
	g := newTokenRig(t, func(c *core.Config) { c.Refreshes = shared })
	g.login()
	g.advance(2 * time.Hour)
	token := g.token()
	for key, outcome := range maps.Clone(shared.outcomes) {
		if len(key) != 43 || len(outcome) < 100 || strings.Contains(outcome, token) {
			t.Errorf("shares %q: %q", key, outcome)
		}
	}
	shared.mu.Lock()
	shared.broken = errors.New("connection refused")
	shared.mu.Unlock()
	g.advance(time.Hour - 30*time.Second)
	if got := g.token(); got != token {
		t.Errorf("down, and the token is good: got %q", got)
	}
	g.advance(time.Minute)
	if got := g.token(); got != "refreshes_unavailable" || g.whoAmI() != "I am ada" {
		t.Errorf("down, and the token has expired: got %q", got)
	}
	if g.provider.Refreshes() != 1 {
		t.Error("refreshed without a claim")
	}
}

// Somebody who leaves while the provider is thinking takes nothing along: who
// comes next has what it said.
func TestARefreshOutlivesItsRequest(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		g := newTokenRig(t, vault)
		g.login()
		first := g.token()
		asked, goOn := make(chan struct{}), make(chan struct{})
		g.provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, _ http.ResponseWriter, _ *http.Request) bool {
			if e == logintest.Token {
				close(asked)
				<-goOn
			}
			return false
		}})
		g.advance(2 * time.Hour)
		cookies := g.browser.Cookies(origin + "/token")
		ctx, leave := context.WithCancel(t.Context())
		left := make(chan struct{})
		go func() {
			defer close(left)
			r := httptest.NewRequest("GET", origin+"/token", nil).WithContext(ctx)
			for _, c := range cookies {
				r.AddCookie(c)
			}
			g.app.ServeHTTP(httptest.NewRecorder(), r)
		}()
		<-asked
		leave()
		<-left
		close(goOn)
		if token := g.token(); len(token) < 20 || token == first {
			t.Errorf("got %q", token)
		}
		if g.provider.Refreshes() != 1 || g.provider.Reused() != 0 {
			t.Errorf("%d refreshes, %d tokens used again", g.provider.Refreshes(), g.provider.Reused())
		}
	})
}

// A provider that gives no refresh token, or does not say how long its tokens
// live.
func TestTokensThatCannotBeRefreshed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		response func(map[string]any)
		later    string // after two hours: an error's code, or empty for the token
	}{
		"no refresh token": {func(r map[string]any) { delete(r, "refresh_token") }, "token_missing"},
		"no expires_in":    {func(r map[string]any) { delete(r, "expires_in") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newTokenRig(t)
			g.provider.Misbehave(logintest.Faults{Token: test.response})
			g.login()
			first := g.token()
			g.advance(2 * time.Hour)
			want := test.later
			if want == "" {
				want = first
			}
			if got := g.token(); got != want || g.provider.Refreshes() != 0 || g.whoAmI() != "I am ada" {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// codeIn is the code of a problem document.
func codeIn(t testing.TB, body []byte) string {
	t.Helper()
	var problem struct{ Code string }
	if err := json.Unmarshal(body, &problem); err != nil || problem.Code == "" {
		t.Fatalf("%q is no problem document", body)
	}
	return problem.Code
}
