package core_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/sessions"
	"golang.org/x/oauth2"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

func TestTokensAreForgottenUnlessTheyAreToBeKept(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		forget := func(c *core.Config) { vault(c); c.KeepTokens = false }
		g := newTokenRig(t, forget)
		g.login()
		if got := g.token(); got != "token_missing" {
			t.Errorf("got %q", got)
		}
		if kept := g.cookiesNamed("__Host-pixy-tokens"); len(kept) != 0 {
			t.Errorf("got %v", kept)
		}
	})
	t.Run("a login without takes those away of one before", func(t *testing.T) {
		t.Parallel()
		g := newTokenRig(t)
		g.login()
		g.app = g.tokenApp(g.newAuth())
		g.browser.Serve(origin, g.app)
		g.get(origin + "/auth/login?return_to=/me")
		if kept := g.cookiesNamed("__Host-pixy-tokens"); len(kept) != 0 {
			t.Errorf("got %v", kept)
		}
	})
}

// roundTripper answers the requests of a client.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func contextWithClient(ctx context.Context, client *http.Client) context.Context {
	return context.WithValue(ctx, oauth2.HTTPClient, client)
}

// Tokens go with one session: those of another are nobody's.
func TestTokensBelongToASession(t *testing.T) {
	t.Parallel()
	g := newTokenRig(t)
	tokensOf := func(subject string) *http.Cookie {
		g.provider.User = logintest.User{Subject: subject}
		g.get(origin + "/auth/login?return_to=/me")
		return g.cookiesNamed("__Host-pixy-tokens")[0]
	}
	eves := tokensOf("eve")
	own := tokensOf("ada")
	if token := g.token(); len(token) < 20 {
		t.Fatalf("got %q", token)
	}
	for name, value := range map[string]string{
		"of another session": eves.Value,
		"of another purpose": g.cookiesNamed("__Host-pixy-session")[0].Value,
		"altered":            own.Value[:40] + "AAAA" + own.Value[44:],
		"cut short":          own.Value[:100],
		"empty":              "",
	} {
		g.browser.SetCookie(origin, &http.Cookie{Name: own.Name, Value: value, Path: "/", Secure: true})
		if got := g.token(); got != "token_missing" || g.whoAmI() != "I am ada" {
			t.Errorf("%s: got %q", name, got)
		}
	}
	g.advance(2 * time.Hour)
	if got := g.token(); got != "token_missing" || g.provider.Refreshes() != 0 {
		t.Errorf("two hours later: got %q, and %d refreshes", got, g.provider.Refreshes())
	}
}

// Nobody but this application reads them.
func TestTokensAreSealed(t *testing.T) {
	t.Parallel()
	g := newTokenRig(t)
	g.login()
	token := g.token()
	for _, c := range g.cookiesNamed("") {
		decoded, _ := base64.RawURLEncoding.DecodeString(strings.TrimLeft(c.Value, "12"))
		if strings.Contains(c.Value+string(decoded), token) {
			t.Errorf("rule 128: %s shows the access token", c.Name)
		}
	}
	page := g.visit(g.toCallback().String())
	found := false
	for _, c := range (&http.Response{Header: page.Header}).Cookies() {
		if c.Name == "__Host-pixy-tokens" {
			found = c.Secure && c.HttpOnly && c.SameSite == http.SameSiteLaxMode && c.Path == "/" && c.Domain == "" && c.MaxAge == 12*3600
		}
	}
	if !found {
		t.Errorf("got %q", page.Header["Set-Cookie"])
	}
}

// What does not fit is said at login, where somebody can do something about it.
func TestTokensThatAreTooLarge(t *testing.T) {
	t.Parallel()
	const kilobyte = 1 << 10
	for name, test := range map[string]struct {
		store sessions.Store // nil: cookies
		bytes int
		fits  bool
	}{
		"rule 105: cookies, 5 KB":     {nil, 5 * kilobyte, true},
		"rule 105: cookies, 6 KB":     {nil, 6 * kilobyte, false},
		"rule 105: cookies, 12 KB":    {nil, 12 * kilobyte, false},
		"a store, 12 KB":              {newMemoryStore(), 12 * kilobyte, true},
		"gorilla's cookies, of 4 KB":  {sessions.NewCookieStore([]byte("gorilla-auth-key")), 4 * kilobyte, false},
		"gorilla's cookies, of 1 KB ": {sessions.NewCookieStore([]byte("gorilla-auth-key")), kilobyte, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newTokenRig(t, func(c *core.Config) { c.Store = test.store })
			g.login()
			before := g.token()
			g.provider.AccessTokenBytes = test.bytes
			page := g.get(origin + "/auth/login?return_to=/me")
			if test.fits {
				if token := g.token(); page.Status != http.StatusOK || len(token) != test.bytes {
					t.Errorf("got %d, and a token of %d bytes", page.Status, len(token))
				}
				return
			}
			if page.Status != http.StatusInternalServerError || !strings.Contains(string(page.Body), "tokens_too_large") || setsSession(page.Header) {
				t.Errorf("got %d: %s", page.Status, page.Body)
			}
			if !strings.Contains(g.log.String(), "use a Store that takes them") {
				t.Errorf("the log names no remedy: %s", g.log.String())
			}
			if g.token() != before {
				t.Error("the session that was there has lost its tokens")
			}
		})
	}
	t.Run("grown since the login", func(t *testing.T) {
		t.Parallel()
		g := newTokenRig(t)
		g.login()
		g.provider.AccessTokenBytes = 12 * kilobyte
		g.advance(2 * time.Hour)
		if token := g.token(); len(token) != 12*kilobyte {
			t.Errorf("this request has it: got %d bytes", len(token))
		}
		if got := g.token(); got != "token_missing" || g.whoAmI() != "I am ada" || !strings.Contains(g.log.String(), "tokens_too_large") {
			t.Errorf("then: got %q", got)
		}
		if g.provider.Reused() != 0 {
			t.Error("a refresh token came twice")
		}
	})
}

// What proxies accept is for session and tokens together.
func TestSessionAndTokensShareTheirSpace(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		claims, token int // bytes
		fits          bool
	}{
		"rule 105: a large session":         {3500, 30, true},
		"rule 105: a large token":           {30, 3500, true},
		"rule 105: a large session's token": {3500, 2500, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newTokenRig(t)
			g.provider.User = logintest.User{Subject: "ada", Claims: map[string]any{"groups": strings.Repeat("g", test.claims)}}
			g.provider.AccessTokenBytes = test.token
			page := g.get(origin + "/me")
			if fits := page.Status == http.StatusOK; fits != test.fits || !fits && !strings.Contains(string(page.Body), "tokens_too_large") {
				t.Errorf("got %d: %s", page.Status, page.Body)
			}
			if kept := g.cookiesNamed("__Host-pixy-"); !test.fits && len(kept) != 0 {
				t.Errorf("%d cookies are kept", len(kept))
			}
		})
	}
}

// A logout takes the tokens along, here and at the provider (RFC 7009).
func TestLogoutRevokesTokens(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		for name, test := range map[string]struct {
			faults logintest.Faults
			hint   string
			valid  bool // the access token, afterwards
		}{
			"the refresh token":             {hint: "refresh_token"},
			"the access token, if alone":    {faults: logintest.Faults{Token: func(r map[string]any) { delete(r, "refresh_token") }}, hint: "access_token"},
			"a provider that does not care": {faults: logintest.Faults{Discovery: func(m map[string]any) { delete(m, "revocation_endpoint") }}, valid: true},
			"a provider that is down": {faults: logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
				if e == logintest.Revocation {
					w.WriteHeader(http.StatusBadGateway)
				}
				return e == logintest.Revocation
			}}, hint: "refresh_token", valid: true},
		} {
			t.Run(name, func(t *testing.T) {
				g := newTokenRig(t, vault)
				g.provider.Misbehave(test.faults)
				g.login()
				token := g.token()
				page, err := g.browser.Post(origin+"/auth/logout", nil)
				if err != nil || page.Status != http.StatusOK {
					t.Fatal(page, err)
				}
				var hint string
				for _, r := range g.provider.Requests() {
					if r.Endpoint == logintest.Revocation {
						hint = r.Form.Get("token_type_hint")
					}
				}
				if hint != test.hint {
					t.Errorf("revoked %q, want %q", hint, test.hint)
				}
				if valid := g.callUserInfo(token) == http.StatusOK; valid != test.valid {
					t.Errorf("the access token is valid: %v", valid)
				}
				if left := g.cookiesNamed("__Host-pixy"); len(left) != 0 || g.whoAmI() != "" {
					t.Errorf("%v are left", left)
				}
				if failed := strings.Contains(g.log.String(), "the revocation endpoint answered 502"); failed != (test.hint != "" && test.valid) {
					t.Errorf("the log: %s", g.log.String())
				}
			})
		}
	})
}

func (g *tokenRig) callUserInfo(token string) int {
	g.t.Helper()
	r, err := http.NewRequest("GET", issuer+"/userinfo", nil)
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := g.provider.HTTPClient().Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

// An access token goes to the hosts that the application names, and to nobody else.
func TestClientSendsTheTokenToNamedHostsOnly(t *testing.T) {
	t.Parallel()
	const api, other = "https://api.example.test", "https://other.example.test"
	for name, test := range map[string]struct {
		hosts  []string
		url    string
		want   string // what was sent, in order
		failed string
	}{
		"rule 114: a named host":               {hosts: []string{"api.example.test"}, url: api + "/", want: "api.example.test/ with token"},
		"in capitals":                          {hosts: []string{"API.example.test"}, url: api + "/", want: "api.example.test/ with token"},
		"with its port":                        {hosts: []string{"api.example.test:443"}, url: api + "/", want: "api.example.test/ with token"},
		"one of two":                           {hosts: []string{"a.example.test", "api.example.test"}, url: api + "/", want: "api.example.test/ with token"},
		"rule 85: in the header alone":         {hosts: []string{"api.example.test"}, url: api + "/?q=1", want: "api.example.test/?q=1 with token"},
		"rule 113: none named":                 {url: api + "/", failed: "name the host"},
		"rule 113: another host":               {hosts: []string{"api.example.test"}, url: other + "/", failed: "name the host"},
		"a host that ends like it":             {hosts: []string{"api.example.test"}, url: "https://evil-api.example.test/", failed: "name the host"},
		"a host below it":                      {hosts: []string{"example.test"}, url: api + "/", failed: "name the host"},
		"another port":                         {hosts: []string{"api.example.test"}, url: "https://api.example.test:8443/", failed: "name the host"},
		"plain http":                           {hosts: []string{"api.example.test"}, url: "http://api.example.test/", failed: "use https"},
		"its name before an @":                 {hosts: []string{"api.example.test"}, url: "https://api.example.test@other.example.test/", failed: "name the host"},
		"a redirect to itself":                 {hosts: []string{"api.example.test"}, url: api + "/to?" + api + "/", want: "api.example.test/to with token, api.example.test/ with token"},
		"rule 114: a redirect to another host": {hosts: []string{"api.example.test"}, url: api + "/to?" + other + "/", want: "api.example.test/to with token, other.example.test/"},
		"a redirect to plain http":             {hosts: []string{"api.example.test"}, url: api + "/to?http://api.example.test/", want: "api.example.test/to with token, api.example.test/"},
		"a redirect to another and back":       {hosts: []string{"api.example.test"}, url: api + "/to?" + other + "/back", want: "api.example.test/to with token, other.example.test/back, api.example.test/ with token"},
		"plain http on a loopback host":        {hosts: []string{"127.0.0.1:9000"}, url: "http://127.0.0.1:9000/", want: "127.0.0.1:9000/ with token"},
		"a loopback host that was not named":   {hosts: []string{"127.0.0.1:9000"}, url: "http://127.0.0.1:9001/", failed: "name the host"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sent []string
			transport := roundTripper(func(r *http.Request) (*http.Response, error) {
				line := r.URL.Host + r.URL.Path
				if r.Header["Cookie"] != nil {
					t.Errorf("sends cookies to %s", r.URL.Host)
				}
				switch r.Header.Get("Authorization") {
				case "Bearer the-token":
					line += " with token"
				case "":
				default:
					t.Errorf("sends %q", r.Header.Get("Authorization"))
				}
				if r.URL.Path == "/" && r.URL.RawQuery != "" {
					line = strings.Replace(line, "/ ", "/?"+r.URL.RawQuery+" ", 1)
				}
				sent = append(sent, line)
				answer := httptest.NewRecorder()
				switch r.URL.Path {
				case "/to":
					http.Redirect(answer, r, r.URL.RawQuery, http.StatusTemporaryRedirect)
				case "/back":
					http.Redirect(answer, r, api+"/", http.StatusTemporaryRedirect)
				}
				response := answer.Result()
				response.Request = r
				return response, nil
			})
			ctx := core.ContextWithToken(t.Context(), &oauth2.Token{AccessToken: "the-token"})
			ctx = contextWithClient(ctx, &http.Client{Transport: transport})
			response, err := core.Client(ctx, test.hosts...).Get(test.url)
			if err == nil {
				response.Body.Close()
			}
			if got := strings.Join(sent, ", "); got != test.want {
				t.Errorf("sent %q, want %q", got, test.want)
			}
			if test.failed == "" && err != nil || test.failed != "" && (err == nil || !strings.Contains(err.Error(), test.failed)) {
				t.Errorf("got %v", err)
			}
			if err != nil && strings.Contains(err.Error(), "the-token") {
				t.Errorf("the error has the token: %v", err)
			}
		})
	}
}

// A server of many hosts must not take the request for one of another.
func TestClientAsksWhomItNames(t *testing.T) {
	t.Parallel()
	transport := roundTripper(func(r *http.Request) (*http.Response, error) {
		if r.Host != "" && r.Host != "api.example.test" {
			t.Errorf("asks for %s", r.Host)
		}
		return httptest.NewRecorder().Result(), nil
	})
	ctx := contextWithClient(core.ContextWithToken(t.Context(), &oauth2.Token{AccessToken: "the-token"}), &http.Client{Transport: transport})
	r := httptest.NewRequest("GET", "https://api.example.test/", nil)
	r.RequestURI, r.Host = "", "other.example.test"
	response, err := core.Client(ctx, "api.example.test").Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
}

func TestClientUsesTheTransportOfTheConfig(t *testing.T) {
	t.Parallel()
	g := newTokenRig(t)
	var status int
	g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/call" {
			g.app.ServeHTTP(w, r)
			return
		}
		r, err := g.auth.Authenticate(w, r)
		if err != nil {
			t.Error(err)
			return
		}
		response, err := core.Client(r.Context(), "id.example.test").Get(issuer + "/userinfo")
		if err != nil {
			t.Error(err)
			return
		}
		response.Body.Close()
		status = response.StatusCode
	}))
	g.login()
	if g.get(origin + "/call"); status != http.StatusOK {
		t.Errorf("the provider answered %d", status)
	}
}

// Without a token, nothing is sent.
func TestClientWithoutAToken(t *testing.T) {
	t.Parallel()
	transport := roundTripper(func(*http.Request) (*http.Response, error) {
		t.Error("sent")
		return nil, errors.New("sent")
	})
	for name, ctx := range map[string]func() (*core.Authenticator, *http.Request){
		"nobody": func() (*core.Authenticator, *http.Request) { return nil, httptest.NewRequest("GET", "/", nil) },
		"a user of a test": func() (*core.Authenticator, *http.Request) {
			r := httptest.NewRequest("GET", "/", nil)
			return nil, r.WithContext(core.ContextWithUser(r.Context(), &core.User{Subject: "ada"}))
		},
	} {
		_, r := ctx()
		_, err := core.Client(contextWithClient(r.Context(), &http.Client{Transport: transport}), "api.example.test").Post("https://api.example.test", "text/plain", strings.NewReader("x"))
		if failure := new(core.Error); !errors.Is(err, core.ErrNoToken) || !errors.As(err, &failure) || failure.StatusCode() != http.StatusUnauthorized {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// What a test puts in is for its handler alone, and leaves the user in place.
func TestContextWithToken(t *testing.T) {
	t.Parallel()
	ctx := core.ContextWithUser(t.Context(), &core.User{Subject: "ada"})
	with := core.ContextWithToken(ctx, &oauth2.Token{AccessToken: "x"})
	if token, err := core.TokenSource(with).Token(); err != nil || token.AccessToken != "x" || core.UserFromContext(with).Subject != "ada" {
		t.Errorf("got %v, %v", token, err)
	}
	if _, err := core.TokenSource(ctx).Token(); !errors.Is(err, core.ErrNoToken) {
		t.Errorf("got %v", err)
	}
	if user := core.UserFromContext(core.ContextWithToken(t.Context(), new(oauth2.Token))); user != nil {
		t.Errorf("got %v", fmt.Sprint(user))
	}
}
