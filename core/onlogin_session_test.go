package core_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/sessions"
	"golang.org/x/oauth2"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// showData serves what the session keeps at /data, and a page that needs a recent login at
// /vault.
func (g *rig) showData() {
	show := func(need core.Requirement) core.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) error {
			r, err := g.auth.AuthenticateFor(w, r, need)
			if err != nil {
				return g.auth.Challenge(w, r, err)
			}
			fmt.Fprint(w, "<", g.auth.User(r).Data, ">")
			return nil
		}
	}
	g.handle("/data", show(core.Requirement{}))
	g.handle("/vault", show(recent))
}

// data is what a script sees at /data, or the code of a failure.
func (g *rig) data() string {
	g.t.Helper()
	page := g.fetch("GET", origin+"/data")
	if page.Status != http.StatusOK {
		return codeIn(g.t, page.Body)
	}
	return string(page.Body)
}

func TestOnLoginKeepsData(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		logins := 0
		g := newTokenRig(t, vault, idle(4*time.Hour), deciding(func(login *core.Login) {
			if login.Data != "" || login.User.Data != "" {
				t.Errorf("OnLogin sees data: %q, %q", login.Data, login.User.Data)
			}
			logins++
			login.Data, login.User.Data = fmt.Sprintf("account %d \x00\xff\"", logins), "of the user"
		}))
		g.showData()
		g.login()
		const first, second = "<account 1 \x00\xff\">", "<account 2 \x00\xff\">"
		for range 6 { // renewals, and refreshes of the tokens
			if got := g.data(); got != first {
				t.Fatalf("got %q", got)
			}
			g.advance(90 * time.Minute)
		}
		if g.provider.Refreshes() == 0 {
			t.Error("nothing was refreshed")
		}
		if page := g.get(origin + "/vault"); string(page.Body) != second {
			t.Errorf("a step-up is a new login, and keeps %q", page.Body)
		}
		if got := g.data(); got != second {
			t.Errorf("got %q", got)
		}
		user, err := core.NewUser(issuer, map[string]any{"sub": "ada", "data": "x", "Data": "x"})
		if err != nil || user.Data != "" {
			t.Errorf("NewUser has %q, %v", user.Data, err)
		}
		if strings.Contains(g.log.String(), "account") {
			t.Errorf("logged %s", g.log.String())
		}
	})
}

// What OnLogin cannot decide fails the login, and the session before it goes on.
func TestOnLoginDecidesWhatCannotBe(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		decide func(*core.Login)
		code   string // "": the login succeeds
		log    string
	}{
		{name: "data of 1 KB", decide: func(l *core.Login) { l.Data = strings.Repeat("d", 1<<10) }},
		{name: "data of more", decide: func(l *core.Login) { l.Data = strings.Repeat("d", 1<<10+1) }, code: "data_too_large", log: "Login.Data has 1025 bytes; the limit is 1024"},
		{name: "a second", decide: func(l *core.Login) { l.Lifetime = time.Second }},
		{name: "less than a second", decide: func(l *core.Login) { l.Lifetime = time.Second - 1 }, code: "internal_error", log: "Login.Lifetime is 999.999999ms; give a second or more"},
		{name: "a nanosecond", decide: func(l *core.Login) { l.Lifetime = 1 }, code: "internal_error", log: "Login.Lifetime is 1ns"},
		{name: "a negative lifetime", decide: func(l *core.Login) { l.Lifetime = -time.Hour }, code: "internal_error", log: "Login.Lifetime is -1h0m0s"},
		{name: "the longest lifetime", decide: func(l *core.Login) { l.Lifetime = 1<<63 - 1 }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			everyVault(t, func(t *testing.T, vault func(*core.Config)) {
				logins := 0
				g := newRig(t, vault, deciding(func(login *core.Login) {
					if logins++; logins == 2 {
						test.decide(login)
					}
				}))
				g.login()
				before := g.cookiesNamed("__Host-pixy-session")[0].Value
				page := g.get(g.toCallback().String())
				kept := g.cookiesNamed("__Host-pixy-session")[0].Value == before
				if test.code == "" {
					if string(page.Body) != "I am ada" || kept {
						t.Errorf("got %d: %s", page.Status, page.Body)
					}
					return
				}
				if page.Status != 500 || !strings.Contains(string(page.Body), "<code>"+test.code+"</code>") || strings.Contains(string(page.Body), "Try again") {
					t.Errorf("got %d: %s", page.Status, page.Body)
				}
				if !strings.Contains(g.log.String(), test.log) || strings.Contains(g.log.String(), "dddd") {
					t.Errorf("logged as %s", g.log.String())
				}
				if !kept || setsSession(page.Header) || g.whoAmI() != "I am ada" {
					t.Error("the session before did not survive")
				}
			})
		})
	}
}

func TestOnLoginShortensSessions(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		for _, test := range []struct {
			name           string
			own, all, idle time.Duration
			last           time.Duration
		}{
			{name: "not", all: 2 * time.Hour, last: 2 * time.Hour},
			{name: "to an hour", own: time.Hour, all: 2 * time.Hour, last: time.Hour},
			{name: "to what it is anyway", own: 2 * time.Hour, all: 2 * time.Hour, last: 2 * time.Hour},
			{name: "not to more", own: 3 * time.Hour, all: 2 * time.Hour, last: 2 * time.Hour},
			{name: "also if it is used", own: time.Hour, all: 2 * time.Hour, idle: 40 * time.Minute, last: time.Hour},
		} {
			t.Run(test.name, func(t *testing.T) {
				t.Parallel()
				g := newRig(t, vault, lifetime(test.all), idle(test.idle), deciding(func(login *core.Login) { login.Lifetime = test.own }))
				page := g.visit(g.toCallback().String())
				for _, c := range (&http.Response{Header: page.Header}).Cookies() {
					if c.Name == "__Host-pixy-session" && c.MaxAge != int(test.last/time.Second) {
						t.Errorf("the cookie lasts %d seconds", c.MaxAge)
					}
				}
				for range 2 {
					g.advance(test.last/2 - 5*time.Second)
					if page := g.fetch("GET", origin+"/me"); page.Status != 200 || test.idle > 0 != setsSession(page.Header) {
						t.Fatalf("got %d %v", page.Status, page.Header["Set-Cookie"])
					}
				}
				g.advance(20 * time.Second)
				if got := g.whoAmI(); got != "" {
					t.Errorf("got %q", got)
				}
			})
		}
	})
}

// Sessions that are short on purpose look like sessions that are lost.
func TestShortSessionsAreNoCircle(t *testing.T) {
	t.Parallel()
	g := newRig(t, deciding(func(login *core.Login) { login.Lifetime = 10 * time.Second }))
	for range 4 {
		g.login()
		g.advance(11 * time.Second)
	}
	if g.log.String() != "" {
		t.Errorf("logged %s", g.log.String())
	}
}

// A second callback of a login gives the browser the session that began at the first.
func TestShortSessionsOfTwoCallbacks(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		g := newRig(t, vault, deciding(func(login *core.Login) { login.Lifetime = 10 * time.Second }))
		callback := g.toCallback()
		attempt := g.cookiesNamed("__Host-pixy-login-")[0]
		g.visit(callback.String())
		for _, after := range []time.Duration{6 * time.Second, 6 * time.Second} {
			g.advance(after)
			g.browser.SetCookie(origin, attempt)
			if page := g.visit(callback.String()); page.Header.Get("Location") != "/me" {
				t.Errorf("got %d: %s", page.Status, page.Body)
			}
		}
		if got := g.whoAmI(); got != "" {
			t.Errorf("after 12 seconds: %q", got)
		}
		g.login()
	})
}

// agingStore keeps the last Options.MaxAge of each record, and writes Expires as well.
type agingStore struct {
	*memoryStore
	ages map[string]int
}

func (s agingStore) Save(r *http.Request, w http.ResponseWriter, session *sessions.Session) error {
	s.ages[session.Name()] = session.Options.MaxAge
	if err := s.memoryStore.Save(r, w, session); err != nil {
		return err
	}
	for i, line := range w.Header()["Set-Cookie"] {
		if strings.HasPrefix(line, session.Name()+"=") && !strings.Contains(strings.ToLower(line), "expires") {
			w.Header()["Set-Cookie"][i] = line + ";EXPIRES=Fri, 01 Jan 2100 00:00:00 GMT"
		}
	}
	return nil
}

// A cookie without Max-Age and Expires ends with the browser (RFC 6265bis section 5.7).
func TestSessionsThatEndWithTheBrowser(t *testing.T) {
	t.Parallel()
	ages := make(map[string]int)
	for name, store := range map[string]func(t *testing.T) sessions.Store{
		"in cookies":        func(*testing.T) sessions.Store { return nil },
		"in a Store":        func(*testing.T) sessions.Store { return agingStore{newMemoryStore(), ages} },
		"gorilla's cookies": func(*testing.T) sessions.Store { return gorillaCookies() },
		"gorilla's files": func(t *testing.T) sessions.Store {
			files := sessions.NewFilesystemStore(t.TempDir(), []byte("gorilla-auth-key"))
			files.MaxLength(1 << 16)
			return files
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ends := true
			g := newTokenRig(t, idle(8*time.Hour), func(c *core.Config) { c.Sessions.Store = store(t) }, deciding(func(login *core.Login) {
				login.EndsWithBrowser = ends
			}))
			// set checks the cookies that a response sets.
			set := func(page *logintest.Page, names ...string) {
				t.Helper()
				found := make(map[string]bool)
				for _, line := range page.Header["Set-Cookie"] {
					name, _, _ := strings.Cut(line, "=")
					c, err := http.ParseSetCookie(line)
					if err != nil || c.MaxAge < 0 || strings.Contains(name, "-landed-") {
						continue
					}
					found[name] = true
					lower := strings.ToLower(line)
					if !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || !strings.Contains(line, "; Path=/") {
						t.Errorf("got %s", line)
					}
					if got := !strings.Contains(lower, "max-age") && !strings.Contains(lower, "expires"); got != ends {
						t.Errorf("ends with the browser: %v: %s", got, line)
					}
				}
				for _, name := range names {
					if !found[name] {
						t.Errorf("%s is not set: %v", name, page.Header["Set-Cookie"])
					}
				}
			}
			const session, tokens = "__Host-pixy-session", "__Host-pixy-tokens"
			set(g.visit(g.toCallback().String()), session, tokens, "__Secure-pixy-logout", "__Host-pixy-last")
			g.advance(time.Hour)
			refreshed := []string{"__Secure-pixy-logout"}
			if name == "in cookies" || name == "gorilla's cookies" { // a server has them already
				refreshed = append(refreshed, session, tokens)
			}
			set(g.fetch("GET", origin+"/me"), refreshed...)
			if g.provider.Refreshes() != 1 {
				t.Errorf("%d refreshes", g.provider.Refreshes())
			}
			g.advance(3 * time.Hour)
			set(g.fetch("GET", origin+"/me"), session)
			if name == "in a Store" && (ages[session] != 8*3600 || ages[tokens] != 8*3600) { // of twelve hours
				t.Errorf("the Store keeps them for %v seconds", ages)
			}
			if got := g.whoAmI(); got != "I am ada" {
				t.Errorf("got %q", got)
			}
			ends = false
			set(g.visit(g.toCallback().String()), session, tokens)
		})
	}
}

func gorillaCookies() sessions.Store {
	store := sessions.NewCookieStore([]byte("gorilla-auth-key"))
	store.MaxAge(30 * 24 * 3600)
	return store
}

// OnLogin has the new tokens, also if another user is logged in, and whether or not tokens are kept.
func TestOnLoginHasTheGrantOfThisLogin(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		for name, keep := range map[string]bool{"tokens are kept": true, "tokens are not kept": false} {
			t.Run(name, func(t *testing.T) {
				var grants []core.Grant
				var users, sources []string
				g := newRig(t, vault, keepTokens, func(c *core.Config) {
					c.Tokens.Keep = keep
					c.OnLogin = func(ctx context.Context, login *core.Login) error {
						grants = append(grants, login.Grant)
						token, err := tokenOf(ctx)
						sources = append(sources, token)
						users = append(users, formerOf(ctx))
						if login.Provider != "id.example.test" || login.SID == "" || login.Payload != "" || login.Grant.Provider != login.Provider {
							t.Errorf("got provider %q, sid %q, payload %q", login.Provider, login.SID, login.Payload)
						}
						return err
					}
				})
				app := g.app(g.auth)
				g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					loaded, err := g.auth.LoadUser(w, r) // so that OnLogin sees the former user
					if err != nil {
						t.Error(err)
					}
					app.ServeHTTP(w, loaded)
				}))
				issued := make([]map[string]any, 0, 2)
				g.provider.Misbehave(logintest.Faults{Token: func(answer map[string]any) { issued = append(issued, answer) }})
				for _, subject := range []string{"ada", "grace"} {
					g.provider.User = logintest.User{Subject: subject}
					g.get(g.toCallback().String())
				}
				if fmt.Sprint(users) != "[ ada]" {
					t.Errorf("the users before are %q", users)
				}
				for i, subject := range []string{"ada", "grace"} {
					got, want := grants[i], issued[i]
					if got.Token.AccessToken != want["access_token"] || got.Token.RefreshToken != want["refresh_token"] || sources[i] != got.Token.AccessToken ||
						got.Issuer != issuer || got.Subject != subject || got.Nonce == "" || got.Token.Expiry.IsZero() {
						t.Errorf("%s: got %s, want %v", subject, got, want)
					}
				}
				if grants[0].Token.AccessToken == grants[1].Token.AccessToken {
					t.Error("both logins have one token")
				}
			})
		}
	})
}

// formerOf is the user who was logged in before a login, or "".
func formerOf(ctx context.Context) string {
	if user := core.UserFromContext(ctx); user != nil {
		return user.Subject
	}
	return ""
}

// A Login that is printed or logged shows neither tokens nor data.
func TestALoginPrintsWithoutSecrets(t *testing.T) {
	t.Parallel()
	login := core.Login{
		User: &core.User{Subject: "ada", Data: "canary"}, Provider: "Work", SID: "canary", Payload: "canary", ReturnTo: "/me", Data: "canary",
		Grant: core.Grant{Provider: "Work", Nonce: "canary", Token: oauth2.Token{AccessToken: "canary", RefreshToken: "canary"}},
	}
	var logged strings.Builder
	for _, handler := range []slog.Handler{slog.NewTextHandler(&logged, nil), slog.NewJSONHandler(&logged, nil)} {
		slog.New(handler).Info("login", "login", login, "pointer", &login, "list", []core.Login{login}, "grant", login.Grant, "pointer", &login.Grant)
	}
	printed := fmt.Sprintf("%v %+v %#v %s %v %+v %v %+v %#v", login, login, login, login, &login, &login, login.Grant, &login.Grant, login.Grant)
	for _, got := range []string{logged.String(), printed} {
		if strings.Contains(got, "canary") || !strings.Contains(got, "Work") || !strings.Contains(got, "/me") {
			t.Errorf("got %s", got)
		}
	}
}
