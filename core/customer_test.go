package core_test

import (
	"context"
	"errors"
	"html"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// typedThere is what a user of the customer types. No log has it.
const typedThere = "Ada.Canary@acme.example.test"

// A reception is Lookup.Choose. It knows customers by the domain of an address or by the
// name that the organization calls itself, and by the header X-Customer.
type reception struct {
	mu    sync.Mutex
	typed []string // what it was asked for, except at the beginning
	err   error    // for each question
}

func (d *reception) choose(r *http.Request, typed string) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if typed == "" {
		return r.Header.Get("X-Customer"), d.err
	}
	d.typed = append(d.typed, typed)
	_, domain, _ := strings.Cut(typed, "@")
	name := map[string]string{
		"acme.example.test": "acme", "gone.example.test": "gone", "faulty.example.test": "faulty", "path.example.test": "../acme",
	}[domain]
	if strings.EqualFold(typed, "Acme Corp") {
		name = "acme"
	}
	return name, d.err
}

func (d *reception) asked() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.typed)
}

// newReception returns a rig with the looked-up provider acme, whose login page asks.
func newReception(t testing.TB, change ...func(*core.Config)) (*rig, *reception, customerTable) {
	t.Helper()
	customers, desk := customerTable{}, new(reception)
	g := newRigOf(t, atCustomer, append([]func(*core.Config){customers.lookUp, func(c *core.Config) { c.Lookup.Choose = desk.choose }}, change...)...)
	faulty := *customers["acme"]
	faulty.Name, faulty.Issuer = "faulty", "id.example.test"
	customers["faulty"] = &faulty
	return g, desk, customers
}

// submit sends a form to a path, in one hop.
func (g *rig) submit(path string, header http.Header, form url.Values) *logintest.Page {
	g.t.Helper()
	r, err := http.NewRequest(http.MethodPost, origin+path, strings.NewReader(form.Encode()))
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header = with(header, "Content-Type", "application/x-www-form-urlencoded")
	page, err := g.browser.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	return page
}

// formIn returns the fields of the page's form, with what the user types.
func formIn(t testing.TB, page *logintest.Page, typed string) url.Values {
	t.Helper()
	form := url.Values{}
	for _, input := range strings.Split(string(page.Body), "<input ")[1:] {
		field := func(name string) string {
			_, rest, _ := strings.Cut(input, name+`="`)
			value, _, _ := strings.Cut(rest, `"`)
			return html.UnescapeString(value)
		}
		form.Set(field("name"), field("value"))
	}
	if !form.Has("customer") {
		t.Fatalf("no form for customers: %d %s", page.Status, page.Body)
	}
	form.Set("customer", typed)
	return form
}

// typedIn returns what the page's field shows.
func typedIn(page *logintest.Page) string {
	_, rest, _ := strings.Cut(string(page.Body), `name="customer" value="`)
	value, _, _ := strings.Cut(rest, `"`)
	return html.UnescapeString(value)
}

// authorization returns the parameters of the only authorization request.
func (g *rig) authorization() url.Values {
	g.t.Helper()
	var all []url.Values
	for _, r := range g.provider.Requests() {
		if r.Endpoint == logintest.Authorization {
			all = append(all, r.Query)
		}
	}
	if len(all) != 1 {
		g.t.Fatalf("%d authorization requests", len(all))
	}
	return all[0]
}

// What a user types leads to the login of the customer, and back to the page.
func TestCustomerByWhatIsTyped(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, typed, asked, hint string }{
		{"an address", typedThere, typedThere, typedThere},
		{"an address with spaces and line breaks around it", " \t" + typedThere + "\r\n", typedThere, typedThere},
		{"an address with invisible characters around it", "\ufeff" + typedThere + "\u200b\u00a0", typedThere, typedThere},
		{"an organization", "acme CORP", "acme CORP", ""},
		{"an organization with other spaces", "Acme\u00a0\t Corp", "Acme Corp", ""},
		{"several addresses", "bob@b.example.test, ada@acme.example.test", "bob@b.example.test, ada@acme.example.test", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g, desk, _ := newReception(t)
			form := formIn(t, g.get(origin+"/me"), test.typed)
			if got := form.Get("return_to"); got != "/me" {
				t.Errorf("the form returns to %q", got)
			}
			page := g.submit("/auth/login", byPage, form)
			if got := desk.asked(); !slices.Equal(got, []string{test.asked}) {
				t.Fatalf("asked for %q", got)
			}
			if test.name == "several addresses" {
				return // another customer
			}
			if page.Status != 200 || len(page.Header["Set-Cookie"]) != 0 || g.began() != 0 {
				t.Errorf("the form is answered with %d %v, and began %d logins", page.Status, page.Header, g.began())
			}
			if strings.Contains(string(page.Body), "Canary") {
				t.Errorf("the page has what was typed: %s", page.Body)
			}
			last, err := g.browser.Post(origin+"/auth/login", form)
			if err != nil || string(last.Body) != "I am ada" {
				t.Fatalf("%v: got %d %s", err, last.Status, last.Body)
			}
			for _, hop := range last.Hops {
				if strings.HasPrefix(hop.URL, origin) && strings.Contains(strings.ToLower(hop.URL), "canary") {
					t.Errorf("what was typed is in %s", hop.URL)
				}
			}
			if got := g.authorization(); got.Get("login_hint") != test.hint || got.Has("login_hint") != (test.hint != "") {
				t.Errorf("asks with %v", got)
			}
			if g.log.String() != "" {
				t.Errorf("logged %s", g.log.String())
			}
		})
	}
}

// What is not known gets the same page, and starts nothing.
func TestUnknownCustomer(t *testing.T) {
	t.Parallel()
	var first *logintest.Page
	for _, test := range []struct {
		name, typed string
		shown       string // in the field
	}{
		{"an address", "ada@canary.example.test", "ada@canary.example.test"},
		{"an organization", "Canary Ltd", "Canary Ltd"},
		{"HTML", `"><script>canary</script>`, `"><script>canary</script>`},
		{"a customer that Find does not know any more", "canary@gone.example.test", "canary@gone.example.test"},
		{"a customer whose name is none", "canary@path.example.test", "canary@path.example.test"},
		{"a character that is not visible", "canary\u202e@acme.example.test", ""},
		{"a NUL", "canary\x00@acme.example.test", ""},
		{"not UTF-8", "canary\xff@acme.example.test", ""},
		{"too long", strings.Repeat("c", 240) + "@acme.example.test", ""},
		{"much too long", strings.Repeat("c", 8<<10) + "@acme.example.test", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			g, desk, _ := newReception(t)
			page := g.submit("/auth/login", byPage, url.Values{"customer": {test.typed}, "return_to": {"/me"}})
			if got := typedIn(page); got != test.shown {
				t.Errorf("the field shows %q", got)
			}
			if !strings.Contains(string(page.Body), "There is no login for this e-mail address or organization.") || strings.Contains(string(page.Body), "<script") {
				t.Errorf("got %s", page.Body)
			}
			page.Body = []byte(strings.Replace(string(page.Body), `value="`+html.EscapeString(test.shown)+`"`, `value=""`, 1))
			if first == nil {
				first = page
			}
			if page.Status != 200 || string(page.Body) != string(first.Body) || !maps.EqualFunc(page.Header, first.Header, slices.Equal[[]string]) {
				t.Errorf("another answer: %d %v %s", page.Status, page.Header, page.Body)
			}
			if asked := len(desk.asked()) > 0; asked != (test.shown != "") {
				t.Errorf("asked for %q", desk.asked())
			}
			if g.began() != 0 || len(g.cookiesNamed("")) != 0 || g.log.String() != "" || len(g.provider.Requests()) != 0 {
				t.Errorf("began %d logins, with %v, and logged %s", g.began(), g.cookiesNamed(""), g.log.String())
			}
		})
	}
	for name, form := range map[string]url.Values{"nothing": {"customer": {""}}, "spaces": {"customer": {" \t"}}} {
		g, desk, _ := newReception(t)
		if page := g.submit("/auth/login", byPage, form); page.Status != 200 || strings.Contains(string(page.Body), "There is no login") || len(desk.asked()) != 0 {
			t.Errorf("%s: got %d %s", name, page.Status, page.Body)
		}
	}
}

// A provider that cannot be used is not told apart before the login there.
func TestCustomerWithAFaultyProvider(t *testing.T) {
	t.Parallel()
	g, _, _ := newReception(t)
	page := g.submit("/auth/login", byPage, url.Values{"customer": {"ada@faulty.example.test"}})
	known := g.submit("/auth/login", byPage, url.Values{"customer": {typedThere}})
	if page.Status != known.Status || !maps.EqualFunc(page.Header, known.Header, slices.Equal[[]string]) || g.log.String() != "" {
		t.Errorf("got %d %v, and logged %s", page.Status, page.Header, g.log.String())
	}
	last, err := g.browser.Post(origin+"/auth/login", url.Values{"customer": {"ada@faulty.example.test"}})
	if err != nil || last.Status != 503 || !strings.Contains(string(last.Body), "provider_invalid") {
		t.Errorf("%v: got %d %s", err, last.Status, last.Body)
	}
}

// If the request says which customer it is for, the login goes there at once, and nowhere
// else.
func TestCustomerOfTheRequest(t *testing.T) {
	t.Parallel()
	atAcme := with(byPage, "X-Customer", "acme")
	atFormer := with(byPage, "X-Customer", "nobody")
	stray := "?code=x&state=" + strings.Repeat("A", 43)
	listed := func(c *core.Config) {
		c.Providers = []core.Provider{{Name: "staff", Issuer: issuer, ClientID: "app", ClientSecret: "canary-client-secret"}}
	}
	for _, test := range []struct {
		name   string
		path   string
		header http.Header
		status int
	}{
		{"no provider", "/auth/login?return_to=/me", atAcme, 303},
		{"the same provider", "/auth/login?provider=acme", atAcme, 303},
		{"another looked-up provider", "/auth/login?provider=faulty", atAcme, 404},
		{"a listed provider", "/auth/login?provider=staff", atAcme, 404},
		{"no provider of all", "/auth/login?provider=x", atAcme, 404},
		{"a listed provider, by a third party", "/auth/login?iss=" + url.QueryEscape(issuer), atAcme, 404},
		{"another looked-up provider, by a stray callback", "/auth/callback/faulty" + stray, atAcme, 404},
		{"a listed provider, by a stray callback", "/auth/callback/staff" + stray, atAcme, 404},
		{"the same provider, by a stray callback", "/auth/callback/acme" + stray, atAcme, 303},
		{"a customer that is gone", "/auth/login", atFormer, 404},
		{"the application's own choice", "/confirm", atAcme, 303},
		{"a listed provider, elsewhere", "/auth/login?provider=staff", byPage, 303},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g, desk, _ := newReception(t, listed)
			g.confirm(core.LoginOptions{Provider: "staff"})
			page := g.ask("GET", test.path, test.header)
			begun := strings.HasPrefix(page.Header.Get("Location"), issuer+"/authorize?")
			if page.Status != test.status || begun != (test.status == 303) || begun != (len(g.cookiesNamed("__Host-pixy-login-")) == 1) {
				t.Errorf("got %d to %s: %s", page.Status, page.Header.Get("Location"), page.Body)
			}
			if test.status == 404 && !strings.Contains(string(page.Body), "provider_unknown") || len(desk.asked()) != 0 {
				t.Errorf("asked for %q, got %s", desk.asked(), page.Body)
			}
			wants := url.QueryEscape(callbackURL + "/acme")
			if strings.Contains(test.path, "staff") || test.path == "/confirm" {
				wants = url.QueryEscape(callbackURL + "/staff")
			}
			if begun && !strings.Contains(page.Header.Get("Location"), "redirect_uri="+wants) {
				t.Errorf("leads to %s", page.Header.Get("Location"))
			}
		})
	}
	t.Run("a form", func(t *testing.T) {
		t.Parallel()
		g, desk, _ := newReception(t, listed)
		page := g.submit("/auth/login", atAcme, url.Values{"customer": {"bob@other.example.test"}, "return_to": {"/me"}})
		if to := refreshIn(t, page); !strings.HasPrefix(to, "/auth/login?provider=acme&return_to=%2Fme&with=") || len(desk.asked()) != 0 {
			t.Errorf("asked for %q, leads to %s", desk.asked(), to)
		}
	})
	t.Run("a guard", func(t *testing.T) {
		t.Parallel()
		g, _, _ := newReception(t)
		page := g.ask("GET", "/me", atAcme)
		page = g.ask("GET", page.Header.Get("Location"), atAcme)
		if !strings.HasPrefix(page.Header.Get("Location"), issuer+"/authorize?") {
			t.Errorf("got %d to %s", page.Status, page.Header.Get("Location"))
		}
	})
}

// refreshIn returns where the page leads by itself.
func refreshIn(t *testing.T, page *logintest.Page) string {
	t.Helper()
	_, rest, ok := strings.Cut(string(page.Body), `content="0;url=`)
	to, _, _ := strings.Cut(rest, `"`)
	if !ok {
		t.Fatalf("the page leads nowhere: %d %s", page.Status, page.Body)
	}
	return html.UnescapeString(to)
}

// An outage of the table is one, whenever it happens, and no log has what was typed, also
// if the error's text has it.
func TestCustomersAreUnavailable(t *testing.T) {
	t.Parallel()
	down := errors.New("table is down: WHERE address = '" + typedThere + "' or " + strings.ToLower(typedThere) + " or " + url.QueryEscape(typedThere))
	findFails := func(c *core.Config) {
		c.Lookup.Find = func(context.Context, string) (*core.Provider, error) { return nil, down }
	}
	for _, test := range []struct {
		name   string
		change func(*core.Config)
		err    error
		ask    func(*rig) *logintest.Page
	}{
		{"Choose, at the beginning", nil, errors.New("table is down"), func(g *rig) *logintest.Page { return g.get(origin + "/auth/login?return_to=/me") }},
		{"Choose, with a provider", nil, errors.New("table is down"), func(g *rig) *logintest.Page { return g.get(origin + "/auth/login?provider=acme") }},
		{"Choose, for what was typed", nil, down, func(g *rig) *logintest.Page {
			return g.submit("/auth/login", byPage, url.Values{"customer": {typedThere}})
		}},
		{"Find, for what was typed", findFails, nil, func(g *rig) *logintest.Page {
			return g.submit("/auth/login", byPage, url.Values{"customer": {typedThere}})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var changes []func(*core.Config)
			if test.change != nil {
				changes = append(changes, test.change)
			}
			g, desk, _ := newReception(t, changes...)
			desk.err = test.err
			page := test.ask(g)
			if page.Status != 503 || page.Header.Get("Retry-After") == "" || !strings.Contains(string(page.Body), "lookup_unavailable") || g.began() != 0 {
				t.Errorf("got %d %s", page.Status, page.Body)
			}
			if log := g.log.String(); !strings.Contains(log, "table is down") || strings.Contains(strings.ToLower(log), "canary@acme") || strings.Contains(strings.ToLower(log), "canary%40acme") {
				t.Errorf("logged %s", log)
			}
			if strings.Contains(strings.ToLower(string(page.Body)), "canary") {
				t.Errorf("the page has what was typed: %s", page.Body)
			}
		})
	}
}

// Options of the application's own reach the provider, and OnLogin, by the form.
func TestCustomerKeepsTheOptions(t *testing.T) {
	t.Parallel()
	var payloads []string
	g, _, _ := newReception(t, func(c *core.Config) {
		c.OnLogin = func(_ context.Context, login *core.Login) error {
			payloads = append(payloads, login.Payload)
			return nil
		}
	})
	g.confirm(core.LoginOptions{
		ReturnTo: "/me", Payload: canaryPayload, Require: recent,
		AuthParams: url.Values{"login_hint": {"first@example.test"}, "ui_locales": {"de"}},
	})
	page := g.get(origin + "/confirm")
	if got := typedIn(page); got != "first@example.test" {
		t.Errorf("the field shows %q", got)
	}
	page, err := g.browser.Post(origin+"/auth/login", formIn(t, page, "ada@nowhere.example.test")) // not found at first
	if err != nil {
		t.Fatal(err)
	}
	page, err = g.browser.Post(origin+"/auth/login", formIn(t, page, typedThere))
	if err != nil || string(page.Body) != "I am ada" || !slices.Equal(payloads, []string{canaryPayload}) {
		t.Fatalf("%v: got %d %s, and payloads %q", err, page.Status, page.Body, payloads)
	}
	if got := g.authorization(); got.Get("login_hint") != typedThere || got.Get("ui_locales") != "de" || got.Get("max_age") != "300" {
		t.Errorf("asks with %v", got)
	}
	// A form with a payload, and without the browser's key, does not become another login.
	form := formIn(t, g.get(origin+"/confirm"), typedThere)
	g.browser.Forget("", "")
	if page := g.submit("/auth/login", byPage, form); page.Status != 400 || !strings.Contains(string(page.Body), "attempt_unknown") {
		t.Errorf("without the key: got %d %s", page.Status, page.Body)
	}
}

// An organization's name is no login_hint, and replaces the one from before.
func TestCustomerReplacesTheHint(t *testing.T) {
	t.Parallel()
	g, _, _ := newReception(t)
	g.confirm(core.LoginOptions{AuthParams: url.Values{"login_hint": {"first@example.test"}, "ui_locales": {"de"}}})
	if _, err := g.browser.Post(origin+"/auth/login", formIn(t, g.get(origin+"/confirm"), "Acme Corp")); err != nil {
		t.Fatal(err)
	}
	if got := g.authorization(); got.Has("login_hint") || got.Get("ui_locales") != "de" {
		t.Errorf("asks with %v", got)
	}
}

// Only a form of this site that a user sends asks for a customer. Everything else begins
// nothing, and no URL has what was typed.
func TestCustomerIsAskedForByUsersOnly(t *testing.T) {
	t.Parallel()
	crossSite := with(with(byPage, "Sec-Fetch-Site", "cross-site"), "Origin", "https://evil.example.test")
	for _, test := range []struct {
		name   string
		path   string
		header http.Header
		form   url.Values // more fields
		status int
		filled bool // shows the form, with what was typed
	}{
		{name: "another site", header: crossSite, status: 200, filled: true},
		{name: "another site, an old browser", header: http.Header{"Accept": {"text/html"}, "Origin": {"https://evil.example.test"}}, status: 200, filled: true},
		{name: "a page without an origin", header: http.Header{"Accept": {"text/html"}, "Origin": {"null"}}, status: 200, filled: true},
		{name: "a sub-domain", header: with(byPage, "Sec-Fetch-Site", "same-site"), status: 200, filled: true},
		{name: "a script", header: byFetch, status: 403},
		{name: "a frame", header: with(byPage, "Sec-Fetch-Dest", "iframe"), status: 403},
		{name: "a prefetch", header: with(byPage, "Sec-Purpose", "prefetch"), status: 403},
		{name: "htmx", header: byHTMX, status: 303},
		{name: "Turbo", header: byTurbo, status: 303},
		{name: "in the URL", path: "/auth/login?customer=" + url.QueryEscape(typedThere), header: byPage, form: url.Values{"customer": nil}, status: 303},
		{name: "twice", header: byPage, form: url.Values{"customer": {"acme corp", typedThere}}, status: 200},
		{name: "with a provider", header: byPage, form: url.Values{"provider": {"acme"}}, status: 303},
		{name: "with an issuer", header: byPage, form: url.Values{"iss": {issuer}}, status: 303},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g, desk, _ := newReception(t)
			form := url.Values{"customer": {typedThere}, "return_to": {"/me"}}
			for name, values := range test.form {
				if form[name] = values; values == nil {
					delete(form, name)
				}
			}
			if test.path == "" {
				test.path = "/auth/login"
			}
			page := g.submit(test.path, test.header, form)
			if page.Status != test.status || (typedIn(page) == typedThere) != test.filled || strings.Contains(strings.ToLower(page.Header.Get("Location")), "canary") {
				t.Errorf("got %d to %s: %s", page.Status, page.Header.Get("Location"), page.Body)
			}
			if len(desk.asked()) != 0 || g.began() != 0 || len(g.cookiesNamed("")) != 0 || strings.Contains(strings.ToLower(g.log.String()), "canary@") {
				t.Errorf("asked for %q, set %v, logged %s", desk.asked(), g.cookiesNamed(""), g.log.String())
			}
			if test.name == "htmx" || test.name == "Turbo" { // load our page in full, filled in
				full := g.ask("GET", page.Header.Get("Location"), test.header)
				to := full.Header.Get("HX-Redirect")
				if test.name == "Turbo" {
					to = refreshIn(t, full)
				}
				shown := g.ask("GET", to, byPage)
				if typedIn(shown) != typedThere || formIn(t, shown, "").Get("return_to") != "/me" {
					t.Errorf("the page in full: %s", shown.Body)
				}
			}
		})
	}
}

// A GET fills the field in, asks for nothing, and does not lead to a page that would lose it.
func TestCustomerInAURL(t *testing.T) {
	t.Parallel()
	g, desk, _ := newReception(t, func(c *core.Config) { c.Pages.SignInPath = "/signin" })
	page := g.get(origin + "/auth/login?return_to=/me&customer=" + url.QueryEscape(typedThere))
	if typedIn(page) != typedThere || strings.Contains(string(page.Body), "There is no login") || len(desk.asked()) != 0 || g.began() != 0 {
		t.Errorf("asked for %q, got %s", desk.asked(), page.Body)
	}
	if page := g.get(origin + "/auth/login?return_to=/me"); page.URL != origin+"/signin?return_to=%2Fme" {
		t.Errorf("without it, the login leads to %s", page.URL)
	}
	if page, err := g.browser.Post(origin+"/auth/login", url.Values{"customer": {typedThere}, "return_to": {"/me"}}); err != nil || string(page.Body) != "I am ada" {
		t.Errorf("%v: the application's own form leads to %s: %s", err, page.URL, page.Body)
	}
}

// The page lists providers of the configuration below the form.
func TestCustomersBesideListedProviders(t *testing.T) {
	t.Parallel()
	g, _, _ := newReception(t, func(c *core.Config) {
		c.Providers = []core.Provider{{Name: "staff", Label: "Our <staff>", Issuer: issuer, ClientID: "app", ClientSecret: "canary-client-secret"}}
	})
	page := g.get(origin + "/me")
	for _, want := range []string{
		"<h1>Log in</h1>", `<form class="ask" method="post" action="/auth/login">`, "<h2>Or log in with</h2>",
		`<a class="other" href="/auth/login?provider=staff&amp;return_to=%2Fme">Our &lt;staff&gt;</a>`,
	} {
		if !strings.Contains(string(page.Body), want) {
			t.Errorf("the page has no %s:\n%s", want, page.Body)
		}
	}
	if policy := page.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self'") {
		t.Errorf("the page cannot send its form: %s", policy)
	}
}

// If the page cannot ask and nothing is listed, the page says what to do, and leads in no circle.
func TestNothingToChoose(t *testing.T) {
	t.Parallel()
	for _, own := range []string{"", "/signin"} {
		g := newRigOf(t, atCustomer, customerTable{}.lookUp, func(c *core.Config) { c.Pages.SignInPath = own })
		page := g.ask("GET", "/auth/login", byPage)
		if own != "" {
			page = g.ask("GET", "/auth/login", byPage) // back from a page that has no choice either
		}
		if page.Status != 404 || !strings.Contains(string(page.Body), "Please log in with the link that your organization has given you.") || strings.Contains(string(page.Body), `class="main"`) {
			t.Errorf("sign-in page %q: got %d %s", own, page.Status, page.Body)
		}
	}
}

// A panic of the application is its own.
func TestCustomerPanics(t *testing.T) {
	t.Parallel()
	g, _, _ := newReception(t, func(c *core.Config) {
		c.Lookup.Choose = func(*http.Request, string) (string, error) { panic("no table") }
	})
	defer func() {
		if cause := recover(); cause != "no table" {
			t.Errorf("recovered %v", cause)
		}
	}()
	w := httptest.NewRecorder()
	t.Errorf("got %v, %d", g.auth.Login(w, httptest.NewRequest("GET", "/auth/login", nil)), w.Code)
}

// A login at a provider passes on a login_hint that is one.
func TestLoginHintOfALink(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, query, hint string }{
		{"an address", "&login_hint=j%C3%BCrgen%2B1%40example.test", "jürgen+1@example.test"},
		{"none", "", ""},
		{"empty", "&login_hint=", ""},
		{"two", "&login_hint=a&login_hint=b", ""},
		{"too long", "&login_hint=" + strings.Repeat("a", 257), ""},
		{"a line break", "&login_hint=a%0d%0ab", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for name, g := range map[string]*rig{"listed": newRig(t), "looked up": newRigOf(t, atCustomer, customerTable{}.lookUp)} {
				at := ""
				if name == "looked up" {
					at = "acme"
				}
				query := g.asked(origin + "/auth/login?provider=" + at + test.query)
				if query == nil || query.Get("login_hint") != test.hint || query.Has("login_hint") != (test.hint != "") {
					t.Errorf("%s: asks with %v", name, query)
				}
			}
		})
	}
}
