package core_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
)

// A login with everything around it, and everything that can be seen of it: by
// the browser, and in the log. What must stay secret is in neither.
func TestSecretsAreNowhereToBeSeen(t *testing.T) {
	t.Parallel()
	g := newRig(t, askUserInfo, keepTokens)
	var shown strings.Builder // to the browser: addresses, headers, pages, cookies also when decoded
	look := func(page *logintest.Page) {
		for _, hop := range page.Hops {
			fmt.Fprintln(&shown, hop.URL, hop.Header, hop.RequestHeader, string(hop.Body))
		}
		for _, cookie := range g.browser.Cookies(origin + "/auth/logout") {
			for _, value := range []string{cookie.Value, strings.TrimLeft(cookie.Value, "12")} {
				raw, err := base64.RawURLEncoding.DecodeString(value)
				fmt.Fprintln(&shown, value, string(raw), err)
			}
		}
	}
	var tokens, idTokens []string
	issue := logintest.Faults{
		Token: func(answer map[string]any) {
			tokens = append(tokens, fmt.Sprint(answer["access_token"]), fmt.Sprint(answer["refresh_token"]))
		},
		SignedIDToken: func(token string) string { idTokens = append(idTokens, token); return token },
	}
	g.provider.Misbehave(issue)
	look(g.visit(origin + "/me"))
	look(g.login())
	replay := g.toCallback()
	look(g.get(replay.String()))
	look(g.get(replay.String() + "&code=x"))
	g.advance(time.Hour)
	look(g.get(origin + "/me")) // refreshes
	cookies := g.browser.Cookies(origin + "/auth/logout")
	for _, fault := range leakyFaults(issue) {
		g.provider.Misbehave(fault)
		look(g.get(g.toCallback().String()))
		g.advance(time.Hour)
		look(g.get(origin + "/me")) // does not refresh
	}
	if g.provider.Refreshes() == 0 {
		t.Fatal("nothing was refreshed")
	}

	seen, log := shown.String(), g.log.String()
	hidden := func(t *testing.T, where, text string, secrets ...string) {
		t.Helper()
		for _, secret := range secrets {
			if secret == "" || strings.Contains(text, secret) || strings.Contains(text, url.QueryEscape(secret)) {
				t.Errorf("%.20q can be seen in the %s", secret, where)
			}
		}
	}
	var verifiers, codes []string
	for _, request := range g.provider.Requests() {
		if request.Form.Get("grant_type") == "authorization_code" {
			verifiers = append(verifiers, request.Form.Get("code_verifier"))
			codes = append(codes, request.Form.Get("code"))
		}
	}
	if len(verifiers) < 5 || len(tokens) < 4 || len(idTokens) < 4 || len(cookies) < 2 || strings.Count(log, "\n") < 4 {
		t.Fatalf("%d verifiers, %d tokens, %d ID tokens, %d cookies and the log %s", len(verifiers), len(tokens), len(idTokens), len(cookies), log)
	}
	t.Run("rule 7: verifiers", func(t *testing.T) {
		hidden(t, "browser", seen, verifiers...)
		hidden(t, "log", log, verifiers...)
	})
	t.Run("rules 101, 112, 128: tokens", func(t *testing.T) {
		hidden(t, "browser", seen, append(tokens, idTokens...)...)
		hidden(t, "log", log, append(tokens, idTokens...)...)
	})
	t.Run("rule 101: what is known of the user", func(t *testing.T) {
		hidden(t, "browser", strings.ReplaceAll(seen, "I am ada", ""), "Lovelace", "ada@example.test")
	})
	t.Run("rule 127: the client secret", func(t *testing.T) {
		basic := base64.StdEncoding.EncodeToString([]byte("app:canary-client-secret"))
		hidden(t, "browser", seen, "canary-client-secret", basic)
		hidden(t, "log", log, "canary-client-secret", basic)
	})
	t.Run("rule 127: codes, states and cookies, in the log", func(t *testing.T) {
		hidden(t, "log", log, append(codes, replay.Query().Get("state"))...)
		for _, cookie := range cookies {
			hidden(t, "log", log, cookie.Value)
		}
	})
}

// leakyFaults are answers that tempt a careless client to repeat them.
func leakyFaults(issue logintest.Faults) []logintest.Faults {
	echo, forged, stranger, broken := issue, issue, issue, issue
	echo.Intercept = func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
		if e != logintest.Token {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(400) // a provider that repeats what it was sent
		fmt.Fprintf(w, `{"error":"invalid_request","error_description":"bad: %s %s %s %s"}`,
			r.PostForm.Get("code"), r.PostForm.Get("code_verifier"), r.Header.Get("Authorization"), r.PostForm.Get("refresh_token"))
		return true
	}
	forged.SignedIDToken = func(token string) string { return issue.SignedIDToken(token + "x") }
	stranger.UserInfo = func(claims map[string]any) { claims["sub"] = "somebody else" }
	broken.Token = func(answer map[string]any) { issue.Token(answer); answer["token_type"] = answer["access_token"] }
	return []logintest.Faults{echo, forged, stranger, broken}
}
