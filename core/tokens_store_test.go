package core_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/sessions"

	"github.com/pixyauth/pixy/core"
)

// A pickyStore saves nothing by one name, and deletes nothing by another.
type pickyStore struct {
	*memoryStore
	refuses string
	clings  string
}

func (s *pickyStore) Save(r *http.Request, w http.ResponseWriter, session *sessions.Session) error {
	if session.Name() == s.refuses && session.Options.MaxAge > 0 || session.Name() == s.clings && session.Options.MaxAge <= 0 {
		return errors.New("canary: quota")
	}
	return s.memoryStore.Save(r, w, session)
}

// A login that fails half way leaves the tokens that were there.
func TestAFailedLoginLeavesTheFormerTokens(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"__Host-pixy-session", "__Host-pixy-tokens"} {
		store := &pickyStore{memoryStore: newMemoryStore()}
		g := newTokenRig(t, func(c *core.Config) { c.Sessions.Store = store })
		g.login()
		before := g.token()
		store.refuses = name
		if page := g.get(origin + "/auth/login?return_to=/me"); page.Status != http.StatusServiceUnavailable {
			t.Errorf("%s: got %d", name, page.Status)
		}
		if token := g.token(); token != before {
			t.Errorf("%s: got %q, want the former token", name, token)
		}
		store.refuses = ""
		g.get(origin + "/auth/login?return_to=/me")
		if token := g.token(); len(token) < 20 || token == before {
			t.Errorf("%s: got %q, want a new token", name, token)
		}
	}
}

// A logout has ended the session when tokens that the Store does not let go of
// are all that is left: it is no failure, and the provider hears of it.
func TestALogoutWhoseTokensStay(t *testing.T) {
	t.Parallel()
	store := &pickyStore{memoryStore: newMemoryStore()}
	g := newTokenRig(t, func(c *core.Config) { c.Sessions.Store = store })
	g.login()
	token := g.token()
	store.clings = "__Host-pixy-tokens"
	page, err := g.browser.Post(origin+"/auth/logout", nil)
	if err != nil || page.Status != http.StatusOK || g.whoAmI() != "" {
		t.Errorf("got %d %v, and %q is logged in", page.Status, err, g.whoAmI())
	}
	if g.callUserInfo(token) == http.StatusOK {
		t.Error("the provider was not told")
	}
	if !strings.Contains(g.log.String(), "store_unavailable") {
		t.Errorf("the log: %s", g.log.String())
	}
}

// A refusingStore saves nothing by one name.
type refusingStore struct {
	*memoryStore
	name string
	err  error
}

func (s *refusingStore) Save(r *http.Request, w http.ResponseWriter, session *sessions.Session) error {
	if session.Name() == s.name && session.Options.MaxAge > 0 {
		return s.err
	}
	return s.memoryStore.Save(r, w, session)
}
