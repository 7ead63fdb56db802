package core

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/pixyauth/pixy/core/internal/base64url"
	"github.com/pixyauth/pixy/core/internal/seal"
	"github.com/pixyauth/pixy/core/internal/vault"
)

const (
	// maxRepeated is how many logins that no guard began may come after another one
	// without a session in between. An application may send anonymous users to the
	// login by itself, and is a guard of its own then.
	maxRepeated = 1

	// maxReopened is how often a callback that is over may end at a session within
	// a minute: a user reloads it, and a circle does so for ever.
	maxReopened = 3

	// maxSpent is how many used attempts for the page a browser may still have: an
	// answer may be lost on its way.
	maxSpent = 2

	// maxSilent is how many logins with prompt=none may follow one another without
	// a user.
	maxSilent = 4
)

// A fate is what has become of a session, as one request shows it.
type fate int

const (
	good       fate = iota
	absent          // no cookie
	notKept         // a cookie, and nothing in the Store, or two cookies of that name
	unreadable      // it does not open
	over            // its time has passed
	revoked         // ended before its time, or the provider is not configured any more
)

// likelyCauses are what the log says of a session that did not last.
var likelyCauses = map[fate]string{
	good: "the session is good at the callback, and the guard has not seen it: a proxy removes cookies on the way to that page, " +
		"the guard there belongs to another Authenticator or process, clocks of replicas differ, or the guard ended it (the tokens' cookie is dropped, a refresh is refused)",
	absent: "the browser came back without the session's cookie: the browser or a proxy refused or dropped it, the header is too large for a proxy, " +
		"or something else removes the cookie",
	notKept: "the session's cookie came back, and no session belongs to it: replicas have different Stores or one has none, the Store loses sessions, " +
		"a part of the cookie was dropped, or another application on this host sets a cookie of that name",
	unreadable: "the session's cookie came back and does not open: a replica has another SessionKey, RedirectURL or kind of Store, " +
		"or another Authenticator on this host has the same Sessions.CookieName",
	over:    "the session is over already: clocks of replicas differ, or Sessions.Lifetime or Sessions.Idle is too short",
	revoked: "the session is revoked as soon as it begins: clocks of replicas, or of what calls Revocations, differ",
}

// fate tells why load finds no session.
func (s *sessionKeeper) fate(r *http.Request) (fate, error) {
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
	if found, _ = s.sealer.open(sealed); found == nil {
		return unreadable, nil
	}
	if found.opened = instantOf(s.now()); s.over(found) {
		return over, nil
	}
	return revoked, nil
}

// challengeAgain looks whether a guard that finds nobody would send the browser
// around in a circle: its last login ended at this very page, a moment ago. Once it
// may be chance, or a session that was ended on purpose, and options remember it.
func (a *Authenticator) challengeAgain(w http.ResponseWriter, r *http.Request, options *LoginOptions) error {
	last, ok := a.landings.find(r)
	if !ok || last.silent || last.page != a.fingerprint(options.ReturnTo) {
		return nil
	}
	if last.count == 0 {
		options.excused = true
		return nil
	}
	why, err := a.sessions.fate(r)
	if err != nil {
		return err
	}
	return a.errSessionLost(w, r, why)
}

// land looks whether a callback that is right in itself belongs to a circle, before
// the code is sent. If not, it returns the landing at which the login will end.
func (a *Authenticator) land(w http.ResponseWriter, r *http.Request, attempt *attempt) (landing, error) {
	next := landing{page: a.fingerprint(attempt.returnTo)}
	if attempt.excused {
		next.count = 1
	}
	last, ok := a.landings.find(r)
	dropped := attempt.guarded && !ok && a.spentAttempts(r, attempt) >= maxSpent
	if !dropped && (!ok || last.silent || last.page != next.page || attempt.excused) {
		return next, nil
	}
	why, err := a.sessions.fate(r)
	switch {
	case err != nil:
		return next, err
	case dropped:
		return next, a.errSessionLost(w, r, why)
	case attempt.guarded:
		// Tabs that are restored together have begun before the first of them
		// ended. If this one began later, its guard did not see what is seen here.
		if why != good || attempt.begun.After(last.at) {
			return next, a.errSessionLost(w, r, why)
		}
	case why != good:
		if last.count >= maxRepeated {
			return next, a.errSessionLost(w, r, why)
		}
		next.count = last.count + 1
	}
	return next, nil
}

// spentAttempts counts the logins for the same page that ended in this process
// before attempt began, and whose attempts the browser still has: something drops
// all cookies of the callback's answers, which would have removed them.
func (a *Authenticator) spentAttempts(r *http.Request, attempt *attempt) (spent int) {
	page, left := a.returnTo(attempt.returnTo), maxEvictions
	for name, value := range vault.WithPrefix(r, a.attempts.prefix) {
		if left--; left < 0 {
			return spent
		}
		record, ok := a.attempts.sealer.Open(name, value)
		if !ok {
			continue
		}
		other, ok := decodeAttempt(record)
		if ok && other.guarded && a.flights.landedBefore(other.state, page, attempt.begun) {
			spent++
		}
	}
	return spent
}

// landAgain is land for a callback whose login has succeeded already, as far as
// this process can tell. With a guard that cannot tell, it comes again and again.
func (a *Authenticator) landAgain(w http.ResponseWriter, r *http.Request, over *attempt) error {
	last, ok := a.landings.find(r)
	if !ok {
		return nil
	}
	guarded := over != nil && over.guarded && last.page == a.fingerprint(over.returnTo) && over.begun.After(last.at)
	if guarded || last.count >= maxReopened {
		return a.errSessionLost(w, r, good)
	}
	last.count++
	a.landings.save(w, last)
	return nil
}

// goOnAsNobody ends a login with prompt=none that the provider could not do without
// the user (OpenID Connect Core section 3.1.2.6): the browser goes on to where it
// wanted to go. If the page begins the same login again, it must not be for ever.
func (a *Authenticator) goOnAsNobody(w http.ResponseWriter, r *http.Request, attempt *attempt) error {
	next := landing{page: a.fingerprint(attempt.returnTo), silent: true}
	if last, ok := a.landings.find(r); ok && last.silent && last.page == next.page {
		if last.count >= maxSilent {
			return errNoSession(a.config.Pages.LoginPath)
		}
		next.count = last.count + 1
	}
	a.landings.save(w, next)
	return nil
}

// fingerprint is that of the page where a login ends that is to end at returnTo.
func (a *Authenticator) fingerprint(returnTo string) uint32 { return fingerprint(a.returnTo(returnTo)) }

// errSessionLost is a login that succeeded and did not last: another one would go
// around in a circle. The browser begins anew, so that the user can try again.
func (a *Authenticator) errSessionLost(w http.ResponseWriter, r *http.Request, why fate) *Error {
	a.landings.forget(w, r)
	return fail(codeSessionLost, errors.New("a login succeeded, and the next request of the browser was anonymous; "+likelyCauses[why]))
}

const (
	landingVersion  = 1
	landingLifetime = time.Minute
	maxLandings     = 32 // that one logout removes
)

// A landing is the end of a browser's last login, for a minute. It tells a login
// that did not last, whose browser is sent to the provider again, from a first
// one. It travels sealed in a cookie of its own, which says nothing of the user.
type landing struct {
	at     time.Time
	page   uint32 // fingerprint of the page where the login ended
	count  byte   // landings before it that may belong to the same circle
	silent bool   // with prompt=none, and without a user
}

func (l landing) encode() []byte {
	b := binary.BigEndian.AppendUint64([]byte{landingVersion}, uint64(l.at.UnixNano()))
	b = binary.BigEndian.AppendUint32(b, l.page)
	return seal.AppendFlag(append(b, l.count), l.silent)
}

func decodeLanding(b string) (landing, bool) {
	if len(b) != 15 || b[0] != landingVersion {
		return landing{}, false
	}
	return landing{
		at:   time.Unix(0, int64(seal.Uint64At(b, 1))),
		page: binary.BigEndian.Uint32([]byte(b[9:13])), count: b[13], silent: b[14] == 1,
	}, true
}

// landings keeps the last landing of each browser.
type landings struct {
	sealer  *seal.Sealer
	prefix  string // of the names, for all Authenticators with this Sessions.CookieName
	name    string // depends on RedirectURL: another Authenticator has one of its own
	cookies vault.Kind
	lasts   time.Duration
	now     func() time.Time
}

// newLandings makes landings that end long before a session may end by itself.
func newLandings(sealer *seal.Sealer, prefix string, cookies vault.Kind, config *Config, now func() time.Time) *landings {
	sum := sha256.Sum256([]byte(config.RedirectURL))
	lasts := min(landingLifetime, config.Sessions.Lifetime/2)
	if config.Sessions.Idle > 0 {
		lasts = min(lasts, config.Sessions.Idle/2)
	}
	return &landings{
		sealer: sealer, prefix: prefix, name: prefix + base64url.Encode(sum[:6]),
		cookies: cookies, lasts: lasts, now: now,
	}
}

// find returns the browser's last landing, if it was moments ago. By this clock,
// too: programs may keep a cookie for longer than Max-Age says.
func (l *landings) find(r *http.Request) (landing, bool) {
	value, ok := vault.Value(r, l.name)
	if !ok {
		return landing{}, false
	}
	record, ok := l.sealer.Open(l.name, value)
	if !ok {
		return landing{}, false
	}
	last, ok := decodeLanding(record)
	return last, ok && l.now().Sub(last.at).Abs() <= l.lasts
}

func (l *landings) save(w http.ResponseWriter, last landing) {
	last.at = l.now()
	l.cookies.Set(w, l.name, l.sealer.Seal(l.name, last.encode()), max(time.Second, l.lasts))
}

// forget has the browser begin anew.
func (l *landings) forget(w http.ResponseWriter, r *http.Request) {
	if vault.Has(r, l.name) {
		l.cookies.Remove(w, l.name)
	}
}

// forgetAll is forget for all Authenticators that share the session's cookie: a
// logout at one ends the session of the other.
func (l *landings) forgetAll(w http.ResponseWriter, r *http.Request) {
	left := maxLandings
	for name := range vault.WithPrefix(r, l.prefix) {
		if _, err := base64url.Decode(strings.TrimPrefix(name, l.prefix)); err == nil && left > 0 {
			l.cookies.Remove(w, name)
			left--
		}
	}
}
