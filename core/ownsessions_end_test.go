package core_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// post logs out at path, as a form of the application's own page does.
func (a *ownApp) leave(path string) *logintest.Page {
	a.t.Helper()
	r, err := http.NewRequest("POST", origin+path, nil)
	if err != nil {
		a.t.Fatal(err)
	}
	r.Header = http.Header{"Sec-Fetch-Site": {"same-origin"}, "Origin": {origin}}
	page, err := a.browser.Do(r)
	if err != nil {
		a.t.Fatal(err)
	}
	if page.Header.Get("Location") == "/auth/logout" {
		return a.visit(origin + "/auth/logout?continue")
	}
	return page
}

// Logout by our route, and by a handler of the application's own.
func TestLogoutOfOwnSessions(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/auth/logout", "/auth/logout/mine"} {
		for _, row := range []struct {
			name   string
			faults logintest.Faults
			local  bool
			to     string // where the browser goes; "": to the provider
			hint   bool   // with a hint
			other  bool   // the provider is one of two
		}{
			{name: "nothing unusual", hint: true},
			{name: "one provider of two", hint: true, other: true},
			{name: "an ID token too large to keep", faults: manyIDGroups},
			{name: "an ID token too large to keep, one provider of two", faults: manyIDGroups, other: true},
			{name: "local", local: true, to: "/"},
		} {
			if row.local && path != "/auth/logout" {
				continue
			}
			t.Run(path+": "+row.name, func(t *testing.T) {
				t.Parallel()
				a := newOwnApp(t, func(c *core.Config) {
					c.Logout.Local = row.local
					if row.other {
						second := c.Providers[0]
						second.Name, second.Issuer = "two", "https://two.example.test"
						c.Providers = append([]core.Provider{second}, c.Providers...)
					}
				})
				a.provider.Misbehave(row.faults)
				name := ""
				if row.other {
					name = "&provider=id.example.test"
				}
				a.get(origin + "/auth/login?return_to=/me" + name)
				page := a.leave(path)
				to := page.Header.Get("Location")
				if row.to != "" && to != row.to || row.to == "" && !strings.HasPrefix(to, issuer) {
					t.Errorf("got %d to %q", page.Status, to)
				}
				if strings.Contains(to, "id_token_hint=") != row.hint {
					t.Errorf("goes to %q, want a hint: %v", to, row.hint)
				}
				if row.to == "" && !strings.Contains(to, url.QueryEscape(origin+"/")) {
					t.Errorf("the provider does not get Logout.After: %q", to)
				}
				if left := a.browser.Cookies(origin + "/auth/logout"); len(left) != 0 || a.whoAmI() != "" {
					t.Errorf("left are %v, and %q is logged in", left, a.whoAmI())
				}
				if page := a.leave(path); page.Header.Get("Location") == "" || strings.HasPrefix(page.Header.Get("Location"), issuer) {
					t.Errorf("a second logout goes to %q", page.Header.Get("Location"))
				}
			})
		}
	}
}

// If a logout fails, nothing has ended and nothing is forgotten.
func TestLogoutOfOwnSessionsFails(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name   string
		fails  error
		from   string // Sec-Fetch-Site
		method string
		path   string
		status int
		code   string
	}{
		{name: "End fails", fails: errors.New("secret cause"), status: 500, code: "internal_error"},
		{name: "End is down", fails: core.ErrUnavailable, status: 503, code: "store_unavailable"},
		{name: "End has an error of its own", fails: &core.Error{Status: 409, Code: "busy", Public: "Not now."}, status: 409, code: "busy"},
		{name: "another site", from: "cross-site", status: 403, code: "cross_origin_logout"},
		{name: "another site, at the application's handler", from: "cross-site", path: "/auth/logout/mine", status: 403, code: "cross_origin_logout"},
		{name: "PUT", method: "PUT", status: 405, code: "method_not_allowed"},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			a := newOwnApp(t)
			a.login()
			before := fmt.Sprint(a.browser.Cookies(origin + "/auth/logout"))
			a.fails = row.fails
			method, path := "POST", "/auth/logout"
			if row.method != "" {
				method = row.method
			}
			if row.path != "" {
				path = row.path
			}
			r, _ := http.NewRequest(method, origin+path, nil)
			r.Header = http.Header{"Sec-Fetch-Site": {"same-origin"}}
			if row.from != "" {
				r.Header.Set("Sec-Fetch-Site", row.from)
			}
			page, err := a.browser.Do(r)
			if err != nil || page.Status != row.status || !strings.Contains(string(page.Body), `"code":"`+row.code+`"`) || strings.Contains(string(page.Body), "secret cause") {
				t.Fatalf("got %d, %v: %s", page.Status, err, page.Body)
			}
			a.fails = nil
			if after := fmt.Sprint(a.browser.Cookies(origin + "/auth/logout")); after != before || a.whoAmI() != "I am ada" {
				t.Errorf("cookies are %s, and were %s", after, before)
			}
			if to := a.leave("/auth/logout").Header.Get("Location"); !strings.Contains(to, "id_token_hint=") {
				t.Errorf("then a logout goes to %q", to)
			}
		})
	}
	t.Run("End is not there", func(t *testing.T) {
		t.Parallel()
		a := newOwnApp(t, func(c *core.Config) { c.Sessions.Own.End = nil })
		for _, route := range a.auth.Routes() {
			if route.Path == "/auth/logout" {
				t.Error("there is a logout route")
			}
		}
		a.login()
		r := httptest.NewRequest("POST", origin+"/auth/logout", nil)
		w := httptest.NewRecorder()
		if err := a.auth.Logout(w, r); err == nil || !strings.Contains(err.Error(), "call EndSession") || len(w.Header()["Set-Cookie"]) != 0 {
			t.Errorf("got %v and %q", err, w.Header()["Set-Cookie"])
		}
		if to := a.visit(origin + "/auth/login?return_to=/auth/logout"); to.Status != http.StatusSeeOther {
			t.Fatalf("got %d", to.Status)
		}
		if page := a.get(origin + "/auth/login?return_to=/auth/logout"); page.URL != origin+"/" {
			t.Errorf("a login ends at %s", page.URL)
		}
	})
}

// EndSession with sessions of pixy.
func TestEndSession(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/auth/logout/mine", "/signout"} {
		everyVault(t, func(t *testing.T, vault func(*core.Config)) {
			t.Run(path, func(t *testing.T) {
				t.Parallel()
				g, l := newLogoutRig(t, vault, func(c *core.Config) { c.Tokens.Keep, c.Logout.Local = true, true })
				var to string
				app := g.app(g.auth)
				g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path != path {
						app.ServeHTTP(w, r)
						return
					}
					recorder, err := &untouched{ResponseWriter: w}, error(nil)
					if to, err = g.auth.EndSession(recorder, r); err != nil {
						g.auth.ServeError(w, r, err)
					}
					if recorder.touched {
						t.Error("EndSession answers")
					}
				}))
				if g.fetch("POST", origin+path); to != "" {
					t.Errorf("an anonymous request goes to %q", to)
				}
				g.login()
				copied := g.again(origin + "/me")
				l.down = errors.New("down")
				if page := g.fetch("POST", origin+path); page.Status != 503 || to != "" {
					t.Errorf("while Revocations are down: %d to %q", page.Status, to)
				}
				if l.down = nil; g.whoAmI() != "I am ada" {
					t.Error("the session has ended")
				}
				g.fetch("POST", origin+path)
				if want := path != "/signout"; !strings.HasPrefix(to, issuer) || strings.Contains(to, "id_token_hint=") != want {
					t.Errorf("goes to %q, want a hint: %v", to, want)
				}
				if left := g.browser.Cookies(origin + "/auth/logout"); len(left) != 0 || g.whoAmI() != "" {
					t.Errorf("left are %v", left)
				}
				if w := copied(g.auth); w.Code != http.StatusSeeOther {
					t.Errorf("a copy of the session gets %d", w.Code)
				}
				if got := g.provider.Count(logintest.Revocation); got != 1 {
					t.Errorf("%d tokens are revoked, want 1", got)
				}
			})
		})
	}
}

// Logout by the provider.
func TestOwnSessionsEndedByTheProvider(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{false, true} {
		t.Run(fmt.Sprint("back channel, with Revocations: ", shared), func(t *testing.T) {
			t.Parallel()
			var revocations core.Revocations
			if shared {
				revocations = new(core.MemoryRevocations)
			}
			a := newOwnApp(t, func(c *core.Config) { c.Logout.Revocations = revocations })
			a.provider.User = logintest.User{Subject: "ada", SessionID: "first"}
			a.login()
			token := a.provider.LogoutToken("app", a.provider.User, nil)
			a.fails = errors.New("secret cause")
			if w := a.backChannel(token, nil); w.Code != 503 || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "secret cause") {
				t.Errorf("while EndByProvider fails: %d %v: %s", w.Code, w.Header(), w.Body)
			}
			a.fails = nil
			for name, change := range map[string]func(_, claims map[string]any){
				"nonce": func(_, c map[string]any) { c["nonce"] = "n" }, "aud": func(_, c map[string]any) { c["aud"] = "other" },
			} {
				if w := a.backChannel(a.provider.LogoutToken("app", a.provider.User, change), nil); w.Code != 400 {
					t.Errorf("%s: got %d", name, w.Code)
				}
			}
			a.ended(token)
			a.ended(token) // again
			if shared {
				a.auth = a.newAuth(a.own, func(c *core.Config) { c.Logout.Revocations = revocations })
				a.ended(token) // at another replica
			}
			want := []string{issuer + " ada first", issuer + " ada first"} // the first failed
			if fmt.Sprint(a.byThem) != fmt.Sprint(want) || a.whoAmI() != "" {
				t.Errorf("EndByProvider got %q, want %q", a.byThem, want)
			}
		})
	}
	t.Run("front channel", func(t *testing.T) {
		t.Parallel()
		a := newOwnApp(t)
		open := func(browser *logintest.Browser, iss, sid string) *logintest.Page {
			page, err := browser.Do(httptest.NewRequest("GET", origin+"/auth/frontchannel-logout?"+url.Values{"iss": {iss}, "sid": {sid}}.Encode(), nil))
			if err != nil {
				t.Fatal(err)
			}
			return page
		}
		a.provider.User = logintest.User{Subject: "ada", SessionID: "first"}
		a.login()
		callback := a.toCallback().String()
		a.get(callback)
		mallory := logintest.NewBrowser()
		mallory.Serve(origin, a.handler(a.auth))
		for _, c := range a.browser.Cookies(origin) { // cut short, and of another sid
			if c.Name == "__Host-pixy-last" {
				mallory.SetCookie(origin, &http.Cookie{Name: c.Name, Value: c.Value[:len(c.Value)-4], Path: "/", Secure: true})
			}
		}
		nobody := logintest.NewBrowser()
		nobody.Serve(origin, a.handler(a.auth))
		for _, page := range []*logintest.Page{
			open(a.browser, issuer, "other"), open(a.browser, issuer, ""), open(a.browser, "https://other.example.test", "first"),
			open(nobody, issuer, "first"), open(mallory, issuer, "first"),
		} {
			if page.Status != 200 || len(a.byThem) != 0 || len(page.Header["Set-Cookie"]) != 0 {
				t.Errorf("got %d and %q: %q", page.Status, page.Header["Set-Cookie"], a.byThem)
			}
		}
		a.fails = errors.New("down")
		if page := open(a.browser, issuer, "first"); page.Status != 503 {
			t.Errorf("while EndByProvider fails: %d", page.Status)
		}
		a.byThem, a.fails = nil, nil
		if page := open(a.browser, issuer, "first"); page.Status != 200 || fmt.Sprint(a.byThem) != "["+issuer+"  first]" || a.whoAmI() != "" {
			t.Errorf("got %d, and EndByProvider got %q", page.Status, a.byThem)
		}
		if page := a.visit(callback); startsOwn(page.Header) {
			t.Error("a reload starts the session again")
		}
	})
	t.Run("there is nothing to call", func(t *testing.T) {
		t.Parallel()
		a := newOwnApp(t, func(c *core.Config) { c.Sessions.Own.EndByProvider = nil })
		for _, route := range a.auth.Routes() {
			if strings.HasSuffix(route.Path, "channel-logout") {
				t.Errorf("there is %s", route.Path)
			}
		}
		r := httptest.NewRequest("POST", origin+"/auth/backchannel-logout", nil)
		if err := a.auth.BackChannelLogout(httptest.NewRecorder(), r); err == nil {
			t.Error("BackChannelLogout returns no error")
		}
	})
}
