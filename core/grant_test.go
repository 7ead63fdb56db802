package core_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A grant that was stored as JSON is refreshed again and again, by processes that are
// started again, with and without new refresh tokens.
func TestRefreshGrant(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change  func(*core.Config)
		faults  logintest.Faults
		keeps   bool // the refresh token
		repeats bool // the ID token of a refresh has the nonce
	}{
		"a new refresh token":        {},
		"the same refresh token":     {faults: logintest.Faults{NoRotation: true}, keeps: true},
		"no ID token":                {faults: logintest.Faults{Refresh: func(m map[string]any) { delete(m, "id_token") }}},
		"an ID token with the nonce": {repeats: true},
		"no OpenID Connect":          {change: plainOAuth2},
		"with Tokens.Keep":           {change: func(c *core.Config) { c.Tokens.Keep = true }},
		"with a Store":               {change: func(c *core.Config) { c.Sessions.Store = newMemoryStore() }},
		"a provider with a name":     {change: func(c *core.Config) { c.Providers[0].Name, c.Providers[0].RedirectURL = "Work", callbackURL }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			change := func(c *core.Config) {
				if test.change != nil {
					test.change(c)
				}
			}
			g := newGrantRig(t, change)
			if nonce := g.grant().Nonce; test.repeats && nonce != "" {
				test.faults.RefreshedIDToken = func(_, claims map[string]any) { claims["nonce"] = nonce }
			}
			g.provider.Misbehave(test.faults)
			for range 3 {
				held := g.expired()
				fresh, err := g.another(change).RefreshGrant(t.Context(), held)
				if err != nil {
					t.Fatal(err)
				}
				if fresh.Token.AccessToken == held.Token.AccessToken || (fresh.Token.RefreshToken == held.Token.RefreshToken) != test.keeps {
					t.Errorf("new access token: %v, same refresh token: %v", fresh.Token.AccessToken != held.Token.AccessToken, fresh.Token.RefreshToken == held.Token.RefreshToken)
				}
				if lives := fresh.Token.Expiry.Sub(g.now()); lives < 59*time.Minute || lives > time.Hour {
					t.Errorf("it lives for %s", lives)
				}
				if ahead := fresh.Token.Expiry.Sub(fresh.RefreshDue); ahead != time.Minute {
					t.Errorf("it is refreshed %s early", ahead)
				}
				if fresh.Provider != held.Provider || fresh.Issuer != held.Issuer || fresh.Subject != "ada" || fresh.Nonce != held.Nonce {
					t.Errorf("got %v, want %v", fresh, held)
				}
				g.works(fresh.Token.AccessToken)
				if err := g.save(t.Context(), fresh); err != nil {
					t.Fatal(err)
				}
			}
			g.counts(3)
			if g.log.String() != "" {
				t.Errorf("logged %s", g.log.String())
			}
		})
	}
}

// A grant that is not of this application is not sent anywhere.
func TestGrantsThatCannotBeRefreshed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*core.Grant)
		kind   error
		code   string
		status int
		says   string
	}{
		"a provider that is not configured": {func(g *core.Grant) { g.Provider = "Former" }, nil, "internal_error", 500, `Provider "Former" is not configured`},
		"no provider":                       {func(g *core.Grant) { g.Provider = "" }, nil, "internal_error", 500, `Provider "" is not configured`},
		"another provider's name":           {func(g *core.Grant) { g.Provider = "Other" }, nil, "internal_error", 500, `Issuer "https://id.example.test" is not that of Provider "Other"`},
		"another issuer":                    {func(g *core.Grant) { g.Issuer += "/" }, nil, "internal_error", 500, `Issuer "https://id.example.test/" is not that of Provider "Work"`},
		"no issuer":                         {func(g *core.Grant) { g.Issuer = "" }, nil, "internal_error", 500, `Issuer "" is not that of Provider "Work"`},
		"no subject":                        {func(g *core.Grant) { g.Subject = "" }, nil, "internal_error", 500, "Subject is empty"},
		"no refresh token":                  {func(g *core.Grant) { g.Token.RefreshToken = "" }, core.ErrNoToken, "token_missing", 401, "no refresh token"},
		"no grant":                          {func(g *core.Grant) { *g = core.Grant{} }, nil, "internal_error", 500, "not configured"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGrantRig(t)
			auth := g.another(func(c *core.Config) {
				c.Providers[0].Name = "Work"
				c.Providers = append(c.Providers, core.Provider{Name: "Other", Issuer: "https://other.example.test", ClientID: "app"})
			})
			grant := g.expired()
			grant.Provider = "Work"
			test.change(&grant)
			sent := len(g.provider.Requests())
			got, err := auth.RefreshGrant(t.Context(), grant)
			fails(t, err, test.kind, test.code, test.status)
			mentions(t, err.Error(), test.says)
			if got != grant {
				t.Errorf("got another grant: %v", got)
			}
			if requests := g.provider.Requests()[sent:]; len(requests) != 0 {
				t.Errorf("sent %v", requests)
			}
			g.loggedOnce(err)
			// The same from the source, which saves nothing.
			_, err = auth.GrantSource(t.Context(), grant, g.save).Token()
			fails(t, err, test.kind, test.code, test.status)
			if g.saves() != 1 || len(g.provider.Requests()) != sent {
				t.Errorf("%d saves, %d requests", g.saves(), len(g.provider.Requests())-sent)
			}
		})
	}
}

// loggedOnce checks that the log has one line, and the error its reference, if it has one.
func (g *grantRig) loggedOnce(err error) {
	g.t.Helper()
	failure := new(core.Error)
	if !errors.As(err, &failure) || strings.Count(g.log.String(), "\n") != 1 || !strings.Contains(g.log.String(), `"reference":"`+failure.Reference) {
		g.t.Errorf("%v is logged as %s", err, g.log.String())
	}
	g.log.reset()
}

// A refusal is told from an outage: after a refusal the user must log in again.
func TestRefreshGrantTellsARefusalFromAnOutage(t *testing.T) {
	t.Parallel()
	body := func(status int, body string) logintest.Faults {
		return answering(func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		})
	}
	claim := func(name string, value any) logintest.Faults {
		return logintest.Faults{RefreshedIDToken: func(_, claims map[string]any) { claims[name] = value }}
	}
	for name, test := range map[string]struct {
		faults logintest.Faults
		code   string // of an outage; empty: a refusal
		status int
		log    string
	}{
		"invalid_grant":         {faults: logintest.Faults{RefreshError: "invalid_grant"}, log: "invalid_grant"},
		"another user":          {faults: claim("sub", "eve"), log: "sub is not"},
		"another issuer":        {faults: claim("iss", "https://other.example.test"), log: "iss is"},
		"another client":        {faults: claim("aud", "other"), log: "aud"},
		"another nonce":         {faults: claim("nonce", "other"), log: "nonce is not"},
		"an earlier auth_time":  {faults: claim("auth_time", 1), log: "auth_time is"},
		"a forged ID token":     {faults: logintest.Faults{RefreshedIDToken: func(header, _ map[string]any) { header["alg"] = "none" }}, log: "id_token_untrusted"},
		"503":                   {faults: body(503, ""), code: "provider_unavailable", status: 503, log: "503"},
		"invalid_client":        {faults: body(401, `{"error":"invalid_client"}`), code: "client_refused", status: 502, log: "invalid_client"},
		"unauthorized_client":   {faults: body(400, `{"error":"unauthorized_client"}`), code: "client_refused", status: 502, log: "unauthorized_client"},
		"invalid_scope":         {faults: body(400, `{"error":"invalid_scope"}`), code: "token_request_refused", status: 502, log: "invalid_scope"},
		"a page":                {faults: body(200, "<html>"), code: "token_response_untrusted", status: 502, log: "token endpoint"},
		"no bearer token":       {faults: body(200, `{"access_token":"x","token_type":"mac"}`), code: "token_response_untrusted", status: 502, log: "token_type"},
		"a connection that was": {faults: answering(func(http.ResponseWriter) { panic(http.ErrAbortHandler) }), code: "provider_unavailable", status: 503, log: "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGrantRig(t)
			g.provider.Misbehave(test.faults)
			grant := g.expired()
			sent := g.provider.Count(logintest.Token)
			refused := test.code == ""
			got, err := g.auth.RefreshGrant(t.Context(), grant)
			if refused {
				fails(t, err, core.ErrRefused, "refresh_refused", 403)
			} else {
				fails(t, err, core.ErrUnavailable, test.code, test.status)
			}
			if got != grant {
				t.Error("got another grant")
			}
			mentions(t, g.log.String(), test.log)
			g.loggedOnce(err)
			// It is not sent again at once, and has the same meaning.
			_, again := g.auth.RefreshGrant(t.Context(), grant)
			if refused {
				fails(t, again, core.ErrRefused, "refresh_refused", 403)
				if g.log.String() != "" {
					t.Errorf("logged again: %s", g.log.String())
				}
			} else {
				fails(t, again, core.ErrUnavailable, "provider_unavailable", 503)
				mentions(t, again.Error(), "pause until")
				g.loggedOnce(again)
			}
			if got := g.provider.Count(logintest.Token) - sent; got != 1 {
				t.Errorf("sent %d times", got)
			}
			// When the outage is over, the same grant is refreshed.
			g.provider.Misbehave(logintest.Faults{})
			g.advance(11 * time.Second)
			if _, err := g.auth.RefreshGrant(t.Context(), grant); (err == nil) == refused {
				t.Errorf("later: %v", err)
			}
		})
	}
}

// While the provider is down, it is not asked for each of many grants.
func TestGrantsPauseWithAllRefreshes(t *testing.T) {
	t.Parallel()
	g := newGrantRig(t)
	grants := []core.Grant{g.grant()}
	for _, subject := range []string{"grace", "joan"} {
		g.provider.User = logintest.User{Subject: subject}
		g.get(origin + "/auth/login?return_to=/me")
		grants = append(grants, g.grant())
	}
	g.advance(2 * time.Hour)
	g.provider.Misbehave(answering(status(503)))
	sent := g.provider.Count(logintest.Token)
	for i, grant := range grants {
		_, err := g.auth.RefreshGrant(t.Context(), grant)
		fails(t, err, core.ErrUnavailable, "provider_unavailable", 503)
		if want := min(i+1, 2); g.provider.Count(logintest.Token)-sent != want {
			t.Errorf("grant %d: %d requests, want %d", i, g.provider.Count(logintest.Token)-sent, want)
		}
	}
}

// However many jobs in however many processes refresh one grant, and whether they come
// late: one request is sent, and all get the same tokens.
func TestJobsRefreshAGrantOnce(t *testing.T) {
	t.Parallel()
	for _, processes := range []int{1, 2} {
		t.Run(fmt.Sprint(processes), func(t *testing.T) {
			t.Parallel()
			shared := &sharedRefreshes{outcomes: make(map[string]string), claimed: make(map[string]chan struct{})}
			change := func(c *core.Config) {
				if processes > 1 {
					c.Tokens.Refreshes = shared
				}
			}
			g := newGrantRig(t, change)
			auths := []*core.Authenticator{g.auth, g.another(change)}[:processes]
			held := g.expired()
			const jobs = 50
			got := make([]string, jobs)
			var all sync.WaitGroup
			for i := range jobs {
				all.Go(func() {
					auth := auths[i%processes]
					if i%3 == 0 {
						if token, err := auth.GrantSource(t.Context(), held, g.save).Token(); err == nil {
							got[i] = token.AccessToken
						}
						return
					}
					fresh, err := auth.RefreshGrant(t.Context(), held)
					if err == nil {
						got[i] = fresh.Token.AccessToken
					}
				})
			}
			all.Wait()
			late, err := auths[processes-1].RefreshGrant(t.Context(), held)
			for i, token := range append(got, late.Token.AccessToken) {
				if token == "" || token != got[0] {
					t.Fatalf("job %d: got %q, want %q; %v", i, token, got[0], err)
				}
			}
			g.counts(1)
			// It goes on from what any of them got.
			if !same(g.grant(), late) {
				t.Error("another grant was saved")
			}
			g.advance(2 * time.Hour)
			if _, err := auths[0].RefreshGrant(t.Context(), late); err != nil {
				t.Error(err)
			}
			g.counts(2)
		})
	}
}

// A late job does not get tokens that were refreshed already. It would save them in place
// of the newer ones.
func TestALateJobGetsTheNewestTokens(t *testing.T) {
	t.Parallel()
	g := newGrantRig(t)
	g.provider.AccessTokenLifetime = 5 * time.Minute
	first := g.expired()
	second, err := g.auth.RefreshGrant(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	g.advance(4*time.Minute + time.Second) // it is due, and has not expired
	third, err := g.auth.RefreshGrant(t.Context(), second)
	if err != nil {
		t.Fatal(err)
	}
	late, err := g.auth.RefreshGrant(t.Context(), first)
	if err != nil || !same(late, third) {
		t.Errorf("got the tokens of %v, want those of %v; %v", late, third, err)
	}
	g.counts(2)
}

// If the tokens for a late job cannot be refreshed again, it gets them nevertheless: its
// own refresh token has been used.
func TestALateJobGetsTokensDuringAnOutage(t *testing.T) {
	t.Parallel()
	for name, lived := range map[string]time.Duration{"due": 3*time.Minute + 10*time.Second, "expired": 4*time.Minute + 10*time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGrantRig(t)
			g.provider.AccessTokenLifetime = 4 * time.Minute
			first := g.expired()
			second, err := g.auth.RefreshGrant(t.Context(), first)
			if err != nil {
				t.Fatal(err)
			}
			g.advance(lived)
			g.provider.Misbehave(answering(status(503)))
			if late, err := g.auth.RefreshGrant(t.Context(), first); err != nil || !same(late, second) {
				t.Errorf("got %v, %v", late, err)
			}
			token, err := g.auth.GrantSource(t.Context(), first, g.save).Token()
			if name == "due" && (err != nil || token.AccessToken != second.Token.AccessToken) {
				t.Errorf("the source: got %v", err)
			}
			if name == "expired" {
				fails(t, err, core.ErrUnavailable, "provider_unavailable", 503)
			}
			if g.saves() != 2 || !same(g.grant(), second) {
				t.Errorf("%d saves", g.saves()-1)
			}
		})
	}
}

// A grant of another user with the same tokens gets nothing of theirs.
func TestAGrantWithAnotherUsersTokensIsRefused(t *testing.T) {
	t.Parallel()
	g := newGrantRig(t)
	grant := g.expired()
	if _, err := g.auth.RefreshGrant(t.Context(), grant); err != nil {
		t.Fatal(err)
	}
	grant.Subject = "eve"
	_, err := g.auth.RefreshGrant(t.Context(), grant)
	fails(t, err, core.ErrRefused, "refresh_refused", 403)
}

// Who stops waiting loses nothing: the refresh goes on, and the next call gets its outcome.
func TestARefreshOutlivesItsJob(t *testing.T) {
	t.Parallel()
	g := newGrantRig(t)
	held := g.expired()
	asked, goOn := g.stall()
	ctx, cancel := context.WithCancel(t.Context())
	left := make(chan error)
	go func() {
		_, err := g.auth.RefreshGrant(ctx, held)
		left <- err
	}()
	<-asked
	cancel()
	err := <-left
	fails(t, err, core.ErrUnavailable, "provider_unavailable", 503)
	if !errors.Is(err, context.Canceled) || !strings.Contains(g.log.String(), `"level":"INFO"`) {
		t.Errorf("got %v, logged %s", err, g.log.String())
	}
	g.loggedOnce(err)
	close(goOn)
	fresh, err := g.auth.RefreshGrant(t.Context(), held)
	if err != nil || fresh.Token.AccessToken == held.Token.AccessToken {
		t.Errorf("got %v", err)
	}
	g.counts(1)
}

// stall makes the next token request wait.
func (g *grantRig) stall() (asked, goOn chan struct{}) {
	asked, goOn = make(chan struct{}), make(chan struct{})
	g.provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, _ http.ResponseWriter, _ *http.Request) bool {
		if e == logintest.Token {
			close(asked)
			<-goOn
		}
		return false
	}})
	return asked, goOn
}

// A provider that is slow is waited for, also while the old token could be used.
func TestRefreshGrantWaitsForASlowProvider(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGrantRig(t)
		held := g.grant()
		g.provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, _ http.ResponseWriter, _ *http.Request) bool {
			if e == logintest.Token {
				time.Sleep(8 * time.Second)
			}
			return false
		}})
		if fresh, err := g.auth.RefreshGrant(t.Context(), held); err != nil || fresh.Token.AccessToken == held.Token.AccessToken {
			t.Errorf("got %v", err)
		}
	})
}

// A session with the same tokens takes part.
func TestASessionSharesTheRefreshOfItsGrant(t *testing.T) {
	t.Parallel()
	everyVault(t, func(t *testing.T, vault func(*core.Config)) {
		var grant core.Grant
		g := newTokenRig(t, vault, func(c *core.Config) {
			c.OnLogin = func(_ context.Context, login *core.Login) error { grant = login.Grant; return nil }
		})
		g.login()
		g.advance(2 * time.Hour)
		fresh, err := g.auth.RefreshGrant(t.Context(), grant)
		if token := g.token(); err != nil || token != fresh.Token.AccessToken {
			t.Errorf("after the job, the session has %q; %v", token, err)
		}
		g.advance(2 * time.Hour)
		token := g.token()
		if fresh, err = g.auth.RefreshGrant(t.Context(), fresh); err != nil || token != fresh.Token.AccessToken {
			t.Errorf("after the session, the job has other tokens; %v", err)
		}
		if g.provider.Refreshes() != 2 || g.provider.Reused() != 0 {
			t.Errorf("%d refreshes, %d tokens used again", g.provider.Refreshes(), g.provider.Reused())
		}
	})
}

// What replicas share says nothing to who reads it.
func TestOutcomesOfGrantsAreSealed(t *testing.T) {
	t.Parallel()
	shared := &sharedRefreshes{outcomes: make(map[string]string), claimed: make(map[string]chan struct{})}
	g := newGrantRig(t, func(c *core.Config) { c.Tokens.Refreshes = shared })
	fresh, err := g.auth.RefreshGrant(t.Context(), g.expired())
	if err != nil || len(shared.outcomes) != 1 {
		t.Fatal(err, len(shared.outcomes))
	}
	for key, outcome := range shared.outcomes {
		if len(key) != 43 || strings.Contains(outcome, fresh.Token.AccessToken) || strings.Contains(outcome, fresh.Token.RefreshToken) {
			t.Errorf("shares %q: %q", key, outcome)
		}
	}
}
