package core_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// logoutSuite is a rig whose provider is like that of the suite's logout
// profiles. It keeps the ID token that it has issued last, and what the
// application answers to logout tokens.
type logoutSuite struct {
	*rig
	idToken string
	answers []*httptest.ResponseRecorder
}

func newLogoutSuite(t *testing.T, client logintest.Client) *logoutSuite {
	t.Helper()
	g := &logoutSuite{rig: &rig{t: t, browser: logintest.NewBrowser()}}
	client.ID, client.Secret = "app", "canary-client-secret"
	client.RedirectURIs, client.PostLogoutRedirectURIs = []string{callbackURL}, []string{origin + "/"}
	g.provider = logintest.NewProvider(suiteIssuer, client)
	g.provider.Now = g.now
	g.provider.User = logintest.User{Subject: "ada", SessionID: "first"}
	g.browser.Serve("https://suite.example.test", g.provider)
	g.auth = g.newAuth(func(c *core.Config) {
		c.Providers[0].Issuer, c.Logout.Revocations = suiteIssuer, new(core.MemoryRevocations)
		c.Providers[0].Checks.SigningAlg = "RS256" // the suite announces ES256 as well
		c.Logger = slog.New(slog.NewTextHandler(&g.log, nil))
	})
	app := g.app(g.auth)
	g.browser.Serve(origin, app)
	g.provider.Outbound = logintest.InMemory(map[string]http.Handler{origin: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		app.ServeHTTP(answer, r)
		g.answers = append(g.answers, answer)
	})})
	g.misbehave(nil)
	return g
}

// misbehave has the authorization response carry what must be ignored, and
// intercept the end of the provider's session.
func (g *logoutSuite) misbehave(endSession func(w http.ResponseWriter, to *url.URL)) {
	g.provider.Misbehave(logintest.Faults{
		Discovery: func(m map[string]any) {
			m["id_token_signing_alg_values_supported"] = []string{"none", "RS256", "ES256"}
		},
		JWKS:          addSuiteKeys,
		Authorization: func(query url.Values) { query.Set("session_state", "x.y") },
		SignedIDToken: func(token string) string { g.idToken = token; return token },
		Intercept: func(e logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
			if e != logintest.EndSession || endSession == nil {
				return false
			}
			to, err := url.Parse(r.Form.Get("post_logout_redirect_uri"))
			if err != nil {
				g.t.Error(err)
				return false
			}
			if r.Form.Has("state") {
				to.RawQuery = url.Values{"state": {r.Form.Get("state")}}.Encode()
			}
			endSession(w, to)
			w.Header().Set("Location", to.String())
			w.WriteHeader(http.StatusSeeOther)
			return true
		},
	})
}

// logOut logs in, and out by the application's own button. The suite demands a
// hint and a registered address of the request.
func (g *logoutSuite) logOut() *logintest.Page {
	g.t.Helper()
	g.login()
	page, err := g.browser.Post(origin+"/auth/logout", nil)
	if err != nil {
		g.t.Fatal(err)
	}
	requests := g.provider.Requests()
	at := indexOf(requests, logintest.EndSession)
	if at < 0 {
		g.t.Fatal("the provider's end-session endpoint was not asked")
	}
	if asked := requests[at].Query; asked.Get("id_token_hint") != g.idToken || asked.Get("post_logout_redirect_uri") != origin+"/" || asked.Has("state") {
		g.t.Errorf("asked with %v", asked)
	}
	if got := g.whoAmI(); got != "" || page.Status != http.StatusOK || !strings.HasPrefix(page.URL, origin+"/") {
		g.t.Errorf("ends with %d at %s, and %q is logged in", page.Status, page.URL, got)
	}
	return page
}

// The modules of the logout profiles. What comes from the provider finds the
// session there, unlike in the suite: nothing wrong may end it. The suite skips the
// modules of other states, because the request has none.
func TestLogoutModules(t *testing.T) {
	t.Parallel()
	backChannel := logintest.Client{BackChannelLogoutURI: origin + "/auth/backchannel-logout"}
	frontChannel := logintest.Client{FrontChannelLogoutURI: origin + "/auth/frontchannel-logout"}
	for name, endSession := range map[string]func(http.ResponseWriter, *url.URL){
		"oidcc-client-test-rp-init-logout": nil,
		"oidcc-client-test-rp-init-logout-other-state": func(_ http.ResponseWriter, to *url.URL) {
			to.RawQuery = "state=other"
		},
		"oidcc-client-test-rp-init-logout-no-state": func(_ http.ResponseWriter, to *url.URL) { to.RawQuery = "" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newLogoutSuite(t, backChannel)
			g.misbehave(endSession)
			g.logOut()
		})
	}

	t.Run("oidcc-client-test-rp-backchannel-rpinitlogout", func(t *testing.T) {
		t.Parallel()
		g := newLogoutSuite(t, backChannel)
		g.logOut()
		if len(g.answers) != 1 || g.answers[0].Code != 200 || g.answers[0].Header().Get("Cache-Control") != "no-store" || g.answers[0].Body.Len() != 0 {
			t.Errorf("the logout token gets %v", g.answers)
		}
		g.advance(time.Second)
		g.login()
		token := g.provider.LogoutToken("app", g.provider.User, func(header, claims map[string]any) { // as the suite's
			header["typ"] = "JWT"
			claims["unknown"] = "x"
		})
		w := g.backChannel(token, func(r *http.Request) {
			body := url.Values{"logout_token": {token}, "unknown": {"x"}}.Encode()
			*r = *httptest.NewRequest("POST", r.URL.String(), strings.NewReader(body))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		})
		if w.Code != 200 || g.whoAmI() != "" {
			t.Errorf("got %d: %s", w.Code, w.Body)
		}
	})
	invalid := func(claim string) func(_, claims map[string]any) {
		return func(_, claims map[string]any) { claims[claim] = claims[claim].(string) + "INVALID" }
	}
	for name, edit := range map[string]func(header, claims map[string]any){
		"oidcc-client-test-rp-backchannel-rpinitlogout-alg-none":   func(header, _ map[string]any) { header["alg"] = "none" },
		"oidcc-client-test-rp-backchannel-rpinitlogout-no-event":   func(_, claims map[string]any) { delete(claims, "events") },
		"oidcc-client-test-rp-backchannel-rpinitlogout-with-nonce": func(_, claims map[string]any) { claims["nonce"] = "n" },
		"oidcc-client-test-rp-backchannel-rpinitlogout-wrong-alg":  func(header, _ map[string]any) { header["alg"] = "ES256" },
		"oidcc-client-test-rp-backchannel-rpinitlogout-wrong-aud":  invalid("aud"),
		"oidcc-client-test-rp-backchannel-rpinitlogout-wrong-event": func(_, claims map[string]any) {
			claims["events"] = map[string]any{"http://schemas.openid.net/event/foo": map[string]any{}}
		},
		"oidcc-client-test-rp-backchannel-rpinitlogout-wrong-iss": invalid("iss"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newLogoutSuite(t, backChannel)
			g.login()
			if w := g.backChannel(g.provider.LogoutToken("app", g.provider.User, edit), nil); w.Code != http.StatusBadRequest || g.whoAmI() != "I am ada" {
				t.Errorf("got %d, and %q is logged in: %s", w.Code, g.whoAmI(), w.Body)
			}
		})
	}

	// The frame must load. A person of the Foundation's looks whether the user is
	// logged out, which the application's own logout has seen to.
	t.Run("oidcc-client-test-rp-frontchannel-rpinitlogout", func(t *testing.T) {
		t.Parallel()
		g := newLogoutSuite(t, frontChannel)
		page := g.logOut()
		var frames []logintest.Hop
		for _, hop := range page.Hops {
			opened, err := g.browser.Frames(hop)
			if err != nil {
				t.Fatal(err)
			}
			frames = append(frames, opened...)
		}
		if len(frames) != 1 || frames[0].Status != 200 || !strings.Contains(frames[0].URL, "sid=first") ||
			frames[0].Header.Get("Content-Security-Policy") != frontChannelPolicy+"https://suite.example.test" {
			t.Errorf("got %v", frames)
		}
	})
}
