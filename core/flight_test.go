package core

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
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
				var f flights
				goOn := make(chan struct{})
				want := new(identity)
				go func() {
					defer func() { recover() }() // net/http does so
					f.join(t.Context(), "state", func(context.Context) (*identity, error) {
						<-goOn
						test.redeem()
						return want, nil
					})
				}()
				synctest.Wait()
				ctx, leave := context.WithCancel(t.Context())
				defer leave()
				var got *identity
				var err error
				go func() {
					got, err = f.join(ctx, "state", func(context.Context) (*identity, error) {
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
				if len(f.running) != 0 {
					t.Errorf("%d flights are left", len(f.running))
				}
			})
		})
	}
	t.Run("another login does not wait", func(t *testing.T) {
		t.Parallel()
		var f flights
		inner := new(identity)
		got, err := f.join(t.Context(), "one", func(ctx context.Context) (*identity, error) {
			return f.join(ctx, "two", func(context.Context) (*identity, error) { return inner, nil })
		})
		if got != inner || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
	})
}
