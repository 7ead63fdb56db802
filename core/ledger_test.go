package core_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A ledger is Revocations that count what they are asked, and can be down.
type ledger struct {
	core.MemoryRevocations

	mu     sync.Mutex
	reads  int
	writes []time.Time     // until when each is to be remembered
	names  map[string]bool // the keys of all records
	down   error
	spared int // so many writes go well before it is down; less than 0: it answers, and remembers nothing
}

func (l *ledger) Revoke(ctx context.Context, key string, at, until time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down != nil && l.spared <= 0 {
		return l.down
	}
	l.spared--
	l.writes = append(l.writes, until)
	if l.names == nil {
		l.names = make(map[string]bool)
	}
	l.names[key] = true
	return l.MemoryRevocations.Revoke(ctx, key, at, until)
}

func (l *ledger) RevokedAt(ctx context.Context, keys ...string) (time.Time, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	if l.down != nil && l.spared == 0 {
		return time.Time{}, l.down
	}
	return l.MemoryRevocations.RevokedAt(ctx, keys...)
}

// fail makes operations fail from now on; nil ends it.
func (l *ledger) fail(err error, spared int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down, l.spared = err, spared
}

// keys returns how many records there are.
func (l *ledger) keys() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.names)
}

// counts returns how often it was asked and told since the last time.
func (l *ledger) counts() (reads, writes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	reads, writes = l.reads, len(l.writes)
	l.reads, l.writes = 0, nil
	return reads, writes
}

// newLogoutRig is a rig with Revocations, whose provider says in which of its
// sessions somebody is.
func newLogoutRig(t testing.TB, change ...func(*core.Config)) (*rig, *ledger) {
	t.Helper()
	l := new(ledger)
	g := newRig(t, append([]func(*core.Config){func(c *core.Config) { c.Logout.Revocations = l }}, change...)...)
	g.provider.User = logintest.User{Subject: "ada", SessionID: "first"}
	return g, l
}

// everyVault runs a test with sessions in cookies, and in a Store.
func everyVault(t *testing.T, test func(t *testing.T, vault func(*core.Config))) {
	t.Run("in cookies", func(t *testing.T) {
		t.Parallel()
		test(t, func(*core.Config) {})
	})
	t.Run("in a Store", func(t *testing.T) {
		t.Parallel()
		store := newMemoryStore()
		test(t, func(c *core.Config) { c.Sessions.Store = store })
	})
}

// signIn is somebody else in front of the same application, who logs in.
func (g *rig) signIn(user logintest.User) *rig {
	g.t.Helper()
	other := g.person()
	g.provider.User = user
	other.login()
	return other
}

// backChannel posts a logout token as a provider does: from no page, without
// cookies. Edit may change the request.
func (g *rig) backChannel(token string, edit func(*http.Request)) *httptest.ResponseRecorder {
	g.t.Helper()
	r := httptest.NewRequest("POST", origin+"/auth/backchannel-logout", strings.NewReader(url.Values{"logout_token": {token}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if edit != nil {
		edit(r)
	}
	w := httptest.NewRecorder()
	g.app(g.auth).ServeHTTP(w, r)
	if w.Header().Get("Cache-Control") != "no-store" || len(w.Header()["Set-Cookie"]) != 0 {
		g.t.Errorf("answered with %v", w.Header())
	}
	return w
}

// ended posts a logout token that must do its work.
func (g *rig) ended(token string) {
	g.t.Helper()
	if w := g.backChannel(token, nil); w.Code != http.StatusOK || w.Body.Len() != 0 {
		g.t.Fatalf("got %d: %s", w.Code, w.Body)
	}
}
