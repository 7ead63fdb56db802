package vault

import (
	"errors"
	"net/http"
	"time"
)

// A Vault stores one sealed value for a browser: its session, or its tokens. It does
// not know what the value means.
type Vault interface {
	// Read returns the sealed value, or "" if the request has none. An error means
	// that the vault is unavailable, not that the request is anonymous.
	Read(r *http.Request) (string, error)
	// Create stores a value under a new id. The former value exists until Forget.
	Create(w http.ResponseWriter, r *http.Request, sealed string, life Life) error
	// Forget deletes the value that the request carries.
	Forget(r *http.Request) error
	// Renew stores a new value under the same id.
	Renew(w http.ResponseWriter, r *http.Request, sealed string, life Life) error
	// Erase deletes the value and its cookies. It writes nothing if the request has
	// none.
	Erase(w http.ResponseWriter, r *http.Request) error
}

// Put stores a value: under the id that the request carries if same is set, and under a
// new one otherwise.
func Put(in Vault, w http.ResponseWriter, r *http.Request, sealed string, life Life, same bool) error {
	if same {
		return in.Renew(w, r, sealed, life)
	}
	return in.Create(w, r, sealed, life)
}

// A Life says how long a value is kept.
type Life struct {
	For             time.Duration // by the store, and by the browser as Max-Age
	EndsWithBrowser bool          // the cookie has no Max-Age, so the browser drops it when it ends
}

const (
	// MaxValue leaves room for the name within the 4096 bytes that browsers
	// accept (RFC 6265bis section 5.6).
	MaxValue = 3900

	// maxParts keeps a session below the 8 KB that common proxies accept as a Cookie
	// header. A larger header would lock the user out of the whole site, with an error
	// page that does not explain it. Logins in progress add to it, and at the logout
	// path the hint; the README says what to allow for.
	maxParts = 2

	// maxBytes is the limit for the cookies of a session and its tokens together.
	maxBytes = 8000
)

// ErrTooLarge is wrapped by the errors of Create and Renew for a value that does not
// fit. The text of such an error continues with what the value is too large for.
var ErrTooLarge = errors.New("too large for")
