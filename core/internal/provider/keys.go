package provider

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core/internal/told"
)

const (
	// A token that no key verifies causes a fetch of the key set at once, because the
	// provider may have changed its keys. To limit a flood of such tokens, there is one
	// fetch per keyFetchPause after the first keyFetchBurst.
	keyFetchBurst = 5
	keyFetchPause = time.Second

	// maxKeyTries is how many keys are tried for one token. A key is tried if it fits
	// the token's algorithm and, if the token has a key id, has the same id.
	maxKeyTries = 8
)

// keys are the provider's signing keys (RFC 7517). ID tokens are verified with these
// only, never with keys in the header of a token.
type keys struct {
	set *document[KeySet]
	now func() time.Time
	log *slog.Logger

	// bound means that the member issuer of a key, whatever its value, must match its
	// tokens. If bound is false, that applies only to a value that is a URL.
	bound bool

	given *KeySet // of the configuration, and never fetched; nil: set

	paid    time.Time // end of the pauses of all fetches so far, one each; only for the fetch under way
	skipped []string  // of the set that was fetched last; only for the fetch under way
}

// mayIssue reports whether the key may sign tokens of the token's issuer. Without this
// check, a tenant with its own key could sign tokens for another tenant.
func (k *keys) mayIssue(key *publicKey, payload []byte) bool {
	if key.issuer == "" || !k.bound && !strings.Contains(key.issuer, "://") {
		return true
	}
	c, err := DecodeClaims(payload)
	if err != nil {
		return false
	}
	issuer, _ := c.Text("iss")
	tenant, _ := c.Text("tid")
	return issuer == issuerOf(key.issuer, tenant)
}

func newKeys(now func() time.Time, client *http.Client, uri func(context.Context) (string, error)) *keys {
	k := &keys{now: now, log: slog.New(slog.DiscardHandler)}
	k.set = newDocument(now, func(ctx context.Context) (*KeySet, error) {
		time.Sleep(k.pause())
		from, err := uri(ctx)
		if err != nil {
			return nil, err
		}
		set, err := fetchKeys(ctx, client, from)
		if err == nil {
			k.report(ctx, from, set.skipped)
		}
		return set, err
	})
	return k
}

// verifySignatures prepares g for tokens that the provider has signed. Keys are fetched
// when the first one comes.
func (g *codeGrant) verifySignatures() {
	config := &g.config
	keys := newKeys(config.Now, config.Client, func(ctx context.Context) (string, error) {
		m, err := g.metadata.get(ctx)
		if err != nil {
			return "", err
		}
		return m.JWKSURI, nil
	})
	keys.bound = len(config.Tenants) > 0
	if config.Log != nil {
		keys.log = config.Log
	}
	if keys.given = config.Keys; keys.given != nil {
		keys.report(context.Background(), "Endpoints.Keys", keys.given.skipped)
	}
	g.opening = make(chan struct{}, maxOpened)
	g.idTokens = &idTokens{config: config, now: config.Now, keys: keys}
}

// report logs which keys are not used, if that has changed since the last fetch.
func (k *keys) report(ctx context.Context, from string, skipped []string) {
	if len(skipped) > 0 && !slices.Equal(skipped, k.skipped) {
		const most = 10
		k.log.LogAttrs(ctx, slog.LevelWarn, "pixy: some of the provider's keys are not used",
			slog.String("jwks_uri", from),
			slog.Int("count", len(skipped)),
			slog.String("keys", strings.Join(skipped[:min(most, len(skipped))], "; ")),
		)
	}
	k.skipped = skipped
}

// pause returns how long the next fetch has to wait. All requests whose token no key
// verifies wait for that one fetch. So even during a flood, a token that is signed by a
// new key of the provider is accepted.
func (k *keys) pause() time.Duration {
	now := k.now()
	if ahead := k.paid.Sub(now); ahead < 0 || ahead > (keyFetchBurst+1)*keyFetchPause {
		k.paid = now // all pauses are over, or the clock was set back
	}
	k.paid = k.paid.Add(keyFetchPause)
	return k.paid.Sub(now) - keyFetchBurst*keyFetchPause
}

// get returns the key set.
func (k *keys) get(ctx context.Context) (*KeySet, error) {
	if k.given != nil {
		return k.given, nil
	}
	return k.set.get(ctx)
}

// verify returns the payload of a token that one of the provider's keys has signed. An
// [*Error] means that the keys are unavailable.
func (k *keys) verify(ctx context.Context, signed *jose.JSONWebSignature) ([]byte, error) {
	set, err := k.get(ctx)
	if err != nil {
		return nil, err
	}
	payload, err := k.verifyWith(ctx, set, signed)
	// The key may be new, even if its key id is known. Two fetches are enough: the first
	// may have begun before the provider changed its keys, the second begins after.
	for mine, tries := k.given != nil, 0; err != nil && !mine && tries < 2; tries++ {
		if ctx.Err() != nil {
			return nil, unavailable(ctx.Err())
		}
		if set, mine, err = k.set.renew(ctx, set); err != nil {
			return nil, err
		}
		payload, err = k.verifyWith(ctx, set, signed)
	}
	return payload, err
}

// verifyWith tries the keys that fit the token's algorithm and its key id, if it has
// one. It tries at most maxKeyTries, and stops when ctx is done, because the cost of a
// token must not depend on the number of keys.
func (k *keys) verifyWith(ctx context.Context, set *KeySet, signed *jose.JSONWebSignature) ([]byte, error) {
	header := signed.Signatures[0].Protected
	tries, named, foreign := 0, false, false
	for i := range set.keys {
		key := &set.keys[i]
		if header.KeyID != "" && key.KeyID != header.KeyID {
			continue
		}
		named = true
		if !key.fits(header.Algorithm) {
			continue
		}
		if tries++; tries > maxKeyTries {
			return nil, fmt.Errorf("more than %d keys of the provider fit, and none of the first %[1]d verifies the signature; the provider has to give each key its own kid", maxKeyTries)
		}
		if ctx.Err() != nil {
			return nil, unavailable(ctx.Err())
		}
		payload, err := signed.Verify(&key.JSONWebKey)
		if err == nil && k.mayIssue(key, payload) {
			return payload, nil
		}
		foreign = foreign || err == nil
	}
	switch {
	case !named:
		return nil, fmt.Errorf("the provider has no key with kid %q", told.Clip(header.KeyID))
	case tries == 0:
		return nil, fmt.Errorf("no key of the provider with kid %q is for %s", told.Clip(header.KeyID), told.Clip(header.Algorithm))
	case foreign:
		return nil, errors.New("it is signed by a key that is for another issuer than the token's iss and tid")
	}
	return nil, errors.New("no key of the provider verifies the signature")
}
