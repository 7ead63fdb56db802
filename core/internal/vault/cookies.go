package vault

import (
	"fmt"
	"net/http"
	"strconv"
)

// cookieStore is the vault that needs no server. The sealed value is in the browser's
// cookies, in parts if it is large. The first character of the first part is the number
// of parts. The parts are sealed as one value, so it does not open if a part is missing,
// doubled, swapped or of another value.
type cookieStore struct {
	name    string
	cookies Kind
}

// InCookies returns a vault that stores a value in cookies of one kind. The name of the
// first one is name.
func InCookies(name string, cookies Kind) Vault {
	return &cookieStore{name: name, cookies: cookies}
}

// partName is the name of the i-th cookie, counted from one.
func (s *cookieStore) partName(i int) string {
	if i == 1 {
		return s.name
	}
	return s.name + "-" + strconv.Itoa(i)
}

func (s *cookieStore) Read(r *http.Request) (string, error) {
	value, ok := Value(r, s.name)
	if !ok || value == "" || len(value) > MaxValue {
		return "", nil
	}
	parts := int(value[0]) - '0' // checked before anything else is read
	if parts < 1 || parts > maxParts {
		return "", nil
	}
	sealed := value[1:]
	for i := 2; i <= parts; i++ {
		part, ok := Value(r, s.partName(i))
		if !ok || len(part) > MaxValue {
			return "", nil
		}
		sealed += part
	}
	return sealed, nil
}

func (s *cookieStore) Create(w http.ResponseWriter, r *http.Request, sealed string, life Life) error {
	parts := (1 + len(sealed) + MaxValue - 1) / MaxValue
	if parts > maxParts {
		return fmt.Errorf("%w %d cookies: %d bytes when sealed", ErrTooLarge, maxParts, len(sealed))
	}
	value := strconv.Itoa(parts) + sealed
	for i := 1; i <= parts; i++ {
		n := min(len(value), MaxValue)
		s.cookies.Keep(w, s.partName(i), value[:n], life)
		value = value[n:]
	}
	s.expire(w, r, parts+1)
	return nil
}

// Forget does nothing: Create has replaced the former cookies.
func (s *cookieStore) Forget(*http.Request) error { return nil }

// Renew is Create, because a sealed cookie has no id.
func (s *cookieStore) Renew(w http.ResponseWriter, r *http.Request, sealed string, life Life) error {
	return s.Create(w, r, sealed, life)
}

func (s *cookieStore) Erase(w http.ResponseWriter, r *http.Request) error {
	s.expire(w, r, 1)
	return nil
}

// expire removes the parts of the browser from number first on.
func (s *cookieStore) expire(w http.ResponseWriter, r *http.Request, first int) {
	for i := first; i <= maxParts; i++ {
		if name := s.partName(i); Has(r, name) {
			s.cookies.Remove(w, name)
		}
	}
}
