package core_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// companyGroups are 200 names of groups as Active Directory has them, about 16 KB.
func companyGroups() (groups []string) {
	for _, department := range []string{"Finance", "Human Resources", "Research", "Platform", "Sales EMEA", "Sales Americas", "Legal", "Procurement", "Operations", "Marketing"} {
		for _, what := range []string{"Reports", "SharePoint", "Jira", "Confluence", "VPN", "Files", "SAP", "Mailbox", "Printers", "Warehouse"} {
			for _, access := range []string{"Read", "Write"} {
				groups = append(groups, fmt.Sprintf("CN=GG-%s-%s-%s,OU=Groups,OU=Berlin,DC=corp,DC=example,DC=com", department, what, access))
			}
		}
	}
	return groups
}

// groupIDs are n random UUIDs, as Microsoft Entra sends them for groups: 200 are 7.8 KB.
func groupIDs(n int) (ids []string) {
	for range n {
		var id [16]byte
		rand.Read(id[:])
		ids = append(ids, fmt.Sprintf("%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:]))
	}
	return ids
}

func TestLargeClaimsFitInCookies(t *testing.T) {
	t.Parallel()
	askedFor := func(c *core.Config) { c.Sessions.Claims = []string{"groups"} }
	for name, test := range map[string]struct {
		change func(*core.Config)
		groups []string
		most   int // cookies
	}{
		"200 group names":                 {func(*core.Config) {}, companyGroups(), 1},
		"200 UUIDs":                       {func(*core.Config) {}, groupIDs(200), 2},
		"200 UUIDs of Sessions.Claims":    {askedFor, groupIDs(200), 2},
		"200 UUIDs, and data of OnLogin":  {func(c *core.Config) { c.OnLogin = keepData }, groupIDs(200), 2},
		"200 UUIDs, renewed when idle":    {func(c *core.Config) { c.Sessions.Idle = 4 * time.Hour }, groupIDs(200), 2},
		"200 UUIDs, renewed by a refresh": {keepTokens, groupIDs(200), 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, test.change)
			g.provider.User = logintest.User{Subject: "ada", Claims: map[string]any{"name": "Ada Lovelace", "email": "ada@example.test", "groups": test.groups}}
			if page := g.get(origin + "/me"); page.Status != http.StatusOK {
				t.Fatalf("got %d: %s", page.Status, page.Body)
			}
			for range 2 { // from the login, and from a renewal
				if got := len(g.cookiesNamed("__Host-pixy-session")); got > test.most {
					t.Errorf("%d cookies, want at most %d", got, test.most)
				}
				user := g.user()
				var claims struct{ Groups []string }
				if err := user.Claims(&claims); err != nil || !slices.Equal(claims.Groups, test.groups) {
					t.Errorf("got %d groups, %v", len(claims.Groups), err)
				}
				if !user.Has("groups", test.groups[199]) || user.Has("groups", "another") {
					t.Error("Has: the last group is missing, or another is there")
				}
				g.advance(2 * time.Hour)
				g.whoAmI()
			}
		})
	}
}

// keepData is an OnLogin that sees large claims, and keeps what it may.
func keepData(_ context.Context, login *core.Login) error {
	if !login.User.Has("name", "Ada Lovelace") {
		return errors.New("OnLogin does not see the claims")
	}
	login.Data = rand.Text() + strings.Repeat("d", 998)
	return nil
}

// user is who is logged in, as a handler sees them.
func (g *rig) user() *core.User {
	g.t.Helper()
	r := httptest.NewRequest("GET", origin+"/", nil)
	for _, c := range g.browser.Cookies(origin) {
		r.AddCookie(c)
	}
	passed, err := g.auth.Authenticate(httptest.NewRecorder(), r)
	if err != nil {
		g.t.Fatal(err)
	}
	return core.UserFromContext(passed.Context())
}

// More than fits in cookies is refused at login, as it was without compression.
func TestClaimsThatAreTooLarge(t *testing.T) {
	t.Parallel()
	for name, groups := range map[string]any{
		"400 UUIDs":               groupIDs(400),
		"more than 64 KB":         strings.Repeat("g", 65<<10),
		"more than 64 KB, folded": slices.Repeat(companyGroups(), 5),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, askUserInfo)
			g.provider.Misbehave(logintest.Faults{UserInfo: func(claims map[string]any) { claims["groups"] = groups }})
			page := g.get(origin + "/me")
			if page.Status != http.StatusInternalServerError || !strings.Contains(string(page.Body), "session_too_large") || setsSession(page.Header) {
				t.Errorf("got %d: %s", page.Status, page.Body)
			}
		})
	}
	t.Run("which a Store takes", func(t *testing.T) {
		t.Parallel()
		groups := slices.Repeat(companyGroups(), 5)
		g := newRig(t, askUserInfo, func(c *core.Config) { c.Sessions.Store = newMemoryStore() })
		g.provider.Misbehave(logintest.Faults{UserInfo: func(claims map[string]any) { claims["groups"] = groups }})
		g.login()
		var got []string
		if err := g.user().Claim("groups", &got); err != nil || !reflect.DeepEqual(got, groups) {
			t.Errorf("got %d groups, %v", len(got), err)
		}
	})
}
