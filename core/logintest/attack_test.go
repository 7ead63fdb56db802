package logintest_test

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

// A recorder is a T that records failures, and runs only selected sub-tests.
type recorder struct {
	wants    func(name string) bool
	names    []string
	failures map[string]string
	fatal    string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.failures[r.names[len(r.names)-1]] += fmt.Sprintf(format, args...)
}

func (r *recorder) Fatalf(format string, args ...any) { r.fatal += fmt.Sprintf(format, args...) }

func (r *recorder) Run(name string, f func(*recorder)) bool {
	r.names = append(r.names, name)
	if r.wants(name) {
		f(r)
	}
	return r.failures[name] == ""
}

// attack runs the selected attacks.
func attack(target logintest.Target, wants func(string) bool) *recorder {
	r := &recorder{wants: wants, failures: make(map[string]string)}
	logintest.Attack(r, target)
	return r
}

func every(string) bool { return true }

// tutorialFails are the findings for a weak login, by attack.
var tutorialFails = [][2]string{
	{"login begun in another browser",
		`the callback of Mallory's login, opened in a fresh browser, logged the browser in as Mallory Mallet: an application must look up the state only among the logins that this browser began, and reject an unknown one before any token request`},
	{"state missing or empty",
		`a callback without a state logged the browser in as Mallory Mallet: an application must reject a callback without exactly one non-empty state before any token request`},
	{"parameters doubled",
		`a callback with two state parameters logged the browser in as Ada Lovelace: an application must reject a callback with a repeated parameter (RFC 6749 section 3.1)`},
	{"state of another login",
		`a callback with the state of one login and the code of another in the same browser logged the browser in as Mallory Mallet: an application must keep a record for each login, and use the verifier and the nonce of the login that the state belongs to`},
	{"code of another login",
		`at a provider that does not check PKCE, Mallory's code, injected into Ada's login, logged the browser in as Mallory Mallet: an application must require this login's nonce in the ID token, because a code_verifier helps only at a provider that checks it`},
	{"page of another login",
		`a login ended at the page that a login in another tab was for: an application must keep the page to return to, and all else that belongs to one login, in the record of that login`},
	{"private page by another spelling",
		`an anonymous GET of //me got content of /me: an application must decide by the path that the router uses, decoded and clean, and guard every page that is not public, for every method`},
	{"callback opened twice",
		`a callback that was opened a second time led to a token request: an application must end each login at its first callback, so that a second callback redeems no code and changes no session`},
	{"protocol values set by a link",
		`the login took state from the link that began it: an application must create state, nonce and verifier itself, and not let the browser's request choose protocol parameters`},
	{"text in an error response",
		`a page showed the text of an error response that belongs to no login: an application must show its own text for a failed login, because an attacker who makes a link chooses error_description`},
	{"answer in a form",
		`a form with the response of Mallory's login, posted in a fresh browser, led to a token request: an application must reject a form that is posted to its callback, because its logins do not use response_mode=form_post`},
	{"PKCE",
		`the code_challenge_method was "plain", not S256: an application must generate a code_verifier for each login, send its S256 code_challenge with the login, and send the code_verifier with the code (RFC 7636)`},
	{"secrets within reach of the browser",
		`the code_verifier could be read in cookie login: an application must keep verifiers, tokens and its client secret on the server, or encrypt them in cookies`},
	{"answer of another provider",
		`a callback with the iss and the code of another provider led to a token request: an application must compare the callback's iss with the issuer of this login before any token request (RFC 9207 section 2.4)`},
	{"answer without iss",
		`a callback without iss logged the browser in as Ada Lovelace: an application must reject a callback without iss before any token request, if the provider's metadata announces one (RFC 9207 section 2.4)`},
	{"ID token without a signature",
		`a login with an ID token without a signature logged the browser in as Ada Lovelace: an application must verify the ID token's signature, and reject alg none`},
	{"ID token with an HMAC of the public key",
		`a login with an ID token with an HMAC of the public key logged the browser in as Ada Lovelace: an application must accept asymmetric algorithms only, whatever the ID token's header says (RFC 8725 section 3.1)`},
	{"ID token of another issuer",
		`a login with an ID token of another issuer logged the browser in as Ada Lovelace: an application must compare the ID token's iss with the issuer of this login`},
	{"ID token for another client",
		`a login with an ID token for another client logged the browser in as Ada Lovelace: an application must require its own client_id in the ID token's aud`},
	{"ID token for more clients than one",
		`a login with an ID token for more clients than one logged the browser in as Ada Lovelace: an application must reject an ID token whose aud contains audiences that it does not trust`},
	{"ID token with another azp",
		`a login with an ID token with another azp logged the browser in as Ada Lovelace: an application must reject an ID token whose azp is not its own client_id`},
	{"ID token that has expired",
		`a login with an ID token that has expired logged the browser in as Ada Lovelace: an application must reject an ID token whose exp has passed`},
	{"ID token without iat",
		`a login with an ID token without iat logged the browser in as Ada Lovelace: an application must require iat in the ID token (OpenID Connect Core section 2)`},
	{"ID token with another nonce",
		`a login with an ID token with another nonce logged the browser in as Ada Lovelace: an application must compare the ID token's nonce with the nonce of this login`},
	{"ID token without nonce",
		`a login with an ID token without nonce logged the browser in as Ada Lovelace: an application must send a nonce with each login, and require it in the ID token`},
	{"ID token without sub",
		`a login with an ID token without sub logged the browser in as Ada Lovelace: an application must require a sub in the ID token, because names and e-mail addresses do not identify a user`},
	{"ID token signed with another key",
		`a login with an ID token signed with another key logged the browser in as Ada Lovelace: an application must verify the ID token's signature with the keys of the provider's jwks_uri`},
	{"UserInfo about another user",
		`a login with UserInfo about another user logged the browser in as Mallory Mallet: an application must reject a UserInfo response whose sub differs from the ID token's (OpenID Connect Core section 5.3.2)`},
	{"session after a failed login",
		`a login that the provider denied ended the session of Ada Lovelace: an application must keep the session until a new login has passed all checks`},
	{"logout by another site",
		`a POST to the logout from a page of another site ended the session of Ada Lovelace: an application must check that a logout request comes from its own pages, by Sec-Fetch-Site and Origin or by a token in the form`},
	{"logout by a link",
		`a GET of the logout ended the session of Ada Lovelace: an application must end sessions by POST only, because any page can make a browser send a GET`},
	{"cookie attributes",
		`cookie login was not HttpOnly, was not SameSite=Lax or Strict, was not Secure, had no prefix: an application must set the login's cookies once in a response, HttpOnly, SameSite=Lax or Strict, without Domain, at most 4096 bytes, and on https Secure with the prefix __Host- (or __Secure-, if the Path excludes the callback and Private)`},
	{"cookies planted by a sibling host",
		`Mallory's callback, opened in a browser where a sibling host had planted her login's cookies, logged the browser in as Mallory Mallet: an application must name the login's cookies with the prefix __Host-, which no other host can set`},
	{"cookies doubled",
		`of two cookies with the same name, Ada's and Mallory's, Mallory's counted: an application must trust neither of two cookies with the same name, because one of them may have been planted`},
	{"cookie of one purpose used for another",
		`cookie mail with the value of cookie session let Ada Lovelace in: an application must authenticate a cookie's purpose together with its value, for example with a key for each purpose`},
	{"cookie altered",
		`cookie mail, altered, still let Ada Lovelace in: an application must authenticate each cookie's value, for example with AES-GCM or HMAC, and reject altered ones`},
	{"parts and counts of cookies forged",
		`GET /me got no response (logintest: the handler panicked: runtime error: makeslice: len out of range): an application must limit the number of a session's cookies before it reads them, and treat a request with invalid ones as anonymous`},
	{"open redirect at the login",
		`"https://evil.example.test" as the page to return to sent the browser to https://evil.example.test: an application must redirect only to paths that begin with one slash, have no slash or backslash after it, and contain no control characters or white space`},
	{"open redirect at the logout",
		`"https://evil.example.test" as the page to return to sent the browser to https://evil.example.test: an application must redirect after a logout only to a configured page, or check the page to return to as at the login`},
	{"header injection",
		`a line break in a parameter got into header Location: an application must put no request value with control characters into a header`},
	{"Host and forwarded headers",
		`a forged header changed the redirect_uri to https://evil.example.test/auth/callback: an application must take its own URL from its configuration, and trust neither Host nor forwarded headers`},
	{"private page for anonymous requests",
		`an anonymous GET got content of /me, for example "Your secret page": an application must stop an anonymous request in the guard, so that no part of the page is written, not even after a redirect`},
	{"scripts without a session",
		`an anonymous request by a script got status 302 from /me: an application must answer an anonymous request by a script with 401 or 403, because a script cannot log in after a redirect`},
	{"prefetches and frames",
		`a prefetch of /auth/login began a login: an application must begin logins for page loads only, not for prefetches, frames, images and scripts (Sec-Purpose, Sec-Fetch-Dest)`},
	{"garbage",
		`GET /auth/callback with query "" and cookie "=" got status 500: an application must treat all input as hostile, and answer invalid requests with 4xx`},
	{"code in the address bar",
		`the callback was answered with a page, so the code remained in its URL: an application must answer a callback with a redirect to a URL without code and state, because URLs remain in the browser's history and in Referer`},
	{"step-up taken out of the request",
		`/vault opened when max_age, prompt and acr_values had been removed from the authorization request: an application must require the requested auth_time and acr in the ID token, because the authorization request passes through the browser`},
	{"step-up with an old auth_time",
		`/vault opened after an auth_time of a week ago: an application must compare the ID token's auth_time with the requested max_age, because the provider may have ignored it`},
	{"step-up with a weaker acr",
		`/vault opened after an acr that was not requested: an application must compare the ID token's acr with the requested values, because the provider may have ignored them`},
	{"logout token without a signature",
		`a logout token without a signature ended the session of Ada Lovelace: an application must verify the logout token's signature, and reject alg none`},
	{"logout token with an HMAC of the public key",
		`a logout token with an HMAC of the public key ended the session of Ada Lovelace: an application must accept asymmetric algorithms only, whatever the logout token's header says (RFC 8725 section 3.1)`},
	{"logout token of another issuer",
		`a logout token of another issuer ended the session of Ada Lovelace: an application must compare the logout token's iss with its provider's issuer`},
	{"logout token for another client",
		`a logout token for another client ended the session of Ada Lovelace: an application must require its own client_id in the logout token's aud`},
	{"logout token that has expired",
		`a logout token that has expired ended the session of Ada Lovelace: an application must reject a logout token whose exp has passed`},
	{"logout token without iat",
		`a logout token without iat ended the session of Ada Lovelace: an application must require iat in the logout token`},
	{"logout token without its event",
		`a logout token without its event ended the session of Ada Lovelace: an application must require the member http://schemas.openid.net/event/backchannel-logout in the logout token's events`},
	{"logout token with a nonce",
		`a logout token with a nonce ended the session of Ada Lovelace: an application must reject a logout token that has a nonce, because it could be an ID token`},
	{"logout token signed with another key",
		`a logout token signed with another key ended the session of Ada Lovelace: an application must verify the logout token's signature with the keys of the provider's jwks_uri`},
	{"ID token as a logout token",
		`an ID token, posted as a logout token, ended the session of Ada Lovelace: an application must require the logout event in a logout token, which no ID token has, and reject a nonce`},
	{"logout token that comes again",
		`a logout token that came a second time, after a new login, ended the session of Ada Lovelace: an application must remember a logout token's jti until the token expires, and reject a token that comes again`},
	{"front-channel logout with another sid",
		`a front-channel logout without iss and sid of the session ended the session of Ada Lovelace: an application must require iss and sid in a front-channel logout, and compare both with the session's`},
	{"front-channel logout by another site",
		`a link to the front-channel logout on another site ended the session of Ada Lovelace: an application must end no session by a front-channel logout without the session's sid, because another site can put its URL into a link or an image`},
	{"answers in caches",
		`a login was answered without Cache-Control: no-store: an application must answer the login and the callback with Cache-Control: no-store`},
	{"logout by a script of another site",
		`a POST to the logout by a script of another site ended the session of Ada Lovelace: an application must check Sec-Fetch-Site and Origin of every logout request, also if it accepts JSON, and end no session by GET`},
	{"open redirect at a logout by script",
		`the parameter https://evil.example.test made the response to a script's logout lead to https://evil.example.test: an application must answer a script's logout with an address from its configuration only, whatever the request's parameters, Host and forwarded headers say`},
	{"open redirect through the sign-in page",
		`"https://evil.example.test" as the page to return to made a link of the sign-in page lead to https://evil.example.test: an application must let links and forms of its sign-in page lead to its own login only, and check there the page to return to as in any login`},
	{"parameters through the sign-in page",
		`a link to the sign-in page chose the login's parameter provider: an application must encode the page to return to in the links of its sign-in page, and take no other parameter of the request over`},
	{"text on the sign-in page",
		`the sign-in page showed a message that a link to it chose: an application must escape all that its sign-in page repeats, and show messages of its own only, because any site can link to that page`},
	{"circle through the sign-in page",
		`a login through the sign-in page, with /signin as the page to return to, ended at /signin: an application must end a login at a page of the application, and neither at the sign-in page nor at a route of the login`},
	{"API answers in caches",
		`/api/session was answered without Cache-Control: no-store: an application must answer its API with Cache-Control: no-store, so that no cache shows them after a logout or to another user`},
	{"API answers taken for pages",
		`/api/session was answered with Content-Type "": an application must answer its API with Content-Type application/json and X-Content-Type-Options: nosniff, so that no browser runs a user's text as a page or a script`},
	{"API read by another site",
		`/api/session may be read by scripts of https://evil.example.test, with the user's cookies: an application must allow no other origin to read its API with cookies: neither by CORS nor by JSONP`},
	{"API without a session",
		`GET /api/session answered an anonymous request by a script with status 302 and "text/html": an application must answer its API without a session with 401 or 403, or with JSON that says so, because a script cannot follow a redirect to a login`},
	{"API called by another site",
		`a POST to /api/note by a page of another site got status 200: an application must reject a POST to its API by a page of another site: check Sec-Fetch-Site and Origin, or require a content type or header that needs a preflight`},
}

// Every attack succeeds against a login with that weakness, with its own finding.
func TestWeakLoginFailsAttackByAttack(t *testing.T) {
	t.Parallel()
	r := attack(logintest.Target{
		Start: new(tutorial).start, StepUp: "/vault",
		BackChannelLogout: "/auth/backchannel-logout", FrontChannelLogout: "/auth/frontchannel-logout",
		SignIn: "/signin", API: []string{"GET /api/session", "POST /api/note"},
	}, every)
	if r.fatal != "" {
		t.Fatal(r.fatal)
	}
	for _, want := range tutorialFails {
		if got := r.failures[want[0]]; got != want[1] {
			t.Errorf("%s:\ngot  %s\nwant %s", want[0], got, want[1])
		}
		delete(r.failures, want[0])
	}
	for name, sentence := range r.failures {
		t.Errorf("%s is not in the table: %s", name, sentence)
	}
	if doubled := slices.Compact(slices.Sorted(slices.Values(r.names))); len(doubled) != len(r.names) {
		t.Error("two attacks have one name")
	}
	for _, name := range r.names { // fails here, or in one of the variants
		inTable := func(want [2]string) bool { return want[0] == name }
		inVariant := func(v variant) bool { return v.attack == name && v.want != "" }
		if !slices.ContainsFunc(tutorialFails, inTable) && !slices.ContainsFunc(slices.Concat(variants, pageVariants), inVariant) {
			t.Errorf("%s succeeds neither here nor in a variant", name)
		}
	}
}

// Without a working honest login, no attacks are run.
func TestAttackNeedsAnHonestLogin(t *testing.T) {
	t.Parallel()
	start := func(p *logintest.Provider) http.Handler { return new(tutorial).start(p) }
	vault := func(page http.HandlerFunc) func(*logintest.Provider) http.Handler {
		return (&tutorial{vault: page}).start
	}
	for name, test := range map[string]struct {
		target logintest.Target
		want   string
	}{
		"no application":        {logintest.Target{}, "Target.Start is nil"},
		"nothing started":       {logintest.Target{Start: func(*logintest.Provider) http.Handler { return nil }}, "Target.Start returned nil"},
		"no path":               {logintest.Target{Start: start, Private: "me"}, `"me", which is not a path; it must begin with a slash`},
		"no URL":                {logintest.Target{Start: start, RedirectURL: "/auth/callback"}, "Target.RedirectURL"},
		"no method of a logout": {logintest.Target{Start: start, LogoutMethod: "DELETE"}, `Target.LogoutMethod is "DELETE": want GET or POST`},
		"no scheme of ours":     {logintest.Target{Start: start, RedirectURL: "app://x/callback"}, "Target.RedirectURL"},
		"other login path": {logintest.Target{Start: start, LoginPath: "/login"},
			"a login, begun at /login, ended with status 200 at https://app.example.test/login and did not return from the provider"},
		"other private page": {logintest.Target{Start: start, Private: "/profile"},
			"after a login by Ada Lovelace, /profile answered 200 and did not show the user"},
		"other logout path": {logintest.Target{Start: start, LogoutPath: "/logout"},
			"a POST to /logout got status 200, and /me still shows Ada Lovelace"},
		"no step-up path": {logintest.Target{Start: start, StepUp: "vault"}, `"vault", which is not a path; it must begin with a slash`},
		"a step-up page that there is not": {logintest.Target{Start: vault(http.NotFound), StepUp: "/vault"},
			"Target.StepUp is /vault, which answered 404 and led to no login"},
		"a step-up that asks for nothing": {logintest.Target{Start: vault(http.RedirectHandler("/auth/login", http.StatusFound).ServeHTTP), StepUp: "/vault"},
			"Target.StepUp is /vault, which asks for a login without max_age, prompt=login or acr_values"},
		"a step-up that does not open": {logintest.Target{Start: vault(http.RedirectHandler("/auth/login?step_up=1", http.StatusFound).ServeHTTP), StepUp: "/vault"},
			"/vault did not open after a login as recent and strong as requested"},
		"no sign-in path": {logintest.Target{Start: start, SignIn: "signin"}, `"signin", which is not a path; it must begin with a slash`},
		"a sign-in page that there is not": {logintest.Target{Start: start, SignIn: "/elsewhere"},
			"Target.SignIn is /elsewhere, which answered 200 without a link or a form that logs in"},
		"no request of an API": {logintest.Target{Start: start, API: []string{"/api/session"}}, `Target.API has "/api/session": want GET or POST, a space and a path`},
		"a method of no API":   {logintest.Target{Start: start, API: []string{"PUT /api/note"}}, `Target.API has "PUT /api/note": want GET or POST`},
		"an API that there is not": {logintest.Target{Start: start, API: []string{"GET /elsewhere"}},
			`Target.API has GET /elsewhere, which answered a logged-in user with status 200 and "Welcome"`},
		"no back-channel path":  {logintest.Target{Start: start, BackChannelLogout: "back"}, `"back", which is not a path; it must begin with a slash`},
		"no front-channel path": {logintest.Target{Start: start, FrontChannelLogout: "front"}, `"front", which is not a path; it must begin with a slash`},
		"a back channel that there is not": {logintest.Target{Start: start, BackChannelLogout: "/elsewhere"},
			"a valid logout token at /elsewhere got status 200, and /me still shows Ada Lovelace"},
		"a front channel that there is not": {logintest.Target{Start: start, FrontChannelLogout: "/elsewhere"},
			"/elsewhere, opened with iss and sid, got status 200, and /me still shows Ada Lovelace"},
		"other client": {logintest.Target{Start: start, ClientID: "other"}, "ended with status 400 at https://id.example.test/authorize"},
		"other secret": {logintest.Target{Start: start, ClientSecret: "other"}, "/me answered 302"},
		"other callback": {logintest.Target{Start: start, RedirectURL: "https://app.example.test/callback", LoginPath: "/auth/login"},
			"ended with status 400 at https://id.example.test/authorize"},
		"a form without Lax cookies": {logintest.Target{Start: (&tutorial{formPost: true, state: true, cookie: good}).start},
			"after a login by Ada Lovelace, /me answered 302"},
		"an application that panics": {logintest.Target{Start: func(*logintest.Provider) http.Handler {
			return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a fault") })
		}}, "GET /me got no response (logintest: the handler panicked: a fault)"},
		"an application that goes in circles": {logintest.Target{Start: func(*logintest.Provider) http.Handler {
			return http.RedirectHandler("/elsewhere", http.StatusFound)
		}}, "redirects in circles"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := attack(test.target, every)
			if !strings.Contains(r.fatal, test.want) || !strings.HasPrefix(r.fatal, "logintest: nothing was attacked") || len(r.names) != 0 {
				t.Errorf("got %q and then %v, want %s", r.fatal, r.names, test.want)
			}
		})
	}
}

// All users have the claims that Start puts into provider.User. The provider ignores PKCE
// during the attacks, and is honest again afterwards.
func TestAttackLeavesTheProviderHonest(t *testing.T) {
	t.Parallel()
	var provider *logintest.Provider
	var groups []string
	r := attack(logintest.Target{Start: func(p *logintest.Provider) http.Handler {
		provider = p
		p.User.Claims = map[string]any{"groups": "staff", "name": "Nobody"}
		app := new(tutorial).start(p)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			groups = append(groups, fmt.Sprint(p.User.Claims["groups"], p.User.Claims["name"]))
			app.ServeHTTP(w, r)
		})
	}}, func(name string) bool { return name == "ID token without iat" })
	if r.fatal != "" || len(r.failures) != 1 {
		t.Fatalf("got %s %v", r.fatal, r.failures)
	}
	if !slices.Contains(groups, "staffAda Lovelace") {
		t.Errorf("got %v", groups)
	}
	answer, err := provider.HTTPClient().Get(provider.Issuer() + "/authorize?" + url.Values{
		"client_id": {"app"}, "redirect_uri": {"https://app.example.test/auth/callback"}, "response_type": {"code"}, "scope": {"openid"},
	}.Encode())
	if err == nil || !strings.Contains(err.Error(), "code_challenge+is+missing") {
		t.Errorf("got %v, %v", answer, err)
	}
}

// An application may protect its logout with a CSRF token in a form.
func TestAttackSendsHiddenFields(t *testing.T) {
	t.Parallel()
	const form = `<form method=post><input type="hidden" name="csrf" value="a&amp;b"></form>`
	target := logintest.Target{Start: func(p *logintest.Provider) http.Handler {
		app := new(tutorial).start(p)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/auth/logout" && (r.Method != "POST" || r.PostFormValue("csrf") != "a&b") {
				http.Error(w, "forged", http.StatusForbidden)
				return
			}
			app.ServeHTTP(w, r)
			if r.URL.Path == "/me" {
				fmt.Fprint(w, form)
			}
		})
	}}
	r := attack(target, func(name string) bool { return strings.HasPrefix(name, "logout by") })
	if r.fatal != "" || len(r.failures) != 0 {
		t.Errorf("got %s %v", r.fatal, r.failures)
	}
	for page, want := range map[string]url.Values{
		form: {"csrf": {"a&b"}},
		`<INPUT NAME=a VALUE=b TYPE=hidden><input name='c' type='hidden' value='"d"'/>`:         {"a": {"b"}, "c": {`"d"`}},
		`<input name="x" value="y"><input type="hidden" value="z"><input type="text" name="q">`: {},
	} {
		if got := logintest.HiddenFields(page); !maps.EqualFunc(got, want, slices.Equal) {
			t.Errorf("%s: got %v, want %v", page, got, want)
		}
	}
}
