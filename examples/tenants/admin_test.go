package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core/logintest"
)

// TestACustomerIsAdded adds a customer, as its administrator does, while the
// application runs and others are logged in.
func TestACustomerIsAdded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	others, user, admin := r.newBrowser(), r.newBrowser(), r.administrator()
	r.logIn(others, "acme")
	if page := r.get(user, site("initech")+"/"); page.Status != http.StatusMisdirectedRequest {
		t.Fatalf("before: got %d", page.Status)
	}

	r.startProvider("initech", "hidden-initech")
	c := r.customerOf("initech")
	page := r.get(admin, mainSite+"/admin/new?"+url.Values{"name": {c.Name}, "issuer": {c.Issuer}}.Encode())
	for _, origin := range []string{mainSite, site("initech")} {
		if want := origin + "/auth/callback/initech<"; page.Status != http.StatusOK || !strings.Contains(string(page.Body), want) {
			t.Errorf("got %d, and not %s", page.Status, want)
		}
	}
	if page := r.get(user, site("initech")+"/"); page.Status != http.StatusMisdirectedRequest {
		t.Errorf("the page that says what to register has added the customer: got %d", page.Status)
	}
	r.add(admin, c, "hidden-initech")
	r.logIn(user, "initech")
	r.logInOnMainSite(user, "ada@initech.test")
	if got := r.userAt(others, site("acme")); got != "acme ada" {
		t.Errorf("a user of another customer is now %q", got)
	}
}

func (r *rig) add(admin *logintest.Browser, c customer, secret string) {
	r.Helper()
	page := r.post(admin, mainSite+"/admin/add", formOf(c, secret))
	if page.Status != http.StatusOK || page.URL != mainSite+"/admin" || !strings.Contains(string(page.Body), c.Issuer) {
		r.Fatalf("adding ends with %d at %s: %s", page.Status, page.URL, page.Body)
	}
}

func formOf(c customer, secret string) url.Values {
	return url.Values{"name": {c.Name}, "issuer": {c.Issuer}, "client_id": {c.ClientID}, "domains": {c.Domains}, "secret": {secret}}
}

func TestAMistakeAddsNoCustomer(t *testing.T) {
	t.Parallel()
	good := customer{Name: "initech", Issuer: "https://id.initech.test", ClientID: "app", Domains: "initech.test"}
	for name, test := range map[string]struct {
		change func(*customer)
		want   string
	}{
		"no name":                    {func(c *customer) { c.Name = "" }, "the name must have"},
		"a name that is no label":    {func(c *customer) { c.Name = "in.itech" }, "the name must have"},
		"the name of the main site":  {func(c *customer) { c.Name = "app" }, "the name must have"},
		"the name of another one":    {func(c *customer) { c.Name = "acme" }, "name acme belongs to another customer"},
		"the domain of another one":  {func(c *customer) { c.Domains = "initech.test ACME.test" }, "domain acme.test belongs to another customer"},
		"no client ID":               {func(c *customer) { c.ClientID = "" }, "ClientID"},
		"no issuer":                  {func(c *customer) { c.Issuer = "" }, "Issuer"},
		"a provider that is down":    {func(c *customer) { c.Issuer = "https://down.example.test" }, "That did not work"},
		"the issuer of another site": {func(c *customer) { c.Issuer = "https://id.initech.test/other" }, "That did not work"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.startProvider("initech", "secret")
			c := good
			test.change(&c)
			page := r.post(r.administrator(), mainSite+"/admin/add", formOf(c, "a secret that was typed"))
			if body := string(page.Body); page.Status != http.StatusUnprocessableEntity || !strings.Contains(body, test.want) || strings.Contains(body, "that was typed") {
				t.Errorf("got %d %s, want 422 and %q", page.Status, body, test.want)
			}
			if all, err := r.customers.all(t.Context()); err != nil || len(all) != 2 || all[0] != r.customerOf("acme") || all[1] != r.customerOf("globex") {
				t.Errorf("the table is now %v, %v", all, err)
			}
		})
	}
}

func TestANewSecretNeedsNoRestart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	browser := r.newBrowser()
	r.logIn(browser, "acme")
	r.startProvider("acme", "another secret")
	fresh := r.newBrowser()
	if page := r.get(fresh, site("acme")+"/"); page.Status < 400 {
		t.Fatalf("a login with the former secret: got %d at %s", page.Status, page.URL)
	}
	page := r.post(r.administrator(), mainSite+"/admin/secret", url.Values{"name": {"acme"}, "secret": {"another secret"}})
	if page.Status != http.StatusOK || page.URL != mainSite+"/admin" {
		t.Fatalf("got %d at %s", page.Status, page.URL)
	}
	r.logIn(fresh, "acme")
	if got := r.userAt(browser, site("acme")); got != "acme ada" {
		t.Errorf("who was logged in is now %q", got)
	}
}

func TestRemovalEndsSessions(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	browser, admin := r.newBrowser(), r.administrator()
	r.logIn(browser, "acme")
	r.logIn(browser, "globex")
	r.logInOnMainSite(browser, "ada@acme.test")
	page := r.post(admin, mainSite+"/admin/remove", url.Values{"name": {"acme"}})
	if page.Status != http.StatusOK || page.URL != mainSite+"/admin" || strings.Contains(string(page.Body), "acme") {
		t.Fatalf("got %d at %s: %s", page.Status, page.URL, page.Body)
	}
	for origin, want := range map[string]string{site("acme"): "", mainSite: "", site("globex"): "globex ada"} {
		if got := r.userAt(browser, origin); got != want {
			t.Errorf("user of %s: got %q, want %q", origin, got, want)
		}
	}
	if page := r.get(browser, site("acme")+"/"); page.Status != http.StatusMisdirectedRequest {
		t.Errorf("the customer's host: got %d at %s, want 421", page.Status, page.URL)
	}
	r.add(admin, r.customerOf("acme"), "hidden-acme")
	if got := r.userAt(browser, site("acme")); got != "" {
		t.Errorf("a session from before opens a customer that was added again, for %q", got)
	}
	r.logIn(browser, "acme")
}

// A login that is ending when its customer is removed gets no session.
func TestRemovalDuringALogin(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	browser := r.newBrowser()
	provider := r.startProvider("acme", "hidden-acme")
	provider.Misbehave(logintest.Faults{Intercept: func(at logintest.Endpoint, _ http.ResponseWriter, _ *http.Request) bool {
		if at == logintest.Token {
			r.post(r.administrator(), mainSite+"/admin/remove", url.Values{"name": {"acme"}})
		}
		return false // the provider answers
	}})
	page := r.get(browser, site("acme")+"/")
	if provider.Count(logintest.Token) != 1 || page.Status < 400 {
		t.Errorf("got %d at %s", page.Status, page.URL)
	}
	if got := r.userAt(browser, site("acme")); got != "" {
		t.Errorf("a session of %q begins after the removal", got)
	}
}

func TestAdministratorsOnly(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	posts := map[string]url.Values{
		"/admin/add":    formOf(customer{Name: "initech", Issuer: "https://id.acme.test", ClientID: "app"}, "secret"),
		"/admin/secret": {"name": {"acme"}, "secret": {"planted"}},
		"/admin/remove": {"name": {"acme"}},
	}
	for path, form := range posts {
		for who, change := range map[string]func(*http.Request){
			"nobody":         func(*http.Request) {},
			"wrong password": func(r *http.Request) { r.SetBasicAuth("", "the password") },
			"another site": func(r *http.Request) {
				r.SetBasicAuth("", password)
				r.Header.Set("Sec-Fetch-Site", "cross-site")
			},
			"the site of a customer": func(r *http.Request) {
				r.SetBasicAuth("", password)
				r.Header.Set("Sec-Fetch-Site", "same-site")
			},
			"another site, in an old browser": func(r *http.Request) {
				r.SetBasicAuth("", password)
				r.Header.Set("Origin", site("acme"))
			},
		} {
			request := httptest.NewRequest(http.MethodPost, mainSite+path, strings.NewReader(form.Encode()))
			request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			change(request)
			recorder := httptest.NewRecorder()
			r.ServeHTTP(recorder, request)
			if recorder.Code != http.StatusUnauthorized && recorder.Code != http.StatusForbidden {
				t.Errorf("%s by %s: got %d", path, who, recorder.Code)
			}
		}
	}
	for _, path := range []string{"/admin", "/admin/", "/admin/new?name=initech&issuer=https://id.initech.test"} {
		if page := r.get(r.newBrowser(), mainSite+path); page.Status != http.StatusUnauthorized || strings.Contains(string(page.Body), "acme") {
			t.Errorf("%s by nobody: got %d %s", path, page.Status, page.Body)
		}
	}
	r.logIn(r.newBrowser(), "acme") // with the secret as it was
	if all, err := r.customers.all(t.Context()); err != nil || len(all) != 2 {
		t.Errorf("the table is now %v, %v", all, err)
	}
}

func TestSecretsAreEncrypted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var file string
	if err := r.customers.db.QueryRow("SELECT file FROM pragma_database_list").Scan(&file); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(file)
	if err != nil || !bytes.Contains(content, []byte("https://id.acme.test")) || bytes.Contains(content, []byte("hidden-")) {
		t.Errorf("the database has a secret, or no customer: %v", err)
	}
	if page := r.get(r.administrator(), mainSite+"/admin"); strings.Contains(string(page.Body), "hidden-acme") {
		t.Error("the page has a secret")
	}

	// A secret opens in its own row only, and with its own key only.
	if _, err := r.customers.db.Exec("UPDATE customers SET secret = (SELECT secret FROM customers WHERE name = 'acme') WHERE name = 'globex'"); err != nil {
		t.Fatal(err)
	}
	if page := r.get(r.newBrowser(), site("globex")+"/"); page.Status != http.StatusServiceUnavailable {
		t.Errorf("with the secret of another customer: got %d at %s", page.Status, page.URL)
	}
	r.logIn(r.newBrowser(), "acme")
	another, err := openCustomers(t.Context(), file, []byte("another key of thirty-two bytes or more"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = another.db.Close() }()
	if p, err := another.find(t.Context(), "acme"); err == nil || strings.Contains(err.Error(), "hidden-acme") {
		t.Errorf("with another key: got %v, %v", p, err)
	}
}
