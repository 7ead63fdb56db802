// Package public makes errors safe to show. Frameworks and their middleware
// send err.Error() to browsers, but the text of a core.Error is meant for the
// log.
package public

import (
	"errors"
	"net/http"

	"github.com/pixyauth/pixy/core"
)

// Error returns an error whose text is the public text of err, a [*core.Error].
// It unwraps to the [*core.Error] and has its status and its JSON. Any other
// error gets a general text that reveals nothing about it.
func Error(err error) error {
	known := new(core.Error)
	if !errors.As(err, &known) {
		known = &core.Error{
			Status: http.StatusInternalServerError, Code: "internal_error",
			Public: "Something went wrong on our side. Please try again.", Err: err,
		}
	}
	return shown{known}
}

type failure = core.Error

// shown has the methods StatusCode, MarshalJSON and LoginURL of core.Error.
type shown struct{ *failure }

// Error returns the public text.
func (s shown) Error() string { return s.Public }

// Unwrap gives errors.As the *core.Error.
func (s shown) Unwrap() error { return s.failure }
