package provider

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pixyauth/pixy/core/internal/told"
)

// MaxAgeLeeway is how far the provider's clock may be behind, in checks of auth_time.
const MaxAgeLeeway = time.Minute

// Authentication is when and how the user authenticated at the provider, as the ID token
// says.
type Authentication struct {
	Time time.Time // auth_time; zero: not in the token
	ACR  string    // acr; empty: not in the token
}

// authentication reads the claims of an ID token. It replaces an auth_time in the future
// by now. Otherwise a login would count as recent for longer if the provider's clock is
// ahead.
func (c Claims) authentication(now time.Time) Authentication {
	var how Authentication
	how.ACR, _ = c.Text("acr")
	if t, ok := c.date("auth_time"); ok {
		how.Time = t
		if t.After(now) {
			how.Time = now
		}
	}
	return how
}

// answers checks the result against the max_age and acr_values of the login, if it sent
// them (OpenID Connect Core section 3.1.3.7 (12) and (13)). The request goes through the
// browser, so the user can remove them.
func (how Authentication) answers(a Request, said Claims) error {
	var fault error
	if a.MaxAge != "" {
		fault = how.checkAge(a, said)
	}
	if a.ACR != "" && !slices.Contains(strings.Fields(a.ACR), how.ACR) {
		fault = fmt.Errorf("acr is %q, and one of %q is required", told.Clip(how.ACR), a.ACR)
	}
	switch {
	case fault == nil:
		return nil
	case a.Required:
		return bad(CodeStepUpFailed, "ID token: %w", fault)
	}
	return badIDToken(fault)
}

func (how Authentication) checkAge(a Request, said Claims) error {
	seconds, _ := strconv.ParseUint(a.MaxAge, 10, 31) // valid: see IsSeconds
	earliest := a.Begun.Add(-MaxAgeLeeway - time.Duration(seconds)*time.Second)
	switch {
	case said["auth_time"] == nil:
		return fmt.Errorf("auth_time is missing, and max_age %s needs it", a.MaxAge)
	case how.Time.IsZero():
		return fmt.Errorf("auth_time is not a number, and max_age %s needs one", a.MaxAge)
	case how.Time.Before(earliest):
		return fmt.Errorf("auth_time is %s, and max_age %s needs %s or later, by the clock here", utc(how.Time), a.MaxAge, utc(earliest))
	}
	return nil
}

// IsSeconds reports whether maxAge is a valid max_age: seconds, less than 2^31.
func IsSeconds(maxAge string) bool {
	_, err := strconv.ParseUint(maxAge, 10, 31)
	return err == nil
}
