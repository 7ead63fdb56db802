package core_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

// Whatever the token endpoint answers, without the provider's signature nobody
// is logged in, and what was sent in confidence comes out nowhere. The answer may
// repeat it: CODE, VERIFIER and SECRET stand for what the request held.
func FuzzTokenResponse(f *testing.F) {
	const good = `{"access_token":"a","token_type":"Bearer","id_token":"a.b.c"}`
	for _, seed := range []struct {
		status     int
		kind, body string
	}{
		{200, "application/json", good}, {200, "application/json", ``}, {200, "application/json", `null`}, {200, "text/html", `<h1>welcome</h1>`},
		{200, "application/x-www-form-urlencoded", "access_token=a&token_type=Bearer&id_token=a.b.c"}, {200, "text/plain", "error=CODE&error_description=VERIFIER"},
		{400, "application/json", `{"error":"invalid_grant","error_description":"VERIFIER is not of CODE"}`}, {401, "application/json", `{"error":"invalid_client SECRET"}`},
		{200, "application/json", `{"access_token":"token","token_type":"SECRET","id_token":"CODE.VERIFIER."}`}, {500, "", "CODE VERIFIER SECRET"}, {307, "", ""}, {204, "", ""},
		{200, "application/json", strings.Replace(good, "a.b.c", "eyJhbGciOiJub25lIn0.e30.", 1)}, {200, "application/json; charset=\xff", `{"expires_in":1e999,"access_token":{}}`},
	} {
		f.Add(seed.status, seed.kind, seed.body)
	}
	g := newRig(f)
	f.Fuzz(func(t *testing.T, status int, kind, body string) {
		if status < 200 || status > 599 {
			t.Skip("no status of an answer")
		}
		g.t = t
		var secrets []string
		g.provider.Misbehave(on(logintest.Token, func(w http.ResponseWriter, r *http.Request) {
			_, secret, _ := r.BasicAuth()
			secrets = []string{r.PostForm.Get("code"), r.PostForm.Get("code_verifier"), secret}
			w.Header().Set("Content-Type", kind)
			w.WriteHeader(status)
			fmt.Fprint(w, strings.NewReplacer("CODE", secrets[0], "VERIFIER", secrets[1], "SECRET", secrets[2]).Replace(body))
		}))
		g.log.reset()
		g.browser.Forget("", "")
		page := g.visit(g.toCallback().String())
		if page.Status != http.StatusForbidden && page.Status != http.StatusBadGateway && page.Status != http.StatusServiceUnavailable {
			t.Fatalf("got %d: %s", page.Status, page.Body)
		}
		if setsSession(page.Header) || g.logins.Load() != 0 {
			t.Fatal("somebody is logged in")
		}
		if len(secrets) != 3 || secrets[0] == "" || secrets[1] == "" || secrets[2] == "" {
			t.Fatalf("the token request lacks something: %q", secrets)
		}
		for _, secret := range secrets {
			if strings.Contains(g.log.String(), secret) || strings.Contains(string(page.Body), secret) {
				t.Fatalf("a secret shows: %s\n%s", g.log.String(), page.Body)
			}
		}
	})
}
