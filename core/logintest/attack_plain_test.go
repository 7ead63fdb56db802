package logintest_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

// For an application without OpenID Connect and without PKCE, only the attack "PKCE"
// reports that. The other attacks give the same advice as with PKCE. A login with the
// record of another tab's login ends at that tab's page, unless PKCE fails it.
func TestAttackWithoutPKCE(t *testing.T) {
	t.Parallel()
	without := attack(logintest.Target{Start: (&tutorial{oauth2: true, pkce: noPKCE}).start}, every)
	misfitting := attack(logintest.Target{Start: (&tutorial{oauth2: true, pkce: misfit}).start}, every)
	with := attack(logintest.Target{Start: (&tutorial{oauth2: true, pkce: s256}).start}, every)
	if without.fatal+misfitting.fatal+with.fatal != "" {
		t.Fatal(without.fatal, misfitting.fatal, with.fatal)
	}
	for _, r := range []*recorder{without, misfitting} {
		for name, sentence := range r.failures {
			_, advice, _ := strings.Cut(sentence, ": an application must")
			if name != "PKCE" && name != "secrets within reach of the browser" && name != "page of another login" && !strings.HasSuffix(with.failures[name], advice) {
				t.Errorf("%s:\nwithout PKCE %s\nwith it      %s", name, sentence, with.failures[name])
			}
		}
	}
	if got := without.failures["PKCE"]; !strings.HasPrefix(got, "the authorization request had no code_challenge:") {
		t.Errorf("PKCE: got %s", got)
	}
	if got := misfitting.failures["PKCE"]; !strings.HasPrefix(got, "in the token request, the code_verifier does not match") {
		t.Errorf("PKCE: got %s", got)
	}
	if got := without.failures["login begun in another browser"]; !strings.Contains(got, "logged the browser in as Mallory Mallet: an application must look up the state") {
		t.Errorf("login CSRF: got %s", got)
	}
	for _, name := range with.names {
		_, failed := with.failures[name]
		_, alike := without.failures[name]
		left := name == "code of another login" || name == "state of another login"
		if slices.Contains(without.names, name) == left || name == "code of another login" && failed || failed && !alike && !left {
			t.Errorf("%s: ran %v, failed %v, and with PKCE %v", name, !left, alike, failed)
		}
	}
	constantly := attack(logintest.Target{Start: (&tutorial{oauth2: true, pkce: s256, verifier: constant}).start}, every)
	if got := constantly.failures["code of another login"]; !strings.HasPrefix(got, "Mallory's code") || !strings.HasSuffix(got, "must generate a code_verifier for each login, and send this login's code_verifier with the code") {
		t.Errorf("one verifier for all: got %s", got)
	}
}

// editing changes the cookies of an application, depending on the request's headers.
func editing(app *tutorial, edit func(*http.Request, *http.Cookie)) func(*logintest.Provider) http.Handler {
	return func(p *logintest.Provider) http.Handler {
		handler := app.start(p)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			recorded := httptest.NewRecorder()
			handler.ServeHTTP(recorded, r)
			for name, values := range recorded.Header() {
				if name != "Set-Cookie" {
					w.Header()[name] = values
				}
			}
			for _, c := range recorded.Result().Cookies() {
				edit(r, c)
				http.SetCookie(w, c)
			}
			w.WriteHeader(recorded.Code)
			_, _ = w.Write(recorded.Body.Bytes())
		})
	}
}

// The finding states exactly what a forged header did to a cookie.
func TestAttackByForwardedHeaders(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		want string
		edit func(*http.Request, *http.Cookie)
	}{
		{"a forged header made the application set a cookie that was not Secure: an application must take its own URL",
			func(r *http.Request, c *http.Cookie) { c.Secure = r.Header.Get("X-Forwarded-Proto") != "http" }},
		{"a forged header set the Domain of cookie login to evil.example.test: an application must take its own URL",
			func(r *http.Request, c *http.Cookie) {
				c.Name, c.Domain = strings.TrimPrefix(c.Name, "__Host-"), r.Header.Get("X-Forwarded-Host")
			}},
		{"", func(*http.Request, *http.Cookie) {}},
	} {
		target := logintest.Target{Start: editing(&tutorial{configured: true, cookie: good}, test.edit)}
		r := attack(target, func(name string) bool { return name == "Host and forwarded headers" })
		got := r.failures["Host and forwarded headers"]
		if r.fatal != "" || !strings.HasPrefix(got, test.want) || test.want == "" && got != "" {
			t.Errorf("got %s %s, want %s", r.fatal, got, test.want)
		}
	}
}

// A logout by GET fails one attack, unless the application checks the origin of the
// request. The other attacks are tried.
func TestAttackOnALogoutByGET(t *testing.T) {
	t.Parallel()
	const byLink, forged, redirect = "logout by a link", "logout by another site", "open redirect at the logout"
	const byScript, redirectScript = "logout by a script of another site", "open redirect at a logout by script"
	for name, test := range map[string]struct {
		refuses func(*http.Request) bool
		want    []string
	}{
		"for everybody":     {func(*http.Request) bool { return false }, []string{byLink, redirect, forged, byScript, redirectScript}},
		"for its own pages": {func(r *http.Request) bool { return r.Header.Get("Sec-Fetch-Site") != "same-origin" }, []string{redirect, redirectScript}},
		"for older browsers": {func(r *http.Request) bool {
			site := r.Header.Get("Sec-Fetch-Site")
			return site != "" && site != "same-origin"
		}, []string{redirect, forged, redirectScript}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := logintest.Target{LogoutMethod: http.MethodGet, Start: func(p *logintest.Provider) http.Handler {
				app := new(tutorial).start(p)
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/auth/logout" && (r.Method != http.MethodGet || test.refuses(r)) {
						http.Error(w, "no", http.StatusForbidden)
						return
					}
					app.ServeHTTP(w, r)
				})
			}}
			r := attack(target, func(name string) bool { return strings.Contains(name, "logout") })
			var failed []string
			for name := range r.failures {
				failed = append(failed, name)
			}
			slices.Sort(failed)
			slices.Sort(test.want)
			if r.fatal != "" || !slices.Equal(failed, test.want) {
				t.Errorf("got %s %v, want %v: %v", r.fatal, failed, test.want, r.failures)
			}
		})
	}
}
