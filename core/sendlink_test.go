package core_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A post is Lookup.SendLink.
type post struct {
	sent chan [2]string // address and link
	err  error
}

// sendLinks makes a configuration send links by post.
func (p *post) sendLinks(c *core.Config) {
	c.Lookup.SendLink = func(_ context.Context, typed, link string) error {
		p.sent <- [2]string{typed, link}
		return p.err
	}
}

func newPost() *post { return &post{sent: make(chan [2]string, 100)} }

// The link begins the login at the customer's provider, in any browser.
func TestALinkIsSent(t *testing.T) {
	t.Parallel()
	p := newPost()
	g, _, _ := newReception(t, p.sendLinks)
	page := g.get(origin + "/me")
	if !strings.Contains(string(page.Body), ">E-mail address</label>") {
		t.Errorf("the page asks for something else: %s", page.Body)
	}
	page = g.submit("/auth/login", byPage, formIn(t, page, typedThere))
	if page.Status != 200 || !strings.Contains(string(page.Body), "If there is a login for your e-mail address, we have sent you a link.") {
		t.Errorf("got %d %s", page.Status, page.Body)
	}
	sent := <-p.sent
	if sent[0] != typedThere || !strings.HasPrefix(sent[1], origin+"/auth/login?provider=acme&return_to=%2Fme&with=") || strings.Contains(strings.ToLower(sent[1]), "canary") {
		t.Errorf("sent %q", sent)
	}
	if g.began() != 0 || len(g.cookiesNamed("")) != 0 || g.log.String() != "" {
		t.Errorf("began %d logins, and logged %s", g.began(), g.log.String())
	}
	g.browser.Forget("", "")
	if page := g.get(sent[1]); string(page.Body) != "I am ada" {
		t.Errorf("the link leads to %s: %s", page.URL, page.Body)
	}
	if got := g.authorization().Get("login_hint"); got != typedThere {
		t.Errorf("asks for %q", got)
	}
	g.browser.Forget("", "")
	g.advance(time.Hour)
	if query := g.asked(sent[1]); query == nil || query.Has("login_hint") {
		t.Errorf("after an hour, the link asks with %v", query)
	}
}

// Whatever was typed, the answer is the same, and it is given before Choose is asked.
func TestALinkTellsNothing(t *testing.T) {
	t.Parallel()
	var first *logintest.Page
	for _, test := range []struct {
		name, typed string
		err         error // of Choose
		sendErr     error // of SendLink
		sent        bool
		code        string // in the log; empty: nothing is logged
	}{
		{name: "known", typed: typedThere, sent: true},
		{name: "unknown", typed: "canary@nowhere.example.test"},
		{name: "gone", typed: "canary@gone.example.test"},
		{name: "not a name", typed: "canary@path.example.test"},
		{name: "faulty", typed: "canary@faulty.example.test", code: "provider_invalid"},
		{name: "Choose fails", typed: typedThere, err: errors.New("no row for " + typedThere), code: "lookup_unavailable"},
		{name: "SendLink fails", typed: typedThere, sendErr: errors.New("550 " + strings.ToLower(typedThere) + " does not exist"), sent: true, code: "lookup_unavailable"},
		{name: "SendLink panics", typed: typedThere, sendErr: errPanics, sent: true, code: "lookup_unavailable"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPost()
			answered, done := make(chan struct{}), make(chan struct{})
			g, _, _ := newReception(t, p.sendLinks, func(c *core.Config) {
				choose, send := c.Lookup.Choose, c.Lookup.SendLink
				c.Lookup.Choose = func(r *http.Request, typed string) (string, error) {
					if typed == "" {
						return choose(r, typed)
					}
					defer close(done)
					<-answered // or the test hangs
					if err := r.Context().Err(); err != nil {
						t.Errorf("the request's context has ended: %v", err)
					}
					name, _ := choose(r, typed)
					return name, test.err
				}
				c.Lookup.SendLink = func(ctx context.Context, typed, link string) error {
					if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > time.Minute {
						t.Errorf("may take until %v", deadline)
					}
					if err := send(ctx, typed, link); test.sendErr != errPanics {
						return err
					}
					panic("no mail for " + typedThere)
				}
			})
			p.err = test.sendErr
			page := g.submit("/auth/login", byPage, url.Values{"customer": {test.typed}, "return_to": {"/me"}})
			if first == nil {
				first = page
			}
			if page.Status != 200 || string(page.Body) != string(first.Body) || !maps.EqualFunc(page.Header, first.Header, slices.Equal[[]string]) {
				t.Errorf("another answer: %d %v %s", page.Status, page.Header, page.Body)
			}
			if g.log.String() != "" {
				t.Errorf("logged %s", g.log.String())
			}
			close(answered)
			<-done
			if test.sent {
				<-p.sent
			}
			if test.code != "" {
				eventually(t, func() bool { return strings.Contains(g.log.String(), `"code":"`+test.code) })
			}
			eventually(t, func() bool { return core.LinksUnderWay(g.auth) == 0 })
			if len(p.sent) != 0 || strings.Contains(strings.ToLower(g.log.String()), "canary@") || (g.log.String() != "") != (test.code != "") {
				t.Errorf("sent %d more, and logged %s", len(p.sent), g.log.String())
			}
			if len(g.provider.Requests()) != 0 || g.began() != 0 {
				t.Errorf("asked the provider: %v", g.provider.Requests())
			}
		})
	}
}

var errPanics = errors.New("panics")

// What is not an e-mail address gets no link, and other sites, frames and scripts send
// none.
func TestNoLinkIsSent(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		typed  string
		header http.Header
		says   string
	}{
		{"an organization", "Acme Corp", byPage, "Please enter your whole e-mail address"},
		{"no domain", "ada@", byPage, "Please enter your whole e-mail address"},
		{"no name", "@acme.example.test", byPage, "Please enter your whole e-mail address"},
		{"two addresses", "ada@acme.example.test,bob@acme.example.test", byPage, "Please enter your whole e-mail address"},
		{"an address with a name", "Ada <ada@acme.example.test>", byPage, "Please enter your whole e-mail address"},
		{"two signs", "ada@evil.test@acme.example.test", byPage, "Please enter your whole e-mail address"},
		{"a header", "ada@acme.example.test\r\nBcc: bob@acme.example.test", byPage, "Please enter your whole e-mail address"},
		{"not printable", "ada\x00@acme.example.test", byPage, "Please enter your whole e-mail address"},
		{"nothing", "", byPage, "E-mail address"},
		{"another site", typedThere, with(byPage, "Sec-Fetch-Site", "cross-site"), "E-mail address"},
		{"a sub-domain", typedThere, with(byPage, "Sec-Fetch-Site", "same-site"), "E-mail address"},
		{"a frame", typedThere, with(byPage, "Sec-Fetch-Dest", "iframe"), "not_a_navigation"},
		{"a prefetch", typedThere, with(byPage, "Purpose", "prefetch"), "not_a_navigation"},
		{"a script", typedThere, byFetch, "not_a_navigation"},
		{"htmx", typedThere, byHTMX, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPost()
			g, desk, _ := newReception(t, p.sendLinks)
			page := g.submit("/auth/login", test.header, url.Values{"customer": {test.typed}})
			if !strings.Contains(string(page.Body), test.says) || strings.Contains(string(page.Body), "we have sent") {
				t.Errorf("got %d %s", page.Status, page.Body)
			}
			if core.LinksUnderWay(g.auth) != 0 || len(desk.asked()) != 0 || len(p.sent) != 0 {
				t.Errorf("asked for %q, and sent %d", desk.asked(), len(p.sent))
			}
		})
	}
	t.Run("a GET", func(t *testing.T) {
		t.Parallel()
		p := newPost()
		g, desk, _ := newReception(t, p.sendLinks)
		g.get(origin + "/auth/login?customer=" + url.QueryEscape(typedThere))
		if core.LinksUnderWay(g.auth) != 0 || len(desk.asked()) != 0 {
			t.Errorf("asked for %q", desk.asked())
		}
	})
	t.Run("a customer that the request names", func(t *testing.T) {
		t.Parallel()
		p := newPost()
		g, desk, _ := newReception(t, p.sendLinks)
		page := g.submit("/auth/login", with(byPage, "X-Customer", "acme"), url.Values{"customer": {typedThere}})
		if to := refreshIn(t, page); !strings.HasPrefix(to, "/auth/login?provider=acme&") || core.LinksUnderWay(g.auth) != 0 || len(desk.asked()) != 0 {
			t.Errorf("leads to %s", to)
		}
	})
}

// Links that are sent slowly are bounded in number. Those that are too many are dropped,
// and the page says nothing of it.
func TestLinksAreBounded(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	g, desk, _ := newReception(t, func(c *core.Config) {
		c.Lookup.SendLink = func(context.Context, string, string) error { <-release; return nil }
	})
	form := url.Values{"customer": {typedThere}}
	first := g.submit("/auth/login", byPage, form)
	for range core.MaxLinks - 1 {
		g.submit("/auth/login", byPage, form)
	}
	eventually(t, func() bool { return len(desk.asked()) == core.MaxLinks })
	if g.log.String() != "" {
		t.Errorf("logged %s", g.log.String())
	}
	if page := g.submit("/auth/login", byPage, form); string(page.Body) != string(first.Body) || page.Status != 200 {
		t.Errorf("got %d %s", page.Status, page.Body)
	}
	if log := g.log.String(); !strings.Contains(log, "64 links are being sent, so this one is not") || strings.Contains(strings.ToLower(log), "canary@") {
		t.Errorf("logged %s", log)
	}
	close(release)
	eventually(t, func() bool { return core.LinksUnderWay(g.auth) == 0 })
	if got := len(desk.asked()); got != core.MaxLinks {
		t.Errorf("asked for %d", got)
	}
	g.submit("/auth/login", byPage, form)
	eventually(t, func() bool { return len(desk.asked()) == core.MaxLinks+1 })
}

// A link with a payload is for the browser that began, like any other.
func TestALinkWithAPayload(t *testing.T) {
	t.Parallel()
	var payload string
	p := newPost()
	g, _, _ := newReception(t, p.sendLinks, func(c *core.Config) {
		c.OnLogin = func(_ context.Context, login *core.Login) error { payload = login.Payload; return nil }
	})
	g.confirm(core.LoginOptions{ReturnTo: "/me", Payload: canaryPayload})
	g.submit("/auth/login", byPage, formIn(t, g.get(origin+"/confirm"), typedThere))
	link := (<-p.sent)[1]
	if page := g.get(link); string(page.Body) != "I am ada" || payload != canaryPayload {
		t.Errorf("got %s, with payload %q", page.Body, payload)
	}
	g.browser.Forget("", "")
	if page := g.get(link); page.Status != 400 || !strings.Contains(string(page.Body), "attempt_unknown") {
		t.Errorf("in another browser: got %d %s", page.Status, page.Body)
	}
}
