package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/pixyauth/pixy/core"
)

const sessionLifetime = 12 * time.Hour

// cookieName returns the name of the session's cookie. With the prefix __Host-,
// browsers take it from this host only, over https only and with Path=/, so no
// other host of the domain can plant it (RFC 6265bis section 4.1.3.2). On http,
// which is for development, a cookie cannot have the prefix. The base path keeps
// two copies of the application on one host apart.
func cookieName(secure bool, basePath string) string {
	name := "ownsessions" + strings.ReplaceAll(basePath, "/", "_")
	if secure {
		return "__Host-" + name
	}
	return name
}

// A session is what a request knows about its user.
type session struct {
	Account     string
	Name, Email string
	Issuer      string // with Subject: the identity that logged in
	Subject     string
}

type sessionKey struct{}

// sessionOf returns the session that loadSession has found, or nil.
func sessionOf(ctx context.Context) *session {
	s, _ := ctx.Value(sessionKey{}).(*session)
	return s
}

// accountOf returns the account of the request's session, or "".
func accountOf(ctx context.Context) string {
	if s := sessionOf(ctx); s != nil {
		return s.Account
	}
	return ""
}

// hashOf returns the hash of the request's session token, or nil. The token is
// random and long, so a plain hash is enough. Of two cookies with the same name,
// one may have been planted, so neither counts.
func (a *app) hashOf(r *http.Request) []byte {
	cookies := r.CookiesNamed(a.cookie)
	if len(cookies) != 1 {
		return nil
	}
	sum := sha256.Sum256([]byte(cookies[0].Value))
	return sum[:]
}

// loadSession is middleware that finds the session of a request. It is in front
// of the login's routes, too, so that onLogin knows who links a login.
func (a *app) loadSession(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hash := a.hashOf(r)
		if hash == nil { // anonymous requests cost no query
			next.ServeHTTP(w, r)
			return
		}
		s := new(session)
		err := a.db.QueryRowContext(r.Context(), `
			SELECT account, name, email, issuer, subject
			FROM sessions JOIN accounts ON accounts.id = sessions.account
			WHERE token_hash = ? AND expires > ?`, hash, a.now().Unix()).
			Scan(&s.Account, &s.Name, &s.Email, &s.Issuer, &s.Subject)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			next.ServeHTTP(w, r)
		case err != nil:
			a.auth.ServeError(w, r, errDatabase(err))
		default:
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), sessionKey{}, s)))
		}
	})
}

// requireSession is the application's own guard. Challenge sends page loads to
// the login, which returns to the page. Other requests get status 401.
func (a *app) requireSession(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if sessionOf(r.Context()) != nil {
			next(w, r)
			return
		}
		if err := a.auth.Challenge(w, r, core.ErrNoSession); err != nil {
			a.auth.ServeError(w, r, err)
		}
	})
}

// startSession is called for each callback of a login that succeeded. A double
// click has two callbacks, and each response needs a session, because the
// browser shows only one of them.
func (a *app) startSession(w http.ResponseWriter, r *http.Request, login *core.Login) (answered bool, err error) {
	token := rand.Text() // new at each login: an attacker may know the former one
	hash := sha256.Sum256([]byte(token))
	err = transact(r.Context(), a.db, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(r.Context(), "DELETE FROM sessions WHERE token_hash = ?", a.hashOf(r)); err != nil {
			return err
		}
		_, err := tx.ExecContext(r.Context(), `
			INSERT INTO sessions (token_hash, account, expires, issuer, subject, sid) VALUES (?, ?, ?, ?, ?, ?)`,
			hash[:], login.Data, a.now().Add(sessionLifetime).Unix(), login.User.Issuer, login.User.Subject, login.SID)
		return err
	})
	if err != nil {
		return false, errDatabase(err)
	}
	a.setCookie(w, token, sessionLifetime)
	return false, nil // pixy redirects to the page where the user wanted to go
}

// endSession is called by the login's logout route.
func (a *app) endSession(w http.ResponseWriter, r *http.Request) error {
	if _, err := a.db.ExecContext(r.Context(), "DELETE FROM sessions WHERE token_hash = ?", a.hashOf(r)); err != nil {
		return errDatabase(err)
	}
	a.setCookie(w, "", -time.Second)
	return nil
}

// endSessionsAt is called when a provider ends a session of its own, or, if sid
// is empty, all sessions of its user.
func (a *app) endSessionsAt(ctx context.Context, _, issuer, subject, sid string) error {
	query, id := "DELETE FROM sessions WHERE issuer = ? AND sid = ?", sid
	if sid == "" {
		query, id = "DELETE FROM sessions WHERE issuer = ? AND subject = ?", subject
	}
	if _, err := a.db.ExecContext(ctx, query, issuer, id); err != nil {
		return errDatabase(err)
	}
	return nil
}

// setCookie sets the session's cookie. A negative lifetime removes it.
func (a *app) setCookie(w http.ResponseWriter, value string, lifetime time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: a.cookie, Value: value, MaxAge: int(lifetime.Seconds()),
		Path: "/", HttpOnly: true, Secure: a.secure, SameSite: http.SameSiteLaxMode,
	})
}
