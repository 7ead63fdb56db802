package core

import (
	"net/http"
	"time"
)

// Session says when a session began and ends, and how its user authenticated. Use Ends to
// end a WebSocket or an event stream with its session.
type Session struct {
	// Began is the time of the login.
	Began time.Time

	// Ends is the time when the session is over if no other request uses it: its absolute
	// end, by [SessionConfig.Lifetime] and [Login.Lifetime], or the end of
	// [SessionConfig.Idle] if that is earlier. Other requests may move the latter. A logout
	// or a refused refresh of its tokens ends a session before Ends.
	Ends time.Time

	// AuthTime is when the user authenticated at the provider (auth_time). Zero if the
	// provider did not say it.
	AuthTime time.Time

	// ACR is the authentication context class (acr). Empty if the provider did not say it.
	ACR string
}

// Session returns what is known about the session that a guard or loader of a found in the
// request. It returns nil if r is anonymous or has not passed a guard or loader of a, and
// always with [SessionConfig.Own]. It uses no network. For a user from [ContextWithUser],
// the session begins now, and is as long as a session without further requests can be.
func (a *Authenticator) Session(r *http.Request) *Session {
	mine := innermost(r.Context()).passed(a)
	if mine == nil || a.config.Sessions.Own != nil {
		return nil
	}
	of := mine.session
	if of == nil { // of a test
		now := instantOf(a.now())
		of = &session{started: now, seen: now, ends: instantOf(now.time().Add(a.config.Sessions.Lifetime))}
	}
	return &Session{Began: of.started.time(), Ends: a.sessions.endOf(of).time(), AuthTime: of.Time, ACR: of.ACR}
}

// endOf returns when a session ends that no further request uses.
func (s *sessionKeeper) endOf(found *session) instant {
	if s.idle == 0 {
		return found.ends
	}
	return min(found.ends, instantOf(max(found.seen, found.renewed).time().Add(s.idle)))
}
