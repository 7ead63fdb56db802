package main

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// stored returns the grant in the database. It has no token if there is none.
func (r *rig) stored(subject string) (grant core.Grant) {
	r.Helper()
	var sealed []byte
	if err := r.db.QueryRow("SELECT sealed FROM grants WHERE subject = ?", subject).Scan(&sealed); err != nil {
		r.Fatal(err)
	}
	if sealed == nil {
		return grant
	}
	grant, err := r.open(issuer, subject, sealed)
	if err != nil {
		r.Fatal(err)
	}
	return grant
}

// expire makes the stored tokens look old.
func (r *rig) expire(subject string) {
	r.Helper()
	grant := r.stored(subject)
	grant.Token.Expiry, grant.RefreshDue = time.Now().Add(-time.Hour), time.Now().Add(-time.Hour)
	sealed, err := r.seal(grant)
	if err != nil {
		r.Fatal(err)
	}
	if _, err := r.db.Exec("UPDATE grants SET sealed = ? WHERE subject = ?", sealed, subject); err != nil {
		r.Fatal(err)
	}
}

// result returns what the account's page says about the background job.
func (r *rig) result() string {
	r.Helper()
	return string(r.get(r.browser, "/me").Body)
}

func TestJobUsesStoredTokens(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.logIn(r.browser, "ada")
	if !strings.Contains(r.result(), "has not run yet") {
		t.Errorf("before: %s", r.result())
	}
	if err := r.runJob(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := r.result(); !strings.Contains(got, "The provider says: ADA, same@example.test") || strings.Contains(got, "has not run yet") {
		t.Errorf("after: %s", got)
	}
	if n := r.provider.Refreshes(); n != 0 {
		t.Errorf("a token that is valid was refreshed %d times", n)
	}
}

// The users are away, their tokens have expired, and the provider rotates
// refresh tokens. Each run continues with what the former one saved.
func TestJobRefreshesAndSaves(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.logIn(r.browser, "ada")
	r.post(r.browser, "/auth/logout")
	for run := range 3 {
		r.expire("ada")
		before := r.stored("ada")
		if err := r.runJob(t.Context()); err != nil {
			t.Fatal(err)
		}
		after := r.stored("ada")
		if after.Token.RefreshToken == before.Token.RefreshToken || after.Token.AccessToken == before.Token.AccessToken {
			t.Errorf("run %d did not save the new tokens", run)
		}
		if got := r.provider.Refreshes(); got != run+1 {
			t.Errorf("run %d: got %d refreshes", run, got)
		}
	}
	if n := r.provider.Reused(); n != 0 {
		t.Errorf("refresh tokens were used again %d times", n)
	}
}

// A grant that the provider refuses is used once. The next login renews it.
func TestJobEndsWithTheGrant(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.logIn(r.browser, "ada")
	r.expire("ada")
	r.provider.Misbehave(logintest.Faults{RefreshError: "invalid_grant"})
	before := r.provider.Count(logintest.Token)
	for range 2 {
		if err := r.runJob(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.provider.Count(logintest.Token) - before; got != 1 {
		t.Errorf("a refused grant was tried %d times", got)
	}
	if got := r.result(); !strings.Contains(got, "Access has ended") {
		t.Errorf("got %s", got)
	}
	if grant := r.stored("ada"); grant.Token.RefreshToken != "" {
		t.Error("a refused grant is still stored")
	}
	r.provider.Misbehave(logintest.Faults{})
	r.logIn(r.browser, "ada")
	if err := r.runJob(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := r.result(); !strings.Contains(got, "The provider says: ADA") {
		t.Errorf("after a new login: %s", got)
	}
}

// An outage loses no grant and no result, and does not stop the other users.
func TestJobSurvivesAnOutage(t *testing.T) {
	t.Parallel()
	for _, down := range []logintest.Endpoint{logintest.Token, logintest.UserInfo} {
		t.Run(string(down), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "")
			r.logIn(r.browser, "ada")
			if err := r.runJob(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.expire("ada")
			r.provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
				if e == down {
					w.WriteHeader(http.StatusBadGateway)
				}
				return e == down
			}})
			if err := r.runJob(t.Context()); err == nil {
				t.Error("an outage is no failure")
			}
			if got := r.result(); !strings.Contains(got, "The provider says: ADA") {
				t.Errorf("during an outage: %s", got)
			}
			if r.stored("ada").Token.RefreshToken == "" {
				t.Error("an outage loses the grant")
			}
			r.provider.Misbehave(logintest.Faults{})
			if err := r.runJob(t.Context()); err != nil && down != logintest.Token { // refreshes that failed pause for ten seconds
				t.Errorf("after an outage: %v", err)
			}
		})
	}
}

// Without offline_access there may be no refresh token.
func TestJobWithoutRefreshToken(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.provider.Misbehave(logintest.Faults{Token: func(response map[string]any) { delete(response, "refresh_token") }})
	r.logIn(r.browser, "ada")
	for _, want := range []string{"The provider says: ADA", "Access has ended"} {
		if err := r.runJob(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := r.result(); !strings.Contains(got, want) {
			t.Errorf("want %s: %s", want, got)
		}
		r.expire("ada")
	}
}

// What the job saves or forgets must not undo a login that came meanwhile.
func TestJobKeepsTheNewerGrant(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.logIn(r.browser, "ada")
	found, err := r.storedGrants(t.Context())
	if err != nil || len(found) != 1 {
		t.Fatal(err, found)
	}
	former := r.stored("ada")
	r.logIn(r.browser, "ada")
	newer := r.stored("ada")
	if err := errors.Join(r.saveGrant(t.Context(), &found[0], former), r.forgetGrant(t.Context(), &found[0])); err != nil {
		t.Fatal(err)
	}
	if got := r.stored("ada"); got.Token.RefreshToken != newer.Token.RefreshToken {
		t.Error("the newer grant is lost")
	}
}

// A grant in the row of another user does not open.
func TestGrantBelongsToItsUser(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.logIn(r.browser, "ada")
	r.logIn(r.browser, "grace")
	if _, err := r.db.Exec("UPDATE grants SET sealed = (SELECT sealed FROM grants WHERE subject = 'ada')"); err != nil {
		t.Fatal(err)
	}
	if err := r.runJob(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := r.result(); !strings.Contains(got, "Access has ended") {
		t.Errorf("got %s", got)
	}
	if got := r.provider.Count(logintest.UserInfo); got != 1 { // for ada
		t.Errorf("UserInfo was called %d times", got)
	}
}

func TestJobRejectsAnotherUsersAnswer(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.logIn(r.browser, "ada")
	r.provider.Misbehave(logintest.Faults{UserInfo: func(claims map[string]any) { claims["sub"] = "mallory" }})
	if err := r.runJob(t.Context()); err == nil {
		t.Error("UserInfo of another user was accepted")
	}
}

// The goroutine runs the job again and again, and ends with its context.
func TestWork(t *testing.T) {
	t.Parallel()
	r := newRig(t, "")
	r.logIn(r.browser, "ada")
	r.interval = time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.work(ctx)
	}()
	for deadline := time.Now().Add(time.Minute); r.provider.Count(logintest.UserInfo) < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the job does not run")
		}
	}
	cancel()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("the job does not end")
	}
}
