package core_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/pixyauth/pixy/core/logintest"
)

func TestKeysMayRotateAtAnyTime(t *testing.T) {
	t.Parallel()
	t.Run("rule 80: between logins and within one", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		for range 4 {
			g.browser.Forget("", "")
			g.login()
			g.provider.RotateKeys()
		}
		callback := g.toCallback()
		g.provider.RotateKeys() // just before signing
		if page := g.get(callback.String()); page.Status != 200 {
			t.Errorf("got %d", page.Status)
		}
	})
}

func TestUnknownKeysDoNotFloodTheProvider(t *testing.T) {
	t.Parallel()
	t.Run("rule 81: a thousand unknown keys, few fetches", func(t *testing.T) {
		t.Parallel()
		bubble(t, func(t *testing.T) {
			g := newRig(t)
			g.login()
			n := 0
			g.provider.Misbehave(logintest.Faults{IDToken: func(header, _ map[string]any) {
				n++
				header["kid"] = fmt.Sprint("unknown", n)
			}})
			start, before := time.Now(), g.provider.Count(logintest.JWKS)
			for range 1000 {
				if page := g.visit(g.toCallback().String()); page.Status != http.StatusBadGateway {
					t.Fatalf("got %d", page.Status)
				}
			}
			seconds := int(time.Since(start) / time.Second)
			if got := g.provider.Count(logintest.JWKS) - before; got > 5+seconds || got > 1000 {
				t.Errorf("%d fetches of the keys in %d seconds, want 5 and one each second", got, seconds)
			}
			// Keys that cannot be had say nothing about the token.
			g.provider.Misbehave(logintest.Faults{
				IDToken: func(header, _ map[string]any) { header["kid"] = "unknown" },
				Intercept: func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
					if e == logintest.JWKS {
						w.WriteHeader(http.StatusInternalServerError)
					}
					return e == logintest.JWKS
				},
			})
			if page := g.visit(g.toCallback().String()); page.Status != http.StatusServiceUnavailable {
				t.Errorf("with the keys down: got %d", page.Status)
			}
			// The provider goes on, and so does its real rotation.
			g.provider.Misbehave(logintest.Faults{})
			g.provider.RotateKeys()
			if page := g.visit(g.toCallback().String()); page.Status != http.StatusSeeOther {
				t.Errorf("a real rotation is not let through: %d", page.Status)
			}
		})
	})
}

func TestKeySetsHoldMoreThanIsUnderstood(t *testing.T) {
	t.Parallel()
	decoy, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(jose.JSONWebKey{Key: decoy.Public(), Use: "sig", Algorithm: "ES256"})
	if err != nil {
		t.Fatal(err)
	}
	for name, kid := range map[string]bool{"rules 82, 83: with key ids": true, "rules 82, 83: without": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t)
			g.provider.Misbehave(logintest.Faults{
				JWKS: func(set map[string]any) {
					keys := set["keys"].([]any)
					rsa := keys[0].(map[string]any)
					var other map[string]any
					if err := json.Unmarshal(encoded, &other); err != nil {
						panic(err)
					}
					other["kid"] = rsa["kid"] // a decoy of the same name
					set["keys"] = append([]any{
						map[string]any{"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA", "kid": "k"},
						map[string]any{"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"},
						map[string]any{"kty": "oct", "k": "AAAA", "kid": rsa["kid"]},
						"junk", 7, nil, other,
					}, keys...)
					if !kid {
						for _, key := range set["keys"].([]any) {
							if key, ok := key.(map[string]any); ok {
								delete(key, "kid")
							}
						}
					}
				},
				IDToken: func(header, _ map[string]any) {
					if !kid {
						delete(header, "kid")
					}
				},
			})
			g.login()
		})
	}
	t.Run("rule 83: a key for encryption does not verify", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.provider.Misbehave(logintest.Faults{JWKS: func(set map[string]any) {
			for _, key := range set["keys"].([]any) {
				key.(map[string]any)["use"] = "enc"
			}
		}})
		if page := g.visit(g.toCallback().String()); page.Status != http.StatusBadGateway {
			t.Errorf("got %d", page.Status)
		}
	})
	t.Run("rule 83: a key for another algorithm does not verify", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.provider.Misbehave(logintest.Faults{JWKS: func(set map[string]any) {
			set["keys"].([]any)[0].(map[string]any)["alg"] = "PS256" // and the token is RS256
		}})
		if page := g.visit(g.toCallback().String()); page.Status != http.StatusBadGateway {
			t.Errorf("got %d", page.Status)
		}
	})
	t.Run("rule 81: known keys go on working while the set is down", func(t *testing.T) {
		t.Parallel()
		g := newRig(t)
		g.login()
		g.provider.Misbehave(logintest.Faults{Intercept: func(e logintest.Endpoint, w http.ResponseWriter, _ *http.Request) bool {
			if e == logintest.JWKS {
				w.WriteHeader(http.StatusInternalServerError)
			}
			return e == logintest.JWKS
		}})
		for range 3 {
			g.advance(2 * time.Hour) // stale, and the refresh fails
			g.browser.Forget("", "")
			g.login()
		}
	})
}
