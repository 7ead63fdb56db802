package core_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

func keepTokens(c *core.Config) {
	c.Tokens.Keep = true
	c.Providers[0].Scopes = []string{"openid", "profile", "offline_access"}
}

// A tokenRig is an application whose /token shows a user's access token.
type tokenRig struct {
	*rig
	app http.Handler
	ran atomic.Int32 // the handler of /token
}

func newTokenRig(t testing.TB, change ...func(*core.Config)) *tokenRig {
	t.Helper()
	return newTokenRigOf(t, func(*logintest.Client) {}, change...)
}

// newTokenRigOf is newTokenRig with another registration at the provider.
func newTokenRigOf(t testing.TB, register func(*logintest.Client), change ...func(*core.Config)) *tokenRig {
	t.Helper()
	g := &tokenRig{rig: newRigOf(t, register, append([]func(*core.Config){keepTokens}, change...)...)}
	g.app = g.tokenApp(g.auth)
	g.browser.Serve(origin, g.app)
	return g
}

// tokenApp is one process of the application.
func (g *tokenRig) tokenApp(auth *core.Authenticator) http.Handler {
	app := g.rig.app(auth)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/token" {
			app.ServeHTTP(w, r)
			return
		}
		authenticated, err := auth.Authenticate(w, r)
		if err == nil {
			g.ran.Add(1)
			var token string
			if token, err = tokenOf(authenticated.Context()); err == nil {
				fmt.Fprint(w, token)
				return
			}
		}
		auth.ServeError(w, r, err)
	})
}

func tokenOf(ctx context.Context) (string, error) {
	token, err := core.TokenSource(ctx).Token()
	if err != nil {
		return "", err
	}
	return token.AccessToken, nil
}

// token is what /token shows: an access token, or the code of a failure.
func (g *tokenRig) token() string {
	g.t.Helper()
	page := g.fetch("GET", origin+"/token")
	if page.Status == http.StatusOK {
		return string(page.Body)
	}
	return codeIn(g.t, page.Body)
}

// ask makes a request to app with the cookies that the browser has had.
func ask(app http.Handler, cookies []*http.Cookie) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", origin+"/token", nil)
	r.Header.Set("Accept", "application/json")
	for _, c := range cookies {
		r.AddCookie(c)
	}
	w := httptest.NewRecorder()
	app.ServeHTTP(w, r)
	return w
}

func orElse(value, otherwise any) any {
	if value != nil {
		return value
	}
	return otherwise
}

// isOver holds that a session has ended, and that the log says why, once.
func (g *tokenRig) isOver(code, why string) {
	g.t.Helper()
	if code != "login_required" || g.ran.Load() != 0 {
		g.t.Errorf("got %q, and the handler ran %d times", code, g.ran.Load())
	}
	if strings.Count(g.log.String(), `"code":"`+why) != 1 {
		g.t.Errorf("the log does not say %q once: %s", why, g.log.String())
	}
	if left := append(g.cookiesNamed("__Host-pixy-session"), g.cookiesNamed("__Host-pixy-tokens")...); len(left) != 0 {
		g.t.Errorf("%v are left", left)
	}
	if who := g.whoAmI(); who != "" {
		g.t.Errorf("got %q", who)
	}
}

// codeIn is the code of a problem document.
func codeIn(t testing.TB, body []byte) string {
	t.Helper()
	var problem struct{ Code string }
	if err := json.Unmarshal(body, &problem); err != nil || problem.Code == "" {
		t.Fatalf("%q is no problem document", body)
	}
	return problem.Code
}
