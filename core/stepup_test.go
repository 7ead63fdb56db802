package core_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// What a guard asks for depends on what is wrong with the login, and a login
// that mends it opens the page.
func TestStepUp(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name                   string
		need                   core.Requirement
		age                    time.Duration // of the login that there is
		acr                    string        // of it
		maxAge, prompt, values string        // asked for; all empty: the page opens at once
	}{
		{name: "nothing is needed", age: time.Hour},
		{name: "rule 69: recent", need: recent, age: fiveMinutes},
		{name: "rule 69: recent, by clocks that differ", need: recent, age: fiveMinutes + 30*time.Second},
		{name: "rule 69: too long ago", need: recent, age: fiveMinutes + 62*time.Second, maxAge: "300", prompt: "login"},
		{name: "rule 69: an hour ago", need: recent, age: time.Hour, acr: "gold", maxAge: "300", prompt: "login"},
		{name: "rule 68: strong", need: golden, age: time.Hour, acr: "gold"},
		{name: "rule 68: the other class", need: golden, acr: "platinum"},
		{name: "rule 68: no class", need: golden, values: "platinum gold"},
		{name: "rule 68: another class", need: golden, acr: "silver", values: "platinum gold"},
		{name: "rule 68: the beginning of a class", need: golden, acr: "gol", values: "platinum gold"},
		{name: "rule 68: in capitals", need: golden, acr: "GOLD", values: "platinum gold"},
		{name: "rule 68: all classes as one", need: golden, acr: "platinum gold", values: "platinum gold"},
		{name: "rules 68, 69: recent and strong", need: both, acr: "gold"},
		{name: "rules 68, 69: recent and weak", need: both, acr: "silver", maxAge: "300", values: "gold"},
		{name: "rules 68, 69: strong and too long ago", need: both, acr: "gold", age: time.Hour, maxAge: "300", prompt: "login", values: "gold"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v := newVault(t, test.need)
			v.provider.User.AuthTime = v.now().Add(-test.age)
			v.provider.User.ACR = []string{test.acr}
			v.login()
			first := v.cookiesNamed("__Host-pixy-session")[0].Value
			got := v.asked(origin + "/vault?tab=1")
			passes := test.maxAge+test.prompt+test.values == ""
			if (got == nil) != passes || v.ran.Load() == 1 != passes {
				t.Fatalf("asks for %v after %d calls", got, v.ran.Load())
			}
			if passes {
				return
			}
			for name, want := range map[string]string{"max_age": test.maxAge, "prompt": test.prompt, "acr_values": test.values} {
				if got.Get(name) != want || len(got[name]) > 1 || got.Has(name) != (want != "") {
					t.Errorf("%s: got %q, want %q", name, got[name], want)
				}
			}
			if v.log.String() != "" {
				t.Errorf("a step-up is logged: %s", v.log.String())
			}
			v.provider.User.ACR = []string{test.acr, "gold"}
			page := v.get(origin + "/vault?tab=1")
			if page.URL != origin+"/vault?tab=1" || string(page.Body) != "the vault of ada" || v.ran.Load() != 1 {
				t.Errorf("ends with %d at %s: %s", page.Status, page.URL, page.Body)
			}
			if second := v.cookiesNamed("__Host-pixy-session")[0].Value; second == first {
				t.Error("the session is the former one")
			}
		})
	}
}

// The provider's answer counts, and not that it was asked. The session that was
// there survives, the page stays shut, and nobody is sent around again.
func TestStepUpRefuses(t *testing.T) {
	t.Parallel()
	set := func(name string, value any) func(map[string]any) {
		return func(claims map[string]any) {
			if claims[name] = value; value == nil {
				delete(claims, name)
			}
		}
	}
	ago := func(age time.Duration) func(map[string]any) {
		return func(claims map[string]any) { claims["auth_time"] = claims["iat"].(int64) - int64(age/time.Second) }
	}
	for _, test := range []struct {
		name   string
		claims func(map[string]any)
		opens  bool
	}{
		{"nothing wrong", func(map[string]any) {}, true},
		{"rule 69: auth_time within max_age and a minute", ago(fiveMinutes + 30*time.Second), true},
		{"rule 69: auth_time before max_age", ago(fiveMinutes + 62*time.Second), false},
		{"rule 69: auth_time of yesterday", ago(24 * time.Hour), false},
		{"rule 69: auth_time null", func(claims map[string]any) { claims["auth_time"] = nil }, false},
		{"rule 69: auth_time missing", set("auth_time", nil), false},
		{"rule 69: auth_time a string", func(claims map[string]any) { claims["auth_time"] = fmt.Sprint(claims["iat"]) }, false},
		{"rule 69: auth_time in another case", func(claims map[string]any) {
			claims["AUTH_TIME"] = claims["auth_time"]
			delete(claims, "auth_time")
		}, false},
		{"rule 68: acr weaker", set("acr", "silver"), false},
		{"rule 68: acr missing", set("acr", nil), false},
		{"rule 68: acr empty", set("acr", ""), false},
		{"rule 68: acr in another case", set("acr", "Gold"), false},
		{"rule 68: acr with more", set("acr", "gold silver"), false},
		{"rule 68: acr an array", set("acr", []string{"gold"}), false},
		{"rule 68: acr 0", set("acr", 0), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v := newVault(t, both)
			v.login()
			before := v.cookiesNamed("__Host-pixy-session")[0].Value
			v.provider.User.ACR = []string{"gold"}
			v.provider.Misbehave(logintest.Faults{IDToken: func(_, claims map[string]any) { test.claims(claims) }})
			page := v.get(origin + "/vault")
			if test.opens {
				if page.Status != 200 || v.ran.Load() != 1 {
					t.Errorf("got %d: %s", page.Status, page.Body)
				}
				return
			}
			if page.Status != 403 || !strings.Contains(string(page.Body), "step_up_failed") || v.ran.Load() != 0 {
				t.Errorf("got %d after %d calls: %s", page.Status, v.ran.Load(), page.Body)
			}
			if got := v.provider.Count(logintest.Authorization); got != 2 { // the login, and one step-up
				t.Errorf("%d authorization requests", got)
			}
			if after := v.cookiesNamed("__Host-pixy-session")[0].Value; after != before || v.whoAmI() != "I am ada" {
				t.Errorf("the session is another, of %q", v.whoAmI())
			}
			if got := v.logins.Load(); got != 1 || len(v.cookiesNamed("__Host-pixy-login-")) != 0 {
				t.Errorf("%d calls of OnLogin, and attempts %v", got, v.cookiesNamed("__Host-pixy-login-"))
			}
			if !strings.Contains(v.log.String(), `"code":"step_up_failed"`) {
				t.Errorf("logged as %s", v.log.String())
			}
			// The page's button asks for the same once more, and mends it.
			v.provider.Misbehave(logintest.Faults{})
			if page := v.get(origin + link(t, page)); page.URL != origin+"/vault" || v.ran.Load() != 1 {
				t.Errorf("trying again ends with %d at %s: %s", page.Status, page.URL, page.Body)
			}
		})
	}
}

// link returns where the main button of a page leads.
func link(t *testing.T, page *logintest.Page) string {
	t.Helper()
	_, rest, _ := strings.Cut(string(page.Body), `class="main" href="`)
	to, _, ok := strings.Cut(rest, `"`)
	if !ok {
		t.Fatalf("no button: %s", page.Body)
	}
	return strings.ReplaceAll(to, "&amp;", "&")
}

// The request goes through the browser, whose user may take things out of it.
func TestStepUpCannotBeTakenOutOfTheRequest(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		need    core.Requirement
		dropped []string
	}{
		{"rule 69: max_age and prompt", recent, []string{"max_age", "prompt"}},
		{"rule 68: acr_values", golden, []string{"acr_values"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v := newVault(t, test.need)
			v.provider.User = logintest.User{AuthTime: v.now().Add(-time.Hour), ACR: []string{"silver", "gold"}}
			v.login()
			query := v.asked(origin + "/vault")
			for _, name := range test.dropped {
				if !query.Has(name) {
					t.Fatalf("%s was not asked for: %v", name, query)
				}
				query.Del(name)
			}
			page := v.get(issuer + "/authorize?" + query.Encode())
			if page.Status != 403 || !strings.Contains(string(page.Body), "step_up_failed") || v.ran.Load() != 0 {
				t.Errorf("got %d at %s: %s", page.Status, page.URL, page.Body)
			}
		})
	}
}

// Programs are told what is needed, by the names of RFC 9470, and where a person
// can get it; nothing is begun for them.
func TestStepUpTellsPrograms(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, code string
		user       bool
	}{{"a user's", "step_up_required", true}, {"a stranger's", "login_required", false}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			v := newVault(t, both)
			if test.user {
				v.login()
			}
			v.provider.User.ACR = []string{"gold"}
			before := v.began()
			page := v.fetch("POST", origin+"/vault")
			var problem struct {
				Code      string
				Status    int
				MaxAge    int    `json:"max_age"`
				ACRValues string `json:"acr_values"`
				LoginURL  string `json:"login_url"`
			}
			if err := json.Unmarshal(page.Body, &problem); err != nil || page.Header.Get("Content-Type") != "application/problem+json" {
				t.Fatalf("got %s, %v", page.Body, err)
			}
			if page.Status != 401 || problem.Status != 401 || problem.Code != test.code || problem.MaxAge != 300 || problem.ACRValues != "gold" {
				t.Errorf("got %d %s", page.Status, page.Body)
			}
			if v.began() != before || v.ran.Load() != 0 || v.log.String() != "" {
				t.Errorf("%d logins begun, %d calls, log %s", v.began()-before, v.ran.Load(), v.log.String())
			}
			if strings.Contains(problem.LoginURL, "300") || strings.Contains(problem.LoginURL, "gold") {
				t.Errorf("what is needed can be read, and changed, in %s", problem.LoginURL)
			}
			if page := v.get(origin + problem.LoginURL + "&return_to=/me"); page.URL != origin+"/me" {
				t.Errorf("the login ends at %s", page.URL)
			}
			if page := v.fetch("POST", origin+"/vault"); page.Status != 200 || v.ran.Load() != 1 {
				t.Errorf("after a login there: %d %s", page.Status, page.Body)
			}
		})
	}
	t.Run("htmx", func(t *testing.T) {
		t.Parallel()
		v := newVault(t, golden)
		v.login()
		r, err := http.NewRequest("GET", origin+"/vault", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Hx-Request": {"true"}, "Hx-Current-Url": {origin + "/list?page=2"}}
		page, err := v.browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		query := v.asked(origin + page.Header.Get("HX-Redirect"))
		if page.Status != 401 || query.Get("acr_values") != "platinum gold" || !strings.Contains(page.Header.Get("HX-Redirect"), "return_to=%2Flist%3Fpage%3D2") {
			t.Errorf("got %d to %s", page.Status, page.Header.Get("HX-Redirect"))
		}
	})
}
