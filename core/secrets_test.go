package core_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

// CHECKLIST 7, 112, 127: nothing that must stay secret is anywhere to be seen.
func TestSecretsAreNowhereToBeSeen(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	var seen strings.Builder // what browser and log can see
	look := func(page *logintest.Page) {
		for _, hop := range page.Hops {
			fmt.Fprintln(&seen, hop.URL, hop.Header, hop.RequestHeader, string(hop.Body))
		}
		for _, cookie := range g.browser.Cookies(origin + "/auth/logout") {
			raw, err := base64.RawURLEncoding.DecodeString(cookie.Value)
			fmt.Fprintln(&seen, cookie.Value, string(raw), err)
			raw, err = base64.RawURLEncoding.DecodeString(strings.TrimLeft(cookie.Value, "12"))
			fmt.Fprintln(&seen, string(raw), err)
		}
	}
	look(g.visit(origin + "/me"))
	look(g.login())
	replay := g.toCallback()
	look(g.get(replay.String()))
	look(g.get(replay.String() + "&code=x"))
	g.provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
		if e != logintest.Token {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(400) // a provider that repeats what it was sent
		fmt.Fprintf(w, `{"error":"invalid_request","error_description":"bad: %s %s %s"}`,
			r.PostForm.Get("code"), r.PostForm.Get("code_verifier"), r.Header.Get("Authorization"))
		return true
	}})
	look(g.get(g.toCallback().String()))
	g.provider.Misbehave(logintest.Faults{SignedIDToken: func(token string) string { return token + "x" }})
	look(g.get(g.toCallback().String()))

	shown := seen.String() + g.log.String()
	var verifiers, codes int
	for _, request := range g.provider.Requests() {
		if request.Endpoint != logintest.Token {
			continue
		}
		verifiers++
		if verifier := request.Form.Get("code_verifier"); verifier == "" || strings.Contains(shown, verifier) {
			t.Errorf("the verifier %q can be seen", verifier)
		}
		if code := request.Form.Get("code"); strings.Contains(g.log.String(), code) {
			codes++
		}
	}
	if verifiers < 4 || codes > 0 {
		t.Errorf("%d token requests; %d codes in the log", verifiers, codes)
	}
	if strings.Contains(shown, "canary-client-secret") {
		t.Error("the client secret can be seen")
	}
	for _, cookie := range g.browser.Cookies(origin + "/auth/logout") {
		if strings.Contains(g.log.String(), cookie.Value) {
			t.Errorf("the value of %s is in the log", cookie.Name)
		}
	}
	if g.log.String() == "" {
		t.Error("nothing was logged at all")
	}
}
