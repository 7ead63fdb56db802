package examples_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
	"github.com/pixyauth/pixy/examples/devprovider"
)

// script sends a request like a script of a page. Site is what the browser says
// of the page (Sec-Fetch-Site).
func script(t *testing.T, browser *logintest.Browser, site, method, address, body string) (*logintest.Page, map[string]any) {
	t.Helper()
	r, err := http.NewRequest(method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Sec-Fetch-Mode", "cors")
	r.Header.Set("Sec-Fetch-Site", site)
	page, err := browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	_ = json.Unmarshal(page.Body, &answer)
	return page, answer
}

func testSinglePage(t *testing.T) {
	p := start(t, "spa")
	browser := logintest.NewBrowser()
	for path, contentType := range map[string]string{"/": "text/html", "/app.js": "text/javascript", "/style.css": "text/css", "/icon.svg": "image/svg+xml"} {
		page := get(t, browser, p.url+path)
		if page.Status != 200 || !strings.HasPrefix(page.Header.Get("Content-Type"), contentType) {
			t.Errorf("%s: got %d %s", path, page.Status, page.Header.Get("Content-Type"))
		}
		if policy := page.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'self'; form-action 'self'") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: got Content-Security-Policy %q", path, policy)
		}
	}
	if page, session := script(t, browser, "same-origin", "GET", p.url+"/api/session", ""); page.Status != 200 || len(session) != 1 || session["user"] != nil {
		t.Errorf("/api/session of nobody: got %d %s", page.Status, page.Body)
	}
	for _, call := range []string{"GET /me", "GET /api/profile", "GET /api/note", "POST /api/note"} {
		method, path, _ := strings.Cut(call, " ")
		page, problem := script(t, browser, "same-origin", method, p.url+path, `{"text":"x"}`)
		if page.Status != 401 || problem["code"] != "login_required" || problem["login_url"] != "/auth/login" {
			t.Errorf("%s of nobody: got %d %s", call, page.Status, page.Body)
		}
	}

	form := get(t, browser, p.url+"/auth/login?return_to="+url.QueryEscape("/?a=b#/note"))
	page, err := browser.Post(form.URL, url.Values{"name": {`Grace <Hopper>`}, "email": {"grace@example.test"}})
	if err != nil {
		t.Fatal(err)
	}
	if page.Status != 200 || page.URL != p.url+"/?a=b#/note" {
		t.Errorf("after login: got %d at %s", page.Status, page.URL)
	}
	if html := get(t, browser, p.url+"/me"); html.Status != 200 || string(html.Body) != string(get(t, browser, p.url+"/").Body) {
		t.Errorf("/me for a page load: got %d %s", html.Status, html.Body)
	}
	for _, method := range []string{"GET", "POST", "DELETE"} {
		status, me := api(t, browser, method, p.url+"/me")
		if status != 200 || me["name"] != "Grace <Hopper>" || me["email"] != "grace@example.test" || me["subject"] == "" || me["issuer"] == "" {
			t.Errorf("%s /me: got %d %v", method, status, me)
		}
	}
	page, session := script(t, browser, "same-origin", "GET", p.url+"/api/session", "")
	user, _ := session["user"].(map[string]any)
	ends, err := time.Parse(time.RFC3339, session["ends"].(string))
	if page.Status != 200 || user["name"] != "Grace <Hopper>" || err != nil || time.Until(ends) < 11*time.Hour || time.Until(ends) > 12*time.Hour {
		t.Errorf("/api/session: got %s, %v", page.Body, err)
	}
	if page.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("/api/session: got Cache-Control %q", page.Header.Get("Cache-Control"))
	}
	if page, profile := script(t, browser, "same-origin", "GET", p.url+"/api/profile", ""); page.Status != 200 || profile["email"] != "grace@example.test" {
		t.Errorf("/api/profile: got %d %s", page.Status, page.Body)
	}
	testNotes(t, browser, p.url)
	testLogoutByScript(t, browser, p.url)
}

// testNotes posts to the API.
func testNotes(t *testing.T, browser *logintest.Browser, app string) {
	for _, test := range []struct {
		what, site, body string
		want             int
		kept             string
	}{
		{"a note", "same-origin", `{"text":"<b>mine</b>"}`, 200, "<b>mine</b>"},
		{"a note by another site", "cross-site", `{"text":"theirs"}`, 403, "<b>mine</b>"},
		{"a note by a sibling", "same-site", `{"text":"theirs"}`, 403, "<b>mine</b>"},
		{"no JSON", "same-origin", `text=x`, 400, "<b>mine</b>"},
		{"a note that is too long", "same-origin", `{"text":"` + strings.Repeat("x", 5000) + `"}`, 400, "<b>mine</b>"},
	} {
		if page, _ := script(t, browser, test.site, "POST", app+"/api/note", test.body); page.Status != test.want {
			t.Errorf("%s: got %d %s", test.what, page.Status, page.Body)
		}
		if page, note := script(t, browser, "same-origin", "GET", app+"/api/note", ""); page.Status != 200 || note["text"] != test.kept {
			t.Errorf("after %s: got %d %s", test.what, page.Status, page.Body)
		}
	}
	other := logintest.NewBrowser()
	form := get(t, other, app+"/me")
	if _, err := other.Post(form.URL, url.Values{"email": {"ada@example.test"}}); err != nil {
		t.Fatal(err)
	}
	if page, note := script(t, other, "same-origin", "GET", app+"/api/note", ""); page.Status != 200 || note["text"] != "" {
		t.Errorf("another user gets %d %s", page.Status, page.Body)
	}
}

// testLogoutByScript logs out as app.js does.
func testLogoutByScript(t *testing.T, browser *logintest.Browser, app string) {
	if page, answer := script(t, browser, "cross-site", "POST", app+"/auth/logout", "{}"); page.Status != 403 || answer["logout_url"] != nil {
		t.Errorf("logout by another site: got %d %s", page.Status, page.Body)
	}
	page, answer := script(t, browser, "same-origin", "POST", app+"/auth/logout", "{}")
	next, _ := answer["logout_url"].(string)
	if page.Status != 200 || !strings.HasPrefix(next, "/") {
		t.Fatalf("logout: got %d %s", page.Status, page.Body)
	}
	if page, session := script(t, browser, "same-origin", "GET", app+"/api/session", ""); page.Status != 200 || session["user"] != nil {
		t.Errorf("after logout: got %d %s", page.Status, page.Body)
	}
	out := get(t, browser, app+next)
	asked := false
	for _, hop := range out.Hops {
		asked = asked || strings.Contains(hop.URL, "/end-session?")
	}
	if out.Status != 200 || out.URL != app+"/" || !asked {
		t.Errorf("the logout ends with %d at %s; the provider was told: %v", out.Status, out.URL, asked)
	}
	if status, _ := api(t, browser, "GET", app+"/me"); status != 401 {
		t.Errorf("/me after logout: got %d", status)
	}
}

// An access token that the API rejects is refreshed. No answer contains a token.
func testSinglePageTokens(t *testing.T) {
	server := httptest.NewUnstartedServer(nil)
	issuer, addr := "http://"+server.Listener.Addr().String(), freeAddr(t)
	provider := devprovider.New(issuer, "http://"+addr+"/auth/callback", "http://"+addr+"/")
	provider.Authenticate = nil
	var mode string // how UserInfo answers
	var given []string
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api" {
			token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
			given = append(given, token)
			switch {
			case mode == "rejects the first" && len(given) == 1, mode == "rejects all":
				w.WriteHeader(http.StatusUnauthorized)
			case mode == "is broken":
				_, _ = w.Write([]byte("<html>"))
			default:
				_, _ = w.Write([]byte(`{"name":"Ada"}`))
			}
			return
		}
		provider.ServeHTTP(w, r)
	})
	server.Start()
	t.Cleanup(server.Close)
	p := start(t, "spa", "ADDR="+addr, "OIDC_ISSUER="+issuer, "OIDC_CLIENT_ID=pixy-example", "SESSION_KEY="+sessionKey, "USERINFO_URL="+issuer+"/api")
	browser := logintest.NewBrowser()
	get(t, browser, p.url+"/me")
	time.Sleep(5100 * time.Millisecond) // younger tokens are not refreshed on demand
	for _, test := range []struct {
		mode         string
		status, code any
		calls        int
	}{
		{"rejects the first", 200, nil, 2},
		{"rejects all", 502, "profile_unavailable", 2},
		{"is broken", 502, nil, 1},
		{"answers", 200, nil, 1},
	} {
		mode, given = test.mode, nil
		page, answer := script(t, browser, "same-origin", "GET", p.url+"/api/profile", "")
		if page.Status != test.status || answer["code"] != test.code || len(given) != test.calls {
			t.Errorf("an API that %s: got %d %s after %d calls", test.mode, page.Status, page.Body, len(given))
		}
		for _, token := range given {
			if token == "" || strings.Contains(string(page.Body), token) {
				t.Errorf("an API that %s: bad token, or it is in the answer: %s", test.mode, page.Body)
			}
		}
		if test.mode == "rejects the first" && given[0] == given[1] {
			t.Error("the token was not refreshed")
		}
	}
}
