package main

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"net/http"

	"github.com/pixyauth/pixy/core"
)

// onLogin is called once for each login, after all of pixy's checks. It finds
// or creates the account, and stores the grant. It does not start the session:
// startSession does.
func (a *app) onLogin(ctx context.Context, login *core.Login) error {
	// Only startLink sets a payload, so that an ordinary login is never mistaken
	// for a link.
	link := login.Payload
	if link != "" && link != accountOf(ctx) {
		return &core.Error{Status: http.StatusConflict, Code: "not_linked",
			Public: "The login was not linked, because you have logged out or logged in to another account meanwhile. Log in and link it again."}
	}
	sealed, err := a.seal(login.Grant)
	if err != nil {
		return err
	}
	err = transact(ctx, a.db, func(tx *sql.Tx) error {
		if login.Data, err = accountFor(ctx, tx, login.User, link); err != nil {
			return err
		}
		// A new login has a new grant, also if the former one does not work any more.
		_, err := tx.ExecContext(ctx, `
			INSERT INTO grants (issuer, subject, sealed, checked, result) VALUES (?, ?, ?, 0, '')
			ON CONFLICT DO UPDATE SET sealed = excluded.sealed`,
			login.User.Issuer, login.User.Subject, sealed)
		return err
	})
	if refused := new(core.Error); err == nil || errors.As(err, &refused) {
		return err
	}
	return errDatabase(err)
}

// accountFor returns the account of user. If there is none, it adds user to the
// account link, or to a new account if link is empty. It never compares e-mail
// addresses: an attacker who controls an address at one provider would get the account.
func accountFor(ctx context.Context, tx *sql.Tx, user *core.User, link string) (account string, err error) {
	err = tx.QueryRowContext(ctx, "SELECT account FROM identities WHERE issuer = ? AND subject = ?",
		user.Issuer, user.Subject).Scan(&account)
	switch {
	case err == nil && link != "" && link != account:
		return "", &core.Error{Status: http.StatusConflict, Code: "not_linked",
			Public: "The login was not linked, because it belongs to another account."}
	case !errors.Is(err, sql.ErrNoRows):
		return account, err
	}
	account = link
	if account == "" {
		account = rand.Text()
		_, err := tx.ExecContext(ctx, "INSERT INTO accounts (id, name, email) VALUES (?, ?, ?)", account, user.Name, user.Email)
		if err != nil {
			return "", err
		}
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO identities (issuer, subject, account) VALUES (?, ?, ?)",
		user.Issuer, user.Subject, account)
	return account, err
}
