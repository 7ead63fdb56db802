package core_test

import (
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

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
		{"rule 39: GET with Requests.FormPost", true, "GET", ""},
		{"rule 39: POST with Requests.FormPost", true, "POST", ""},
		{"rule 39: HEAD with Requests.FormPost", true, "HEAD", "GET, POST"},
		{"rule 39: PUT with Requests.FormPost", true, "PUT", "GET, POST"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, func(c *core.Config) { c.Providers[0].Requests.FormPost = test.formPost })
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
	g := newDuo(t, func(c *core.Config) { c.Providers[1].Requests.FormPost = true })
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
