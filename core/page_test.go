package core_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
)

func TestServeErrorAnswersPeopleAndPrograms(t *testing.T) {
	t.Parallel()
	secret := errors.New("dial tcp 10.0.0.7: canary")
	failure := &core.Error{Status: 403, Code: "no_seat", Public: `No <b>seat</b> is left.`, Err: secret}
	for _, test := range []struct {
		name        string
		accept      string
		err         error
		status      int
		contentType string
		contains    string
	}{
		{"a person", "text/html,*/*", failure, 403, "text/html; charset=utf-8", "No &lt;b&gt;seat&lt;/b&gt; is left."},
		{"a program", "application/json", failure, 403, "application/problem+json", `"code":"no_seat"`},
		{"somebody who does not say", "", failure, 403, "application/problem+json", `"status":403`},
		{"a wrapped error", "", fmt.Errorf("wrapped: %w", failure), 403, "application/problem+json", `"code":"no_seat"`},
		{"an error of another kind", "", secret, 500, "application/problem+json", `"code":"internal_error"`},
		{"an outage of the application", "", fmt.Errorf("%w: %w", core.ErrUnavailable, secret), 503, "application/problem+json", `"code":"unavailable"`},
		{"an error that says nothing, to a program", "", &core.Error{Err: secret}, 500, "application/problem+json", `"code":"internal_error"`},
		{"an error that says nothing, to a person", "text/html", &core.Error{Err: secret}, 500, "text/html; charset=utf-8", "Something went wrong on our side."},
		{"nobody is logged in", "text/html", core.ErrNoSession, 401, "text/html; charset=utf-8", "Please log in"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			r := httptest.NewRequest("GET", "/me", nil)
			r.Header.Set("Accept", test.accept)
			w := httptest.NewRecorder()
			g.auth.ServeError(w, r, test.err)
			body := w.Body.String()
			if w.Code != test.status || w.Header().Get("Content-Type") != test.contentType || !strings.Contains(body, test.contains) {
				t.Errorf("got %d %s: %s", w.Code, w.Header().Get("Content-Type"), body)
			}
			if strings.Contains(body, "canary") || strings.Contains(body, "10.0.0.7") {
				t.Errorf("the cause is shown: %s", body)
			}
			for name, want := range map[string]string{
				"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff",
			} {
				if got := w.Header().Get(name); got != want {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
			if policy := w.Header().Get("Content-Security-Policy"); strings.HasPrefix(test.contentType, "text/html") != strings.Contains(policy, "default-src 'none'") {
				t.Errorf("Content-Security-Policy: got %q", policy)
			}
		})
	}
}

// What failed on the server's side is tried again by opening the page once more, but
// not by sending a form once more, and not if it is not the server's.
func TestPagesThatCanBeOpenedOnceMore(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	for _, test := range []struct {
		method string
		status int
		again  bool
	}{
		{"GET", 500, true}, {"GET", 503, true}, {"GET", 499, false}, {"GET", 403, false}, {"POST", 500, false}, {"HEAD", 500, false},
	} {
		r, w := httptest.NewRequest(test.method, "/page?x=1", nil), httptest.NewRecorder()
		r.Header.Set("Accept", "text/html")
		g.auth.ServeError(w, r, &core.Error{Status: test.status, Code: "x", Public: "It failed."})
		if got := strings.Contains(w.Body.String(), `href="/page?x=1">Try again</a>`); got != test.again || strings.Contains(w.Body.String(), `class="main"`) != got {
			t.Errorf("%s, %d: got %s", test.method, test.status, w.Body)
		}
	}
	r, w := httptest.NewRequest("GET", "/auth/callback", nil), httptest.NewRecorder()
	r.Header.Set("Accept", "text/html")
	_, err := g.auth.Authenticate(w, r)
	if err = g.auth.Challenge(w, r, err); err == nil {
		t.Fatal("a guard in front of the callback answers")
	}
	g.auth.ServeError(w, r, err)
	if body := w.Body.String(); w.Code != 500 || !strings.Contains(body, "tell us") || strings.Contains(body, `class="main"`) {
		t.Errorf("what only the operator can mend: got %d: %s", w.Code, body)
	}
}

// A report of a user's finds its log line, and each failure has one.
func TestPageAndLogShareAReference(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	callback := g.toCallback()
	page := g.get(callbackURL + "?error=server_error&error_description=%3Cscript%3Ealert(1)%3C/script%3E&iss=" + url.QueryEscape(issuer) + "&state=" + callback.Query().Get("state"))
	if page.Status != 403 || strings.Contains(string(page.Body), "script") {
		t.Errorf("got %d: %s", page.Status, page.Body)
	}
	var line struct{ Level, Msg, Code, Reference, Provider, Issuer, Error string }
	if err := json.Unmarshal([]byte(g.log.String()), &line); err != nil {
		t.Fatalf("not one line: %v\n%s", err, g.log.String())
	}
	if line.Level != "WARN" || line.Code != "provider_refused" || line.Issuer != issuer || line.Provider != "id.example.test" {
		t.Errorf("got %+v", line)
	}
	if len(line.Reference) < 6 || !strings.Contains(string(page.Body), "<code>"+line.Reference+"</code>") {
		t.Errorf("the page does not show %q:\n%s", line.Reference, page.Body)
	}
	if !strings.Contains(line.Error, "server_error") || !strings.Contains(line.Error, "script") {
		t.Errorf("the log does not say why: %s", line.Error)
	}
}

func TestErrorsSayWhatTheyAre(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	handle := make(map[string]core.HandlerFunc)
	for _, route := range g.auth.Routes() {
		handle[route.Path] = route.Handle
	}
	w := httptest.NewRecorder()
	err := handle["/auth/callback"](w, httptest.NewRequest("GET", callbackURL, nil))
	failure := new(core.Error)
	if !errors.Is(err, core.ErrUnknownAttempt) || !errors.As(err, &failure) || failure.StatusCode() != http.StatusBadRequest {
		t.Fatalf("got %v", err)
	}
	if w.Body.Len() != 0 || w.Code != 200 {
		t.Errorf("something was written: %d %s", w.Code, w.Body)
	}
	public, jsonErr := json.Marshal(err)
	if jsonErr != nil || !strings.Contains(string(public), failure.Reference) || strings.Contains(string(public), "no such login attempt") {
		t.Errorf("got %s, %v", public, jsonErr)
	}

	for _, status := range []string{"access_denied", "server_error"} {
		callback := g.toCallback()
		r := httptest.NewRequest("GET", callbackURL+"?error="+status+"&iss="+url.QueryEscape(issuer)+"&state="+callback.Query().Get("state"), nil)
		for _, c := range g.browser.Cookies(origin) {
			r.AddCookie(c)
		}
		err := g.auth.Callback(httptest.NewRecorder(), r)
		reported := new(core.ProviderError)
		if !errors.Is(err, core.ErrRefused) || !errors.As(err, &reported) || reported.Code != status {
			t.Errorf("got %v", err)
		}
	}
}

// Whoever answers errors in their own way gets what the default would show.
func TestEveryErrorPageHasAWayOn(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	callback := g.toCallback()
	page := g.get(callbackURL + "?state=" + callback.Query().Get("state"))
	if !strings.Contains(string(page.Body), `href="/auth/login?return_to=%2Fme"`) {
		t.Errorf("no way back to where the person wanted to go:\n%s", page.Body)
	}
}
