package core_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/sessions"

	"github.com/pixyauth/pixy/core"
)

// An overlappedStore has something happen between what a renewal reads and what it
// saves.
type overlappedStore struct {
	*memoryStore
	name    string // of the session that is renewed
	happens func()
	once    sync.Once
}

func (s *overlappedStore) Save(r *http.Request, w http.ResponseWriter, session *sessions.Session) error {
	if s.happens != nil && session.Name() == s.name && session.ID != "" && session.Options.MaxAge > 0 {
		s.once.Do(s.happens)
	}
	return s.memoryStore.Save(r, w, session)
}

// A renewal that overlaps a logout saves the session again, because a gorilla Store
// cannot be told to save only what is still there. With Revocations the session has
// ended all the same. The README's table of what ends a session says so.
func TestALogoutDuringARenewal(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*core.Config){
		"a session that was idle": func(c *core.Config) { c.Sessions.Idle = 3 * time.Hour },
		"refreshed tokens":        keepTokens,
	} {
		for what, revocations := range map[string]core.Revocations{"Store and Revocations": new(core.MemoryRevocations), "Store alone": nil} {
			t.Run(name+", "+what, func(t *testing.T) {
				t.Parallel()
				store := &overlappedStore{memoryStore: newMemoryStore(), name: "__Host-pixy-session"}
				g := newRig(t, change, func(c *core.Config) { c.Sessions.Store, c.Logout.Revocations = store, revocations })
				g.login()
				copied := g.cookiesNamed("__Host-pixy-session")[0]
				g.advance(time.Hour)
				store.happens = func() {
					if page, err := g.browser.Post(origin+"/auth/logout", nil); err != nil || page.Status != http.StatusOK {
						t.Errorf("got %v, %v", page, err)
					}
				}
				g.fetch("GET", origin+"/me")
				g.browser.SetCookie(origin, copied)
				want := "I am ada"
				if revocations != nil {
					want = ""
				}
				if got := g.whoAmI(); got != want {
					t.Errorf("after the logout: got %q, want %q", got, want)
				}
			})
		}
	}
}
