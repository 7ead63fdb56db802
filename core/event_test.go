package core_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// An audience keeps what OnEvent was told.
type audience struct {
	mu     sync.Mutex
	events []core.Event
}

func (a *audience) listen(c *core.Config) {
	c.OnEvent = func(ctx context.Context, e core.Event) {
		if ctx.Err() != nil {
			e.Kind = "with a canceled context"
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.events = append(a.events, e)
	}
}

// heard returns the events since the last call, one a line. Durations are rounded. A
// reference is R if the log has it with the same code.
func (a *audience) heard(log string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var lines []string
	for _, e := range a.events {
		e.Duration = e.Duration.Round(took)
		if e.Reference != "" && strings.Contains(log, `"code":"`+e.Code+`","reference":"`+e.Reference+`"`) {
			e.Reference = "R"
		}
		lines = append(lines, strings.NewReplacer(
			"[kind=", "", "]", "", " provider=id.example.test issuer="+issuer+" subject=", " ", " provider=id.example.test", "",
		).Replace(e.LogValue().String()))
	}
	a.events = nil
	return strings.Join(lines, "\n")
}

// An eventRig is an application whose provider takes its time for each token request.
type eventRig struct {
	*rig
	audience
}

func (e *eventRig) slow(faults logintest.Faults) {
	intercept := faults.Intercept
	faults.Intercept = func(at logintest.Endpoint, w http.ResponseWriter, r *http.Request) bool {
		if at == logintest.Token {
			e.advance(took)
		}
		return intercept != nil && intercept(at, w, r)
	}
	e.provider.Misbehave(faults)
}

func (e *eventRig) isTold(want ...string) {
	e.t.Helper()
	if got := e.heard(e.log.String()); got != strings.Join(want, "\n") {
		e.t.Errorf("told:\n%s\nwant:\n%s", got, strings.Join(want, "\n"))
	}
}

// took is how long a token request takes.
const took = 20 * time.Second

const loggedIn = "login ada duration=20s"

// Each event is told once, with everything that is known and nothing else.
func TestEvents(t *testing.T) {
	t.Parallel()
	refusing := func(err error) func(*core.Config) {
		return func(c *core.Config) { c.OnLogin = func(context.Context, *core.Login) error { return err } }
	}
	revocable := func(c *core.Config) { c.Logout.Revocations = new(core.MemoryRevocations) }
	for _, row := range []struct {
		name   string
		change func(*core.Config)
		faults logintest.Faults
		story  func(e *eventRig)
		want   []string
	}{
		{name: "a login, and guarded requests", want: []string{loggedIn}, story: func(e *eventRig) {
			e.login()
			e.whoAmI()
		}},
		{name: "nothing: anonymous requests, prefetches, scripts, wrong methods", story: func(e *eventRig) {
			e.whoAmI()
			e.fetch("GET", origin+"/auth/login")
			e.fetch("POST", origin+"/auth/logout")
			e.fetch("PUT", origin+"/auth/login")
			callback := e.toCallback()
			for _, u := range []string{origin + "/me", origin + "/auth/login", callback.String()} {
				r := httptest.NewRequest("GET", u, nil)
				r.Header.Set("Sec-Purpose", "prefetch")
				if _, err := e.browser.Do(r); err != nil {
					e.t.Fatal(err)
				}
			}
			r := httptest.NewRequest("POST", origin+"/auth/login", strings.NewReader("return_to=%zz"))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if page, err := e.browser.Do(r); err != nil || page.Status != 400 {
				e.t.Errorf("got %v %v", page, err)
			}
		}},
		{name: "three callbacks at once", want: []string{loggedIn}, story: func(e *eventRig) {
			callback := e.toCallback().String()
			again := e.again(callback)
			var tabs sync.WaitGroup
			for range 3 {
				tabs.Go(func() { again(e.auth) })
			}
			tabs.Wait()
			again(e.auth)
		}},
		{name: "three callbacks at once that OnLogin refuses", change: refusing(errors.New("no")),
			want: []string{"login_failed ada code=login_refused reference=R duration=20s"}, story: func(e *eventRig) {
				callback := e.toCallback().String()
				again := e.again(callback)
				var tabs sync.WaitGroup
				for range 3 {
					tabs.Go(func() { again(e.auth) })
				}
				tabs.Wait()
			}},
		{name: "two logins", want: []string{loggedIn, "login grace duration=20s"}, story: func(e *eventRig) {
			e.login()
			e.provider.User = logintest.User{Subject: "grace"}
			e.get(e.toCallback().String())
		}},
		{name: "OnLogin chooses a code", change: refusing(&core.Error{Code: "no_account"}),
			want: []string{"login_failed ada code=no_account reference=R duration=20s"}, story: func(e *eventRig) { e.get(e.toCallback().String()) }},
		{name: "the database of OnLogin is down", change: refusing(core.ErrUnavailable),
			want: []string{"login_failed ada code=login_unavailable reference=R duration=20s"}, story: func(e *eventRig) { e.get(e.toCallback().String()) }},
		{name: "the session is too large", faults: logintest.Faults{IDToken: func(_, claims map[string]any) { claims["x"] = incompressible(32 << 10) }},
			want: []string{"login_failed ada code=session_too_large reference=R duration=20s"}, story: func(e *eventRig) { e.get(e.toCallback().String()) }},
		{name: "an ID token that fails a check names nobody", faults: logintest.Faults{SignedIDToken: func(token string) string { return token[:len(token)-8] + "AAAAAAAA" }},
			want: []string{"login_failed code=id_token_untrusted reference=R duration=20s"}, story: func(e *eventRig) { e.get(e.toCallback().String()) }},
		{name: "the user cancels, twice", want: []string{"login_failed code=access_denied reference=R"}, story: func(e *eventRig) {
			u := e.toCallback()
			query := u.Query()
			query.Del("code")
			query.Set("error", "access_denied")
			u.RawQuery = query.Encode()
			again := e.again(u.String())
			again(e.auth)
			again(e.auth)
		}},
		{name: "the provider has no user for prompt=none: that is no failure", story: func(e *eventRig) {
			w := httptest.NewRecorder()
			if err := e.auth.LoginWith(w, httptest.NewRequest("GET", origin+"/auth/login", nil), core.LoginOptions{AuthParams: url.Values{"prompt": {"none"}}}); err != nil {
				e.t.Fatal(err)
			}
			e.apply(w)
			to, err := url.Parse(w.Header().Get("Location"))
			if err != nil {
				e.t.Fatal(err)
			}
			e.get(origin + "/auth/callback?" + url.Values{"error": {"login_required"}, "iss": {issuer}, "state": to.Query()["state"]}.Encode())
		}},
		{name: "a callback of nobody's", want: []string{"login_failed code=attempt_unknown reference=R"}, story: func(e *eventRig) { e.get(origin + "/auth/callback?state=x&code=y") }},
		{name: "an unknown provider", want: []string{"login_failed code=provider_unknown reference=R"}, story: func(e *eventRig) { e.get(origin + "/auth/login?provider=none") }},
		{name: "the provider is down", want: []string{"login_failed code=provider_unavailable reference=R"},
			faults: logintest.Faults{Intercept: func(_ logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(503)
				return true
			}},
			story: func(e *eventRig) { e.get(origin + "/me") }},
		{name: "the cookie of the login is lost", want: []string{"login_restarted", loggedIn}, story: func(e *eventRig) {
			callback := e.toCallback().String()
			e.browser.Forget(origin, "")
			e.get(callback)
		}},
		{name: "the login took too long", want: []string{"login_restarted", loggedIn}, story: func(e *eventRig) {
			callback := e.toCallback().String()
			e.advance(11 * time.Minute)
			e.get(callback)
		}},
		{name: "the cookies are lost again and again", want: []string{loggedIn, loggedIn, "login_failed code=session_lost reference=R"}, story: func(e *eventRig) {
			e.browser.Serve(origin, withoutSessions(e.app(e.auth)))
			e.get(origin + "/me")
		}},
		{name: "logouts", want: []string{loggedIn, "logout ada by=user", loggedIn, "logout ada by=application"}, story: func(e *eventRig) {
			e.login()
			clicked := e.requestWithCookies("POST", origin+"/auth/logout")
			e.fetch("POST", origin+"/auth/logout")
			e.app(e.auth).ServeHTTP(httptest.NewRecorder(), clicked) // a double click
			e.login()
			if _, err := e.auth.EndSession(httptest.NewRecorder(), e.requestWithCookies("POST", origin+"/auth/logout")); err != nil {
				e.t.Fatal(err)
			}
		}},
		{name: "a logout of another site's is none", want: []string{loggedIn}, story: func(e *eventRig) {
			e.login()
			r := httptest.NewRequest("POST", origin+"/auth/logout", nil)
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			if page, err := e.browser.Do(r); err != nil || page.Status != 403 {
				e.t.Errorf("got %v %v", page, err)
			}
		}},
		{name: "logouts everywhere, and by the provider", change: revocable, want: []string{
			loggedIn, "logout ada by=application", loggedIn, "logout ada by=provider",
			"logout issuer=" + issuer + " by=provider", loggedIn, "logout ada by=provider",
		}, story: func(e *eventRig) {
			e.login()
			e.advance(time.Second)
			if err := e.auth.LogoutEverywhere(e.t.Context(), issuer, "ada"); err != nil {
				e.t.Fatal(err)
			}
			if err := e.auth.LogoutEverywhere(e.t.Context(), "https://other.example.test", "ada"); err == nil {
				e.t.Error("no error")
			}
			e.advance(time.Second)
			e.provider.User = logintest.User{Subject: "ada", SessionID: "first"}
			e.login()
			token := e.provider.LogoutToken("app", logintest.User{Subject: "ada"}, nil)
			e.ended(token)
			e.ended(token)
			e.backChannel(token+"x", nil)
			e.ended(e.provider.LogoutToken("app", logintest.User{SessionID: "second"}, nil))
			e.advance(time.Second)
			e.login()
			e.frontChannel(issuer, "second")
			e.frontChannel(issuer, "first")
			e.frontChannel(issuer, "first")
		}},
		{name: "a refresh for three requests", change: keepTokens, want: []string{loggedIn, "refresh ada duration=20s"}, story: func(e *eventRig) {
			e.login()
			e.advance(2 * time.Hour)
			again := e.again(origin + "/me")
			var requests sync.WaitGroup
			for range 3 {
				requests.Go(func() { again(e.auth) })
			}
			requests.Wait()
		}},
		{name: "a refused refresh for three requests", change: keepTokens, want: []string{
			loggedIn, "refresh_failed ada code=refresh_refused reference=R duration=20s", "session_ended ada code=refresh_refused",
		}, story: func(e *eventRig) {
			e.login()
			e.advance(2 * time.Hour)
			e.slow(logintest.Faults{RefreshError: "invalid_grant"})
			again := e.again(origin + "/me")
			var requests sync.WaitGroup
			for range 3 {
				requests.Go(func() { again(e.auth) })
			}
			requests.Wait()
			again(e.auth)
		}},
		{name: "a refresh of another user's ID token", change: keepTokens, want: []string{
			loggedIn, "refresh_failed ada code=id_token_untrusted reference=R duration=20s", "session_ended ada code=refresh_refused",
		}, story: func(e *eventRig) {
			e.login()
			e.advance(2 * time.Hour)
			e.slow(logintest.Faults{RefreshedIDToken: func(_, claims map[string]any) { claims["sub"] = "mallory" }})
			e.whoAmI()
		}},
		{name: "an outage is one failed refresh, and no end", change: keepTokens, want: []string{
			loggedIn, "refresh_failed ada code=provider_unavailable reference=R duration=20s",
		}, story: func(e *eventRig) {
			e.login()
			e.advance(2 * time.Hour)
			e.slow(logintest.Faults{Intercept: func(_ logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
				w.WriteHeader(503)
				return true
			}})
			e.whoAmI()
			e.whoAmI()
		}},
		{name: "Refreshes are down", change: func(c *core.Config) { keepTokens(c); c.Tokens.Refreshes = refreshesDown{} }, want: []string{
			loggedIn, "refresh_failed ada code=refreshes_unavailable reference=R",
		}, story: func(e *eventRig) {
			e.login()
			e.advance(2 * time.Hour)
			e.whoAmI()
		}},
		{name: "the tokens are lost", change: keepTokens, want: []string{loggedIn, "session_ended ada code=tokens_lost reference=R"}, story: func(e *eventRig) {
			e.login()
			e.advance(2 * time.Hour)
			e.browser.Forget(origin, "__Host-pixy-tokens")
			again := e.again(origin + "/me")
			again(e.auth)
			again(e.auth)
		}},
		{name: "a session that expires is no event", want: []string{loggedIn}, story: func(e *eventRig) {
			e.login()
			e.advance(13 * time.Hour)
			e.whoAmI()
			e.fetch("POST", origin+"/auth/logout")
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			e := new(eventRig)
			e.rig = newRig(t, func(c *core.Config) {
				if row.change != nil {
					row.change(c)
				}
				e.listen(c)
			})
			e.slow(row.faults)
			row.story(e)
			e.isTold(row.want...)
		})
	}
}

// incompressible returns random text.
func incompressible(bytes int) string {
	var text strings.Builder
	for text.Len() < bytes {
		text.WriteString(rand.Text())
	}
	return text.String()
}

type refreshesDown struct{}

func (refreshesDown) Begin(context.Context, string, time.Duration) (string, error) {
	return "", errors.New("down")
}
func (refreshesDown) Finish(context.Context, string, string, time.Duration) error { return nil }

// requestWithCookies is a request of the application's own page.
func (g *rig) requestWithCookies(method, u string) *http.Request {
	r := httptest.NewRequest(method, u, nil)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	for _, c := range g.browser.Cookies(u) {
		r.AddCookie(c)
	}
	return r
}

// withoutSessions is an application behind a proxy that removes its session.
func withoutSessions(app http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		cookies := r.Cookies()
		r.Header.Del("Cookie")
		for _, c := range cookies {
			if !strings.Contains(c.Name, "session") {
				r.AddCookie(c)
			}
		}
		app.ServeHTTP(w, r)
	})
}

// An application with sessions of its own is told the same.
func TestEventsOfOwnSessions(t *testing.T) {
	t.Parallel()
	e := new(eventRig)
	a := newOwnApp(t, e.listen)
	e.rig = a.rig
	e.slow(logintest.Faults{})
	a.provider.User = logintest.User{Subject: "ada", SessionID: "first"}

	a.fails = errors.New("no account")
	callback := a.toCallback().String()
	a.visit(callback)
	a.visit(callback)
	e.isTold("login_failed ada code=login_refused reference=R duration=20s")
	a.fails = nil
	a.get(callback) // reloads
	a.visit(callback)
	e.isTold("login ada")

	a.fails = errors.New("down")
	a.fetch("POST", origin+"/auth/logout")
	e.isTold()
	a.fails = nil
	a.fetch("POST", origin+"/auth/logout")
	a.fetch("POST", origin+"/auth/logout")
	e.isTold("logout ada by=user")
	a.login()
	a.fetch("POST", origin+"/auth/logout/mine")
	e.isTold(loggedIn, "logout ada by=application")

	a.login()
	e.frontChannel(issuer, "second")
	e.frontChannel(issuer, "first")
	a.ended(a.provider.LogoutToken("app", logintest.User{Subject: "ada"}, nil))
	e.isTold(loggedIn, "logout issuer="+issuer+" by=provider", "logout ada by=provider")
}

// A grant's refreshes are told, and its session does not end.
func TestEventsOfGrants(t *testing.T) {
	t.Parallel()
	e := new(eventRig)
	g := newGrantRig(t, e.listen)
	e.rig = g.rig
	e.isTold("login ada")
	e.slow(logintest.Faults{})
	grant := g.expired()
	source := g.auth.GrantSource(t.Context(), grant, g.save)
	for range 2 {
		if _, err := source.Token(); err != nil {
			t.Fatal(err)
		}
	}
	e.isTold("refresh ada duration=20s")
	e.slow(logintest.Faults{RefreshError: "invalid_grant"})
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // the refresh goes on
	grant = g.expired()
	if _, err := g.auth.RefreshGrant(ctx, grant); err == nil {
		t.Fatal("a canceled context gives tokens")
	}
	for range 2 {
		if _, err := g.auth.RefreshGrant(t.Context(), grant); !errors.Is(err, core.ErrRefused) {
			t.Fatal(err)
		}
	}
	e.isTold("refresh_failed ada code=refresh_refused reference=R duration=20s")
	grant.Subject = ""
	if _, err := g.auth.RefreshGrant(t.Context(), grant); err == nil {
		t.Error("no error")
	}
	e.isTold()
}

// A panic in OnEvent breaks nothing: neither a login, nor a goroutine of ours.
func TestOnEventPanics(t *testing.T) {
	t.Parallel()
	g := newTokenRig(t, func(c *core.Config) { c.OnEvent = func(context.Context, core.Event) { panic("no table") } })
	g.login()
	g.advance(2 * time.Hour)
	if token := g.token(); len(token) < 20 || g.provider.Refreshes() != 1 {
		t.Errorf("got %q", token)
	}
	g.visit(origin + "/auth/login?provider=none")
	g.fetch("POST", origin+"/auth/logout")
	if who := g.whoAmI(); who != "" {
		t.Errorf("%q is logged in", who)
	}
	for _, kind := range []string{"login", "refresh", "login_failed", "logout"} {
		if strings.Count(g.log.String(), `"level":"WARN","msg":"pixy: Config.OnEvent panicked","kind":"`+kind+`","error":"panic: no table`) != 1 {
			t.Errorf("%s: the log is %s", kind, g.log.String())
		}
	}
}

// The context of an event has the values of its request.
func TestTheContextOfEvents(t *testing.T) {
	t.Parallel()
	type address struct{}
	var mu sync.Mutex
	var from []any
	g := newTokenRig(t, func(c *core.Config) {
		c.OnEvent = func(ctx context.Context, e core.Event) {
			mu.Lock()
			defer mu.Unlock()
			from = append(from, e.Kind, ctx.Value(address{}))
		}
	})
	app := g.app
	g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(context.WithValue(r.Context(), address{}, "192.0.2.7"))
		defer cancel()
		app.ServeHTTP(w, r.WithContext(ctx))
	}))
	g.login()
	g.advance(2 * time.Hour)
	g.token()
	g.fetch("POST", origin+"/auth/logout")
	if got := fmt.Sprint(from); got != "[login 192.0.2.7 refresh 192.0.2.7 logout 192.0.2.7]" {
		t.Errorf("got %s", got)
	}
}

// No event of a whole story shows a secret, however it is printed.
func TestEventsHaveNoSecrets(t *testing.T) {
	t.Parallel()
	const payload, data = "canary-payload", "canary-data"
	e := new(eventRig)
	var secrets []string
	e.rig = newRig(t, keepTokens, e.listen, func(c *core.Config) {
		c.Logout.Revocations = new(core.MemoryRevocations)
		c.OnLogin = func(_ context.Context, login *core.Login) error {
			secrets = append(secrets, login.Grant.Token.AccessToken, login.Grant.Token.RefreshToken, login.Grant.Nonce)
			login.Data = data
			return nil
		}
	})
	e.provider.User = logintest.User{Subject: "ada", SessionID: "canary-sid"}
	issue := logintest.Faults{
		Token: func(answer map[string]any) {
			secrets = append(secrets, fmt.Sprint(answer["access_token"]), fmt.Sprint(answer["refresh_token"]))
		},
		SignedIDToken: func(token string) string { secrets = append(secrets, token); return token },
	}
	e.provider.Misbehave(issue)
	link := httptest.NewRecorder()
	if err := e.auth.LoginWith(link, httptest.NewRequest("GET", origin+"/auth/login", nil), core.LoginOptions{Payload: payload}); err != nil {
		t.Fatal(err)
	}
	e.apply(link)
	remember := func() {
		for _, c := range e.browser.Cookies(origin + "/auth/logout") {
			secrets = append(secrets, c.Value)
		}
	}
	remember()
	e.get(link.Header().Get("Location"))
	remember()
	e.advance(time.Hour)
	e.whoAmI()
	remember()
	for _, fault := range leakyFaults(issue) {
		e.provider.Misbehave(fault)
		callback := e.toCallback()
		secrets = append(secrets, callback.Query().Get("state"), callback.Query().Get("code"))
		e.get(callback.String())
		e.advance(time.Hour)
		e.whoAmI()
	}
	e.provider.Misbehave(issue)
	e.get(e.toCallback().String())
	remember()
	e.frontChannel(issuer, "canary-sid")
	e.ended(e.provider.LogoutToken("app", logintest.User{SessionID: "canary-sid"}, nil))
	for _, request := range e.provider.Requests() {
		secrets = append(secrets, request.Form.Get("code_verifier"), request.Form.Get("refresh_token"))
	}
	var told strings.Builder
	kinds := make(map[string]bool)
	for _, event := range e.events {
		kinds[event.Kind] = true
		fmt.Fprintf(&told, "%v %+v %#v %s\n", event, event, event, event.LogValue())
	}
	if len(secrets) < 40 || len(kinds) < 5 {
		t.Fatalf("%d secrets, and %v", len(secrets), kinds)
	}
	for _, secret := range append(secrets, payload, data, "canary-sid", "canary-client-secret") {
		if secret != "" && strings.Contains(told.String(), secret) {
			t.Errorf("told %.20q", secret)
		}
	}
}
