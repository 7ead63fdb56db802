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

	flagEmailVerified = 1 << 0
)

// A session is what is remembered after a login: claims, see [sessionSealer], and
// a record of everything else:
//
//	version ‖ ends ‖ last seen ‖ authenticated ‖ started ‖ refresh due ‖ raised ‖
//	flags ‖ id ‖ issuer ‖ client ‖ subject ‖ sid ‖ acr ‖ name ‖ email ‖ picture
//
// Times are milliseconds since 1970, strings have their length before them. Both
// limits are in here, under the seal, and not only in the cookie's attributes,
// which a browser or a thief may ignore.
type session struct {
	id         sessionID
	started    instant // what is revoked are the sessions that began before
	ends       instant // absolute: nothing extends it
	seen       instant // last renewal, for the idle limit
	refreshDue instant // when the tokens have to be refreshed; zero: never
	raised     uint32  // fingerprint of the page for which the login was stepped up; 0: for none
	client     string  // whom the provider let the user in to
	sid        string  // the provider's own session, if it tells (Back-Channel Logout section 2.1)
	user       User
	provider.Authentication

	// Not in the record:
	registration *registration // that of issuer and client
	opened       instant       // when this request came; reading the clock costs
	attached     attached      // for the request's context
}

// An instant is a time in milliseconds since 1970; zero is none. It takes a third
// of what a time.Time takes of each request's memory, and holds no pointer.
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

// A sessionID is drawn at login and stays through renewals. It is under the seal:
// knowing it is of no use.
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
	b = append(append(b, flags), s.id[:]...)
	u := &s.user
	for _, field := range [...]string{u.Issuer, s.client, u.Subject, s.sid, s.ACR, u.Name, u.Email, u.Picture} {
		b = seal.AppendString(b, field)
	}
	return b
}

// decodeSession reads a record. One copy of it serves all strings of the user.
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
	u.EmailVerified = b[45]&flagEmailVerified != 0
	rest, ok := b[sessionFixed:], true
	for _, field := range [...]*string{&u.Issuer, &s.client, &u.Subject, &s.sid, &s.ACR, &u.Name, &u.Email, &u.Picture} {
		if *field, rest, ok = seal.CutString(rest); !ok {
			return nil, false
		}
	}
	return s, rest == "" && u.Issuer != "" && u.Subject != ""
}

// sessionKeeper begins, finds and ends sessions.
type sessionKeeper struct {
	cookie        string // name of the first one
	vault         vault.Vault
	sealer        sessionSealer
	registrations registrations // sessions of others are a stranger's
	revocations   Revocations   // nil: none
	lifetime      time.Duration // absolute
	idle          time.Duration // zero: none
	now           func() time.Time
}

// load returns the session of a request, or nil if nobody is logged in. A value
// that does not open, is over, or has been revoked, is a stranger's.
func (s *sessionKeeper) load(r *http.Request) (*session, error) {
	sealed, err := s.vault.Read(r)
	if err != nil {
		return nil, errStoreDown(err)
	}
	if sealed == "" {
		return nil, nil
	}
	found, ok := s.sealer.open(sealed)
	if !ok {
		return nil, nil
	}
	// A lifetime that was shortened since the login reaches sessions that exist.
	found.ends = min(found.ends, instantOf(found.started.time().Add(s.lifetime)))
	if found.opened = instantOf(s.now()); s.over(found) {
		return nil, nil
	}
	if found.registration = s.registrations.of(found.user.Issuer, found.client); found.registration == nil {
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

// gone reports whether found has been ended since load has found it. Its time may
// be over by now: who came in time is in time.
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

// begin makes the session of somebody whom the provider of at knows. It is a new
// one: its id was never seen before (RFC 6265bis section 8.4).
func (s *sessionKeeper) begin(at *registration, who *identity) *session {
	now := s.now()
	fresh := &session{
		started: instantOf(now), seen: instantOf(now), ends: instantOf(now.Add(s.lifetime)),
		registration: at, client: at.config.ClientID, sid: who.SID,
		user: who.user, Authentication: who.Authentication,
	}
	rand.Read(fresh.id[:]) // never fails
	return fresh
}

// start keeps a session that has begun: if the store has ids, under one that is
// new.
func (s *sessionKeeper) start(w http.ResponseWriter, r *http.Request, fresh *session) error {
	sealed, err := s.sealer.seal(fresh)
	if err != nil {
		return err
	}
	switch err := s.vault.Create(w, r, sealed, s.lifetime); {
	case errors.Is(err, vault.ErrTooLarge):
		return fail(codeSessionSize, fmt.Errorf("the session is %w; keep fewer claims (Sessions.Claims) or use a Store that takes them", err))
	case err != nil:
		return errStoreDown(err)
	}
	return nil
}

// touch renews found when a quarter of the idle limit has passed, so that not
// every request writes a cookie. The absolute end stays where it is.
func (s *sessionKeeper) touch(w http.ResponseWriter, r *http.Request, found *session) error {
	renewed := s.used(found)
	if renewed.seen == found.seen {
		return nil
	}
	return s.renew(w, r, &renewed)
}

// used returns found as it is after this request.
func (s *sessionKeeper) used(found *session) session {
	renewed := *found
	if s.idle > 0 && found.opened.since(found.seen) >= s.idle/4 {
		renewed.seen, renewed.raised = instantOf(s.now()), 0
	}
	return renewed
}

// renew keeps what has changed of a session.
func (s *sessionKeeper) renew(w http.ResponseWriter, r *http.Request, found *session) error {
	sealed, err := s.sealer.seal(found)
	if err != nil {
		return err
	}
	if err := s.vault.Renew(w, r, sealed, found.ends.time().Sub(s.now())); err != nil {
		return errStoreDown(err)
	}
	keepFromCaches(w.Header())
	return nil
}

// keepFromCaches is for an answer that sets a session: a shared cache that keeps it
// hands out somebody's session. The second header (RFC 9213) is for handlers that
// drop the first, as net/http's file server does for an error.
func keepFromCaches(header http.Header) {
	header.Set("Cache-Control", "no-store")
	header.Set("CDN-Cache-Control", "no-store")
}

// end forgets the session of a browser. If it is not nil, copies of it are void
// from now on, too, where there are revocations.
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
