package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

func TestLink(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	account := r.logIn(r.browser, "ada")
	if page := r.get(r.browser, "/me"); !strings.Contains(string(page.Body), "Link another login") {
		t.Fatalf("no button: %s", page.Body)
	}
	r.is("grace")
	page := r.post(r.browser, "/link")
	if page.Status != 200 || page.URL != r.home+"/me" {
		t.Fatalf("linking ends with %d at %s: %s", page.Status, page.URL, page.Body)
	}
	if got := page.Hops[1].URL; !strings.Contains(got, "prompt=login") {
		t.Errorf("the provider is not asked for another user: %s", got)
	}
	me := r.me(r.browser)
	if me.Account != account || me.Subject != "grace" || me.Name != "ADA" || len(me.Identities) != 2 {
		t.Errorf("got %+v", me)
	}
	for _, subject := range []string{"ada", "grace"} {
		if got := r.logInTo(r.newBrowser(), subject); got != account {
			t.Errorf("%s gets account %s, want %s", subject, got, account)
		}
	}
	if r.count("accounts") != 1 {
		t.Errorf("got %d accounts", r.count("accounts"))
	}
	// Linking what is linked already changes nothing.
	if page := r.post(r.browser, "/link"); page.Status != 200 || len(r.me(r.browser).Identities) != 2 {
		t.Errorf("linking again ends with %d", page.Status)
	}
}

// logInTo is logIn for a user whose account has another name.
func (r *rig) logInTo(browser *logintest.Browser, subject string) (account string) {
	r.Helper()
	r.is(subject)
	r.get(browser, "/me")
	return r.me(browser).Account
}

func TestLinkRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		meanwhile func(*rig) // between the provider's page and the callback
		links     string     // the user who logs in
		says      string
		remains   string // whose session the browser has in the end
	}{
		"another account's login": {
			links: "grace", says: "belongs to another account", remains: "ada",
		},
		"another account is logged in now": {
			meanwhile: func(r *rig) { r.logIn(r.browser, "grace") },
			links:     "new", says: "logged in to another account", remains: "grace",
		},
		"logged out": {
			meanwhile: func(r *rig) { r.post(r.browser, "/auth/logout") },
			links:     "new", says: "you have logged out",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "")
			r.logIn(r.newBrowser(), "grace")
			r.logIn(r.browser, "ada")
			begun, err := r.browser.Do(r.form("/link"))
			if err != nil || begun.Status != http.StatusSeeOther {
				t.Fatal(err, begun)
			}
			r.is(test.links)
			answered, err := r.browser.Visit(begun.Header.Get("Location"))
			if err != nil {
				t.Fatal(err)
			}
			if test.meanwhile != nil {
				test.meanwhile(r)
			}
			identities, sessions, grants := r.count("identities"), r.count("sessions"), r.count("grants")
			page, err := r.browser.Get(answered.Header.Get("Location"))
			if err != nil {
				t.Fatal(err)
			}
			if page.Status != http.StatusConflict || !strings.Contains(string(page.Body), test.says) {
				t.Errorf("got %d %s", page.Status, page.Body)
			}
			if r.count("identities") != identities || r.count("sessions") != sessions || r.count("grants") != grants {
				t.Error("a refused link changes the database")
			}
			if got := r.me(r.browser).Subject; got != test.remains {
				t.Errorf("the browser is logged in as %q, want %q", got, test.remains)
			}
		})
	}
}

// form returns the request of a form on a page of the application.
func (r *rig) form(path string) *http.Request {
	r.Helper()
	request, err := http.NewRequest(http.MethodPost, r.home+path, strings.NewReader(""))
	if err != nil {
		r.Fatal(err)
	}
	request.Header = http.Header{
		"Content-Type": {"application/x-www-form-urlencoded"}, "Accept": {"text/html"}, "Origin": {origin},
		"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Site": {"same-origin"}, "Sec-Fetch-Dest": {"document"},
	}
	return request
}

// Only a form of the application, sent by a user, begins a link.
func TestLinkBeginsHereOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	if page, err := r.newBrowser().Do(r.form("/link")); err != nil || page.Status != http.StatusUnauthorized {
		t.Errorf("an anonymous request: got %v %+v", err, page)
	}
	r.logIn(r.browser, "ada")
	elsewhere := r.form("/link")
	elsewhere.Header.Set("Origin", "https://evil.example.test")
	elsewhere.Header.Set("Sec-Fetch-Site", "cross-site")
	if page, err := r.browser.Do(elsewhere); err != nil || page.Status != http.StatusForbidden {
		t.Errorf("a form of another site: got %v %+v", err, page)
	}
	// The query of an ordinary login cannot make it a link.
	r.is("grace")
	if _, err := r.browser.Get(r.home + "/auth/login?return_to=/me&payload=" + r.me(r.browser).Account); err != nil {
		t.Fatal(err)
	}
	if got := r.me(r.browser); got.Subject != "grace" || len(got.Identities) != 1 {
		t.Errorf("got %+v", got)
	}
}
