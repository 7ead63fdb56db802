package core_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// withFaulty adds a provider, the third, with SkipFaultyProviders.
func withFaulty(p core.Provider) func(*core.Config) {
	return func(c *core.Config) {
		c.Providers = append(c.Providers, p)
		c.SkipFaultyProviders = true
	}
}

// A provider with mistakes is left out, whatever they are. Each is logged once, by its
// field, and the others work as if it were not there.
func TestFaultyProvidersAreLeftOut(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		provider core.Provider
		called   string   // in the log; empty: three
		fields   []string // in the log
	}{
		{"no client", core.Provider{Name: "three", Issuer: "https://three.example.test"}, "", []string{"ClientID"}},
		{"two mistakes", core.Provider{Name: "three", Issuer: "http://three.example.test"}, "", []string{"Issuer", "ClientID"}},
		{"an issuer with a password", core.Provider{Name: "three", Issuer: "https://u:canary-password@three.example.test", ClientID: "app"}, "", []string{"Issuer"}},
		{"a secret with a line break", core.Provider{Name: "three", Issuer: "https://three.example.test", ClientID: "app", ClientSecret: "canary-secret\n"}, "", []string{"ClientSecret"}},
		{"plain http on loopback", core.Provider{Name: "three", Issuer: "http://127.0.0.1:9000", ClientID: "app"}, "", []string{"Issuer"}},
		{"the name of another", core.Provider{Name: "ONE", Issuer: "https://three.example.test", ClientID: "app"}, "ONE", []string{"Name"}},
		{"the issuer of another", core.Provider{Name: "three", Issuer: issuer, ClientID: "app"}, "", []string{"Issuer"}},
		{"the callback of another, by RedirectURL", core.Provider{Name: "three", Issuer: "https://three.example.test", ClientID: "app", RedirectURL: callbackURL + "/two"}, "", []string{"RedirectURL"}},
		{"a callback that is the login", core.Provider{Name: "three", Issuer: "https://three.example.test", ClientID: "app", RedirectURL: origin + "/auth/login"}, "", []string{"RedirectURL"}},
		{"a callback that is no route", core.Provider{Name: "three", Issuer: "https://three.example.test", ClientID: "app", RedirectURL: origin + "/auth/{x}"}, "", []string{"RedirectURL"}},
		{"a callback elsewhere", core.Provider{Name: "three", Issuer: "https://three.example.test", ClientID: "app", RedirectURL: "https://x.example.test/auth"}, "", []string{"RedirectURL"}},
		{"no name, and faulty", core.Provider{Issuer: "https://three.example.test:8443"}, "three.example.test:8443", []string{"ClientID"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newDuo(t, withFaulty(test.provider))
			called := test.called
			if called == "" {
				called = "three"
			}
			var fields []string
			for line := range strings.Lines(g.log.String()) {
				var entry struct{ Level, Msg, Provider, Field, Error string }
				if err := json.Unmarshal([]byte(line), &entry); err != nil {
					t.Fatal(err)
				}
				field, ok := strings.CutPrefix(entry.Field, "Providers[2].")
				if fields = append(fields, field); !ok || entry.Level != "WARN" || entry.Msg != "pixy: provider left out" || entry.Provider != called ||
					!strings.HasPrefix(entry.Error, "pixy: Config."+entry.Field) {
					t.Errorf("logged as %s", line)
				}
			}
			if strings.Join(fields, " ") != strings.Join(test.fields, " ") {
				t.Errorf("logged the fields %q, want %q", fields, test.fields)
			}
			if strings.Contains(g.log.String(), "canary") {
				t.Errorf("a secret is in the log: %s", g.log.String())
			}
			err := g.auth.Discover(t.Context())
			failure := new(core.Error)
			if !errors.As(err, &failure) || failure.Code != "provider_missing" || failure.Status != 503 {
				t.Errorf("Discover returns %v", err)
			}
			for _, want := range append(test.fields, called) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("Discover returns %v, without %s", err, want)
				}
			}
			if got := strings.Join(callbacksOf(g.auth), " "); got != "/auth/callback/one /auth/callback/two" {
				t.Errorf("the callbacks are %s", got)
			}
			if got := len(g.auth.Registrations()); got != 2 {
				t.Errorf("%d registrations", got)
			}
			chooser := g.get(origin + "/auth/login")
			if strings.Contains(string(chooser.Body), "provider=three") || strings.Count(string(chooser.Body), "provider=") != 2 {
				t.Errorf("the chooser is %s", chooser.Body)
			}
			g.get(g.at("one").String())
			if got := g.whoAmI(); got != "I am ada" {
				t.Errorf("the login at a sound provider leads to %q", got)
			}
		})
	}
}

func TestLoginAtAProviderThatWasLeftOut(t *testing.T) {
	t.Parallel()
	g := newDuo(t, withFaulty(core.Provider{Name: "three", Issuer: "https://three.example.test"}))
	g.log.reset()
	for _, query := range []string{"provider=three", "iss=" + url.QueryEscape("https://three.example.test")} {
		page := g.get(origin + "/auth/login?return_to=/me&" + query)
		if page.Status != 404 || !strings.Contains(string(page.Body), "provider_unknown") || len(g.browser.Cookies(origin)) != 0 {
			t.Errorf("%s: got %d: %s", query, page.Status, page.Body)
		}
	}
	if got := g.log.String(); strings.Count(got, "three") != 2 {
		t.Errorf("logged as %s", got)
	}
}

// The earlier of two providers with one name stays, unless it is left out itself.
func TestTheLaterDuplicateIsLeftOut(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(*core.Config)
		want   string // issuer of the only provider
	}{
		{"both sound", func(c *core.Config) {}, issuer},
		{"the earlier faulty", func(c *core.Config) { c.Providers[0].ClientID = "" }, otherIssuer},
		{"both without a name", func(c *core.Config) { c.Providers[0].Name, c.Providers[1].Name = "", "" }, issuer},
		{"both without a name, the earlier faulty", func(c *core.Config) {
			c.Providers[0].Name, c.Providers[1].Name, c.Providers[0].ClientID = "", "", ""
		}, otherIssuer},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newDuo(t, func(c *core.Config) {
				c.Providers[1].Name, c.SkipFaultyProviders = "one", true
				test.change(c)
			})
			if got := g.auth.Registrations(); len(got) != 1 || got[0].Issuer != test.want {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// Mistakes that concern all providers are still errors, and so is every mistake without
// the field.
func TestSkipFaultyProvidersSkipsNothingElse(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	config := g.config()
	config.Providers[0].ClientID, config.SessionKey, config.SkipFaultyProviders = "", nil, true
	if _, err := core.New(config); err == nil || !strings.Contains(err.Error(), "SessionKey is empty") || strings.Contains(err.Error(), "ClientID") {
		t.Errorf("got %v", err)
	}
	config.SkipFaultyProviders = false
	if _, err := core.New(config); err == nil || !strings.Contains(err.Error(), "SessionKey is empty") || !strings.Contains(err.Error(), "Providers[0].ClientID is missing") {
		t.Errorf("got %v", err)
	}
}

// Without a provider, an application runs: nobody can log in, which the page says.
func TestNoProviderAtAll(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*core.Config){
		"an empty list": func(c *core.Config) { c.Providers = nil },
		"all at fault":  func(c *core.Config) { c.Providers[0].ClientID = "" },
		"several at fault": func(c *core.Config) {
			c.Providers = []core.Provider{{Name: "a"}, {Name: "b"}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, func(c *core.Config) {
				c.SkipFaultyProviders, c.Logout.Revocations = true, new(core.MemoryRevocations)
				change(c)
			})
			if got := callbacksOf(g.auth); len(got) != 2 || len(g.auth.Registrations()) != 0 { // back- and front-channel logout
				t.Errorf("the routes are %q", got)
			}
			if err := g.auth.Discover(t.Context()); (err == nil) != (name == "an empty list") {
				t.Errorf("Discover returns %v", err)
			}
			g.log.reset()
			for _, path := range []string{
				"/auth/login", "/auth/login?return_to=/me", "/auth/login?provider=id.example.test", "/auth/login?iss=" + url.QueryEscape(issuer), "/me",
			} {
				page := g.get(origin + path)
				if page.Status != 503 || !strings.Contains(string(page.Body), "provider_missing") || !strings.Contains(string(page.Body), "no login provider yet") ||
					strings.Contains(string(page.Body), "/auth/login") || page.Header.Get("Retry-After") != "" || len(g.browser.Cookies(origin)) != 0 {
					t.Errorf("%s: got %d at %s, %v: %s", path, page.Status, page.URL, page.Header, page.Body)
				}
			}
			if got := g.log.String(); strings.Count(got, `"WARN"`) != 5 || strings.Count(got, `"code":"provider_missing"`) != 5 {
				t.Errorf("logged as %s", got)
			}
			if got := g.whoAmI(); got != "" {
				t.Errorf("a script is %q", got)
			}
			if page := g.get(origin + "/public"); page.Status != 200 {
				t.Errorf("a public page answers %d", page.Status)
			}
			if user := g.auth.User(g.loaded(t)); user != nil {
				t.Errorf("LoadUser finds %v", user)
			}
			if out, err := g.browser.Post(origin+"/auth/logout", nil); err != nil || out.Status != 200 || out.URL != origin+"/" {
				t.Errorf("logout ends with %d at %s: %v", out.Status, out.URL, err)
			}
			out, err := g.browser.Post(origin+"/auth/backchannel-logout", url.Values{"logout_token": {g.provider.LogoutToken("app", logintest.User{Subject: "ada"}, nil)}})
			if err != nil || out.Status != 400 {
				t.Errorf("back-channel logout ends with %d: %v", out.Status, err)
			}
			r := httptest.NewRequest("GET", origin+"/auth/login", nil) // behind a guard, which leads in no circle
			r.Header.Set("Accept", "text/html")
			err = g.auth.Challenge(httptest.NewRecorder(), r, core.ErrNoSession)
			if failure := new(core.Error); !errors.As(err, &failure) || failure.Code != "provider_missing" {
				t.Errorf("a guard in front of the login returns %v", err)
			}
			w := httptest.NewRecorder() // an application can mount the callback itself
			err = g.auth.Callback(w, httptest.NewRequest("GET", callbackURL+"?code=x&state="+strings.Repeat("A", 43), nil))
			if failure := new(core.Error); !errors.As(err, &failure) || failure.Code != "provider_missing" {
				t.Errorf("a callback is %v", err)
			}
		})
	}
}

// loaded is a request that LoadUser has seen.
func (g *rig) loaded(t *testing.T) *http.Request {
	t.Helper()
	r, err := g.auth.LoadUser(httptest.NewRecorder(), httptest.NewRequest("GET", origin+"/", nil))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The sessions of a provider that is left out count as none until it is mended. Those of
// the others go on.
func TestSessionsOfAProviderThatIsLeftOut(t *testing.T) {
	t.Parallel()
	g := newDuo(t)
	broken := g.newAuth(g.both, func(c *core.Config) { c.Providers[0].Issuer, c.SkipFaultyProviders = issuer+"?", true })
	for name, want := range map[string]string{"one": "", "two": "I am ada"} {
		g.browser.Serve(origin, g.app(g.auth))
		g.get(g.at(name).String())
		g.browser.Serve(origin, g.app(broken))
		if got := g.whoAmI(); got != want {
			t.Errorf("at %s: the session is one of %q, want %q", name, got, want)
		}
		g.browser.Serve(origin, g.app(g.auth))
		if got := g.whoAmI(); got != "I am ada" {
			t.Errorf("at %s, mended: the session is one of %q", name, got)
		}
	}
}
