package core

import (
	"errors"
	"net/http"
	"time"
)

// A turn is one request of a browser in a flow: a login, a callback or a challenge. It
// collects what an error needs, for conclude.
type turn struct {
	w  http.ResponseWriter
	r  *http.Request
	at *registration // the provider; nil if unknown

	// name is the name of the provider, if at is nil and Lookup.Find has not been asked.
	name string

	byRoute bool   // the browser has asked for this login, and not the application
	typed   string // by the user, to find the provider

	// origin is where the application is reached; see checkHost. Empty: not known to be the
	// application's.
	origin string

	// again are the options of a login with which the user can try again. Nil if a login
	// does not help.
	again *LoginOptions

	// For events:
	begun time.Time // when the request of a login came; zero: it is none
	state string    // of the login; empty: this browser has not begun it
	user  *User     // who has logged in; nil: unknown
}

// checkHost sets the origin of t, or returns an error if the request is on a host that is
// not the application's. It asks at most once for each turn.
func (a *Authenticator) checkHost(t *turn) (err error) {
	if t.origin == "" {
		t.origin, err = a.hosts.originFor(t.r)
	}
	return err
}

// conclude ends a flow. It adds the provider and the login URL of t to a failure, reports
// it, and tells of it.
func (a *Authenticator) conclude(t *turn, err error) error {
	if err == nil {
		return nil
	}
	known := new(Error)
	if errors.As(err, &known) {
		failure := *known
		if t.at != nil {
			failure.from = t.at
		}
		if t.again != nil {
			failure.loginURL = a.loginURLFor(t, *t.again)
		}
		err = &failure
	}
	err = a.report(t.w, t.r, err)
	if known.Reference == "" { // not reported by the guard
		a.tellFailedLogin(t, err)
	}
	return err
}

// noStore marks a response that must not be cached, and whose URL must not be passed on
// as a referrer: the callback's URL contains a code.
func noStore(w http.ResponseWriter) {
	values := [...]string{"no-store", "no-referrer"} // one allocation for both
	header := w.Header()
	header["Cache-Control"] = values[:1:1]
	header["Referrer-Policy"] = values[1:]
	if len(header[cdnCacheControl]) > 0 {
		header[cdnCacheControl] = values[:1:1]
	}
}

// redirect answers 303, so that browsers continue with GET after any method. There is no
// body, because the URL may contain a state.
func redirect(w http.ResponseWriter, to string) {
	noStore(w)
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

// errMethod is a request with a method that the route does not have.
func errMethod(w http.ResponseWriter, allowed string) *Error {
	w.Header().Set("Allow", allowed)
	return fail(codeMethod, nil)
}
