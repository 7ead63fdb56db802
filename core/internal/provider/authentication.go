package provider

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pixyauth/pixy/core/internal/told"
)

// MaxAgeLeeway is how far the provider's clock may be behind where an age counts.
const MaxAgeLeeway = time.Minute

// Authentication is how the person has proved to the provider who they are, as
// the ID token says.
type Authentication struct {
	Time time.Time // auth_time; zero if it does not say
	ACR  string    // empty if it does not say
}

// authentication reads the claims of an ID token. Nobody has authenticated in
// the future: whose clock is ahead must not stay fresh for longer.
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

// answers holds the provider to the max_age and acr_values that the login asked
// for, if it did (OpenID Connect Core section 3.1.3.7 (12) and (13)): the request
// goes through the browser, whose user could have taken them out.
func (how Authentication) answers(a Request, said Claims) error {
	var fault error
	if a.MaxAge != "" {
		fault = how.checkAge(a, said)
	}
	if a.ACR != "" && !slices.Contains(strings.Fields(a.ACR), how.ACR) {
		fault = fmt.Errorf("acr is %q, and one of %q is needed", told.Clip(how.ACR), a.ACR)
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
	seconds, _ := strconv.ParseUint(a.MaxAge, 10, 31) // isSeconds
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

func IsSeconds(maxAge string) bool {
	_, err := strconv.ParseUint(maxAge, 10, 31)
	return err == nil
}
