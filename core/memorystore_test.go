package core_test

import (
	"bytes"
	"encoding/gob"
	"net/http"
	"sync"

	"github.com/gorilla/securecookie"
	"github.com/gorilla/sessions"
)

// memoryStore is a server-side store whose operations are counted.
type memoryStore struct {
	codec securecookie.Codec

	mu     sync.Mutex
	values map[string][]byte
	reads  int
	writes int
	down   error
	nobody bool // New gives nil
}

func newMemoryStore() *memoryStore {
	return &memoryStore{codec: securecookie.New([]byte("store-key"), nil), values: make(map[string][]byte)}
}

func (s *memoryStore) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(s, name)
}

func (s *memoryStore) New(r *http.Request, name string) (*sessions.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.nobody {
		return nil, nil
	}
	session := sessions.NewSession(s, name)
	session.Options = &sessions.Options{Path: "/elsewhere", SameSite: http.SameSiteNoneMode} // a careless default
	session.IsNew = true
	cookie, err := r.Cookie(name)
	if err != nil {
		return session, nil
	}
	s.reads++
	if s.down != nil {
		return session, s.down
	}
	if err := s.codec.Decode(name, cookie.Value, &session.ID); err != nil {
		return session, err
	}
	if value, ok := s.values[session.ID]; ok {
		session.IsNew = false
		return session, gob.NewDecoder(bytes.NewReader(value)).Decode(&session.Values)
	}
	return session, nil
}

func (s *memoryStore) Save(_ *http.Request, w http.ResponseWriter, session *sessions.Session) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	if s.down != nil {
		return s.down
	}
	if session.Options.MaxAge <= 0 {
		delete(s.values, session.ID)
		http.SetCookie(w, sessions.NewCookie(session.Name(), "", session.Options))
		return nil
	}
	if session.ID == "" {
		session.ID = string(securecookie.GenerateRandomKey(16))
	}
	var value bytes.Buffer
	if err := gob.NewEncoder(&value).Encode(session.Values); err != nil {
		return err
	}
	s.values[session.ID] = value.Bytes()
	encoded, err := s.codec.Encode(session.Name(), session.ID)
	if err != nil {
		return err
	}
	http.SetCookie(w, sessions.NewCookie(session.Name(), encoded, session.Options))
	return nil
}

// A thriftyStore saves under the id in the request's cookie, if it knows it, as
// gormstore does.
type thriftyStore struct{ *memoryStore }

func (s thriftyStore) Save(r *http.Request, w http.ResponseWriter, session *sessions.Session) error {
	if found, err := s.New(r, session.Name()); err == nil && !found.IsNew {
		session.ID = found.ID
	}
	return s.memoryStore.Save(r, w, session)
}

// fail makes every operation fail from now on; nil ends it.
func (s *memoryStore) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = err
}

func (s *memoryStore) counts() (reads, writes, kept int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads, s.writes, len(s.values)
}
