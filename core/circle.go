package core

import (
	"errors"
	"net/http"

	"github.com/pixyauth/pixy/core/internal/vault"
)

const (
	// maxRepeated is how many logins without a guard may follow a login for the same
	// page, with no session in between. An application may redirect anonymous users to
	// the login itself, instead of using a guard.
	maxRepeated = 1

	// maxOwnRepeated is maxRepeated for an application with sessions of its own, which we
	// cannot see, or with its own sign-in page, if there is a session. It may log the user
	// in again on purpose, for example to link accounts.
	maxOwnRepeated = 4

	// maxReopened is how often a callback whose login has ended may redirect to the page
	// within a minute, if there is a session. A user may reload the callback; a circle
	// never ends.
	maxReopened = 3

	// maxSpent is how many used attempts for the page indicate that cookies are dropped.
	// A single one may remain because a response was lost.
	maxSpent = 2

	// maxEnded is how often a session may be revoked after it began, within a minute of
	// its login for the same page. If a clock is slow, each new session is revoked.
	maxEnded = 4

	// maxSilent is how many logins with prompt=none may follow one another without a
	// user.
	maxSilent = 4
)

// A fate is what happened to a session, as one request shows it.
type fate int

const (
	good       fate = iota
	absent          // no cookie
	notKept         // a cookie without a record in the Store, or two cookies of that name
	unreadable      // the cookie does not open
	over            // expired
	ended           // revoked on purpose: by the user, the application or the provider
	revoked         // revoked from the start, or its provider is no longer configured
	theirs          // a session of the application's own, which we cannot see
)

// likelyCauses are the causes that the log gives for a session that did not last.
var likelyCauses = map[fate]string{
	good: "the session is valid at the callback, but the guard did not see it: a proxy removes cookies on the way to that page, " +
		"the guard there belongs to another Authenticator or process, clocks of replicas differ, or the guard ended the session (the tokens' cookie was dropped, or a refresh is refused)",
	absent: "the browser came back without the session's cookie: the browser or a proxy refused or dropped it, the header is too large for a proxy, " +
		"or other code removes the cookie",
	notKept: "the session's cookie came back, but it has no session: replicas have different Stores or one has none, the Store loses sessions, " +
		"a part of the cookie was dropped, or another application on this host sets a cookie of that name",
	unreadable: "the session's cookie came back, but cannot be opened: a replica has another SessionKey, RedirectURL or kind of Store, " +
		"or another Authenticator on this host has the same Sessions.CookieName",
	ended:   revokedAtOnce,
	over:    "the session has expired already: clocks of replicas differ, or Sessions.Lifetime or Sessions.Idle is too short",
	revoked: revokedAtOnce,
	theirs: "the application's guard does not see the session that Sessions.Own.Start has started: its cookie is for another path, host or scheme, or SameSite=Strict, " +
		"the browser or a proxy dropped it, the response was written before the session was saved, or another replica does not know the session",
}

const revokedAtOnce = "the session is revoked as soon as it begins: clocks of replicas differ, or the clock of a program that calls Revocations"

// fate returns why load finds no session, or good if it finds one.
func (s *sessionKeeper) fate(r *http.Request) (fate, error) {
	if s.own {
		return theirs, nil
	}
	found, err := s.load(r)
	if err != nil || found != nil {
		return good, err
	}
	sealed, err := s.vault.Read(r)
	if err != nil {
		return good, errStoreDown(err)
	}
	if sealed == "" {
		if vault.Has(r, s.cookie) {
			return notKept, nil
		}
		return absent, nil
	}
	if found, _ = s.sealer.open(s.hosts.ofSession(r), sealed); found == nil {
		return unreadable, nil
	}
	if found.opened = instantOf(s.now()); s.over(found) {
		return over, nil
	}
	if !s.register(found) {
		return revoked, nil
	}
	at, err := s.revokedAt(r.Context(), found)
	if err == nil && !at.IsZero() && instantOf(at) <= found.opened {
		return ended, nil
	}
	return revoked, err
}

// challengeAgain returns an error if a guard with an anonymous request would send the
// browser in a circle: its last login ended at this page, a moment ago. The first time
// may be chance, or the session was ended on purpose, so it only marks options as
// excused.
func (a *Authenticator) challengeAgain(w http.ResponseWriter, r *http.Request, options *LoginOptions) error {
	last, ok := a.landings.find(r)
	if !ok || last.silent || last.unfinished || !last.concerns(a.fingerprint(options.ReturnTo)) {
		return nil
	}
	if last.count == 0 {
		options.excused = true
		if a.config.Pages.SignInPath != "" { // which does not pass options on, so land counts this login
			a.landings.save(w, r, last) // again: the guard may have removed it
		}
		return nil
	}
	why, err := a.sessions.fate(r)
	if err != nil || why == ended && last.count < maxEnded {
		return err
	}
	return a.errSessionLost(w, r, why)
}

// land checks whether a valid callback belongs to a circle, before the code is sent. If
// not, it returns the landing at which the login will end.
func (a *Authenticator) land(w http.ResponseWriter, r *http.Request, attempt *attempt) (landing, error) {
	next := landing{asked: a.fingerprint(attempt.returnTo)}
	last, ok := a.landings.find(r)
	if attempt.excused {
		next.count = 1
	}
	dropped := a.byGuard(attempt) && !ok && a.spentAttempts(r, attempt) >= maxSpent
	if !dropped && (!ok || last.silent || last.unfinished || !last.concerns(next.asked) || attempt.excused) {
		return next, nil
	}
	why, err := a.sessions.fate(r)
	switch {
	case err != nil:
		return next, err
	case dropped:
		return next, a.errSessionLost(w, r, why)
	case why == ended && last.count < maxEnded:
		next.count = last.count + 1
	case attempt.guarded:
		// Tabs that are restored together start their logins before the first one
		// ends. If this login started later, its guard did not see the session.
		if why != good && why != theirs || attempt.begun.After(last.at) {
			return next, a.errSessionLost(w, r, why)
		}
	case why != good || a.byGuard(attempt) && attempt.begun.After(last.at):
		most := byte(maxRepeated)
		if why == theirs || why == good {
			most = maxOwnRepeated
		}
		if last.count >= most {
			return next, a.errSessionLost(w, r, why)
		}
		next.count = last.count + 1
	}
	return next, nil
}

// byGuard reports whether a guard may be the reason for a login. With the application's
// own sign-in page, that cannot be told.
func (a *Authenticator) byGuard(attempt *attempt) bool {
	return attempt.guarded || a.config.Pages.SignInPath != ""
}

// landAgain is land for a callback whose login has ended, while the request has a
// session. A guard that does not see that session would send the browser here again and
// again.
func (a *Authenticator) landAgain(w http.ResponseWriter, r *http.Request, over *attempt) error {
	last, ok := a.landings.find(r)
	if !ok {
		return nil
	}
	guarded := over != nil && over.guarded && last.concerns(a.fingerprint(over.returnTo)) && over.begun.After(last.at)
	most := byte(maxReopened)
	if a.config.Pages.SignInPath != "" {
		most += maxOwnRepeated // which land may have counted
	}
	if guarded || last.count >= most {
		return a.errSessionLost(w, r, good)
	}
	last.count++
	a.landings.save(w, r, last)
	return nil
}

// goOnAsNobody ends a login with prompt=none that the provider could not complete without
// the user (OpenID Connect Core section 3.1.2.6). The browser continues to the login's
// page with an anonymous request. That page may start the same login again, so the number
// of repetitions is limited.
func (a *Authenticator) goOnAsNobody(w http.ResponseWriter, r *http.Request, attempt *attempt) error {
	page := a.returnTo(attempt.returnTo)
	next := landing{asked: fingerprint(page), page: fingerprint(page), silent: true}
	if last, ok := a.landings.find(r); ok && last.silent && last.concerns(next.page) {
		if last.count >= maxSilent {
			return errNoSession(a.signInPath())
		}
		next.count = last.count + 1
	}
	a.landings.save(w, r, next)
	redirect(w, page)
	return nil
}

// fingerprint identifies the page that a login with returnTo is for.
func (a *Authenticator) fingerprint(returnTo string) uint32 { return fingerprint(a.returnTo(returnTo)) }

// errSessionLost is a login whose session did not last: another login would continue the
// circle. It removes the landing, so that the user can try again.
func (a *Authenticator) errSessionLost(w http.ResponseWriter, r *http.Request, why fate) *Error {
	a.landings.forget(w, r)
	if a.config.Sessions.Own != nil {
		why = theirs
	}
	return fail(codeSessionLost, errors.New("a login succeeded, but the browser's next request was anonymous; "+likelyCauses[why]))
}

// spentAttempts counts the logins for the same page that ended in this process before
// attempt began, and whose attempts the browser still has. If there are many, something
// drops all cookies of the callback's responses, because these remove the attempts.
func (a *Authenticator) spentAttempts(r *http.Request, attempt *attempt) (spent int) {
	page, left := a.returnTo(attempt.returnTo), maxEvictions
	for name, value := range vault.WithPrefix(r, a.attempts.prefix) {
		if left--; left < 0 {
			return spent
		}
		record, ok := a.attempts.on(r).Open(name, value)
		if !ok {
			continue
		}
		other, ok := decodeAttempt(record)
		if ok && a.byGuard(other) && a.flights.landedBefore(other.state, page, attempt.begun) {
			spent++
		}
	}
	return spent
}
