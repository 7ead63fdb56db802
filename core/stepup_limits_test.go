package core_test

import (
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// Where a step-up ends, and where there can be none.

// A stranger logs in once, with all that is needed.
func TestStepUpOfAStranger(t *testing.T) {
	t.Parallel()
	v := newVault(t, both)
	if query := v.asked(origin + "/vault"); query.Get("acr_values") != "gold" || query.Get("max_age") != "300" || query.Has("prompt") {
		t.Errorf("asks for %v", query)
	}
	page := v.get(origin + "/vault")
	if page.Status != 403 || v.whoAmI() != "" || v.ran.Load() != 0 || v.provider.Count(logintest.Authorization) != 1 {
		t.Errorf("a provider without gold: got %d, %q is logged in", page.Status, v.whoAmI())
	}
	v.provider.User.ACR = []string{"gold"}
	if page := v.get(origin + "/vault"); page.Status != 200 || v.provider.Count(logintest.Authorization) != 2 {
		t.Errorf("got %d after %d logins", page.Status, v.provider.Count(logintest.Authorization))
	}
}

// Two guards of which each undoes what the other needs must not send anybody to
// and fro. Somebody who comes back later may try.
func TestStepUpsDoNotGoInCircles(t *testing.T) {
	t.Parallel()
	v := newVault(t, core.Requirement{})
	v.open("/torn", golden, core.Requirement{ACR: []string{"silver"}})
	v.provider.User.ACR = []string{"bronze", "silver", "gold"}
	v.login()
	page := v.get(origin + "/torn")
	if page.Status != 403 || !strings.Contains(string(page.Body), "step_up_failed") || v.ran.Load() != 0 {
		t.Errorf("got %d after %d hops: %s", page.Status, len(page.Hops), page.Body)
	}
	if got := v.provider.Count(logintest.Authorization); got != 2 {
		t.Errorf("%d authorization requests, want the login's and one more", got)
	}
	v.open("/silver", core.Requirement{ACR: []string{"silver"}})
	if query := v.asked(origin + "/silver"); query.Get("acr_values") != "silver" {
		t.Errorf("another page asks for %v", query)
	}
	v.advance(15 * time.Second)
	if query := v.asked(origin + "/torn"); query.Get("acr_values") != "silver" {
		t.Errorf("later, it asks for %v", query)
	}
}

// A step-up is at the user's own provider, and a stranger may choose one.
func TestStepUpWithSeveralProviders(t *testing.T) {
	t.Parallel()
	g := newDuo(t)
	v := &vault{rig: g.rig}
	v.open("/vault", golden)
	g.two.User.ACR = []string{"silver", "gold"}
	chooser := g.get(origin + "/vault")
	if chooser.Status != 200 || !strings.Contains(string(chooser.Body), "with=") || strings.Contains(string(chooser.Body), "gold") {
		t.Fatalf("got %d: %s", chooser.Status, chooser.Body)
	}
	if page := g.get(g.at("two").String()); page.Status != 200 {
		t.Fatalf("got %d", page.Status)
	}
	to := g.visit(origin + "/vault").Header.Get("Location")
	if !strings.HasPrefix(to, otherIssuer+"/authorize?") || !strings.Contains(to, "acr_values=platinum+gold") {
		t.Errorf("leads to %s", to)
	}
	if page := g.get(origin + "/vault"); string(page.Body) != "the vault of ada" {
		t.Errorf("got %d: %s", page.Status, page.Body)
	}
	// The chooser's links ask for the same.
	g.browser.Forget("", "")
	links := strings.Split(string(chooser.Body), `href="`)
	i := slices.IndexFunc(links, func(s string) bool { return strings.Contains(s, "provider=two") })
	second, _, _ := strings.Cut(links[i], `"`)
	if page := g.get(origin + strings.ReplaceAll(second, "&amp;", "&")); string(page.Body) != "the vault of ada" {
		t.Errorf("by the chooser: got %d: %s", page.Status, page.Body)
	}
}

// Without an ID token nothing can be confirmed, and so nothing is begun.
func TestStepUpNeedsOpenIDConnect(t *testing.T) {
	t.Parallel()
	v := newVault(t, recent, plainOAuth2)
	refused := func(who string) {
		t.Helper()
		before := v.began()
		page := v.get(origin + "/vault")
		if page.Status != 403 || !strings.Contains(string(page.Body), "step_up_failed") || len(page.Hops) != 1 {
			t.Errorf("%s gets %d after %d hops: %s", who, page.Status, len(page.Hops), page.Body)
		}
		if v.began() != before || v.ran.Load() != 0 {
			t.Errorf("%s: %d logins begun, %d calls", who, v.began()-before, v.ran.Load())
		}
	}
	refused("a stranger")
	v.login()
	refused("a user")
	if page := v.fetch("GET", origin+"/vault"); page.Status != 403 || v.whoAmI() != "I am ada" {
		t.Errorf("a program gets %d", page.Status)
	}
}

// A requirement that cannot be lets nobody in, and says so.
func TestRequirementsAreChecked(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		need core.Requirement
		want string
	}{
		"negative":         {core.Requirement{MaxAge: -time.Second}, "Requirement.MaxAge is -1s"},
		"a century":        {core.Requirement{MaxAge: 100 * 365 * 24 * time.Hour}, "Requirement.MaxAge is 876000h"},
		"an empty class":   {core.Requirement{ACR: []string{"gold", ""}}, `Requirement.ACR has \"\"`},
		"classes in one":   {core.Requirement{ACR: []string{"gold silver"}}, `Requirement.ACR has \"gold silver\"`},
		"a line break":     {core.Requirement{ACR: []string{"a\nb"}}, "Requirement.ACR has"},
		"too many classes": {core.Requirement{ACR: []string{strings.Repeat("a", 300), strings.Repeat("b", 300)}}, "more than 512 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVault(t, test.need)
			for range 2 {
				before := v.began()
				page := v.get(origin + "/vault")
				if page.Status != 500 || !strings.Contains(string(page.Body), "internal_error") || !strings.Contains(v.log.String(), test.want) {
					t.Errorf("got %d, logged as %s", page.Status, v.log.String())
				}
				if v.began() != before || v.ran.Load() != 0 {
					t.Errorf("%d logins begun, %d calls", v.began()-before, v.ran.Load())
				}
				v.login() // it concerns strangers and users
			}
		})
	}
}

// A provider whose clock is ahead must not make a login fresh for longer.
func TestNobodyAuthenticatesInTheFuture(t *testing.T) {
	t.Parallel()
	t.Run("rule 69: auth_time of tomorrow", func(t *testing.T) {
		t.Parallel()
		v := newVault(t, recent)
		v.provider.User.AuthTime = v.now().Add(24 * time.Hour)
		v.login()
		if query := v.asked(origin + "/vault"); query != nil || v.ran.Load() != 1 {
			t.Errorf("asks for %v", query)
		}
		v.advance(fiveMinutes + 62*time.Second)
		if query := v.asked(origin + "/vault"); query.Get("max_age") != "300" {
			t.Errorf("later, it asks for %v", query)
		}
	})
}

// What the configuration asks for always is not forgotten.
func TestStepUpKeepsTheLesserMaxAge(t *testing.T) {
	t.Parallel()
	for configured, want := range map[string]string{"60": "60", "3600": "300", "0": "0"} {
		t.Run("rule 69: max_age "+configured+" in AuthParams", func(t *testing.T) {
			t.Parallel()
			v := newVault(t, recent, func(c *core.Config) { c.Providers[0].Requests.AuthParams = url.Values{"max_age": {configured}} })
			v.login()
			v.advance(time.Hour)
			if query := v.asked(origin + "/vault"); query.Get("max_age") != want {
				t.Errorf("asks for %v", query)
			}
		})
	}
}

// UserInfo is signed by nobody, and cannot make a login stronger.
func TestUserInfoIsNoStepUp(t *testing.T) {
	t.Parallel()
	t.Run("rules 68, 69: acr and auth_time in UserInfo", func(t *testing.T) {
		t.Parallel()
		v := newVault(t, both, askUserInfo)
		v.provider.Misbehave(logintest.Faults{
			IDToken:  func(_, claims map[string]any) { delete(claims, "auth_time") },
			UserInfo: func(claims map[string]any) { claims["acr"], claims["auth_time"] = "gold", v.now().Unix() },
		})
		v.login()
		if page := v.get(origin + "/vault"); page.Status != 403 || v.ran.Load() != 0 {
			t.Errorf("got %d: %s", page.Status, page.Body)
		}
	})
}

// A session keeps how its login was, whoever carries it, and however often it is renewed.
func TestStepUpLasts(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*core.Config){
		"in cookies":      func(*core.Config) {},
		"with a store":    func(c *core.Config) { c.Sessions.Store = newMemoryStore() },
		"with few claims": func(c *core.Config) { c.Sessions.Claims = []string{} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVault(t, golden, change, func(c *core.Config) { c.Sessions.Idle = 8 * time.Minute })
			v.login()
			v.provider.User.ACR = []string{"gold"}
			v.get(origin + "/vault")
			for range 5 {
				v.advance(3 * time.Minute)
				if query := v.asked(origin + "/vault"); query != nil {
					t.Fatalf("asks for %v", query)
				}
			}
			if v.ran.Load() != 6 {
				t.Errorf("%d calls", v.ran.Load())
			}
		})
	}
}

// A request that one guard has let through is still looked at by the next, and a
// test's user passes all.
func TestGuardsOneInTheOther(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.login()
	r := httptest.NewRequest("GET", origin+"/vault", nil)
	for _, c := range g.browser.Cookies(origin) {
		r.AddCookie(c)
	}
	passed, err := g.auth.Authenticate(httptest.NewRecorder(), r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.auth.AuthenticateFor(httptest.NewRecorder(), passed, recent); err != nil {
		t.Errorf("recent: got %v", err)
	}
	if through, err := g.auth.AuthenticateFor(httptest.NewRecorder(), passed, golden); err == nil || through != passed {
		t.Errorf("golden: got %v, %v", through, err)
	}
	test := r.WithContext(core.ContextWithUser(r.Context(), &core.User{Issuer: "test", Subject: "grace"}))
	if _, err := g.auth.AuthenticateFor(httptest.NewRecorder(), test, both); err != nil {
		t.Errorf("a test's user: got %v", err)
	}
}
