package core

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Outcomes that nobody can want any more make room for others.
func TestMemoryRefreshesStaySmall(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	m := &memoryRefreshes{now: func() time.Time { return now }}
	for i := range 10_000 {
		if err := m.Finish(t.Context(), fmt.Sprint("key ", i), "outcome", outcomeKept); err != nil {
			t.Fatal(err)
		}
		now = now.Add(10 * time.Second) // so that 30 of them are wanted at a time
	}
	if got := len(m.kept); got > 100 {
		t.Errorf("%d outcomes are kept", got)
	}
	for key, want := range map[string]string{"key 9999": "outcome", "key 9975": "outcome", "key 9900": ""} {
		if got, err := m.Begin(t.Context(), key, refreshClaim); got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", key, got, err, want)
		}
	}
}

// However many outcomes come, and however large they are, the oldest ones go.
func TestMemoryRefreshesAreBounded(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ outcomes, bytes, kept int }{
		"many":  {maxRefreshes + 1000, 10, maxRefreshes},
		"large": {1000, 256 << 10, maxRefreshBytes/(256<<10) - 1}, // keys count, too
	} {
		now := time.Unix(1e9, 0)
		m := &memoryRefreshes{now: func() time.Time { return now }}
		outcome := strings.Repeat("o", test.bytes)
		key := func(i int) string { return fmt.Sprintf("key %06d", i) }
		for i := range test.outcomes {
			if err := m.Finish(t.Context(), key(i), outcome, outcomeKept); err != nil {
				t.Fatal(err)
			}
		}
		if len(m.kept) != test.kept || m.order.Len() != test.kept || m.bytes != test.kept*(test.bytes+len(key(0))) {
			t.Errorf("%s: %d outcomes of %d bytes are kept, want %d", name, len(m.kept), m.bytes, test.kept)
		}
		for i, want := range map[int]string{0: "", test.outcomes - test.kept - 1: "", test.outcomes - test.kept: outcome, test.outcomes - 1: outcome} {
			if got, err := m.Begin(t.Context(), key(i), refreshClaim); got != want || err != nil {
				t.Errorf("%s: outcome %d has %d bytes, want %d", name, i, len(got), len(want))
			}
		}
		now = now.Add(outcomeKept)
		if err := m.Finish(t.Context(), "later", outcome, outcomeKept); err != nil || len(m.kept) != 1 {
			t.Errorf("%s: %d are kept five minutes later", name, len(m.kept))
		}
	}
}

// The last outcome of a key is the one that counts, and nothing of the former is
// left, nor of one that came to nothing.
func TestMemoryRefreshesKeepOneOutcomeForAKey(t *testing.T) {
	t.Parallel()
	m := &memoryRefreshes{now: time.Now}
	for _, outcome := range []string{"failed", "a longer outcome", "", "", "short"} {
		if err := m.Finish(t.Context(), "key", outcome, outcomeKept); err != nil {
			t.Fatal(err)
		}
		if got, err := m.Begin(t.Context(), "key", refreshClaim); got != outcome || err != nil {
			t.Errorf("got %q, want %q", got, outcome)
		}
		if want := len(outcome) + min(len(outcome), 1)*len("key"); m.bytes != want || m.order.Len() != len(m.kept) {
			t.Errorf("%q: counts %d bytes, want %d", outcome, m.bytes, want)
		}
	}
}

// What is known twice about one token says nothing about the provider.
func TestTheSameRefreshTwiceIsNoOutage(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	o := new(outage)
	for _, key := range []string{"one", "one", "one"} {
		o.failed(key, errProviderDown(errRefreshBroken), now)
		if err := o.pauses(now); err != nil {
			t.Errorf("got %v", err)
		}
	}
	o.failed("another", errProviderDown(errRefreshBroken), now)
	for after, pauses := range map[time.Duration]bool{-time.Second: false, 0: true, refreshPause - 1: true, refreshPause: false} {
		if err := o.pauses(now.Add(after)); (err != nil) != pauses {
			t.Errorf("after %s: got %v", after, err)
		}
	}
}
