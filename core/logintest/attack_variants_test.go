package logintest_test

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

// A variant is a login with other weaknesses, or with one weakness fixed.
type variant struct {
	attack string
	app    *tutorial
	want   string // prefix of the finding; "": the attack fails
}

var variants = []variant{
	{"login begun in another browser", &tutorial{state: true}, ""},
	{"state missing or empty", &tutorial{state: true}, "a callback without a state, after a finished login, logged the browser in as Mallory Mallet:"},
	{"state of another login", &tutorial{state: true}, "a callback with the state of one login and the code of another"},
	{"state of another login", &tutorial{state: true, nonce: true}, ""},
	{"code of another login", &tutorial{state: true}, "at a provider that does not check PKCE, Mallory's code, injected into Ada's login, logged"},
	{"code of another login", &tutorial{nonce: true}, ""},
	{"text in an error response", &tutorial{state: true}, "a page showed the markup of an error response unescaped:"},

	{"login begun in another browser", &tutorial{formPost: true, bounce: encoded}, "the callback of Mallory's login, opened in a fresh browser, logged the browser in as Mallory Mallet:"},
	{"login begun in another browser", &tutorial{formPost: true, bounce: encoded, state: true}, ""},
	{"login begun in another browser", &tutorial{formPost: true, cookie: but(crossSite), state: true}, ""},
	{"state missing or empty", &tutorial{formPost: true, bounce: encoded, state: true}, "a callback without a state, after a finished login, logged the browser in as Mallory Mallet:"},
	{"answer of another provider", &tutorial{formPost: true, bounce: encoded}, "a callback with the iss and the code of another provider led to a token request:"},
	{"text in an error response", &tutorial{formPost: true, bounce: encoded, state: true}, "a page showed the markup of an error response unescaped:"},
	{"answer in a form", &tutorial{formPost: true, bounce: encoded}, "a form with the response of Mallory's login, posted in a fresh browser, logged the browser in as Mallory Mallet:"},
	{"answer in a form", &tutorial{formPost: true, bounce: encoded, state: true}, ""},
	{"answer in a form", &tutorial{formPost: true, bounce: encoded, state: true, endsFirst: true},
		"a form with the response of Mallory's login, posted in Ada's browser, ended the session of Ada Lovelace: an application must keep the session"},
	{"login begun in another browser", &tutorial{state: true, endsFirst: true},
		"the callback of Mallory's login, opened in Ada's browser, ended the session of Ada Lovelace: an application must keep the session"},
	{"state missing or empty", &tutorial{state: true, endsFirst: true}, "a callback without a state, after a finished login, logged the browser in as Mallory Mallet: an application must reject"},
	{"markup in a form", &tutorial{formPost: true, bounce: pasted, state: true}, "a page repeated the markup of a posted form unescaped:"},
	{"markup in a form", &tutorial{formPost: true, bounce: obeyed, state: true}, `"0;url=https://evil.example.test/" as the page to return to sent the browser to https://evil.example.test:`},
	{"markup in a form", &tutorial{formPost: true, bounce: encoded, state: true}, ""},
	{"code in the address bar", &tutorial{formPost: true, bounce: encoded}, "the callback was answered with a page"},
	{"answers in caches", &tutorial{formPost: true, bounce: encoded}, "a login was answered without Cache-Control: no-store:"},

	{"PKCE", &tutorial{pkce: noPKCE}, "the authorization request had no code_challenge:"},
	{"PKCE", &tutorial{pkce: s256, verifier: constant}, "two logins had the same code_challenge:"},
	{"PKCE", &tutorial{pkce: misfit}, "in the token request, the code_verifier does not match the code_challenge:"},
	{"PKCE", &tutorial{pkce: s256}, ""},
	{"secrets within reach of the browser", &tutorial{verifier: constant}, "the code_verifier could be read in a URL:"},
	{"secrets within reach of the browser", &tutorial{pkce: s256, verifier: constant, token: true}, "the access token could be read in cookie token:"},
	{"secrets within reach of the browser", &tutorial{pkce: s256, verifier: constant, secret: "canary-client-secret"}, "the client secret could be read in a page:"},
	{"secrets within reach of the browser", &tutorial{pkce: s256, verifier: constant}, ""},

	{"session fixation", &tutorial{onServer: true}, "a session that Mallory had planted before became Ada Lovelace's when she logged in:"},
	{"cookie altered", &tutorial{onServer: true, guarded: true}, ""},
	{"cookies of two sessions", &tutorial{guarded: true}, "cookie session of Mallory's session, among those of Ada's, let Ada Lovelace and Mallory Mallet in:"},
	{"cookie of one purpose used for another", &tutorial{guarded: true}, "cookie session with the value of cookie login let Ada Lovelace in:"},

	{"cookie attributes", &tutorial{cookie: good}, ""},
	{"cookie attributes", &tutorial{cookie: but(func(c *http.Cookie) { c.HttpOnly = false })}, "cookie __Host-login was not HttpOnly:"},
	{"cookie attributes", &tutorial{cookie: but(func(c *http.Cookie) { c.SameSite = http.SameSiteNoneMode })}, "cookie __Host-login was not SameSite=Lax or Strict:"},
	{"cookie attributes", &tutorial{cookie: but(func(c *http.Cookie) { c.Name, c.Secure = c.Name[7:], false })}, "cookie login was not Secure, had no prefix:"},
	{"cookie attributes", &tutorial{cookie: but(func(c *http.Cookie) { c.Name, c.Domain = "__Secure-"+c.Name[7:], "example.test" })}, "cookie __Secure-login had a Domain, had no prefix:"},
	{"cookie attributes", &tutorial{cookie: but(func(c *http.Cookie) {
		if c.Name == "__Host-login" && c.Value != "" {
			c.Value = strings.Repeat("x", 4086)
		}
	})}, "cookie __Host-login had 4098 bytes:"},
	{"cookie attributes", &tutorial{cookie: narrow("login", "/auth/callback")}, "cookie __Secure-login had no prefix:"},
	{"cookie attributes", &tutorial{cookie: narrow("login", "/auth")}, "cookie __Secure-login had no prefix:"},
	{"cookie attributes", &tutorial{cookie: narrow("hint", "/auth/logout")}, ""},
	{"cookies planted by a sibling host", &tutorial{state: true, cookie: narrow("login", "/auth/callback")},
		"Mallory's callback, opened in a browser where a sibling host had planted her login's cookies, logged"},
	{"cookies planted by a sibling host", &tutorial{state: true, cookie: narrow("hint", "/auth/logout")}, ""},
	{"cookies planted by a sibling host", &tutorial{state: true, cookie: good}, ""},
	{"cookies planted by a sibling host", &tutorial{state: true, cookie: but(func(c *http.Cookie) {
		if !strings.HasSuffix(c.Name, "login") {
			c.Name = c.Name[7:]
		}
	})}, "a sibling host that had planted Mallory's session cookies logged the browser in as Mallory Mallet:"},

	{"open redirect at the login", &tutorial{mayNext: slash}, `"//evil.example.test" as the page to return to sent the browser to https://evil.example.test:`},
	{"open redirect at the login", &tutorial{mayNext: oneSlash}, `"/\\evil.example.test" as the page to return to sent the browser to https://evil.example.test:`},
	{"open redirect at the login", &tutorial{mayNext: ourPrefix}, `"https://app.example.test@evil.example.test" as the page to return to sent the browser to https://evil.example.test:`},
	{"open redirect at the login", &tutorial{mayNext: never}, ""},
	{"header injection", &tutorial{mayNext: never}, "a line break in a parameter got into header Location:"}, // at the logout
	{"Host and forwarded headers", &tutorial{configured: true}, ""},                                          // although no cookie is Secure
	{"Host and forwarded headers", &tutorial{configured: true, cookie: good}, ""},
	{"private page for anonymous requests", &tutorial{guarded: true}, ""},

	{"session from a leftover login", &tutorial{guarded: true, own: true}, "after the logout, a link to /enter logged the browser in as Ada Lovelace without the provider: an application must start its own session once"},
	{"session from a leftover login", &tutorial{guarded: true, own: true, endsBoth: true}, "after the session was gone, a link to /enter logged the browser in as Ada Lovelace without the provider:"},
	{"session from a leftover login", &tutorial{guarded: true, own: true, once: true}, ""},
	{"session from a leftover login", &tutorial{guarded: true}, ""},

	{"session from a leftover login", &tutorial{guarded: true, own: true, endsBoth: true, resumes: true}, "after the session was gone, a link to /auth/login logged the browser in as Ada Lovelace without the provider:"},

	{"page of another login", &tutorial{state: true}, ""},
	{"session changed by a failed login", &tutorial{nonce: true, hasty: anyResponse}, "a login with a bad ID token, of Mallory's, changed what /me shows to Ada Lovelace: an application must change nothing"},
	{"session changed by a failed login", &tutorial{nonce: true, hasty: rejected}, "a login whose code was rejected, of Mallory's, changed what /me shows to Ada Lovelace:"},
	{"session changed by a failed login", &tutorial{oauth2: true, pkce: s256, hasty: accepted}, "a login without an access token, of Mallory's, changed what /me shows to Ada Lovelace:"},
	{"session changed by a failed login", &tutorial{nonce: true}, ""},
	{"login over another session", &tutorial{stays: true}, "after a login by Mallory Mallet over the session of Ada Lovelace, /me shows Ada Lovelace: an application must end"},
	{"login over another session", new(tutorial), ""},

	{"private page by another spelling", &tutorial{guarded: true}, ""},
	{"private page by another spelling", &tutorial{exempt: below("/css/"), resolve: path.Clean}, "an anonymous GET of /css/../me got content of /me:"},
	{"private page by another spelling", &tutorial{exempt: spelled(below("/css/"), ".."), resolve: path.Clean}, "an anonymous GET of /css/%2e%2e/me got content of /me:"},
	{"private page by another spelling", &tutorial{exempt: spelled(below("/css"), "/..", "%2e", "%2f"), resolve: backslashes}, `an anonymous GET of /css\../me got content of /me:`},
	{"private page by another spelling", &tutorial{exempt: below("/files/"), resolve: path.Clean}, ""}, // the kit does not guess it
	{"private page by another spelling", &tutorial{exempt: ends(".css"), resolve: beforeSemicolon}, "an anonymous GET of /me;.css got content of /me:"},
	{"private page by another spelling", &tutorial{exempt: other("GET", "POST")}, "an anonymous PUT of /me got content of /me:"},
	{"private page by another spelling", &tutorial{exempt: butFor("/me"), resolve: strings.ToLower}, "an anonymous GET of /ME got content of /me:"},

	{"step-up without a new login", &tutorial{vault: open}, "/vault was shown after a login of a week ago, without acr:"},
	{"step-up without a new login", new(tutorial), ""},
	{"step-up taken out of the request", &tutorial{raises: true}, ""},
	{"step-up with an old auth_time", &tutorial{raises: true}, ""},
	{"step-up with a weaker acr", &tutorial{raises: true}, ""},

	{"logout token about another user", &tutorial{ends: everybody}, "a logout token about another user ended the session of Ada Lovelace:"},
	{"logout token about another user", new(tutorial), ""},
	{"logout token about a user", &tutorial{ends: sidAlone}, "a logout token about all sessions of Ada Lovelace left one that shows Ada Lovelace:"},
	{"logout token about a user", new(tutorial), ""},
	{"front-channel logout with another sid", &tutorial{framed: anySID}, "a front-channel logout without iss and sid of the session ended the session of Ada Lovelace:"},
	{"front-channel logout with another sid", &tutorial{framed: sameSID}, "a front-channel logout without iss and sid of the session ended"}, // without iss
	{"front-channel logout with another sid", &tutorial{framed: issuerAndSID}, ""},
	{"front-channel logout by another site", &tutorial{framed: anySID, cookie: but(crossSite)}, "a link to the front-channel logout on another site ended"},
	{"front-channel logout by another site", &tutorial{framed: sameIfAny, cookie: but(crossSite)}, "a link to the front-channel logout on another site ended"},
	{"front-channel logout by another site", &tutorial{framed: noPage, cookie: but(crossSite)}, "an image on another site with the URL of the front-channel logout ended"},
	{"front-channel logout by another site", &tutorial{framed: sameSID, cookie: but(crossSite)}, ""},
}

// Token responses.

func anyResponse(*http.Response) bool { return true }

func accepted(r *http.Response) bool { return r.StatusCode == http.StatusOK }

func rejected(r *http.Response) bool { return !accepted(r) }

// open is a public page.
func open(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "Your vault") }

const constant = "a-verifier-that-every-login-shares-in-this-tutorial"

func noPKCE(string) (string, string) { return "", "" }

func s256(verifier string) (string, string) { return challenge(verifier), "S256" }

func misfit(verifier string) (string, string) { return challenge(verifier + "x"), "S256" }

// good makes a cookie correct.
func good(c *http.Cookie) {
	c.Name, c.Secure, c.HttpOnly, c.SameSite = "__Host-"+c.Name, true, true, http.SameSiteLaxMode
}

// narrow gives one cookie another Path, and the prefix __Secure-.
func narrow(name, path string) func(*http.Cookie) {
	return but(func(c *http.Cookie) {
		if c.Name == "__Host-"+name {
			c.Name, c.Path = "__Secure-"+name, path
		}
	})
}

func but(change func(*http.Cookie)) func(*http.Cookie) {
	return func(c *http.Cookie) { good(c); change(c) }
}

// crossSite lets the provider's form carry a cookie.
func crossSite(c *http.Cookie) { c.SameSite = http.SameSiteNoneMode }

// encoded continues correctly, with encoded values.
func encoded(form url.Values) string { return "/auth/callback?" + html.EscapeString(form.Encode()) }

// pasted continues with the form's values, unescaped.
func pasted(form url.Values) string {
	var query strings.Builder
	for name := range form {
		fmt.Fprintf(&query, "%s=%s&", name, form.Get(name))
	}
	return "/auth/callback?" + query.String()
}

// obeyed continues at the URL in the form.
func obeyed(form url.Values) string {
	if to, ok := strings.CutPrefix(form.Get("url"), "0;url="); ok {
		return html.EscapeString(to)
	}
	return encoded(form)
}

func slash(next string) bool { return strings.HasPrefix(next, "/") }

func oneSlash(next string) bool { return slash(next) && !strings.HasPrefix(next, "//") }

func ourPrefix(next string) bool { return strings.HasPrefix(next, "https://app.example.test") }

func never(string) bool { return false }

func everybody(map[string]any) string { return "everybody" }

func sidAlone(claims map[string]any) string { return fmt.Sprint("sid ", claims["sid"]) }

func anySID(r *http.Request, _ string) bool { return r.URL.Query().Has("sid") }

func sameSID(r *http.Request, sid string) bool { return r.URL.Query().Get("sid") == sid }

func sameIfAny(r *http.Request, sid string) bool { return !anySID(r, "") || sameSID(r, sid) }

func noPage(r *http.Request, _ string) bool { return r.Header.Get("Sec-Fetch-Dest") != "document" }

func issuerAndSID(r *http.Request, sid string) bool {
	return r.URL.Query().Get("iss") == "https://id.example.test" && sameSID(r, sid)
}

func TestVariantsOfWeakness(t *testing.T) {
	t.Parallel()
	for i, v := range variants {
		t.Run(v.name(i), func(t *testing.T) {
			t.Parallel()
			target := logintest.Target{Start: v.app.start, ClientSecret: v.app.secret}
			if strings.HasPrefix(v.attack, "step-up") {
				target.StepUp = "/vault"
			}
			if strings.Contains(v.attack, "logout token") {
				target.BackChannelLogout = "/auth/backchannel-logout"
			}
			if strings.HasPrefix(v.attack, "front-channel") {
				target.FrontChannelLogout = "/auth/frontchannel-logout"
			}
			v.suffer(t, target)
		})
	}
}

func (v variant) name(i int) string { return fmt.Sprint(i, " ", v.attack) }

// suffer attacks target, and requires the variant's finding.
func (v variant) suffer(t *testing.T, target logintest.Target) {
	t.Helper()
	r := attack(target, func(name string) bool { return name == v.attack })
	if r.fatal != "" {
		t.Fatal(r.fatal)
	}
	if !slices.Contains(r.names, v.attack) {
		t.Fatal("there is no such attack")
	}
	got := r.failures[v.attack]
	if v.want == "" && got != "" || !strings.HasPrefix(got, v.want) || strings.Contains(got, "\n") {
		t.Errorf("got  %s\nwant %s", got, v.want)
	}
}

// On http, for development, cookies cannot be Secure.
func TestAttackOnHTTP(t *testing.T) {
	t.Parallel()
	app := &tutorial{cookie: func(c *http.Cookie) { c.HttpOnly, c.SameSite = true, http.SameSiteLaxMode }}
	names := []string{"cookie attributes", "cookies planted by a sibling host"}
	r := attack(logintest.Target{Start: app.start, RedirectURL: "http://127.0.0.1:8080/auth/callback"},
		func(name string) bool { return slices.Contains(names, name) })
	if r.fatal != "" || len(r.failures) != 0 {
		t.Errorf("got %s %v", r.fatal, r.failures)
	}
}
