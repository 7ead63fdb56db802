package core_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/sessions"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// Without its tokens a session is never refreshed, and a refusal of the provider
// never reaches it. So it ends when the refresh is due, and not before.
func TestASessionEndsWithoutItsTokens(t *testing.T) {
	t.Parallel()
	for vault, change := range map[string]func(*core.Config){
		"in cookies":              func(*core.Config) {},
		"in cookies, revocations": func(c *core.Config) { c.Logout.Revocations = new(core.MemoryRevocations) },
		"in a Store":              func(c *core.Config) { c.Sessions.Store = newMemoryStore() },
		"in a Store in cookies":   func(c *core.Config) { c.Sessions.Store = sessions.NewCookieStore([]byte("gorilla-auth-key")) },
	} {
		for name, spoil := range map[string]func(cookie, eves *http.Cookie){
			"left out":           func(cookie, _ *http.Cookie) { cookie.MaxAge = -1 },
			"empty":              func(cookie, _ *http.Cookie) { cookie.Value = "" },
			"altered":            func(cookie, _ *http.Cookie) { cookie.Value = "A" + cookie.Value[1:] },
			"cut short":          func(cookie, _ *http.Cookie) { cookie.Value = cookie.Value[:len(cookie.Value)/2] },
			"of another session": func(cookie, eves *http.Cookie) { cookie.Value = eves.Value },
		} {
			t.Run(vault+", "+name, func(t *testing.T) {
				t.Parallel()
				g := newTokenRig(t, change)
				eve := g.signIn(logintest.User{Subject: "eve"})
				g.provider.User = logintest.User{Subject: "ada"}
				g.login()
				cookie := g.cookiesNamed("__Host-pixy-tokens")[0]
				spoil(cookie, eve.cookiesNamed("__Host-pixy-tokens")[0])
				cookie.Path, cookie.Secure = "/", true
				g.browser.SetCookie(origin, cookie)
				copied := g.browser.Cookies(origin + "/token")
				if got := g.token(); got != "token_missing" || g.whoAmI() != "I am ada" {
					t.Errorf("before a refresh is due: got %q", got)
				}
				g.advance(time.Hour)
				g.ran.Store(0)
				g.isOver(g.token(), "tokens_lost")
				if late := ask(g.app, copied); late.Code != http.StatusUnauthorized || g.ran.Load() != 0 {
					t.Errorf("a copy of the cookies: got %d", late.Code)
				}
				if g.provider.Refreshes() != 0 {
					t.Errorf("%d refreshes", g.provider.Refreshes())
				}
			})
		}
	}
}

// Sessions that have no tokens for another reason go on.
func TestASessionThatHasNoTokensToLose(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		off := func(c *core.Config) { c.Tokens.Keep = false }
		deploy := func(g *tokenRig, change ...func(*core.Config)) {
			g.app = g.tokenApp(g.newAuth(append([]func(*core.Config){keepTokens, vault}, change...)...))
			g.browser.Serve(origin, g.app)
		}
		t.Run("from before Tokens.Keep was set", func(t *testing.T) {
			g := newTokenRig(t, vault, off)
			g.login()
			deploy(g)
			g.advance(2 * time.Hour)
			if got := g.token(); got != "token_missing" || g.whoAmI() != "I am ada" {
				t.Errorf("got %q", got)
			}
		})
		t.Run("Tokens.Keep set, not set, and set again", func(t *testing.T) {
			g := newTokenRig(t, vault)
			g.login()
			first := g.token()
			deploy(g, off)
			g.advance(2 * time.Hour)
			if got := g.token(); got != "token_missing" || g.whoAmI() != "I am ada" {
				t.Errorf("not set: got %q", got)
			}
			deploy(g)
			if token := g.token(); len(token) < 20 || token == first {
				t.Errorf("set again: got %q", token)
			}
		})
		t.Run("no refresh token was given", func(t *testing.T) {
			g := newTokenRig(t, vault, func(c *core.Config) { c.Providers[0].Scopes = nil })
			g.login()
			for _, c := range g.cookiesNamed("__Host-pixy-tokens") {
				g.browser.SetCookie(origin, &http.Cookie{Name: c.Name, MaxAge: -1, Path: "/", Secure: true})
			}
			g.advance(2 * time.Hour)
			if g.whoAmI() != "I am ada" {
				t.Error("the session has ended")
			}
		})
	})
}

// Where pixy gives tokens up, the session goes on, for as long as it lasts.
func TestASessionGoesOnWhenItsTokensAreGivenUp(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change        func(*core.Config)
		claims, token int // bytes
	}{
		"in cookies":                     {func(*core.Config) {}, 0, 12 << 10},
		"in cookies, with large claims":  {func(*core.Config) {}, 3500, 3500},
		"in a Store that takes 4 KB":     {func(c *core.Config) { c.Sessions.Store = sessions.NewCookieStore([]byte("gorilla-auth-key")) }, 0, 4 << 10},
		"in a Store, and in its records": {func(c *core.Config) { c.Sessions.Store = narrowStore{newMemoryStore()} }, 0, 4 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newTokenRig(t, test.change)
			g.provider.User = logintest.User{Subject: "ada", Claims: map[string]any{"groups": noise(test.claims)}}
			g.login()
			copied := g.browser.Cookies(origin + "/token")
			g.provider.AccessTokenBytes = test.token
			g.advance(2 * time.Hour)
			if token := g.token(); len(token) != test.token {
				t.Errorf("this request has it: got %d bytes", len(token))
			}
			if late := ask(g.app, copied); late.Code != http.StatusOK && codeIn(t, late.Body.Bytes()) != "token_missing" {
				t.Errorf("a request that came at the same time: got %d: %s", late.Code, late.Body)
			}
			for range 3 {
				if got := g.token(); got != "token_missing" || g.whoAmI() != "I am ada" {
					t.Errorf("then: got %q", got)
				}
				g.advance(3 * time.Hour)
			}
			if !strings.Contains(g.log.String(), "tokens_too_large") || strings.Contains(g.log.String(), "tokens_lost") || g.provider.Reused() != 0 {
				t.Errorf("logged as %s", g.log.String())
			}
		})
	}
}

// A narrowStore keeps records of 4 KB at most, as redistore does.
type narrowStore struct{ *memoryStore }

func (s narrowStore) Save(r *http.Request, w http.ResponseWriter, session *sessions.Session) error {
	for _, value := range session.Values {
		if text, ok := value.(string); ok && len(text) > 4<<10 {
			return errors.New("SessionStore: the value to store is too big")
		}
	}
	return s.memoryStore.Save(r, w, session)
}

// A Store that is down is an outage, and no reason to end anything.
func TestAStoreThatIsDownHasLostNoTokens(t *testing.T) {
	t.Parallel()
	store := &tokensDown{memoryStore: newMemoryStore()}
	g := newTokenRig(t, func(c *core.Config) { c.Sessions.Store = store })
	g.login()
	g.advance(2 * time.Hour)
	store.down = true
	if got := g.token(); got != "store_unavailable" || g.whoAmI() != "I am ada" {
		t.Errorf("down: got %q", got)
	}
	store.down = false
	if token := g.token(); len(token) < 20 {
		t.Errorf("up again: got %q", token)
	}
}

// tokensDown has the tokens out of order, and the sessions not.
type tokensDown struct {
	*memoryStore
	down bool
}

func (s *tokensDown) New(r *http.Request, name string) (*sessions.Session, error) {
	if s.down && strings.HasSuffix(name, "-tokens") {
		return nil, errors.New("connection refused")
	}
	return s.memoryStore.New(r, name)
}

// A meetingStore lets something else happen once, between the reading of a session
// and that of its tokens.
type meetingStore struct {
	narrowStore
	meet func()
}

func (s *meetingStore) New(r *http.Request, name string) (*sessions.Session, error) {
	if meet := s.meet; meet != nil && strings.HasSuffix(name, "-tokens") {
		s.meet = nil
		meet()
	}
	return s.narrowStore.New(r, name)
}

// Tokens that another request has taken away just now are not lost.
func TestTokensThatGoBetweenTwoReads(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		bytes int // of an access token
		meet  func(g *tokenRig)
		code  string
		stays bool
	}{
		"given up":   {4 << 10, func(g *tokenRig) { ask(g.app, g.browser.Cookies(origin+"/token")) }, "token_missing", true},
		"refreshed":  {100, func(g *tokenRig) { ask(g.app, g.browser.Cookies(origin+"/token")) }, "", true},
		"logged out": {100, func(g *tokenRig) { _, _ = g.browser.Post(origin+"/auth/logout", nil) }, "login_required", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := &meetingStore{narrowStore: narrowStore{newMemoryStore()}}
			g := newTokenRig(t, func(c *core.Config) { c.Sessions.Store = store })
			g.login()
			g.provider.AccessTokenBytes = test.bytes
			g.advance(2 * time.Hour)
			cookies := g.browser.Cookies(origin + "/token")
			store.meet = func() { test.meet(g) }
			answer, code := ask(g.app, cookies), ""
			if answer.Code != http.StatusOK {
				code = codeIn(t, answer.Body.Bytes())
			}
			if code != test.code || strings.Contains(g.log.String(), "tokens_lost") {
				t.Errorf("got %q, logged as %s", code, g.log.String())
			}
			if stays := g.whoAmI() == "I am ada"; stays != test.stays {
				t.Errorf("the session stays: %v", stays)
			}
		})
	}
}
