package core_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

func allow(f func(*core.User) bool) core.Requirement { return core.Requirement{Allow: f} }

func auditors(u *core.User) bool { return u.Has("roles", "auditor") }

// A guard asks Allow, and nothing but true opens the page. Nobody is sent to log in, and
// the session goes on.
func TestAllow(t *testing.T) {
	t.Parallel()
	var none map[string]bool
	for _, test := range []struct {
		name   string
		need   core.Requirement
		roles  []string
		opens  bool
		logged string // beside the code; "": nothing is logged
	}{
		{name: "nothing is needed", opens: true},
		{name: "a role that the user has", need: allow(auditors), roles: []string{"user", "auditor"}, opens: true},
		{name: "a role that the user has not", need: allow(auditors), roles: []string{"user"}, logged: `"INFO"`},
		{name: "a role, and the user has none", need: allow(auditors), logged: `"INFO"`},
		{name: "a user by name", need: allow(func(u *core.User) bool { return u.Subject == "ada" && u.Issuer == issuer }), opens: true},
		{name: "true after a panic of its own", opens: true, need: allow(func(*core.User) bool {
			func() { defer func() { _ = recover() }(); panic("caught") }()
			return true
		})},
		{name: "a panic", need: allow(func(*core.User) bool { panic("no such table") }), logged: "Allow panicked: no such table"},
		{name: "a panic with an error", need: allow(func(*core.User) bool { panic(errors.New("no such row")) }), logged: "Allow panicked: no such row"},
		{name: "a panic with nil", need: allow(func(*core.User) bool { panic(nil) }), logged: "Allow panicked: panic called with nil"},
		{name: "a panic of the runtime", need: allow(func(u *core.User) bool { none[u.Subject] = true; return true }), logged: "assignment to entry in nil map"},
		{name: "a panic that net/http would not log", need: allow(func(*core.User) bool { panic(http.ErrAbortHandler) }), logged: "Allow panicked: net/http: abort"},
		{name: "a login that is good enough, of a user who is not", need: core.Requirement{MaxAge: fiveMinutes, ACR: []string{"gold"}, Allow: auditors}, logged: `"INFO"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v := newVault(t, test.need)
			v.provider.User = logintest.User{Subject: "ada", ACR: []string{"gold"}, Claims: map[string]any{"roles": test.roles}}
			v.login()
			begun, session := v.began(), v.cookiesNamed("__Host-pixy-session")[0].Value
			page, script := v.get(origin+"/vault"), v.fetch("GET", origin+"/vault")
			if test.opens {
				if string(page.Body) != "the vault of ada" || v.ran.Load() != 2 || v.log.String() != "" {
					t.Errorf("got %d, logged %s: %s", page.Status, v.log.String(), page.Body)
				}
				return
			}
			if page.Status != 403 || page.URL != origin+"/vault" || v.ran.Load() != 0 {
				t.Fatalf("got %d at %s after %d calls", page.Status, page.URL, v.ran.Load())
			}
			body := string(page.Body)
			if !strings.Contains(body, "your account may not open this page") || strings.Count(body, "<a ") != 1 || !strings.Contains(body, ">Home</a>") {
				t.Errorf("got %s", body)
			}
			if script.Status != 403 || codeIn(t, script.Body) != "not_allowed" || strings.Contains(string(script.Body), "login_url") {
				t.Errorf("a script gets %d: %s", script.Status, script.Body)
			}
			for _, answer := range []*logintest.Page{page, script} {
				if answer.Header["Set-Cookie"] != nil || answer.Header.Get("Cache-Control") != "no-store" || strings.Contains(string(answer.Body), "panicked") {
					t.Errorf("got %v: %s", answer.Header, answer.Body)
				}
			}
			if got := v.cookiesNamed("__Host-pixy-session")[0].Value; v.began() != begun || got != session || v.whoAmI() != "I am ada" {
				t.Error("the session does not go on, or another login begins")
			}
			if log := v.log.String(); strings.Count(log, `"code":"not_allowed"`) != 2 || !strings.Contains(log, test.logged) {
				t.Errorf("logged %s", log)
			} else if panics := test.logged != `"INFO"`; panics != strings.Contains(log, `"WARN"`) || panics != strings.Contains(log, "allow_test.go") {
				t.Errorf("a panic must be at Warn, with its place: logged %s", log)
			}
		})
	}
}

// Allow runs after the login has been found good enough, once for each guard.
func TestAllowComesLast(t *testing.T) {
	t.Parallel()
	var asked []string
	asking := func(name string, need core.Requirement, says bool) core.Requirement {
		need.Allow = func(u *core.User) bool {
			asked = append(asked, name+" of "+u.Subject)
			return says
		}
		return need
	}
	v := newVault(t, asking("golden", golden, true))
	v.open("/both", asking("outer", core.Requirement{}, true), asking("inner", core.Requirement{}, true))
	v.open("/inner", asking("outer", core.Requirement{}, true), asking("inner", core.Requirement{}, false), asking("never", core.Requirement{}, true))
	v.open("/outer", asking("outer", core.Requirement{}, false), asking("never", core.Requirement{}, true))
	v.login()
	if v.asked(origin+"/vault") == nil || len(asked) != 0 {
		t.Errorf("a login that is too weak: asked %q", asked)
	}
	for path, want := range map[string]struct {
		status int
		asked  string
	}{
		"/both":  {200, "outer of ada, inner of ada"},
		"/inner": {403, "outer of ada, inner of ada"},
		"/outer": {403, "outer of ada"},
	} {
		asked = nil
		if page := v.get(origin + path); page.Status != want.status || strings.Join(asked, ", ") != want.asked {
			t.Errorf("%s: got %d, asked %q", path, page.Status, asked)
		}
	}
}

// A login is neither asked for, nor asked to prove, what Allow decides.
func TestAllowIsNoPartOfALogin(t *testing.T) {
	t.Parallel()
	t.Run("an anonymous request", func(t *testing.T) {
		t.Parallel()
		v := newVault(t, allow(func(*core.User) bool { t.Error("asked about nobody"); return true }))
		if script := v.fetch("GET", origin+"/vault"); script.Status != 401 || strings.Contains(string(script.Body), "with=") {
			t.Errorf("got %d: %s", script.Status, script.Body)
		}
		got := v.asked(origin + "/vault")
		if got == nil || got.Has("max_age") || got.Has("acr_values") || got.Has("prompt") {
			t.Errorf("asks for %v", got)
		}
	})
	t.Run("an anonymous request, and a class", func(t *testing.T) {
		t.Parallel()
		v := newVault(t, core.Requirement{ACR: []string{"gold"}, Allow: auditors})
		if got := v.asked(origin + "/vault"); got.Get("acr_values") != "gold" {
			t.Errorf("asks for %v", got)
		}
		v.provider.User.ACR = []string{"gold"}
		if page := v.get(origin + "/vault"); page.Status != 403 || !strings.Contains(string(page.Body), "not_allowed") {
			t.Errorf("got %d: %s", page.Status, page.Body)
		}
	})
	t.Run("a provider without OpenID Connect", func(t *testing.T) {
		t.Parallel()
		v := newVault(t, allow(func(u *core.User) bool { return u.Subject == "ada" }), plainOAuth2)
		if page := v.get(origin + "/vault"); string(page.Body) != "the vault of ada" {
			t.Errorf("got %d: %s", page.Status, page.Body)
		}
	})
	t.Run("LoginWith", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.handle("/with", func(w http.ResponseWriter, r *http.Request) error {
			return g.auth.LoginWith(w, r, core.LoginOptions{Require: allow(func(*core.User) bool { t.Error("asked"); return true })})
		})
		if page := g.get(origin + "/with"); page.Status != 500 || g.began() != 0 || !strings.Contains(g.log.String(), "LoginOptions.Require.Allow is set") {
			t.Errorf("got %d, logged %s", page.Status, g.log.String())
		}
	})
}

// A test's user is a user: otherwise no test of roles could fail.
func TestAllowChecksATestsUser(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	for role, allowed := range map[string]bool{"auditor": true, "user": false} {
		user, err := core.NewUser(issuer, map[string]any{"sub": "ada", "roles": role})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest("GET", origin+"/vault", nil)
		r = r.WithContext(core.ContextWithUser(r.Context(), user))
		w := httptest.NewRecorder()
		passed, err := g.auth.AuthenticateFor(w, r, core.Requirement{MaxAge: fiveMinutes, Allow: auditors})
		if failure := new(core.Error); allowed != (err == nil) || !allowed && (!errors.As(err, &failure) || failure.Status != 403 ||
			failure.Code != "not_allowed" || failure.LoginURL() != "" || !errors.Is(err, core.ErrRefused)) {
			t.Errorf("%s: got %v", role, err)
		}
		if passed != r || len(w.Result().Cookies()) != 0 {
			t.Errorf("%s: the request is changed", role)
		}
	}
}

// The guard of one Authenticator asks about its own user.
func TestAllowAsksAboutTheGuardsOwnUser(t *testing.T) {
	t.Parallel()
	b := newTwin(t)
	r := b.request("ada", "grace")
	var err error
	for _, step := range []struct {
		auth *core.Authenticator
		who  string
	}{{b.shop, "ada"}, {b.staff, "grace"}, {b.shop, "ada"}} {
		if r, err = step.auth.AuthenticateFor(httptest.NewRecorder(), r, allow(func(u *core.User) bool { return u.Subject == step.who })); err != nil {
			t.Errorf("the guard of %s: %v", step.who, err)
		}
	}
}

// One Requirement serves requests at the same time.
func TestAllowForManyAtOnce(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.provider.User = logintest.User{Subject: "ada", Claims: map[string]any{"roles": "auditor"}}
	g.login()
	need := allow(auditors)
	done := make(chan error)
	for range 8 {
		go func() {
			r := httptest.NewRequest("GET", origin+"/vault", nil)
			for _, c := range g.browser.Cookies(origin) {
				r.AddCookie(c)
			}
			_, err := g.auth.AuthenticateFor(httptest.NewRecorder(), r, need)
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// With several providers, the log names the one that the user has logged in with.
func TestAllowLogsTheProvider(t *testing.T) {
	t.Parallel()
	v := newVault(t, allow(auditors), func(c *core.Config) {
		c.Providers = append(c.Providers, core.Provider{Name: "Other", Issuer: "https://other.example.test", ClientID: "app"})
	})
	page := v.get(origin + "/auth/login?provider=id.example.test&return_to=/vault")
	if page.Status != 403 || !strings.Contains(v.log.String(), `"issuer":"`+issuer+`"`) {
		t.Errorf("got %d, logged %s", page.Status, v.log.String())
	}
}
