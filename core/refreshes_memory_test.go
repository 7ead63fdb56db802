package core

import (
	"fmt"
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
