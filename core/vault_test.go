package core_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// A vault is a rig with a page behind a requirement. Ran counts its handler's calls.
type vault struct {
	*rig
	ran atomic.Int32
}

func newVault(t *testing.T, need core.Requirement, change ...func(*core.Config)) *vault {
	t.Helper()
	v := &vault{rig: newRig(t, change...)}
	v.open("/vault", need)
	return v
}

// open serves a page behind guards, one in the other.
func (v *vault) open(path string, guards ...core.Requirement) {
	v.handle(path, func(w http.ResponseWriter, r *http.Request) error {
		for _, need := range guards {
			passed, err := v.auth.AuthenticateFor(w, r, need)
			if err != nil {
				if passed != r {
					v.t.Error("a request that is turned away is changed")
				}
				return v.auth.Challenge(w, r, err)
			}
			r = passed
		}
		v.ran.Add(1)
		fmt.Fprint(w, "the vault of ", core.UserFromContext(r.Context()).Subject)
		return nil
	})
}

// handle serves one more path of the application.
func (g *rig) handle(path string, handler core.HandlerFunc) {
	app := g.app(g.auth)
	if g.more == nil {
		g.more = make(map[string]core.HandlerFunc)
	}
	g.more[path] = handler
	g.browser.Serve(origin, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler := g.more[r.URL.Path]
		if handler == nil {
			app.ServeHTTP(w, r)
			return
		}
		recorder := &untouched{ResponseWriter: w}
		if err := handler(recorder, r); err != nil {
			if recorder.touched {
				g.t.Errorf("%s wrote an answer and returned %v", r.URL.Path, err)
			}
			g.auth.ServeError(w, r, err)
		}
		checkSetCookies(g.t, r, w.Header())
	}))
}

// asked returns what a page sends the browser to the provider with, or nil.
func (g *rig) asked(u string) url.Values {
	g.t.Helper()
	to, err := url.Parse(g.visit(u).Header.Get("Location"))
	if err != nil {
		g.t.Fatal(err)
	}
	if !strings.HasPrefix(to.String(), issuer+"/authorize?") {
		return nil
	}
	return to.Query()
}

// began is how many logins the browser has in flight and the provider was asked for.
func (g *rig) began() int {
	return len(g.cookiesNamed("__Host-pixy-login-")) + g.provider.Count(logintest.Authorization)
}

const fiveMinutes = 5 * time.Minute

var (
	recent = core.Requirement{MaxAge: fiveMinutes}
	golden = core.Requirement{ACR: []string{"platinum", "gold"}}
	both   = core.Requirement{MaxAge: fiveMinutes, ACR: []string{"gold"}}
)
