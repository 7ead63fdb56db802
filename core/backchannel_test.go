package core_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// Three sessions of two users, of which one provider's session has two.
func TestBackChannelLogoutEndsWhatItMeans(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		about logintest.User
		left  string // of Ada's first, Ada's second, Grace's
	}{
		"rule 125: the sessions of a sid":            {logintest.User{SessionID: "first"}, "- ada grace"},
		"rule 125: all sessions of a sub":            {logintest.User{Subject: "ada"}, "- - grace"},
		"rule 125: those of a sid, if both are said": {logintest.User{Subject: "ada", SessionID: "second"}, "ada - grace"},
		"rule 125: another user's":                   {logintest.User{Subject: "grace"}, "ada ada -"},
		"rules 124, 125: an unknown sid":             {logintest.User{SessionID: "unknown"}, "ada ada grace"},
		"rules 124, 125: an unknown sub":             {logintest.User{Subject: "nobody"}, "ada ada grace"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			everyVault(t, func(t *testing.T, vault func(*core.Config)) {
				g, _ := newLogoutRig(t, vault)
				people := []*rig{
					g.signIn(logintest.User{Subject: "ada", SessionID: "first"}),
					g.signIn(logintest.User{Subject: "ada", SessionID: "second"}),
					g.signIn(logintest.User{Subject: "grace", SessionID: "third"}),
				}
				g.ended(g.provider.LogoutToken("app", test.about, nil))
				var left []string
				for _, p := range people {
					who := strings.TrimPrefix(p.whoAmI(), "I am ")
					if who == "" {
						who = "-"
					}
					left = append(left, who)
				}
				if got := strings.Join(left, " "); got != test.left {
					t.Errorf("left are %s, want %s", got, test.left)
				}
				about := `"about":"a user"`
				if test.about.SessionID != "" {
					about = `"about":"a session of the provider"`
				}
				log := g.log.String()
				for _, part := range []string{about, `"outcome":"ended"`, `"issuer":"` + issuer + `"`, `"provider":"id.example.test"`} {
					if strings.Count(log, "\n") != 1 || !strings.Contains(log, part) {
						t.Errorf("logged %s, which lacks %s", log, part)
					}
				}
				g.advance(time.Second)
				people[0].login() // and whoever has been logged out may come again
			})
		})
	}
}

// A token that comes again, for as long as it could pass, ends no session that
// began since.
func TestALogoutTokenComesAgain(t *testing.T) {
	t.Parallel()
	for name, about := range map[string]logintest.User{
		"rule 123: about a sub": {Subject: "ada"}, "rule 123: about a sid": {SessionID: "first"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g, l := newLogoutRig(t)
			g.login()
			token := g.provider.LogoutToken("app", about, func(_, claims map[string]any) {
				claims["exp"] = g.now().Add(24 * time.Hour).Unix()
			})
			l.counts()
			g.ended(token)
			if l.mu.Lock(); len(l.writes) != 2 || l.writes[1].Before(g.now().Add(time.Hour-2*time.Second)) {
				t.Errorf("remembered until %v", l.writes)
			}
			l.mu.Unlock()
			g.advance(time.Second)
			g.login()
			l.counts()
			for _, later := range []time.Duration{0, 59 * time.Minute} {
				g.advance(later)
				g.ended(token)
				if got := g.whoAmI(); got != "I am ada" {
					t.Errorf("after %s: got %q", later, got)
				}
			}
			if got := strings.Count(g.log.String(), `"outcome":"nothing: the token was seen before"`); got != 2 {
				t.Errorf("the log says it %d times:\n%s", got, g.log.String())
			}
			g.advance(2 * time.Minute) // over an hour in all
			if w := g.backChannel(token, nil); w.Code != http.StatusBadRequest {
				t.Errorf("got %d", w.Code)
			}
			if _, writes := l.counts(); writes != 0 || g.whoAmI() != "I am ada" {
				t.Errorf("%d writes, and %q is logged in", writes, g.whoAmI())
			}
		})
	}
}

// Nobody is logged out by an outage, and the token does its work after it.
func TestBackChannelLogoutDuringAnOutage(t *testing.T) {
	t.Parallel()
	unavailable := func(t *testing.T, w *httptest.ResponseRecorder, code string) {
		t.Helper()
		if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), code) {
			t.Errorf("got %d %v: %s", w.Code, w.Header(), w.Body)
		}
	}
	for name, spared := range map[string]int{"all of it": 0, "after the first write": 1} {
		t.Run("rule 124: the revocations, "+name, func(t *testing.T) {
			t.Parallel()
			everyVault(t, func(t *testing.T, vault func(*core.Config)) {
				g, l := newLogoutRig(t, vault)
				g.login()
				token := g.provider.LogoutToken("app", g.provider.User, nil)
				l.fail(errors.New("canary: connection refused"), spared)
				w := g.backChannel(token, nil)
				unavailable(t, w, "revocations_unavailable")
				if page := g.fetch("GET", origin+"/me"); page.Status != 503 || page.Header.Get("Retry-After") == "" || len(page.Header["Set-Cookie"]) != 0 {
					t.Errorf("a user gets %d: %s", page.Status, page.Body)
				}
				if strings.Contains(w.Body.String(), "canary") || !strings.Contains(g.log.String(), "canary") {
					t.Errorf("answered %s, and logged %s", w.Body, g.log.String())
				}
				l.fail(nil, 0)
				if got := g.whoAmI(); spared == 0 && got != "I am ada" {
					t.Errorf("the outage has logged out: %q", got)
				}
				g.ended(token)
				if got := g.whoAmI(); got != "" {
					t.Errorf("got %q", got)
				}
			})
		})
	}
	for name, about := range map[string]logintest.User{"sub": {Subject: "ada"}, "sid": {SessionID: "first"}} {
		t.Run("rule 124: the revocations can be read and not written, about a "+name, func(t *testing.T) {
			t.Parallel()
			everyVault(t, func(t *testing.T, vault func(*core.Config)) {
				g, l := newLogoutRig(t, vault)
				g.login()
				token := g.provider.LogoutToken("app", about, nil)
				l.fail(errors.New("canary: read only"), -1)
				unavailable(t, g.backChannel(token, nil), "revocations_unavailable")
				if got := g.whoAmI(); got != "I am ada" {
					t.Errorf("the outage has logged out: %q", got)
				}
				l.fail(nil, 0)
				if got := g.whoAmI(); got != "I am ada" || strings.Contains(g.log.String(), "logout by the provider") {
					t.Errorf("got %q; logged %s", got, g.log.String())
				}
				g.ended(token)
				if got := g.whoAmI(); got != "" {
					t.Errorf("the same token ends nothing: %q", got)
				}
			})
		})
	}
	for name, answer := range map[string]func(http.ResponseWriter){
		"down":        func(w http.ResponseWriter) { w.WriteHeader(http.StatusInternalServerError) },
		"not its own": func(w http.ResponseWriter) { fmt.Fprint(w, "<html>a proxy") },
		"not there":   func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) },
	} {
		for _, endpoint := range []logintest.Endpoint{logintest.Discovery, logintest.JWKS} {
			t.Run("rule 124: the provider's "+string(endpoint)+" is "+name, func(t *testing.T) {
				t.Parallel()
				g, l := newLogoutRig(t)
				g.login()
				token := g.provider.LogoutToken("app", g.provider.User, nil)
				fresh := g.newAuth(func(c *core.Config) { c.Logout.Revocations = l })
				g.auth = fresh // which knows neither metadata nor keys
				l.counts()
				g.provider.Misbehave(on(endpoint, func(w http.ResponseWriter, _ *http.Request) { answer(w) }))
				unavailable(t, g.backChannel(token, nil), "provider_unavailable")
				if reads, writes := l.counts(); reads+writes != 0 || g.whoAmI() != "I am ada" {
					t.Errorf("%d reads, %d writes, and %q is logged in", reads, writes, g.whoAmI())
				}
				g.provider.Misbehave(logintest.Faults{})
				g.advance(5 * time.Second)
				g.ended(token)
			})
		}
	}
}

func TestBackChannelLogoutMethods(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "HEAD", "PUT", "DELETE", "OPTIONS"} {
		t.Run("rule 124: POST only, not by "+method, func(t *testing.T) {
			t.Parallel()
			g, _ := newLogoutRig(t)
			g.login()
			w := g.backChannel(g.provider.LogoutToken("app", g.provider.User, nil), func(r *http.Request) { r.Method = method })
			if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "POST" || g.whoAmI() != "I am ada" {
				t.Errorf("got %d", w.Code)
			}
		})
	}
}

// A provider is believed about its own users only.
func TestBackChannelLogoutOfSeveralProviders(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T) *duo {
		g := newDuo(t, func(c *core.Config) {
			c.Logout.Revocations = new(core.MemoryRevocations)
			c.Providers = append(c.Providers, core.Provider{
				Name: "plain", ClientID: "app",
				Endpoints: core.EndpointConfig{AuthURL: "https://plain.example.test/a", TokenURL: "https://plain.example.test/t"},
				FetchUser: func(context.Context, *http.Client) (map[string]any, error) { return nil, nil },
			})
		})
		g.two.RotateKeys() // or the two would share an RSA key
		g.provider.User = logintest.User{Subject: "ada", SessionID: "first"}
		g.visit(g.at("one").String())
		return g
	}
	ada := logintest.User{Subject: "ada", SessionID: "first"}
	as := func(iss string) func(_, claims map[string]any) {
		return func(header, claims map[string]any) {
			delete(header, "kid")
			claims["iss"] = iss
		}
	}
	t.Run("rule 121: iss of a provider that has not signed it", func(t *testing.T) {
		t.Parallel()
		g := start(t)
		for name, token := range map[string]string{
			"the second about the first":         g.two.LogoutToken("app", ada, as(issuer)),
			"the first about the second":         g.provider.LogoutToken("app", ada, as(otherIssuer)),
			"the first about one without tokens": g.provider.LogoutToken("app", ada, as("https://plain.example.test")),
		} {
			if w := g.backChannel(token, nil); w.Code != http.StatusBadRequest || g.whoAmI() != "I am ada" {
				t.Errorf("%s: got %d: %s", name, w.Code, w.Body)
			}
		}
	})
	t.Run("rule 125: the same sub and sid at another provider", func(t *testing.T) {
		t.Parallel()
		g := start(t)
		g.ended(g.two.LogoutToken("app", ada, nil))
		if got := g.whoAmI(); got != "I am ada" {
			t.Errorf("got %q", got)
		}
		g.ended(g.provider.LogoutToken("app", ada, nil))
		if got := g.whoAmI(); got != "" {
			t.Errorf("got %q", got)
		}
	})
}

// One of many tenants speaks for itself.
func TestBackChannelLogoutOfTenants(t *testing.T) {
	t.Parallel()
	of := func(iss, tid string) func(_, claims map[string]any) {
		return func(_, claims map[string]any) { claims["iss"], claims["tid"] = iss, tid }
	}
	for name, test := range map[string]struct {
		edit   func(header, claims map[string]any)
		status int
		left   string
	}{
		"rules 121, 125: its own":                  {of(tenantIssuer(tenantA), tenantA), 200, ""},
		"rules 121, 125: another's":                {of(tenantIssuer(tenantB), tenantB), 200, "I am ada"},
		"rule 121: a tenant that is not allowed":   {of(tenantIssuer(strangers), strangers), 400, "I am ada"},
		"rule 121: another's tid":                  {of(tenantIssuer(tenantA), strangers), 400, "I am ada"},
		"rule 121: no tid":                         {func(_, c map[string]any) { c["iss"] = tenantIssuer(tenantA) }, 400, "I am ada"},
		"rule 121: the template":                   {of(template, "{tenantid}"), 400, "I am ada"},
		"rule 121: iss of organizations, as it is": {func(_, _ map[string]any) {}, 400, "I am ada"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := new(ledger)
			g := newTenantRig(t, func(c *core.Config) { c.Logout.Revocations = l })
			g.login()
			l.counts()
			w := g.backChannel(g.provider.LogoutToken("app", logintest.User{Subject: "ada"}, test.edit), nil)
			if _, writes := l.counts(); w.Code != test.status || (writes == 0) != (test.status != 200) {
				t.Errorf("got %d with %d writes: %s", w.Code, writes, w.Body)
			}
			if got := g.whoAmI(); got != test.left {
				t.Errorf("got %q, want %q", got, test.left)
			}
		})
	}
}

// Anybody can post tokens that name unknown keys. The keys are fetched no more
// often than for any other token, and nothing is written down.
func TestAFloodOfLogoutTokens(t *testing.T) {
	t.Parallel()
	bubble(t, func(t *testing.T) {
		g, l := newLogoutRig(t)
		g.login()
		l.counts()
		before, start := g.provider.Count(logintest.JWKS), time.Now()
		var flood sync.WaitGroup
		for range 20 {
			flood.Go(func() {
				for range 20 {
					token := g.provider.LogoutToken("app", g.provider.User, func(header, _ map[string]any) {
						header["alg"], header["kid"] = "ES256", rand.Text()
					})
					if w := g.backChannel(token, nil); w.Code != http.StatusBadRequest {
						t.Errorf("got %d: %s", w.Code, w.Body)
					}
				}
			})
		}
		flood.Wait()
		seconds := int(time.Since(start) / time.Second)
		if got := g.provider.Count(logintest.JWKS) - before; got > seconds+6 || got < 2 {
			t.Errorf("%d fetches of the keys in %d seconds", got, seconds)
		}
		if reads, writes := l.counts(); reads+writes != 0 {
			t.Errorf("%d reads and %d writes", reads, writes)
		}
		g.ended(g.provider.LogoutToken("app", g.provider.User, nil)) // a genuine one gets through
		for _, junk := range []string{"", ".", "a.b.c", "e30.e30.e30", strings.Repeat("a", 60000)} {
			before := len(g.provider.Requests())
			if w := g.backChannel(junk, nil); w.Code != http.StatusBadRequest || len(g.provider.Requests()) != before {
				t.Errorf("%.20q gets %d, and %d requests reach the provider", junk, w.Code, len(g.provider.Requests())-before)
			}
		}
	})
}

// Without Revocations nothing is promised: no route, and no 200.
func TestProviderLogoutNeedsRevocations(t *testing.T) {
	t.Parallel()
	g := newRig(t)
	g.login()
	for _, route := range g.auth.Routes() {
		if strings.Contains(route.Path, "channel") {
			t.Errorf("%s %s is listed", route.Method, route.Path)
		}
	}
	for method, handle := range map[string]core.HandlerFunc{"POST": g.auth.BackChannelLogout, "GET": g.auth.FrontChannelLogout} {
		w := httptest.NewRecorder()
		failure := new(core.Error)
		if err := handle(w, httptest.NewRequest(method, "/x", nil)); !errors.As(err, &failure) || failure.Status != 500 ||
			!strings.Contains(err.Error(), "Revocations") || w.Body.Len() != 0 {
			t.Errorf("%s: got %v, %s", method, err, w.Body)
		}
	}
}
