package logintest_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
)

// tokens performs a login, and returns its token response.
func (b *bench) tokens() map[string]any {
	b.t.Helper()
	status, answer := b.token(b.form(b.code()))
	if status != http.StatusOK {
		b.t.Fatalf("got %d %v", status, answer)
	}
	return answer
}

// refreshed uses the refresh token of a token response.
func (b *bench) refreshed(tokens map[string]any) (int, map[string]any) {
	b.t.Helper()
	value, _ := tokens["refresh_token"].(string)
	return b.token(b.refresh(value))
}

func TestSessionIDs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		user logintest.User
		sid  string // "": a new one for each login
	}{
		{"nobody", logintest.User{}, ""},
		{"somebody", logintest.User{Subject: "bob"}, ""},
		{"nobody in a session", logintest.User{SessionID: "s"}, "s"},
		{"somebody in a session", logintest.User{Subject: "bob", SessionID: "s"}, "s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, clients["public"])
			b.provider.User = test.user
			first := b.tokens()
			sid, _ := payload(t, first["id_token"])["sid"].(string)
			if len(sid) < 26 && sid != test.sid || test.sid != "" && sid != test.sid {
				t.Errorf("got %q, want %q", sid, test.sid)
			}
			if _, second := b.refreshed(first); payload(t, second["id_token"])["sid"] != sid {
				t.Errorf("after a refresh: got %v", payload(t, second["id_token"]))
			}
			if another := payload(t, b.tokens()["id_token"])["sid"]; (another == sid) != (test.sid != "") {
				t.Errorf("two logins have %q and %q", sid, another)
			}
			if info := b.userInfo(first["access_token"].(string)); info["sid"] != nil {
				t.Errorf("UserInfo also has it: %v", info)
			}
		})
	}
}

// A refreshed ID token has the same user and no nonce (OpenID Connect Core section 12.2),
// unless a fault changes it.
func TestRefreshFaults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		faults logintest.Faults
		status int
		id     map[string]any // claims that differ; nil: absent
		lacks  string         // members of the response
		error  string
		again  int // status when the old refresh token is used again
	}{
		{name: "none", status: 200, again: 400},
		{name: "another sub", faults: edited("sub", "eve"), status: 200, id: map[string]any{"sub": "eve"}, again: 400},
		{name: "another iss", faults: edited("iss", "https://evil.example.test"), status: 200, id: map[string]any{"iss": "https://evil.example.test"}, again: 400},
		{name: "another aud", faults: edited("aud", "x"), status: 200, id: map[string]any{"aud": "x"}, again: 400},
		{name: "another auth_time", faults: edited("auth_time", 1), status: 200, id: map[string]any{"auth_time": 1.0}, again: 400},
		{name: "a nonce", faults: edited("nonce", "x"), status: 200, id: map[string]any{"nonce": "x"}, again: 400},
		{name: "no expires_in", faults: without("expires_in"), status: 200, lacks: "expires_in", again: 400},
		{name: "no ID token", faults: without("id_token"), status: 200, lacks: "id_token", again: 400},
		{name: "no rotation", faults: logintest.Faults{NoRotation: true}, status: 200, lacks: "refresh_token", again: 200},
		{name: "refused", faults: logintest.Faults{RefreshError: "invalid_grant"}, status: 400, error: "invalid_grant", again: 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, clients["confidential"])
			b.provider.Misbehave(test.faults)
			first := b.tokens()
			before := payload(t, first["id_token"])
			if before["sub"] != "ada" || before["nonce"] != "the-nonce" || first["refresh_token"] == nil || first["expires_in"] != 3600.0 {
				t.Fatalf("the login is not spared: %v %v", first, before)
			}
			status, second := b.refreshed(first)
			if status != test.status || (test.error != "" && second["error"] != test.error) {
				t.Fatalf("got %d %v", status, second)
			}
			for _, member := range []string{"access_token", "token_type", "expires_in", "scope", "id_token", "refresh_token"} {
				if _, got := second[member]; test.error == "" && got != (member != test.lacks) {
					t.Errorf("%s is there: %v", member, got)
				}
			}
			if second["id_token"] != nil {
				after := payload(t, second["id_token"])
				delete(before, "nonce")
				for _, name := range []string{"iss", "sub", "aud", "auth_time", "sid", "nonce"} {
					want := before[name]
					if v, differs := test.id[name]; differs {
						want = v
					}
					if after[name] != want {
						t.Errorf("%s: got %v, want %v", name, after[name], want)
					}
				}
			}
			b.provider.Misbehave(logintest.Faults{NoRotation: test.faults.NoRotation})
			if status, _ := b.refreshed(first); status != test.again {
				t.Errorf("the former refresh token again: got %d", status)
			}
			if got, want := b.provider.Reused(), map[int]int{400: 1}[test.again]; got != want {
				t.Errorf("Reused: got %d, want %d", got, want)
			}
		})
	}
}

func edited(claim string, value any) logintest.Faults {
	return logintest.Faults{RefreshedIDToken: func(_, claims map[string]any) { claims[claim] = value }}
}

func without(member string) logintest.Faults {
	return logintest.Faults{Refresh: func(response map[string]any) { delete(response, member) }}
}

// The faults of a refresh are applied last.
func TestRefreshFaultsComeLast(t *testing.T) {
	t.Parallel()
	b := newBench(t, clients["public"])
	set := func(value string) func(map[string]any) { return func(m map[string]any) { m["fault"] = value } }
	b.provider.Misbehave(logintest.Faults{
		Token: set("any"), Refresh: set("refresh"),
		IDToken:          func(_, claims map[string]any) { set("any")(claims) },
		RefreshedIDToken: func(_, claims map[string]any) { set("refresh")(claims) },
	})
	first := b.tokens()
	_, second := b.refreshed(first)
	for want, tokens := range map[string]map[string]any{"any": first, "refresh": second} {
		if got := payload(t, tokens["id_token"])["fault"]; tokens["fault"] != want || got != want {
			t.Errorf("got %v and %v, want %s", tokens["fault"], got, want)
		}
	}
}

// A refresh with less scope does not limit the next one (RFC 6749 section 6).
func TestRefreshForLess(t *testing.T) {
	t.Parallel()
	b := newBench(t, clients["public"])
	first := b.tokens()
	form := b.refresh(first["refresh_token"].(string))
	form.Set("scope", "openid")
	_, less := b.token(form)
	if info := b.userInfo(less["access_token"].(string)); info["sub"] != "ada" || info["email"] != nil {
		t.Errorf("for less: got %v", info)
	}
	if _, all := b.refreshed(less); all["scope"] != first["scope"] {
		t.Errorf("afterwards: got %v, want %v", all["scope"], first["scope"])
	}
}

func TestRefreshesAndReuseAreCounted(t *testing.T) {
	t.Parallel()
	b := newBench(t, clients["public"])
	expect := func(when string, refreshes, reused int) {
		t.Helper()
		if b.provider.Refreshes() != refreshes || b.provider.Reused() != reused {
			t.Errorf("%s: got %d and %d, want %d and %d", when, b.provider.Refreshes(), b.provider.Reused(), refreshes, reused)
		}
	}
	first, bystander := b.tokens(), b.tokens()
	_, second := b.refreshed(first)
	_, third := b.refreshed(second)
	expect("two refreshes", 2, 0)
	b.token(b.refresh("unknown"))
	b.token(b.refresh(third["access_token"].(string)))
	expect("not a refresh token", 2, 0)
	b.refreshed(first)
	expect("a former one", 2, 1)
	b.refreshed(third)
	expect("the last one, of a revoked family", 2, 2)
	if b.userInfo(third["access_token"].(string)) != nil {
		t.Error("an access token survives its family")
	}
	b.refreshed(bystander)
	expect("another login", 3, 2)
}

// Of many concurrent refreshes with one token, only one succeeds.
func TestReuseAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t, clients["public"])
	form := b.refresh(b.tokens()["refresh_token"].(string)).Encode()
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			response, err := b.http.Post(issuer+"/token", "application/x-www-form-urlencoded", strings.NewReader(form))
			if err != nil {
				t.Error(err)
				return
			}
			response.Body.Close()
		})
	}
	all.Wait()
	if b.provider.Refreshes() != 1 || b.provider.Reused() != 19 {
		t.Errorf("got %d refreshes, and %d reused", b.provider.Refreshes(), b.provider.Reused())
	}
}

func TestAccessTokens(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		lifetime time.Duration // of Provider
		bytes    int
		ends     time.Duration
		length   int
	}{
		{name: "as usual", ends: time.Hour, length: 26},
		{name: "for a minute", lifetime: time.Minute, ends: time.Minute, length: 26},
		{name: "huge", bytes: 12_000, ends: time.Hour, length: 12_000},
		{name: "too short", bytes: 3, ends: time.Hour, length: 26},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, clients["public"])
			now := time.Unix(2e9, 0)
			b.provider.Now = func() time.Time { return now }
			b.provider.AccessTokenLifetime, b.provider.AccessTokenBytes = test.lifetime, test.bytes
			first := b.tokens()
			_, second := b.refreshed(first)
			for _, tokens := range []map[string]any{first, second} {
				if tokens["expires_in"] != test.ends.Seconds() || len(tokens["access_token"].(string)) != test.length {
					t.Errorf("got %v seconds, %d bytes", tokens["expires_in"], len(tokens["access_token"].(string)))
				}
				if got := len(tokens["refresh_token"].(string)); got != 26 {
					t.Errorf("a refresh token of %d bytes", got)
				}
			}
			access := second["access_token"].(string)
			now = now.Add(test.ends)
			if b.userInfo(access) == nil {
				t.Error("over too early")
			}
			now = now.Add(time.Second)
			if b.userInfo(access) != nil {
				t.Error("not over")
			}
			if status, _ := b.refreshed(second); status != http.StatusOK {
				t.Errorf("a refresh after that: got %d", status)
			}
		})
	}
}
