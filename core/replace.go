package core

import (
	"fmt"
	"net/http"

	"github.com/pixyauth/pixy/core/internal/vault"
)

// start starts a session with its tokens, and replaces the previous session. If it fails,
// the browser keeps the previous session: cookies are set, and the previous session is
// deleted, only after everything else has succeeded. A session with the same id is of the
// same user, see unite: a Store replaces its record in place.
func (a *Authenticator) start(w http.ResponseWriter, r *http.Request, fresh *session, with *tokens) error {
	former, formerTokens := a.former(r)
	same := former != nil && former.id == fresh.id // requests with it may be under way
	held := vault.Hold()
	if err := a.tokens.start(held, r, fresh, with, fresh.life(a.now()), same && formerTokens != nil); err != nil {
		return err
	}
	if err := a.sessions.start(held, r, fresh, same); err != nil {
		return err
	}
	if err := held.CheckSize(); err != nil {
		return errTokensTooLarge(err)
	}
	if !same {
		if err := a.sessions.vault.Forget(r); err != nil {
			return errStoreDown(fmt.Errorf("deleting the previous session: %w", err))
		}
	}
	held.Release(w)
	if !same {
		if err := a.tokens.vault.Forget(r); err != nil {
			a.log(r, errStoreDown(err)) // tokens are useless without their session
		}
	}
	if !same && former != nil {
		if err := a.sessions.void(r.Context(), former); err != nil {
			a.log(r, asError(err)) // the new session is valid anyway
		}
	}
	if formerTokens != nil && !fresh.shares(former) {
		a.revokeLater(r, former.binding(), formerTokens)
	}
	return nil
}

// former returns the session that the login replaces, and its tokens. Each is nil if
// there is none. An outage does not stop the login.
func (a *Authenticator) former(r *http.Request) (*session, *tokens) {
	found, err := a.sessions.load(r)
	if err != nil || found == nil {
		return nil, nil
	}
	held, _ := a.tokens.load(r, found)
	return found, held
}

// unite gives the session of a login the id of the one that the browser has, if that is of
// the same user, and has begun while the login was under way: in another tab. So they are
// one session. Otherwise each tab would end the session of the tab before, and requests
// that are under way with it would become anonymous. A step-up always gets a new id.
func (s *sessionKeeper) unite(r *http.Request, fresh *session, attempt *attempt) {
	former, err := s.load(r)
	if err == nil && former != nil && !attempt.required && former.started > instantOf(attempt.begun) && former.sameUser(fresh) {
		fresh.id = former.id
	}
}

// shares reports whether two sessions may belong to one grant at the provider. They may
// if they have the same user and the same session at the provider, or if neither names a
// session. A provider may revoke the whole grant (RFC 7009 section 2.1). Revoking the
// previous tokens would then revoke the new ones.
func (s *session) shares(other *session) bool {
	return s.sameUser(other) && s.sid == other.sid
}

// sameUser reports whether two sessions are of the same user at the same registration.
func (s *session) sameUser(other *session) bool {
	return s.provider == other.provider && s.client == other.client && s.user.Issuer == other.user.Issuer && s.user.Subject == other.user.Subject
}
