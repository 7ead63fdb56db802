package core

import (
	"encoding/binary"
	"errors"
	"net/http"
	"time"
)

const (
	sessionVersion = 1
	sessionFixed   = 1 + 8 + 8 + 8 + 4 + 1 // version, ends, seen, authenticated, raised, flags

	flagEmailVerified = 1 << 0
)

// A session is what is remembered after a login. Its record is laid out so that
// a guarded request reads the few fixed fields and leaves the claims alone:
//
//	version ‖ ends ‖ last seen ‖ authenticated ‖ raised ‖ flags ‖
//	issuer ‖ client ‖ subject ‖ acr ‖ name ‖ email ‖ picture ‖ claims
//
// Times are seconds since 1970, strings have their length before them, and the
// claims are a JSON object that reaches to the end. Both limits are in here,
// under the seal, and not only in the cookie's attributes, which a browser or a
// thief may ignore.
type session struct {
	ends   time.Time // absolute: nothing extends it
	seen   time.Time // last renewal, for the idle limit
	raised uint32    // fingerprint of the page for which the login was stepped up; 0: for none
	client string    // whom the provider let the user in to
	user   User
	authentication

	// Not in the record:
	registration *registration // that of issuer and client
	attached     attached      // for the request's context
}

func (s *session) encode() []byte {
	b := make([]byte, 1, 256+len(s.user.claims))
	b[0] = sessionVersion
	b = binary.BigEndian.AppendUint64(b, uint64(s.ends.Unix()))
	b = binary.BigEndian.AppendUint64(b, uint64(s.seen.Unix()))
	b = binary.BigEndian.AppendUint64(b, uint64(s.time.Unix()))
	b = binary.BigEndian.AppendUint32(b, s.raised)
	var flags byte
	if s.user.EmailVerified {
		flags |= flagEmailVerified
	}
	b = append(b, flags)
	u := &s.user
	for _, field := range [...]string{u.Issuer, s.client, u.Subject, s.acr, u.Name, u.Email, u.Picture} {
		b = appendString(b, field)
	}
	return append(b, u.claims...)
}

// decodeSession reads a record. One copy of it serves all strings of the user.
func decodeSession(b []byte) (*session, bool) {
	if len(b) < sessionFixed || b[0] != sessionVersion {
		return nil, false
	}
	s := &session{
		ends: time.Unix(int64(binary.BigEndian.Uint64(b[1:9])), 0),
		seen: time.Unix(int64(binary.BigEndian.Uint64(b[9:17])), 0),
	}
	s.time = time.Unix(int64(binary.BigEndian.Uint64(b[17:25])), 0)
	s.raised = binary.BigEndian.Uint32(b[25:29])
	u := &s.user
	u.EmailVerified = b[29]&flagEmailVerified != 0
	rest, ok := string(b[sessionFixed:]), true
	for _, field := range [...]*string{&u.Issuer, &s.client, &u.Subject, &s.acr, &u.Name, &u.Email, &u.Picture} {
		if *field, rest, ok = cutString(rest); !ok {
			return nil, false
		}
	}
	u.claims = rest
	return s, u.Issuer != "" && u.Subject != ""
}

// A vault carries the one sealed session of a browser. It sees only sealed
// values, and knows nothing of what they mean.
type vault interface {
	// read returns the sealed value, or "" if there is none that could be one.
	// An error means that the vault is out of order, not that nobody is there.
	read(r *http.Request) (string, error)
	// replace keeps a value under a new id, and forgets what was there before.
	replace(w http.ResponseWriter, r *http.Request, sealed string, maxAge time.Duration) error
	// renew keeps a new value under the same id.
	renew(w http.ResponseWriter, r *http.Request, sealed string, maxAge time.Duration) error
	// erase forgets the value. It writes nothing for those who have none.
	erase(w http.ResponseWriter, r *http.Request) error
}

// sessionSeal is the name that sessions are sealed under: none, because their
// purpose has keys of its own and a session may move from one vault to another.
const sessionSeal = ""

// sessionKeeper begins, finds and ends sessions.
type sessionKeeper struct {
	vault         vault
	sealer        *sealer
	registrations registrations // sessions of others are a stranger's
	lifetime      time.Duration // absolute
	idle          time.Duration // zero: none
	now           func() time.Time
}

var errSessionTooLarge = errors.New("the session does not fit in")

// load returns the session of a request, or nil if nobody is logged in. A value
// that does not open, or is over, is a stranger's.
func (s *sessionKeeper) load(r *http.Request) (*session, error) {
	sealed, err := s.vault.read(r)
	if err != nil {
		return nil, errStoreDown(err)
	}
	if sealed == "" {
		return nil, nil
	}
	record, ok := s.sealer.open(sessionSeal, sealed)
	if !ok {
		return nil, nil
	}
	found, ok := decodeSession(record)
	if !ok || s.over(found) {
		return nil, nil
	}
	if found.registration = s.registrations.of(found.user.Issuer, found.client); found.registration == nil {
		return nil, nil
	}
	return found, nil
}

func (s *sessionKeeper) over(found *session) bool {
	now := s.now()
	return !now.Before(found.ends) || s.idle > 0 && now.Sub(found.seen) >= s.idle
}

// start logs the user of fresh in, whom the provider of at knows. The session is
// a new one: its id, if the store has ids, was never seen before (RFC 6265bis
// section 8.4).
func (s *sessionKeeper) start(w http.ResponseWriter, r *http.Request, at *registration, fresh session) error {
	now := s.now()
	fresh.ends, fresh.seen, fresh.client = now.Add(s.lifetime), now, at.config.ClientID
	err := s.vault.replace(w, r, s.sealer.seal(sessionSeal, fresh.encode()), s.lifetime)
	switch {
	case errors.Is(err, errSessionTooLarge):
		return &Error{
			Status: http.StatusInternalServerError, Code: "session_too_large",
			Public: "Your profile is too large for this application, so you were not logged in. Please tell us.",
			Err:    err,
		}
	case err != nil:
		return errStoreDown(err)
	}
	return nil
}

// touch renews found when a quarter of the idle limit has passed, so that not
// every request writes a cookie. The absolute end stays where it is.
func (s *sessionKeeper) touch(w http.ResponseWriter, r *http.Request, found *session) error {
	if s.idle == 0 {
		return nil
	}
	now := s.now()
	if now.Sub(found.seen) < s.idle/4 {
		return nil
	}
	renewed := *found
	renewed.seen, renewed.raised = now, 0
	err := s.vault.renew(w, r, s.sealer.seal(sessionSeal, renewed.encode()), found.ends.Sub(now))
	if err != nil {
		return errStoreDown(err)
	}
	// A shared cache that keeps this answer hands out somebody's session.
	// The second header (RFC 9213) is for handlers that drop the first, as
	// net/http's file server does for an error.
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("CDN-Cache-Control", "no-store")
	return nil
}

func (s *sessionKeeper) end(w http.ResponseWriter, r *http.Request) error {
	if err := s.vault.erase(w, r); err != nil {
		return errStoreDown(err)
	}
	return nil
}
