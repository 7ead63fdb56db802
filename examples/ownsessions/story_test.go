package main

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
)

func TestStory(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	if page := r.get(r.browser, "/"); page.Status != 200 || !strings.Contains(string(page.Body), "You are not logged in") {
		t.Fatalf("home: got %d %s", page.Status, page.Body)
	}
	if got := r.me(r.browser); got.Account != "" {
		t.Fatalf("an anonymous program sees %v", got)
	}
	r.is("ada")
	page := r.get(r.browser, "/me") // the guard sends the browser to the login
	if page.Status != 200 || page.URL != r.home+"/me" || !strings.Contains(string(page.Body), "ADA") {
		t.Fatalf("after the login: got %d at %s: %s", page.Status, page.URL, page.Body)
	}
	if got := page.Header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control of the account's page: got %q", got)
	}
	me := r.me(r.browser)
	if me.Account == "" || me.Subject != "ada" || me.Issuer != issuer || me.Name != "ADA" || len(me.Identities) != 1 {
		t.Errorf("got %+v", me)
	}
	for _, cookie := range r.browser.Cookies(r.home + "/") {
		if strings.HasSuffix(cookie.Name, "-session") {
			t.Error("pixy has a session, too")
		}
	}
	for _, hop := range page.Hops {
		for _, cookie := range (&http.Response{Header: hop.Header}).Cookies() {
			if cookie.Name == r.cookie && (!cookie.HttpOnly || !cookie.Secure || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/") {
				t.Errorf("got cookie %v", cookie)
			}
		}
	}

	out := r.post(r.browser, "/auth/logout")
	if out.Status != 200 || out.URL != r.home+"/" || !strings.Contains(string(out.Body), "You are not logged in") {
		t.Errorf("logout ends with %d at %s", out.Status, out.URL)
	}
	if r.provider.Count(logintest.EndSession) != 1 {
		t.Error("the logout did not reach the provider")
	}
	if r.count("sessions") != 0 || r.me(r.browser).Account != "" {
		t.Error("the session outlives its logout")
	}
	if got := r.logIn(r.browser, "ada"); got != me.Account {
		t.Errorf("the next login gets account %s, want %s", got, me.Account)
	}
}

// Each login has a new session, and ends the former one.
func TestNewSessionAtEachLogin(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	ada := r.logIn(r.browser, "ada")
	former := r.session(r.browser)
	if grace := r.logIn(r.browser, "grace"); grace == ada {
		t.Fatal("two users have one account, because their e-mail addresses are equal")
	}
	if r.session(r.browser) == former {
		t.Error("the session's token is not new")
	}
	thief := r.newBrowser()
	thief.SetCookie(r.home+"/", &http.Cookie{Name: r.cookie, Value: former, Path: "/", Secure: true})
	if got := r.me(thief); got.Account != "" {
		t.Errorf("the former session still opens %v", got)
	}
}

func (r *rig) session(browser *logintest.Browser) string {
	for _, cookie := range browser.Cookies(r.home + "/") {
		if cookie.Name == r.cookie {
			return cookie.Value
		}
	}
	return ""
}

func TestSessionExpires(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.logIn(r.browser, "ada")
	r.now = func() time.Time { return time.Now().Add(sessionLifetime) }
	if got := r.me(r.browser); got.Account != "" {
		t.Errorf("an expired session opens %v", got)
	}
	if err := r.runJob(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := r.count("sessions"); n != 0 {
		t.Errorf("the background job leaves %d expired sessions", n)
	}
}

func TestProviderEndsSessions(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		token logintest.User
		ends  string // the users whose sessions end
	}{
		"one session":               {logintest.User{Subject: "ada", SessionID: "session of ada"}, "ada"},
		"a session without subject": {logintest.User{SessionID: "session of ada"}, "ada"},
		"all sessions of a user":    {logintest.User{Subject: "grace"}, "grace"},
		"an unknown session":        {logintest.User{Subject: "ada", SessionID: "another"}, ""},
		"an unknown user":           {logintest.User{Subject: "mallory"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "")
			browsers := map[string]*logintest.Browser{"ada": r.newBrowser(), "grace": r.newBrowser()}
			for subject, browser := range browsers {
				r.logIn(browser, subject)
			}
			if hop := r.tell(test.token); hop.Status >= 300 {
				t.Fatalf("the provider gets %d %s", hop.Status, hop.Body)
			}
			for subject, browser := range browsers {
				if ended := r.me(browser).Account == ""; ended != (subject == test.ends) {
					t.Errorf("the session of %s: ended %t", subject, ended)
				}
			}
		})
	}
}

// A double click has several callbacks. There is one login and one account, and
// each response has a session that works.
func TestCallbacksThatComeTogether(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.is("ada")
	begun, err := r.browser.Visit(r.home + "/auth/login?return_to=/me")
	if err != nil {
		t.Fatal(err)
	}
	answered, err := r.browser.Visit(begun.Header.Get("Location"))
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequest(http.MethodGet, answered.Header.Get("Location"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, cookie := range r.browser.Cookies(r.home + "/") {
		request.AddCookie(cookie)
	}
	var together sync.WaitGroup
	for range 3 {
		together.Go(func() {
			browser := r.newBrowser() // each response in a browser of its own
			page, err := browser.Do(request)
			if err != nil || page.Status != http.StatusSeeOther || page.Header.Get("Location") != "/me" {
				t.Errorf("got %v %+v", err, page)
				return
			}
			if got := r.me(browser); got.Subject != "ada" {
				t.Errorf("a response has no session: %v", got)
			}
		})
	}
	together.Wait()
	if n := r.provider.Count(logintest.Token); n != 1 {
		t.Errorf("the code was sent %d times", n)
	}
	if r.count("accounts") != 1 || r.count("identities") != 1 || r.count("grants") != 1 {
		t.Errorf("got %d accounts, %d identities, %d grants", r.count("accounts"), r.count("identities"), r.count("grants"))
	}
}

// A reader of the database gets neither sessions nor tokens.
func TestDatabaseKeepsSecrets(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	var secrets []string
	r.provider.Misbehave(logintest.Faults{Token: func(response map[string]any) {
		secrets = append(secrets, response["access_token"].(string), response["refresh_token"].(string), response["id_token"].(string))
	}})
	r.logIn(r.browser, "ada")
	secrets = append(secrets, r.session(r.browser))
	if len(secrets) != 4 {
		t.Fatalf("got %d secrets", len(secrets))
	}
	dump := r.dump()
	for i, secret := range secrets {
		if secret == "" || bytes.Contains(dump, []byte(secret)) {
			t.Errorf("secret %d is in the database", i)
		}
	}
	if !bytes.Contains(dump, []byte("session of ada")) {
		t.Error("the dump is not what it should be")
	}
}

// dump returns all values of the database.
func (r *rig) dump() (dump []byte) {
	r.Helper()
	for _, table := range []string{"accounts", "identities", "sessions", "grants"} {
		rows, err := r.db.Query("SELECT * FROM " + table)
		if err != nil {
			r.Fatal(err)
		}
		names, err := rows.Columns()
		if err != nil {
			r.Fatal(err)
		}
		for rows.Next() {
			values := make([]any, len(names))
			for i := range values {
				values[i] = new(any)
			}
			if err := rows.Scan(values...); err != nil {
				r.Fatal(err)
			}
			for _, value := range values {
				dump = fmt.Appendf(dump, "%s\n", *value.(*any))
			}
		}
		if err := rows.Err(); err != nil {
			r.Fatal(err)
		}
	}
	return dump
}

// While the database is down, nobody is logged out, and no login succeeds.
func TestDatabaseDown(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.logIn(r.browser, "ada")
	before := r.browser.Cookies(r.home + "/")
	if err := r.db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/", "/me", "/auth/login"} {
		if page := r.get(r.browser, path); page.Status != http.StatusServiceUnavailable {
			t.Errorf("%s: got %d", path, page.Status)
		}
	}
	if page := r.post(r.browser, "/auth/logout"); page.Status != http.StatusServiceUnavailable {
		t.Errorf("logout: got %d", page.Status)
	}
	if after := r.browser.Cookies(r.home + "/"); len(after) != len(before) {
		t.Errorf("cookies were %v and are %v", before, after)
	}
	if page := r.get(r.newBrowser(), "/me"); page.Status != http.StatusServiceUnavailable || !strings.HasPrefix(page.URL, r.home+"/auth/callback") {
		t.Errorf("a login ends with %d at %s", page.Status, page.URL)
	}
	if hop := r.tell(logintest.User{Subject: "ada"}); hop.Status < 400 {
		t.Errorf("the provider gets %d for a logout that did not happen", hop.Status)
	}
}
