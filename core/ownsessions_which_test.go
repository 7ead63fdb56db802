package core

import (
	"context"
	"testing"
	"time"
)

// A logout by the provider also ends the logins that started the sessions.
func TestOwnSessionsEndedByTheProviderStayEnded(t *testing.T) {
	t.Parallel()
	at := func(name, client string) *registration {
		return &registration{lookedUp: true, config: Provider{Name: name, ClientID: client}}
	}
	for _, row := range []struct {
		name                 string
		issuer, subject, sid string
		ends                 bool // the login of ada at a, in the session s, by the provider acme
		at                   *registration
	}{
		{"its session", "a", "ada", "s", true, at("acme", "app")},
		{"its session, without a subject", "a", "", "s", true, at("acme", "app")},
		{"its user", "a", "ada", "", true, at("acme", "app")},
		{"another issuer's session", "b", "", "s", false, at("acme", "app")},
		{"another issuer's user", "b", "ada", "", false, at("acme", "app")},
		{"another session of the user", "a", "ada", "t", false, at("acme", "app")},
		{"another user", "a", "grace", "", false, at("acme", "app")},
		{"another customer", "a", "ada", "s", false, at("beta", "app")},
		{"another client", "a", "ada", "s", false, at("acme", "other")},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			a := &Authenticator{config: Config{Sessions: SessionConfig{Own: ownSessions()}}, flights: flights{now: time.Now}}
			_, err := a.flights.join(t.Context(), "state", "", func(context.Context) (*outcome, error) {
				if got, err := a.flights.landedWith("state"); got != nil || err != nil {
					t.Errorf("a login in progress has %v, %v", got, err)
				}
				return &outcome{session: session{provider: "acme", client: "app", sid: "s", user: User{Issuer: "a", Subject: "ada"}}}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := a.endOwnByProvider(t.Context(), row.at, row.issuer, row.subject, row.sid); err != nil {
				t.Fatal(err)
			}
			if got, err := a.flights.landedWith("state"); row.ends != (err != nil) || row.ends == (got != nil) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}
