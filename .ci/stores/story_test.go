package stores_test

import (
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pixyauth/pixy/core/logintest"
)

// The same tests for every store.
func TestStores(t *testing.T) {
	t.Parallel()
	for name, newBackend := range backends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBackend(t)
			synctest.Test(t, func(t *testing.T) { // for its clock
				store, closeStore := b.store(t)
				defer closeStore()
				g := newRig(t, store)
				b.operations() // of opening the store
				strangers(g, b)
				logins(g, b)
				idle(g, b)
				secrets(g, b)
				logout(g, b)
				outage(g, b)
			})
		})
	}
}

// operations returns the server's operations since the last call.
func (b *backend) operations() []string {
	if b.proxy == nil {
		return nil
	}
	return b.proxy.took()
}

// ids returns the ids of the server's sessions.
func (b *backend) ids(t *testing.T) []string {
	if b.records == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(b.records(t)))
}

// holds checks how many sessions the server has.
func (b *backend) holds(t *testing.T, want int, when string) {
	t.Helper()
	if got := b.ids(t); b.records != nil && len(got) != want {
		t.Errorf("%s: the server has %q, want %d", when, got, want)
	}
}

// Anonymous requests write nothing to the server. They read from it only if they have a
// session cookie.
func strangers(g *rig, b *backend) {
	traffic := func() {
		g.is(http.StatusUnauthorized, "an anonymous request")
		g.visit(origin + "/me")
		g.visit(callbackURL + "?code=x&state=y")
		g.visit(strings.Replace(g.toCallback(), "code=", "code=x", 1)) // the provider rejects the code
		callback, err := url.Parse(g.toCallback())
		if err != nil {
			g.t.Fatal(err)
		}
		query := callback.Query()
		query.Set("state", "another")
		callback.RawQuery = query.Encode()
		g.visit(callback.String())
		g.logout()
	}
	refused := g.provider.Count(logintest.Token)
	traffic()
	if g.provider.Count(logintest.Token) != refused+1 {
		g.t.Error("no code was refused")
	}
	if got := b.operations(); len(got) != 0 {
		g.t.Errorf("anonymous requests cause the operations %q", got)
	}
	for _, forged := range []string{"x", strings.Repeat("A", 300), "MTcwMDAwMDAwMHxBQUFB", "../../etc/passwd"} {
		g.plant(sessionCookie, forged)
		traffic()
		if g.session() != "" {
			g.t.Errorf("cookie %q survives a logout", forged)
		}
	}
	for _, operation := range b.operations() {
		if !slices.Contains(b.read, operation) {
			g.t.Errorf("forged cookies make the server do %s", operation)
		}
	}
	b.holds(g.t, 0, "before any login")
}

// Each login starts a new session, and ends the previous one.
func logins(g *rig, b *backend) {
	g.login()
	first, firstIDs := g.session(), b.ids(g.t)
	b.holds(g.t, 1, "after a login")
	b.operations()
	g.is(http.StatusOK, "after a login")
	if got := b.operations(); !slices.Equal(got, b.read) {
		g.t.Errorf("a guarded request makes the server do %q, want %q", got, b.read)
	}
	g.login()
	if g.session() == first {
		g.t.Error("the cookie is the same after another login")
	}
	g.is(http.StatusOK, "after another login")
	b.holds(g.t, 1, "after another login")
	if b.records == nil {
		return
	}
	if got := b.ids(g.t); slices.Equal(got, firstIDs) {
		g.t.Errorf("the id is %q after another login, too", got)
	}
	if page := g.with(first); page.Status != http.StatusUnauthorized {
		g.t.Errorf("the former cookie: got %d %s", page.Status, page.Body)
	}
}

// A session that is used continues, with the same id.
func idle(g *rig, b *backend) {
	before := b.ids(g.t)
	for range 3 {
		time.Sleep(19 * time.Minute)
		g.is(http.StatusOK, "in use")
	}
	if got := b.ids(g.t); !slices.Equal(got, before) {
		g.t.Errorf("the ids are %q after a renewal, and were %q", got, before)
	}
	time.Sleep(20 * time.Minute)
	g.is(http.StatusUnauthorized, "out of use")
	g.login()
	b.holds(g.t, 1, "after a login in place of a session out of use")
}

// Reading the store reveals no user data, and does not let the reader act as a user.
func secrets(g *rig, b *backend) {
	if b.records == nil {
		return
	}
	var legible string
	for id, value := range b.records(g.t) {
		legible += id + "\n" + peel(string(value), 4)
	}
	if !strings.Contains(legible, "pixy") {
		g.t.Errorf("the store's own coats are not off: %q", legible)
	}
	for _, secret := range []string{ada.Subject, "Ada", "Lovelace", "ada@", "analytical", issuer} {
		if strings.Contains(legible, secret) {
			g.t.Errorf("%q is legible in the store", secret)
		}
	}
	tokens := text.FindAllString(legible, -1)
	for _, token := range tokens {
		if page := g.with(token); page.Status != http.StatusUnauthorized {
			g.t.Errorf("%.20q of the store, as a cookie: got %d", token, page.Status)
		}
	}
	if len(tokens) < 2 {
		g.t.Errorf("only %q are in the store", tokens)
	}
	g.is(http.StatusOK, "all the while")
}

var text = regexp.MustCompile(`[A-Za-z0-9+/_=-]{20,}`)

// peel appends decoded base64 in a text, recursively.
func peel(s string, deep int) string {
	all := s
	for _, word := range text.FindAllString(s, -1) {
		word = strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(word)
		if plain, err := base64.RawURLEncoding.DecodeString(word); err == nil && deep > 0 {
			all += "\n" + peel(string(plain), deep-1)
		}
	}
	return all
}

// A logout deletes the session on the server, and so in all browsers.
func logout(g *rig, b *backend) {
	cookie := g.session()
	if page := g.logout(); page.Status != http.StatusOK {
		g.t.Errorf("logout: got %d", page.Status)
	}
	g.is(http.StatusUnauthorized, "after the logout")
	b.holds(g.t, 0, "after the logout")
	if page := g.with(cookie); b.records != nil && page.Status != http.StatusUnauthorized {
		g.t.Errorf("a copy of the cookie after the logout: got %d %s", page.Status, page.Body)
	}
}

// While the server is down, nobody can log in or out. Anonymous requests are not affected.
func outage(g *rig, b *backend) {
	if b.proxy == nil {
		return
	}
	g.login()
	cookie, ids, callback := g.session(), b.ids(g.t), g.toCallback()
	b.proxy.cut()
	down := func(page *logintest.Page, what string) {
		g.t.Helper()
		if page.Status != http.StatusServiceUnavailable || page.Header.Get("Retry-After") == "" {
			g.t.Errorf("%s while the server is down: got %d %v", what, page.Status, page.Header)
		}
		if got := g.session(); got != cookie {
			g.t.Errorf("%s while the server is down: the cookie is %q", what, got)
		}
	}
	if b.silent {
		g.is(http.StatusUnauthorized, "while the server is down")
	} else {
		down(g.fetch(), "a script")
		down(g.get(origin+"/me"), "a page")
		down(g.logout(), "a logout")
	}
	down(g.visit(callback), "a callback")

	stranger := g.person()
	stranger.is(http.StatusUnauthorized, "an anonymous script while the server is down")
	if page := stranger.visit(origin + "/me"); page.Status != http.StatusSeeOther && page.Status != http.StatusFound {
		g.t.Errorf("an anonymous page load while the server is down: got %d", page.Status)
	}
	page := stranger.get(stranger.toCallback())
	if page.Status != http.StatusServiceUnavailable || stranger.session() != "" {
		g.t.Errorf("a login while the server is down: got %d, cookie %q", page.Status, stranger.session())
	}

	b.proxy.mend(g.t)
	g.is(http.StatusOK, "when the server is back")
	if got := b.ids(g.t); !slices.Equal(got, ids) {
		g.t.Errorf("the ids are %q when the server is back, and were %q", got, ids)
	}
	g.logout()
	b.holds(g.t, 0, "at the end")
}
