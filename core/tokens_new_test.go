package core

import (
	"testing"
	"time"
)

// Whether a refresh on demand leaves tokens as they are: also with a clock that has
// been set back, no refresh of the future makes them new.
func TestTokensAreNewForAMoment(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	for age, want := range map[time.Duration]bool{
		-time.Hour: false, -1: false, 0: true, refreshRest - 1: true, refreshRest: false, time.Hour: false,
	} {
		if got := (&tokens{Refreshed: now.Add(-age)}).isNew(now); got != want {
			t.Errorf("%s after the refresh: got %v", age, got)
		}
	}
}

// Tokens of another grant than the new login's are revoked. What a provider may take
// for the same grant must be the same in all respects.
func TestSessionsOfOneGrant(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*session){
		"":                    func(*session) {},
		"another client":      func(s *session) { s.client = "other" },
		"another customer":    func(s *session) { s.provider = "beta" },
		"another tenant":      func(s *session) { s.user.Issuer = "https://other.example.test" },
		"another user":        func(s *session) { s.user.Subject = "grace" },
		"another session":     func(s *session) { s.sid = "t" },
		"a session of no sid": func(s *session) { s.sid = "" },
	} {
		one := session{provider: "acme", client: "app", sid: "s", user: User{Issuer: "https://id.example.test", Subject: "ada"}}
		other := one
		change(&other)
		if got, want := one.shares(&other), name == ""; got != want || other.shares(&one) != want {
			t.Errorf("%s: got %v", name, got)
		}
	}
}
