package core_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
)

// The context behind a guard has what the request's context had, and ends with it.
func TestAGuardExtendsTheRequestsContext(t *testing.T) {
	t.Parallel()
	b := newTwin(t)
	type key string
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key("outer"), "there"))
	r, err := b.shop.Authenticate(httptest.NewRecorder(), b.request("ada").WithContext(ctx))
	if err != nil {
		t.Fatal(err)
	}
	inner, stop := context.WithTimeout(context.WithValue(r.Context(), key("inner"), "there too"), time.Hour)
	defer stop()
	if inner.Value(key("outer")) != "there" || inner.Value(key("inner")) != "there too" || inner.Value(key("other")) != nil || core.UserFromContext(inner).Subject != "ada" {
		t.Error("values are missing, or are another's")
	}
	if printed := fmt.Sprintf("%v %+v %#v %v", r.Context(), r.Context(), r.Context(), inner); strings.Contains(printed, "ada") {
		t.Errorf("prints the user: %s", printed)
	}
	if inner.Err() != nil {
		t.Error("ends before the request")
	}
	cancel()
	if inner.Err() != context.Canceled || context.Cause(r.Context()) != context.Canceled {
		t.Error("does not end with the request")
	}
}
