package core_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// The modules about refresh tokens: a page that asks UserInfo in the user's name
// does so again when the access token has expired.
func refreshModules() []module {
	refreshed := func(name, value string) logintest.Faults {
		return logintest.Faults{RefreshedIDToken: func(_, claims map[string]any) { claims[name] = value }}
	}
	return []module{
		{name: "oidcc-client-test-refresh-token"},
		{name: "oidcc-client-test-refresh-token-invalid-issuer", faults: refreshed("iss", suiteIssuer+"1"), code: "id_token_untrusted"},
		{name: "oidcc-client-test-refresh-token-invalid-sub", faults: refreshed("sub", "adainvalid"), code: "id_token_untrusted"},
	}
}

func TestRefreshModules(t *testing.T) {
	t.Parallel()
	for _, m := range refreshModules() {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			m.refresh(t, "/userinfo", 2*time.Hour)
		})
	}
}

// The suite's provider has no expires_in. Tokens are refreshed by the lifetime that
// is assumed, or because the page asks for it.
func TestRefreshModulesWithoutExpiresIn(t *testing.T) {
	t.Parallel()
	for _, m := range refreshModules() {
		faults := m.faults
		faults.Token = func(response map[string]any) { delete(response, "expires_in") }
		m.faults = faults
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			t.Run("by the assumed lifetime", func(t *testing.T) { m.refresh(t, "/userinfo", 2*time.Hour) })
			t.Run("on demand", func(t *testing.T) { m.refresh(t, "/userinfo/refreshed", 10*time.Second) })
		})
	}
}

// refresh opens a page that asks UserInfo, each time when the last token is so old.
func (m module) refresh(t *testing.T, path string, age time.Duration) {
	g := newSuite(t, keepTokens)
	g.handle("/userinfo", g.askUserInfoAsUser)
	g.handle("/userinfo/refreshed", g.refreshAndAskUserInfo)
	g.provider.Misbehave(m.install())
	g.login()
	for round := 1; round <= 2; round++ {
		before := g.provider.Requests()
		g.advance(age)
		page := g.fetch("GET", origin+path)
		requests := g.provider.Requests()
		checkEveryRequest(t, requests)
		if m.code != "" {
			if page.Status != http.StatusUnauthorized || count(requests, logintest.UserInfo) != 1 || !strings.Contains(g.log.String(), "code="+m.code) {
				t.Errorf("got %d, and UserInfo was asked %d times: %s", page.Status, count(requests, logintest.UserInfo), g.log.String())
			}
			return
		}
		if page.Status != http.StatusOK || g.provider.Refreshes() != round || g.provider.Reused() != 0 {
			t.Errorf("got %d after %d refreshes, %d tokens used again", page.Status, g.provider.Refreshes(), g.provider.Reused())
		}
		if bearers(before)[bearer(requests[len(requests)-1])] || count(requests, logintest.UserInfo) != 1+round {
			t.Error("UserInfo was not asked with a new token")
		}
	}
}

// refreshAndAskUserInfo is such a page, whose API has answered 401 before.
func (g *rig) refreshAndAskUserInfo(w http.ResponseWriter, r *http.Request) error {
	authenticated, err := g.auth.Authenticate(w, r)
	if err == nil {
		err = g.auth.Refresh(w, authenticated)
	}
	if err != nil {
		return err
	}
	return g.askUserInfoAsUser(w, authenticated)
}

// askUserInfoAsUser is a page that shows what UserInfo says to the user's client.
func (g *rig) askUserInfoAsUser(w http.ResponseWriter, r *http.Request) error {
	authenticated, err := g.auth.Authenticate(w, r)
	if err != nil {
		return err
	}
	response, err := core.Client(authenticated.Context(), "suite.example.test").Get(suiteIssuer + "userinfo")
	if err != nil {
		return err
	}
	response.Body.Close()
	w.WriteHeader(response.StatusCode)
	return nil
}

// bearers are the access tokens of requests to UserInfo.
func bearers(requests []logintest.Request) map[string]bool {
	all := make(map[string]bool)
	for _, r := range requests {
		all[bearer(r)] = true
	}
	return all
}

func bearer(r logintest.Request) string { return r.Header.Get("Authorization") }
