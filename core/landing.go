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
