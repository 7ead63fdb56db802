package core_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
)

// A grantRig is an application that stores the grants of its users.
type grantRig struct {
	*rig
	mu    sync.Mutex
	saved []string // grants as JSON, the latest last
}

// newGrantRig logs ada in, without Tokens.Keep.
func newGrantRig(t testing.TB, change ...func(*core.Config)) *grantRig {
	t.Helper()
	g := new(grantRig)
	g.rig = newRig(t, append([]func(*core.Config){keepTokens, func(c *core.Config) {
		c.Tokens.Keep = false
		c.OnLogin = func(ctx context.Context, login *core.Login) error { return g.save(ctx, login.Grant) }
	}}, change...)...)
	g.login()
	return g
}

// another is one more process of the application. It starts with the same change.
func (g *grantRig) another(change ...func(*core.Config)) *core.Authenticator {
	return g.newAuth(append([]func(*core.Config){keepTokens, func(c *core.Config) { c.Tokens.Keep = false }}, change...)...)
}

func (g *grantRig) save(_ context.Context, grant core.Grant) error {
	stored, err := json.Marshal(grant)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.saved = append(g.saved, string(stored))
	return err
}

// saves returns how many grants were saved, including that of the login.
func (g *grantRig) saves() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.saved)
}

// grant returns the grant that was saved last.
func (g *grantRig) grant() core.Grant {
	g.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	var grant core.Grant
	if err := json.Unmarshal([]byte(g.saved[len(g.saved)-1]), &grant); err != nil {
		g.t.Fatal(err)
	}
	return grant
}

// expired returns the grant of the login, after its access token has expired.
func (g *grantRig) expired() core.Grant {
	g.advance(2 * time.Hour)
	return g.grant()
}

// counts checks the number of refreshes at the provider. A refresh token that is used
// twice is always wrong.
func (g *grantRig) counts(refreshes int) {
	g.t.Helper()
	if g.provider.Refreshes() != refreshes || g.provider.Reused() != 0 {
		g.t.Errorf("%d refreshes, want %d; %d tokens used again", g.provider.Refreshes(), refreshes, g.provider.Reused())
	}
}

// works checks that the provider accepts an access token.
func (g *grantRig) works(accessToken string) {
	g.t.Helper()
	r, err := http.NewRequest("GET", issuer+"/userinfo", nil)
	if err != nil {
		g.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+accessToken)
	response, err := g.provider.HTTPClient().Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		g.t.Errorf("the provider answers %d to the access token", response.StatusCode)
	}
}

// fails checks the error of a grant: its kind (nil: none), its code and its status.
func fails(t testing.TB, err, kind error, code string, status int) {
	t.Helper()
	failure := new(core.Error)
	if !errors.As(err, &failure) || failure.Code != code || failure.Status != status {
		t.Errorf("got %v, want %s with status %d", err, code, status)
	}
	for _, other := range []error{core.ErrRefused, core.ErrUnavailable, core.ErrNoToken, core.ErrUntrusted, core.ErrNoSession} {
		if errors.Is(err, other) != (other == kind) {
			t.Errorf("%v: is %v: %v", err, other, errors.Is(err, other))
		}
	}
}

func mentions(t testing.TB, text, what string) {
	t.Helper()
	if !strings.Contains(text, what) {
		t.Errorf("does not mention %q: %s", what, text)
	}
}

// same compares grants as they are stored.
func same(a, b core.Grant) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}
