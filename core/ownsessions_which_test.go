package core

import (
	"context"
	"testing"
	"time"
)

// A logout by the provider also ends the logins that started the sessions.
func TestOwnSessionsEndedByTheProviderStayEnded(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		name                 string
		issuer, subject, sid string
		ends                 bool // the login of ada at a, in the session s
	}{
		{"its session", "a", "ada", "s", true},
		{"its session, without a subject", "a", "", "s", true},
		{"its user", "a", "ada", "", true},
		{"another issuer's session", "b", "", "s", false},
		{"another issuer's user", "b", "ada", "", false},
		{"another session of the user", "a", "ada", "t", false},
		{"another user", "a", "grace", "", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			a := &Authenticator{config: Config{Sessions: SessionConfig{Own: ownSessions()}}, flights: flights{now: time.Now}}
			_, err := a.flights.join(t.Context(), "state", "", func(context.Context) (*outcome, error) {
				if got, err := a.flights.landedWith("state"); got != nil || err != nil {
					t.Errorf("a login in progress has %v, %v", got, err)
				}
				return &outcome{session: session{sid: "s", user: User{Issuer: "a", Subject: "ada"}}}, nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if err := a.endOwnByProvider(t.Context(), row.issuer, row.subject, row.sid); err != nil {
				t.Fatal(err)
			}
			if got, err := a.flights.landedWith("state"); row.ends != (err != nil) || row.ends == (got != nil) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}
