package within

import (
	"context"
	"net/http/httptest"
	"testing"
)

type one struct{ name string }
type two struct{}

func TestContext(t *testing.T) {
	t.Parallel()
	type other string
	r := httptest.NewRequest("GET", "/", nil)
	r = r.WithContext(context.WithValue(r.Context(), other("k"), "v"))
	in := Request(Request(r, &one{"first"}), &one{"last"})
	if got := Context[*one](in); got == nil || got.name != "last" {
		t.Errorf("got %v", got)
	}
	if Context[*two](in) != nil || Context[*one](r) != nil {
		t.Error("a context of another type, or of another request, is found")
	}
	if in.Context().Value(other("k")) != "v" {
		t.Error("what was there is gone")
	}
}

func TestRequestCostsTwoAllocations(t *testing.T) {
	r, c := httptest.NewRequest("GET", "/", nil), new(one)
	if got := testing.AllocsPerRun(100, func() { Request(r, c) }); got > 2 {
		t.Errorf("%v allocations, want 2", got)
	}
}
