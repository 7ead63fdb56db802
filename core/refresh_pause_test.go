package core_test

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/sessions"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// answering has the token endpoint answer so.
func answering(answer func(w http.ResponseWriter)) logintest.Faults {
	return logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
		if e == logintest.Token {
			answer(w)
		}
		return e == logintest.Token
	}}
}

func status(code int) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) { w.WriteHeader(code) }
}

// Refreshes of all users pause if the provider is down, which takes two failures of
// different tokens. What may be about one token is about that one.
func TestWhoseRefreshesPause(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		answer func(http.ResponseWriter)
		all    bool   // refreshes of all users pause after two
		cause  string // of the pause
	}{
		"502":               {status(502), true, "token endpoint: it answered 502 without an OAuth error"},
		"503":               {status(503), true, "token endpoint: it answered 503 without an OAuth error"},
		"504":               {status(504), true, "token endpoint: it answered 504 without an OAuth error"},
		"a connection lost": {func(http.ResponseWriter) { panic(http.ErrAbortHandler) }, true, "EOF"},
		"429":               {status(429), false, "token endpoint: it answered 429 without an OAuth error"},
		"408":               {status(408), false, "token endpoint: it answered 408 without an OAuth error"},
		"500":               {status(500), false, "token endpoint: it answered 500 without an OAuth error"},
		"501":               {status(501), false, "token endpoint: it answered 501 without an OAuth error"},
		"404":               {status(404), false, "404"},
		"a page":            {func(w http.ResponseWriter) { fmt.Fprint(w, "<html>") }, false, "token endpoint: it answered 200"},
		"too large": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `{"access_token":"`, strings.Repeat("a", 2<<20), `"}`)
		}, false, "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newTokenRig(t)
			users := make([][]*http.Cookie, 4)
			for i := range users {
				g.browser.Serve(origin, g.app)
				other := g.signIn(logintest.User{Subject: fmt.Sprint("user ", i)})
				users[i] = other.browser.Cookies(origin + "/token")
			}
			g.advance(2 * time.Hour)
			g.provider.Misbehave(answering(test.answer))
			refresh := func(i int) (sent int, code string) {
				before := g.provider.Count(logintest.Token)
				w := ask(g.app, users[i])
				if w.Code != http.StatusOK {
					code = codeIn(t, w.Body.Bytes())
				}
				return g.provider.Count(logintest.Token) - before, code
			}
			if sent, _ := refresh(0); sent != 1 {
				t.Fatalf("the first user: %d requests", sent)
			}
			for range 3 { // by the same tokens: nothing new about the provider
				g.log.reset()
				sent, code := refresh(0)
				if sent != 0 || code != "provider_unavailable" {
					t.Errorf("the first user at once: %d requests, %q", sent, code)
				}
				says(t, g.log.String(), "refreshes of these tokens pause until", test.cause)
			}
			if sent, _ := refresh(1); sent != 1 {
				t.Errorf("the second user: %d requests", sent)
			}
			g.log.reset()
			sent, code := refresh(2)
			if asked := sent == 1; asked == test.all {
				t.Errorf("the third user: %d requests", sent)
			}
			if test.all {
				if code != "provider_unavailable" {
					t.Errorf("the third user got %q", code)
				}
				says(t, g.log.String(), "refreshes of all users pause until", test.cause)
			}
			g.provider.Misbehave(logintest.Faults{})
			if sent, code := refresh(3); (sent == 1 && code == "") == test.all {
				t.Errorf("the fourth user, when it is over: %d requests, %q", sent, code)
			}
			g.advance(11 * time.Second)
			for i := range 3 {
				if sent, code := refresh(i); sent != 1 || code != "" {
					t.Errorf("user %d, after the pause: %d requests, %q", i, sent, code)
				}
			}
		})
	}
}

// says demands a line that tells until when refreshes pause, and why, and no more
// than the cause itself.
func says(t *testing.T, log, whose, cause string) {
	t.Helper()
	if !regexp.MustCompile(whose+` \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ, after this failure: [^\n]*`+regexp.QuoteMeta(cause)).MatchString(log) || strings.Contains(log, "failure: pixy:") {
		t.Errorf("does not say %q because of %q: %s", whose, cause, log)
	}
}

// Failures that lie apart, or that a success lies between, are no outage.
func TestFailuresThatAreNoOutage(t *testing.T) {
	t.Parallel()
	for name, between := range map[string]func(g *tokenRig, refresh func(int) bool){
		"a while apart": func(g *tokenRig, _ func(int) bool) { g.advance(11 * time.Second) },
		"a success between": func(g *tokenRig, refresh func(int) bool) {
			g.provider.Misbehave(logintest.Faults{})
			refresh(3)
			g.provider.Misbehave(answering(status(503)))
		},
		"a refusal between": func(g *tokenRig, refresh func(int) bool) {
			g.provider.Misbehave(logintest.Faults{RefreshError: "invalid_grant"})
			refresh(3)
			g.provider.Misbehave(answering(status(503)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newTokenRig(t)
			users := make([][]*http.Cookie, 4)
			for i := range users {
				users[i] = g.signIn(logintest.User{Subject: fmt.Sprint("user ", i)}).browser.Cookies(origin + "/token")
			}
			g.advance(2 * time.Hour)
			refresh := func(i int) bool {
				before := g.provider.Count(logintest.Token)
				ask(g.app, users[i])
				return g.provider.Count(logintest.Token) != before
			}
			g.provider.Misbehave(answering(status(503)))
			first := refresh(0)
			between(g, refresh)
			if second := refresh(1); !first || !second || !refresh(2) {
				t.Error("refreshes of all users pause")
			}
		})
	}
}

// Replicas learn of the failure, and why, and nobody else does.
func TestReplicasPauseTogether(t *testing.T) {
	t.Parallel()
	shared := &sharedRefreshes{outcomes: make(map[string]string), claimed: make(map[string]chan struct{})}
	config := func(c *core.Config) { c.Tokens.Refreshes = shared }
	g := newTokenRig(t, config)
	other := g.tokenApp(g.newAuth(keepTokens, config))
	g.login()
	g.advance(2 * time.Hour)
	g.provider.Misbehave(answering(status(500)))
	cookies := g.browser.Cookies(origin + "/token")
	ask(g.app, cookies)
	sent := g.provider.Count(logintest.Token)
	g.log.reset()
	if w := ask(other, cookies); codeIn(t, w.Body.Bytes()) != "provider_unavailable" || g.provider.Count(logintest.Token) != sent {
		t.Errorf("the other replica: got %s", w.Body)
	}
	says(t, g.log.String(), "refreshes of these tokens pause until", "token endpoint: it answered 500 without an OAuth error")
	for key, outcome := range shared.outcomes {
		if strings.Contains(outcome, "500") || strings.Contains(outcome, "endpoint") {
			t.Errorf("shares %q: %q", key, outcome)
		}
		shared.outcomes[key] = "failed.sealed by nobody"
	}
	g.log.reset()
	if w := ask(other, cookies); codeIn(t, w.Body.Bytes()) != "provider_unavailable" || !strings.Contains(g.log.String(), "after a refresh failed in another replica") {
		t.Errorf("a failure that does not open: got %s, logged as %s", w.Body, g.log.String())
	}
}

// A token response may be 1 MB, and what is kept of one must be small.
func TestTokensThatAreNoTokens(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		member string
		bytes  int
		good   bool
	}{
		"an access token of 64 KB":             {"access_token", 64 << 10, true},
		"an access token of 64 KB and a byte":  {"access_token", 64<<10 + 1, false},
		"a refresh token of 64 KB":             {"refresh_token", 64 << 10, true},
		"a refresh token of 64 KB and a byte":  {"refresh_token", 64<<10 + 1, false},
		"a refresh token of three quarters MB": {"refresh_token", 3 << 18, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			edit := func(r map[string]any) { r[test.member] = strings.Repeat("t", test.bytes); delete(r, "id_token") }
			large := logintest.Faults{Refresh: edit}
			g := newTokenRig(t, func(c *core.Config) { c.Sessions.Store = newMemoryStore() })
			g.login()
			g.advance(2 * time.Hour)
			g.provider.Misbehave(large)
			token := g.token()
			if good := len(token) > 25; good != test.good || !good && token != "token_response_untrusted" {
				t.Errorf("a refresh: got %.40q", token)
			}
			if g.whoAmI() != "I am ada" {
				t.Error("the session has ended")
			}
			g.provider.Misbehave(logintest.Faults{
				Token:   func(r map[string]any) { r[test.member] = strings.Repeat("t", test.bytes) },
				IDToken: func(_, claims map[string]any) { delete(claims, "at_hash") },
			})
			page := g.get(origin + "/auth/login?return_to=/me")
			if good := page.Status == http.StatusOK; good != test.good || !good && (!strings.Contains(string(page.Body), "token_response_untrusted") || setsSession(page.Header)) {
				t.Errorf("a login: got %d: %.300s", page.Status, page.Body)
			}
			if strings.Contains(g.log.String(), "tttttttt") {
				t.Error("the log shows the token")
			}
		})
	}
}

// A Store that fails while something is renewed takes nothing from this request,
// and the log has a line for each thing that it did not keep.
func TestAStoreThatFailsAtARenewalIsLogged(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prepare func(g *tokenRig)
		failing string // of what saving fails
		lines   int
	}{
		"tokens, by the refresh and for the browser":    {func(g *tokenRig) { g.advance(2 * time.Hour) }, "-tokens", 1},
		"the session, after a refresh":                  {func(g *tokenRig) { g.advance(2 * time.Hour) }, "-session", 1},
		"the session, for the idle limit":               {func(g *tokenRig) { g.advance(50 * time.Minute) }, "-session", 1},
		"the session, which is behind its tokens":       {nil, "-session", 1},
		"nothing, which is a refresh as it is any time": {func(g *tokenRig) { g.advance(2 * time.Hour) }, "nothing", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := &failingStore{memoryStore: newMemoryStore()}
			g := newTokenRig(t, func(c *core.Config) { c.Sessions.Store, c.Sessions.Idle = store, 3*time.Hour })
			g.login()
			if test.prepare != nil {
				test.prepare(g)
			} else { // a refresh whose session was not kept
				g.advance(2 * time.Hour)
				store.name = "-session"
				g.token()
			}
			g.log.reset()
			store.name = test.failing
			if token := g.token(); len(token) < 20 {
				t.Errorf("got %q", token)
			}
			if got := strings.Count(g.log.String(), `"code":"store_unavailable"`); got < test.lines || got > 2*test.lines || strings.Count(g.log.String(), "\n") != got {
				t.Errorf("%d lines, want %d: %s", got, test.lines, g.log.String())
			}
		})
	}
}

// A failingStore cannot save what is called so.
type failingStore struct {
	*memoryStore
	name string
}

func (s *failingStore) Save(r *http.Request, w http.ResponseWriter, session *sessions.Session) error {
	if s.name != "" && strings.HasSuffix(session.Name(), s.name) {
		return errors.New("READONLY You can't write against a read only replica")
	}
	return s.memoryStore.Save(r, w, session)
}
