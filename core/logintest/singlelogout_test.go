package logintest_test

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/pixyauth/pixy/core/logintest"
)

// told records the logout notifications that applications receive.
type told struct {
	mu     sync.Mutex
	tokens []string
}

func (o *told) take() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	tokens := o.tokens
	o.tokens = nil
	return tokens
}

func (o *told) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tokens = append(o.tokens, r.PostFormValue("logout_token"))
	w.WriteHeader(http.StatusServiceUnavailable) // must have no effect
}

// family is a provider with clients that have both logout channels, one, or none.
func family(t *testing.T) (*bench, *told) {
	b, apps := newBench(t, clients["public"]), new(told)
	client := func(id string, back, front bool) logintest.Client {
		c := clients["public"]
		c.ID = id
		c.PostLogoutRedirectURIs = append(slices.Clone(c.PostLogoutRedirectURIs), "https://app.example.test/?lt=1&gt=2")
		if back {
			c.BackChannelLogoutURI = "https://apps.example.test/back?" + id
		}
		if front {
			c.FrontChannelLogoutURI = "https://apps.example.test/front?lt=1&gt=2&app=" + id
		}
		return c
	}
	b.provider = logintest.NewProvider(issuer, client("app", true, false), client("back", true, false), client("both", true, true), client("none", false, false))
	b.http.Transport = b.provider.HTTPClient().Transport
	b.provider.Outbound = logintest.InMemory(map[string]http.Handler{"https://apps.example.test": apps})
	return b, apps
}

// hint logs a user in at a client, and returns the ID token.
func (b *bench) hint(client, sid string) string {
	b.t.Helper()
	b.client.ID = client
	b.provider.User = logintest.User{Subject: "ada", SessionID: sid}
	return fmt.Sprint(b.tokens()["id_token"])
}

func TestLogoutIsToldToClients(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		logins []string // at these clients, in one session; the first one's ID token is the hint
		change func(b *bench, request url.Values)
		status int    // zero: 303
		want   string // clients that get a logout token
		sid    string // the session in it; "": s
	}{
		{name: "one", logins: []string{"app"}, want: "app"},
		{name: "two", logins: []string{"app", "back"}, want: "app back"},
		{name: "two logins of one", logins: []string{"app", "app"}, want: "app"},
		{name: "one that has nowhere to be told", logins: []string{"none", "back"}, want: "back"},
		{name: "by both ways", logins: []string{"both", "app"}, status: 200, want: "app both"},
		{name: "by the other way only", logins: []string{"both"}, change: func(b *bench, _ url.Values) { b.provider.Outbound = nil }, status: 200},
		{name: "without hint", logins: []string{"app"}, change: func(_ *bench, r url.Values) { r.Del("id_token_hint"); r.Set("client_id", "app") }},
		{name: "hint of another session", logins: []string{"app", "back"}, change: func(b *bench, r url.Values) { r.Set("id_token_hint", b.hint("back", "another")) }, want: "back", sid: "another"},
		{name: "refused", logins: []string{"app"}, change: func(_ *bench, r url.Values) { r.Set("post_logout_redirect_uri", "https://evil.example.test/") }, status: 400},
		{name: "sid that is no text", logins: []string{"app"}, change: func(b *bench, r url.Values) {
			b.provider.Misbehave(logintest.Faults{IDToken: func(_, claims map[string]any) { claims["sid"] = 1 }})
			r.Set("id_token_hint", b.hint("app", "s"))
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b, apps := family(t)
			request := url.Values{"post_logout_redirect_uri": {"https://app.example.test/"}}
			for _, client := range slices.Backward(test.logins) {
				request.Set("id_token_hint", b.hint(client, "s"))
			}
			if test.change != nil {
				test.change(b, request)
			}
			response, err := b.http.Get(issuer + "/end-session?" + request.Encode())
			if err != nil {
				t.Fatal(err)
			}
			response.Body.Close()
			if want := cmp.Or(test.status, http.StatusSeeOther); response.StatusCode != want {
				t.Errorf("got %d, want %d", response.StatusCode, want)
			}
			ctx := oidc.ClientContext(t.Context(), b.provider.HTTPClient())
			keys := oidc.NewRemoteKeySet(ctx, issuer+"/jwks")
			var got []string
			for _, token := range apps.take() {
				claims := payload(t, token)
				client := fmt.Sprint(claims["aud"])
				if _, err := oidc.NewVerifier(issuer, keys, &oidc.Config{ClientID: client}).Verify(ctx, token); err != nil {
					t.Error(err)
				}
				if claims["sub"] != "ada" || claims["sid"] != cmp.Or(test.sid, "s") {
					t.Errorf("got %v", claims)
				}
				got = append(got, client)
			}
			if strings.Join(got, " ") != test.want {
				t.Errorf("told %q, want %q", got, test.want)
			}
		})
	}
}

// A session ends once. A later login with its sid starts another one.
func TestSessionsEndOnce(t *testing.T) {
	t.Parallel()
	b, apps := family(t)
	end := func(hint string) int {
		t.Helper()
		response, err := b.http.Get(issuer + "/end-session?id_token_hint=" + hint)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		return len(apps.take())
	}
	hint := b.hint("app", "s")
	b.hint("back", "s")
	if first, second := end(hint), end(hint); first != 2 || second != 0 {
		t.Errorf("got %d and %d", first, second)
	}
	b.hint("app", "s")
	if got := end(hint); got != 1 {
		t.Errorf("after a new login: got %d", got)
	}
	// A code that is not redeemed is not a login.
	b.provider.User.SessionID = "t"
	b.code()
	b.client.ID = "back"
	if got := end(fmt.Sprint(b.tokens()["id_token"])); got != 1 {
		t.Errorf("without the token request of one: got %d", got)
	}
}

// Refresh tokens are for offline access, and outlive the session.
func TestRefreshAfterLogout(t *testing.T) {
	t.Parallel()
	b, _ := family(t)
	tokens := b.tokens()
	response, err := b.http.Get(issuer + "/end-session?id_token_hint=" + fmt.Sprint(tokens["id_token"]))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if status, _ := b.refreshed(tokens); status != http.StatusOK || b.provider.Reused() != 0 {
		t.Errorf("got %d", status)
	}
}

// An application can fetch the keys before it answers a logout token.
func TestProviderAnswersWhileItTells(t *testing.T) {
	t.Parallel()
	b, _ := family(t)
	b.provider.Outbound = logintest.InMemory(map[string]http.Handler{
		"https://apps.example.test": http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			ctx := oidc.ClientContext(r.Context(), b.provider.HTTPClient())
			keys := oidc.NewRemoteKeySet(ctx, issuer+"/jwks")
			if _, err := oidc.NewVerifier(issuer, keys, &oidc.Config{ClientID: "app"}).Verify(ctx, r.PostFormValue("logout_token")); err != nil {
				t.Error(err)
			}
		}),
	})
	response, err := b.http.Get(issuer + "/end-session?id_token_hint=" + b.hint("app", "s"))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK || b.provider.Count(logintest.JWKS) != 1 {
		t.Errorf("got %d", response.StatusCode)
	}
}

// The number of sessions that a provider keeps is limited.
func TestSessionsAreForgotten(t *testing.T) {
	t.Parallel()
	b, apps := family(t)
	now := time.Unix(2e9, 0)
	b.provider.Now = func() time.Time { return now }
	old := b.hint("app", "old")
	now = now.Add(25 * time.Hour)
	b.hint("app", "new")
	for range 5000 { // until prune runs
		b.code()
	}
	young := b.hint("app", "young")
	for hint, want := range map[string]int{old: 0, young: 1} {
		response, err := b.http.Get(issuer + "/end-session?id_token_hint=" + hint)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if got := len(apps.take()); got != want {
			t.Errorf("%s: told %d", payload(t, hint)["sid"], got)
		}
	}
}
