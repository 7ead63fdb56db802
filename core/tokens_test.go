package core_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/sessions"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

func TestTokensAreForgottenUnlessTheyAreToBeKept(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		forget := func(c *core.Config) { vault(c); c.Tokens.Keep = false }
		g := newTokenRig(t, forget)
		g.login()
		if got := g.token(); got != "token_missing" {
			t.Errorf("got %q", got)
		}
		if kept := g.cookiesNamed("__Host-pixy-tokens"); len(kept) != 0 {
			t.Errorf("got %v", kept)
		}
	})
	t.Run("a login without takes those away of one before", func(t *testing.T) {
		t.Parallel()
		g := newTokenRig(t)
		g.login()
		g.app = g.tokenApp(g.newAuth())
		g.browser.Serve(origin, g.app)
		g.get(origin + "/auth/login?return_to=/me")
		if kept := g.cookiesNamed("__Host-pixy-tokens"); len(kept) != 0 {
			t.Errorf("got %v", kept)
		}
	})
}

// Tokens go with one session: those of another are nobody's.
func TestTokensBelongToASession(t *testing.T) {
	t.Parallel()
	g := newTokenRig(t)
	tokensOf := func(subject string) *http.Cookie {
		g.provider.User = logintest.User{Subject: subject}
		g.get(origin + "/auth/login?return_to=/me")
		return g.cookiesNamed("__Host-pixy-tokens")[0]
	}
	eves := tokensOf("eve")
	own := tokensOf("ada")
	if token := g.token(); len(token) < 20 {
		t.Fatalf("got %q", token)
	}
	for name, value := range map[string]string{
		"of another session": eves.Value,
		"of another purpose": g.cookiesNamed("__Host-pixy-session")[0].Value,
		"altered":            own.Value[:40] + "AAAA" + own.Value[44:],
		"cut short":          own.Value[:100],
		"empty":              "",
	} {
		g.browser.SetCookie(origin, &http.Cookie{Name: own.Name, Value: value, Path: "/", Secure: true})
		if got := g.token(); got != "token_missing" || g.whoAmI() != "I am ada" {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// Nobody but this application reads them.
func TestTokensAreSealed(t *testing.T) {
	t.Parallel()
	g := newTokenRig(t)
	g.login()
	token := g.token()
	for _, c := range g.cookiesNamed("") {
		decoded, _ := base64.RawURLEncoding.DecodeString(strings.TrimLeft(c.Value, "12"))
		if strings.Contains(c.Value+string(decoded), token) {
			t.Errorf("rule 128: %s shows the access token", c.Name)
		}
	}
	page := g.visit(g.toCallback().String())
	found := false
	for _, c := range (&http.Response{Header: page.Header}).Cookies() {
		if c.Name == "__Host-pixy-tokens" {
			found = c.Secure && c.HttpOnly && c.SameSite == http.SameSiteLaxMode && c.Path == "/" && c.Domain == "" && c.MaxAge == 12*3600
		}
	}
	if !found {
		t.Errorf("got %q", page.Header["Set-Cookie"])
	}
}

// What does not fit is said at login, where somebody can do something about it.
func TestTokensThatAreTooLarge(t *testing.T) {
	t.Parallel()
	const kilobyte = 1 << 10
	for name, test := range map[string]struct {
		store sessions.Store // nil: cookies
		bytes int
		fits  bool
	}{
		"rule 105: cookies, 7 KB":     {nil, 7 * kilobyte, true},
		"rule 105: cookies, 8 KB":     {nil, 8 * kilobyte, false},
		"rule 105: cookies, 12 KB":    {nil, 12 * kilobyte, false},
		"a store, 12 KB":              {newMemoryStore(), 12 * kilobyte, true},
		"gorilla's cookies, of 4 KB":  {sessions.NewCookieStore([]byte("gorilla-auth-key")), 4 * kilobyte, false},
		"gorilla's cookies, of 1 KB ": {sessions.NewCookieStore([]byte("gorilla-auth-key")), kilobyte, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newTokenRig(t, func(c *core.Config) { c.Sessions.Store = test.store })
			g.login()
			before := g.token()
			g.provider.AccessTokenBytes = test.bytes
			page := g.get(origin + "/auth/login?return_to=/me")
			if test.fits {
				if token := g.token(); page.Status != http.StatusOK || len(token) != test.bytes {
					t.Errorf("got %d, and a token of %d bytes", page.Status, len(token))
				}
				return
			}
			if page.Status != http.StatusInternalServerError || !strings.Contains(string(page.Body), "tokens_too_large") || setsSession(page.Header) {
				t.Errorf("got %d: %s", page.Status, page.Body)
			}
			if strings.Contains(strings.ToLower(string(page.Body)), "try again") {
				t.Errorf("the user is to try again, which does not help: %s", page.Body)
			}
			if !strings.Contains(g.log.String(), "use a Store that takes them") {
				t.Errorf("the log names no remedy: %s", g.log.String())
			}
			if g.token() != before {
				t.Error("the session that was there has lost its tokens")
			}
		})
	}
	t.Run("grown since the login", func(t *testing.T) {
		t.Parallel()
		g := newTokenRig(t)
		g.login()
		g.provider.AccessTokenBytes = 12 * kilobyte
		g.advance(2 * time.Hour)
		if token := g.token(); len(token) != 12*kilobyte {
			t.Errorf("this request has it: got %d bytes", len(token))
		}
		if got := g.token(); got != "token_missing" || g.whoAmI() != "I am ada" || !strings.Contains(g.log.String(), "tokens_too_large") {
			t.Errorf("then: got %q", got)
		}
		if g.provider.Reused() != 0 {
			t.Error("a refresh token came twice")
		}
	})
}

// What proxies accept is for session and tokens together.
func TestSessionAndTokensShareTheirSpace(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		claims, token int // bytes
		fits          bool
	}{
		"rule 105: both large, and fitting": {3500, 2500, true},
		"rule 105: a large session":         {3500, 30, true},
		"rule 105: a large token":           {30, 3500, true},
		"rule 105: a large session's token": {3500, 3500, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newTokenRig(t)
			g.provider.User = logintest.User{Subject: "ada", Claims: map[string]any{"groups": noise(test.claims)}}
			g.provider.AccessTokenBytes = test.token
			page := g.get(origin + "/me")
			if fits := page.Status == http.StatusOK; fits != test.fits || !fits && !strings.Contains(string(page.Body), "tokens_too_large") {
				t.Errorf("got %d: %s", page.Status, page.Body)
			}
			if kept := g.cookiesNamed("__Host-pixy-"); !test.fits && len(kept) != 0 {
				t.Errorf("%d cookies are kept", len(kept))
			}
		})
	}
}
