package core_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// tokenAnswers has the token endpoint answer so.
func tokenAnswers(status int, contentType, body string) logintest.Faults {
	return logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
		if e == logintest.Token {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
		return e == logintest.Token
	}}
}

// relabelled is a good token response under another name.
func relabelled(contentType string, as func(answer map[string]any) string) func(*rig) {
	return func(g *rig) {
		inner := g.provider
		g.browser.Serve(issuer, inner)
		g.auth = g.newAuth(func(c *core.Config) {
			c.HTTPClient = logintest.InMemory(map[string]http.Handler{issuer: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/token" {
					inner.ServeHTTP(w, r)
					return
				}
				recorder := httptest.NewRecorder()
				inner.ServeHTTP(recorder, r)
				var answer map[string]any
				if err := json.Unmarshal(recorder.Body.Bytes(), &answer); err != nil {
					g.t.Error(err)
				}
				w.Header().Set("Content-Type", contentType)
				fmt.Fprint(w, as(answer))
			})})
		})
		g.browser.Serve(origin, g.app(g.auth))
	}
}

// A good token response is read by its content.
func TestTokenResponsesAreReadWhateverTheirLabel(t *testing.T) {
	t.Parallel()
	asJSON := func(answer map[string]any) string {
		b, _ := json.Marshal(answer)
		return "\r\n\t " + string(b)
	}
	asForm := func(answer map[string]any) string {
		form := make(url.Values)
		for name, value := range answer {
			form.Set(name, fmt.Sprint(value))
		}
		return form.Encode() + "\n"
	}
	for name, as := range map[string]func(map[string]any) string{"JSON": asJSON, "a form": asForm} {
		for _, contentType := range []string{"", "text/plain; charset=utf-8", "text/html", "application/json", "application/x-www-form-urlencoded", "application/octet-stream", "no type at all;;"} {
			t.Run(name+" as "+contentType, func(t *testing.T) {
				t.Parallel()
				g := newRig(t)
				relabelled(contentType, as)(g)
				g.login()
			})
		}
	}
}

// At a refresh, an error that says that the grant has ended ends the session, whatever
// its shape and label. Every other keeps it.
func TestRefusedRefreshesByTheirContent(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, contentType, body string
		status                  int
		ends                    bool
	}{
		{"as the standard has it", "application/json", `{"error":"invalid_grant"}`, 400, true},
		{"JSON as text", "text/plain; charset=utf-8", `{"error":"invalid_grant"}`, 400, true},
		{"JSON as a page", "text/html", `{"error":"invalid_grant"}`, 400, true},
		{"a form as JSON", "application/json", "error=invalid_grant", 400, true},
		{"GitHub", "application/x-www-form-urlencoded", "error=bad_refresh_token&error_description=expired", 200, true},
		{"Slack", "application/json", `{"ok":false,"error":"invalid_refresh_token"}`, 200, true},
		{"Facebook", "application/json", `{"error":{"message":"x","type":"OAuthException","code":190}}`, 400, true},

		{"a page that mentions it", "text/plain", "<p>error=invalid_grant</p>", 400, false},
		{"a client that is refused", "application/json", `{"error":"invalid_client"}`, 401, false},
		{"a page with 401", "text/html", "<p>", 401, false},
		{"a request that is refused", "application/json", `{"error":"invalid_request"}`, 400, false},
		{"an outage by name", "application/json", `{"error":"server_error"}`, 400, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newTokenRig(t)
			g.login()
			g.provider.Misbehave(tokenAnswers(test.status, test.contentType, test.body))
			g.advance(2 * time.Hour)
			g.token()
			g.provider.Misbehave(logintest.Faults{})
			g.advance(time.Hour)
			if ended := g.whoAmI() == ""; ended != test.ends {
				t.Errorf("the session has ended: %v\n%s", ended, g.log.String())
			}
			if logged := strings.Contains(g.log.String(), "refresh_refused"); logged != test.ends {
				t.Errorf("logged as %s", g.log.String())
			}
		})
	}
}

// The line of a client that is refused names the client and the method, and what the
// provider says in full.
func TestAClientThatIsRefusedIsNamed(t *testing.T) {
	t.Parallel()
	const remedy = "Set the method to client_secret_post at the provider."
	long := strings.Repeat("The client authentication failed. ", 7) + remedy // 291 bytes, as long as Hydra's
	for _, test := range []struct {
		name, body, says string
		secret           string
		methods          []string
	}{
		{"in the header", `{"error":"invalid_client"}`, `client_id is \"app\", sent by method client_secret_basic`, "canary-wrong-secret", nil},
		{"in the body", `{"error":"invalid_client"}`, `client_id is \"app\", sent by method client_secret_post`, "canary-wrong-secret", []string{"client_secret_post"}},
		{"no secret", `{"error":"invalid_client"}`, `client_id is \"app\", sent by method none: there is no ClientSecret`, "", nil},
		{"a long description", `{"error":"invalid_client","error_description":"` + long + `"}`, remedy, "canary-wrong-secret", nil},
		{"a description that repeats the secret", `{"error":"invalid_client","error_description":"not canary-wrong-secret"}`, "not [redacted]", "canary-wrong-secret", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, func(c *core.Config) { c.Providers[0].ClientSecret = test.secret })
			faults := tokenAnswers(http.StatusUnauthorized, "application/json", test.body)
			faults.Discovery = func(m map[string]any) {
				if test.methods != nil {
					m["token_endpoint_auth_methods_supported"] = test.methods
				}
			}
			g.provider.Misbehave(faults)
			page := g.get(origin + "/me")
			if page.Status != http.StatusBadGateway || !strings.Contains(string(page.Body), "client_refused") || !strings.Contains(string(page.Body), "tell us") {
				t.Errorf("got %d: %s", page.Status, page.Body)
			}
			log := g.log.String()
			if !strings.Contains(log, test.says) || strings.Contains(log, "canary-wrong-secret") {
				t.Errorf("logged as %s", log)
			}
			if strings.Contains(log, "there is no ClientSecret") != (test.secret == "") {
				t.Errorf("logged as %s", log)
			}
		})
	}
	t.Run("another error says nothing of the client", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.provider.Misbehave(tokenAnswers(400, "application/json", `{"error":"invalid_request","error_description":"no"}`))
		page := g.get(origin + "/me")
		if log := g.log.String(); page.Status != http.StatusBadGateway || !strings.Contains(string(page.Body), "tell us") || strings.Contains(log, "client_id") || !strings.Contains(log, "token_request_refused") {
			t.Errorf("got %d, logged as %s", page.Status, log)
		}
	})
}

// A code of one letter is no reason to garble what an honest provider says.
func TestAShortCodeDoesNotGarbleTheLog(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	callback := g.toCallback()
	query := callback.Query()
	query.Set("code", "a")
	callback.RawQuery = query.Encode()
	g.provider.Misbehave(tokenAnswers(400, "application/json", `{"error":"invalid_grant","error_description":"a code that has expired"}`))
	g.get(callback.String())
	if log := g.log.String(); !strings.Contains(log, `provider reports \"invalid_grant\": \"a code that has expired\"`) {
		t.Errorf("logged as %s", log)
	}
}

// Whatever a token endpoint does with what it was sent: net/http quotes an answer that
// it cannot read.
func TestAnAnswerThatCannotBeReadIsNotQuoted(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(r *http.Request) (*http.Response, error){
		"a redirect that leads nowhere": func(r *http.Request) (*http.Response, error) {
			return &http.Response{
				StatusCode: 302, Header: http.Header{"Location": {"http://[" + r.PostForm.Get("code")}}, Body: http.NoBody, Request: r,
			}, nil
		},
		"a header that is none": func(r *http.Request) (*http.Response, error) {
			return nil, fmt.Errorf("malformed HTTP response %q", r.PostForm.Get("code_verifier"))
		},
		"a body that breaks off": func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: make(http.Header), Body: brokenBody(r.PostForm.Get("code"))}, nil
		},
		"no header at all": func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 400, Body: http.NoBody}, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			var sent []string
			inner := g.provider.HTTPClient().Transport
			g.auth = g.newAuth(func(c *core.Config) {
				c.HTTPClient = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
					if r.URL.Path != "/token" {
						return inner.RoundTrip(r)
					}
					if err := r.ParseForm(); err != nil {
						t.Error(err)
					}
					sent = append(sent, r.PostForm.Get("code"), r.PostForm.Get("code_verifier"))
					return answer(r)
				})}
			})
			g.browser.Serve(origin, g.app(g.auth))
			page := g.get(origin + "/me")
			if page.Status < 500 || g.whoAmI() != "" || g.logins.Load() != 0 {
				t.Errorf("got %d: %s", page.Status, page.Body)
			}
			log := g.log.String()
			for _, secret := range sent {
				if len(secret) < 20 || strings.Contains(log, secret) {
					t.Errorf("%q is in %s", secret, log)
				}
			}
			if len(sent) != 2 || log == "" {
				t.Errorf("sent %q, logged as %q", sent, log)
			}
		})
	}
}

// brokenBody is a body whose reading ends in an error that repeats a secret.
func brokenBody(secret string) io.ReadCloser {
	reader, writer := io.Pipe()
	writer.CloseWithError(fmt.Errorf("malformed chunked encoding %q", secret))
	return reader
}
