package core_test

import (
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// sessionSeen is what a loader sees of the browser's session.
func (g *rig) sessionSeen(auth *core.Authenticator) *core.Session {
	g.t.Helper()
	r := httptest.NewRequest("GET", origin+"/me", nil)
	for _, c := range g.browser.Cookies(origin) {
		r.AddCookie(c)
	}
	loaded, err := auth.LoadUser(httptest.NewRecorder(), r)
	if err != nil {
		g.t.Fatal(err)
	}
	return auth.Session(loaded)
}

// near reports whether two times are equal, but for what the test has taken.
func near(got, want time.Time) bool { return got.Sub(want).Abs() < 10*time.Second }

func TestSessionSaysWhenItEnds(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		for name, test := range map[string]struct {
			change []func(*core.Config)
			after  time.Duration // since the login
			ends   time.Duration // from the login
		}{
			"the default":                       {nil, time.Hour, 12 * time.Hour},
			"Sessions.Lifetime":                 {[]func(*core.Config){lifetime(2 * time.Hour)}, time.Hour, 2 * time.Hour},
			"Login.Lifetime":                    {[]func(*core.Config){deciding(func(l *core.Login) { l.Lifetime = 90 * time.Minute })}, time.Hour, 90 * time.Minute},
			"Login.Lifetime, longer":            {[]func(*core.Config){lifetime(2 * time.Hour), deciding(func(l *core.Login) { l.Lifetime = 24 * time.Hour })}, time.Hour, 2 * time.Hour},
			"Idle, just used":                   {[]func(*core.Config){idle(time.Hour)}, 0, time.Hour},
			"Idle, used, and not renewed":       {[]func(*core.Config){idle(time.Hour)}, 10 * time.Minute, time.Hour},
			"Idle, renewed by this request":     {[]func(*core.Config){idle(time.Hour)}, 20 * time.Minute, 80 * time.Minute},
			"Idle, just before its end":         {[]func(*core.Config){idle(time.Hour)}, 59 * time.Minute, 119 * time.Minute},
			"Idle, beyond the absolute end":     {[]func(*core.Config){idle(time.Hour), lifetime(90 * time.Minute)}, 50 * time.Minute, 90 * time.Minute},
			"Idle, beyond the end by OnLogin":   {[]func(*core.Config){idle(2 * time.Hour), deciding(func(l *core.Login) { l.Lifetime = time.Hour })}, 0, time.Hour},
			"Idle longer than what is absolute": {[]func(*core.Config){idle(10 * time.Hour), lifetime(3 * time.Hour)}, time.Hour, 3 * time.Hour},
		} {
			t.Run(name, func(t *testing.T) {
				g := newRig(t, append(test.change, vault)...)
				g.login()
				began := g.now()
				g.advance(test.after)
				got := g.sessionSeen(g.auth)
				if got == nil || !near(got.Began, began) || !near(got.Ends, began.Add(test.ends)) {
					t.Fatalf("got %+v, want from %v for %v", got, began, test.ends)
				}
				g.advance(got.Ends.Sub(g.now()) + time.Second)
				if got := g.sessionSeen(g.auth); got != nil {
					t.Errorf("after its end: got %+v", got)
				}
			})
		}
	})
}

// A shorter limit of a new configuration counts for sessions that exist.
func TestSessionEndsByTheConfigurationOfToday(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.login()
	for name, auth := range map[string]*core.Authenticator{"Lifetime": g.newAuth(lifetime(time.Hour)), "Idle": g.newAuth(idle(time.Hour))} {
		if got := g.sessionSeen(auth); got == nil || !near(got.Ends, g.now().Add(time.Hour)) {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// A renewal that the Store has not taken does not count.
func TestSessionThatCouldNotBeRenewed(t *testing.T) {
	t.Parallel()
	store := &refusingStore{memoryStore: newMemoryStore(), err: errors.New("the store is full")}
	g := newRig(t, idle(time.Hour), func(c *core.Config) { c.Sessions.Store = store })
	g.login()
	began := g.now()
	g.advance(30 * time.Minute)
	store.name = "__Host-pixy-session"
	if got := g.sessionSeen(g.auth); got == nil || !near(got.Ends, began.Add(time.Hour)) {
		t.Errorf("got %+v", got)
	}
}

func TestSessionSaysHowTheUserAuthenticated(t *testing.T) {
	t.Parallel()
	ago := time.Now().Add(-20 * time.Minute).Truncate(time.Second)
	for name, test := range map[string]struct {
		authTime any // claim
		acr      any
		want     core.Session
	}{
		"both":                 {ago.Unix(), "gold", core.Session{AuthTime: ago, ACR: "gold"}},
		"neither":              {nil, nil, core.Session{}},
		"auth_time is no time": {"yesterday", 7, core.Session{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			g.provider.Misbehave(logintest.Faults{IDToken: func(_, claims map[string]any) {
				delete(claims, "auth_time")
				delete(claims, "acr")
				if test.authTime != nil {
					claims["auth_time"], claims["acr"] = test.authTime, test.acr
				}
			}})
			g.login()
			if got := g.sessionSeen(g.auth); got == nil || !got.AuthTime.Equal(test.want.AuthTime) || got.ACR != test.want.ACR || got.AuthTime.IsZero() != test.want.AuthTime.IsZero() {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
	t.Run("a step-up", func(t *testing.T) {
		t.Parallel()
		v := newVault(t, golden)
		v.provider.User.AuthTime = v.now().Add(-time.Hour)
		v.login()
		first := v.sessionSeen(v.auth)
		v.advance(time.Minute)
		v.provider.User.ACR = []string{"gold"}
		v.provider.User.AuthTime = v.now()
		v.get(origin + "/vault")
		if second := v.sessionSeen(v.auth); second.ACR != "gold" || second.Began.Sub(first.Began) < time.Minute || !near(second.AuthTime, v.now()) {
			t.Errorf("got %+v after %+v", second, first)
		}
	})
}

func TestSessionOfNobody(t *testing.T) {
	t.Parallel()
	b := newTwin(t)
	anonymous := httptest.NewRequest("GET", origin+"/", nil)
	unguarded := b.request("ada")
	loaded, err := b.shop.LoadUser(httptest.NewRecorder(), anonymous)
	if err != nil {
		t.Fatal(err)
	}
	ofShop, err := b.shop.Authenticate(httptest.NewRecorder(), b.request("ada", "grace"))
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range map[string]*core.Session{
		"an anonymous request":   b.shop.Session(loaded),
		"no guard":               b.shop.Session(unguarded),
		"the guard of another":   b.staff.Session(ofShop),
		"an anonymous, no guard": b.shop.Session(anonymous),
	} {
		if got != nil {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	both, err := b.staff.Authenticate(httptest.NewRecorder(), ofShop)
	if err != nil || b.shop.Session(both) == nil || b.staff.Session(both) == nil {
		t.Errorf("two guards: got %v, %v, %v", b.shop.Session(both), b.staff.Session(both), err)
	}
}

// A test's user has a session, so that handlers that use it can be tested. Sessions of the
// application's own are its own.
func TestSessionOfATest(t *testing.T) {
	t.Parallel()
	user := &core.User{Issuer: issuer, Subject: "ada"}
	r := httptest.NewRequest("GET", origin+"/", nil)
	r = r.WithContext(core.ContextWithUser(r.Context(), user))
	for name, test := range map[string]struct {
		change func(*core.Config)
		ends   time.Duration
	}{
		"Lifetime": {lifetime(2 * time.Hour), 2 * time.Hour},
		"Idle":     {idle(time.Hour), time.Hour},
	} {
		g := newRig(t, test.change)
		if got := g.auth.Session(r); got == nil || !near(got.Began, g.now()) || !near(got.Ends, g.now().Add(test.ends)) || !got.AuthTime.IsZero() || got.ACR != "" {
			t.Errorf("%s: got %+v", name, got)
		}
	}
	if got := newOwnApp(t).auth.Session(r); got != nil {
		t.Errorf("with Sessions.Own: got %+v", got)
	}
}
