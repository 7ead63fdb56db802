package provider

import (
	"context"
	"errors"
	"time"
)

const (
	keyPatience = 10 * time.Second // for one use of a private key of the client
	maxKeyUses  = 64               // of one key at a time
)

// bounded calls a function that cannot be canceled, because it may ask a KMS or an HSM. If
// that takes too long, bounded returns an error, and the call goes on in its goroutine.
// busy has room for the calls that may be under way. A panic is an error.
func bounded[T any](ctx context.Context, busy chan struct{}, call func() (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, keyPatience)
	defer cancel()
	var none T
	select {
	case busy <- struct{}{}:
	case <-ctx.Done():
		return none, ctx.Err()
	}
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-busy }()
		defer func() {
			if recover() != nil { // the cause may contain what it was called with
				done <- result{err: errors.New("it panicked")}
			}
		}()
		value, err := call()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}
