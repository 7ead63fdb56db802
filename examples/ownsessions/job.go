package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"time"

	"golang.org/x/oauth2"

	"github.com/pixyauth/pixy/core"
)

const (
	jobInterval  = time.Minute      // how often the background job runs
	visitTimeout = 20 * time.Second // for one grant
)

// work runs the background job until ctx ends.
func (a *app) work(ctx context.Context) {
	ticker := time.NewTicker(a.interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := a.runJob(ctx); err != nil && ctx.Err() == nil {
				log.Print("background job: ", err) // it runs again soon
			}
		}
	}
}

// A storedGrant is a row of the table grants.
type storedGrant struct {
	issuer, subject string
	sealed          []byte
}

// runJob asks the provider about each user whose grant is stored, while the
// users are away. It also deletes sessions that have expired.
func (a *app) runJob(ctx context.Context) error {
	if _, err := a.db.ExecContext(ctx, "DELETE FROM sessions WHERE expires <= ?", a.now().Unix()); err != nil {
		return err
	}
	grants, err := a.storedGrants(ctx)
	if err != nil {
		return err
	}
	var failures []error
	for _, stored := range grants {
		if ctx.Err() != nil {
			break
		}
		failures = append(failures, a.visit(ctx, &stored))
	}
	return errors.Join(failures...)
}

func (a *app) storedGrants(ctx context.Context) (found []storedGrant, err error) {
	rows, err := a.db.QueryContext(ctx, "SELECT issuer, subject, sealed FROM grants WHERE sealed IS NOT NULL")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var stored storedGrant
		if err := rows.Scan(&stored.issuer, &stored.subject, &stored.sealed); err != nil {
			return nil, err
		}
		found = append(found, stored)
	}
	return found, rows.Err()
}

// visit uses one grant, and saves what it found for the user. The end of the
// program does not interrupt it: a refresh token that was used, and whose
// successor was not saved, is lost.
func (a *app) visit(ctx context.Context, stored *storedGrant) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), visitTimeout)
	defer cancel()
	var result string
	grant, err := a.open(stored.issuer, stored.subject, stored.sealed)
	if err == nil {
		result, err = a.userInfo(ctx, a.auth.GrantSource(ctx, grant, func(ctx context.Context, next core.Grant) error {
			return a.saveGrant(ctx, stored, next)
		}), stored.subject)
	} else {
		err = fmt.Errorf("%w: a stored grant does not open", core.ErrRefused)
	}
	switch {
	case errors.Is(err, core.ErrRefused), errors.Is(err, core.ErrNoToken):
		// The grant will never work again. Keep the row for its result.
		result, err = "Access has ended. Log in again to renew it.", a.forgetGrant(ctx, stored)
	case err != nil:
		return err // an outage: the result stays, and the next run tries again
	}
	_, failure := a.db.ExecContext(ctx, "UPDATE grants SET result = ?, checked = ? WHERE issuer = ? AND subject = ?",
		result, a.now().Unix(), stored.issuer, stored.subject)
	return errors.Join(err, failure)
}

// saveGrant stores a refreshed grant at once: with rotation, the former refresh
// token does not work any more. If the user has logged in meanwhile, the grant
// of that login is newer and stays.
func (a *app) saveGrant(ctx context.Context, stored *storedGrant, next core.Grant) error {
	sealed, err := a.seal(next)
	if err != nil {
		return err
	}
	_, err = a.db.ExecContext(ctx, "UPDATE grants SET sealed = ? WHERE issuer = ? AND subject = ? AND sealed = ?",
		sealed, stored.issuer, stored.subject, stored.sealed)
	if err == nil {
		stored.sealed = sealed
	}
	return err
}

func (a *app) forgetGrant(ctx context.Context, stored *storedGrant) error {
	_, err := a.db.ExecContext(ctx, "UPDATE grants SET sealed = NULL WHERE issuer = ? AND subject = ? AND sealed = ?",
		stored.issuer, stored.subject, stored.sealed)
	return err
}

// userInfo calls the UserInfo endpoint (OpenID Connect Core section 5.3) with a
// token of tokens, which refreshes it if needed. It stands for any API.
func (a *app) userInfo(ctx context.Context, tokens oauth2.TokenSource, subject string) (result string, err error) {
	token, err := tokens.Token()
	if err != nil {
		return "", err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.userInfoURL, nil)
	if err != nil {
		return "", err
	}
	token.SetAuthHeader(r)
	response, err := a.client.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("UserInfo answers %s", response.Status)
	}
	var answer struct {
		Subject string `json:"sub"`
		Name    string `json:"name"`
		Email   string `json:"email"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 64<<10)).Decode(&answer); err != nil {
		return "", fmt.Errorf("UserInfo: %w", err)
	}
	if answer.Subject != subject {
		return "", errors.New("UserInfo answers about another user")
	}
	return fmt.Sprintf("The provider says: %s, %s", answer.Name, answer.Email), nil
}
