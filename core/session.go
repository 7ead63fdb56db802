package core

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/pixyauth/pixy/core/internal/provider"
	"github.com/pixyauth/pixy/core/internal/seal"
	"github.com/pixyauth/pixy/core/internal/vault"
)

const (
	sessionVersion = 1
	sessionFixed   = 1 + 8*5 + 4 + 1 + sessionIDSize // version, times, raised, flags, id
	sessionIDSize  = 16

	flagEmailVerified   = 1 << 0
	flagEndsWithBrowser = 1 << 1
)

// A session is what the application remembers after a login: claims, see
// [sessionSealer], and a record of everything else:
//
//	version ‖ ends ‖ last seen ‖ authenticated ‖ started ‖ refresh due ‖ raised ‖
//	flags ‖ id ‖ issuer ‖ provider ‖ client ‖ subject ‖ sid ‖ acr ‖ name ‖ email ‖ picture ‖ data
//
// Times are milliseconds since 1970. Strings are preceded by their length. Both limits
// are in the sealed record, because a browser or a thief can ignore the attributes of
// the cookie.
type session struct {
	id         sessionID
	started    instant // a revocation ends the sessions that started before it
	ends       instant // absolute: nothing extends it
	seen       instant // last renewal, for the idle limit
	refreshDue instant // when the tokens have to be refreshed; zero: never
	raised     uint32  // fingerprint of the page that the step-up was made for; 0: no step-up
	provider   string  // name of a looked-up provider; empty: a listed one
	client     string  // the client id that the user logged in with
	sid        string  // id of the session at the provider, if known (Back-Channel Logout section 2.1)
	user       User
	provider.Authentication

	endsWithBrowser bool // the browser's session cookies end with the browser

	// Not in the record:
	registration *registration // of issuer and client; nil: of a looked-up provider, see [Authenticator.bound]
	opened       instant       // time of this request, to read the clock once only
	renewed      instant       // seen, as this request has stored it; zero: it did not
	attached     attached      // for the request's context
}

// An instant is a time in milliseconds since 1970. Zero means no time. It needs a
// third of the memory of a time.Time, and holds no pointer.
type instant int64

func instantOf(t time.Time) instant {
	if t.IsZero() {
		return 0
	}
	return instant(t.UnixMilli())
}

func (i instant) time() time.Time {
	if t := time.UnixMilli(int64(i)); i != 0 && !t.IsZero() {
		return t
	}
	return time.Time{}
}

func (i instant) since(earlier instant) time.Duration {
	return time.Duration(i-earlier) * time.Millisecond
}

// A sessionID is random. It is made at login, and renewals keep it. It is sealed, and
// of no use to an attacker who knows it.
type sessionID [sessionIDSize]byte

func (s *session) encode() []byte {
	b := make([]byte, 1, 512)
	b[0] = sessionVersion
	for _, at := range [...]instant{s.ends, s.seen, instantOf(s.Time), s.started, s.refreshDue} {
		b = binary.BigEndian.AppendUint64(b, uint64(at))
	}
	b = binary.BigEndian.AppendUint32(b, s.raised)
	var flags byte
	if s.user.EmailVerified {
		flags |= flagEmailVerified
	}
	if s.endsWithBrowser {
		flags |= flagEndsWithBrowser
	}
	b = append(append(b, flags), s.id[:]...)
	u := &s.user
	for _, field := range [...]string{u.Issuer, s.provider, s.client, u.Subject, s.sid, s.ACR, u.Name, u.Email, u.Picture, u.Data} {
		b = seal.AppendString(b, field)
	}
	return b
}

// decodeSession reads a record. All strings of the result share its memory.
func decodeSession(b string) (*session, bool) {
	if len(b) < sessionFixed || b[0] != sessionVersion {
		return nil, false
	}
	at := func(i int) instant { return instant(seal.Uint64At(b, 1+8*i)) }
	s := &session{
		ends: at(0), seen: at(1), started: at(3), refreshDue: at(4),
		raised: binary.BigEndian.Uint32([]byte(b[41:45])),
		id:     sessionID([]byte(b[46:sessionFixed])),
	}
	s.Time = at(2).time()
	u := &s.user
	u.EmailVerified, s.endsWithBrowser = b[45]&flagEmailVerified != 0, b[45]&flagEndsWithBrowser != 0
	rest, ok := b[sessionFixed:], true
	for _, field := range [...]*string{&u.Issuer, &s.provider, &s.client, &u.Subject, &s.sid, &s.ACR, &u.Name, &u.Email, &u.Picture, &u.Data} {
		if *field, rest, ok = seal.CutString(rest); !ok {
			return nil, false
		}
	}
	return s, rest == "" && u.Issuer != "" && u.Subject != ""
}

// life returns how long the session is to be kept from now on: until its end, rounded up
// to whole seconds, in which cookies and stores count.
func (s *session) life(now time.Time) vault.Life {
	left := s.ends.time().Sub(now) + time.Second - time.Nanosecond
	return vault.Life{For: max(time.Second, left.Truncate(time.Second)), EndsWithBrowser: s.endsWithBrowser}
}

// sessionKeeper begins, finds and ends sessions.
type sessionKeeper struct {
	own           bool   // the application has sessions of its own, so there are none of ours
	cookie        string // name of the first one
	vault         vault.Vault
	sealer        sessionSealer
	hosts         *hosts
	registrations registrations // a session of no registration counts as none
	lookedUp      bool          // whether there are sessions of looked-up providers
	revocations   Revocations   // nil: none
	application   string        // distinguishes applications that share Revocations
	lifetime      time.Duration // absolute
	idle          time.Duration // zero: none
	now           func() time.Time
}

// load returns the session of a request, or nil for an anonymous request. A session
// that does not open, has expired or has been revoked counts as none.
func (s *sessionKeeper) load(r *http.Request) (*session, error) {
	if s.own {
		return nil, nil
	}
	sealed, err := s.vault.Read(r)
	if err != nil {
		return nil, errStoreDown(err)
	}
	if sealed == "" {
		return nil, nil
	}
	found, ok := s.sealer.open(s.hosts.ofSession(r), sealed)
	if !ok {
		return nil, nil
	}
	// If the configured lifetime was shortened since the login, this session ends earlier.
	found.ends = min(found.ends, instantOf(found.started.time().Add(s.lifetime)))
	if found.opened = instantOf(s.now()); s.over(found) {
		return nil, nil
	}
	if !s.register(found) {
		return nil, nil
	}
	switch revoked, err := s.revoked(r.Context(), found); {
	case err != nil:
		return nil, err
	case revoked:
		return nil, nil
	}
	return found, nil
}

// register sets the provider of a session, and its registration if it is a listed one. It
// returns false if there is none. Whether a looked-up provider is still there matters only
// when something needs it: see [Authenticator.bound].
func (s *sessionKeeper) register(found *session) bool {
	if found.provider != "" {
		found.user.Provider, found.user.lookedUp = found.provider, true
		return s.lookedUp
	}
	at := s.registrations.of(found.user.Issuer, found.client)
	if at == nil {
		return false
	}
	found.registration, found.user.Provider = at, at.config.Name
	return true
}

// gone reports whether found was ended after load returned it. It ignores expiry,
// because the session was valid when the request arrived.
func (s *sessionKeeper) gone(r *http.Request, found *session) (bool, error) {
	sealed, err := s.vault.Read(r)
	if err != nil {
		return false, errStoreDown(err)
	}
	if sealed == "" {
		return true, nil
	}
	return s.revoked(r.Context(), found)
}

func (s *sessionKeeper) over(found *session) bool {
	return found.opened >= found.ends || s.idle > 0 && found.opened.since(found.seen) >= s.idle
}

// begin makes the session of a user who has logged in at the provider of at. Its id is
// new (RFC 6265bis section 8.4).
func (s *sessionKeeper) begin(at *registration, who *identity) *session {
	fresh := &session{
		started: instantOf(who.began), seen: instantOf(who.began), ends: instantOf(who.began.Add(s.lifetime)),
		registration: at, client: at.config.ClientID, sid: who.SID,
		user: who.user, Authentication: who.Authentication,
	}
	if at.lookedUp {
		fresh.provider = at.config.Name
	}
	rand.Read(fresh.id[:]) // never fails
	if !s.own {
		fresh.user.claims = who.user.claims.compressed() // once, for all callbacks of the login
	}
	return fresh
}

// start stores the session of begin. If the store has ids, it uses a new one, or that of
// the request's session if they are the same session.
func (s *sessionKeeper) start(w http.ResponseWriter, r *http.Request, fresh *session, same bool) error {
	sealed, err := s.sealer.seal(s.hosts.ofSession(r), fresh)
	if err != nil {
		return err
	}
	switch err := vault.Put(s.vault, w, r, sealed, fresh.life(s.now()), same); {
	case errors.Is(err, vault.ErrTooLarge):
		return fail(codeSessionSize, fmt.Errorf("the session is %w; keep fewer claims (Sessions.Claims) or less Login.Data, or use a Store that takes them", err))
	case err != nil:
		return errStoreDown(err)
	}
	return nil
}

// touch renews found if a quarter of the idle limit has passed, so that not every
// request writes a cookie. The absolute end does not change.
func (s *sessionKeeper) touch(w http.ResponseWriter, r *http.Request, found *session) error {
	renewed := s.used(found)
	if renewed.seen == found.seen {
		return nil
	}
	if err := s.renew(w, r, &renewed); err != nil {
		return err
	}
	found.renewed = renewed.seen
	return nil
}

// used returns found as it is to be stored after this request.
func (s *sessionKeeper) used(found *session) session {
	renewed := *found
	if s.idle > 0 && found.opened.since(found.seen) >= s.idle/4 {
		renewed.seen, renewed.raised = instantOf(s.now()), 0
	}
	return renewed
}

// renew stores a changed session.
func (s *sessionKeeper) renew(w http.ResponseWriter, r *http.Request, found *session) error {
	sealed, err := s.sealer.seal(s.hosts.ofSession(r), found)
	if err != nil {
		return err
	}
	if err := s.vault.Renew(w, r, sealed, found.life(s.now())); err != nil {
		return errStoreDown(err)
	}
	keepFromCaches(w.Header())
	return nil
}

// end deletes the session of a browser. If found is not nil, end also revokes it, so
// that copies of it end too. Without Revocations, copies continue.
func (s *sessionKeeper) end(w http.ResponseWriter, r *http.Request, found *session) error {
	if found != nil {
		if err := s.void(r.Context(), found); err != nil {
			return err
		}
	}
	if err := s.vault.Erase(w, r); err != nil {
		return errStoreDown(err)
	}
	return nil
}
