package core_test

import (
	"context"
	"encoding/json"
	"html"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// byForm has the rig's providers answer by form_post.
func byForm(c *core.Config) {
	for i := range c.Providers {
		c.Providers[i].FormPost = true
	}
}

const formType = "application/x-www-form-urlencoded"

// toForm begins a login and returns the form that the provider's page would post.
func (g *rig) toForm() url.Values {
	g.t.Helper()
	page := g.visit(g.visit(origin + "/auth/login?return_to=/me").Header.Get("Location"))
	form := make(url.Values)
	for _, field := range regexp.MustCompile(`name="(.*)" value="(.*)"`).FindAllStringSubmatch(string(page.Body), -1) {
		form.Add(html.UnescapeString(field[1]), html.UnescapeString(field[2]))
	}
	if !strings.Contains(string(page.Body), `method="post" action="`+callbackURL+`"`) || !form.Has("state") {
		g.t.Fatalf("no form: %d %s", page.Status, page.Body)
	}
	return form
}

// post posts a body from another site. All cookies go along, which they would
// not: nothing may come of it even so.
func (g *rig) post(address, contentType, body string) *logintest.Page {
	g.t.Helper()
	r, err := http.NewRequest(http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header = http.Header{
		"Accept": {"text/html"}, "Origin": {issuer}, "Content-Type": {contentType},
		"Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"document"}, "Sec-Fetch-Site": {"cross-site"},
	}
	tokens := g.provider.Count(logintest.Token)
	page, err := g.browser.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	if got := page.Header["Set-Cookie"]; len(got) != 0 {
		g.t.Errorf("the POST sets cookies: %q", got)
	}
	if got := g.provider.Count(logintest.Token) - tokens; got != 0 {
		g.t.Errorf("the POST leads to %d token requests", got)
	}
	return page
}

var refreshes = regexp.MustCompile(`<meta http-equiv="refresh" content="0;url=([^"]*)">`)

// bouncesTo is where the page that answers a form leads: by itself, and by the
// link on it.
func bouncesTo(t testing.TB, page *logintest.Page) *url.URL {
	t.Helper()
	found := refreshes.FindAllStringSubmatch(string(page.Body), -1)
	if page.Status != http.StatusOK || len(found) != 1 || !strings.Contains(string(page.Body), `href="`+found[0][1]+`">Continue</a>`) {
		t.Fatalf("no page that leads on: %d %s", page.Status, page.Body)
	}
	to, err := url.Parse(page.URL)
	if err == nil {
		to, err = to.Parse(html.UnescapeString(found[0][1]))
	}
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// bring posts a provider's form and goes where the answer leads.
func (g *rig) bring(form url.Values) *logintest.Page {
	g.t.Helper()
	page := g.post(callbackURL, formType, form.Encode())
	if page.Status != http.StatusOK {
		return page
	}
	return g.get(bouncesTo(g.t, page).String())
}

// The cookies stay Lax, and none of them comes with the form.
func TestALoginByForm(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*core.Config){
		"rule 97: OpenID Connect": func(*core.Config) {},
		"rule 97: OAuth 2.0":      plainOAuth2,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, byForm, change)
			var way []string
			for _, hop := range g.login().Hops {
				u, err := url.Parse(hop.URL)
				if err != nil {
					t.Fatal(err)
				}
				way = append(way, hop.Method+" "+u.Path)
				if hop.Method == http.MethodPost && (hop.RequestHeader.Get("Cookie") != "" || len(hop.Header["Set-Cookie"]) != 0) {
					t.Errorf("cookies at the POST: %q and %q", hop.RequestHeader["Cookie"], hop.Header["Set-Cookie"])
				}
			}
			want := []string{"GET /me", "GET /authorize", "POST /auth/callback", "GET /auth/callback", "GET /me"}
			if !slices.Equal(way, want) {
				t.Errorf("went %q, want %q", way, want)
			}
			for _, request := range g.provider.Requests() {
				if request.Endpoint == logintest.Authorization && !slices.Equal(request.Query["response_mode"], []string{"form_post"}) {
					t.Errorf("asked for %q", request.Query["response_mode"])
				}
			}
		})
	}
}

func TestWithoutFormPostNoResponseModeIsAskedFor(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	if to := g.visit(origin + "/auth/login").Header.Get("Location"); strings.Contains(to, "response_mode") {
		t.Errorf("got %s", to)
	}
}

// Every callback refusal holds after the bounce, but for those of values that
// the form has no room for.
func TestCallbackRefusesByForm(t *testing.T) {
	t.Parallel()
	for _, row := range slices.Concat(callbackRefusals(), idTokenRefusals()[:3], lastRefusals()[:2]) {
		if strings.Contains(row.name, "megabyte") || strings.Contains(row.name, "error_description") {
			continue
		}
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			change := row.change
			row.config = func(c *core.Config) { change(c); byForm(c) }
			row.run(t, func(g *rig, change func(url.Values)) *logintest.Page {
				form := g.toForm()
				change(form)
				return g.bring(form)
			})
		})
	}
}

// What is refused before the bounce leaves the login as it was.
func TestFormIsRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, contentType string
		change            func(url.Values)
		accepted          bool
	}{
		{name: "nothing wrong", accepted: true},
		{name: "a charset", contentType: formType + "; charset=UTF-8", accepted: true},
		{name: "capitals", contentType: strings.ToUpper(formType), accepted: true},
		{name: "unknown parameters", change: func(f url.Values) { f.Set("id_token", strings.Repeat("x", 60<<10)) }, accepted: true},
		{name: "a code of 8 KB", change: func(f url.Values) { f.Set("code", strings.Repeat("x", 8<<10)) }, accepted: true},

		{name: "plain text", contentType: "text/plain"},
		{name: "JSON", contentType: "application/json"},
		{name: "a form of another kind", contentType: "multipart/form-data; boundary=x"},
		{name: "no content type", contentType: " "},
		{name: "rule 36: more than 64 KB", change: func(f url.Values) { f.Set("x", strings.Repeat("x", 64<<10)) }},
		{name: "rule 36: a code of more than 8 KB", change: func(f url.Values) { f.Set("code", strings.Repeat("x", 8<<10+1)) }},
		{name: "rule 36: a state of more than 8 KB", change: func(f url.Values) { f.Set("state", strings.Repeat("x", 8<<10+1)) }},
		{name: "rule 36: a user of more than 8 KB", change: func(f url.Values) { f.Set("user", strings.Repeat("x", 8<<10+1)) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, byForm)
			form := g.toForm()
			changed := maps.Clone(form)
			if test.change != nil {
				test.change(changed)
			}
			if test.contentType == "" {
				test.contentType = formType
			}
			page := g.post(callbackURL, test.contentType, changed.Encode())
			if test.accepted {
				bouncesTo(t, page)
			} else if page.Status != 400 || !strings.Contains(string(page.Body), "<code>callback_untrusted</code>") ||
				!strings.Contains(string(page.Body), `href="/auth/login"`) || strings.Count(g.log.String(), "\n") != 1 {
				t.Errorf("got %d: %s\n%s", page.Status, page.Body, g.log.String())
			}
			if page := g.bring(form); string(page.Body) != "I am ada" {
				t.Errorf("the login is not to be had any more: %d %s", page.Status, page.Body)
			}
		})
	}
}

func TestCallbackMethods(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		formPost bool
		method   string
		allow    string // "": served
	}{
		{"rule 39: GET", false, "GET", ""},
		{"rule 39: POST", false, "POST", "GET"},
		{"rule 39: PUT", false, "PUT", "GET"},
		{"rule 39: GET with FormPost", true, "GET", ""},
		{"rule 39: POST with FormPost", true, "POST", ""},
		{"rule 39: HEAD with FormPost", true, "HEAD", "GET, POST"},
		{"rule 39: PUT with FormPost", true, "PUT", "GET, POST"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, func(c *core.Config) { c.Providers[0].FormPost = test.formPost })
			r, err := http.NewRequest(test.method, callbackURL, strings.NewReader("state=x&code=y"))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", formType)
			page, err := g.browser.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if got := page.Header.Get("Allow"); got != test.allow || (page.Status == http.StatusMethodNotAllowed) != (test.allow != "") {
				t.Errorf("got %d, Allow %q", page.Status, got)
			}
			var routes []string
			for _, route := range g.auth.Routes() {
				routes = append(routes, route.Method+" "+route.Path)
			}
			if got := slices.Contains(routes, "POST /auth/callback"); got != test.formPost || !slices.Contains(routes, "GET /auth/callback") {
				t.Errorf("got routes %q", routes)
			}
		})
	}
}

// The form is the form: nothing in the URL, and nothing that a middleware has
// done to the request, changes what it says.
func TestOnlyTheFormCounts(t *testing.T) {
	t.Parallel()
	g := newRig(t, byForm)
	form := g.toForm()
	page := g.post(callbackURL+"?"+form.Encode(), formType, "")
	if got := bouncesTo(t, page).Query(); len(got) != 0 {
		t.Errorf("the URL's query leads to %v", got)
	}
	page = g.post(callbackURL+"?code=planted&state=planted&error=planted&iss=planted&user=planted&%zz", formType, form.Encode()+"&%zz&a=;")
	if got := bouncesTo(t, page).Query(); !maps.EqualFunc(got, form, slices.Equal) {
		t.Errorf("got %v, want %v", got, form)
	}
	app := g.app(g.auth)
	g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.FormValue("csrf")
		app.ServeHTTP(w, r)
	}))
	page = g.post(callbackURL+"?code=planted", formType, form.Encode())
	if got := bouncesTo(t, page).Query(); !maps.EqualFunc(got, form, slices.Equal) {
		t.Errorf("parsed before: got %v, want %v", got, form)
	}
	if w := httptest.NewRecorder(); g.auth.Callback(w, &http.Request{Method: "POST", URL: new(url.URL), Header: http.Header{"Content-Type": {formType}}}) != nil {
		t.Error("a request without a body is no empty form")
	}
}

func TestThePageBetween(t *testing.T) {
	t.Parallel()
	t.Run("rules 37, 38: nothing but a refresh and a link", func(t *testing.T) {
		t.Parallel()
		g := newRig(t, byForm)
		page := g.post(callbackURL, formType, g.toForm().Encode())
		if to := bouncesTo(t, page); to.Scheme+"://"+to.Host+to.Path != callbackURL {
			t.Errorf("leads to %s", to)
		}
		for name, want := range map[string]string{
			"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Content-Type": "text/html; charset=utf-8",
		} {
			if got := page.Header.Get(name); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
		policy := regexp.MustCompile(`^default-src 'none'; style-src 'sha256-[^']+'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$`)
		if got := page.Header.Get("Content-Security-Policy"); !policy.MatchString(got) || strings.Contains(string(page.Body), "<script") {
			t.Errorf("Content-Security-Policy: got %q with %s", got, page.Body)
		}
		if g.log.String() != "" {
			t.Errorf("logged %s", g.log.String())
		}
	})
	t.Run("rule 36: hostile values are escaped", func(t *testing.T) {
		t.Parallel()
		g := newRig(t, byForm)
		hostile := `"><script>alert(1)</script>' ;url=https://evil.example.test/&#x22;` + "\r\n\x00ä\xff"
		form := url.Values{"state": {hostile}, "code": {hostile, hostile}, hostile: {hostile}, "url": {"https://evil.example.test/"}}
		page := g.post(callbackURL, formType, form.Encode())
		want := url.Values{"state": form["state"], "code": form["code"]}
		if to := bouncesTo(t, page); to.Host != "app.example.test" || !maps.EqualFunc(to.Query(), want, slices.Equal) {
			t.Errorf("leads to %s", to)
		}
		if body := string(page.Body); strings.Contains(body, "<script") || strings.Contains(body, "//evil") {
			t.Errorf("got %s", body)
		}
	})
}

// A path may have what HTML has a meaning for.
func TestThePageBetweenAtAnOddPath(t *testing.T) {
	t.Parallel()
	const path = `/it's&lt/here`
	g := newRig(t)
	auth := g.newAuth(byForm, func(c *core.Config) { c.RedirectURL = origin + path })
	g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { auth.Callback(w, r) }))
	page := g.post(origin+path, formType, "state=x&code=y")
	if to := bouncesTo(t, page); to.Path != path || to.RawQuery != "code=y&state=x" {
		t.Errorf("leads to %s: %s", to, page.Body)
	}
}

// A form whose login is gone is a callback whose login is gone.
func TestALostFormBeginsAgain(t *testing.T) {
	t.Parallel()
	g := newRig(t, byForm)
	form := g.toForm()
	g.browser.Forget("", "")
	begun := g.provider.Count(logintest.Authorization)
	if page := g.bring(form); page.URL != origin+"/" || page.Status != 200 || g.whoAmI() != "I am ada" {
		t.Errorf("ends with %d at %s, %q is logged in", page.Status, page.URL, g.whoAmI())
	}
	if got := g.provider.Count(logintest.Authorization) - begun; got != 1 {
		t.Errorf("began %d logins by itself, want 1", got)
	}
	g.browser.Forget("", "")
	app := g.app(g.auth)
	g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Del("Cookie")
		app.ServeHTTP(w, r)
	}))
	if page := g.get(origin + "/me"); page.Status != 400 || !strings.Contains(string(page.Body), "<code>attempt_unknown</code>") {
		t.Errorf("without cookies: ends with %d at %s", page.Status, page.URL)
	}
}

// rules 25, 39: each provider's callback takes what that provider was asked for.
func TestFormPostIsEachProvidersOwn(t *testing.T) {
	t.Parallel()
	g := newDuo(t, func(c *core.Config) { c.Providers[1].FormPost = true })
	for _, name := range []string{"one", "two"} {
		if page := g.get(origin + "/auth/login?return_to=/me&provider=" + name); string(page.Body) != "I am ada" {
			t.Errorf("%s: ends with %d at %s", name, page.Status, page.URL)
		}
	}
	answer := g.at("one").RawQuery
	if page := g.post(callbackURL+"/one", formType, answer); page.Status != http.StatusMethodNotAllowed {
		t.Errorf("a form to the first one's callback: got %d", page.Status)
	}
	logins := g.logins.Load()
	page := g.get(bouncesTo(t, g.post(callbackURL+"/two", formType, answer)).String())
	if page.Status != 400 || !strings.Contains(string(page.Body), "callback_untrusted") || g.logins.Load() != logins {
		t.Errorf("the first one's answer as a form for the second: got %d %s", page.Status, page.Body)
	}
}

// Apple says who it is beside the code, at the first login.
func TestPostedUser(t *testing.T) {
	t.Parallel()
	const apple = `{"name":{"firstName":"Ada","lastName":"Lovelace"},"email":"byron@example.test"}`
	for _, test := range []struct {
		name    string
		user    []string // parameters
		change  func(*core.Config)
		said    any    // claim user of the ID token
		want    string // claim user in the end
		inQuery bool   // without FormPost
	}{
		{name: "as Apple says it", user: []string{apple}, want: apple},
		{name: "at later logins"},
		{name: "no JSON", user: []string{"Ada"}},
		{name: "no object", user: []string{`["Ada"]`}},
		{name: "null", user: []string{"null"}},
		{name: "a member twice", user: []string{`{"name":1,"name":2}`}},
		{name: "twice", user: []string{apple, apple}},
		{name: "4 KB", user: []string{`{"a":"` + strings.Repeat("x", 4<<10-8) + `"}`}, want: `{"a":"` + strings.Repeat("x", 4<<10-8) + `"}`},
		{name: "more than 4 KB", user: []string{`{"a":"` + strings.Repeat("x", 4<<10-7) + `"}`}},
		{name: "the provider has one of its own", user: []string{apple}, said: "ada", want: `"ada"`},
		{name: "a session that keeps no claims", user: []string{apple}, change: func(c *core.Config) { c.SessionClaims = []string{} }, want: apple},
		{name: "not asked for a form", user: []string{apple}, inQuery: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var seen core.User
			var claims struct{ User json.RawMessage }
			g := newRig(t, func(c *core.Config) {
				c.OnLogin = func(_ context.Context, user *core.User) error {
					seen = *user
					return user.Claims(&claims)
				}
				c.Providers[0].FormPost = !test.inQuery
				if test.change != nil {
					test.change(c)
				}
			})
			g.provider.Misbehave(logintest.Faults{
				Authorization: func(answer url.Values) { answer["user"] = test.user },
				IDToken: func(_, claims map[string]any) {
					if test.said != nil {
						claims["user"] = test.said
					}
				},
			})
			g.login()
			if got := string(claims.User); got != test.want {
				t.Errorf("got %.100s, want %.100s", got, test.want)
			}
			if seen.Subject != "ada" || seen.Name != "Ada Lovelace" || seen.Email != "ada@example.test" {
				t.Errorf("what is not signed has become the user's: %+v", seen)
			}
		})
	}
}

func FuzzFormPost(f *testing.F) {
	g := newRig(f, byForm)
	for _, seed := range []string{
		"", "state=a&code=b&iss=c", "state=a&state=a", "code=%22%3E%3Cscript%3E", "error=x;y&state='", "state=%00%0d%0a%ff&user={}", "%", "&&=&",
		"code=0;url=https://evil.example.test/&url=//evil.example.test", "state=%26quot;&code=&quot;", "state=%3f%23%2f%5c", "user=" + strings.Repeat("<", 9<<10),
	} {
		f.Add(seed)
	}
	plain := string(g.post(callbackURL, formType, "").Body)
	f.Fuzz(func(t *testing.T, body string) {
		g := &rig{t: t, browser: g.browser, provider: g.provider}
		page := g.post(callbackURL, formType, body)
		if page.Status == http.StatusBadRequest && len(body) > 8<<10 {
			return
		}
		to := bouncesTo(t, page)
		if to.Scheme != "https" || to.Host != "app.example.test" || to.Path != "/auth/callback" || to.Fragment != "" {
			t.Fatalf("leads to %s", to)
		}
		posted, _ := url.ParseQuery(body)
		maps.DeleteFunc(posted, func(name string, _ []string) bool {
			return !slices.Contains([]string{"state", "code", "iss", "error", "error_description", "user"}, name)
		})
		if got := to.Query(); !maps.EqualFunc(got, posted, slices.Equal) {
			t.Fatalf("leads on with %v, want %v", got, posted)
		}
		for _, c := range []string{"<", ">", `"`, "'"} {
			if got, want := strings.Count(string(page.Body), c), strings.Count(plain, c); got != want {
				t.Fatalf("%d times %s in the page, want %d: %s", got, c, want, page.Body)
			}
		}
	})
}
