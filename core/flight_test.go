package core

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What becomes of those who wait, when whoever they wait for does not land.
func TestFlightsEnd(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		redeem func() // of the first
		leaves bool   // the second does not wait
		want   error  // of the second
	}{
		{"the first panics", func() { panic("in OnLogin") }, false, errNotLanded},
		{"the second leaves", func() {}, true, ErrUnavailable},
		{"both stay", func() {}, false, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := flights{now: time.Now}
				goOn := make(chan struct{})
				want := new(outcome)
				go func() {
					defer func() { recover() }() // net/http does so
					f.join(t.Context(), "state", "", func(context.Context) (*outcome, error) {
						<-goOn
						test.redeem()
						return want, nil
					})
				}()
				synctest.Wait()
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				var got *outcome
				var err error
				go func() {
					got, err = f.join(ctx, "state", "", func(context.Context) (*outcome, error) {
						t.Error("the second redeems as well")
						return nil, nil
					})
				}()
				synctest.Wait()
				if test.leaves {
					leave()
					synctest.Wait()
				}
				close(goOn)
				synctest.Wait()
				if !errors.Is(err, test.want) || test.want == nil && got != want {
					t.Errorf("the second gets %v, %v", got, err)
				}
				if _, err := f.join(t.Context(), "state", "", func(context.Context) (*outcome, error) {
					t.Error("the third redeems as well")
					return nil, nil
				}); (err == nil) != (test.want != errNotLanded) {
					t.Errorf("the third gets %v", err)
				}
				time.Sleep(outcomeLifetime + time.Second)
				f.mu.Lock()
				defer f.mu.Unlock()
				if len(f.byState) != 0 || len(f.landed) != 0 || f.bytes != 0 {
					t.Errorf("%d flights are left, %d outcomes, %d bytes", len(f.byState), len(f.landed), f.bytes)
				}
			})
		})
	}
	t.Run("another login does not wait", func(t *testing.T) {
		t.Parallel()
		f := flights{now: time.Now}
		inner := new(outcome)
		got, err := f.join(t.Context(), "one", "", func(ctx context.Context) (*outcome, error) {
			return f.join(ctx, "two", "", func(context.Context) (*outcome, error) { return inner, nil })
		})
		if got != inner || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
	})
}

// fly has a login land under state.
func (f *flights) fly(t *testing.T, state string, l *outcome) {
	t.Helper()
	if got, err := f.join(t.Context(), state, "", func(context.Context) (*outcome, error) { return l, nil }); got != l || err != nil {
		t.Errorf("%s: got %v, %v", state, got, err)
	}
}

func TestOutcomesAreBounded(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxOutcomeBytes/10)
	for _, test := range []struct {
		name         string
		login        outcome
		landed, left int
	}{
		{"by number", outcome{}, maxOutcomes + 10, maxOutcomes},
		{"by bytes of the ID token", outcome{idToken: long}, 20, 9},
		{"by bytes of claims", outcome{session: session{user: User{claims: &sessionClaims{object: long}}}}, 20, 9},
		{"by bytes of tokens", outcome{tokens: &tokens{Access: long[:len(long)/2], Refresh: long[len(long)/2:]}}, 20, 9},
		{"by bytes of a user", outcome{session: session{user: User{Name: long[:len(long)/2], Picture: long[len(long)/2:]}}}, 20, 9},
		{"by bytes of data", outcome{session: session{user: User{Data: long}}}, 20, 9},
		{"by bytes of pages", outcome{asked: long[:len(long)/2], returnTo: long[len(long)/2:]}, 20, 9},
		{"larger than all may be", outcome{idToken: strings.Repeat(long, 11)}, 3, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f := flights{now: time.Now}
			for i := range test.landed {
				f.fly(t, strconv.Itoa(i), &test.login)
			}
			if len(f.landed) != test.left || len(f.byState) != test.left || f.bytes > maxOutcomeBytes || (f.bytes == 0) != (test.left == 0) {
				t.Errorf("%d and %d are left, %d bytes; want %d", len(f.landed), len(f.byState), f.bytes, test.left)
			}
			if test.left > 0 && f.byState[strconv.Itoa(test.landed-1)] == nil {
				t.Error("the newest is gone")
			}
			for _, of := range f.landed {
				of.timer.Stop()
			}
		})
	}
}

// What ends, ends by the Authenticator's clock, the oldest first.
func TestOutcomesEnd(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	f := flights{now: func() time.Time { return now }}
	one, two := &outcome{session: session{id: sessionID{1}}, returnTo: "/one"}, &outcome{session: session{id: sessionID{2}}, returnTo: "/two"}
	f.fly(t, "one", one)
	now = now.Add(outcomeLifetime / 2)
	f.fly(t, "two", two)
	for _, test := range []struct {
		state   string
		session *session
		want    string
	}{{"one", &one.session, "/one"}, {"two", &two.session, "/two"}, {"one", &two.session, ""}, {"none", &one.session, ""}} {
		if got := f.returnTo(test.state, test.session); got != test.want {
			t.Errorf("%s: got %q, want %q", test.state, got, test.want)
		}
	}
	now = now.Add(outcomeLifetime / 2)
	if got := f.returnTo("one", &one.session); got != "" || len(f.landed) != 1 {
		t.Errorf("the first goes on: %q, %d", got, len(f.landed))
	}
	bytes := f.bytes
	f.end(&one.session)
	if f.bytes != bytes || f.returnTo("two", &two.session) != "/two" {
		t.Error("another session's end ends the second")
	}
	f.end(&two.session)
	if got := f.returnTo("two", &two.session); got != "" {
		t.Errorf("got %q after the end", got)
	}
	if got, err := f.join(t.Context(), "two", "", nil); got != nil || !errors.Is(err, ErrUnknownAttempt) {
		t.Errorf("got %v, %v after the end", got, err)
	}
	now = now.Add(outcomeLifetime)
	if f.prune(); f.bytes != 0 || len(f.byState) != 0 {
		t.Errorf("%d bytes are left, %d flights", f.bytes, len(f.byState))
	}
}
