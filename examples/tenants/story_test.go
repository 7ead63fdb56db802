package main

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

func TestEachHostLogsInAtItsOwnProvider(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	browser := r.newBrowser()
	for _, name := range []string{"acme", "globex"} {
		r.logIn(browser, name)
	}
	r.logInOnMainSite(browser, "ada@acme.test")
	for origin, want := range map[string]string{site("acme"): "acme ada", site("globex"): "globex ada", mainSite: "acme ada"} {
		if got := r.userAt(browser, origin); got != want {
			t.Errorf("user of %s: got %q, want %q", origin, got, want)
		}
	}

	page := r.post(browser, site("acme")+"/auth/logout", nil)
	if page.URL != site("acme")+"/auth/logout" || !strings.Contains(string(page.Body), "You are logged out") {
		t.Errorf("the logout ends with %d at %s", page.Status, page.URL)
	}
	for origin, want := range map[string]string{site("globex"): "globex ada", mainSite: "acme ada"} {
		if got := r.userAt(browser, origin); got != want {
			t.Errorf("after a logout at acme, the user of %s is %q, want %q", origin, got, want)
		}
	}
}

// logInOnMainSite types an e-mail address on the login's page, which asks for it.
func (r *rig) logInOnMainSite(browser *logintest.Browser, email string) {
	r.Helper()
	page := r.post(browser, mainSite+"/auth/login", url.Values{"customer": {email}})
	if page.Status != http.StatusOK || page.URL != mainSite+"/" || !strings.Contains(string(page.Body), "Hello, Ada of") {
		r.Fatalf("the login on the main site ends with %d at %s: %s", page.Status, page.URL, page.Body)
	}
}

func TestSessionsAreGoodOnTheirOwnHost(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	browser := r.newBrowser()
	r.logIn(browser, "acme")
	thief := r.newBrowser()
	for _, cookie := range browser.Cookies(site("acme") + "/") {
		cookie.Path, cookie.Secure = "/", true
		for _, origin := range []string{site("globex"), mainSite, site("unknown")} {
			thief.SetCookie(origin+"/", cookie)
		}
	}
	for _, origin := range []string{site("globex"), mainSite, site("unknown")} {
		if got := r.userAt(thief, origin); got != "" {
			t.Errorf("a session of acme opens %s for %q", origin, got)
		}
	}
}

func TestHostsOfCustomersOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if page := r.get(r.newBrowser(), site("unknown")+"/"); page.Status != http.StatusMisdirectedRequest {
		t.Errorf("unknown host: got %d at %s, want 421", page.Status, page.URL)
	}
	// Whatever a link says, a customer's host logs in at the customer's provider.
	page := r.get(r.newBrowser(), site("acme")+"/auth/login?provider=globex")
	if page.Status < 400 || strings.Contains(string(page.Body), "Ada") {
		t.Errorf("a login at another customer's provider: got %d at %s", page.Status, page.URL)
	}
	for _, path := range []string{"/admin", "/admin/new"} {
		if page := r.get(r.administrator(), site("acme")+path); page.Status == http.StatusOK && strings.Contains(string(page.Body), "ustomer") {
			t.Errorf("%s is on the host of a customer", path)
		}
	}
}

// The guard does not depend on sessions being good on their own host.
func TestUsersOfAnotherCustomer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for provider, want := range map[string]int{"acme": http.StatusOK, "globex": http.StatusForbidden, "": http.StatusForbidden} {
		for _, path := range []string{"/", "/me", "/other"} {
			user, err := core.NewUser("https://id.acme.test", map[string]any{"sub": "ada", "name": "Ada"})
			if err != nil {
				t.Fatal(err)
			}
			user.Provider = provider
			request := httptest.NewRequest(http.MethodGet, site("acme")+path, nil)
			recorder := httptest.NewRecorder()
			r.ServeHTTP(recorder, request.WithContext(core.ContextWithUser(request.Context(), user)))
			if want := map[bool]int{true: http.StatusNotFound, false: want}[path == "/other" && provider == "acme"]; recorder.Code != want {
				t.Errorf("%s for a user of %q: got %d, want %d", path, provider, recorder.Code, want)
			}
		}
	}
}
