package core_test

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// refusedBy opens the callback of a login that the provider has ended with an error.
func (g *rig) refusedBy(code string) *logintest.Page {
	callback := g.toCallback()
	query := callback.Query()
	query.Del("code")
	query.Set("error", code)
	query.Set("error_description", "canary of the provider's")
	callback.RawQuery = query.Encode()
	return g.get(callback.String())
}

// What only the operator can mend says so, and does not have users try again.
func TestWhoCanMendIt(t *testing.T) {
	t.Parallel()
	const tellUs, again, cancelled = "tell us.", "Please try again", "The login was canceled"
	for _, test := range []struct {
		words string // error codes, with spaces between
		says  string
		code  string // empty: provider_refused
		level string // empty: WARN
	}{
		{words: "invalid_request unauthorized_client unsupported_response_type invalid_scope Invalid_Scope", says: tellUs},
		{words: "invalid_client request_not_supported invalid_target redirect_uri_mismatch application_suspended", says: tellUs},
		{words: "server_error temporarily_unavailable", says: "at the moment. Please try again in a minute."},
		{words: "login_required a_word_of_theirs", says: again},
		{words: "access_denied user_cancelled_authorize user_cancelled_login user_cancel ACCESS_DENIED", says: cancelled, code: "access_denied", level: "INFO"},
	} {
		for word := range strings.FieldsSeq(test.words) {
			t.Run(word, func(t *testing.T) {
				t.Parallel()
				g := newRig(t)
				page := g.refusedBy(word)
				body := string(page.Body)
				if page.Status != http.StatusForbidden || !strings.Contains(body, test.says) || !strings.Contains(body, "<h1>You were not logged in</h1>") {
					t.Errorf("got %d: %s", page.Status, body)
				}
				if test.says == tellUs && strings.Contains(strings.ToLower(body), "try again") {
					t.Errorf("the user is to try again: %s", body)
				}
				if !strings.Contains(body, `href="/auth/login?return_to=%2Fme"`) || strings.Contains(body, "canary") {
					t.Errorf("got no way on, or the provider's words: %s", body)
				}
				line := g.line()
				if want := cmp.Or(test.code, "provider_refused"); line.Code != want || line.Level != cmp.Or(test.level, "WARN") {
					t.Errorf("got %s at %s, want %s", line.Code, line.Level, want)
				}
				if !strings.Contains(line.Error, word) || !strings.Contains(line.Error, "canary") {
					t.Errorf("the log does not say what the provider said: %s", line.Error)
				}
				if got := g.provider.Count(logintest.Token); got != 0 || g.logins.Load() != 0 || setsSession(page.Header) {
					t.Errorf("%d token requests", got)
				}
			})
		}
	}
}

type logLine struct{ Level, Msg, Code, Reference, Provider, Issuer, Error string }

// line is the only line in the log.
func (g *rig) line() (line logLine) {
	g.t.Helper()
	if err := json.Unmarshal([]byte(g.log.String()), &line); err != nil {
		g.t.Fatalf("not one line: %v\n%s", err, g.log.String())
	}
	return line
}

// An application that uses the word for its own refusals is not quietened by it.
func TestOnLoginsAccessDeniedIsLoggedAsEver(t *testing.T) {
	t.Parallel()
	g := newRig(t, func(c *core.Config) {
		c.OnLogin = func(context.Context, *core.Login) error { return &core.Error{Code: "access_denied", Public: "No."} }
	})
	g.get(origin + "/me")
	if line := g.line(); line.Level != "WARN" || line.Code != "access_denied" {
		t.Errorf("got %+v", line)
	}
}

// Settings with which nobody can log in.
func TestASettingThatIsWrong(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*core.Config)
		faults logintest.Faults
		code   string
	}{
		"the issuer has a slash too many":   {func(c *core.Config) { c.Providers[0].Issuer += "/" }, logintest.Faults{}, "provider_metadata_invalid"},
		"the issuer is another's":           {nil, logintest.Faults{Discovery: func(m map[string]any) { m["issuer"] = "https://other.example.test" }}, "provider_metadata_invalid"},
		"S256 is not supported":             {nil, logintest.Faults{Discovery: func(m map[string]any) { m["code_challenge_methods_supported"] = []string{"plain"} }}, "provider_metadata_invalid"},
		"jwks_uri is missing":               {nil, logintest.Faults{Discovery: func(m map[string]any) { delete(m, "jwks_uri") }}, "provider_metadata_invalid"},
		"no way to authenticate the client": {nil, logintest.Faults{Discovery: func(m map[string]any) { m["token_endpoint_auth_methods_supported"] = []string{"tls"} }}, "provider_metadata_invalid"},
		"the secret is wrong":               {func(c *core.Config) { c.Providers[0].ClientSecret = "wrong" }, logintest.Faults{}, "client_refused"},
		"the claims are too large":          {nil, logintest.Faults{IDToken: func(_, c map[string]any) { c["groups"] = noise(9000) }}, "session_too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			change := test.change
			if change == nil {
				change = func(*core.Config) {}
			}
			g := newRig(t, change)
			g.provider.Misbehave(test.faults)
			page := g.get(origin + "/me")
			body := string(page.Body)
			if page.Status < 500 || !strings.Contains(body, "Please tell us.") || strings.Contains(strings.ToLower(body), "try again") || !strings.Contains(body, test.code) {
				t.Errorf("got %d: %s", page.Status, body)
			}
			if setsSession(page.Header) || g.whoAmI() != "" {
				t.Error("somebody is logged in")
			}
		})
	}
}

// An error without a login of this browser: the operator reads what it says, and
// that nobody has verified it. The user reads nothing of it.
func TestAnErrorOfUnknownOriginIsInTheLog(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(g *rig) string{
		"without a state": func(*rig) string {
			return callbackURL + "?error=invalid_scope&error_description=" + strings.Repeat("canary%0d", 99)
		},
		"of another browser": func(*rig) string {
			return callbackURL + "?error=invalid_scope&error_description=canary&state=" + strings.Repeat("A", 43)
		},
		"with another's iss": func(g *rig) string {
			return callbackURL + "?error=invalid_scope&error_description=canary&iss=x&state=" + g.toCallback().Query().Get("state")
		},
		"with state twice": func(g *rig) string {
			state := g.toCallback().Query().Get("state")
			return callbackURL + "?error=invalid_scope&error_description=canary&iss=" + url.QueryEscape(issuer) + "&state=" + state + "&state=" + state
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			page := g.get(open(g))
			if page.Status != http.StatusBadRequest || strings.Contains(string(page.Body), "canary") || strings.Contains(string(page.Body), "scope") {
				t.Errorf("got %d: %s", page.Status, page.Body)
			}
			line := g.line()
			if !strings.Contains(line.Error, `unverified: provider reports "invalid_scope": "canary`) || len(line.Error) > 800 {
				t.Errorf("got %s", line.Error)
			}
		})
	}
}

func TestAnUnverifiedErrorIsNoProviderError(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	err := g.auth.Callback(httptest.NewRecorder(), httptest.NewRequest("GET", callbackURL+"?error=invalid_scope", nil))
	if isProviderError(err) || !isUnknownAttempt(err) {
		t.Errorf("got %v", err)
	}
}
