package core

import (
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pixyauth/pixy/core/internal/provider"
)

const (
	maxRequiredAge = 1<<31 - 1 // seconds; some 68 years
	maxRequiredACR = 512       // bytes: they travel in the attempt's cookie

	// stepUpPause is the time after a step-up in which the same page does not start
	// another one. A step-up that did not help would not help now, and the browser
	// would go in circles.
	stepUpPause = 10 * time.Second
)

// Requirement is what a guard requires: that the login is recent or strong, and that the
// user is allowed. The zero value requires nothing. MaxAge and ACR are checked against
// the ID token, so a provider without OpenID Connect cannot meet them.
type Requirement struct {
	// MaxAge is the longest time since the user authenticated at the provider
	// (auth_time). Zero means no limit. It is sent as max_age, in whole seconds. One
	// more minute is allowed for clocks that differ. A negative value, or one of more
	// than 68 years, is an error.
	MaxAge time.Duration

	// ACR lists the accepted authentication context classes (acr), the preferred one
	// first. Empty means any. The provider defines the names. They are compared
	// exactly, without an order: a stronger class is accepted only if it is in the list.
	// A name that is empty, has a space or is not printable ASCII is an error, and so
	// are more than 512 bytes in total.
	ACR []string

	// Allow reports whether the user may pass, for example because of a role. The guard
	// calls it for each request, after MaxAge and ACR are met, also for a user from
	// [ContextWithUser]. If it returns false or panics, the request fails with status 403,
	// not_allowed. A panic is logged at Warn. Another login would not help, so none is
	// offered. Nil: every user may pass.
	//
	// Allow must be safe for concurrent use, and must not modify the user. It sees claims as
	// they were at login. It is for guards only: in [LoginOptions.Require] it is an error.
	Allow func(*User) bool
}

// bindsLogin reports whether a login has to meet something. Allow is about the user, whom
// another login does not change.
func (q Requirement) bindsLogin() bool { return q.MaxAge != 0 || len(q.ACR) > 0 }

// maxAge is max_age in seconds, or empty.
func (q Requirement) maxAge() string {
	if q.MaxAge == 0 {
		return ""
	}
	return strconv.FormatInt(int64(q.MaxAge/time.Second), 10)
}

// lesserAge returns the stricter of two max_age values. Each may be empty.
func lesserAge(one, two string) string {
	a, err1 := strconv.ParseUint(one, 10, 31)
	b, err2 := strconv.ParseUint(two, 10, 31)
	if err1 != nil || err2 == nil && b < a {
		return two
	}
	return one
}

// acrValues is acr_values, or empty.
func (q Requirement) acrValues() string { return strings.Join(q.ACR, " ") }

// check reports mistakes of the application.
func (q Requirement) check() error {
	if q.MaxAge < 0 || q.MaxAge/time.Second > maxRequiredAge {
		return fmt.Errorf("Requirement.MaxAge is %s; give a time between 0 and 68 years", q.MaxAge)
	}
	for _, acr := range q.ACR {
		if acr == "" || strings.Contains(acr, " ") || !provider.IsPrintable(acr) {
			return fmt.Errorf("Requirement.ACR has %q; give names without spaces, each in its own element", acr)
		}
	}
	if len(q.acrValues()) > maxRequiredACR {
		return fmt.Errorf("Requirement.ACR has more than %d bytes; name fewer", maxRequiredACR)
	}
	return nil
}

func (q Requirement) staleFor(how provider.Authentication, now time.Time) bool {
	return q.MaxAge > 0 && now.Sub(how.Time) > q.MaxAge+provider.MaxAgeLeeway
}

func (q Requirement) weakFor(how provider.Authentication) bool {
	return len(q.ACR) > 0 && !slices.Contains(q.ACR, how.ACR)
}

// admit returns nil if user, and the login of found, meet need. If found is nil, a test
// has set the user, and there is no login to check.
func (a *Authenticator) admit(r *http.Request, found *session, user *User, need Requirement) error {
	if found != nil && need.bindsLogin() {
		if err := a.meet(r, found, need); err != nil {
			return err
		}
	}
	if need.Allow == nil {
		return nil
	}
	failure := need.refusal(user)
	if failure == nil {
		return nil
	}
	if found != nil {
		return found.binding().failed(failure)
	}
	return failure
}

// refusal returns an error if Allow does not let user pass.
func (q Requirement) refusal(user *User) (failure *Error) {
	defer func() {
		if cause := recover(); cause != nil {
			failure = fail(codeNotAllowed, fmt.Errorf("Requirement.Allow panicked: %v\n%s", cause, debug.Stack()))
			failure.expected = false
		}
	}()
	if q.Allow(user) {
		return nil
	}
	return fail(codeNotAllowed, errors.New("Requirement.Allow returned false"))
}

// meet returns nil if the login of found meets need. Otherwise the error says what a
// new login has to ask for, or that no login would help. It wraps errGone if the provider
// of found is gone.
func (a *Authenticator) meet(r *http.Request, found *session, need Requirement) error {
	stale := need.staleFor(found.Authentication, a.now())
	if !stale && !need.weakFor(found.Authentication) {
		return nil
	}
	at, err := a.bound(r.Context(), found.binding())
	if err != nil {
		return err
	}
	failure := a.errStepUp(r, found, at, need, stale)
	failure.from = at
	return failure
}

// errStepUp returns the error for a login that does not meet need.
func (a *Authenticator) errStepUp(r *http.Request, found *session, at *registration, need Requirement, stale bool) *Error {
	if at.config.FetchUser != nil {
		return errNoStepUp()
	}
	needs := LoginOptions{Require: need}
	if stale {
		// Some providers ignore max_age and respect prompt=login. It asks the user again
		// even after a recent login for another application.
		needs.AuthParams = promptLogin()
	}
	if found.raised == fingerprint(a.returnTo(a.requestedURL(r))) && instantOf(a.now()).since(found.seen) < stepUpPause {
		failure := fail(provider.CodeStepUpFailed, errors.New("a login that was made for this page is not good enough for it"))
		failure.loginURL = a.loginURLWith(r, at, LoginOptions{ReturnTo: a.requestedURL(r), AuthParams: needs.AuthParams, Require: need})
		return failure
	}
	// The status is that of RFC 9470 section 3. The problem details have its challenge.
	// There is no WWW-Authenticate header: the only registered scheme for it is Bearer,
	// and this asks for another login, not for another token.
	failure := fail(codeStepUp, nil)
	failure.loginURL, failure.needs = a.loginURLWith(r, at, needs), needs
	return failure
}

// fingerprint identifies the page that a step-up was made for. It is never 0, which
// means no page.
func fingerprint(page string) uint32 { return max(1, crc32.ChecksumIEEE([]byte(page))) }

func promptLogin() url.Values { return url.Values{"prompt": {"login"}} }

// errNoStepUp returns the error for a Requirement at a provider that cannot meet any.
func errNoStepUp() *Error {
	err := fail(provider.CodeStepUpFailed, errors.New("a provider with FetchUser has no ID token to confirm max_age or acr"))
	err.Public, err.operator = "This page needs a login that your login provider cannot confirm. Please tell us.", true
	return err
}
