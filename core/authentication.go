package core

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxAgeLeeway is how far the provider's clock may be behind where an age counts.
const maxAgeLeeway = time.Minute

// authentication is how the person has proved to the provider who they are, as
// the ID token says.
type authentication struct {
	time time.Time // auth_time; zero if it does not say
	acr  string    // empty if it does not say
}

// authentication reads the claims of an ID token. Nobody has authenticated in
// the future: whose clock is ahead must not stay fresh for longer.
func (c claims) authentication(now time.Time) authentication {
	var how authentication
	how.acr, _ = c.text("acr")
	if t, ok := c.date("auth_time"); ok {
		how.time = t
		if t.After(now) {
			how.time = now
		}
	}
	return how
}

// answers holds the provider to the max_age and acr_values that the login asked
// for, if it did (OpenID Connect Core section 3.1.3.7 (12) and (13)): the request
// goes through the browser, whose user could have taken them out.
func (how authentication) answers(a *attempt, said claims) error {
	var fault error
	if a.maxAge != "" {
		fault = how.checkAge(a, said)
	}
	if a.acr != "" && !slices.Contains(strings.Fields(a.acr), how.acr) {
		fault = fmt.Errorf("acr is %q, and one of %q is needed", clip(how.acr), a.acr)
	}
	switch {
	case fault == nil:
		return nil
	case a.required:
		return errStepUpFailed(fmt.Errorf("ID token: %w", fault))
	}
	return errBadIDToken(fault)
}

func (how authentication) checkAge(a *attempt, said claims) error {
	seconds, _ := strconv.ParseUint(a.maxAge, 10, 31) // isSeconds
	earliest := a.begun.Add(-maxAgeLeeway - time.Duration(seconds)*time.Second)
	switch {
	case said["auth_time"] == nil:
		return fmt.Errorf("auth_time is missing, and max_age %s needs it", a.maxAge)
	case how.time.IsZero():
		return fmt.Errorf("auth_time is not a number, and max_age %s needs one", a.maxAge)
	case how.time.Before(earliest):
		return fmt.Errorf("auth_time is %s, and max_age %s needs %s or later, by the clock here", utc(how.time), a.maxAge, utc(earliest))
	}
	return nil
}

func isSeconds(maxAge string) bool {
	_, err := strconv.ParseUint(maxAge, 10, 31)
	return err == nil
}
