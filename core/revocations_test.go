package core_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

func TestLogoutEverywhere(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		g, l := newLogoutRig(t, vault)
		here := g.signIn(logintest.User{Subject: "ada"})
		there := g.signIn(logintest.User{Subject: "ada"})
		grace := g.signIn(logintest.User{Subject: "grace"})
		l.counts()

		for name, spared := range map[string]int{"down": 0, "read only": -1} {
			l.fail(errors.New("down"), spared)
			if err := g.auth.LogoutEverywhere(t.Context(), issuer, "ada"); !errors.Is(err, core.ErrUnavailable) {
				t.Errorf("%s: got %v", name, err)
			}
			l.fail(nil, 0)
		}
		if here.whoAmI() != "I am ada" || there.whoAmI() != "I am ada" {
			t.Error("an outage has logged somebody out")
		}
		if err := g.auth.LogoutEverywhere(t.Context(), issuer, "ada"); err != nil {
			t.Fatal(err)
		}
		if here.whoAmI() != "" || there.whoAmI() != "" || grace.whoAmI() != "I am grace" {
			t.Errorf("left are %q, %q, %q", here.whoAmI(), there.whoAmI(), grace.whoAmI())
		}
		if _, writes := l.counts(); writes != 1 || g.log.String() != "" {
			t.Errorf("%d writes; logged %s", writes, g.log.String())
		}
		g.advance(time.Second)
		g.provider.User = logintest.User{Subject: "ada"}
		here.login()
		if there.whoAmI() != "" {
			t.Error("a new login has revived the former one")
		}
	})
}

// Applications disable a user in their table, and then call LogoutEverywhere. A login whose
// OnLogin has read the table before that must not survive.
func TestRevocationDuringALogin(t *testing.T) {
	t.Parallel()
	var g *rig
	g = newRig(t, func(c *core.Config) {
		c.Logout.Revocations = new(core.MemoryRevocations)
		c.OnLogin = func(ctx context.Context, login *core.Login) error {
			return g.auth.LogoutEverywhere(ctx, login.User.Issuer, login.User.Subject)
		}
	})
	g.get(origin + "/auth/login?return_to=/me")
	if got := g.whoAmI(); got != "" {
		t.Errorf("got %q, want no session", got)
	}
}

func TestLogoutEverywhereRefuses(t *testing.T) {
	t.Parallel()
	without := newRig(t)
	with, l := newLogoutRig(t)
	for name, test := range map[string]struct {
		auth   *core.Authenticator
		issuer string
		want   string
	}{
		"no revocations":     {without.auth, issuer, "Config.Logout.Revocations is not set"},
		"no such provider":   {with.auth, "https://other.example.test", `no provider is "https://other.example.test"`},
		"not to the letter":  {with.auth, issuer + "/", "no provider is"},
		"no issuer whatever": {with.auth, "", "no provider is"},
	} {
		err := test.auth.LogoutEverywhere(t.Context(), test.issuer, "ada")
		if failure := new(core.Error); !errors.As(err, &failure) || errors.Is(err, core.ErrUnavailable) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, writes := l.counts(); writes != 0 {
		t.Errorf("%d writes", writes)
	}
}

// What else has a session's cookie is logged out with it.
func TestCopiesEndWithTheSession(t *testing.T) {
	t.Parallel()
	logOut := func(g *rig) {
		g.t.Helper()
		if _, err := g.browser.Post(origin+"/auth/logout", nil); err != nil {
			g.t.Fatal(err)
		}
	}
	logInOnceMore := func(g *rig) { g.visit(g.toCallback().String()) }
	for name, test := range map[string]struct {
		ends func(*rig)
		left string
	}{
		"a logout":                 {logOut, ""},
		"a login over the session": {logInOnceMore, "I am ada"},
		"a logout token":           {func(g *rig) { g.ended(g.provider.LogoutToken("app", g.provider.User, nil)) }, ""},
		"a front-channel logout":   {func(g *rig) { g.frontChannel(issuer, "first") }, ""},
	} {
		for _, late := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, late renewal %v", name, late), func(t *testing.T) {
				t.Parallel()
				g, _ := newLogoutRig(t, func(c *core.Config) { c.Sessions.Idle = 20 * time.Minute })
				g.login()
				g.advance(10 * time.Minute)
				copied := g.cookiesNamed("__Host-pixy-session")
				if late { // the answer to a request of before, which arrives after
					r := httptest.NewRequest("GET", origin+"/me", nil)
					r.AddCookie(copied[0])
					w := httptest.NewRecorder()
					g.app(g.auth).ServeHTTP(w, r)
					if copied = w.Result().Cookies(); len(copied) != 1 || w.Code != 200 {
						t.Fatalf("not renewed: %d %v", w.Code, copied)
					}
				}
				g.advance(time.Second)
				test.ends(g)
				if got := g.whoAmI(); got != test.left {
					t.Errorf("got %q, want %q", got, test.left)
				}
				if err := openWith(g, copied[0].Value); !errors.Is(err, core.ErrNoSession) {
					t.Errorf("the copy is still good: %v", err)
				}
			})
		}
	}
}

// Whose clock is ahead: a session that began there ends here all the same.
func TestALogoutAtAReplicaWhoseClockIsBehind(t *testing.T) {
	t.Parallel()
	g, _ := newLogoutRig(t)
	shared := new(core.MemoryRevocations)
	config := g.config()
	config.Logout.Revocations = shared
	ahead, err := core.NewAt(config, func() time.Time { return g.now().Add(2 * time.Second) })
	if err != nil {
		t.Fatal(err)
	}
	g.auth = g.newAuth(func(c *core.Config) { c.Logout.Revocations = shared })
	g.browser.Serve(origin, g.app(ahead))
	g.login()
	copied := g.cookiesNamed("__Host-pixy-session")
	g.browser.Serve(origin, g.app(g.auth))
	if _, err := g.browser.Post(origin+"/auth/logout", nil); err != nil {
		t.Fatal(err)
	}
	g.advance(time.Minute)
	if err := openWith(g, copied[0].Value); !errors.Is(err, core.ErrNoSession) {
		t.Errorf("the copy is still good: %v", err)
	}
}

// A new session is as good if what was there before could not be revoked.
func TestALoginOutlivesAnOutageOfTheRevocations(t *testing.T) {
	t.Parallel()
	g, l := newLogoutRig(t)
	g.login()
	l.fail(errors.New("canary: read only"), -1)
	g.provider.User = logintest.User{Subject: "grace"}
	g.visit(g.toCallback().String())
	if got := g.whoAmI(); got != "I am grace" || !strings.Contains(g.log.String(), "canary: read only") {
		t.Errorf("got %q, logged %s", got, g.log.String())
	}
}

func TestLogoutWhileTheRevocationsAreDown(t *testing.T) {
	t.Parallel()
	for name, spared := range map[string]int{"down": 0, "read only": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everyVault(t, func(t *testing.T, vault func(*core.Config)) {
				g, l := newLogoutRig(t, vault)
				g.login()
				l.fail(errors.New("down"), spared)
				page, err := g.browser.Post(origin+"/auth/logout", nil)
				if err != nil {
					t.Fatal(err)
				}
				if page.Status != 503 || page.Header.Get("Retry-After") == "" || len(page.Header["Set-Cookie"]) != 0 || !strings.Contains(string(page.Body), "revocations_unavailable") {
					t.Errorf("got %d: %s", page.Status, page.Body)
				}
				l.fail(nil, 0)
				if got := g.whoAmI(); got != "I am ada" {
					t.Errorf("logged out: %q", got)
				}
			})
		})
	}
}

// Each guarded request of a user asks once, and nobody else's asks at all.
func TestHowOftenRevocationsAreAsked(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		g, l := newLogoutRig(t, vault)
		asked := func(what string, reads, writes int) {
			t.Helper()
			if gotReads, gotWrites := l.counts(); gotReads != reads || gotWrites != writes {
				t.Errorf("%s: %d reads and %d writes, want %d and %d", what, gotReads, gotWrites, reads, writes)
			}
		}
		g.fetch("GET", origin+"/me")
		asked("a stranger", 0, 0)
		for _, forged := range []string{"1forged", "1" + strings.Repeat("A", 400), ""} {
			g.browser.SetCookie(origin, &http.Cookie{Name: "__Host-pixy-session", Value: forged, Path: "/", Secure: true})
			g.fetch("GET", origin+"/me")
			asked("a cookie that does not open", 0, 0)
		}
		g.browser.Forget(origin, "__Host-pixy-session")
		g.frontChannel(issuer, "first")
		if _, err := g.browser.Post(origin+"/auth/logout", nil); err != nil {
			t.Fatal(err)
		}
		asked("a stranger's logouts", 0, 0)
		g.visit(g.toCallback().String())
		asked("a login", 0, 0)
		g.whoAmI()
		asked("a user", 1, 0)
		r := httptest.NewRequest("GET", origin+"/me", nil)
		r.AddCookie(g.cookiesNamed("__Host-pixy-session")[0])
		for range 3 { // guards within guards
			var err error
			if r, err = g.auth.Authenticate(httptest.NewRecorder(), r); err != nil {
				t.Fatal(err)
			}
		}
		asked("three guards", 1, 0)
	})
}

func TestMemoryRevocations(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	start := time.Now()
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	var m core.MemoryRevocations
	ask := func(want time.Time, keys ...string) {
		t.Helper()
		if got, err := m.RevokedAt(ctx, keys...); err != nil || !got.Equal(want) {
			t.Errorf("%v: got %v, %v, want %v", keys, got, err, want)
		}
	}
	revoke := func(key string, when, until time.Time) {
		t.Helper()
		if err := m.Revoke(ctx, key, when, until); err != nil {
			t.Error(err)
		}
	}
	ask(time.Time{})
	ask(time.Time{}, "a", "b")
	revoke("a", at(10), at(100))
	revoke("b", at(20), at(100))
	ask(at(10), "a")
	ask(at(20), "a", "b", "c")
	revoke("b", at(5), at(200)) // told late
	ask(at(20), "b")
	revoke("a", at(30), at(40))
	ask(at(30), "a", "b")

	for i := range 20000 { // a second each, remembered for ten
		revoke(fmt.Sprint(i), at(1000+i), at(1010+i))
	}
	ask(at(20999), "19999")
	ask(time.Time{}, "0")
	ask(time.Time{}, "a")
}

func TestMemoryRevocationsAtOnce(t *testing.T) {
	t.Parallel()
	var m core.MemoryRevocations
	now := time.Now()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 500 {
				key := fmt.Sprint(j)
				at := now.Add(time.Duration(i) * time.Second)
				if err := m.Revoke(t.Context(), key, at, at.Add(time.Hour)); err != nil {
					t.Error(err)
				}
				if got, err := m.RevokedAt(t.Context(), key); err != nil || got.Before(at) {
					t.Errorf("got %v, %v, want %v or later", got, err, at)
				}
			}
		})
	}
	all.Wait()
	if got, _ := m.RevokedAt(t.Context(), "499"); !got.Equal(now.Add(7 * time.Second)) {
		t.Errorf("got %v", got)
	}
}
