package logintest_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

// pageVariants are variants of the sign-in page, the logout by scripts and the API.
var pageVariants = []variant{
	{"open redirect through the sign-in page", &tutorial{enters: &entering{fixed: true}}, `"https://evil.example.test" as the page to return to sent the browser to https://evil.example.test:`},
	{"open redirect through the sign-in page", &tutorial{enters: &entering{fixed: true, form: true}}, `"https://evil.example.test" as the page to return to sent the browser to https://evil.example.test:`},
	{"open redirect through the sign-in page", &tutorial{enters: &entering{encodes: true, escapes: true, fixed: true}, mayNext: oneSlash}, `"/\\evil.example.test" as the page to return to sent the browser to https://evil.example.test:`},
	{"open redirect through the sign-in page", &tutorial{enters: &entering{encodes: true, escapes: true}, mayNext: never}, `"https://evil.example.test" as the page to return to made a link of the sign-in page lead to`},
	{"open redirect through the sign-in page", &tutorial{enters: &entering{encodes: true, escapes: true, fixed: true}, mayNext: never}, ""},
	{"open redirect through the sign-in page", &tutorial{enters: &entering{encodes: true, escapes: true, fixed: true, form: true, guard: true}, mayNext: private}, ""},
	{"open redirect through the sign-in page", &tutorial{enters: &entering{encodes: true, escapes: true, fixed: true, guard: true}, mayNext: slash}, `"//evil.example.test" as the page to return to sent the browser to https://evil.example.test:`},

	{"parameters through the sign-in page", &tutorial{enters: &entering{escapes: true}}, "a link to the sign-in page chose the login's parameter provider:"},
	{"parameters through the sign-in page", &tutorial{enters: &entering{encodes: true, escapes: true, passes: true}}, "a link to the sign-in page chose the login's parameter connection:"},
	{"parameters through the sign-in page", &tutorial{enters: &entering{encodes: true, escapes: true}}, ""},
	{"parameters through the sign-in page", &tutorial{enters: &entering{escapes: true, form: true}}, ""},

	{"text on the sign-in page", &tutorial{enters: &entering{escapes: true}}, "the sign-in page showed a message that a link to it chose:"},
	{"text on the sign-in page", &tutorial{enters: &entering{quiet: true}}, "the sign-in page repeated the markup of a link to it unescaped:"},
	{"text on the sign-in page", &tutorial{enters: &entering{quiet: true, escapes: true}}, ""},

	{"circle through the sign-in page", &tutorial{mayNext: func(next string) bool { return next != "/signin" }}, "a login through the sign-in page, with /signin?next=%2Fsignin as the page to return to, ended at /signin:"},
	{"circle through the sign-in page", &tutorial{mayNext: func(next string) bool { return !strings.HasPrefix(next, "/signin") }}, "a login through the sign-in page, with /auth/login as the page to return to, began another login:"},
	{"circle through the sign-in page", &tutorial{mayNext: func(next string) bool { return !strings.HasPrefix(next, "/signin") && next != "/auth/login" }},
		"a login through the sign-in page, with /auth/logout as the page to return to, ended the session of Ada Lovelace:"},
	{"circle through the sign-in page", &tutorial{mayNext: private}, ""},

	{"logout by a script of another site", &tutorial{leaving: leaves(checksForms)}, "a POST to the logout by a script of another site ended the session of Ada Lovelace:"},
	{"logout by a script of another site", &tutorial{leaving: leaves(checksPosts)}, "a GET to the logout by a script of another site ended the session of Ada Lovelace:"},
	{"logout by a script of another site", &tutorial{leaving: openLogout}, "a script of another site could read the response of the logout:"},
	{"logout by a script of another site", &tutorial{leaving: leaves(trustsHeaders)}, ""}, // they need a preflight
	{"logout by a script of another site", &tutorial{leaving: preflighted(leaves(trustsHeaders))}, "a POST to the logout by a script of another site ended the session of Ada Lovelace:"},
	{"logout by a script of another site", &tutorial{leaving: inTwoSteps}, "a link to /auth/logout?now=1, to which a script's logout leads, ended the session of Ada Lovelace:"},
	{"logout by a script of another site", &tutorial{leaving: leadsTo(home)}, ""},
	{"open redirect at a logout by script", &tutorial{leaving: leadsTo(inQuery)}, "the parameter https://evil.example.test made the response to a script's logout lead to https://evil.example.test:"},
	{"open redirect at a logout by script", &tutorial{leaving: leadsTo(inForm)}, "the parameter https://evil.example.test made"},
	{"open redirect at a logout by script", &tutorial{leaving: leadsTo(inBody)}, "the parameter https://evil.example.test/ made"},
	{"open redirect at a logout by script", &tutorial{leaving: leadsTo(atHost)}, "a forged header made the response to a script's logout lead to https://evil.example.test:"},
	{"open redirect at a logout by script", &tutorial{leaving: leadsTo(atForwardedHost)}, "a forged header made"},
	{"open redirect at a logout by script", &tutorial{leaving: leadsTo(atProvider)}, "the parameter https://evil.example.test made"},
	{"open redirect at a logout by script", &tutorial{leaving: leadsTo(home)}, ""},

	{"API answers in caches", &tutorial{called: &calling{fresh: true}}, ""},
	{"API answers taken for pages", &tutorial{called: &calling{nosniff: true}}, `/api/session was answered with Content-Type "":`},
	{"API answers taken for pages", &tutorial{called: &calling{typed: true}}, "/api/session was answered without X-Content-Type-Options: nosniff:"},
	{"API answers taken for pages", &tutorial{called: &calling{typed: true, nosniff: true}}, ""},
	{"API read by another site", &tutorial{called: &calling{open: ourPrefix, pure: true}}, "/api/session may be read by scripts of https://app.example.test.evil.example.test, with the user's cookies:"},
	{"API read by another site", &tutorial{called: &calling{open: func(from string) bool { return from == "null" }, pure: true}}, "/api/session may be read by scripts of null,"},
	{"API read by another site", &tutorial{called: &calling{open: func(from string) bool { return strings.HasSuffix(from, "app.example.test") }, pure: true}}, "/api/session may be read by scripts of https://evilapp.example.test,"},
	{"API read by another site", &tutorial{called: &calling{open: never}}, "/api/session answers with a script that calls a function of any page:"},
	{"API read by another site", &tutorial{called: &calling{open: func(from string) bool { return from == "https://app.example.test" }, pure: true}}, ""},
	{"API without a session", &tutorial{called: &calling{denies: http.StatusForbidden}}, ""},
	{"API without a session", &tutorial{called: &calling{denies: http.StatusOK}}, "POST /api/note answered an anonymous request by a script with status 200"},
	{"secrets in API answers", &tutorial{token: true}, "/api/session answered with the access_token:"},
	{"secrets in API answers", &tutorial{cookie: good}, "/api/session answered with the value of cookie __Host-"},
	{"secrets in API answers", &tutorial{token: true, cookie: good, called: &calling{quiet: true}}, ""},
	{"API called by another site", &tutorial{called: &calling{guards: true, open: never}}, ""},
	{"API called by another site", &tutorial{called: &calling{strict: true, open: never}}, ""},
	{"API called by another site", &tutorial{called: &calling{strict: true, bare: true}}, ""},
	{"API called by another site", &tutorial{called: &calling{strict: true}}, "a POST to /api/note by a page of another site got status 200:"},
}

// private allows one page.
func private(next string) bool { return next == "/me" || strings.HasPrefix(next, "/me?") }

// openLogout refuses other sites, but lets them read that.
func openLogout(a *tutorial, w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
	w.Header().Set("Access-Control-Allow-Credentials", "true")
	leaves(func(r *http.Request) bool { return r.Method == http.MethodPost && fromHere(r) })(a, w, r)
}

// inTwoSteps answers a script with the address that ends the session.
func inTwoSteps(a *tutorial, w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && r.URL.Query().Has("now") {
		a.end(w)
		return
	}
	leadsTo(func(*http.Request) string { return "/auth/logout?now=1" })(a, w, r)
}

// preflighted allows every origin to send a header.
func preflighted(logout func(*tutorial, http.ResponseWriter, *http.Request)) func(*tutorial, http.ResponseWriter, *http.Request) {
	return func(a *tutorial, w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodOptions {
			logout(a, w, r)
			return
		}
		w.Header().Set("Access-Control-Allow-Origin", r.Header.Get("Origin"))
		w.Header().Set("Access-Control-Allow-Credentials", "true")
		w.Header().Set("Access-Control-Allow-Headers", "Content-Type, X-Requested-With")
	}
}

func TestVariantsOfPages(t *testing.T) {
	t.Parallel()
	for i, v := range pageVariants {
		t.Run(v.name(i), func(t *testing.T) {
			t.Parallel()
			target := logintest.Target{Start: v.app.start, API: []string{"GET /api/session", "POST /api/note"}}
			if v.app.enters == nil || !v.app.enters.guard {
				target.SignIn = "/signin"
			}
			v.suffer(t, target)
		})
	}
}

// A page to which Private redirects is the sign-in page, if it logs in.
func TestAttackFindsTheSignInPage(t *testing.T) {
	t.Parallel()
	const name = "text on the sign-in page"
	for what, test := range map[string]struct {
		app  *tutorial
		want bool
	}{
		"a page with a link":   {&tutorial{enters: &entering{guard: true, encodes: true}}, true},
		"a page with a form":   {&tutorial{enters: &entering{guard: true, form: true}}, true},
		"none":                 {new(tutorial), false},
		"a page that logs out": {&tutorial{enters: &entering{guard: true}, mayNext: never, leaving: leaves(checksForms)}, true},
	} {
		r := attack(logintest.Target{Start: test.app.start}, func(string) bool { return false })
		if got := slices.Contains(r.names, name); r.fatal != "" || got != test.want {
			t.Errorf("%s: got %v, want %v %s", what, got, test.want, r.fatal)
		}
	}
	r := attack(logintest.Target{Start: new(tutorial).start}, func(string) bool { return false })
	if slices.ContainsFunc(r.names, func(name string) bool { return strings.HasPrefix(name, "API ") }) {
		t.Errorf("an API is attacked that there is not: %v", r.names)
	}
}
