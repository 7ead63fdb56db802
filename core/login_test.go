package core_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// CHECKLIST 1 to 3, 10, 12 to 19.
func TestLoginSendsTheAuthorizationRequest(t *testing.T) {
	t.Parallel()
	g := newRig(t, func(c *core.Config) {
		c.Providers[0].AuthParams = url.Values{"prompt": {"login"}, "resource": {"a", "b"}}
	})
	g.provider.Misbehave(logintest.Faults{Discovery: func(m map[string]any) {
		m["authorization_endpoint"] = issuer + "/authorize?tenant=a"
		delete(m, "code_challenge_methods_supported") // which must not turn PKCE off
	}})
	r, err := http.NewRequest("GET", origin+"/auth/login?return_to=/secret-page", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = "evil.example.test"
	r.Header.Set("X-Forwarded-Host", "evil.example.test")
	page, err := g.browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if page.Status != http.StatusSeeOther || len(page.Body) != 0 {
		t.Fatalf("got %d %q", page.Status, page.Body)
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"} {
		if got := page.Header.Get(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	location := page.Header.Get("Location")
	if !strings.HasPrefix(location, issuer+"/authorize?tenant=a&") || strings.Contains(location, "evil") {
		t.Errorf("leads to %s", location)
	}
	to, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	query := to.Query()
	for name, want := range map[string]string{
		"response_type": "code", "client_id": "app", "redirect_uri": callbackURL,
		"scope": "openid profile email", "code_challenge_method": "S256", "prompt": "login", "tenant": "a",
	} {
		if got := query[name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"state", "nonce", "code_challenge"} {
		raw, err := base64.RawURLEncoding.DecodeString(query.Get(name))
		if err != nil || len(raw) != 32 || len(query[name]) != 1 {
			t.Errorf("%s is not 32 bytes of base64url, once: %q", name, query[name])
		}
		if strings.Contains(string(raw), "secret-page") {
			t.Errorf("%s holds the return-to", name)
		}
	}
	if got := len(query["resource"]); got != 2 {
		t.Errorf("resource: got %d values, want 2", got)
	}
}

// CHECKLIST 94, 95, 97 to 100, 104.
func TestLoginCookieAttributes(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	page := g.visit(origin + "/auth/login")
	cookies := (&http.Response{Header: page.Header}).Cookies()
	if len(cookies) != 1 {
		t.Fatalf("got %d cookies, want 1", len(cookies))
	}
	c := cookies[0]
	if !strings.HasPrefix(c.Name, "__Host-pixy-login-") || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode ||
		c.Path != "/" || c.Domain != "" || c.MaxAge != 600 {
		t.Errorf("got %v", c)
	}
	if size := len(c.Name) + len(c.Value); size > 512 {
		t.Errorf("it has %d bytes, want a few hundred", size)
	}
}

// CHECKLIST 4, 5.
func TestAttemptsNeverRepeat(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	seen := make(map[string]bool)
	for range 1000 {
		g.browser.Forget("", "")
		page := g.visit(origin + "/auth/login")
		to, err := url.Parse(page.Header.Get("Location"))
		if err != nil {
			t.Fatal(err)
		}
		cookie := (&http.Response{Header: page.Header}).Cookies()[0]
		verifier := g.auth.AttemptVerifier(cookie.Name, cookie.Value)
		raw, err := base64.RawURLEncoding.DecodeString(verifier)
		if err != nil || len(raw) != 32 {
			t.Fatalf("the verifier is not 32 bytes: %q", verifier)
		}
		for _, value := range []string{verifier, to.Query().Get("state"), to.Query().Get("nonce"), to.Query().Get("code_challenge")} {
			if seen[value] {
				t.Fatalf("%q comes twice", value)
			}
			seen[value] = true
		}
	}
}

func TestLoginBeginsForNavigationsOnly(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		header http.Header
		begins bool
	}{
		{"a page", http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}, true},
		{"a client that does not say", nil, true},
		{"prefetch", http.Header{"Sec-Purpose": {"prefetch"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}, false},
		{"prerender", http.Header{"Sec-Purpose": {"prefetch;prerender"}}, false},
		{"older prefetch", http.Header{"Purpose": {"prefetch"}}, false},
		{"Firefox prefetch", http.Header{"X-Moz": {"prefetch"}}, false},
		{"frame", http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"iframe"}}, false},
		{"fetch", http.Header{"Sec-Fetch-Mode": {"cors"}, "Sec-Fetch-Dest": {"empty"}}, false},
		{"image", http.Header{"Sec-Fetch-Mode": {"no-cors"}, "Sec-Fetch-Dest": {"image"}}, false},
		{"XMLHttpRequest", http.Header{"X-Requested-With": {"XMLHttpRequest"}}, false},
		{"htmx", http.Header{"Hx-Request": {"true"}}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			r, err := http.NewRequest("GET", origin+"/auth/login", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header = test.header
			if r.Header == nil {
				r.Header = make(http.Header)
			}
			page, err := g.browser.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			want := http.StatusForbidden
			if test.begins {
				want = http.StatusSeeOther
			}
			if page.Status != want {
				t.Errorf("got %d, want %d", page.Status, want)
			}
			if got := len(g.cookiesNamed("__Host-pixy-login-")); (got == 1) != test.begins {
				t.Errorf("%d attempts were begun", got)
			}
		})
	}
}

// FIELD R1.
func TestEightTabsAtTheSameInstantAllLogIn(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	callbacks := make([]*url.URL, 8)
	var tabs sync.WaitGroup
	for i := range callbacks {
		tabs.Go(func() {
			callbacks[i] = follow(t, g.browser, fmt.Sprintf("%s/auth/login?return_to=/tab/%d", origin, i))
		})
	}
	tabs.Wait()
	for i, callback := range callbacks {
		tabs.Go(func() {
			page, err := g.browser.Visit(callback.String())
			if err != nil {
				t.Error(err)
				return
			}
			if got, want := page.Header.Get("Location"), fmt.Sprintf("/tab/%d", i); got != want {
				t.Errorf("tab %d: got %d to %q, want %q", i, page.Status, got, want)
			}
		})
	}
	tabs.Wait()
	if got := g.logins.Load(); got != 8 {
		t.Errorf("got %d logins, want 8", got)
	}
	if left := g.cookiesNamed("__Host-pixy-login-"); len(left) != 0 {
		t.Errorf("%d attempts are left", len(left))
	}
}

// CHECKLIST 108.
func TestAbandonedLoginsStayBounded(t *testing.T) {
	t.Parallel()
	for _, returnTo := range []string{"/me", "/" + strings.Repeat("a", 1000), "/" + strings.Repeat("a", 2047)} {
		t.Run(fmt.Sprint(len(returnTo)), func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			for range 200 {
				g.visit(origin + "/auth/login?return_to=" + returnTo)
			}
			size := 0
			for _, cookie := range g.browser.Cookies(origin) {
				size += len(cookie.Name) + len(cookie.Value) + len("=; ")
			}
			if size > 5<<10 {
				t.Errorf("%d bytes of cookies are left", size)
			}
			if got := len(g.cookiesNamed("__Host-pixy-login-")); got > 8 {
				t.Errorf("%d attempts are left", got)
			}
			g.login()
		})
	}
}

func TestTheOldestAttemptGoesFirst(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	first := g.toCallback()
	second := g.toCallback()
	for range 7 {
		g.visit(origin + "/auth/login")
	}
	if page := g.visit(second.String()); page.Header.Get("Location") != "/me" {
		t.Errorf("the second login is lost: %d to %q", page.Status, page.Header.Get("Location"))
	}
	g.browser.Forget(origin, "__Host-pixy-session")
	if page := g.visit(first.String()); !strings.HasPrefix(page.Header.Get("Location"), issuer) {
		t.Errorf("the first of nine should begin anew: %d to %q", page.Status, page.Header.Get("Location"))
	}
}

// FIELD R9: replicas, a restart, and a key that is being rotated.
func TestALoginEndsOnAnotherProcess(t *testing.T) {
	t.Parallel()
	newKey := []byte("another key of thirty-two bytes!")
	for _, test := range []struct {
		name  string
		other func(*core.Config)
		works bool
	}{
		{"same key", func(*core.Config) {}, true},
		{"key rotated meanwhile", func(c *core.Config) { c.SessionKey, c.OldSessionKeys = newKey, [][]byte{sessionKey} }, true},
		{"another key", func(c *core.Config) { c.SessionKey = newKey }, false},
		{"another client", func(c *core.Config) { c.Providers[0].ClientID = "app2" }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			callback := g.toCallback()
			g.browser.Serve(origin, g.app(g.newAuth(test.other)))
			page := g.visit(callback.String())
			if got := page.Header.Get("Location") == "/me"; got != test.works {
				t.Fatalf("got %d to %q", page.Status, page.Header.Get("Location"))
			}
			if !test.works {
				if got := g.provider.Count(logintest.Token); got != 0 {
					t.Errorf("%d token requests", got)
				}
				return
			}
			if got := g.whoAmI(); got != "I am ada" {
				t.Errorf("the session does not open: %q", got)
			}
			if test.name == "same key" {
				g.browser.Serve(origin, g.app(g.newAuth()))
				if got := g.whoAmI(); got != "I am ada" {
					t.Errorf("the session does not survive a restart: %q", got)
				}
			}
		})
	}
}

// CHECKLIST 7, 112, 127: nothing that must stay secret is anywhere to be seen.
func TestSecretsAreNowhereToBeSeen(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	var seen strings.Builder // what browser and log can see
	look := func(page *logintest.Page) {
		for _, hop := range page.Hops {
			fmt.Fprintln(&seen, hop.URL, hop.Header, hop.RequestHeader, string(hop.Body))
		}
		for _, cookie := range g.browser.Cookies(origin + "/auth/logout") {
			raw, err := base64.RawURLEncoding.DecodeString(cookie.Value)
			fmt.Fprintln(&seen, cookie.Value, string(raw), err)
			raw, err = base64.RawURLEncoding.DecodeString(strings.TrimLeft(cookie.Value, "12"))
			fmt.Fprintln(&seen, string(raw), err)
		}
	}
	look(g.visit(origin + "/me"))
	look(g.login())
	replay := g.toCallback()
	look(g.get(replay.String()))
	look(g.get(replay.String() + "&code=x"))
	g.provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
		if e != logintest.Token {
			return false
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(400) // a provider that repeats what it was sent
		fmt.Fprintf(w, `{"error":"invalid_request","error_description":"bad: %s %s %s"}`,
			r.PostForm.Get("code"), r.PostForm.Get("code_verifier"), r.Header.Get("Authorization"))
		return true
	}})
	look(g.get(g.toCallback().String()))
	g.provider.Misbehave(logintest.Faults{SignedIDToken: func(token string) string { return token + "x" }})
	look(g.get(g.toCallback().String()))

	shown := seen.String() + g.log.String()
	var verifiers, codes int
	for _, request := range g.provider.Requests() {
		if request.Endpoint != logintest.Token {
			continue
		}
		verifiers++
		if verifier := request.Form.Get("code_verifier"); verifier == "" || strings.Contains(shown, verifier) {
			t.Errorf("the verifier %q can be seen", verifier)
		}
		if code := request.Form.Get("code"); strings.Contains(g.log.String(), code) {
			codes++
		}
	}
	if verifiers < 4 || codes > 0 {
		t.Errorf("%d token requests; %d codes in the log", verifiers, codes)
	}
	if strings.Contains(shown, "canary-client-secret") {
		t.Error("the client secret can be seen")
	}
	for _, cookie := range g.browser.Cookies(origin + "/auth/logout") {
		if strings.Contains(g.log.String(), cookie.Value) {
			t.Errorf("the value of %s is in the log", cookie.Name)
		}
	}
	if g.log.String() == "" {
		t.Error("nothing was logged at all")
	}
}

// The healing of DESIGN section 4, case by case.
func TestCallbackHealsItself(t *testing.T) {
	t.Parallel()

	t.Run("back button or reload, logged in", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		callback := g.toCallback()
		g.get(callback.String())
		tokens := g.provider.Count(logintest.Token)
		page := g.visit(callback.String())
		if page.Status != 303 || page.Header.Get("Location") != "/" || setsSession(page.Header) {
			t.Errorf("got %d to %q", page.Status, page.Header.Get("Location"))
		}
		if got := g.provider.Count(logintest.Token); got != tokens {
			t.Errorf("%d more token requests", got-tokens)
		}
		if g.whoAmI() != "I am ada" {
			t.Error("the session is gone")
		}
	})

	// CHECKLIST 20, 23.
	t.Run("another browser begins a login of its own", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		callback := g.toCallback()
		g.browser.Forget("", "")
		page := g.visit(callback.String())
		if !strings.HasPrefix(page.Header.Get("Location"), issuer+"/authorize?") || setsSession(page.Header) {
			t.Errorf("got %d to %q", page.Status, page.Header.Get("Location"))
		}
		if got := g.provider.Count(logintest.Token); got != 0 {
			t.Errorf("%d token requests", got)
		}
	})

	t.Run("cookies blocked: one restart, then a page", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		at := g.toCallback()
		g.browser.Forget("", "")
		at = follow(t, g.browser, g.visit(at.String()).Header.Get("Location"))
		g.browser.Forget("", "")
		page := g.visit(at.String())
		if page.Status != 400 || !strings.Contains(string(page.Body), "attempt_unknown") || !strings.Contains(string(page.Body), "Try again") {
			t.Errorf("got %d: %s", page.Status, page.Body)
		}
		if got := g.provider.Count(logintest.Token); got != 0 {
			t.Errorf("%d token requests", got)
		}
	})

	// CHECKLIST 24.
	t.Run("expired: begun anew, to the same place", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		callback := g.toCallback()
		g.advance(10*time.Minute + time.Second)
		page := g.visit(callback.String())
		if !strings.HasPrefix(page.Header.Get("Location"), issuer+"/authorize?") {
			t.Fatalf("got %d to %q", page.Status, page.Header.Get("Location"))
		}
		callback = follow(t, g.browser, page.Header.Get("Location"))
		if page := g.visit(callback.String()); page.Header.Get("Location") != "/me" {
			t.Errorf("got %d to %q, want /me", page.Status, page.Header.Get("Location"))
		}
	})

	// CHECKLIST 31: who pressed Cancel must not be sent back.
	t.Run("error without an attempt: a page that repeats nothing", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		callback := g.toCallback()
		g.browser.Forget("", "")
		page := g.visit(callbackURL + "?error=access_denied&error_description=call+0900&state=" + callback.Query().Get("state"))
		if page.Status != 400 || strings.Contains(string(page.Body), "0900") {
			t.Errorf("got %d: %s", page.Status, page.Body)
		}
	})
}

// CHECKLIST 21, 33, 106, 107: what is no attempt of this browser.
func TestCallbackWithoutItsAttemptStartsNothing(t *testing.T) {
	t.Parallel()
	state := func(values ...string) func(*rig, url.Values) {
		return func(_ *rig, query url.Values) { query["state"] = values }
	}
	// cookie changes the value of the attempt's cookie.
	cookie := func(change func(g *rig, name, value string) string) func(*rig, url.Values) {
		return func(g *rig, query url.Values) {
			name := g.auth.AttemptCookie(query.Get("state"))
			for _, c := range g.browser.Cookies(origin) {
				if c.Name == name {
					g.browser.SetCookie(origin, &http.Cookie{Name: name, Value: change(g, name, c.Value), Path: "/", Secure: true})
					return
				}
			}
			g.t.Fatal("no cookie for the attempt")
		}
	}
	for _, test := range []struct {
		name   string
		change func(*rig, url.Values)
	}{
		{"state missing", func(_ *rig, q url.Values) { q.Del("state") }},
		{"state empty", state("")},
		{"state of nobody", state(strings.Repeat("A", 43))},
		{"state cut short", func(_ *rig, q url.Values) { q.Set("state", q.Get("state")[:42]) }},
		{"state longer", func(_ *rig, q url.Values) { q.Set("state", q.Get("state")+"A") }},
		{"state twice", func(_ *rig, q url.Values) { q.Add("state", q.Get("state")) }},
		{"cookie cut short", cookie(func(_ *rig, _, v string) string { return v[:len(v)-2] })},
		{"cookie tampered with", cookie(func(_ *rig, _, v string) string { return v[:40] + flip(v[40]) + v[41:] })},
		{"cookie empty", cookie(func(*rig, string, string) string { return "" })},
		{"cookie of another attempt", cookie(func(g *rig, name, _ string) string {
			other := g.toCallback().Query().Get("state")
			for _, c := range g.browser.Cookies(origin) {
				if c.Name == g.auth.AttemptCookie(other) {
					return c.Value
				}
			}
			return ""
		})},
		{"record of another state under the right name", cookie(func(g *rig, name, _ string) string {
			other := g.auth.AttemptCookie(g.toCallback().Query().Get("state"))
			for _, c := range g.browser.Cookies(origin) {
				if c.Name == other {
					record, _ := g.auth.OpenAttempt(other, c.Value)
					return g.auth.SealAttempt(name, record)
				}
			}
			return ""
		})},
		{"record that is none", cookie(func(g *rig, name, _ string) string { return g.auth.SealAttempt(name, []byte("\x01")) })},
		{"a session as an attempt", cookie(func(g *rig, _, _ string) string { return g.auth.SealSession([]byte("\x01")) })},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			callback := g.toCallback()
			query := callback.Query()
			test.change(g, query)
			page := g.visit(callbackURL + "?" + query.Encode())
			if page.Status != 303 && page.Status != 400 || page.Header.Get("Location") == "/me" || setsSession(page.Header) {
				t.Errorf("got %d to %q", page.Status, page.Header.Get("Location"))
			}
			if got := g.provider.Count(logintest.Token) + int(g.logins.Load()); got != 0 {
				t.Errorf("%d token requests and logins", got)
			}
		})
	}
}

// RFC 6265bis section 8.6: two cookies of one name are nobody's.
func TestDoubledCookiesAreNobodys(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	callback := g.toCallback()
	attempt := g.cookiesNamed("__Host-pixy-login-")[0]
	r, err := http.NewRequest("GET", callback.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Cookie", attempt.Name+"="+attempt.Value) // the browser sends it once more
	page, err := g.browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if setsSession(page.Header) || g.provider.Count(logintest.Token) != 0 {
		t.Errorf("a doubled attempt logs in: %d", page.Status)
	}

	g.browser.Forget("", "")
	g.login()
	session := g.cookiesNamed("__Host-pixy-session")[0]
	for _, other := range []string{session.Value, "x", ""} {
		for _, header := range [][]string{
			{session.Name + "=" + session.Value + "; " + session.Name + "=" + other},
			{session.Name + "=" + other, session.Name + "=" + session.Value},
		} {
			r, err := http.NewRequest("GET", origin+"/me", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header["Cookie"] = header
			stranger := logintest.NewBrowser()
			stranger.Serve(origin, g.app(g.auth))
			if page, err := stranger.Do(r); err != nil || page.Status != http.StatusUnauthorized {
				t.Errorf("a doubled session is taken: %v %v", page, err)
			}
		}
	}
}

func TestCallbackTakesGETOnly(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	callback := g.toCallback()
	for _, method := range []string{"HEAD", "POST", "PUT"} {
		r, err := http.NewRequest(method, callback.String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		page, err := g.browser.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if page.Status != http.StatusMethodNotAllowed || page.Header.Get("Allow") == "" {
			t.Errorf("%s: got %d, Allow %q", method, page.Status, page.Header.Get("Allow"))
		}
	}
	if got := g.provider.Count(logintest.Token); got != 0 {
		t.Errorf("%d token requests", got)
	}
	if page := g.get(callback.String()); string(page.Body) != "I am ada" {
		t.Errorf("the attempt is used up: %s", page.Body)
	}
}

func FuzzCallbackQuery(f *testing.F) {
	g := newRig(f)
	for _, seed := range []string{
		"", "state=a&code=b", "state=&code=", "state=a&state=a", "error=x&state=y", "code=%00", "%", ";", "a=%zz",
		"state=" + strings.Repeat("A", 43) + "&code=x", "state=" + strings.Repeat("A", 43) + "-r&code=x", "iss=x&state=\xff",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := &http.Request{
			Method: "GET", URL: &url.URL{Scheme: "https", Host: "app.example.test", Path: "/auth/callback", RawQuery: query},
			Header: http.Header{"Accept": {"text/html"}},
		}
		page, err := g.browser.Do(r.WithContext(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		if page.Status >= 500 || setsSession(page.Header) {
			t.Fatalf("%q: got %d", query, page.Status)
		}
		if g.provider.Count(logintest.Token) != 0 {
			t.Fatalf("%q: a token request", query)
		}
	})
}
