package core_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pixyauth/pixy/core"
	"github.com/pixyauth/pixy/core/logintest"
)

// OnLogin decides by claims that no session has to carry afterwards.
func TestOnLoginSeesAllClaims(t *testing.T) {
	t.Parallel()
	var groups []string
	g := newRig(t, func(c *core.Config) {
		c.Sessions.Claims = []string{}
		c.OnLogin = func(_ context.Context, login *core.Login) error {
			var claims struct{ Groups []string }
			err := login.User.Claims(&claims)
			groups = claims.Groups
			login.User.Subject = "another user" // which is not kept
			return err
		}
	})
	g.provider.User = logintest.User{Subject: "ada", Claims: map[string]any{"groups": []string{"admins"}}}
	g.login()
	if len(groups) != 1 || groups[0] != "admins" {
		t.Errorf("got %v", groups)
	}
	if got := g.whoAmI(); got != "I am ada" {
		t.Errorf("got %q", got)
	}
}

func TestOnLoginSaysWhatItIs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		err    error
		status int
		code   string
		logged string
	}{
		{"a refusal", errors.New("not on the list"), 403, "login_refused", "not on the list"},
		{"an outage", fmt.Errorf("database: %w", core.ErrUnavailable), 503, "login_unavailable", "database"},
		{"a refusal in its own words", &core.Error{Status: 409, Code: "no_seat", Public: "No seat is left."}, 409, "no_seat", "no_seat"},
		{"words for the person alone", &core.Error{Public: "Your account is closed."}, 403, "login_refused", "Your account is closed."},
		{"words for the log, too", &core.Error{Public: "Your account is closed.", Err: errors.New("ada is banned")}, 403, "login_refused", "ada is banned"},
		{"an error of another kind of request", core.ErrNoSession, 403, "login_refused", "the request is anonymous"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, func(c *core.Config) {
				c.OnLogin = func(context.Context, *core.Login) error { return test.err }
			})
			page := g.get(origin + "/me")
			if page.Status != test.status || !strings.Contains(string(page.Body), "<code>"+test.code+"</code>") {
				t.Errorf("got %d: %s", page.Status, page.Body)
			}
			if got := page.Header.Get("Retry-After") != ""; got != (test.status == 503) {
				t.Errorf("Retry-After: %v", got)
			}
			if lines := strings.Count(g.log.String(), "\n"); lines != 1 || !strings.Contains(g.log.String(), test.code) || !strings.Contains(g.log.String(), test.logged) {
				t.Errorf("logged as %s", g.log.String())
			}
			if got := g.whoAmI(); got != "" {
				t.Errorf("%q is logged in", got)
			}
		})
	}
}

// remember is an OnLogin that keeps issuer and subject of everybody.
func remember(seen *[]string) func(context.Context, *core.Login) error {
	return func(_ context.Context, login *core.Login) error {
		*seen = append(*seen, login.User.Key())
		return nil
	}
}
