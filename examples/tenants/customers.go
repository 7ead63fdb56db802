package main

import (
	"cmp"
	"context"
	"crypto/cipher"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"strings"

	_ "modernc.org/sqlite" // in pure Go; registers the driver "sqlite"

	"github.com/pixyauth/pixy/core"
)

const schema = `
CREATE TABLE IF NOT EXISTS customers (
	name      TEXT PRIMARY KEY, -- of the provider, and the first label of the customer's host
	issuer    TEXT NOT NULL,
	client_id TEXT NOT NULL,
	secret    BLOB NOT NULL     -- encrypted; see secrets.go
);
CREATE TABLE IF NOT EXISTS domains (
	domain   TEXT PRIMARY KEY,  -- of e-mail addresses; a domain has one customer
	customer TEXT NOT NULL REFERENCES customers (name) ON DELETE CASCADE
);`

// A customer is a row of the table, without the secret.
type customer struct {
	Name, Issuer, ClientID string
	Domains                string // of e-mail addresses, separated by spaces
}

// provider returns the customer's provider. A customer chooses the issuer, the
// client ID and the secret, and nothing else.
func (c customer) provider(secret string) core.Provider {
	return core.Provider{
		Name: c.Name, Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: secret,
		Requests: core.RequestConfig{UserInfo: true}, // some providers have name and e-mail only there
	}
}

// customers is the table of customers. It is safe for concurrent use.
type customers struct {
	db     *sql.DB
	sealer cipher.AEAD
}

// openCustomers opens a SQLite file, or a database in memory if file is empty.
func openCustomers(ctx context.Context, file string, key []byte) (*customers, error) {
	sealer, err := newSealer(key)
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", cmp.Or(file, ":memory:")+"?_pragma=foreign_keys(1)&_pragma=busy_timeout(5000)&_txlock=immediate")
	if err != nil {
		return nil, err
	}
	// A database in memory belongs to one connection. A file has one writer at a
	// time anyway.
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return nil, errors.Join(fmt.Errorf("bad DATABASE: %w", err), db.Close())
	}
	return &customers{db: db, sealer: sealer}, nil
}

// find returns the provider of a customer, or nil if there is none: it is
// Lookup.Find. What it returns now is used now, so a change needs no restart.
func (t *customers) find(ctx context.Context, name string) (*core.Provider, error) {
	c, sealed := customer{Name: name}, []byte(nil)
	err := t.db.QueryRowContext(ctx, "SELECT issuer, client_id, secret FROM customers WHERE name = ?", name).
		Scan(&c.Issuer, &c.ClientID, &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	secret, err := t.open(name, sealed)
	if err != nil {
		return nil, err
	}
	p := c.provider(secret)
	return &p, nil
}

// exists reports whether there is a customer with a name.
func (t *customers) exists(ctx context.Context, name string) (found bool, err error) {
	err = t.db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM customers WHERE name = ?)", name).Scan(&found)
	return found, err
}

// of returns the name of the customer whom a user means, by an e-mail address or
// by the name itself. It returns an empty string if there is none.
func (t *customers) of(ctx context.Context, typed string) (name string, err error) {
	typed = strings.ToLower(typed)
	_, domain, _ := strings.Cut(typed, "@")
	err = t.db.QueryRowContext(ctx, "SELECT customer FROM domains WHERE domain = ? UNION SELECT name FROM customers WHERE name = ?", domain, typed).
		Scan(&name)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return name, err
}

func (t *customers) all(ctx context.Context) (found []customer, err error) {
	rows, err := t.db.QueryContext(ctx, `
		SELECT name, issuer, client_id, coalesce(group_concat(domain, ' '), '')
		FROM customers LEFT JOIN domains ON customer = name GROUP BY name ORDER BY name`)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var c customer
		if err := rows.Scan(&c.Name, &c.Issuer, &c.ClientID, &c.Domains); err != nil {
			return nil, err
		}
		found = append(found, c)
	}
	return found, rows.Err()
}

// label is what a name must be, because it is part of a host (RFC 1123 section 2.1).
var label = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// add adds a customer. It changes none that exists.
func (t *customers) add(ctx context.Context, c customer, secret string) error {
	if !label.MatchString(c.Name) || c.Name == mainLabel {
		return errors.New("the name must have 1 to 63 letters a-z, digits and hyphens, and must not be " + mainLabel)
	}
	tx, err := t.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing, after Commit
	if err := insert(ctx, tx, "name "+c.Name, "INSERT INTO customers VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
		c.Name, c.Issuer, c.ClientID, t.seal(c.Name, secret)); err != nil {
		return err
	}
	for _, domain := range strings.Fields(strings.ToLower(c.Domains)) {
		if err := insert(ctx, tx, "domain "+domain, "INSERT INTO domains VALUES (?, ?) ON CONFLICT DO NOTHING", domain, c.Name); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// insert adds a row, or fails if there is one with its key.
func insert(ctx context.Context, tx *sql.Tx, what, query string, values ...any) error {
	result, err := tx.ExecContext(ctx, query, values...)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 1 {
		return err
	}
	return fmt.Errorf("the %s belongs to another customer", what)
}

// setSecret replaces the secret of a customer.
func (t *customers) setSecret(ctx context.Context, name, secret string) error {
	_, err := t.db.ExecContext(ctx, "UPDATE customers SET secret = ? WHERE name = ?", t.seal(name, secret), name)
	return err
}

func (t *customers) remove(ctx context.Context, name string) error {
	_, err := t.db.ExecContext(ctx, "DELETE FROM customers WHERE name = ?", name)
	return err
}
