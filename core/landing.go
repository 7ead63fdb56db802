package core

import (
	"crypto/sha256"
	"encoding/binary"
	"net/http"
	"strings"
	"time"

	"github.com/pixyauth/pixy/core/internal/base64url"
	"github.com/pixyauth/pixy/core/internal/seal"
	"github.com/pixyauth/pixy/core/internal/vault"
)

const (
	landingVersion  = 4
	landingSize     = 36
	landingLifetime = time.Minute
	maxLandings     = 32 // removed by one logout
)

// A landing records the end of a browser's last login, for a minute. It distinguishes a
// login that did not last from a first login. It is sealed in a cookie of its own, which
// contains nothing about the user.
type landing struct {
	at     time.Time
	lasts  time.Duration // until it is forgotten; at most landings.lasts
	asked  uint32        // fingerprint of the page that the login was for
	page   uint32        // fingerprint of the page where it ended, which OnLogin may have chosen
	count  byte          // landings before it that may belong to the same circle
	silent bool          // a login with prompt=none that ended without a user

	// For OwnSessions:
	login      uint64 // mark of the login
	unfinished bool   // the application could not start its session
}

// concerns reports whether a guard of page may belong to the same circle. The page where
// the login ended may redirect to the page that it was for.
func (l landing) concerns(page uint32) bool { return l.asked == page || l.page == page }

// of returns the landing with the end of a login. It expires well before the session does.
func (l landing) of(login *outcome) landing {
	l.page = fingerprint(login.returnTo)
	l.lasts = login.session.ends.since(login.session.started) / 2
	return l
}

func (l landing) encode() []byte {
	b := make([]byte, 1, landingSize)
	b[0] = landingVersion
	b = binary.BigEndian.AppendUint64(b, uint64(l.at.UnixNano()))
	b = binary.BigEndian.AppendUint64(b, uint64(l.lasts))
	b = binary.BigEndian.AppendUint32(b, l.asked)
	b = binary.BigEndian.AppendUint32(b, l.page)
	b = seal.AppendFlag(append(b, l.count), l.silent)
	b = seal.AppendFlag(b, l.unfinished)
	return binary.BigEndian.AppendUint64(b, l.login)
}

func decodeLanding(b string) (landing, bool) {
	if len(b) != landingSize || b[0] != landingVersion {
		return landing{}, false
	}
	return landing{
		at: time.Unix(0, int64(seal.Uint64At(b, 1))), lasts: time.Duration(seal.Uint64At(b, 9)),
		asked: binary.BigEndian.Uint32([]byte(b[17:21])), page: binary.BigEndian.Uint32([]byte(b[21:25])),
		count: b[25], silent: b[26] == 1, unfinished: b[27] == 1, login: seal.Uint64At(b, 28),
	}, true
}

// landings keeps the last landing of each browser, in a cookie.
type landings struct {
	on      hostSeal
	prefix  string // of the cookies' names, for all Authenticators with this Sessions.CookieName
	name    string // depends on RedirectURL, so each Authenticator has its own
	cookies vault.Kind
	lasts   time.Duration
	now     func() time.Time
}

// newLandings returns landings that expire well before a session can.
func newLandings(on hostSeal, prefix string, cookies vault.Kind, config *Config, now func() time.Time) *landings {
	sum := sha256.Sum256([]byte(config.RedirectURL))
	lasts := min(landingLifetime, config.Sessions.Lifetime/2)
	if config.Sessions.Idle > 0 {
		lasts = min(lasts, config.Sessions.Idle/2)
	}
	return &landings{
		on: on, prefix: prefix, name: prefix + base64url.Encode(sum[:6]),
		cookies: cookies, lasts: lasts, now: now,
	}
}

// find returns the browser's last landing, if it has not expired by our clock. Clients
// may keep a cookie for longer than Max-Age.
func (l *landings) find(r *http.Request) (landing, bool) {
	value, ok := vault.Value(r, l.name)
	if !ok {
		return landing{}, false
	}
	record, ok := l.on(r).Open(l.name, value)
	if !ok {
		return landing{}, false
	}
	last, ok := decodeLanding(record)
	return last, ok && l.now().Sub(last.at).Abs() <= min(l.lasts, last.lasts)
}

func (l *landings) save(w http.ResponseWriter, r *http.Request, last landing) {
	last.at = l.now()
	if last.lasts <= 0 || last.lasts > l.lasts {
		last.lasts = l.lasts
	}
	l.cookies.Set(w, l.name, l.on(r).Seal(l.name, last.encode()), max(time.Second, last.lasts))
}

// forget removes the browser's landing.
func (l *landings) forget(w http.ResponseWriter, r *http.Request) {
	if vault.Has(r, l.name) {
		l.cookies.Remove(w, l.name)
	}
}

// forgetAll removes the landings of all Authenticators that share the session's cookie: a
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
