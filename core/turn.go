package core

import (
	"errors"
	"net/http"
)

// A turn is one request of a browser on its way through a flow: a login, a callback, a
// challenge. What a failure has to know is in it, and is told once, by conclude.
type turn struct {
	w  http.ResponseWriter
	r  *http.Request
	at *registration // whose login it is, as far as is known

	// again are the options of a login with which the user can try again. Nil: none
	// helps.
	again *LoginOptions
}

// conclude is the edge of a flow: each of its failures gets the provider and the login
// of t, and a reference, and is logged.
func (a *Authenticator) conclude(t *turn, err error) error {
	if err == nil {
		return nil
	}
	if known := new(Error); errors.As(err, &known) {
		failure := *known
		if t.at != nil {
			failure.from = t.at
		}
		if t.again != nil {
			failure.loginURL = a.loginURLWith(t.at, *t.again)
		}
		err = &failure
	}
	return a.report(t.w, t.r, err)
}
