package logintest_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

func TestFaultsAreHeeded(t *testing.T) {
	t.Parallel()
	b := newBench(t, clients["public"])
	mark := func(m map[string]any) { m["fault"] = "yes" }
	b.provider.Misbehave(logintest.Faults{
		Discovery: mark, Token: mark, JWKS: mark, UserInfo: mark,
		Authorization: func(q url.Values) { q.Set("fault", "yes") },
		IDToken:       func(header, claims map[string]any) { mark(claims); header["alg"] = "none" },
		SignedIDToken: func(token string) string { return token + "x" },
		Intercept: func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
			if e == logintest.EndSession {
				w.WriteHeader(http.StatusTeapot)
			}
			return e == logintest.EndSession
		},
	})
	for _, endpoint := range []logintest.Endpoint{logintest.Discovery, logintest.JWKS} {
		response, err := b.http.Get(issuer + string(endpoint))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(response.Body)
		if err != nil || !strings.Contains(string(body), `"fault":"yes"`) {
			t.Errorf("%s: got %s", endpoint, body)
		}
	}
	_, query := b.authorize(b.request())
	if query.Get("fault") != "yes" {
		t.Errorf("authorization: got %v", query)
	}
	_, tokens := b.token(b.form(query.Get("code")))
	if tokens["fault"] != "yes" {
		t.Errorf("token: got %v", tokens)
	}
	if token := fmt.Sprint(tokens["id_token"]); payload(t, token)["fault"] != "yes" || !strings.HasSuffix(token, ".x") {
		t.Errorf("ID token: got %s", token)
	}
	if got := b.userInfo(tokens["access_token"].(string)); got["fault"] != "yes" {
		t.Errorf("UserInfo: got %v", got)
	}
	response, err := b.http.Get(issuer + "/end-session")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusTeapot {
		t.Errorf("Intercept: got %d", response.StatusCode)
	}
	b.provider.Misbehave(logintest.Faults{})
	if _, query := b.authorize(b.request()); query.Has("fault") {
		t.Error("it does not end")
	}
}

func TestRequestsAreRecorded(t *testing.T) {
	t.Parallel()
	b := newBench(t, clients["public"])
	b.token(b.form(b.code()))
	requests := b.provider.Requests()
	if len(requests) != 2 || requests[0].Endpoint != logintest.Authorization || requests[1].Endpoint != logintest.Token {
		t.Fatalf("got %v", requests)
	}
	if got := requests[1].Form.Get("code_verifier"); got != verifier {
		t.Errorf("got %q", got)
	}
	if b.provider.Count(logintest.Token) != 1 || b.provider.Count(logintest.JWKS) != 0 {
		t.Error("miscounted")
	}
	for range 5000 { // more than it keeps
		b.authorize(url.Values{})
	}
	if got := b.provider.Count(logintest.Authorization); got != 5001 {
		t.Errorf("counted %d", got)
	}
	if got := len(b.provider.Requests()); got > 4096 {
		t.Errorf("remembers %d", got)
	}
}

// A provider without PKCE accepts requests that one with PKCE rejects.
func TestNoPKCE(t *testing.T) {
	t.Parallel()
	forEachClient(t, func(t *testing.T, b *bench) {
		b.provider.Misbehave(logintest.Faults{NoPKCE: true})
		bare := b.request()
		bare.Del("code_challenge")
		bare.Del("code_challenge_method")
		for name, request := range map[string]url.Values{"no challenge": bare, "a challenge": b.request()} {
			for _, verifier := range []string{"", "another-verifier-of-forty-three-characters-x"} {
				_, query := b.authorize(request)
				form := b.form(query.Get("code"))
				form.Set("code_verifier", verifier)
				if status, answer := b.token(form); status != http.StatusOK || answer["id_token"] == nil {
					t.Errorf("%s and verifier %q: got %d %v", name, verifier, status, answer)
				}
				if status, _ := b.token(form); status != http.StatusBadRequest {
					t.Errorf("%s: the code works twice: got %d", name, status)
				}
			}
		}
		b.provider.Misbehave(logintest.Faults{})
		if _, query := b.authorize(bare); query.Get("error") != "invalid_request" {
			t.Errorf("after the fault: got %v", query)
		}
	})
}
