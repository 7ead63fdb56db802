package core_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

func TestAnyGorillaStoreCarriesSessions(t *testing.T) {
	t.Parallel()
	for name, newStore := range map[string]func(t *testing.T) sessions.Store{
		"memory":                           func(*testing.T) sessions.Store { return newMemoryStore() },
		"one that asks the cookie for ids": func(*testing.T) sessions.Store { return thriftyStore{newMemoryStore()} },
		"gorilla's cookies": func(*testing.T) sessions.Store {
			return sessions.NewCookieStore([]byte("gorilla-auth-key"))
		},
		"gorilla's files": func(t *testing.T) sessions.Store {
			return sessions.NewFilesystemStore(t.TempDir(), []byte("gorilla-auth-key"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := newStore(t)
			g := newRig(t, func(c *core.Config) { c.Sessions.Store, c.Sessions.Idle = store, 20*time.Minute })
			callback := g.toCallback()
			page := g.visit(callback.String())
			seen := make(map[string]int)
			for _, c := range (&http.Response{Header: page.Header}).Cookies() {
				if seen[c.Name]++; seen[c.Name] > 1 {
					t.Errorf("%s is set twice", c.Name)
				}
				if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode {
					t.Errorf("got %v", c)
				}
			}
			if got := g.whoAmI(); got != "I am ada" {
				t.Fatalf("got %q", got)
			}

			first := g.cookiesNamed("__Host-pixy-session")[0].Value
			g.visit(g.toCallback().String()) // logs in once more
			if got := g.cookiesNamed("__Host-pixy-session")[0].Value; got == first {
				t.Error("the session id did not change at login")
			}
			if name != "gorilla's cookies" { // which have no server to forget them
				if got := openWith(g, first); !errors.Is(got, core.ErrNoSession) {
					t.Errorf("the former session is still good: %v", got)
				}
			}

			g.advance(19 * time.Minute)
			if page := g.fetch("GET", origin+"/me"); page.Status != 200 || !setsSession(page.Header) {
				t.Errorf("not renewed: %d", page.Status)
			}
			second := g.cookiesNamed("__Host-pixy-session")[0].Value
			if page, err := g.browser.Post(origin+"/auth/logout", nil); err != nil || page.Status != 200 {
				t.Fatalf("logout: %v %v", page, err)
			}
			if got := g.whoAmI(); got != "" {
				t.Errorf("after logout: %q", got)
			}
			if name != "gorilla's cookies" {
				if got := openWith(g, second); !errors.Is(got, core.ErrNoSession) {
					t.Errorf("a copy of the cookie outlives the logout: %v", got)
				}
			}
			g.login()
		})
	}
}

func openWith(g *rig, cookie string) error {
	r := httptest.NewRequest("GET", origin+"/me", nil)
	r.Header.Set("Cookie", "__Host-pixy-session="+cookie)
	_, err := g.auth.Authenticate(httptest.NewRecorder(), r)
	return err
}

// What lies in the store is useless to whoever reads it.
func TestStoresSeeSealedSessionsOnly(t *testing.T) {
	t.Parallel()
	t.Run("rules 101, 103: the dump of a store", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		g := newRig(t, func(c *core.Config) { c.Sessions.Store = sessions.NewFilesystemStore(dir, []byte("gorilla-auth-key")) })
		g.login()
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(files) != 1 {
			t.Fatalf("got %v %v", files, err)
		}
		content, err := os.ReadFile(files[0])
		if err != nil {
			t.Fatal(err)
		}
		values := make(map[any]any)
		if err := securecookie.DecodeMulti("__Host-pixy-session", string(content), &values, securecookie.CodecsFromPairs([]byte("gorilla-auth-key"))...); err != nil {
			t.Fatal(err)
		}
		sealed, ok := values["pixy"].(string)
		if len(values) != 1 || !ok || strings.Contains(sealed, "ada") {
			t.Errorf("the store sees %v", values)
		}
		id, ok := strings.CutPrefix(filepath.Base(files[0]), "session_")
		if !ok || len(id) < 26 { // 128 bits in base32
			t.Errorf("the id is %q", id)
		}
		for _, value := range []string{id, sealed, string(content), "1" + sealed} {
			if err := openWith(g, value); !errors.Is(err, core.ErrNoSession) {
				t.Errorf("%.20q logs in: %v", value, err)
			}
		}
	})
}

// A request without a session never reaches the store.
func TestStrangersCostTheStoreNothing(t *testing.T) {
	t.Parallel()
	store := newMemoryStore()
	g := newRig(t, func(c *core.Config) { c.Sessions.Store = store })
	for range 20 {
		g.fetch("GET", origin+"/me")
		g.visit(origin + "/auth/login")
		g.visit(callbackURL + "?code=x&state=y")
		if _, err := g.browser.Post(origin+"/auth/logout", nil); err != nil {
			t.Fatal(err)
		}
	}
	if reads, writes, _ := store.counts(); reads != 0 || writes != 0 {
		t.Errorf("%d reads and %d writes for strangers", reads, writes)
	}
	g.browser.SetCookie(origin, &http.Cookie{Name: "__Host-pixy-session", Value: "forged", Path: "/", Secure: true})
	if got := g.whoAmI(); got != "" {
		t.Errorf("a forged cookie is %q", got)
	}
	if _, err := g.browser.Post(origin+"/auth/logout", nil); err != nil {
		t.Fatal(err)
	}
	if _, writes, _ := store.counts(); writes != 0 {
		t.Errorf("%d writes for a forged cookie", writes)
	}
	if left := g.cookiesNamed("__Host-pixy-session"); len(left) != 0 {
		t.Error("the forged cookie survives a logout")
	}
	g.login()
	if _, _, kept := store.counts(); kept != 1 {
		t.Errorf("the store keeps %d sessions, want 1", kept)
	}
}

func TestAStoreThatIsDownLogsNobodyInOrOut(t *testing.T) {
	t.Parallel()
	store := newMemoryStore()
	g := newRig(t, func(c *core.Config) { c.Sessions.Store = store })
	g.login()
	callback := g.toCallback()
	store.fail(errors.New("connection refused"))

	page := g.fetch("GET", origin+"/me")
	if page.Status != 503 || page.Header.Get("Retry-After") == "" || !strings.Contains(string(page.Body), "store_unavailable") {
		t.Errorf("guard: got %d %s", page.Status, page.Body)
	}
	page = g.get(callback.String())
	if page.Status != 503 || setsSession(page.Header) {
		t.Errorf("callback: got %d", page.Status)
	}
	page, err := g.browser.Post(origin+"/auth/logout", nil)
	if err != nil || page.Status != 503 {
		t.Errorf("logout: got %v %v", page, err)
	}
	if strings.Contains(string(page.Body), "refused") {
		t.Error("the page shows the store's error")
	}
	store.fail(nil)
	if got := g.whoAmI(); got != "I am ada" {
		t.Errorf("when it is back: %q", got)
	}

	// A stranger notices nothing until their login ends.
	g.browser.Forget("", "")
	store.fail(errors.New("connection refused"))
	if got := g.whoAmI(); got != "" {
		t.Errorf("a stranger is %q", got)
	}
	if page := g.get(g.toCallback().String()); page.Status != 503 || setsSession(page.Header) {
		t.Errorf("a stranger's callback: got %d", page.Status)
	}

	// A server's socket that is gone is no session that has ended.
	store.fail(&net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.ENOENT)})
	g.browser.SetCookie(origin, &http.Cookie{Name: "__Host-pixy-session", Value: "x", Path: "/", Secure: true})
	if page := g.fetch("GET", origin+"/me"); page.Status != 503 {
		t.Errorf("a socket that is gone: got %d", page.Status)
	}

	store.fail(nil)
	store.nobody = true
	g.browser.SetCookie(origin, &http.Cookie{Name: "__Host-pixy-session", Value: "x", Path: "/", Secure: true})
	if page := g.fetch("GET", origin+"/me"); page.Status != 503 {
		t.Errorf("a store that returns no session: got %d", page.Status)
	}
}

// gorilla's own cookies have a limit too: the login fails, and says so.
func TestAStoreThatIsTooSmall(t *testing.T) {
	t.Parallel()
	g := newRig(t, func(c *core.Config) { c.Sessions.Store = sessions.NewCookieStore([]byte("gorilla-auth-key")) })
	g.provider.User = logintest.User{Subject: "ada", Claims: map[string]any{"groups": noise(5000)}}
	page := g.get(origin + "/me")
	if page.Status != 500 || !strings.Contains(string(page.Body), "session_too_large") || setsSession(page.Header) {
		t.Errorf("got %d: %s", page.Status, page.Body)
	}
	if log := g.log.String(); !strings.Contains(log, "too large for the store") || !strings.Contains(log, "Sessions.Claims") {
		t.Errorf("the log does not say why, and what to do: %s", log)
	}
}

// A cookie that no store understands is a stranger's, whatever is wrong with it.
func TestCookiesThatNoStoreUnderstands(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]sessions.Store{
		"memory":  newMemoryStore(),
		"cookies": sessions.NewCookieStore([]byte("gorilla-auth-key"), nil, []byte("a former gorilla key"), nil),
		"files":   sessions.NewFilesystemStore(t.TempDir(), []byte("gorilla-auth-key")),
	} {
		g := newRig(t, func(c *core.Config) { c.Sessions.Store = store })
		g.login()
		good := g.cookiesNamed("__Host-pixy-session")[0].Value
		for _, value := range []string{"", "x", good[:len(good)-4], good + "A", flip(good[0]) + good[1:], strings.Repeat("A", 8000)} {
			if err := openWith(g, value); !errors.Is(err, core.ErrNoSession) {
				t.Errorf("%s, %.20q: got %v", name, value, err)
			}
		}
		if err := openWith(g, good); err != nil {
			t.Errorf("%s, the good one: got %v", name, err)
		}
	}
}

// The page that says so must not hold the callback's URL, which has a code.
func TestACallbackThatFindsTheStoreDownLeadsToTheLogin(t *testing.T) {
	t.Parallel()
	store := newMemoryStore()
	g := newRig(t, func(c *core.Config) { c.Sessions.Store = store })
	g.login()
	callback := g.toCallback()
	for _, c := range g.cookiesNamed("__Host-pixy-login-") {
		g.browser.Forget(origin, c.Name)
	}
	store.fail(errors.New("down"))
	page := g.get(callback.String())
	body := string(page.Body)
	if page.Status != http.StatusServiceUnavailable || strings.Contains(body, callback.Query().Get("code")) || !strings.Contains(body, `href="/auth/login"`) {
		t.Errorf("got %d: %s", page.Status, body)
	}
}
