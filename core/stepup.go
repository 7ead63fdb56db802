package core

import (
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/pixyauth/pixy/core/internal/provider"
)

const (
	maxRequiredAge = 1<<31 - 1 // seconds; some 68 years
	maxRequiredACR = 512       // bytes: they travel in the attempt's cookie

	// stepUpPause is how long a page cannot send anybody to a step-up again that
	// has just come back from one: what did not help would not help now, and
	// browsers are fast.
	stepUpPause = 10 * time.Second
)

// Requirement is what a guard asks of a login beyond that there is one: that it
// is recent, or strong, or both. The zero value asks for nothing. It takes an
// OpenID provider to meet one, and is checked by what the ID token says.
type Requirement struct {
	// MaxAge is how long ago the person may have proved to the provider who they
	// are (auth_time), by password or whatever it asks for. It is sent as max_age,
	// in whole seconds. A minute more is allowed, for clocks that differ. Zero: any
	// time.
	MaxAge time.Duration

	// ACR are authentication context classes (acr) of which any one will do, the
	// preferred one first. They are the provider's to define, and compared to the
	// letter: none is stronger than another unless it is in the list. Empty: any.
	ACR []string
}

func (q Requirement) isZero() bool { return q.MaxAge == 0 && len(q.ACR) == 0 }

// maxAge is max_age in seconds, or empty.
func (q Requirement) maxAge() string {
	if q.MaxAge == 0 {
		return ""
	}
	return strconv.FormatInt(int64(q.MaxAge/time.Second), 10)
}

// acrValues is acr_values, or empty.
func (q Requirement) acrValues() string { return strings.Join(q.ACR, " ") }

// check finds mistakes of the application's.
func (q Requirement) check() error {
	if q.MaxAge < 0 || q.MaxAge/time.Second > maxRequiredAge {
		return fmt.Errorf("Requirement.MaxAge is %s; give a time between 0 and 68 years", q.MaxAge)
	}
	for _, acr := range q.ACR {
		if acr == "" || strings.Contains(acr, " ") || !provider.IsPrintable(acr) {
			return fmt.Errorf("Requirement.ACR has %q; give names without spaces, each an element of its own", acr)
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

// meet reports whether the login of found is good enough for the page that r
// asks for. If it is not, the error says what a login has to ask for, or that
// none would help.
func (a *Authenticator) meet(r *http.Request, found *session, need Requirement) error {
	if need.isZero() {
		return nil
	}
	stale := need.staleFor(found.Authentication, a.now())
	if !stale && !need.weakFor(found.Authentication) {
		return nil
	}
	failure := a.errStepUp(r, found, need, stale)
	failure.from = found.registration
	return failure
}

// errStepUp is what is wrong with a login that does not meet need.
func (a *Authenticator) errStepUp(r *http.Request, found *session, need Requirement, stale bool) *Error {
	at := found.registration
	if at.config.OAuth2 != nil {
		return errNoStepUp()
	}
	needs := LoginOptions{Require: need}
	if stale {
		// Providers that do not heed max_age heed this, and somebody who has just
		// authenticated there elsewhere can do so again.
		needs.AuthParams = promptLogin()
	}
	if found.raised == fingerprint(a.returnTo(requestedURL(r))) && instantOf(a.now()).since(found.seen) < stepUpPause {
		failure := fail(provider.CodeStepUpFailed, errors.New("a login that was made for this page is not good enough for it"))
		failure.loginURL = a.loginURLWith(at, LoginOptions{ReturnTo: requestedURL(r), AuthParams: needs.AuthParams, Require: need})
		return failure
	}
	// The status is that of RFC 9470 section 3, whose challenge is in the problem
	// details. There is no WWW-Authenticate, whose only registered scheme for this is
	// Bearer: what is asked for here is not another token but another login.
	failure := fail(codeStepUp, nil)
	failure.loginURL, failure.needs = a.loginURLWith(at, needs), needs
	return failure
}

// fingerprint tells the pages apart for which logins are stepped up. It is never
// 0, which is that of no page.
func fingerprint(page string) uint32 { return max(1, crc32.ChecksumIEEE([]byte(page))) }

func promptLogin() url.Values { return url.Values{"prompt": {"login"}} }

// errNoStepUp is a requirement at a provider that can meet none.
func errNoStepUp() *Error {
	err := fail(provider.CodeStepUpFailed, errors.New("Provider.OAuth2 has no ID token to confirm max_age or acr"))
	err.Public, err.operator = "This page needs a login that your login provider cannot confirm. Please tell us.", true
	return err
}
