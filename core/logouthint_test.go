package core_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/sessions"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// logoutRequest logs out, and returns where the browser is sent, beyond our own page
// that leads on. It holds that nobody is logged in afterwards and that no cookie is left.
func (g *rig) logoutRequest() *url.URL {
	g.t.Helper()
	r, err := http.NewRequest("POST", origin+"/auth/logout", nil)
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header = http.Header{"Sec-Fetch-Site": {"same-origin"}, "Origin": {origin}}
	page, err := g.browser.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	if page.Header.Get("Location") == "/auth/logout" {
		page = g.visit(origin + "/auth/logout?continue")
	}
	to, err := url.Parse(page.Header.Get("Location"))
	if err != nil || page.Status != http.StatusSeeOther || g.whoAmI() != "" {
		g.t.Fatalf("got %d to %q, and %q is logged in", page.Status, page.Header.Get("Location"), g.whoAmI())
	}
	if left := g.browser.Cookies(origin + "/auth/logout"); len(left) != 0 {
		g.t.Errorf("%d cookies are left: %v", len(left), left)
	}
	return to
}

// hinted returns a claim of the hint that a logout sends, or "" if it sends none.
func hinted(t testing.TB, to *url.URL, claim string) any {
	t.Helper()
	hint := to.Query().Get("id_token_hint")
	if hint == "" {
		return ""
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(hint, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims[claim]
}

func keepNoClaims(c *core.Config) { c.Sessions.Claims = []string{} }

// manyIDGroups makes an ID token that fits no cookie.
var manyIDGroups = claim("groups", strings.Repeat("g", 6000))

// A hint is of one session: a sibling host cannot exchange it (RFC 6265bis section
// 8.6), whether the session goes on or is over.
func TestLogoutHint(t *testing.T) {
	t.Parallel()
	signIn := func(g *rig, subject string) []*http.Cookie {
		g.t.Helper()
		g.provider.User = logintest.User{Subject: subject}
		g.browser.Forget("", "")
		g.login()
		return g.cookiesNamed("__Secure-pixy-logout")
	}
	nameOf := func(g *rig) string { return g.cookiesNamed("__Host-pixy-last")[0].Value }
	plant := func(g *rig, hint *http.Cookie) {
		g.browser.SetCookie(origin, &http.Cookie{Name: hint.Name, Value: hint.Value, Path: "/auth/logout", Secure: true})
	}
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		for name, test := range map[string]struct {
			spoil func(g *rig, mallorys *http.Cookie, name string)
			want  any // the subject of the hint; nil: the browser stays here
		}{
			"rule 119: the session's":                 {func(*rig, *http.Cookie, string) {}, "ada"},
			"rule 119: planted in its place":          {func(g *rig, hint *http.Cookie, _ string) { plant(g, hint) }, ""},
			"rule 119: planted, and the session over": {func(g *rig, hint *http.Cookie, _ string) { plant(g, hint); g.advance(13 * time.Hour) }, nil},
			"rule 119: planted, and the session gone": {func(g *rig, hint *http.Cookie, _ string) {
				plant(g, hint)
				g.browser.Forget(origin, "__Host-pixy-session")
			}, nil},
			"rule 119: with another session's name": {func(g *rig, hint *http.Cookie, name string) {
				plant(g, hint)
				g.browser.SetCookie(origin, &http.Cookie{Name: "__Host-pixy-last", Value: name, Path: "/", Secure: true})
			}, ""},
			"rule 119: the session is over": {func(g *rig, _ *http.Cookie, _ string) { g.advance(13 * time.Hour) }, "ada"},
			"rule 119: over for a month": {func(g *rig, _ *http.Cookie, _ string) {
				g.advance(30 * 24 * time.Hour)
				g.browser.Forget(origin, "__Host-pixy-session")
			}, "ada"},
			"rule 119: the session was ended elsewhere": {func(g *rig, _ *http.Cookie, _ string) {
				if err := g.auth.LogoutEverywhere(t.Context(), issuer, "ada"); err != nil {
					t.Error(err)
				}
			}, "ada"},
			"rule 119: nothing says whose it is": {func(g *rig, _ *http.Cookie, _ string) {
				g.browser.Forget(origin, "__Host-pixy-session")
				g.browser.Forget(origin, "__Host-pixy-last")
			}, nil},
			"rule 119: it says so in vain": {func(g *rig, _ *http.Cookie, _ string) {
				g.browser.Forget(origin, "__Host-pixy-session")
				g.browser.SetCookie(origin, &http.Cookie{Name: "__Host-pixy-last", Value: strings.Repeat("A", 22), Path: "/", Secure: true})
			}, nil},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				g, _ := newLogoutRig(t, vault)
				mallorys := signIn(g, "mallory")[0]
				name := nameOf(g)
				signIn(g, "ada")
				test.spoil(g, mallorys, name)
				to := g.logoutRequest()
				if test.want == nil {
					if to.String() != "/" {
						t.Errorf("sent to %s", to)
					}
					return
				}
				if to.Path != "/end-session" || hinted(t, to, "sub") != test.want {
					t.Errorf("sent to %s", to)
				}
			})
		}
	})
}

// An ID token that is too large for a cookie.
func TestLargeLogoutHint(t *testing.T) {
	t.Parallel()
	told := "too large to keep for the logout"
	logIn := func(g *rig) {
		g.t.Helper()
		g.provider.Misbehave(manyIDGroups)
		g.login()
	}
	t.Run("in a Store", func(t *testing.T) {
		t.Parallel()
		store := newMemoryStore()
		g := newRig(t, keepNoClaims, func(c *core.Config) { c.Sessions.Store = store })
		logIn(g)
		if len(g.cookiesNamed("__Secure-pixy-logout")) != 0 || len(g.cookiesNamed("__Host-pixy-hint")) != 1 {
			t.Errorf("got %v", g.cookiesNamed("__"))
		}
		reads, _, _ := store.counts()
		g.whoAmI()
		if after, _, _ := store.counts(); after != reads+1 {
			t.Errorf("a guarded request reads the Store %d times", after-reads)
		}
		for range 3 {
			g.get(origin + "/auth/login?return_to=/me")
		}
		if _, _, kept := store.counts(); kept != 2 {
			t.Errorf("%d records are kept after more logins", kept)
		}
		if to := g.logoutRequest(); hinted(t, to, "sub") != "ada" {
			t.Errorf("sent to %s", to)
		}
		if _, _, kept := store.counts(); kept != 0 || g.log.String() != "" {
			t.Errorf("%d records are left; logged %s", kept, g.log.String())
		}
	})
	t.Run("in a Store, and the session is over", func(t *testing.T) {
		t.Parallel()
		g := newRig(t, keepNoClaims, func(c *core.Config) { c.Sessions.Store = newMemoryStore() })
		logIn(g)
		g.browser.Forget(origin, "__Host-pixy-session")
		if to := g.logoutRequest(); hinted(t, to, "sub") != "ada" {
			t.Errorf("sent to %s", to)
		}
	})
	t.Run("in a Store, of another session", func(t *testing.T) {
		t.Parallel()
		g := newRig(t, keepNoClaims, func(c *core.Config) { c.Sessions.Store = newMemoryStore() })
		logIn(g)
		former := g.cookiesNamed("__Host-pixy-hint")[0]
		g.browser.Forget("", "")
		g.login()
		g.browser.SetCookie(origin, &http.Cookie{Name: former.Name, Value: former.Value, Path: "/", Secure: true})
		if to := g.logoutRequest(); to.Path != "/end-session" || to.Query().Has("id_token_hint") {
			t.Errorf("sent to %s", to)
		}
	})
	t.Run("smaller at the next login", func(t *testing.T) {
		t.Parallel()
		store := newMemoryStore()
		g := newRig(t, keepNoClaims, func(c *core.Config) { c.Sessions.Store = store })
		logIn(g)
		g.provider.Misbehave(logintest.Faults{})
		g.get(origin + "/auth/login?return_to=/me")
		if _, _, kept := store.counts(); kept != 1 || len(g.cookiesNamed("__Host-pixy-hint")) != 0 {
			t.Errorf("%d records are kept, and %v", kept, g.cookiesNamed("__"))
		}
		if to := g.logoutRequest(); hinted(t, to, "sub") != "ada" {
			t.Errorf("sent to %s", to)
		}
	})
	t.Run("without a Store, which is said once", func(t *testing.T) {
		t.Parallel()
		g := newRig(t, keepNoClaims)
		logIn(g)
		if !strings.Contains(g.log.String(), told) {
			t.Error("it is not said at once")
		}
		g.get(origin + "/auth/login?return_to=/me")
		if to := g.logoutRequest(); to.Query().Get("client_id") != "app" || to.Query().Has("id_token_hint") {
			t.Errorf("sent to %s", to)
		}
		if log := g.log.String(); strings.Count(log, told) != 1 || !strings.Contains(log, "set a Store") || !strings.Contains(log, `"level":"WARN"`) {
			t.Errorf("logged %s", log)
		}
	})
	t.Run("in a Store that goes down", func(t *testing.T) {
		t.Parallel()
		store := &unreadableStore{memoryStore: newMemoryStore()}
		g := newRig(t, keepNoClaims, func(c *core.Config) { c.Sessions.Store = store })
		logIn(g)
		store.name = "__Host-pixy-hint"
		g.fetch("POST", origin+"/auth/logout")
		page := g.visit(origin + "/auth/logout?continue")
		if to := page.Header.Get("Location"); !strings.HasPrefix(to, issuer+"/end-session?") || strings.Contains(to, "id_token_hint") || g.whoAmI() != "" {
			t.Errorf("got %d to %s: %s", page.Status, to, page.Body)
		}
		// One line for each time that the hint is read, and one for removing it.
		if got := strings.Count(g.log.String(), `"code":"store_unavailable"`); got != 3 {
			t.Errorf("%d lines:\n%s", got, g.log.String())
		}
	})
	t.Run("in a Store that is too small or down", func(t *testing.T) {
		t.Parallel()
		for failure, logged := range map[string]string{"the value to store is too big": told, "canary: down": "store_unavailable"} {
			store := &refusingStore{memoryStore: newMemoryStore(), name: "__Host-pixy-hint", err: errors.New(failure)}
			g := newRig(t, keepNoClaims, func(c *core.Config) { c.Sessions.Store = store })
			logIn(g)
			g.get(origin + "/auth/login?return_to=/me")
			if to := g.logoutRequest(); to.Path != "/end-session" || to.Query().Has("id_token_hint") {
				t.Errorf("sent to %s", to)
			}
			if log := g.log.String(); !strings.Contains(log, logged) || strings.Count(log, told) > 1 {
				t.Errorf("logged %s", log)
			}
		}
	})
}

// An unreadableStore has lost its connection for sessions of one name.
type unreadableStore struct {
	*memoryStore
	name string
}

func (s *unreadableStore) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(s, name)
}

func (s *unreadableStore) New(r *http.Request, name string) (*sessions.Session, error) {
	session, err := s.memoryStore.New(r, name)
	if name == s.name {
		err = errors.New("canary: down")
	}
	return session, err
}

// The latest ID token is the hint, because some providers refuse one that has
// expired, whichever request or process has had it refreshed.
func TestHintIsTheLatest(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		for name, test := range map[string]struct {
			login, refreshed any // of the claim groups
			want             any
		}{
			"small":            {"login", "refreshed", "refreshed"},
			"of no ID token":   {"login", nil, "login"},
			"larger":           {"login", strings.Repeat("r", 6000), strings.Repeat("r", 6000)},
			"smaller":          {strings.Repeat("l", 6000), "refreshed", "refreshed"},
			"large both times": {strings.Repeat("l", 6000), strings.Repeat("r", 6000), strings.Repeat("r", 6000)},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				g := newTokenRig(t, vault, keepNoClaims)
				g.provider.Misbehave(logintest.Faults{
					IDToken:          func(_, c map[string]any) { c["groups"] = test.login },
					RefreshedIDToken: func(_, c map[string]any) { c["groups"] = test.refreshed },
					Refresh: func(response map[string]any) {
						if test.refreshed == nil {
							delete(response, "id_token")
						}
					},
				})
				g.login()
				for range 2 {
					g.advance(time.Hour)
					if len(g.token()) < 20 {
						t.Fatal("not refreshed")
					}
				}
				to := g.logoutRequest()
				if text, _ := test.want.(string); len(text) > 1000 && strings.Contains(t.Name(), "cookies") {
					if to.Query().Has("id_token_hint") {
						t.Errorf("sent %d bytes", len(to.String()))
					}
				} else if hinted(t, to, "groups") != test.want {
					t.Errorf("sent to %s", to)
				}
			})
		}
	})
}

// Each browser that asks gets the new hint, also if another request has made the
// refresh in another process, and if it has taken two of them.
func TestHintOfARefreshElsewhere(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		shared := &sharedRefreshes{outcomes: make(map[string]string), claimed: make(map[string]chan struct{})}
		g := newTokenRig(t, vault, func(c *core.Config) { c.Tokens.Refreshes = shared })
		g.provider.Misbehave(logintest.Faults{RefreshedIDToken: func(_, c map[string]any) { c["groups"] = "refreshed" }})
		g.login()
		other := g.tokenApp(g.newAuth(keepTokens, vault, func(c *core.Config) { c.Tokens.Refreshes = shared }))
		before := g.cookiesNamed("__")
		g.advance(time.Hour)
		if answer := ask(other, before); answer.Code != http.StatusOK {
			t.Fatalf("got %d: %s", answer.Code, answer.Body)
		}
		g.token()
		if g.provider.Refreshes() != 1 {
			t.Errorf("%d refreshes", g.provider.Refreshes())
		}
		if strings.Contains(t.Name(), "cookies") { // in a Store, the first answer has it
			if to := g.logoutRequest(); hinted(t, to, "groups") != "refreshed" {
				t.Errorf("sent to %s", to)
			}
		}
	})
}

// A hint that the provider cannot verify is left out: it might answer with an error.
func TestHintOfAKeyThatIsGone(t *testing.T) {
	t.Parallel()
	gone := func(g *rig, faults logintest.Faults) {
		g.provider.RotateKeys()
		g.provider.Misbehave(faults)
	}
	down := logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
		if e == logintest.JWKS {
			w.WriteHeader(http.StatusBadGateway)
		}
		return e == logintest.JWKS
	}}
	for name, test := range map[string]struct {
		happens func(*rig)
		process bool // another one, which knows no keys yet
		hint    bool
	}{
		"there is no other":               {func(*rig) {}, false, true},
		"gone, as this process knows":     {func(g *rig) { gone(g, logintest.Faults{}); g.advance(2 * time.Hour) }, false, false},
		"gone, as another finds out":      {func(g *rig) { gone(g, logintest.Faults{}) }, true, false},
		"published, as another finds out": {func(*rig) {}, true, true},
		"the keys cannot be had":          {func(g *rig) { gone(g, down) }, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, func(c *core.Config) { c.Sessions.Lifetime = 24 * time.Hour })
			g.login()
			test.happens(g)
			if test.process {
				g.browser.Serve(origin, g.app(g.newAuth()))
			}
			if to := g.logoutRequest(); to.Path != "/end-session" || to.Query().Has("id_token_hint") != test.hint {
				t.Errorf("sent to %s", to)
			}
		})
	}
}

// Nobody asks the provider whether it is up: the session here has ended, and the
// browser goes there.
func TestLogoutAtAProviderThatHasGoneDown(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.login()
	asked := len(g.provider.Requests())
	g.provider.Misbehave(logintest.Faults{Intercept: func(logintest.Endpoint, http.ResponseWriter, *http.Request) bool {
		panic(http.ErrAbortHandler)
	}})
	if to := g.logoutRequest(); to.Path != "/end-session" || len(g.provider.Requests()) != asked {
		t.Errorf("sent to %s", to)
	}
}

// A login without an ID token leaves nothing of the former one's hint.
func TestLogoutHintOfALoginWithoutIDToken(t *testing.T) {
	t.Parallel()
	for name, faults := range map[string]logintest.Faults{"in a cookie": {}, "in the Store": manyIDGroups} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := newMemoryStore()
			inStore := func(c *core.Config) { c.Sessions.Store = store }
			g := newRig(t, keepNoClaims, inStore)
			g.provider.Misbehave(faults)
			g.login()
			g.browser.Serve(origin, g.app(g.newAuth(plainOAuth2, inStore)))
			if page := g.get(origin + "/auth/login?return_to=/me"); page.Status != http.StatusOK {
				t.Fatalf("got %d: %s", page.Status, page.Body)
			}
			for _, name := range []string{"__Secure-pixy-logout", "__Host-pixy-last", "__Host-pixy-hint"} {
				if left := g.cookiesNamed(name); len(left) != 0 {
					t.Errorf("%v is left", left)
				}
			}
			if _, _, kept := store.counts(); kept != 1 {
				t.Errorf("%d records are kept, want the session", kept)
			}
		})
	}
}

// An outcome that has expired is refreshed in its turn: if that brings no ID token,
// the one before is the hint.
func TestHintOfTwoRefreshesAtOnce(t *testing.T) {
	t.Parallel()
	g := newTokenRig(t)
	g.provider.AccessTokenLifetime = time.Minute
	g.provider.Misbehave(logintest.Faults{
		RefreshedIDToken: func(_, c map[string]any) { c["groups"] = "refreshed" },
		Refresh: func(response map[string]any) {
			if g.provider.Refreshes() > 1 {
				delete(response, "id_token")
			}
		},
	})
	g.login()
	g.advance(2 * time.Minute)
	if answer := ask(g.app, g.cookiesNamed("__")); answer.Code != http.StatusOK { // which the browser does not get
		t.Fatalf("got %d: %s", answer.Code, answer.Body)
	}
	g.advance(2 * time.Minute)
	if len(g.token()) < 20 || g.provider.Refreshes() != 2 {
		t.Fatalf("%d refreshes", g.provider.Refreshes())
	}
	if to := g.logoutRequest(); hinted(t, to, "groups") != "refreshed" {
		t.Errorf("sent to %s", to)
	}
}
