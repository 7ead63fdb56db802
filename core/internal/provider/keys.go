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
	// A token that no key verifies has the key set fetched at once, because the
	// provider may just have changed its keys. A flood of such tokens waits: after
	// so many fetches, there is one each time the pause is over.
	keyFetchBurst = 5
	keyFetchPause = time.Second

	// maxKeyTries is how many keys are tried for one token: those of its key id, or,
	// if it names none, those that fit its algorithm.
	maxKeyTries = 8
)

// keys are the provider's signing keys (RFC 7517), the only ones that an ID
// token is ever verified with: keys in the token's own header do not count.
type keys struct {
	set *document[keySet]
	now func() time.Time
	log *slog.Logger

	// bound makes the issuer that a key names one that its tokens must be of,
	// whatever it is. Without it, only a URL counts.
	bound bool

	paid    time.Time // until when fetches are paid for, one pause each; only for the fetch under way
	skipped []string  // of the set that was fetched last; only for the fetch under way
}

// mayIssue reports whether a token that the key has signed is of the issuer
// that the key is for. Without it, a tenant with a key of its own could speak
// for another.
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
	k.set = newDocument(now, func(ctx context.Context) (*keySet, error) {
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

// report logs which keys are not used, if they are others than at the last fetch.
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

// pause is how long the next fetch has to wait. Everybody whose token no key
// verifies waits for that one fetch, so that even in a flood nobody is
// turned away whose key is a new one of the provider's.
func (k *keys) pause() time.Duration {
	now := k.now()
	if ahead := k.paid.Sub(now); ahead < 0 || ahead > (keyFetchBurst+1)*keyFetchPause {
		k.paid = now // nothing is paid for, or the clock has been set back
	}
	k.paid = k.paid.Add(keyFetchPause)
	return k.paid.Sub(now) - keyFetchBurst*keyFetchPause
}

// verify returns the payload of a token that one of the provider's keys has
// signed. An [*roomError] means that the keys could not be had.
func (k *keys) verify(ctx context.Context, signed *jose.JSONWebSignature) ([]byte, error) {
	set, err := k.set.get(ctx)
	if err != nil {
		return nil, err
	}
	payload, err := k.verifyWith(ctx, set, signed)
	// The key may be a new one, also under a key id that is known. Twice at most: the
	// fetch that ends first may have begun before the provider changed its keys, the
	// one after it has not.
	for mine, tries := false, 0; err != nil && !mine && tries < 2; tries++ {
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

// verifyWith tries the keys that fit: of the token's key id, or all of them if
// it names none, and of its algorithm. It tries a few only, and none when ctx is
// over: what a token costs must not depend on how many keys there are.
func (k *keys) verifyWith(ctx context.Context, set *keySet, signed *jose.JSONWebSignature) ([]byte, error) {
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
			return nil, fmt.Errorf("more than %d keys of the provider fit, and none of the first %[1]d verifies the signature; the provider has to name the key, by a kid of its own", maxKeyTries)
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
		return nil, errors.New("it is signed by a key that the provider publishes for another issuer than the token's iss and tid")
	}
	return nil, errors.New("no key of the provider verifies the signature")
}
