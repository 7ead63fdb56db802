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
	// attemptLifetime is how long a user may take at the provider. It is long enough for
	// a second factor and a forgotten password. It is short enough that an abandoned
	// browser holds nothing of use.
	attemptLifetime = 10 * time.Minute

	// These are the maximum number and the maximum size of the attempts in one browser.
	// The oldest is dropped first. Its callback starts one new login, which ends at Home.
	// Servers and proxies refuse requests whose headers exceed about 8 KB.
	maxAttempts     = 8
	maxAttemptBytes = 4 << 10

	// maxShortReturnTo is the maximum size of a return-to in the attempt's own cookie, in
	// bytes. A longer one goes into a cookie that all attempts share, unless that cookie
	// is in use and the attempts still have room. Otherwise tabs that a browser restores
	// at once would add 3 KB each, and a proxy would refuse all requests. The last of
	// these logins returns to its page; the others end at Home.
	maxShortReturnTo = 256

	// maxEvictions limits how many cookies one response removes, so that a request with
	// thousands of cookies does not get thousands of headers.
	maxEvictions = 32

	attemptVersion = 2

	// restartMark ends the state of an attempt that replaces a lost one. It is in the
	// state and not in a cookie, because it must stop a second restart in browsers that
	// keep no cookies.
	restartMark = "-r"

	// payloadMark ends the state of an attempt with a payload. Such an attempt is never
	// replaced by a login without its payload: the user wants to link an account, say, and
	// not to log in with it. It is in the state, because the payload is lost together with
	// the attempt.
	payloadMark = "-p"
)

// An attempt is one login in progress: the values that are needed when the browser
// returns from the provider. It is sealed in a cookie of its own, so that several tabs
// can log in at once, on any replica.
type attempt struct {
	state    string // ties the callback to this record (RFC 6749 section 10.12)
	nonce    string // ties the ID token to this record (OpenID Connect Core 15.5.2)
	verifier string // proves that the same client starts and completes the login (RFC 7636)
	provider string // id of the provider's registration: issuer and client (RFC 9700 section 4.4)
	name     string // name of a looked-up provider; empty: a listed one
	returnTo string // page where the login ends
	maxAge   string // max_age as sent, in seconds; empty: none
	acr      string // acr_values, one of which is required; empty: any
	required bool   // maxAge and acr come from a Requirement
	guarded  bool   // started by a guard for an anonymous request
	excused  bool   // started by a guard, just after a login ended at the same page
	silent   bool   // sent with prompt=none
	payload  string // LoginOptions.Payload
	key      string // thumbprint of the DPoP key for the tokens; empty: the current one, if any
	begun    time.Time

	// Of this request, and not in the record, which opens on one host only:
	host        string
	redirectURL string
}

// newAttempt returns an attempt with a new state, nonce and verifier. Each is 32 random
// bytes, encoded as 43 characters of base64url, as RFC 7636 section 4.1 recommends.
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

// randomTexts returns up to three random texts of 43 characters, concatenated. A login
// needs three, and this way they cost one allocation.
func randomTexts(n int) string {
	var random [3 * 32]byte
	var text [3 * 43]byte
	rand.Read(random[:32*n]) // never returns an error
	for i := range n {
		base64.RawURLEncoding.Encode(text[43*i:], random[32*i:32*(i+1)])
	}
	return string(text[:43*n])
}

// wellFormedState reports whether a state has the form of ours, and whether it belongs to
// a restarted attempt or to one with a payload. It proves nothing. No random text ends
// like a mark, because the last of 43 characters is neither r nor p.
func wellFormedState(state string) (restarted, withPayload, ok bool) {
	state, withPayload = strings.CutSuffix(state, payloadMark)
	state, restarted = strings.CutSuffix(state, restartMark)
	return restarted, withPayload, isRandomText(state)
}

// isRandomText reports whether s has the form of a text of randomTexts.
func isRandomText(s string) bool {
	raw, err := base64url.Decode(s)
	return err == nil && len(raw) == 32
}

// request returns the attempt's values for the authorization request.
func (a *attempt) request() provider.Request {
	return provider.Request{
		State: a.state, Nonce: a.nonce, Verifier: a.verifier, Key: a.key,
		MaxAge: a.maxAge, ACR: a.acr, Required: a.required, Begun: a.begun, RedirectURL: a.redirectURL,
	}
}

func (a *attempt) expired(now time.Time) bool {
	// Clocks of replicas may differ, so an attempt from the near future is valid.
	return now.Sub(a.begun).Abs() > attemptLifetime
}

// flags returns the attempt's flags as bits.
func (a *attempt) flags() (flags byte) {
	for i, set := range [...]bool{a.required, a.guarded, a.excused, a.silent} {
		if set {
			flags |= 1 << i
		}
	}
	return flags
}

// encode encodes the attempt as version, time and flags, and then length-prefixed
// strings.
func (a *attempt) encode() []byte {
	b := make([]byte, 1, 512)
	b[0] = attemptVersion
	b = binary.BigEndian.AppendUint64(b, uint64(a.begun.UnixNano()))
	b = append(b, a.flags())
	for _, s := range []string{a.state, a.nonce, a.verifier, a.provider, a.returnTo, a.maxAge, a.acr, a.payload, a.key, a.name} {
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
	for _, s := range []*string{&a.state, &a.nonce, &a.verifier, &a.provider, &a.returnTo, &a.maxAge, &a.acr, &a.payload, &a.key, &a.name} {
		if *s, rest, ok = seal.CutString(rest); !ok {
			return nil, false
		}
	}
	return a, rest == "" && a.state != "" && a.nonce != "" && a.verifier != ""
}

// attempts keeps the attempts of each browser in its cookies. They are never in a Store,
// because anonymous requests could fill it.
type attempts struct {
	on      hostSeal
	prefix  string // of the cookies' names
	long    string // name of the cookie for a long return-to
	browser string // name of the cookie for the browser's key
	chosen  string // name of the cookie of a user who is to choose a provider
	cookies vault.Kind
}

// cookieName derives the cookie's name from the state, so that the callback finds its
// attempt without opening the others. The name does not reveal the state.
func (s *attempts) cookieName(state string) string {
	sum := sha256.Sum256([]byte(state))
	return s.prefix + base64url.Encode(sum[:9])
}

// save adds a to the browser's attempts, and drops the oldest if there are too many.
func (s *attempts) save(w http.ResponseWriter, r *http.Request, a *attempt) {
	name := s.cookieName(a.state)
	value := s.on(r).Seal(name, a.encode())
	page, taken := vault.Value(r, s.long)
	if len(a.returnTo) > maxShortReturnTo && (!taken || len(name)+len(value)+len(page) > maxAttemptBytes) {
		short := *a
		short.returnTo = ""
		value = s.on(r).Seal(name, short.encode())
		page = s.on(r).Seal(s.long+a.state, []byte(a.returnTo))
		s.cookies.Set(w, s.long, page, attemptLifetime)
	}
	if len(name)+len(value)+len(page) > maxAttemptBytes { // a payload may leave no room for a long return-to
		s.cookies.Remove(w, s.long)
		page = ""
	}
	s.evict(w, r, name, len(name)+len(value), len(page))
	s.cookies.Set(w, name, value, attemptLifetime)
}

// longReturnTo returns the return-to of an attempt from the shared cookie.
func (s *attempts) longReturnTo(r *http.Request, state string) (string, bool) {
	value, ok := vault.Value(r, s.long)
	if !ok {
		return "", false
	}
	return s.on(r).Open(s.long+state, value)
}

// evict drops the oldest attempts while there are too many. The attempt named beside
// stays; it has size bytes, or zero if the caller removes it. More is the size of other
// cookies, in bytes. A browser that restores its tabs sends many requests at once. None
// of them has the attempts of the others, so each response adds one. The next callback or
// login finds them all.
func (s *attempts) evict(w http.ResponseWriter, r *http.Request, beside string, size, more int) {
	most := maxAttempts
	if size > 0 {
		most--
	}
	size += more
	type waiting struct {
		name  string
		size  int
		begun time.Time // zero if the cookie does not open, so that it is dropped first
	}
	var all []waiting
	for name, value := range vault.WithPrefix(r, s.prefix) {
		if name == beside {
			continue
		}
		if _, err := base64url.Decode(name[len(s.prefix):]); err != nil {
			continue // not a name of ours, and maybe one that no response can remove
		}
		item := waiting{name: name, size: len(name) + len(value)}
		if b, ok := s.on(r).Open(name, value); ok {
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

// find returns the attempt of state, even if it has expired, or nil. The cookie was found
// by a hash, so find compares the state itself in constant time.
func (s *attempts) find(r *http.Request, state string) *attempt {
	name := s.cookieName(state)
	value, ok := vault.Value(r, name)
	if !ok {
		return nil
	}
	b, ok := s.on(r).Open(name, value)
	if !ok {
		return nil
	}
	a, ok := decodeAttempt(b)
	if !ok || subtle.ConstantTimeCompare([]byte(a.state), []byte(state)) != 1 {
		return nil
	}
	if a.returnTo == "" { // empty if another login has replaced the shared cookie
		a.returnTo, _ = s.longReturnTo(r, state)
	}
	return a
}

// remove deletes the attempt of state, because each attempt is used once. It also drops
// the oldest other attempts if there are too many.
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
