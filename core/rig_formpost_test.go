package core_test

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// byForm has the rig's providers answer by form_post.
func byForm(c *core.Config) {
	for i := range c.Providers {
		c.Providers[i].Requests.FormPost, c.Providers[i].Requests.FormPostUser = true, true
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
	if !strings.Contains(string(page.Body), `method="post" action="`+callbackURL+`"`) || !form.Has("state") && !form.Has("response") {
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
