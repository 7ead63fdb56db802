package core

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/pixyauth/pixy/core/internal/base64url"
	"github.com/pixyauth/pixy/core/internal/provider"
	"github.com/pixyauth/pixy/core/internal/seal"
	"github.com/pixyauth/pixy/core/internal/vault"
)

const (
	// attemptLifetime is how long a person may take at the provider: long enough
	// for a second factor and a forgotten password, short enough that a browser
	// left behind holds nothing of use.
	attemptLifetime = 10 * time.Minute

	// At most this many attempts, and this many bytes of them, wait in one
	// browser; the oldest goes when another comes. Its callback begins one new login,
	// which ends at Home. Servers and proxies refuse requests whose headers exceed
	// 8 KB or so.
	maxAttempts     = 8
	maxAttemptBytes = 4 << 10

	// A return-to with more bytes goes into a cookie that all attempts share, unless
	// another's is there and both have room. Tabs that a browser restores at once would
	// otherwise add 3 KB each, and a proxy would refuse all its requests. The last of
	// them comes back to its page, the others end at Home.
	maxShortReturnTo = 256

	// maxEvictions bounds how many cookies one answer takes away: whoever sends
	// thousands must not get thousands of headers back.
	maxEvictions = 32

	attemptVersion = 1

	// restartMark ends the state of an attempt that was begun to heal a lost one.
	// It is in the state and not in a cookie, because a browser that keeps no
	// cookies is what must not be sent around for ever.
	restartMark = "-r"
)

// An attempt is one login in flight: what has to be known when the browser
// comes back from the provider. It travels sealed in a cookie of its own, so
// that any number of tabs can log in at once, on any replica.
type attempt struct {
	state    string // ties the callback to this record (RFC 6749 section 10.12)
	nonce    string // ties the ID token to this record (OpenID Connect Core 15.5.2)
	verifier string // proves that who began the login finishes it (RFC 7636)
	provider string // whose answer is awaited: issuer and client (RFC 9700 section 4.4)
	returnTo string // where the browser wants to go
	maxAge   string // max_age as it was sent, in seconds; empty: none
	acr      string // acr_values of which one is needed; empty: any will do
	required bool   // maxAge and acr are a Requirement's
	guarded  bool   // begun by a guard that found nobody
	excused  bool   // begun once more after a login that has just ended at the same page
	silent   bool   // sent with prompt=none
	begun    time.Time
}

// newAttempt draws state, nonce and verifier: 32 random bytes each, written as
// 43 characters of base64url, as RFC 7636 section 4.1 recommends.
func newAttempt(provider, returnTo string, restart bool, now time.Time) *attempt {
	random := randomTexts(3)
	a := &attempt{
		state: random[:43], nonce: random[43:86], verifier: random[86:],
		provider: provider, returnTo: returnTo, begun: now,
	}
	if restart {
		a.state += restartMark
	}
	return a
}

// randomTexts returns up to three texts of 43 characters, one behind the other:
// a login needs them all, and this takes one piece of memory.
func randomTexts(n int) string {
	var random [3 * 32]byte
	var text [3 * 43]byte
	rand.Read(random[:32*n]) // never fails: the program ends instead
	for i := range n {
		base64.RawURLEncoding.Encode(text[43*i:], random[32*i:32*(i+1)])
	}
	return string(text[:43*n])
}

// wellFormedState reports whether a state looks like one of ours, and whether
// it belongs to a restarted attempt. It proves nothing.
func wellFormedState(state string) (restarted, ok bool) {
	random, restarted := strings.CutSuffix(state, restartMark)
	raw, err := base64url.Decode(random)
	return restarted, err == nil && len(raw) == 32
}

// request is what the attempt asks the provider for.
func (a *attempt) request() provider.Request {
	return provider.Request{
		State: a.state, Nonce: a.nonce, Verifier: a.verifier,
		MaxAge: a.maxAge, ACR: a.acr, Required: a.required, Begun: a.begun,
	}
}

func (a *attempt) expired(now time.Time) bool {
	// Replicas' clocks differ: an attempt from the near future is as good.
	return now.Sub(a.begun).Abs() > attemptLifetime
}

// flags are the attempt's bits in its record.
func (a *attempt) flags() (flags byte) {
	for i, set := range [...]bool{a.required, a.guarded, a.excused, a.silent} {
		if set {
			flags |= 1 << i
		}
	}
	return flags
}

// encode lays the attempt out as version, time, flags, then length-prefixed strings.
func (a *attempt) encode() []byte {
	b := make([]byte, 1, 512)
	b[0] = attemptVersion
	b = binary.BigEndian.AppendUint64(b, uint64(a.begun.UnixNano()))
	b = append(b, a.flags())
	for _, s := range []string{a.state, a.nonce, a.verifier, a.provider, a.returnTo, a.maxAge, a.acr} {
		b = seal.AppendString(b, s)
	}
	return b
}

func decodeAttempt(b string) (*attempt, bool) {
	if len(b) < 10 || b[0] != attemptVersion {
		return nil, false
	}
	a := &attempt{begun: time.Unix(0, int64(seal.Uint64At(b, 1))), required: b[9]&1 != 0, guarded: b[9]&2 != 0, excused: b[9]&4 != 0, silent: b[9]&8 != 0}
	rest, ok := b[10:], true
	for _, s := range []*string{&a.state, &a.nonce, &a.verifier, &a.provider, &a.returnTo, &a.maxAge, &a.acr} {
		if *s, rest, ok = seal.CutString(rest); !ok {
			return nil, false
		}
	}
	return a, rest == "" && a.state != "" && a.nonce != "" && a.verifier != ""
}

// attempts keeps the attempts of each browser in its cookies. They are never in
// a Store: a stranger must not be able to fill it.
type attempts struct {
	sealer  *seal.Sealer
	prefix  string // of the cookies' names
	long    string // name of the cookie for a long return-to
	cookies vault.Kind
}

// cookieName is derived from the state, so that the callback finds its attempt
// without opening the others; the state itself stays out of the name.
func (s *attempts) cookieName(state string) string {
	sum := sha256.Sum256([]byte(state))
	return s.prefix + base64url.Encode(sum[:9])
}

// save adds a to the browser's attempts, and drops the oldest if they are too many.
func (s *attempts) save(w http.ResponseWriter, r *http.Request, a *attempt) {
	name := s.cookieName(a.state)
	value := s.sealer.Seal(name, a.encode())
	page, taken := vault.Value(r, s.long)
	if len(a.returnTo) > maxShortReturnTo && (!taken || len(name)+len(value)+len(page) > maxAttemptBytes) {
		short := *a
		short.returnTo = ""
		value = s.sealer.Seal(name, short.encode())
		page = s.sealer.Seal(s.long+a.state, []byte(a.returnTo))
		s.cookies.Set(w, s.long, page, attemptLifetime)
	}
	s.evict(w, r, name, len(name)+len(value), len(page))
	s.cookies.Set(w, name, value, attemptLifetime)
}

// longReturnTo is the return-to that the attempt of state has in a cookie of its own.
func (s *attempts) longReturnTo(r *http.Request, state string) (string, bool) {
	value, ok := vault.Value(r, s.long)
	if !ok {
		return "", false
	}
	return s.sealer.Open(s.long+state, value)
}

// evict drops the oldest attempts that are too many beside the one of a name, which
// has size bytes: zero if it is about to go. A browser that restores its tabs sends
// many requests at once, none of which has the others' attempts, so that all answers
// add one. The next callback, or the next login, finds them all. More is what else
// there is, in bytes.
func (s *attempts) evict(w http.ResponseWriter, r *http.Request, beside string, size, more int) {
	most := maxAttempts
	if size > 0 {
		most--
	}
	size += more
	type waiting struct {
		name  string
		size  int
		begun time.Time // zero for what does not open: it goes first
	}
	var all []waiting
	for name, value := range vault.WithPrefix(r, s.prefix) {
		if name == beside {
			continue
		}
		if _, err := base64url.Decode(name[len(s.prefix):]); err != nil {
			continue // no name of ours, and perhaps one that no answer can take away
		}
		item := waiting{name: name, size: len(name) + len(value)}
		if b, ok := s.sealer.Open(name, value); ok {
			if a, ok := decodeAttempt(b); ok {
				item.begun = a.begun
			}
		}
		all = append(all, item)
		size += item.size
	}
	slices.SortFunc(all, func(a, b waiting) int { return a.begun.Compare(b.begun) })
	for range min(len(all), maxEvictions) {
		if len(all) <= most && size <= maxAttemptBytes {
			return
		}
		s.cookies.Remove(w, all[0].name)
		size -= all[0].size
		all = all[1:]
	}
}

// find returns the attempt that state belongs to, expired or not, or nil. It
// compares in constant time what it has found by a hash.
func (s *attempts) find(r *http.Request, state string) *attempt {
	name := s.cookieName(state)
	value, ok := vault.Value(r, name)
	if !ok {
		return nil
	}
	b, ok := s.sealer.Open(name, value)
	if !ok {
		return nil
	}
	a, ok := decodeAttempt(b)
	if !ok || subtle.ConstantTimeCompare([]byte(a.state), []byte(state)) != 1 {
		return nil
	}
	if a.returnTo == "" { // or another login's has taken its place
		a.returnTo, _ = s.longReturnTo(r, state)
	}
	return a
}

// remove deletes the attempt that state belongs to, because each is used once, and
// drops the oldest others if they are too many.
func (s *attempts) remove(w http.ResponseWriter, r *http.Request, state string) {
	name := s.cookieName(state)
	page, _ := vault.Value(r, s.long)
	if _, ok := s.longReturnTo(r, state); ok {
		s.cookies.Remove(w, s.long)
		page = ""
	}
	s.evict(w, r, name, 0, len(page))
	s.cookies.Remove(w, name)
}
