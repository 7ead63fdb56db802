package vault

import (
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"github.com/gorilla/securecookie"
	gorilla "github.com/gorilla/sessions"
)

// storeKey is the key of the sealed value in a gorilla session. Key and value are
// strings, so that stores with gob and stores with JSON can both encode them.
const storeKey = "pixy"

// gorillaStore is the vault in any gorilla sessions.Store. It calls the store directly,
// not through gorilla's registry. The registry modifies the request while others read
// it, and would return a session that this request has ended.
type gorillaStore struct {
	store   gorilla.Store
	name    string
	cookies Kind
}

// InStore returns a vault that stores a value in store, with its id in the cookie name.
// The cookie is of the given kind.
func InStore(store gorilla.Store, name string, cookies Kind) Vault {
	return &gorillaStore{store: store, name: name, cookies: cookies}
}

// open returns the store's session. It is new if the request has no cookie, or one that
// the store does not know.
func (s *gorillaStore) open(r *http.Request) (*gorilla.Session, error) {
	found, err := s.store.New(r, s.name)
	if found == nil {
		if err == nil {
			err = errors.New("the store's New returned no session")
		}
		return nil, err
	}
	if err != nil && !isUnknown(err) {
		return nil, err
	}
	return found, nil
}

// isUnknown reports whether err means that the store does not know the cookie. Other
// errors mean that the store is unavailable.
func isUnknown(err error) bool {
	var single securecookie.Error
	var several securecookie.MultiError
	switch {
	case errors.As(err, &several): // one error for each key that did not fit; not all are typed
		return !several.IsUsage() && !several.IsInternal()
	case errors.As(err, &single):
		return single.IsDecode()
	}
	return isMissingFile(err)
}

// isMissingFile recognizes the error of gorilla's file store for an ended session. The
// error must be an [fs.PathError]: a missing socket of a server is also fs.ErrNotExist.
func isMissingFile(err error) bool {
	var file *fs.PathError
	return errors.As(err, &file) && errors.Is(file, fs.ErrNotExist)
}

// carried reports whether the request has one cookie that can be the store's. No
// browser keeps a cookie of more than 4096 bytes.
func (s *gorillaStore) carried(r *http.Request) bool {
	value, ok := Value(r, s.name)
	return ok && len(value) <= 4096
}

func (s *gorillaStore) Read(r *http.Request) (string, error) {
	if !s.carried(r) {
		return "", nil // anonymous requests never reach the store
	}
	found, err := s.open(r)
	if err != nil {
		return "", err
	}
	sealed, _ := found.Values[storeKey].(string)
	return sealed, nil
}

// Create gives the store a request without cookies. Some stores would take the id from
// the cookie, and the new session would have the id of the old one and end with it.
func (s *gorillaStore) Create(w http.ResponseWriter, r *http.Request, sealed string, life Life) error {
	fresh := gorilla.NewSession(s.store, s.name)
	fresh.IsNew = true
	fresh.Values[storeKey] = sealed
	fresh.Options = s.options(life.For)
	bare := r.WithContext(r.Context())
	bare.Header = make(http.Header)
	return s.save(bare, w, fresh, life)
}

func (s *gorillaStore) Forget(r *http.Request) error {
	return s.delete(Hold(), r)
}

// Renew does not restore a session that has ended. A Store cannot save a session only
// if it still exists, so Renew undoes a logout between New and Save. Revocations close
// that gap.
func (s *gorillaStore) Renew(w http.ResponseWriter, r *http.Request, sealed string, life Life) error {
	found, err := s.open(r)
	if err != nil {
		return err
	}
	if found.IsNew {
		return nil // the session has ended meanwhile: do not restore it
	}
	found.Values[storeKey] = sealed
	found.Options = s.options(life.For)
	return s.save(r, w, found, life)
}

// save saves a session. Its cookie replaces one that the response has already. A Store has
// one lifetime for the record and the cookie. So if the cookie is to end with the browser,
// save changes it.
func (s *gorillaStore) save(r *http.Request, w http.ResponseWriter, session *gorilla.Session, life Life) error {
	held := Hold()
	if err := s.store.Save(r, held, session); err != nil {
		return tooLarge(err)
	}
	if life.EndsWithBrowser {
		held.endWithBrowser()
	}
	held.Release(w)
	return nil
}

func (s *gorillaStore) Erase(w http.ResponseWriter, r *http.Request) error {
	if !Has(r, s.name) {
		return nil
	}
	if err := s.Forget(r); err != nil {
		return err
	}
	// Remove the cookie also if the store does not know it.
	unset(w.Header(), s.name)
	http.SetCookie(w, gorilla.NewCookie(s.name, "", s.options(-time.Second)))
	return nil
}

// delete removes the browser's session from the store, if it has one.
func (s *gorillaStore) delete(w http.ResponseWriter, r *http.Request) error {
	if !s.carried(r) {
		return nil
	}
	found, err := s.open(r)
	if err != nil || found.IsNew {
		return err
	}
	found.Options = s.options(-time.Second)
	err = s.store.Save(r, w, found)
	if isMissingFile(err) {
		return nil // another request was faster
	}
	return err
}

// options returns complete options, so that no default of a store applies: those of
// gorilla's own stores are SameSite=None and not HttpOnly.
func (s *gorillaStore) options(maxAge time.Duration) *gorilla.Options {
	return &gorilla.Options{
		Path: s.cookies.Path, Domain: s.cookies.Domain, MaxAge: int(maxAge.Seconds()),
		Secure: s.cookies.Secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// tooLarge recognizes the errors of stores for a session that does not fit, and wraps
// them in [ErrTooLarge]. No store has a type for it: securecookie's error is one of
// those of its keys, and redistore's is a text.
func tooLarge(err error) error {
	if err == nil {
		return nil
	}
	var several securecookie.MultiError
	unfit := errors.As(err, &several) && !several.IsUsage() && !several.IsInternal()
	if unfit || strings.HasSuffix(err.Error(), "the value to store is too big") {
		return fmt.Errorf("%w the store, which may have a MaxLength to raise: %w", ErrTooLarge, err)
	}
	return err
}
