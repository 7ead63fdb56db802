package core_test

import (
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

// A demandRig is a tokenRig with a page /refresh, which refreshes as often as calls
// says, and shows the tokens before and after.
type demandRig struct {
	*tokenRig
	calls   int
	between time.Duration // them
}

func newDemandRig(t testing.TB, change ...func(*core.Config)) *demandRig {
	t.Helper()
	g := &demandRig{tokenRig: newTokenRig(t, change...), calls: 1}
	g.app = g.demandApp(g.auth)
	g.browser.Serve(origin, g.app)
	return g
}

func (g *demandRig) demandApp(auth *core.Authenticator) http.Handler {
	app := g.tokenApp(auth)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/refresh" {
			app.ServeHTTP(w, r)
			return
		}
		answer := &untouched{ResponseWriter: w}
		authenticated, err := auth.Authenticate(answer, r)
		var tokens []string
		for i := 0; err == nil && i <= g.calls; i++ {
			if i > 0 {
				err = auth.Refresh(answer, authenticated)
				g.advance(g.between)
			}
			if err == nil {
				var token string
				token, err = tokenOf(authenticated.Context())
				tokens = append(tokens, token)
			}
		}
		if answer.touched {
			g.t.Error("the answer has begun")
		}
		if err != nil {
			if errors.Is(err, core.ErrNoSession) && authenticated != nil {
				if token, err := tokenOf(authenticated.Context()); !errors.Is(err, core.ErrNoToken) {
					g.t.Errorf("after the session has ended: got %q, %v", token, err)
				}
			}
			auth.ServeError(w, r, err)
			return
		}
		fmt.Fprint(w, strings.Join(tokens, " "))
		checkSetCookies(g.t, r, w.Header())
	})
}

// refresh opens the page, and returns what it shows, or the code of a failure.
func (g *demandRig) refresh() []string {
	g.t.Helper()
	page := g.fetch("GET", origin+"/refresh")
	if page.Status != http.StatusOK {
		return []string{codeIn(g.t, page.Body)}
	}
	return strings.Fields(string(page.Body))
}

func askFor(app http.Handler, path string, cookies []*http.Cookie) *httptest.ResponseRecorder {
	r, w := httptest.NewRequest("GET", origin+path, nil), httptest.NewRecorder()
	r.Header.Set("Accept", "application/json")
	for _, c := range cookies {
		r.AddCookie(c)
	}
	app.ServeHTTP(w, r)
	return w
}

// An access token that an API does not take any more is refreshed, however long it
// should live.
func TestRefreshOnDemand(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		for name, response := range map[string]func(map[string]any){
			"expires_in of an hour": func(map[string]any) {},
			"no expires_in":         func(r map[string]any) { delete(r, "expires_in") },
		} {
			t.Run(name, func(t *testing.T) {
				g := newDemandRig(t, vault)
				g.provider.Misbehave(logintest.Faults{Token: response})
				g.login()
				last := g.token()
				for round := 1; round <= 3; round++ {
					got := g.refresh()
					if len(got) != 2 || got[0] != last || len(got[1]) < 20 || got[1] == last {
						t.Fatalf("round %d: got %q after %q", round, got, last)
					}
					last = got[1]
					if token := g.token(); token != last {
						t.Errorf("the next request has %q, want %q", token, last)
					}
					if g.provider.Refreshes() != round || g.provider.Reused() != 0 {
						t.Errorf("%d refreshes, %d tokens used again", g.provider.Refreshes(), g.provider.Reused())
					}
					g.advance(10 * time.Second)
				}
				g.advance(2 * time.Hour)
				if token := g.token(); token == last || g.provider.Refreshes() != 4 {
					t.Errorf("the guard: got %q after %d refreshes", token, g.provider.Refreshes())
				}
			})
		}
	})
}

// A handler that goes on asking gets the same token, and the provider has peace.
func TestRefreshOnDemandInALoop(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		g := newDemandRig(t, vault)
		g.login()
		g.calls = 20
		got := g.refresh()
		if len(got) != 21 || got[1] == got[0] || got[20] != got[1] || g.provider.Refreshes() != 1 {
			t.Errorf("got %q after %d refreshes", got, g.provider.Refreshes())
		}
		g.advance(3 * time.Second)
		g.calls = 1
		if again := g.refresh(); again[1] != got[1] || g.provider.Refreshes() != 1 {
			t.Errorf("three seconds later: got %q after %d refreshes", again, g.provider.Refreshes())
		}
		g.advance(3 * time.Second)
		if again := g.refresh(); again[1] == got[1] || g.provider.Refreshes() != 2 {
			t.Errorf("six seconds later: got %q after %d refreshes", again, g.provider.Refreshes())
		}
		g.advance(2 * time.Hour)
		if token := g.refresh(); len(token) != 2 || token[0] != token[1] || g.provider.Refreshes() != 3 {
			t.Errorf("after the guard's: got %q after %d refreshes", token, g.provider.Refreshes())
		}
	})
}

// A handler may ask twice, with seconds between, and its browser has the last token.
func TestRefreshOnDemandTwiceInARequest(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		g := newDemandRig(t, vault)
		g.login()
		g.calls, g.between = 1, 6*time.Second
		first := g.refresh()
		g.calls = 3
		got := g.refresh()
		if len(got) != 4 || got[0] != first[1] || got[1] == got[0] || got[2] == got[1] || got[3] == got[2] || g.provider.Refreshes() != 4 || g.provider.Reused() != 0 {
			t.Fatalf("got %q after %q", got, first)
		}
		if token := g.token(); token != got[3] {
			t.Errorf("the next request has %q, want %q", token, got[3])
		}
	})
}

// However many ask at once, and however late, there is one refresh.
func TestRequestsThatRefreshOnDemandTogether(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		for _, processes := range []int{1, 3} {
			shared := &sharedRefreshes{outcomes: make(map[string]string), claimed: make(map[string]chan struct{})}
			config := func(c *core.Config) {
				if processes > 1 {
					c.Tokens.Refreshes = shared
				}
			}
			g := newDemandRig(t, vault, config)
			apps := []http.Handler{g.app}
			for range processes - 1 {
				apps = append(apps, g.demandApp(g.newAuth(keepTokens, vault, config)))
			}
			g.login()
			cookies := g.browser.Cookies(origin + "/refresh")
			const requests = 60
			tokens := make([]string, requests)
			var all sync.WaitGroup
			for i := range requests {
				all.Go(func() { tokens[i] = askFor(apps[i%processes], "/refresh", cookies).Body.String() })
			}
			all.Wait()
			g.advance(time.Minute)
			tokens = append(tokens, askFor(apps[processes-1], "/refresh", cookies).Body.String()) // late, with the former token if it is in a cookie
			last := strings.Fields(tokens[0])
			for i, token := range tokens {
				fields := strings.Fields(token)
				if late := i == requests; len(fields) != 2 || fields[1] != last[1] && !late {
					t.Fatalf("%d processes, request %d: got %q, want %q", processes, i, token, last)
				}
			}
			if got := g.provider.Refreshes(); got != 1 && !(got == 2 && len(g.cookiesNamed("__Host-pixy-tokens")[0].Value) < 200) || g.provider.Reused() != 0 {
				t.Errorf("%d processes: %d refreshes, %d tokens used again", processes, got, g.provider.Reused())
			}
		}
	})
}

// A handler that has been working while another request refreshed gets what came
// of that.
func TestRefreshOnDemandOfATokenThatIsSuperseded(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		g := newDemandRig(t, vault)
		g.login()
		var passed *http.Request
		r := httptest.NewRequest("GET", origin+"/refresh", nil)
		for _, c := range g.browser.Cookies(origin + "/refresh") {
			r.AddCookie(c)
		}
		passed, err := g.auth.Authenticate(httptest.NewRecorder(), r)
		if err != nil {
			t.Fatal(err)
		}
		former, err := tokenOf(passed.Context())
		if err != nil {
			t.Fatal(err)
		}
		other := g.refresh()
		g.advance(time.Minute)
		if err := g.auth.Refresh(httptest.NewRecorder(), passed); err != nil {
			t.Fatal(err)
		}
		if token, err := tokenOf(passed.Context()); token != other[1] || token == former || err != nil || g.provider.Refreshes() != 1 {
			t.Errorf("got %q, %v, after %d refreshes, want %q", token, err, g.provider.Refreshes(), other[1])
		}
	})
}

// In a Store, the newer tokens are found also when no outcome is remembered.
func TestRefreshOnDemandFindsWhatTheStoreHas(t *testing.T) {
	t.Parallel()
	for later, refreshes := range map[time.Duration]int{10 * time.Minute: 1, 2 * time.Hour: 2} { // the newer ones have expired, too
		g := newDemandRig(t, func(c *core.Config) { c.Sessions.Store = newMemoryStore() })
		g.login()
		passed := g.pass()
		former, err := tokenOf(passed.Context())
		if err != nil {
			t.Fatal(err)
		}
		other := g.refresh()
		g.advance(later)
		if err := g.auth.Refresh(discard{make(http.Header)}, passed); err != nil {
			t.Fatal(err)
		}
		token, err := tokenOf(passed.Context())
		if (token == other[1]) != (refreshes == 1) || token == former || err != nil || g.provider.Refreshes() != refreshes || g.provider.Reused() != 0 {
			t.Errorf("%s later: got %q, %v, after %d refreshes, beside %q", later, token, err, g.provider.Refreshes(), other[1])
		}
	}
}

// What a refresh on demand cannot do.
func TestRefreshOnDemandFails(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		t.Run("the provider refuses", func(t *testing.T) {
			g := newDemandRig(t, vault)
			g.login()
			copied := g.browser.Cookies(origin + "/refresh")
			g.provider.Misbehave(logintest.Faults{RefreshError: "invalid_grant"})
			g.isOver(g.refresh()[0], "refresh_refused")
			if late := askFor(g.app, "/refresh", copied); late.Code != http.StatusUnauthorized {
				t.Errorf("late: got %d", late.Code)
			}
		})
		t.Run("the ID token is another user's", func(t *testing.T) {
			g := newDemandRig(t, vault)
			g.login()
			g.provider.Misbehave(logintest.Faults{RefreshedIDToken: func(_, claims map[string]any) { claims["sub"] = "eve" }})
			g.isOver(g.refresh()[0], "id_token_untrusted")
		})
		t.Run("the provider is down", func(t *testing.T) {
			g := newDemandRig(t, vault)
			g.login()
			first := g.token()
			g.provider.Misbehave(answering(status(503)))
			for range 5 {
				if got := g.refresh(); got[0] != "provider_unavailable" {
					t.Errorf("got %q", got)
				}
			}
			if got := g.token(); got != first || g.provider.Count(logintest.Token) != 2 {
				t.Errorf("then: got %q, and %d requests", got, g.provider.Count(logintest.Token))
			}
			g.provider.Misbehave(logintest.Faults{})
			g.advance(time.Minute)
			if got := g.refresh(); len(got) != 2 || got[1] == first {
				t.Errorf("when it is over: got %q", got)
			}
		})
		t.Run("no refresh token", func(t *testing.T) {
			g := newDemandRig(t, vault, func(c *core.Config) { c.Providers[0].Scopes = nil })
			g.login()
			if got := g.refresh(); got[0] != "token_missing" || g.whoAmI() != "I am ada" || !strings.Contains(g.log.String(), "offline_access") {
				t.Errorf("got %q, logged as %s", got, g.log.String())
			}
		})
		t.Run("logged out while the handler runs", func(t *testing.T) {
			g := newDemandRig(t, vault, func(c *core.Config) { c.Logout.Revocations = new(core.MemoryRevocations) })
			g.login()
			r := httptest.NewRequest("GET", origin+"/refresh", nil)
			for _, c := range g.browser.Cookies(origin + "/refresh") {
				r.AddCookie(c)
			}
			passed, err := g.auth.Authenticate(httptest.NewRecorder(), r)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := g.browser.Post(origin+"/auth/logout", nil); err != nil {
				t.Fatal(err)
			}
			w := httptest.NewRecorder()
			failure := new(core.Error)
			if err := g.auth.Refresh(w, passed); !errors.Is(err, core.ErrNoSession) || setsSession(w.Header()) ||
				!errors.As(err, &failure) || failure.Code != "login_required" || failure.LoginURL() != "/auth/login" {
				t.Errorf("got %v to %q, and %q", err, failure.LoginURL(), w.Header()["Set-Cookie"])
			}
			if token, err := tokenOf(passed.Context()); !errors.Is(err, core.ErrNoToken) {
				t.Errorf("then: got %q, %v", token, err)
			}
		})
	})
	t.Run("tokens are not kept", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.login()
		r := httptest.NewRequest("GET", origin+"/me", nil)
		for _, c := range g.browser.Cookies(origin + "/me") {
			r.AddCookie(c)
		}
		passed, err := g.auth.Authenticate(httptest.NewRecorder(), r)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.auth.Refresh(httptest.NewRecorder(), passed); !errors.Is(err, core.ErrNoToken) || !strings.Contains(err.Error(), "Tokens.Keep") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("the Store is down", func(t *testing.T) {
		t.Parallel()
		store := newMemoryStore()
		g := newDemandRig(t, func(c *core.Config) { c.Sessions.Store = store })
		g.login()
		r := httptest.NewRequest("GET", origin+"/refresh", nil)
		for _, c := range g.browser.Cookies(origin + "/refresh") {
			r.AddCookie(c)
		}
		passed, err := g.auth.Authenticate(httptest.NewRecorder(), r)
		if err != nil {
			t.Fatal(err)
		}
		store.fail(errors.New("connection refused"))
		if err := g.auth.Refresh(httptest.NewRecorder(), passed); !errors.Is(err, core.ErrUnavailable) || g.provider.Refreshes() != 0 {
			t.Errorf("got %v", err)
		}
	})
	t.Run("of a test, or of nobody", func(t *testing.T) {
		t.Parallel()
		g := newRig(t, keepTokens)
		r := httptest.NewRequest("GET", origin+"/me", nil)
		user := core.ContextWithUser(t.Context(), &core.User{Issuer: issuer, Subject: "ada"})
		for name, request := range map[string]*http.Request{
			"nobody":           r,
			"a test's user":    r.WithContext(user),
			"a test's token":   r.WithContext(core.ContextWithToken(user, &oauth2.Token{AccessToken: "x"})),
			"a token, no user": r.WithContext(core.ContextWithToken(t.Context(), &oauth2.Token{AccessToken: "x"})),
		} {
			if err := g.auth.Refresh(httptest.NewRecorder(), request); !errors.Is(err, core.ErrNoToken) {
				t.Errorf("%s: got %v", name, err)
			}
		}
	})
}

// A refresh is a use of the session: its answer does not take back what the guard
// has set for the idle limit.
func TestRefreshOnDemandIsAUse(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		g := newDemandRig(t, vault, func(c *core.Config) { c.Sessions.Idle = 40 * time.Minute })
		g.login()
		g.advance(30 * time.Minute)
		if got := g.refresh(); len(got) != 2 || got[0] == got[1] {
			t.Fatalf("got %q", got)
		}
		g.advance(20 * time.Minute)
		if got := g.whoAmI(); got != "I am ada" {
			t.Errorf("got %q", got)
		}
	})
}
