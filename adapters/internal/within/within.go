// Package within carries a framework's context in the request, for functions of the
// application that core calls with a request only.
package within

import (
	"context"
	"net/http"
)

type key[C any] struct{}

// Request returns r with c in its context.
func Request[C any](r *http.Request, c C) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), key[C]{}, c))
}

// Context returns what Request has put in, or the zero C.
func Context[C any](r *http.Request) C {
	c, _ := r.Context().Value(key[C]{}).(C)
	return c
}
