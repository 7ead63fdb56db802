package core

import (
	"context"
	"fmt"
	"net/http/httptest"
	"testing"
	"time"
)

// Without OnEvent, events cost no memory, neither at once nor later.
func TestEventsWithoutOnEventCostNothing(t *testing.T) {
	a, err := New(goodConfig())
	if err != nil {
		t.Fatal(err)
	}
	begun := &turn{w: httptest.NewRecorder(), r: httptest.NewRequest("GET", "/auth/callback", nil), begun: a.now(), state: "state"}
	s := benchSession()
	s.registration = a.registrations[0]
	failure := fail(codeLoginRefused, nil)
	failure.Reference = reference()
	for name, tell := range map[string]func(){
		"login":        func() { a.tellLogin(begun, s) },
		"login_failed": func() { a.tellFailedLogin(begun, failure) },
		"logout":       func() { a.tellLogout(begun.r.Context(), byUser, s, nil, "") },
	} {
		if n := testing.AllocsPerRun(100, tell); n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if a.told.of != nil {
		t.Error("events are remembered")
	}
}

// Events are remembered for a minute at least, two minutes at most while there are new
// ones, and in bounded memory.
func TestEventsAreRememberedForAMinute(t *testing.T) {
	t.Parallel()
	var told []Event
	config := goodConfig()
	config.OnEvent = func(_ context.Context, e Event) { told = append(told, e) }
	now := time.Now()
	a, err := newAt(config, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	tells := func(want int, about string, e Event) {
		t.Helper()
		told = nil
		if a.tell(t.Context(), about, e); len(told) != want {
			t.Errorf("%s about %q: told %d times", e.Kind, about, len(told))
		}
	}
	login := Event{Kind: eventLogin, Subject: "ada"}
	tells(1, "other", login)
	now = now.Add(outcomeLifetime - time.Second)
	tells(1, "one", login)
	tells(0, "one", login)
	tells(1, "two", login)
	tells(1, "one", Event{Kind: eventLoginFailed, Code: codeStore})
	tells(1, "one", Event{Kind: eventLoginFailed, Code: codeInternal})
	tells(1, "", login)
	tells(1, "", login)
	now = now.Add(outcomeLifetime - time.Second)
	tells(0, "one", login)
	now = now.Add(outcomeLifetime + time.Second)
	tells(0, "one", login)
	now = now.Add(outcomeLifetime + time.Second)
	tells(1, "two", login)

	for i := range 3 * maxOutcomes {
		a.tell(t.Context(), fmt.Sprint(i), login)
	}
	if of := a.told.of[""]; len(of.keys) > maxOutcomes || len(of.former) > maxOutcomes {
		t.Errorf("%d and %d are remembered", len(of.keys), len(of.former))
	}
	tells(0, fmt.Sprint(3*maxOutcomes-1), login)
}
