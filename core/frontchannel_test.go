package core_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// frontChannel opens the front-channel page in a frame of a page of the same
// site, with which Lax cookies go along.
func (g *rig) frontChannel(iss, sid string) *logintest.Page {
	g.t.Helper()
	return g.frame(url.Values{"iss": {iss}, "sid": {sid}}.Encode())
}

func (g *rig) frame(query string) *logintest.Page {
	g.t.Helper()
	r, err := http.NewRequest("GET", origin+"/auth/frontchannel-logout?"+query, nil)
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header = http.Header{
		"Sec-Fetch-Site": {"same-site"}, "Sec-Fetch-Mode": {"navigate"}, "Sec-Fetch-Dest": {"iframe"}, "Accept": {"text/html"},
	}
	page, err := g.browser.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	return page
}

const frontChannelPolicy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors "

// Nothing ends but the session that iss and sid are of. The page is the same in
// all cases: another site that opens it learns nothing.
func TestFrontChannelLogout(t *testing.T) {
	t.Parallel()
	right := url.Values{"iss": {issuer}, "sid": {"first"}}.Encode()
	for name, test := range map[string]struct {
		query string
		ends  bool
		by    string // who may frame the answer; "": the provider
	}{
		"rule 126: iss and sid of the session":    {query: right, ends: true},
		"rule 126: and parameters unknown":        {query: right + "&x=y&x=z", ends: true},
		"rule 126: sid of another":                {query: url.Values{"iss": {issuer}, "sid": {"second"}}.Encode()},
		"rule 126: sid cut short":                 {query: url.Values{"iss": {issuer}, "sid": {"firs"}}.Encode()},
		"rule 126: sid in capitals":               {query: url.Values{"iss": {issuer}, "sid": {"FIRST"}}.Encode()},
		"rule 126: sid empty":                     {query: url.Values{"iss": {issuer}, "sid": {""}}.Encode()},
		"rule 126: no sid":                        {query: url.Values{"iss": {issuer}}.Encode()},
		"rule 126: sid twice":                     {query: right + "&sid=first"},
		"rule 126: sid twice, first another's":    {query: "sid=second&" + right},
		"rule 126: iss of another":                {query: url.Values{"iss": {issuer + "1"}, "sid": {"first"}}.Encode(), by: "'none'"},
		"rule 126: iss of another that is known":  {query: url.Values{"iss": {otherIssuer}, "sid": {"first"}}.Encode(), by: otherIssuer},
		"rule 126: iss with a slash":              {query: url.Values{"iss": {issuer + "/"}, "sid": {"first"}}.Encode(), by: "'none'"},
		"rule 126: no iss":                        {query: "sid=first", by: "'none'"},
		"rule 126: iss twice":                     {query: right + "&" + url.Values{"iss": {issuer}}.Encode(), by: "'none'"},
		"rule 126: neither":                       {by: "'none'"},
		"rule 126: what is no query":              {query: "%zz;&&iss=%", by: "'none'"},
		"rule 126: iss with another policy in it": {query: url.Values{"iss": {"https://a;script-src *\r\nX: y"}, "sid": {"first"}}.Encode(), by: "'none'"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everyVault(t, func(t *testing.T, vault func(*core.Config)) {
				l := new(ledger)
				g := newDuo(t, vault, func(c *core.Config) { c.Logout.Revocations = l })
				g.provider.User = logintest.User{Subject: "ada", SessionID: "first"}
				g.visit(g.at("one").String())
				l.counts()
				page := g.frame(test.query)
				by := test.by
				if by == "" {
					by = issuer
				}
				if page.Status != 200 || string(page.Body) != "<!doctype html>\n<title>Logout</title>\n" || page.Header.Get("Cache-Control") != "no-store" ||
					page.Header.Get("Content-Security-Policy") != frontChannelPolicy+by || page.Header.Get("X-Frame-Options") != "" {
					t.Errorf("got %d %v: %s", page.Status, page.Header, page.Body)
				}
				_, writes := l.counts()
				if got := g.whoAmI(); test.ends && (got != "" || writes == 0 || len(g.cookiesNamed("__Host-pixy-session")) != 0) ||
					!test.ends && (got != "I am ada" || writes != 0 || len(page.Header["Set-Cookie"]) != 0) {
					t.Errorf("%q is logged in, and there were %d writes, %v", got, writes, page.Header)
				}
				if log := g.log.String(); strings.Count(log, "\n") != 1 || strings.Contains(log, `"outcome":"ended"`) != test.ends || strings.Contains(log, "first") {
					t.Errorf("logged %s", log)
				}
			})
		})
	}
}

// What else began in that session at the provider ends with it, and no more.
func TestFrontChannelLogoutEndsTheProvidersSession(t *testing.T) {
	t.Parallel()
	g, _ := newLogoutRig(t)
	here := g.signIn(logintest.User{Subject: "ada", SessionID: "first"})
	sibling := g.signIn(logintest.User{Subject: "ada", SessionID: "first"})
	elsewhere := g.signIn(logintest.User{Subject: "ada", SessionID: "second"})
	here.frontChannel(issuer, "second")
	if here.whoAmI() == "" || elsewhere.whoAmI() == "" {
		t.Error("rule 126: a sid that is not the browser's has ended something")
	}
	here.frontChannel(issuer, "first")
	if here.whoAmI() != "" || sibling.whoAmI() != "" || elsewhere.whoAmI() != "I am ada" {
		t.Errorf("left are %q, %q, %q", here.whoAmI(), sibling.whoAmI(), elsewhere.whoAmI())
	}
	g.advance(time.Second)
	g.provider.User = logintest.User{Subject: "ada", SessionID: "first"}
	here.login() // in the same session at the provider, which may have gone on
}

// A session without a sid is not ended by an empty one, nor one of a stranger's.
func TestFrontChannelLogoutWithoutASession(t *testing.T) {
	t.Parallel()
	g, l := newLogoutRig(t)
	g.provider.Misbehave(claim("sid", nil))
	g.login()
	for _, query := range []string{"iss=" + url.QueryEscape(issuer) + "&sid=", "iss=" + url.QueryEscape(issuer)} {
		if page := g.frame(query); page.Status != 200 || g.whoAmI() != "I am ada" {
			t.Errorf("%s: got %d", query, page.Status)
		}
	}
	g.browser.Forget("", "")
	l.counts()
	page := g.frontChannel(issuer, "first")
	if reads, writes := l.counts(); page.Status != 200 || reads+writes+len(page.Header["Set-Cookie"]) != 0 {
		t.Errorf("a stranger gets %d %v, for %d reads and %d writes", page.Status, page.Header, reads, writes)
	}
}

// A provider on another site loads the page without cookies: nothing happens, as
// the documentation says.
func TestFrontChannelLogoutFromAnotherSite(t *testing.T) {
	t.Parallel()
	g, _ := newLogoutRig(t)
	g.login()
	frames, err := g.browser.Frames(logintest.Hop{URL: issuer + "/end-session", Body: []byte(
		`<iframe src="` + origin + `/auth/frontchannel-logout?iss=` + url.QueryEscape(issuer) + `&amp;sid=first"></iframe>`)})
	if err != nil || len(frames) != 1 || frames[0].Status != 200 || len(frames[0].RequestHeader["Cookie"]) != 0 {
		t.Fatalf("got %v, %v", frames, err)
	}
	if got := g.whoAmI(); got != "I am ada" {
		t.Errorf("got %q", got)
	}
}

func TestFrontChannelLogoutDuringAnOutage(t *testing.T) {
	t.Parallel()
	for name, spared := range map[string]int{"down": 0, "read only": -1, "after the first write": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, l := newLogoutRig(t)
			g.login()
			l.fail(errors.New("down"), spared)
			page := g.frontChannel(issuer, "first")
			if page.Status != 503 || page.Header.Get("Retry-After") == "" || len(page.Header["Set-Cookie"]) != 0 || !strings.Contains(string(page.Body), "revocations_unavailable") {
				t.Errorf("got %d: %s", page.Status, page.Body)
			}
			l.fail(nil, 0)
			if got := g.whoAmI(); spared <= 0 && got != "I am ada" {
				t.Errorf("logged out: %q", got)
			}
			g.frontChannel(issuer, "first")
			if got := g.whoAmI(); got != "" {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestFrontChannelLogoutMethods(t *testing.T) {
	t.Parallel()
	g, _ := newLogoutRig(t)
	g.login()
	for _, method := range []string{"POST", "HEAD", "PUT"} {
		page := g.fetch(method, origin+"/auth/frontchannel-logout?sid=first&iss="+url.QueryEscape(issuer))
		if page.Status != 405 || page.Header.Get("Allow") != "GET" || g.whoAmI() != "I am ada" {
			t.Errorf("%s gets %d", method, page.Status)
		}
	}
}
