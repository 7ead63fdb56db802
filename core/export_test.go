package core

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/pixyauth/pixy/core/internal/provider"
)

// NewAt is New with a clock of the test's.
func NewAt(config Config, now func() time.Time) (*Authenticator, error) { return newAt(config, now) }

// NewOn is NewAt with a network of the test's for guarded providers.
func NewOn(config Config, now func() time.Time, dial provider.Dial) (*Authenticator, error) {
	return newOn(config, now, dial)
}

// What tests of hostile input forge with the application's own keys.

func (a *Authenticator) SealAttempt(name string, record []byte) string {
	return a.attempts.on(new(http.Request)).Seal(name, record)
}

func (a *Authenticator) OpenAttempt(name, value string) ([]byte, bool) {
	record, ok := a.attempts.on(new(http.Request)).Open(name, value)
	return []byte(record), ok
}

// SealOptions makes a parameter with.
func (a *Authenticator) SealOptions(o LoginOptions) string {
	return o.seal(a.attempts.on(new(http.Request)), a.now())
}

// SealSession seals the record of a session without claims. A dot is missing.
func (a *Authenticator) SealSession(record []byte) string {
	return a.sessions.sealer.record.Seal("", record)
}

func (a *Authenticator) AttemptCookie(state string) string { return a.attempts.cookieName(state) }

// StartSession logs user in without a provider.
func (a *Authenticator) StartSession(w http.ResponseWriter, r *http.Request, user User, claims string) error {
	user.claims = &sessionClaims{object: claims}
	return a.start(w, r, a.sessions.begin(a.registrations[0], &identity{user: user, began: a.now()}), new(tokens))
}

// OutcomeBytes is how much room the outcomes of logins take.
func (a *Authenticator) OutcomeBytes() int {
	a.flights.mu.Lock()
	defer a.flights.mu.Unlock()
	a.flights.prune()
	return a.flights.bytes
}

// AttemptVerifier shows the verifier of an attempt's cookie.
func (a *Authenticator) AttemptVerifier(name, value string) string {
	record, ok := a.attempts.on(new(http.Request)).Open(name, value)
	if !ok {
		return ""
	}
	attempt, ok := decodeAttempt(record)
	if !ok {
		return ""
	}
	return attempt.verifier
}

// What is tested by itself, from outside the package because logintest, which
// knows this package, has the list of attacks.

var SafeReturnTo = safeReturnTo

const (
	Home        = home
	MaxReturnTo = maxReturnTo
)

// Fail is an error with a code of this package, or of package provider.
func Fail(code string) *Error { return fail(code, nil) }

// Codes has all codes.
func Codes() []string { return slices.Sorted(maps.Keys(kinds)) }

// MaxLinks is how many calls of Lookup.SendLink there are at most.
const MaxLinks = maxLinks

// LinksUnderWay is how many there are.
func LinksUnderWay(a *Authenticator) int { return len(a.links) }

// SpendLogouts uses the whole allowance of logout tokens of a looked-up provider, which is
// in use.
func (a *Authenticator) SpendLogouts(name string) (spent int) {
	at := a.lookup.kept[name].Value.(*registration)
	for at.logouts.allows(a.now()) {
		spent++
	}
	return spent
}
