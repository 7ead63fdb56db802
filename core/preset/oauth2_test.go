package preset_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
	"github.com/pixyauth/pixy/core/preset"
)

// api serves fixed responses by path to requests with an access token of the provider.
func api(provider *logintest.Provider, answers map[string]string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := httptest.NewRequest("GET", provider.Issuer()+string(logintest.UserInfo), nil)
		asked.Header = r.Header
		who := httptest.NewRecorder()
		provider.ServeHTTP(who, asked)
		answer, ok := answers[r.URL.Path]
		switch status := 0; {
		case who.Code != 200:
			http.Error(w, "bad credentials", http.StatusUnauthorized)
		case !ok:
			http.NotFound(w, r)
		default:
			if _, err := fmt.Sscanf(answer, "status %d", &status); err == nil {
				w.WriteHeader(status)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, answer)
		}
	})
}

// at serves a provider's endpoint under the path of the real one.
func at(real, path string, handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == real {
			r.URL.Path = path
		}
		handler.ServeHTTP(w, r)
	})
}

// gitHubAnswers makes the token endpoint answer like GitHub's: with a form and always
// with status 200.
func gitHubAnswers(handler http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, "/token") {
			handler.ServeHTTP(w, r)
			return
		}
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, r)
		var answer map[string]any
		if err := json.Unmarshal(recorder.Body.Bytes(), &answer); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		form := make(url.Values)
		for name, value := range answer {
			form.Set(name, fmt.Sprint(value))
		}
		if form.Get("error") == "invalid_grant" {
			form.Set("error", "bad_verification_code")
		}
		form.Del("expires_in")
		w.Header().Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		fmt.Fprint(w, form.Encode())
	})
}

const (
	gitHubIssuer = "https://github.com/login/oauth"
	octocat      = `{"id":583231,"login":"octocat","name":"The Octocat","avatar_url":"https://avatars.githubusercontent.com/u/583231","email":"public@example.test"}`
)

func gitHub(faults logintest.Faults, user, emails string) (web, *logintest.Provider) {
	provider := newProvider(gitHubIssuer, faults)
	return web{
		"github.com":     at("/login/oauth/access_token", "/login/oauth/token", gitHubAnswers(provider)),
		"api.github.com": api(provider, map[string]string{"/user": user, "/user/emails": emails}),
	}, provider
}

func TestGitHub(t *testing.T) {
	t.Parallel()
	const primary = `{"email":"octocat@example.test","primary":true,"verified":true}`
	for _, test := range []struct {
		name, emails, email string
	}{
		{"primary and verified", `[{"email":"a@example.test","verified":true},` + primary + `]`, "octocat@example.test"},
		{"primary and not verified", `[{"email":"a@example.test","verified":true},{"email":"b@example.test","primary":true,"verified":false}]`, ""},
		{"none", `[]`, ""},
		{"an app that may not see them", `status 403`, ""},
		{"an app that does not find them", `status 404`, ""},
	} {
		t.Run("e-mail addresses: "+test.name, func(t *testing.T) {
			t.Parallel()
			web, provider := gitHub(logintest.Faults{}, octocat, test.emails)
			a := newApp(t, preset.GitHub(client), web)
			user := a.login()
			if user.Key() != gitHubIssuer+" 583231" || user.Name != "The Octocat" || a.claims[0]["preferred_username"] != "octocat" {
				t.Errorf("got %+v %v", user, a.claims)
			}
			if user.Email != test.email || user.EmailVerified != (test.email != "") {
				t.Errorf("got %q, verified %v", user.Email, user.EmailVerified)
			}
			for _, request := range provider.Requests() {
				if request.Endpoint == logintest.Authorization && (request.Query.Get("scope") != "user:email" || request.Query.Get("code_challenge_method") != "S256") {
					t.Errorf("asks %v", request.Query)
				}
			}
		})
	}
	for _, test := range []struct {
		name         string
		faults       logintest.Faults
		user, emails string
		status       int
		code         string
	}{
		{"no id", logintest.Faults{}, `{"login":"octocat"}`, `[]`, 502, "userinfo_untrusted"},
		{"an id of zero", logintest.Faults{}, `{"id":0}`, `[]`, 502, "userinfo_untrusted"},
		{"an id that is a name", logintest.Faults{}, `{"id":"octocat"}`, `[]`, 502, "userinfo_untrusted"},
		{"an API that is down", logintest.Faults{}, `status 502`, `[]`, 503, "provider_unavailable"},
		{"an API that is down for addresses", logintest.Faults{}, octocat, `status 503`, 503, "provider_unavailable"},
		{"another issuer in the callback", logintest.Faults{Authorization: func(q url.Values) { q.Set("iss", "https://github.com") }}, octocat, `[]`, 400, "callback_untrusted"},
		{"a bad code, answered with 200", logintest.Faults{Authorization: func(q url.Values) { q.Set("code", "x") }}, octocat, `[]`, 403, "code_refused"},
	} {
		t.Run("refuses "+test.name, func(t *testing.T) {
			t.Parallel()
			web, _ := gitHub(test.faults, test.user, test.emails)
			newApp(t, preset.GitHub(client), web).refused(test.status, test.code)
		})
	}
	t.Run("no iss is fine: it is not promised", func(t *testing.T) {
		t.Parallel()
		web, _ := gitHub(logintest.Faults{Authorization: func(q url.Values) { q.Del("iss") }}, octocat, `[]`)
		newApp(t, preset.GitHub(client), web).login()
	})
}

func discord(faults logintest.Faults, user string) web {
	provider := newProvider("https://discord.com", faults)
	users := api(provider, map[string]string{"/api/users/@me": user})
	return web{"discord.com": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/") {
			users.ServeHTTP(w, r)
			return
		}
		provider.ServeHTTP(w, r)
	})}
}

func TestDiscord(t *testing.T) {
	t.Parallel()
	for _, verified := range []bool{true, false} {
		t.Run(fmt.Sprint("an address whose verified is ", verified), func(t *testing.T) {
			t.Parallel()
			a := newApp(t, preset.Discord(client), discord(logintest.Faults{},
				fmt.Sprintf(`{"id":"80351110224678912","username":"nelly","global_name":"Nelly","avatar":"8342","email":"nelly@example.test","verified":%v}`, verified)))
			user := a.login()
			if user.Key() != "https://discord.com 80351110224678912" || user.Name != "Nelly" || user.Email != "nelly@example.test" || user.EmailVerified != verified ||
				user.Picture != "https://cdn.discordapp.com/avatars/80351110224678912/8342.png" {
				t.Errorf("got %+v", user)
			}
		})
	}
	t.Run("an account without anything", func(t *testing.T) {
		t.Parallel()
		a := newApp(t, preset.Discord(client), discord(logintest.Faults{}, `{"id":"7","username":"x","global_name":null,"avatar":null,"email":null,"verified":true}`))
		if user := a.login(); user.Email != "" || user.EmailVerified || user.Picture != "" {
			t.Errorf("got %+v", user)
		}
	})
	t.Run("refuses no id", func(t *testing.T) {
		t.Parallel()
		newApp(t, preset.Discord(client), discord(logintest.Faults{}, `{"username":"x"}`)).refused(502, "userinfo_untrusted")
	})
	t.Run("refuses a callback without the iss that is promised", func(t *testing.T) {
		t.Parallel()
		faults := logintest.Faults{Authorization: func(q url.Values) { q.Del("iss") }}
		newApp(t, preset.Discord(client), discord(faults, `{"id":"7"}`)).refused(400, "callback_untrusted")
	})
}

func facebook(faults logintest.Faults, user string) web {
	faults.NoPKCE = true // the documentation does not say that PKCE is checked
	provider := newProvider("https://www.facebook.com", faults)
	users := api(provider, map[string]string{"/me": user})
	return web{
		"www.facebook.com": at("/dialog/oauth", "/authorize", provider),
		"graph.facebook.com": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/oauth/access_token" {
				at("/oauth/access_token", "/token", provider).ServeHTTP(w, r)
				return
			}
			users.ServeHTTP(w, r)
		}),
	}
}

func TestFacebook(t *testing.T) {
	t.Parallel()
	noIss := func(q url.Values) { q.Del("iss") }
	for _, test := range []struct{ name, user, email string }{
		{"an address without a statement whether it is verified", `{"id":"1022","name":"Ada","email":"ada@example.test","picture":{"data":{"url":"https://platform-lookaside.fbsbx.com/x"}}}`, "ada@example.test"},
		{"no address", `{"id":"1022","name":"Ada"}`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := newApp(t, preset.Facebook(client), facebook(logintest.Faults{Authorization: noIss}, test.user))
			user := a.login()
			if user.Key() != "https://www.facebook.com 1022" || user.Name != "Ada" || user.Email != test.email || user.EmailVerified {
				t.Errorf("got %+v", user)
			}
			if _, ok := a.claims[0]["email"]; ok != (test.email != "") {
				t.Errorf("got %v", a.claims[0])
			}
		})
	}
	t.Run("refuses no id", func(t *testing.T) {
		t.Parallel()
		newApp(t, preset.Facebook(client), facebook(logintest.Faults{Authorization: noIss}, `{"name":"Ada"}`)).refused(502, "userinfo_untrusted")
	})
	t.Run("refuses a token answer with an error of Facebook's form", func(t *testing.T) {
		t.Parallel()
		faults := logintest.Faults{Authorization: noIss, Intercept: func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
			if e != logintest.Token {
				return false
			}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"error":{"message":"This authorization code has been used.","type":"OAuthException","code":100}}`)
			return true
		}}
		newApp(t, preset.Facebook(client), facebook(faults, `{"id":"1022"}`)).refused(403, "code_refused")
	})
}
