package core_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A refusal is a callback in which exactly one thing is wrong.
type refusal struct {
	name     string
	config   func(*core.Config)
	register func(*logintest.Client)             // nil: as usual
	answer   func(header, claims map[string]any) // of a signed response
	faults   logintest.Faults                    // of the provider
	callback func(query url.Values)              // changed on the way to the application
	claim    func(claims map[string]any)         // of the ID token
	header   func(header map[string]any)         // of the ID token
	token    func(answer map[string]any)         // of the token endpoint
	metadata func(document map[string]any)
	userInfo func(claims map[string]any)

	status int    // zero: 400
	code   string // of the error; empty: accepted
	spent  bool   // whether the code was sent to the token endpoint
}

// Each row is run by somebody who is logged in already: nothing may start, and
// the session that was there must survive.
func TestCallbackRefuses(t *testing.T) {
	t.Parallel()
	for _, row := range refusals() {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			row.run(t, func(g *rig, change func(url.Values)) *logintest.Page {
				callback := g.toCallback()
				query := callback.Query()
				change(query)
				callback.RawQuery = query.Encode()
				return g.get(callback.String())
			})
		})
	}
}

// run has a login answered by the provider, and demands what the row says. The
// answer comes to the callback by bring, once it has been changed.
func (row refusal) run(t *testing.T, bring func(g *rig, change func(url.Values)) *logintest.Page) {
	t.Helper()
	if row.register == nil {
		row.register = func(*logintest.Client) {}
	}
	g := newRigOf(t, row.register, row.change)
	g.provider.User = logintest.User{Subject: "before"}
	g.login()
	logins, tokens, infos := g.logins.Load(), g.provider.Count(logintest.Token), g.provider.Count(logintest.UserInfo)

	second := g.newAuth(row.change) // fresh: it has not seen the metadata yet
	g.browser.Serve(origin, g.app(second))
	g.provider.User = logintest.User{Subject: "after"}
	row.install(g.provider)
	page := bring(g, func(answer url.Values) {
		if row.callback != nil {
			row.callback(answer)
		}
	})

	if row.code == "" {
		if got := g.whoAmI(); got != "I am after" {
			t.Fatalf("not accepted: %d %s (%q)\n%s", page.Status, page.Body, got, g.log.String())
		}
		return
	}
	if row.status == 0 {
		row.status = http.StatusBadRequest
	}
	if page.Status != row.status || !strings.Contains(string(page.Body), "<code>"+row.code+"</code>") {
		t.Fatalf("got %d, want %d %s:\n%s\n%s", page.Status, row.status, row.code, page.Body, g.log.String())
	}
	for _, hop := range page.Hops {
		if setsSession(hop.Header) {
			t.Error("started a session")
		}
	}
	if strings.Contains(string(page.Body), "canary") || strings.Contains(g.log.String(), "canary-client-secret") {
		t.Errorf("shows what came from outside, or a secret:\n%s\n%s", page.Body, g.log.String())
	}
	if got := g.logins.Load() - logins; got != 0 && !strings.Contains(row.name, "OnLogin") {
		t.Errorf("called OnLogin %d times", got)
	}
	if got := g.provider.Count(logintest.Token) - tokens; got != map[bool]int{true: 1}[row.spent] {
		t.Errorf("sent %d token requests", got)
	}
	if got := g.provider.Count(logintest.UserInfo) - infos; got != 0 && row.userInfo == nil {
		t.Errorf("sent %d UserInfo requests", got)
	}
	if got := g.whoAmI(); got != "I am before" {
		t.Errorf("the former session is gone: %q", got)
	}
	if left := g.cookiesNamed("__Host-pixy-login-"); len(left) != 0 {
		t.Errorf("the attempt was not deleted: %d left", len(left))
	}
	if lines := strings.Count(g.log.String(), "\n"); lines != 1 {
		t.Errorf("%d log lines, want 1:\n%s", lines, g.log.String())
	}
}

func (row refusal) change(c *core.Config) {
	if row.config != nil {
		row.config(c)
	}
}

func (row refusal) install(provider *logintest.Provider) {
	faults := row.faults
	if row.claim != nil || row.header != nil {
		faults.IDToken = func(header, claims map[string]any) {
			if row.claim != nil {
				row.claim(claims)
			}
			if row.header != nil {
				row.header(header)
			}
		}
	}
	if row.answer != nil {
		faults.SignedAuthorization = row.answer
	}
	if row.token != nil {
		faults.Token = row.token
	}
	if row.metadata != nil {
		faults.Discovery = row.metadata
	}
	if row.userInfo != nil {
		faults.UserInfo = row.userInfo
	}
	provider.Misbehave(faults)
}

// A code of the attacker's own login, put into a callback of the victim's. PKCE
// is the provider's to check; where one does not, the nonce has to hold.
func TestCallbackTakesNoOtherLoginsCode(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		faults logintest.Faults
		code   string
	}{
		{"rule 8: the provider checks PKCE", logintest.Faults{}, "code_refused"},
		{"rule 8: the provider ignores PKCE", ignoringPKCE(), "id_token_untrusted"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			g.provider.Misbehave(test.faults)
			attacker := logintest.NewBrowser()
			attacker.Serve(issuer, g.provider)
			attacker.Serve(origin, g.app(g.auth))
			g.provider.User = logintest.User{Subject: "mallory"}
			theirs := follow(t, attacker, origin+"/auth/login")
			g.provider.User = logintest.User{}
			ours := g.toCallback()
			query := ours.Query()
			query.Set("code", theirs.Query().Get("code"))
			page := g.get(callbackURL + "?" + query.Encode())
			if !strings.Contains(string(page.Body), test.code) || g.whoAmI() != "" {
				t.Errorf("got %d, and %q is logged in: %s", page.Status, g.whoAmI(), page.Body)
			}
			if got := g.logins.Load(); got != 0 {
				t.Errorf("called OnLogin %d times", got)
			}
			g.login() // without the attack it works, with this provider too
		})
	}
}

// ignoringPKCE is a provider that gives a token for any code and verifier.
func ignoringPKCE() logintest.Faults {
	const verifier = "known-to-everybody-known-to-everybody-known"
	sum := sha256.Sum256([]byte(verifier))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	return logintest.Faults{Intercept: func(e logintest.Endpoint, _ http.ResponseWriter, r *http.Request) bool {
		switch e {
		case logintest.Authorization:
			query := r.URL.Query()
			query.Set("code_challenge", challenge)
			r.URL.RawQuery = query.Encode()
		case logintest.Token:
			r.PostForm.Set("code_verifier", verifier)
		}
		return false
	}}
}

// The callback's URL holds a code: nobody may keep it or pass it on.
func TestCallbackLeavesItsURL(t *testing.T) {
	t.Parallel()
	headers := map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
	for _, test := range []struct {
		name   string
		change func(url.Values)
		status int
	}{
		{"rules 37, 38: a login that succeeds goes to a clean URL", func(url.Values) {}, 303},
		{"rules 37, 38: a login that fails has a page without foreign content", func(q url.Values) { q.Set("iss", "x") }, 400},
		{"rules 37, 38: a login that is begun anew", func(q url.Values) { q.Set("state", strings.Repeat("A", 43)) }, 303},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			callback := g.toCallback()
			query := callback.Query()
			test.change(query)
			page := g.visit(callbackURL + "?" + query.Encode())
			if page.Status != test.status {
				t.Fatalf("got %d: %s", page.Status, page.Body)
			}
			for name, want := range headers {
				if got := page.Header.Get(name); got != want {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
			code := callback.Query().Get("code")
			if shown := page.Header.Get("Location") + string(page.Body); strings.Contains(shown, code) {
				t.Errorf("shows the code: %s", shown)
			}
			if policy := page.Header.Get("Content-Security-Policy"); len(page.Body) > 0 && !strings.HasPrefix(policy, "default-src 'none'") {
				t.Errorf("Content-Security-Policy: got %q", policy)
			}
		})
	}
}

func TestCallbackTakesGETOnly(t *testing.T) {
	t.Parallel()
	t.Run("rule 39: HEAD, POST and PUT", func(t *testing.T) {
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
	})
}

func FuzzCallbackQuery(f *testing.F) {
	g := newRig(f)
	for _, seed := range []string{
		"", "state=a&code=b", "state=&code=", "state=a&state=a", "error=x&state=y", "code=%00", "%", ";", "a=%zz",
		"state=" + strings.Repeat("A", 43) + "&code=x", "state=" + strings.Repeat("A", 43) + "-r&code=x", "iss=x&state=\xff",
		"response=", "response=a.b.c", "response=e30.e30.&response=e30.e30.", "response=e30.eyJzdGF0ZSI6NywiZXJyb3IiOltdfQ.", "response=" + strings.Repeat("A.", 4) + "A",
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

// Nobody has opened a page that is prefetched: what it would use up is there when the
// user comes. A browser must not show the answer either.
func TestCallbackIsPrefetched(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		for _, cookies := range []bool{true, false} {
			t.Run(fmt.Sprintf("rule 22: %s, with cookies: %v", name, cookies), func(t *testing.T) {
				t.Parallel()
				g := newRig(t)
				callback := g.toCallback()
				for _, url := range []string{callback.String(), callbackURL + "?state=x&error=y", callbackURL} {
					r, err := http.NewRequest("GET", url, nil)
					if err != nil {
						t.Fatal(err)
					}
					r.Header = http.Header{name: {"prefetch;prerender"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}}
					browser := g.browser
					if !cookies {
						browser = logintest.NewBrowser()
						browser.Serve(origin, g.app(g.auth))
					}
					page, err := browser.Do(r)
					if err != nil {
						t.Fatal(err)
					}
					if page.Status != 503 || page.Header.Get("Cache-Control") != "no-store" || len(page.Header["Set-Cookie"]) != 0 || len(page.Body) != 0 {
						t.Errorf("got %d %v: %s", page.Status, page.Header, page.Body)
					}
				}
				if got := g.provider.Count(logintest.Token) + g.provider.Count(logintest.Authorization) + int(g.logins.Load()) + len(g.log.String()); got != 1 {
					t.Errorf("something was done: %d, %s", got, g.log.String())
				}
				if page := g.get(callback.String()); page.URL != origin+"/me" || string(page.Body) != "I am ada" {
					t.Errorf("then the user ends with %d at %s", page.Status, page.URL)
				}
			})
		}
	}
}
