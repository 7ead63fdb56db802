package core

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// A token that names an unknown key has the key set fetched at once, because
	// the provider may just have changed its keys. A flood of such tokens waits:
	// after so many fetches, there is one each time the pause is over.
	keyFetchBurst = 5
	keyFetchPause = time.Second
)

// keys are the provider's signing keys (RFC 7517), the only ones that an ID
// token is ever verified with: keys in the token's own header do not count.
type keys struct {
	set *document[[]publicKey]
	now func() time.Time

	// bound makes the issuer that a key names one that its tokens must be of.
	bound bool

	paid time.Time // until when fetches are paid for, one pause each; only for the fetch under way
}

// A publicKey is one of the set.
type publicKey struct {
	jose.JSONWebKey

	// issuer is the template or the tenant that the key is for, at a provider with
	// tenants: Microsoft Entra's set has keys of everybody's and keys of one
	// tenant's own. Empty: nobody in particular.
	issuer string
}

// mayIssue reports whether a token that the key has signed is of the issuer
// that the key is for. Without it, a tenant with a key of its own could speak
// for another.
func (k *publicKey) mayIssue(payload []byte) bool {
	if k.issuer == "" {
		return true
	}
	c, err := decodeClaims(payload)
	if err != nil {
		return false
	}
	issuer, _ := c.text("iss")
	tenant, _ := c.text("tid")
	return issuer == issuerOf(k.issuer, tenant)
}

func newKeys(now func() time.Time, client *http.Client, uri func(context.Context) (string, error)) *keys {
	k := &keys{now: now}
	k.set = newDocument(now, func(ctx context.Context) (*[]publicKey, error) {
		time.Sleep(k.pause())
		from, err := uri(ctx)
		if err != nil {
			return nil, err
		}
		return fetchKeys(ctx, client, from)
	})
	return k
}

// pause is how long the next fetch has to wait. Everybody whose token names an
// unknown key waits for that one fetch, so that even in a flood nobody is
// turned away whose key is a new one of the provider's.
func (k *keys) pause() time.Duration {
	now := k.now()
	if ahead := k.paid.Sub(now); ahead < 0 || ahead > (keyFetchBurst+1)*keyFetchPause {
		k.paid = now // nothing is paid for, or the clock has been set back
	}
	k.paid = k.paid.Add(keyFetchPause)
	return k.paid.Sub(now) - keyFetchBurst*keyFetchPause
}

// fetchKeys parses key by key. Sets hold keys that this library cannot read
// (other curves, other kinds) or must not use (for encryption): these are
// passed over, as RFC 7517 section 5 asks.
func fetchKeys(ctx context.Context, client *http.Client, from string) (*[]publicKey, error) {
	var document struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := getJSON(ctx, client, from, &document); err != nil {
		return nil, err
	}
	set := make([]publicKey, 0, len(document.Keys))
	for _, raw := range document.Keys {
		var key publicKey
		if key.JSONWebKey.UnmarshalJSON(raw) != nil || !key.IsPublic() || key.Use != "" && key.Use != "sig" {
			continue
		}
		var more struct {
			Issuer string `json:"issuer"`
		}
		_ = json.Unmarshal(raw, &more) // of another type: says nothing
		key.issuer = more.Issuer
		set = append(set, key)
	}
	return &set, nil
}

var errBadSignature = errors.New("no key of the provider verifies the signature")

// verify returns the payload of a token that one of the provider's keys has
// signed. An [*Error] means that the keys could not be had.
func (k *keys) verify(ctx context.Context, signed *jose.JSONWebSignature) ([]byte, error) {
	set, err := k.set.get(ctx)
	if err != nil {
		return nil, err
	}
	payload, known, err := k.verifyWith(*set, signed)
	// Twice at most: the fetch that ends first may have begun before the provider
	// changed its keys, the one after it has not.
	for mine, tries := false, 0; err != nil && !known && !mine && tries < 2; tries++ {
		if set, mine, err = k.set.renew(ctx, set); err != nil {
			return nil, err
		}
		payload, known, err = k.verifyWith(*set, signed)
	}
	return payload, err
}

// verifyWith tries the keys that fit: of the token's key id, or all of them if
// it names none, and of its algorithm. Known tells whether its key id is in the set.
func (k *keys) verifyWith(set []publicKey, signed *jose.JSONWebSignature) (payload []byte, known bool, err error) {
	header := signed.Signatures[0].Protected
	for i := range set {
		key := &set[i]
		if header.KeyID != "" && key.KeyID != header.KeyID {
			continue
		}
		known = known || header.KeyID != ""
		if key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		if payload, err := signed.Verify(&key.JSONWebKey); err == nil && (!k.bound || key.mayIssue(payload)) {
			return payload, true, nil
		}
	}
	return nil, known, errBadSignature
}
