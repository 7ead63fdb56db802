package core_test

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

func TestAttemptsNeverRepeat(t *testing.T) {
	t.Parallel()
	t.Run("rules 4, 5: a verifier, a state and a nonce of 32 bytes each, none twice in a thousand logins", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		seen := make(map[string]bool)
		for range 1000 {
			g.browser.Forget("", "")
			page := g.visit(origin + "/auth/login")
			to, err := url.Parse(page.Header.Get("Location"))
			if err != nil {
				t.Fatal(err)
			}
			cookie := (&http.Response{Header: page.Header}).Cookies()[0]
			verifier := g.auth.AttemptVerifier(cookie.Name, cookie.Value)
			raw, err := base64.RawURLEncoding.DecodeString(verifier)
			if err != nil || len(raw) != 32 {
				t.Fatalf("the verifier is not 32 bytes: %q", verifier)
			}
			for _, value := range []string{verifier, to.Query().Get("state"), to.Query().Get("nonce"), to.Query().Get("code_challenge")} {
				if seen[value] {
					t.Fatalf("%q comes twice", value)
				}
				seen[value] = true
			}
		}
	})
}

// One record for each tab: with one for each browser, tabs break each other.
func TestEightTabsAtTheSameInstantAllLogIn(t *testing.T) {
	t.Parallel()
	t.Run("rules 5, 108: each tab has its own", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		callbacks := make([]*url.URL, 8)
		var tabs sync.WaitGroup
		for i := range callbacks {
			tabs.Go(func() {
				callbacks[i] = follow(t, g.browser, fmt.Sprintf("%s/auth/login?return_to=/tab/%d", origin, i))
			})
		}
		tabs.Wait()
		for i, callback := range callbacks {
			tabs.Go(func() {
				page, err := g.browser.Visit(callback.String())
				if err != nil {
					t.Error(err)
					return
				}
				if got, want := page.Header.Get("Location"), fmt.Sprintf("/tab/%d", i); got != want {
					t.Errorf("tab %d: got %d to %q, want %q", i, page.Status, got, want)
				}
			})
		}
		tabs.Wait()
		if got := g.logins.Load(); got != 8 {
			t.Errorf("got %d logins, want 8", got)
		}
		if left := g.cookiesNamed("__Host-pixy-login-"); len(left) != 0 {
			t.Errorf("%d attempts are left", len(left))
		}
	})
}

func TestAbandonedLoginsStayBounded(t *testing.T) {
	t.Parallel()
	for _, returnTo := range []string{"/me", "/" + strings.Repeat("a", 1000), "/" + strings.Repeat("a", 2047)} {
		t.Run(fmt.Sprintf("rule 108: return-to of %d bytes", len(returnTo)), func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			for range 200 {
				g.visit(origin + "/auth/login?return_to=" + returnTo)
			}
			size := 0
			for _, cookie := range g.browser.Cookies(origin) {
				size += len(cookie.Name) + len(cookie.Value) + len("=; ")
			}
			if size > 5<<10 {
				t.Errorf("%d bytes of cookies are left", size)
			}
			if got := len(g.cookiesNamed("__Host-pixy-login-")); got > 8 {
				t.Errorf("%d attempts are left", got)
			}
			g.login()
		})
	}
}

// A browser that is started restores its tabs at once: no request has the attempts of
// the others.
func TestTabsRestoredAtOnce(t *testing.T) {
	t.Parallel()
	for _, tabs := range []int{8, 20, 40} {
		for _, length := range []int{10, 1000, 2000} {
			for _, next := range []string{"callback", "login"} {
				t.Run(fmt.Sprintf("rule 108: %d tabs, addresses of %d bytes, then a %s", tabs, length, next), func(t *testing.T) {
					t.Parallel()
					g := newRig(t)
					var to string
					for range tabs {
						w := httptest.NewRecorder()
						g.advance(time.Second)
						g.app(g.auth).ServeHTTP(w, httptest.NewRequest("GET", origin+"/auth/login?return_to=/"+strings.Repeat("a", length-1), nil))
						to = w.Header().Get("Location")
						g.apply(w)
					}
					if got := len(g.cookiesNamed("__Host-pixy-login-")); got != tabs {
						t.Fatalf("%d attempts, want %d", got, tabs)
					}
					size := 0
					for _, cookie := range g.cookiesNamed("__Host-") {
						size += len(cookie.Name) + len(cookie.Value)
					}
					if size > 3<<10+400*tabs {
						t.Errorf("%d bytes of cookies, before anything follows", size)
					}
					if next == "login" {
						g.visit(origin + "/auth/login")
					} else if got, want := g.visit(follow(t, g.browser, to).String()).Header.Get("Location"), "/"+strings.Repeat("a", length-1); got != want {
						t.Errorf("the last tab ends at %.30q", got)
					}
					left := g.cookiesNamed("__Host-pixy-login-")
					size = 0
					for _, cookie := range append(left, g.cookiesNamed("__Host-pixy-return")...) {
						size += len(cookie.Name) + len(cookie.Value)
					}
					if want := min(8, tabs-1); tabs <= 32 && (len(left) > 8 || size > 4<<10 || length == 10 && next == "callback" && len(left) != want) {
						t.Errorf("%d attempts are left, %d bytes", len(left), size)
					}
					g.browser.Forget(origin, "__Host-pixy-session")
					g.login()
					if got := len(g.cookiesNamed("__Host-pixy-login-")); got > 8 {
						t.Errorf("after another login, %d attempts are left", got)
					}
				})
			}
		}
	}
}

// Long addresses share one cookie only where there is no room, or no knowing of it.
func TestLongAddressesOfSeveralTabs(t *testing.T) {
	t.Parallel()
	page := func(tab, length int) string {
		return fmt.Sprintf("/%d/%s", tab, strings.Repeat("a", length-3))
	}
	for _, row := range []struct {
		name   string
		length int
		atOnce bool
		want   []bool // whether each tab comes back to its page; the others end at Home
	}{
		{"256 bytes, at once", 256, true, []bool{true, true, true}},
		{"257 bytes, at once", 257, true, []bool{false, false, true}},
		{"700 bytes, one after another", 700, false, []bool{true, true}},
		{"2000 bytes, one after another", 2000, false, []bool{false, true}},
	} {
		t.Run("rule 108: "+row.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			var answers []*httptest.ResponseRecorder
			for tab := range row.want {
				g.advance(time.Second)
				w := g.again(origin + "/auth/login?return_to=" + page(tab, row.length))(g.auth)
				if answers = append(answers, w); !row.atOnce {
					g.apply(w)
				}
			}
			for _, w := range answers {
				if row.atOnce {
					g.apply(w)
				}
			}
			for tab, comesBack := range row.want {
				want := "/"
				if comesBack {
					want = page(tab, row.length)
				}
				callback := follow(t, g.browser, answers[tab].Header().Get("Location"))
				if got := g.visit(callback.String()).Header.Get("Location"); got != want {
					t.Errorf("tab %d ends at %.30s, want %.30s", tab, got, want)
				}
				if got := g.whoAmI(); got != "I am ada" {
					t.Errorf("tab %d: %q is logged in", tab, got)
				}
			}
			if left := len(g.cookiesNamed("__Host-pixy-return")); left != 0 {
				t.Errorf("%d addresses are left", left)
			}
		})
	}
}

func TestTheOldestAttemptGoesFirst(t *testing.T) {
	t.Parallel()
	t.Run("rule 108: of thirty tabs the last eight log in", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		var callbacks []*url.URL
		for i := range 30 {
			g.advance(time.Second)
			callbacks = append(callbacks, follow(t, g.browser, fmt.Sprintf("%s/auth/login?return_to=/tab/%d", origin, i)))
		}
		for i, callback := range callbacks[22:] {
			if got, want := g.visit(callback.String()).Header.Get("Location"), fmt.Sprintf("/tab/%d", 22+i); got != want {
				t.Errorf("got to %q, want %q", got, want)
			}
		}
		g.browser.Forget(origin, "__Host-pixy-session")
		if page := g.visit(callbacks[21].String()); !strings.HasPrefix(page.Header.Get("Location"), issuer) {
			t.Errorf("the one before should begin anew: %d to %q", page.Status, page.Header.Get("Location"))
		}
	})
}

// Without a source of randomness Go ends the program; nothing guessable is sent.
func TestNoLoginWithoutRandomness(t *testing.T) {
	t.Parallel()
	const child = "PIXY_TEST_WITHOUT_RANDOMNESS"
	if os.Getenv(child) != "" {
		g := newRig(t)
		g.visit(origin + "/auth/login") // the metadata is known now
		rand.Reader = iotest.ErrReader(errors.New("no randomness"))
		page := g.visit(origin + "/auth/login")
		fmt.Println("sent to", page.Header.Get("Location"))
		return
	}
	t.Run("rule 4: no login without randomness", func(t *testing.T) {
		t.Parallel()
		command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNoLoginWithoutRandomness$")
		command.Env = append(os.Environ(), child+"=1")
		output, err := command.CombinedOutput()
		if err == nil || !strings.Contains(string(output), "no randomness") || strings.Contains(string(output), "sent to") {
			t.Errorf("got %v: %s", err, output)
		}
	})
}

// Replicas, a restart, and a key that is being rotated.
func TestALoginEndsOnAnotherProcess(t *testing.T) {
	t.Parallel()
	newKey := []byte("another key of thirty-two bytes!")
	for _, test := range []struct {
		name  string
		other func(*core.Config)
		works bool
	}{
		{"same key", func(*core.Config) {}, true},
		{"key rotated meanwhile", func(c *core.Config) { c.SessionKey, c.Sessions.OldKeys = newKey, [][]byte{sessionKey} }, true},
		{"another key", func(c *core.Config) { c.SessionKey = newKey }, false},
		{"rule 5: another client", func(c *core.Config) { c.Providers[0].ClientID = "app2" }, false},
		{"rules 25, 26, 47: another provider", func(c *core.Config) { c.Providers[0].Issuer = "https://other.example.test" }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			callback := g.toCallback()
			g.browser.Serve(origin, g.app(g.newAuth(test.other)))
			page := g.visit(callback.String())
			if got := page.Header.Get("Location") == "/me"; got != test.works {
				t.Fatalf("got %d to %q", page.Status, page.Header.Get("Location"))
			}
			if !test.works {
				if got := g.provider.Count(logintest.Token); got != 0 {
					t.Errorf("%d token requests", got)
				}
				return
			}
			if got := g.whoAmI(); got != "I am ada" {
				t.Errorf("the session does not open: %q", got)
			}
			if test.name == "same key" {
				g.browser.Serve(origin, g.app(g.newAuth()))
				if got := g.whoAmI(); got != "I am ada" {
					t.Errorf("the session does not survive a restart: %q", got)
				}
			}
		})
	}
}

// What is no attempt of this browser.
func TestCallbackWithoutItsAttemptStartsNothing(t *testing.T) {
	t.Parallel()
	state := func(values ...string) func(*rig, url.Values) {
		return func(_ *rig, query url.Values) { query["state"] = values }
	}
	// cookie changes the value of the attempt's cookie.
	cookie := func(change func(g *rig, name, value string) string) func(*rig, url.Values) {
		return func(g *rig, query url.Values) {
			name := g.auth.AttemptCookie(query.Get("state"))
			for _, c := range g.browser.Cookies(origin) {
				if c.Name == name {
					g.browser.SetCookie(origin, &http.Cookie{Name: name, Value: change(g, name, c.Value), Path: "/", Secure: true})
					return
				}
			}
			g.t.Fatal("no cookie for the attempt")
		}
	}
	for _, test := range []struct {
		name   string
		change func(*rig, url.Values)
	}{
		{"rule 21: state missing", func(_ *rig, q url.Values) { q.Del("state") }},
		{"rule 21: state empty", state("")},
		{"rule 21: state of nobody", state(strings.Repeat("A", 43))},
		{"rule 21: state cut short", func(_ *rig, q url.Values) { q.Set("state", q.Get("state")[:42]) }},
		{"rule 21: state longer", func(_ *rig, q url.Values) { q.Set("state", q.Get("state")+"A") }},
		{"rule 33: state twice", func(_ *rig, q url.Values) { q.Add("state", q.Get("state")) }},
		{"rule 11: cookie cut short", cookie(func(_ *rig, _, v string) string { return v[:len(v)-2] })},
		{"rule 11: cookie tampered with", cookie(func(_ *rig, _, v string) string { return v[:40] + flip(v[40]) + v[41:] })},
		{"rule 106: cookie empty", cookie(func(*rig, string, string) string { return "" })},
		{"rule 11: cookie of another attempt", cookie(func(g *rig, name, _ string) string {
			other := g.toCallback().Query().Get("state")
			for _, c := range g.browser.Cookies(origin) {
				if c.Name == g.auth.AttemptCookie(other) {
					return c.Value
				}
			}
			return ""
		})},
		{"rule 11: record of another state under the right name", cookie(func(g *rig, name, _ string) string {
			other := g.auth.AttemptCookie(g.toCallback().Query().Get("state"))
			for _, c := range g.browser.Cookies(origin) {
				if c.Name == other {
					record, _ := g.auth.OpenAttempt(other, c.Value)
					return g.auth.SealAttempt(name, record)
				}
			}
			return ""
		})},
		{"record that is none", cookie(func(g *rig, name, _ string) string { return g.auth.SealAttempt(name, []byte("\x01")) })},
		{"rule 11: a session as an attempt", cookie(func(g *rig, _, _ string) string { return g.auth.SealSession([]byte("\x01")) })},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			callback := g.toCallback()
			query := callback.Query()
			test.change(g, query)
			page := g.visit(callbackURL + "?" + query.Encode())
			if page.Status != 303 && page.Status != 400 || page.Header.Get("Location") == "/me" || setsSession(page.Header) {
				t.Errorf("got %d to %q", page.Status, page.Header.Get("Location"))
			}
			if got := g.provider.Count(logintest.Token) + int(g.logins.Load()); got != 0 {
				t.Errorf("%d token requests and logins", got)
			}
		})
	}
}
