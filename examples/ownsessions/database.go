package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"time"

	_ "modernc.org/sqlite" // in pure Go; registers the driver "sqlite"

	"github.com/pixyauth/pixy/core"
)

// The application had accounts and sessions before it had pixy. An account has
// one identity or several: users at a provider. A grant has the tokens of an
// identity, for the background job.
const schema = `
CREATE TABLE IF NOT EXISTS accounts (
	id    TEXT PRIMARY KEY,
	name  TEXT NOT NULL,
	email TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS identities (
	issuer  TEXT NOT NULL,
	subject TEXT NOT NULL,
	account TEXT NOT NULL REFERENCES accounts (id),
	PRIMARY KEY (issuer, subject)
);
CREATE INDEX IF NOT EXISTS identities_account ON identities (account);
CREATE TABLE IF NOT EXISTS sessions (
	token_hash BLOB PRIMARY KEY, -- reading the database gives no session
	account    TEXT NOT NULL REFERENCES accounts (id),
	expires    INTEGER NOT NULL, -- Unix time
	issuer     TEXT NOT NULL,    -- with subject and sid: of the login that started the session
	subject    TEXT NOT NULL,
	sid        TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS sessions_login ON sessions (issuer, subject, sid);
CREATE TABLE IF NOT EXISTS grants (
	issuer  TEXT NOT NULL,
	subject TEXT NOT NULL,
	sealed  BLOB,                  -- a core.Grant as encrypted JSON; NULL: it does not work any more
	checked INTEGER NOT NULL,      -- when the background job used it, Unix time; 0: not yet
	result  TEXT NOT NULL,         -- what the background job found, for the user
	PRIMARY KEY (issuer, subject),
	FOREIGN KEY (issuer, subject) REFERENCES identities (issuer, subject)
);`

// openDatabase opens a SQLite file, or a database in memory if file is empty.
func openDatabase(ctx context.Context, file string) (*sql.DB, error) {
	if file == "" {
		file = ":memory:"
	}
	db, err := sql.Open("sqlite", file+"?_pragma=foreign_keys(1)&_pragma=busy_timeout(5000)&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	// A database in memory belongs to one connection. A file has one writer at a
	// time anyway.
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// transact runs f in a transaction. An error of f undoes it.
func transact(ctx context.Context, db *sql.DB, f func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// errDatabase returns the error of a request whose query failed. It wraps
// ErrUnavailable, so that pixy ends no session and answers with status 503.
func errDatabase(err error) error {
	return &core.Error{
		Status: http.StatusServiceUnavailable, Code: "database_unavailable",
		Public: "We cannot reach our database. Please try again in a moment.",
		Err:    fmt.Errorf("%w: %w", core.ErrUnavailable, err),
	}
}

// An identity is a user at a provider, with what the background job found last.
type identity struct {
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
	Result  string `json:"result"`
	checked int64
}

// Checked returns the time of the background job's last visit, or "".
func (i identity) Checked() string {
	if i.checked == 0 {
		return ""
	}
	return time.Unix(i.checked, 0).UTC().Format("15:04:05 UTC")
}

// identitiesOf returns the identities of an account.
func identitiesOf(ctx context.Context, db *sql.DB, account string) (found []identity, err error) {
	rows, err := db.QueryContext(ctx, `
		SELECT issuer, subject, coalesce(result, ''), coalesce(checked, 0)
		FROM identities LEFT JOIN grants USING (issuer, subject)
		WHERE account = ? ORDER BY identities.rowid`, account)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var i identity
		if err := rows.Scan(&i.Issuer, &i.Subject, &i.Result, &i.checked); err != nil {
			return nil, fmt.Errorf("identities of an account: %w", err)
		}
		found = append(found, i)
	}
	return found, rows.Err()
}
