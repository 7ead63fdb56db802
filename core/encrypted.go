package core

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/pixyauth/pixy/core/internal/provider"
	"github.com/pixyauth/pixy/core/internal/vault"
)

// decrypted returns the query of a callback, with the signed response in place of an
// encrypted one. It decrypts only for a browser that has begun a login, or just ended one,
// because anonymous requests could ask for it as often as they like. Without a login, the
// response has no state that we can read.
func (a *Authenticator) decrypted(t *turn, query url.Values) (url.Values, error) {
	response, ok := only(query["response"])
	if !ok || !provider.IsEncrypted(response) {
		return query, nil
	}
	if _, landed := a.landings.find(t.r); !landed && !a.attempts.anyOpen(t.r, a.now()) {
		return query, nil
	}
	if err := a.locate(t); err != nil {
		t.again = new(LoginOptions)
		return nil, err
	}
	if t.at == nil || !t.at.config.Requests.SignedResponse {
		return query, nil
	}
	signed, err := t.at.open(t.r.Context(), response)
	if err != nil {
		t.again = new(LoginOptions)
		if !errors.As(err, new(*Error)) {
			err = errBadCallback("signed response: %w", err)
		}
		return nil, err
	}
	query.Set("response", signed)
	return query, nil
}

// anyOpen reports whether this browser has begun a login that has not expired.
func (s *attempts) anyOpen(r *http.Request, now time.Time) bool {
	left := maxEvictions
	for name, value := range vault.WithPrefix(r, s.prefix) {
		if left--; left < 0 {
			return false
		}
		record, ok := s.on(r).Open(name, value)
		if !ok {
			continue
		}
		if begun, ok := decodeAttempt(record); ok && !begun.expired(now) {
			return true
		}
	}
	return false
}

// open returns the logout token in an encrypted one, and any other token as it is. Anyone
// can encrypt, so the token still has to be verified. The token does not tell whose it is
// before it is decrypted, so the keys of all providers are tried.
func (all registrations) open(ctx context.Context, token string) (string, error) {
	if !provider.IsEncrypted(token) {
		return token, nil
	}
	var down error // of keys that may be another provider's: a KMS may call a text for another key so
	err := errors.New("it is encrypted, and no OpenID provider has Client.DecryptionKeys")
	for _, at := range all {
		if at.config.FetchUser != nil || len(at.config.Client.DecryptionKeys) == 0 {
			continue
		}
		var text string
		if text, err = at.open(ctx, token); err == nil {
			return text, nil
		}
		if errors.As(err, new(*Error)) {
			down = err
		}
	}
	if down != nil { // so the provider has to send it again
		return "", down
	}
	return "", errBadLogoutToken(err)
}
