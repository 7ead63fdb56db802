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

// storeKey is the one key under which a Store carries the sealed session. Key
// and value are strings, so that gob and JSON stores both carry them.
const storeKey = "pixy"

// gorillaStore is the vault in any gorilla sessions.Store. It asks the store
// and not gorilla's registry: the registry changes the request under its reader
// and would show a session that this very request has ended.
type gorillaStore struct {
	store  gorilla.Store
	name   string
	secure bool
}

// InStore returns the vault that keeps a value in a store, under the cookie name.
func InStore(store gorilla.Store, name string, secure bool) Vault {
	return &gorillaStore{store: store, name: name, secure: secure}
}

// open returns the store's session: a new one for a stranger, that is for
// whoever carries no cookie or one that the store does not know.
func (s *gorillaStore) open(r *http.Request) (*gorilla.Session, error) {
	found, err := s.store.New(r, s.name)
	if found == nil {
		if err == nil {
			err = errors.New("New returned no session")
		}
		return nil, err
	}
	if err != nil && !isStranger(err) {
		return nil, err
	}
	return found, nil
}

// isStranger tells a cookie that means nothing to the store from a store that
// is out of order.
func isStranger(err error) bool {
	var single securecookie.Error
	var several securecookie.MultiError
	switch {
	case errors.As(err, &several): // one for each key that did not fit; not all are typed
		return !several.IsUsage() && !several.IsInternal()
	case errors.As(err, &single):
		return single.IsDecode()
	}
	return isMissingFile(err)
}

// isMissingFile recognises the file store's word for an ended session. The error
// must be about a file: a server whose socket is gone does not exist either.
func isMissingFile(err error) bool {
	var file *fs.PathError
	return errors.As(err, &file) && errors.Is(file, fs.ErrNotExist)
}

// carried reports whether the request has one cookie that can be the store's:
// no browser keeps one of more than 4096 bytes.
func (s *gorillaStore) carried(r *http.Request) bool {
	value, ok := Value(r, s.name)
	return ok && len(value) <= 4096
}

func (s *gorillaStore) Read(r *http.Request) (string, error) {
	if !s.carried(r) {
		return "", nil // a stranger costs the store nothing
	}
	found, err := s.open(r)
	if err != nil {
		return "", err
	}
	sealed, _ := found.Values[storeKey].(string)
	return sealed, nil
}

// Create shows the store no cookie: some would take the id from there, and the
// new session would have the old one's id, and end with it.
func (s *gorillaStore) Create(w http.ResponseWriter, r *http.Request, sealed string, maxAge time.Duration) error {
	fresh := gorilla.NewSession(s.store, s.name)
	fresh.IsNew = true
	fresh.Values[storeKey] = sealed
	fresh.Options = s.options(maxAge)
	bare := r.WithContext(r.Context())
	bare.Header = make(http.Header)
	return tooLarge(s.store.Save(bare, w, fresh))
}

func (s *gorillaStore) Forget(r *http.Request) error {
	return s.delete(Hold(), r)
}

// Renew does not bring a session back that has ended. A Store has no way to save
// only what still exists, so a logout between New and Save is undone: Revocations
// close that gap.
func (s *gorillaStore) Renew(w http.ResponseWriter, r *http.Request, sealed string, maxAge time.Duration) error {
	found, err := s.open(r)
	if err != nil {
		return err
	}
	if found.IsNew {
		return nil // ended meanwhile: do not bring it back
	}
	found.Values[storeKey] = sealed
	found.Options = s.options(maxAge)
	return tooLarge(s.store.Save(r, w, found))
}

func (s *gorillaStore) Erase(w http.ResponseWriter, r *http.Request) error {
	if !Has(r, s.name) {
		return nil
	}
	if err := s.Forget(r); err != nil {
		return err
	}
	// Also for a cookie that the store does not know.
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

// options sets all of them, each time: the defaults of gorilla's own stores
// are SameSite=None and not HttpOnly.
func (s *gorillaStore) options(maxAge time.Duration) *gorilla.Options {
	return &gorilla.Options{
		Path: "/", MaxAge: int(maxAge.Seconds()),
		Secure: s.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// tooLarge recognises what stores say of a session that does not fit. None has a
// type of its own for it: securecookie's error is one among those of its keys,
// and redistore's is a text.
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
