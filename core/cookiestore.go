package core

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

const (
	// maxCookieValue leaves room for the name within the 4096 bytes that browsers
	// accept (RFC 6265bis section 5.6).
	maxCookieValue = 3900

	// maxCookieParts keeps a session under the 8 KB that common proxies accept as a
	// Cookie header: one that they refuse would lock its user out of the whole site,
	// with an error page that says nothing. Logins in flight come on top, and at the
	// logout path the hint; the README says what to allow for.
	maxCookieParts = 2

	// maxCookieBytes is the same for a session and its tokens together.
	maxCookieBytes = 8000
)

// cookieStore is the vault that needs nothing to run: the sealed value is in
// the browser's cookies, in parts when it is large. The first character of the
// first part says how many there are. The parts are sealed as one value, so a
// part that is missing, doubled, swapped or foreign spoils the whole.
type cookieStore struct {
	name    string
	cookies cookieKind
}

// partName is the name of the i-th cookie, counted from one.
func (s *cookieStore) partName(i int) string {
	if i == 1 {
		return s.name
	}
	return s.name + "-" + strconv.Itoa(i)
}

func (s *cookieStore) read(r *http.Request) (string, error) {
	value, ok := cookieValue(r, s.name)
	if !ok || value == "" || len(value) > maxCookieValue {
		return "", nil
	}
	parts := int(value[0]) - '0' // capped before anything else is read
	if parts < 1 || parts > maxCookieParts {
		return "", nil
	}
	sealed := value[1:]
	for i := 2; i <= parts; i++ {
		part, ok := cookieValue(r, s.partName(i))
		if !ok || len(part) > maxCookieValue {
			return "", nil
		}
		sealed += part
	}
	return sealed, nil
}

func (s *cookieStore) create(w http.ResponseWriter, r *http.Request, sealed string, maxAge time.Duration) error {
	parts := (1 + len(sealed) + maxCookieValue - 1) / maxCookieValue
	if parts > maxCookieParts {
		return fmt.Errorf("%w %d cookies: %d bytes when sealed", errTooLarge, maxCookieParts, len(sealed))
	}
	value := strconv.Itoa(parts) + sealed
	for i := 1; i <= parts; i++ {
		n := min(len(value), maxCookieValue)
		s.cookies.set(w, s.partName(i), value[:n], maxAge)
		value = value[n:]
	}
	s.expire(w, r, parts+1)
	return nil
}

// forget has nothing to do: what is new is in the place of the former.
func (s *cookieStore) forget(*http.Request) error { return nil }

// renew is create: a sealed cookie has no id.
func (s *cookieStore) renew(w http.ResponseWriter, r *http.Request, sealed string, maxAge time.Duration) error {
	return s.create(w, r, sealed, maxAge)
}

func (s *cookieStore) erase(w http.ResponseWriter, r *http.Request) error {
	s.expire(w, r, 1)
	return nil
}

// expire removes the browser's parts from the first-th on.
func (s *cookieStore) expire(w http.ResponseWriter, r *http.Request, first int) {
	for i := first; i <= maxCookieParts; i++ {
		if name := s.partName(i); hasCookie(r, name) {
			s.cookies.remove(w, name)
		}
	}
}
