package vault

import (
	"errors"
	"net/http"
	"time"
)

// A Vault carries one sealed value of a browser: its session, its tokens. It
// knows nothing of what they mean.
type Vault interface {
	// Read returns the sealed value, or "" if there is none that could be one.
	// An error means that the vault is out of order, not that nobody is there.
	Read(r *http.Request) (string, error)
	// Create keeps a value under a new id. What was there before is there until
	// Forget.
	Create(w http.ResponseWriter, r *http.Request, sealed string, maxAge time.Duration) error
	// Forget gives up what the browser came with.
	Forget(r *http.Request) error
	// Renew keeps a new value under the same id.
	Renew(w http.ResponseWriter, r *http.Request, sealed string, maxAge time.Duration) error
	// Erase forgets the value. It writes nothing for those who have none.
	Erase(w http.ResponseWriter, r *http.Request) error
}

const (
	// MaxValue leaves room for the name within the 4096 bytes that browsers
	// accept (RFC 6265bis section 5.6).
	MaxValue = 3900

	// maxParts keeps a session under the 8 KB that common proxies accept as a
	// Cookie header: one that they refuse would lock its user out of the whole site,
	// with an error page that says nothing. Logins in flight come on top, and at the
	// logout path the hint; the README says what to allow for.
	maxParts = 2

	// maxBytes is the same for a session and its tokens together.
	maxBytes = 8000
)

// ErrTooLarge is wrapped by what Create and Renew return for a value that does not
// fit. Its text goes on with what it is too large for.
var ErrTooLarge = errors.New("too large for")
