package logintest_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

const (
	linkElsewhere = "link begun in another browser"
	linkBySite    = "link begun by another site"
	linkByOther   = "link finished by another user"
	linkWithout   = "link that has lost its login"
	linkOrLogin   = "login mistaken for a link"
)

// The findings for links with all weaknesses, and with some of them fixed.
var linkVariants = []variant{
	{linkElsewhere, &tutorial{links: &linker{}},
		`the callback of Mallory's link, opened in Ada's browser, logged the browser in as an unknown user: an application must link only in the browser that began it: keep the link in the record of that browser's login`},
	{linkElsewhere, &tutorial{links: &linker{perLogin: true}}, "the callback of Mallory's link, opened in Ada's browser, linked an account with that of Mallory Mallet:"},
	{linkElsewhere, &tutorial{links: &linker{inState: true}}, "the callback of Mallory's link, opened in Ada's browser, linked an account with that of Ada Lovelace:"},
	{linkElsewhere, &tutorial{state: true, nonce: true, cookie: but(plain), links: &linker{perLogin: true}},
		"the callback of Mallory's link, opened in Ada's browser, where a sibling host had planted the link's cookies, linked an account with that of Mallory Mallet:"},
	{linkElsewhere, &tutorial{state: true, nonce: true, cookie: good, links: &linker{perLogin: true}}, ""},

	{linkBySite, &tutorial{links: &linker{}},
		`a GET to /link from a page of another site linked an account with that of Ada Lovelace: an application must begin a link only by a request of its own pages: check Sec-Fetch-Site and Origin, or a token in the form`},
	{linkBySite, &tutorial{links: &linker{own: true}}, ""},

	{linkByOther, &tutorial{links: &linker{}},
		`a link that Ada had begun, finished after the logout, linked an account with that of Ada Lovelace: an application must keep the user who began the link in the record of the login, and require at its end that this user is still logged in`},
	{linkByOther, &tutorial{links: &linker{perLogin: true, compares: true}}, ""},

	{linkWithout, &tutorial{links: &linker{}},
		`a link that had lost its cookies logged the browser in as an unknown user: an application must let a link fail whose record is gone, and not go on as a login`},
	{linkWithout, &tutorial{links: &linker{perLogin: true, keeps: true}}, "a link that the provider denied ended the session of Ada Lovelace:"},

	{linkOrLogin, &tutorial{links: &linker{}},
		`a login, finished while a link was in progress in another tab, linked an account with that of Ada Lovelace: an application must keep in the record of each login whether it is a link, and not in the session or in a cookie for all tabs`},
	{linkOrLogin, &tutorial{links: &linker{perLogin: true}}, ""},
}

// plain lets a sibling host plant the login's cookie.
func plain(c *http.Cookie) {
	if c.Name == "__Host-login" {
		c.Name = "login"
	}
}

func TestVariantsOfWeakLinks(t *testing.T) {
	t.Parallel()
	for i, v := range linkVariants {
		t.Run(v.name(i), func(t *testing.T) {
			t.Parallel()
			v.suffer(t, logintest.Target{Start: v.app.start, Link: "/link"})
		})
	}
}

// A link may be protected by a CSRF token in a form. The attacks begin links with it.
func TestAttackSendsHiddenFieldsOfALink(t *testing.T) {
	t.Parallel()
	for _, v := range []variant{
		{linkBySite, &tutorial{links: &linker{}}, ""},
		{linkByOther, &tutorial{links: &linker{}}, "a link that Ada had begun, finished after the logout, linked"},
	} {
		v.suffer(t, logintest.Target{Link: "/link", Start: func(p *logintest.Provider) http.Handler {
			app := v.app.start(p)
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/link" && (r.Method != http.MethodPost || r.PostFormValue("csrf") != "token") {
					http.Error(w, "forged", http.StatusForbidden)
					return
				}
				app.ServeHTTP(w, r)
				if r.URL.Path == "/me" {
					_, _ = io.WriteString(w, `<form method=post action=/link><input type=hidden name=csrf value=token></form>`)
				}
			})
		}})
	}
}

// Every attack by links succeeds in at least one variant. None is tried on an application
// that links no accounts.
func TestAttacksByLinks(t *testing.T) {
	t.Parallel()
	nothing := func(string) bool { return false }
	without := attack(logintest.Target{Start: new(tutorial).start}, nothing)
	with := attack(logintest.Target{Start: (&tutorial{links: new(linker)}).start, Link: "/link"}, nothing)
	more := slices.DeleteFunc(with.names, func(name string) bool { return slices.Contains(without.names, name) })
	if with.fatal+without.fatal != "" || len(more) != 5 {
		t.Errorf("got %q and %v", with.fatal+without.fatal, more)
	}
	for _, name := range more {
		if !slices.ContainsFunc(linkVariants, func(v variant) bool { return v.attack == name && v.want != "" }) {
			t.Errorf("%s has never been seen to succeed", name)
		}
	}
}

// Without a working honest link, no attacks are run.
func TestAttackNeedsAnHonestLink(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		app        *tutorial
		path, want string
	}{
		"no path":              {&tutorial{links: new(linker)}, "link", `"link", which is not a path; it must begin with a slash`},
		"no such page":         {new(tutorial), "/link", "Target.Link is /link, where neither a POST nor a GET begins a login"},
		"a login":              {&tutorial{links: new(linker)}, "/auth/login", "a link at /auth/login logged the browser in as an unknown user"},
		"a link without links": {&tutorial{links: &linker{forgets: true}}, "/link", "Target.Link is /link, but a login with an account that was linked there does not show Ada Lovelace"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := attack(logintest.Target{Start: test.app.start, Link: test.path}, every)
			if !strings.HasPrefix(r.fatal, "logintest: nothing was attacked") || !strings.Contains(r.fatal, test.want) || len(r.names) != 0 {
				t.Errorf("got %q and then %v, want %s", r.fatal, r.names, test.want)
			}
		})
	}
}
