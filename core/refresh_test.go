package core_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

func TestTokensAreRefreshedWhenItIsTime(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		t.Run("rule 90: the new refresh token replaces the old one", func(t *testing.T) {
			g := newTokenRig(t, vault)
			g.login()
			seen := map[string]bool{}
			for i := range 4 { // the provider takes each refresh token once
				token := g.token()
				if again := g.token(); again != token || seen[token] || len(token) < 20 {
					t.Fatalf("round %d: got %q, then %q", i, token, again)
				}
				seen[token] = true
				g.advance(time.Hour - 30*time.Second)
			}
			if g.provider.Refreshes() != 3 || g.provider.Reused() != 0 {
				t.Errorf("%d refreshes, %d tokens used again", g.provider.Refreshes(), g.provider.Reused())
			}
		})
		t.Run("not before", func(t *testing.T) {
			g := newTokenRig(t, vault)
			g.login()
			g.advance(time.Hour - 2*time.Minute)
			if g.token(); g.provider.Refreshes() != 0 {
				t.Error("refreshed")
			}
		})
		t.Run("a provider that does not rotate", func(t *testing.T) {
			g := newTokenRig(t, vault)
			g.provider.Misbehave(logintest.Faults{NoRotation: true})
			g.login()
			tokens := map[string]bool{}
			for range 3 {
				tokens[g.token()] = true
				g.advance(time.Hour)
			}
			if len(tokens) != 3 || g.provider.Refreshes() != 2 {
				t.Errorf("%d tokens after %d refreshes", len(tokens), g.provider.Refreshes())
			}
		})
		t.Run("tokens of a minute", func(t *testing.T) {
			g := newTokenRig(t, vault)
			g.provider.AccessTokenLifetime = time.Minute
			g.login()
			g.token()
			g.advance(40 * time.Second)
			if g.token(); g.provider.Refreshes() != 0 {
				t.Error("refreshed before three quarters of its life")
			}
			g.advance(6 * time.Second)
			if g.token(); g.provider.Refreshes() != 1 {
				t.Error("not refreshed")
			}
		})
		t.Run("rule 91: no scope is asked for", func(t *testing.T) {
			g := newTokenRig(t, vault)
			g.login()
			g.advance(time.Hour)
			g.token()
			for _, r := range g.provider.Requests() {
				if r.Form.Get("grant_type") == "refresh_token" && r.Form.Has("scope") {
					t.Errorf("got %q", r.Form.Get("scope"))
				}
			}
			if g.provider.Refreshes() != 1 {
				t.Error("not refreshed")
			}
		})
	})
}

// What the provider may not change while a login goes on.
func TestRefreshedIDTokens(t *testing.T) {
	t.Parallel()
	set := func(name string, value any) func(header, claims map[string]any) {
		return func(_, claims map[string]any) { claims[name] = value }
	}
	for name, test := range map[string]struct {
		change func(header, claims map[string]any)
		good   bool
	}{
		"rule 89: as it was":            {func(_, claims map[string]any) {}, true},
		"rule 89: no auth_time":         {func(_, claims map[string]any) { delete(claims, "auth_time") }, true},
		"rule 89: another iss":          {set("iss", "https://other.example.test"), false},
		"rule 89: another sub":          {set("sub", "eve"), false},
		"rule 89: another aud":          {set("aud", "other"), false},
		"rule 89: another azp":          {set("azp", "other"), false},
		"rule 89: another nonce":        {set("nonce", "another"), false},
		"rule 89: a nonce of no text":   {set("nonce", 7), false},
		"rule 89: an earlier auth_time": {set("auth_time", 1_000_000_000), false},
		"rule 89: a later auth_time":    {set("auth_time", 4_000_000_000), true},
		"rule 89: auth_time of no date": {set("auth_time", "now"), false},
		"rule 89: expired":              {set("exp", 1_000_000_000), false},
		"rule 89: of no signature":      {func(header, _ map[string]any) { header["alg"] = "none" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newTokenRig(t)
			g.provider.Misbehave(logintest.Faults{RefreshedIDToken: test.change})
			g.login()
			g.advance(time.Hour)
			token := g.token()
			if g.provider.Refreshes() != 1 {
				t.Fatal("not refreshed")
			}
			if test.good && len(token) < 20 {
				t.Errorf("got %q", token)
			}
			if !test.good {
				g.isOver(token, "id_token_untrusted")
			}
		})
	}
	t.Run("rule 89: auth_time of no date, and none at the login", func(t *testing.T) {
		t.Parallel()
		g := newTokenRig(t)
		g.provider.Misbehave(logintest.Faults{
			IDToken:          func(_, claims map[string]any) { delete(claims, "auth_time") },
			RefreshedIDToken: set("auth_time", "now"),
		})
		g.login()
		g.advance(time.Hour)
		if token := g.token(); len(token) < 20 {
			t.Errorf("got %q", token)
		}
	})
	t.Run("rule 89: the nonce of the login", func(t *testing.T) {
		t.Parallel()
		g := newTokenRig(t)
		var nonce any
		g.provider.Misbehave(logintest.Faults{
			IDToken:          func(_, claims map[string]any) { nonce = orElse(claims["nonce"], nonce) },
			RefreshedIDToken: func(_, claims map[string]any) { claims["nonce"] = nonce },
		})
		g.login()
		g.advance(time.Hour)
		if token := g.token(); len(token) < 20 {
			t.Errorf("got %q", token)
		}
	})
}

// The user has authenticated at the provider once more, for another application,
// and again. What counts at each refresh is the last ID token and not the login's.
func TestALaterAuthenticationIsRemembered(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		g := newTokenRig(t, vault)
		g.login()
		began := time.Now()
		for _, step := range []struct {
			later time.Duration // than the login
			good  bool
		}{{time.Minute, true}, {time.Minute, true}, {2 * time.Minute, true}, {time.Minute, false}} {
			g.provider.Misbehave(logintest.Faults{RefreshedIDToken: func(_, c map[string]any) { c["auth_time"] = began.Add(step.later).Unix() }})
			g.advance(time.Hour)
			g.ran.Store(0)
			if token := g.token(); !step.good {
				g.isOver(token, "id_token_untrusted")
				if log := g.log.String(); !strings.Contains(log, "auth_time is "+began.Add(time.Minute).UTC().Format(time.RFC3339)+", which is before the "+began.Add(2*time.Minute).UTC().Format(time.RFC3339)) {
					t.Errorf("logged %s", log)
				}
			} else if len(token) < 20 {
				t.Fatalf("%s after the login: got %q", step.later, token)
			}
		}
	})
}

// A refresh that brings a later auth_time does not make the session's login a
// recent one: a page that needs one still sends the user to the provider.
func TestARefreshIsNoStepUp(t *testing.T) {
	t.Parallel()
	g := newTokenRig(t)
	g.login()
	g.provider.Misbehave(logintest.Faults{RefreshedIDToken: func(_, c map[string]any) { c["auth_time"] = g.now().Unix() }})
	g.advance(time.Hour)
	if token := g.token(); len(token) < 20 || g.provider.Refreshes() != 1 {
		t.Fatalf("got %q", token)
	}
	r := httptest.NewRequest("GET", origin+"/token", nil)
	for _, c := range g.browser.Cookies(origin + "/token") {
		r.AddCookie(c)
	}
	if _, err := g.auth.AuthenticateFor(httptest.NewRecorder(), r, core.Requirement{MaxAge: time.Minute}); !strings.Contains(fmt.Sprint(err), "step_up") {
		t.Errorf("got %v", err)
	}
}

func TestARefusedRefreshEndsTheSession(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		for name, refuse := range map[string]func(*tokenRig){
			"rule 93: invalid_grant":                  func(g *tokenRig) { g.provider.Misbehave(logintest.Faults{RefreshError: "invalid_grant"}) },
			"rule 115: the refresh token has expired": func(g *tokenRig) { g.advance(20 * time.Hour) },
			"in GitHub's words":                       func(g *tokenRig) { g.provider.Misbehave(logintest.Faults{RefreshError: "bad_refresh_token"}) },
		} {
			t.Run(name, func(t *testing.T) {
				g := newTokenRig(t, vault, func(c *core.Config) { c.Sessions.Lifetime = 48 * time.Hour })
				g.login()
				g.advance(5 * time.Hour)
				refuse(g)
				copied := g.browser.Cookies(origin + "/token")
				g.isOver(g.token(), "refresh_refused")
				if left := g.cookiesNamed("__Host-pixy-landed-"); len(left) != 0 {
					t.Errorf("%v is left, and the next login would look like a circle", left)
				}
				sent := g.provider.Count(logintest.Token)
				// Who comes late is told so, and the provider is not asked again.
				if late := ask(g.app, copied); late.Code != http.StatusUnauthorized || g.provider.Count(logintest.Token) != sent {
					t.Errorf("late: got %d, and %d more requests", late.Code, g.provider.Count(logintest.Token)-sent)
				}
				g.provider.Misbehave(logintest.Faults{})
				g.login()
				if token := g.token(); len(token) < 20 {
					t.Errorf("after a new login: got %q", token)
				}
			})
		}
	})
}

// A provider that gives no refresh token, and may not say how long its tokens live.
func TestTokensThatCannotBeRefreshed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		response func(map[string]any)
		later    string // after two hours: an error's code, or empty for the token
	}{
		"no refresh token": {func(r map[string]any) { delete(r, "refresh_token") }, "token_missing"},
		"neither":          {func(r map[string]any) { delete(r, "refresh_token"); delete(r, "expires_in") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newTokenRig(t)
			g.provider.Misbehave(logintest.Faults{Token: test.response})
			g.login()
			first := g.token()
			g.advance(2 * time.Hour)
			want := test.later
			if want == "" {
				want = first
			}
			if got := g.token(); got != want || g.provider.Refreshes() != 0 || g.whoAmI() != "I am ada" {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

// Plain OAuth 2.0 has refresh tokens, too, and RFC 8414 tells where to revoke them.
func TestTokensWithoutOpenIDConnect(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		for name, test := range map[string]struct {
			change  func(*core.Config)
			revoked int // by a logout
		}{
			"endpoints given":    {func(*core.Config) {}, 0},
			"found by RFC 8414":  {func(c *core.Config) { c.Providers[0].Endpoints.AuthURL, c.Providers[0].Endpoints.TokenURL = "", "" }, 1},
			"secret in the body": {func(c *core.Config) { c.Providers[0].Client.AuthMethod = "client_secret_post" }, 0},
		} {
			t.Run(name, func(t *testing.T) {
				g := newTokenRig(t, vault, plainOAuth2, func(c *core.Config) { c.Providers[0].Issuer = issuer }, test.change)
				g.login()
				first := g.token()
				g.advance(time.Hour)
				if token := g.token(); len(token) < 20 || token == first || g.provider.Refreshes() != 1 {
					t.Errorf("got %q after %q, and %d refreshes", token, first, g.provider.Refreshes())
				}
				if _, err := g.browser.Post(origin+"/auth/logout", nil); err != nil {
					t.Fatal(err)
				}
				if got := g.provider.Count(logintest.Revocation); got != test.revoked {
					t.Errorf("%d revocations, want %d", got, test.revoked)
				}
			})
		}
	})
}

// A tenant's user stays with the tenant, though both have one provider.
func TestARefreshedIDTokenOfAnotherTenant(t *testing.T) {
	t.Parallel()
	for issuer, code := range map[string]string{tenantA: "", tenantB: "id_token_untrusted"} {
		g := &tokenRig{rig: newTenantRig(t, keepTokens)}
		g.browser.Serve(origin, g.tokenApp(g.auth))
		faults := tenantFaults(func(map[string]any) {})
		faults.RefreshedIDToken = func(_, c map[string]any) { c["iss"], c["tid"] = tenantIssuer(issuer), issuer }
		g.provider.Misbehave(faults)
		g.login()
		g.advance(2 * time.Hour)
		token := g.token()
		if code == "" && len(token) < 20 {
			t.Errorf("the same tenant: got %q", token)
		}
		if code != "" {
			g.isOver(token, code)
		}
		if g.provider.Refreshes() != 1 {
			t.Errorf("%d refreshes", g.provider.Refreshes())
		}
	}
}
