package core_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// requiresPAR is a registration whose requests have to be pushed.
func requiresPAR(c *logintest.Client) { c.RequirePAR = true }

// offersPAR is one whose requests may be: a client with DPoP has the metadata announce it.
func offersPAR(c *logintest.Client) { c.DPoPNonces = true }

func pushes(c *core.Config) { c.Providers[0].Requests.PAR = true }

func newPARRig(t testing.TB, change ...func(*core.Config)) *rig {
	t.Helper()
	return newRigOf(t, requiresPAR, change...)
}

// pushed returns the form of the request that was pushed last.
func (g *rig) pushed() url.Values {
	g.t.Helper()
	requests := g.provider.Requests()
	for _, r := range slices.Backward(requests) {
		if r.Endpoint == logintest.PAR {
			return r.Form
		}
	}
	g.t.Fatalf("nothing was pushed in %d requests", len(requests))
	return nil
}

// The browser's URL has the client and the reference, and what was pushed has all the
// rest, and proves who the client is.
func TestPushedLogin(t *testing.T) {
	t.Parallel()
	public := func(c *logintest.Client) { c.Secret = "" }
	for _, test := range []struct {
		name     string
		register func(*logintest.Client)
		change   func(*core.Config)
		plain    bool
	}{
		{name: "required", register: requiresPAR},
		{name: "asked for", register: offersPAR, change: pushes},
		{name: "required and asked for", register: requiresPAR, change: pushes},
		{name: "offered, and not asked for", register: offersPAR, plain: true},
		{name: "by client_secret_post", register: requiresPAR, change: func(c *core.Config) { c.Providers[0].Client.AuthMethod = "client_secret_post" }},
		{name: "by a public client", register: func(c *logintest.Client) { requiresPAR(c); public(c) }, change: func(c *core.Config) { c.Providers[0].ClientSecret = "" }},
		{name: "without OpenID Connect", register: requiresPAR, change: func(c *core.Config) {
			plainOAuth2(c)
			pushes(c)
			c.Providers[0].Endpoints.PARURL = issuer + "/par"
		}},
		{name: "without OpenID Connect, by its metadata", register: requiresPAR, change: func(c *core.Config) {
			plainOAuth2(c)
			c.Providers[0].Issuer, c.Providers[0].Endpoints = issuer, core.EndpointConfig{}
		}},
		{name: "form_post", register: requiresPAR, change: func(c *core.Config) { c.Providers[0].Requests.FormPost = true }},
	} {
		t.Run("rules 142, 143: "+test.name, func(t *testing.T) {
			t.Parallel()
			if test.change == nil {
				test.change = func(*core.Config) {}
			}
			g := newRigOf(t, test.register, func(c *core.Config) {
				c.Providers[0].Requests.AuthParams = url.Values{"prompt": {"login"}, "ui_locales": {"de en"}, "resource": {"https://a.example.test", "https://b.example.test"}}
				test.change(c)
			})
			to, err := url.Parse(g.visit(origin + "/me").Header.Get("Location"))
			if err != nil || !strings.HasPrefix(to.String(), issuer+"/authorize?") {
				t.Fatalf("leads to %v, %v", to, err)
			}
			if n := g.provider.Count(logintest.PAR); (n == 0) != test.plain || n > 1 {
				t.Fatalf("pushed %d times", n)
			}
			query := to.Query()
			if !test.plain {
				if query.Get("client_id") != "app" || !query.Has("request_uri") || len(query) != 2 {
					t.Errorf("the URL is %s", to)
				}
				query = g.pushed()
			}
			openID := g.provider.Count(logintest.Discovery) > 0 && test.name != "without OpenID Connect, by its metadata"
			want := []string{"client_id", "code_challenge", "code_challenge_method", "prompt", "redirect_uri", "resource", "response_type", "state", "ui_locales"}
			if openID {
				want = append(want, "nonce", "scope")
			}
			if test.name == "form_post" {
				want = append(want, "response_mode")
			}
			if test.name == "by client_secret_post" {
				want = append(want, "client_secret")
			}
			slices.Sort(want)
			var got []string
			for name, values := range query {
				got = append(got, name)
				if most := map[bool]int{true: 2, false: 1}[name == "resource"]; len(values) != most {
					t.Errorf("%s has %d values", name, len(values))
				}
			}
			if slices.Sort(got); !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
			if page := g.get(to.String()); page.URL != origin+"/me" || string(page.Body) != "I am ada" {
				t.Errorf("got %d at %s: %s", page.Status, page.URL, page.Body)
			}
			for _, r := range g.provider.Requests() {
				if r.Endpoint == logintest.PAR && (r.Method != "POST" || r.Form.Has("code_verifier") || len(r.Query) != 0) {
					t.Errorf("got %s with %v and %v", r.Method, r.Query, r.Form)
				}
			}
		})
	}
}

// Each way to begin a login pushes its parameters.
func TestAllLoginsArePushed(t *testing.T) {
	t.Parallel()
	with := func(options core.LoginOptions) func(*rig) string {
		return func(g *rig) string {
			app := g.app(g.auth)
			g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/with" {
					app.ServeHTTP(w, r)
				} else if err := g.auth.LoginWith(w, r, options); err != nil {
					g.auth.ServeError(w, r, err)
				}
			}))
			return origin + "/with"
		}
	}
	at := func(u string) func(*rig) string { return func(*rig) string { return u } }
	for _, test := range []struct {
		name  string
		begin func(*rig) string // returns where the browser goes
		want  url.Values
	}{
		{"a guard", at(origin + "/me"), nil},
		{"the login path", at(origin + "/auth/login?return_to=/me"), nil},
		{"a third party", at(origin + "/auth/login?login_hint=ada&iss=" + url.QueryEscape(issuer)), url.Values{"login_hint": {"ada"}}},
		{"options", with(core.LoginOptions{AuthParams: url.Values{"login_hint": {"a b&c"}, "max_age": {"60"}}}), url.Values{"login_hint": {"a b&c"}, "max_age": {"60"}}},
		{"a silent login", with(core.LoginOptions{AuthParams: url.Values{"prompt": {"none"}}}), url.Values{"prompt": {"none"}}},
		{"a Requirement", with(core.LoginOptions{Require: core.Requirement{MaxAge: time.Minute, ACR: []string{"gold", "silver"}}}), url.Values{"max_age": {"60"}, "acr_values": {"gold silver"}}},
		{"a payload", with(core.LoginOptions{Payload: "x"}), nil},
		{"a lost attempt", func(g *rig) string {
			callback := g.toCallback()
			g.forgetAttempt(callback)
			return callback.String()
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newPARRig(t)
			g.provider.User.ACR = []string{"gold"}
			from := test.begin(g)
			before := g.provider.Count(logintest.PAR)
			page := g.visit(from)
			to, _ := url.Parse(page.Header.Get("Location"))
			if page.Status != http.StatusSeeOther || len(to.Query()) != 2 || g.provider.Count(logintest.PAR) != before+1 {
				t.Fatalf("got %d to %s after %d pushes", page.Status, to, g.provider.Count(logintest.PAR)-before)
			}
			pushed := g.pushed()
			for _, name := range []string{"login_hint", "max_age", "prompt", "acr_values"} {
				if !slices.Equal(pushed[name], test.want[name]) {
					t.Errorf("%s: got %q, want %q", name, pushed[name], test.want[name])
				}
			}
			if g.get(to.String()); g.whoAmI() != "I am ada" {
				t.Errorf("ends as %q", g.whoAmI())
			}
		})
	}
	t.Run("a chosen provider", func(t *testing.T) {
		t.Parallel()
		g := newPARRig(t, func(c *core.Config) {
			other := c.Providers[0]
			other.Name, other.Issuer = "other", "https://other.example.test"
			c.Providers[0].Name = "one"
			c.Providers = append(c.Providers, other)
		})
		if page := g.get(origin + "/auth/login"); page.Status != http.StatusOK || g.provider.Count(logintest.PAR) != 0 {
			t.Fatalf("got %d", page.Status)
		}
		g.visit(origin + "/auth/login?provider=one")
		if g.pushed().Get("redirect_uri") != callbackURL+"/one" {
			t.Errorf("got %v", g.pushed())
		}
	})
}

// What does not load a page costs the provider nothing.
func TestNothingIsPushedForWhatIsNoNavigation(t *testing.T) {
	t.Parallel()
	page := http.Header{"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}, "Accept": {"text/html"}}
	and := func(name, value string) http.Header {
		h := page.Clone()
		h.Set(name, value)
		return h
	}
	for _, test := range []struct {
		name, method string
		header       http.Header
		pushes       int
	}{
		{"a page", "GET", page, 1},
		{"a prefetch", "GET", and("Sec-Purpose", "prefetch;prerender"), 0},
		{"fetch", "GET", and("Sec-Fetch-Mode", "cors"), 0},
		{"an image", "GET", and("Sec-Fetch-Mode", "no-cors"), 0},
		{"a frame", "GET", and("Sec-Fetch-Dest", "iframe"), 0},
		{"HEAD", "HEAD", page, 0},
		{"HEAD by a program", "HEAD", http.Header{"Accept": {"text/html"}}, 0},
		{"XMLHttpRequest", "GET", http.Header{"Accept": {"text/html"}, "X-Requested-With": {"XMLHttpRequest"}}, 0},
		{"htmx", "GET", http.Header{"Accept": {"text/html"}, "Hx-Request": {"true"}}, 0},
		{"Turbo", "GET", http.Header{"Accept": {"text/html"}, "X-Turbo-Request-Id": {"x"}}, 0},
	} {
		for _, path := range []string{"/me", "/auth/login", "/auth/login?return_to=/me&iss=" + url.QueryEscape(issuer)} {
			t.Run(test.name+" of "+path, func(t *testing.T) {
				t.Parallel()
				g := newPARRig(t)
				r, err := http.NewRequest(test.method, origin+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header = test.header.Clone()
				got, err := g.browser.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				if n := g.provider.Count(logintest.PAR); n != test.pushes || (len(g.cookiesNamed("__Host-pixy-login-")) > 0) != (n > 0) {
					t.Errorf("got %d, %d pushes and %d cookies", got.Status, n, len(g.cookiesNamed("__Host-pixy-login-")))
				}
			})
		}
	}
}

// A request that cannot be pushed begins no login, and ends no session.
func TestAPushThatFails(t *testing.T) {
	t.Parallel()
	says := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprint(w, strings.NewReplacer("STATE", r.PostForm.Get("state"), "NONCE", r.PostForm.Get("nonce"), "SECRET", "canary-client-secret").Replace(body))
		}
	}
	uri := func(value string) http.HandlerFunc { return says(201, `{"request_uri":`+value+`,"expires_in":60}`) }
	const again, never = true, false
	for _, test := range []struct {
		name   string
		fault  http.HandlerFunc
		status int
		code   string
		again  bool   // the page offers another login
		log    string // what the operator is told
	}{
		{"down", vanish, 503, "provider_unavailable", again, ""},
		{"busy", says(429, ""), 503, "provider_unavailable", again, "429"},
		{"a proxy without its provider", says(502, "<html>"), 503, "provider_unavailable", again, "502"},
		{"server_error", says(500, `{"error":"server_error"}`), 503, "provider_unavailable", again, "server_error"},
		{"temporarily_unavailable", says(400, `{"error":"temporarily_unavailable"}`), 503, "provider_unavailable", again, "temporarily_unavailable"},
		{"invalid_client", says(401, `{"error":"invalid_client","error_description":"STATE NONCE SECRET"}`), 502, "client_refused", never, "client_secret_basic"},
		{"unauthorized_client", says(400, `{"error":"unauthorized_client"}`), 502, "client_refused", never, "unauthorized_client"},
		{"invalid_request", says(400, `{"error":"invalid_request","error_description":"bad STATE, NONCE and SECRET"}`), 502, "request_refused", never, "invalid_request"},
		{"invalid_scope", says(400, `{"error":"invalid_scope","error_description":"no such scope: profile"}`), 502, "request_refused", never, "no such scope: profile"},
		{"an error of another endpoint", says(400, `{"error":"invalid_grant"}`), 502, "request_refused", never, "invalid_grant"},
		{"an error with status 200", says(200, `{"error":"invalid_request","request_uri":"urn:x","expires_in":60}`), 502, "request_refused", never, "invalid_request"},
		{"no such page", says(404, "<html>not found"), 502, "pushed_response_untrusted", again, "404"},
		{"a redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example.test/par", http.StatusTemporaryRedirect)
		}, 502, "pushed_response_untrusted", again, "307"},
		{"a page", says(201, "<html>"), 502, "pushed_response_untrusted", again, "not a JSON object"},
		{"a form", says(201, "request_uri=urn:x&expires_in=60"), 502, "pushed_response_untrusted", again, "not a JSON object"},
		{"nothing", says(201, "{}"), 502, "pushed_response_untrusted", again, "no request_uri"},
		{"an empty reference", uri(`""`), 502, "pushed_response_untrusted", again, "no request_uri"},
		{"a reference that is null", uri(`null`), 502, "pushed_response_untrusted", again, "no request_uri"},
		{"a reference that is no text", uri(`["urn:x"]`), 502, "pushed_response_untrusted", again, "no request_uri"},
		{"two references", uri(`"urn:x","request_uri":"urn:y"`), 502, "pushed_response_untrusted", again, "occurs twice"},
		{"a reference of two lines", uri(`"urn:x\r\nSet-Cookie: a=b"`), 502, "pushed_response_untrusted", again, "no URI has"},
		{"a reference with a space", uri(`"urn:x y"`), 502, "pushed_response_untrusted", again, "no URI has"},
		{"a reference that is not ASCII", uri(`"urn:ü"`), 502, "pushed_response_untrusted", again, "no URI has"},
		{"a long reference", uri(`"urn:` + strings.Repeat("x", 2045) + `"`), 502, "pushed_response_untrusted", again, "2049 bytes"},
		{"a reference that has expired", says(201, `{"request_uri":"urn:x","expires_in":0}`), 502, "pushed_response_untrusted", again, "expires_in"},
		{"a time that is no number", says(201, `{"request_uri":"urn:x","expires_in":"60"}`), 502, "pushed_response_untrusted", again, "expires_in"},
		{"a large answer", says(201, `{"request_uri":"urn:x","x":"`+strings.Repeat("x", 1<<20)+`"}`), 502, "pushed_response_untrusted", again, "larger than"},
	} {
		t.Run("rules 144, 145: "+test.name, func(t *testing.T) {
			t.Parallel()
			g := newPARRig(t)
			g.login()
			g.log.reset()
			cookies := fmt.Sprint(g.browser.Cookies(origin))
			g.provider.Misbehave(on(logintest.PAR, test.fault))
			page := g.visit(origin + "/auth/login?return_to=/me")
			if offers := strings.Contains(string(page.Body), ">Try again<"); page.Status != test.status || offers != test.again || (page.Header.Get("Retry-After") != "") != (test.status == 503) {
				t.Errorf("got %d, Retry-After %q: %s", page.Status, page.Header.Get("Retry-After"), page.Body)
			}
			log := g.log.String()
			if !strings.Contains(log, `"code":"`+test.code+`"`) || !strings.Contains(log, test.log) || strings.Count(log, "\n") != 1 {
				t.Errorf("logged %s", log)
			}
			pushed := g.pushed()
			for _, secret := range []string{pushed.Get("state"), pushed.Get("nonce"), "canary-client-secret"} {
				if strings.Contains(log, secret) {
					t.Errorf("%s is in the log", secret)
				}
			}
			if got := fmt.Sprint(g.browser.Cookies(origin)); got != cookies {
				t.Errorf("the cookies change from %s to %s", cookies, got)
			}
			if g.whoAmI() != "I am ada" || g.provider.Count(logintest.Authorization) != 1 || g.provider.Count(logintest.Token) != 1 {
				t.Errorf("now %q", g.whoAmI())
			}
			g.provider.Misbehave(logintest.Faults{})
			g.login()
		})
	}
}

// These answers are not what the standard says, and good enough.
func TestPushedResponsesThatWillDo(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(map[string]any){
		"no expires_in":      func(m map[string]any) { delete(m, "expires_in") },
		"a fraction":         func(m map[string]any) { m["expires_in"] = 59.5 },
		"a century":          func(m map[string]any) { m["expires_in"] = 1e14 },
		"an unknown member":  func(m map[string]any) { m["x"] = []string{"y"} },
		"an error of nobody": func(m map[string]any) { m["error"] = nil },
	} {
		g := newPARRig(t)
		g.provider.Misbehave(logintest.Faults{Pushed: edit})
		if page := g.get(origin + "/me"); string(page.Body) != "I am ada" {
			t.Errorf("%s: got %d: %s", name, page.Status, page.Body)
		}
	}
	for _, uri := range []string{"urn:x", strings.Repeat("x", 2048), "https://id.example.test/r?a=b&c=d#e", "a+b%20c\"<>\\"} {
		g := newPARRig(t)
		g.provider.Misbehave(logintest.Faults{Pushed: func(m map[string]any) { m["request_uri"] = uri }})
		to, err := url.Parse(g.visit(origin + "/me").Header.Get("Location"))
		if err != nil || to.Query().Get("request_uri") != uri || len(to.Query()) != 2 {
			t.Errorf("%.40s: leads to %.200s, %v", uri, to, err)
		}
	}
}

// A provider that does not offer what is configured is found before a user is sent there.
func TestDiscoverChecksForPAR(t *testing.T) {
	t.Parallel()
	without := metadata(map[string]any{"pushed_authorization_request_endpoint": ""})
	for _, test := range []struct {
		name     string
		register func(*logintest.Client)
		change   func(*core.Config)
		faults   logintest.Faults
		want     string
	}{
		{"required, without an endpoint", requiresPAR, func(*core.Config) {}, without, "require_pushed_authorization_requests is true"},
		{"asked for, without an endpoint", offersPAR, pushes, without, "Requests.PAR is set"},
		{"neither", offersPAR, func(*core.Config) {}, without, ""},
		{"an endpoint of our own", requiresPAR, func(c *core.Config) { c.Providers[0].Endpoints.PARURL = issuer + "/par" }, without, ""},
		{"an endpoint on http", offersPAR, func(*core.Config) {}, metadata(map[string]any{"pushed_authorization_request_endpoint": "http://id.example.test/par"}), "pushed_authorization_request_endpoint is not https"},
	} {
		t.Run("rule 151: "+test.name, func(t *testing.T) {
			t.Parallel()
			g := newRigOf(t, test.register, test.change)
			g.provider.Misbehave(test.faults)
			err := g.auth.Discover(t.Context())
			page := g.visit(origin + "/me")
			if test.want == "" {
				if err != nil || page.Status != http.StatusSeeOther {
					t.Errorf("got %v and %d", err, page.Status)
				}
			} else if !strings.Contains(fmt.Sprint(err), test.want) || page.Status != http.StatusBadGateway || len(g.cookiesNamed("")) != 0 || g.provider.Count(logintest.PAR) != 0 {
				t.Errorf("got %v and %d", err, page.Status)
			}
		})
	}
}

// The provider is asked at its internal address, and the browser at its public one.
func TestPARAtInternalURL(t *testing.T) {
	t.Parallel()
	g := newPARRig(t)
	g.auth = g.newAuth(func(c *core.Config) {
		c.HTTPClient = reaching(g.provider, inside)
		c.Providers[0].Endpoints.InternalURL = inside
	})
	g.browser.Serve(origin, g.app(g.auth))
	g.login()
	if g.provider.Count(logintest.PAR) != 1 {
		t.Errorf("pushed %d times", g.provider.Count(logintest.PAR))
	}
}

// A push takes as long as any request to the provider may, and a browser that leaves ends
// its own.
func TestAPushIsBoundedInTime(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		g := newPARRig(t)
		g.provider.Misbehave(on(logintest.PAR, stall))
		start := time.Now()
		if page := g.visit(origin + "/me"); page.Status != 503 || time.Since(start) != timeout {
			t.Errorf("got %d after %s", page.Status, time.Since(start))
		}
		g.log.reset()
		ctx, leave := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, leave)
		r, err := http.NewRequestWithContext(ctx, "GET", origin+"/me", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Accept", "text/html")
		start = time.Now()
		g.browser.Do(r)
		time.Sleep(time.Millisecond) // for the log
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("goes on for %s", took)
		}
		if log := g.log.String(); !strings.Contains(log, `"level":"INFO"`) || len(g.cookiesNamed("")) != 0 {
			t.Errorf("logged %s", log)
		}
	})
}

// The user has taken longer than the provider keeps the request, or has gone back to its
// page. The provider says so to the callback, and the login begins again, once.
func TestAPushedRequestThatHasExpired(t *testing.T) {
	t.Parallel()
	expired := func(query url.Values) {
		query.Del("code")
		query.Set("error", "invalid_request_uri")
	}
	for _, test := range []struct {
		name     string
		given    func(g *rig, callback *url.URL) string
		restarts int
		ends     string // path, or code on the error page
	}{
		{"once", func(_ *rig, c *url.URL) string { return c.String() }, 1, "/me"},
		{"twice", func(g *rig, c *url.URL) string {
			return follow(g.t, g.browser, g.visit(c.String()).Header.Get("Location")).String() + "&error=invalid_request_uri"
		}, 0, "provider_refused"},
		{"without its cookie", func(g *rig, c *url.URL) string { g.forgetAttempt(c); return c.String() }, 0, "attempt_unknown"},
		{"without a state", func(_ *rig, c *url.URL) string {
			return callbackURL + "?error=invalid_request_uri&iss=" + url.QueryEscape(issuer)
		}, 0, "attempt_unknown"},
		{"of another provider", func(_ *rig, c *url.URL) string { return strings.Replace(c.String(), "id.example", "evil.example", 1) }, 0, "callback_untrusted"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newPARRig(t)
			g.provider.Misbehave(logintest.Faults{Authorization: expired})
			callback := g.toCallback()
			g.provider.Misbehave(logintest.Faults{})
			from := test.given(g, callback)
			before := g.provider.Count(logintest.PAR)
			page := g.get(from)
			if got := g.provider.Count(logintest.PAR) - before; got != test.restarts {
				t.Errorf("begins %d logins", got)
			}
			if test.restarts > 0 {
				if page.URL != origin+test.ends || g.whoAmI() != "I am ada" || g.log.String() != "" {
					t.Errorf("ends at %s: %s, and logs %s", page.URL, page.Body, g.log.String())
				}
				return
			}
			if !strings.Contains(g.log.String(), `"code":"`+test.ends+`"`) || !strings.Contains(string(page.Body), ">Try again<") || g.whoAmI() != "" {
				t.Errorf("got %d: %s, and logs %s", page.Status, page.Body, g.log.String())
			}
			if g.provider.Count(logintest.Token) != 0 {
				t.Error("a code was sent")
			}
		})
	}
	t.Run("for a script", func(t *testing.T) { // which cannot follow
		t.Parallel()
		g := newPARRig(t)
		g.provider.Misbehave(logintest.Faults{Authorization: expired})
		callback := g.toCallback()
		if page := g.fetch("GET", callback.String()); page.Status != http.StatusForbidden || g.provider.Count(logintest.PAR) != 1 {
			t.Errorf("got %d after %d pushes", page.Status, g.provider.Count(logintest.PAR))
		}
	})
	t.Run("a silent login", func(t *testing.T) { // another one would show the user a page
		t.Parallel()
		g := newSilentRig(t, "invalid_request_uri")
		if page := g.get(origin + "/quietly?to=/public"); page.Status != http.StatusForbidden || g.provider.Count(logintest.Authorization) != 1 {
			t.Errorf("got %d at %s", page.Status, page.URL)
		}
	})
}
